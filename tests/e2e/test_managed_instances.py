"""Lambda Managed Instances: no INVOKE events, no freezing, many invocations at a time.

The emulator has a mode for it, in which it sends the function 64 events at once. It
refuses an event that comes a moment too early, where Lambda would send it elsewhere.
"""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tests.e2e.conftest import Environment
    from tests.support.deployment import Deployment
    from tests.support.recorder import Call

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

pytestmark = pytest.mark.parametrize("runtime", ["managed-instances"], indirect=True)

READERS = 64
PATIENCE_SECONDS = 10.0
INTERVAL_SECONDS = 1.0
EVERY_SECOND = {"ROTAWARE_CHECK_INTERVAL": "1", "ROTAWARE_CHECK_TIMEOUT": "5"}
EACH_READ = {"ROTAWARE_CHECK_INTERVAL": "0", "ROTAWARE_CHECK_TIMEOUT": "5"}
CHECK, FETCH = "ssm.GetParameter", "secretsmanager.GetSecretValue"
BEGUN = "START RequestId"
TOO_EARLY = {"errorType": "Runtime.Unavailable"}
GRANTED_SECONDS = 2.0
ATTEMPTS = 5


class Readers:
    """As many callers as the environment takes events at once."""

    def __init__(self, callers: ThreadPoolExecutor) -> None:
        self._callers = callers

    def ask(
        self, environment: Environment, name: str, count: int = READERS
    ) -> list[Future[str]]:
        """Let so many read a secret at once."""
        submit = self._callers.submit
        return [submit(read, environment, name) for _ in range(count)]

    def read(self, environment: Environment, name: str) -> set[str]:
        """What they all get who read a secret at once."""
        return values(self.ask(environment, name))


def values(asked: list[Future[str]]) -> set[str]:
    """What they get."""
    return {each.result(2 * PATIENCE_SECONDS) for each in asked}


def read(environment: Environment, name: str) -> str:
    """Invoke the function; return the secret that it read, by its own connection."""
    expires_at = time.monotonic() + PATIENCE_SECONDS
    body: Any = TOO_EARLY
    while body == TOO_EARLY and time.monotonic() < expires_at:
        body = environment.sandbox.invoke({"paths": [f"/v1/{name}"]}).body
    (answer,) = body["answers"]
    return str(answer["body"]["SecretString"])


def lines_with(environment: Environment, text: str) -> int:
    """How many log lines have a text in them."""
    return sum(text in line for line in environment.sandbox.lines)


def wait_for_events(environment: Environment, count: int) -> None:
    """Return when so many have been sent to the function."""
    wait_until(lambda: lines_with(environment, BEGUN) >= count, f"{count} events")


def requests_taken(port: int) -> int:
    """From how many open connections a port has taken all that has come."""
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in table]
    return sum(
        local.endswith(f":{port:04X}")
        and state == "01"
        and queues.endswith(":00000000")
        for _, local, _, state, queues, *_ in rows
    )


@pytest.fixture
def readers() -> Iterator[Readers]:
    """Whoever calls the function."""
    with ThreadPoolExecutor(READERS) as callers:
        yield Readers(callers)


def test_it_serves_without_invocations_and_ends_in_time(
    start: Start, make_secrets: MakeSecrets
) -> None:
    """Whoever asks for INVOKE is refused; SHUTDOWN comes, and is heeded at once."""
    (name,) = make_secrets("canary-value")
    environment = start(name, environ=EVERY_SECOND)

    assert "canary-value" == read(environment, name)

    with environment.calls.holding(CHECK) as gate:
        read(environment, name)
        gate.wait_for_arrival()  # of the timer's check

        assert environment.sandbox.shut_down() < GRANTED_SECONDS
    (last,) = [line for line in environment.sandbox.lines if '"shut down"' in line]
    # No invocation was told of.
    assert '"cold_start":true' in last


def test_all_readers_get_the_value_by_one_fetch(
    start: Start, make_secrets: MakeSecrets, readers: Readers
) -> None:
    """Those who come while it is asked for wait for the same answer."""
    (name,) = make_secrets("canary-value")
    environment = start(environ=EVERY_SECOND)
    with environment.calls.holding(FETCH) as gate:
        asked = readers.ask(environment, name)
        gate.wait_for_arrival()
        wait_for_events(environment, READERS)

        assert not any(each.done() for each in asked)

        gate.open()

        assert {"canary-value"} == values(asked)
    assert [f"{FETCH} {name}"] == environment.fetches()


