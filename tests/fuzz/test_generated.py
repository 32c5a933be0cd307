"""Generated requests against the real process; h11 reads every answer."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from typing import TYPE_CHECKING

import h11
import pytest

from rotaware.sheet import Sheet, encode
from tests.fuzz.differences import DIFFERENCES, Difference, reasons, takes
from tests.fuzz.generated import (
    LISTED,
    PARAMETERS,
    SECRETS,
    TOKEN,
    Expected,
    Generator,
    Stream,
    expected,
)
from tests.support.extension_process import (
    ROOT,
    SHEET,
    ExtensionProcess,
    ScriptedAws,
    source_launcher,
)
from tests.support.extensions_api import FakeExtensionsApi
from tests.support.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "30_000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
AT_ONCE = 16
LEGACY = free_port()
PATIENCE_SECONDS = 20.0
GOOD = (
    b"GET /v1/app/db HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n"
    b"X-Vault-Token: %b\r\n\r\n" % TOKEN.encode()
)


@pytest.fixture
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExtensionProcess]:
    """The extension, serving."""
    directory = tmp_path_factory.mktemp("port")
    with FakeExtensionsApi() as api, ScriptedAws() as aws:
        (directory / "config.yaml").write_text(f"secrets: {json.dumps(sorted(LISTED))}")
        aws.secrets |= dict.fromkeys(SECRETS, '"s3cret"')
        aws.parameters |= dict.fromkeys(PARAMETERS, "value")
        aws.parameters[SHEET] = encode(Sheet())
        process = ExtensionProcess(
            source_launcher(directory),
            api,
            aws,
            directory,
            environ={
                "AWS_SESSION_TOKEN": TOKEN,
                "ROTAWARE_CHECK_INTERVAL": "600",
                "ROTAWARE_LEGACY_PORTS": str(LEGACY),
            },
        )
        try:
            api.wait_for_next()
            yield process
        finally:
            process.child.stop()


@pytest.mark.timeout(1800)
def test_generated_requests(port: ExtensionProcess) -> None:
    """Whatever is sent, and in whatever pieces, is answered as its bytes deserve."""
    generator = Generator(SEED)
    sent, connections, began = 0, 0, time.monotonic()
    while sent < REQUESTS:
        batch = [generator.stream() for _ in range(AT_ONCE)]
        # One in four comes to the port without token.
        exchange(LEGACY if connections % (4 * AT_ONCE) == 0 else port.port, batch)
        sent += sum(stream.requests for stream in batch)
        connections += len(batch)
    seconds = time.monotonic() - began
    figures = f"{sent} requests, {connections} connections, {seconds:.0f} s"
    sys.stdout.write(f"FUZZ_SEED={SEED}: {figures}\n")

    require_health(port)


@pytest.mark.parametrize(
    "data",
    [
        GOOD + GOOD.replace(b"GET", b"HEAD"),
        GOOD + GOOD.replace(b"\r\nX-Vault", b"\nX-Vault"),
        GOOD + b"\x16\x03\x01\x02\x00\r\n\r\n",
    ],
)
def test_every_split(port: ExtensionProcess, data: bytes) -> None:
    """Wherever a stream is cut in two, the answers are the same."""
    places = range(1, len(data))
    for start in range(0, len(places), AT_ONCE):
        cut = places[start : start + AT_ONCE]
        streams = [Stream([data[:place], data[place:]], 2) for place in cut]
        exchange(port.port, streams)
    require_health(port)


def exchange(port: int, streams: list[Stream]) -> None:
    """Send streams side by side, and compare what comes back."""
    with contextlib.ExitStack() as stack:
        clients = [send(port, stream, stack) for stream in streams]
        for client, stream in zip(clients, streams, strict=True):
            check(stream, receive(client), has_token=port != LEGACY)


def require_health(port: ExtensionProcess) -> None:
    """See that the process goes on, and that nothing surprised it."""
    assert "healthy" == port.read("/ping").document
    assert [] == [line for line in port.child.lines if '"ERROR"' in line]


def send(port: int, stream: Stream, stack: contextlib.ExitStack) -> socket.socket:
    """Send a stream on a connection of its own, and say that this was all."""
    client = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    stack.callback(client.close)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError):  # it was refused before it was over
        for segment in stream.segments:
            client.sendall(segment)
        client.shutdown(socket.SHUT_WR)
    return client


def receive(client: socket.socket) -> bytes:
    """All that comes back, up to the end, which must come."""
    received = bytearray()
    # A stream that goes on after the last answer is cut off.
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(1 << 16):
            received += data
    return bytes(received)


def check(stream: Stream, received: bytes, *, has_token: bool) -> None:
    """Compare the answers with what they should be."""
    wanted = expected(stream.data, has_token=has_token)
    got = answers(received, wanted)

    assert len(wanted) == len(got), stream
    for want, status in zip(wanted, got, strict=True):
        assert status in want.statuses, stream


def answers(received: bytes, wanted: list[Expected]) -> list[int]:
    """The statuses of the answers, as h11 reads them."""
    client = h11.Connection(h11.CLIENT)
    client.receive_data(received)
    client.receive_data(b"")
    statuses = []
    for want in wanted:
        client.send(
            h11.Request(method=want.method, target="/", headers=[("Host", "a")])
        )
        client.send(h11.EndOfMessage())
        response = client.next_event()
        if not isinstance(response, h11.Response):
            break
        statuses.append(response.status_code)
        body = b""
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data

        assert isinstance(event, h11.EndOfMessage)
        assert want.method == "HEAD" or body == b"healthy" or json.loads(body)

        if want.is_last:
            assert client.their_state is h11.MUST_CLOSE
            break
        client.start_next_cycle()

    assert b"" == client.trailing_data[0]

    return statuses


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: each.name)
def test_each_difference_from_h11_is_one(difference: Difference) -> None:
    """No row of the table says what is not so."""
    raw = difference.example

    assert (not difference.refused, difference.refused) == takes(raw)
    assert [difference.name] == reasons(raw, refused=difference.refused)


def test_the_docs_list_the_same_differences() -> None:
    """Row by row, in the table's order."""
    text = (ROOT / "docs" / "port.md").read_text(encoding="utf-8")
    table = text[text.index("| h11 takes it") :].partition("\n\n")[0]
    names = [line.split("|")[1].strip() for line in table.splitlines()[2:]]

    assert [difference.name for difference in DIFFERENCES] == names
