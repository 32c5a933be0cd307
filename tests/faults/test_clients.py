"""Too many clients, and too many extensions."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections import Counter
from threading import Event, Thread
from typing import TYPE_CHECKING

from tests.support.extensions_api import FakeExtensionsApi
from tests.support.fault_rig import READ, TOKEN, TOKEN_HEADER, World
from tests.support.fault_table import row
from tests.support.hostile_aws import hold

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., World]

PATIENCE_SECONDS = 10.0
CROWD = 1000
SERVED = 512
"""As many as may be connected at a time."""


def answers(port: int, name: str, count: int) -> Counter[str]:
    """What so many clients see who all ask at the same time."""
    request = (
        f"GET {READ}{name} HTTP/1.1\r\nHost: localhost\r\n"
        f"{TOKEN_HEADER}: {TOKEN}\r\nConnection: close\r\n\r\n"
    ).encode()
    seen: Counter[str] = Counter()
    received: dict[socket.socket, bytes] = {}
    selector = selectors.DefaultSelector()
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(request)
        client.settimeout(0)
        received[client] = b""
        selector.register(client, selectors.EVENT_READ)
    deadline = time.monotonic() + 3 * PATIENCE_SECONDS
    while received and time.monotonic() < deadline:
        for key, _ in selector.select(1.0):
            client = key.fileobj  # type: ignore[assignment]
            try:
                data = client.recv(1 << 16)
            except ConnectionError:
                data = b""
            received[client] += data
            if not data:
                seen[received.pop(client)[9:12].decode() or "closed"] += 1
                selector.unregister(client)
                client.close()
    selector.close()
    seen["unanswered"] = len(received)
    return +seen


@row(
    f"{CROWD:,} clients ask at the same time, and AWS is slow",
    f"{SERVED} of them the value, by one fetch; the others wait, or read 429",
)
def test_a_crowd(start: Start) -> None:
    """Everybody is answered, and nobody is later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    world = start(environ={"SECRETS_MANAGER_TIMEOUT_MILLIS": "9000"})
    value = world.account.put("a")
    arrived, released = Event(), Event()
    world.account.faults["GetSecretValue"] = hold(
        arrived, released, world.account.secret("a")
    )

    def release() -> None:
        arrived.wait(PATIENCE_SECONDS)
        released.set()

    releasing = Thread(target=release)
    releasing.start()
    seen = answers(world.port, "a", CROWD)
    releasing.join(PATIENCE_SECONDS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert {"200", "429"} >= seen.keys()
    assert seen["200"] >= SERVED
    assert 1 == world.account.calls.count("GetSecretValue")
    assert f"{value} hit" == world.seen("a")

    world.assert_alive()


@row(
    "a second extension wants the port",
    "as always: the first one has it, the second one ends",
    "cannot be bound: [Errno 98] Address already in use",
)
def test_a_second_instance(start: Start) -> None:
    """The second one reports the fault to Lambda, and the variable that mends it."""
    world = start()
    value = world.account.put("a")

    assert f"{value} fwd=miss" == world.seen("a")

    with FakeExtensionsApi() as api:
        second = world.start_another(AWS_LAMBDA_RUNTIME_API=api.address)
        report = api.wait_for_call("/init/error").document

        assert 1 == second.wait(PATIENCE_SECONDS)

        second.stop()
    assert "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT" in report["errorMessage"]
    assert any("Address already in use" in line for line in second.lines)
    assert f"{value} hit" == world.seen("a")

    world.assert_alive()