def test_all_readers_see_a_rotation_within_the_interval(
    deployment: Deployment,
    start: Start,
    make_secrets: MakeSecrets,
    readers: Readers,
) -> None:
    """When it is over they read the new value; nothing else is fetched again."""
    changed, same = make_secrets("canary-old", "canary-unchanged")
    environment = start(changed, same, environ=EVERY_SECOND)

    assert {"canary-old"} == readers.read(environment, changed)

    deployment.rotate(changed, "canary-new")
    stamped_at = time.monotonic()
    environment.forget_calls()
    while time.monotonic() < stamped_at + INTERVAL_SECONDS:
        assert "canary-unchanged" == read(environment, same)

    assert {"canary-new"} == readers.read(environment, changed)
    assert {"canary-unchanged"} == readers.read(environment, same)
    assert [f"{FETCH} {changed}"] == environment.fetches()
    assert 1 <= environment.checks() <= 3


def test_nothing_is_served_beyond_a_stamp_that_was_read(
    deployment: Deployment,
    start: Start,
    make_secrets: MakeSecrets,
    readers: Readers,
) -> None:
    """From then on all wait for the new value, however long it takes to come."""
    changed, same = make_secrets("canary-old", "canary-unchanged")
    environment = start(changed, same, environ=EVERY_SECOND)

    assert "canary-old" == read(environment, changed)

    deployment.rotate(changed, "canary-new")
    read(environment, same)
    with environment.calls.holding(FETCH) as gate:
        environment.sandbox.wait_for(lambda line: '"evicted"' in line)
        before = lines_with(environment, BEGUN)
        asked = readers.ask(environment, changed)
        gate.wait_for_arrival()
        wait_for_events(environment, before + READERS)

        assert not any(each.done() for each in asked)

        gate.open()

        assert {"canary-new"} == values(asked)


def test_checks_come_before_the_reads_and_end_with_them(
    start: Start, make_secrets: MakeSecrets
) -> None:
    """After a read comes one check that nobody waits for, and then none."""
    (name,) = make_secrets("canary-value")
    environment = start(name, environ=EVERY_SECOND)
    for _ in range(2):
        wait_for_the_timers_check(environment, name)

    with pytest.raises(TimeoutError):
        environment.calls.wait_for(has_checks(2), 2 * INTERVAL_SECONDS)

    assert "canary-value" == read(environment, name)
    assert 2 == environment.checks()
    assert [] == environment.fetches()


def test_with_an_interval_of_0_each_read_is_covered_by_a_check(
    deployment: Deployment,
    start: Start,
    make_secrets: MakeSecrets,
    readers: Readers,
) -> None:
    """One that began after the read came; those that come together share it."""
    (name,) = make_secrets("canary-old")
    environment = start(name, environ=EACH_READ)
    environment.sandbox.wait_for(lambda line: '"ready"' in line)
    environment.forget_calls()
    for number in (1, 2, 3):
        assert "canary-old" == read(environment, name)
        assert number == environment.checks()

    deployment.rotate(name, "canary-new")
    environment.forget_calls()
    with environment.calls.holding(CHECK) as gate:
        first = readers.ask(environment, name, 1)
        gate.wait_for_arrival()
        others = readers.ask(environment, name, READERS - 1)
        port = environment.sandbox.extension_port
        wait_until(lambda: requests_taken(port) == READERS, "all requests")

        assert not any(each.done() for each in (*first, *others))

        gate.open()

        assert {"canary-new"} == values([*first, *others])
    # The second began after the others had come; some of them may be slow to ask.
    assert 2 <= environment.checks() <= READERS / 8
    assert [f"{FETCH} {name}"] == environment.fetches()


def wait_for_the_timers_check(environment: Environment, name: str) -> None:
    """Read, and return when a check has followed by itself."""
    for _ in range(ATTEMPTS):
        read(environment, name)
        environment.forget_calls()
        # Not when the read itself has made the check, and the timer was content.
        with contextlib.suppress(TimeoutError):
            environment.calls.wait_for(has_checks(1), 2 * INTERVAL_SECONDS)
            return
    pytest.fail("there was none")


def has_checks(count: int) -> Callable[[list[Call]], bool]:
    """Whether the sheet was looked at so often."""
    return lambda calls: sum(call.name == CHECK for call in calls) >= count
