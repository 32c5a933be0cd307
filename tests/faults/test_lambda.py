"""Lambda's Extensions API fails, or ends the environment."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

from tests.support.extensions_api import FakeExtensionsApi, Misbehaviour
from tests.support.fault_rig import CHECK_SECONDS, World
from tests.support.fault_table import Row, row, rows
from tests.support.hostile_aws import hold, silence
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Start = Callable[..., World]

PATIENCE_SECONDS = 10.0
# Lambda kills what has not ended two seconds after SHUTDOWN.
KILLED_AFTER_SECONDS = 2.0
# In this time a process that waited for nobody would have ended.
NOTICED_SECONDS = 0.3
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"
NO_EVENT = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary"


# An answer that has begun is given five seconds; here, half of one.
HASTE = """\
from extension import extensions_api
extensions_api._ANSWER_SECONDS = 0.5
"""


class Fault(NamedTuple):
    """What becomes of calls for the next event, one after the other."""

    calls: Sequence[Misbehaviour | int]
    reason: str


FAULTS = {
    "refused": Fault([500, 503, 403], "no next event"),
    "reset": Fault([Misbehaviour(resets=True)] * 2, "no next event"),
    "ended": Fault([Misbehaviour()] * 2, "the answer broke off"),
    "half an answer, then the end": Fault(
        [Misbehaviour(HALF)] * 2, "the answer broke off"
    ),
    "half an answer, then silence": Fault(
        [Misbehaviour(HALF, hangs=True)], "TimeoutError"
    ),
    "no HTTP": Fault([Misbehaviour(b"\x00\xff\r\n" * 9)] * 2, "no next event"),
    "no event": Fault([Misbehaviour(NO_EVENT)] * 2, "no next event"),
}


@rows(
    FAULTS,
    lambda name, fault: Row(
        f"`/event/next`: {name}", "as always: values, looks at the sheet", fault.reason
    ),
)
def test_events_fail_for_a_while(start: Start, fault: Fault) -> None:
    """Reads go on meanwhile, the sheet's stamps count, and the next event is heard."""
    world = start(bug=HASTE)
    old = world.account.put("a")

    assert f"{old} fwd=miss" == world.seen("a")

    for call in fault.calls:
        if isinstance(call, int):
            world.api.statuses["/event/next"].append(call)
        else:
            world.api.misbehaviours["/event/next"].append(call)
    asked = world.api.asked
    world.api.send_invoke()
    world.api.wait_until_asked(asked + 1)
    new = world.account.rotate("a")
    world.tick(CHECK_SECONDS)

    assert f"{new} fwd=stale" == world.seen("a")

    world.api.wait_until_asked(asked + len(fault.calls) + 1)
    world.assert_alive()
    world.child.wait_for(lambda line: fault.reason in line)


@row(
    "`/event/next` hangs: no event ever comes",
    "as always: each read looks at the sheet when it is due",
)
def test_no_event_comes(start: Start) -> None:
    """Reads are sign enough of an invocation."""
    world = start(environ={"ROTAWARE_CHECK_INTERVAL": "0"})
    world.account.put("a")
    for _ in range(2):
        new = world.account.rotate("a")

        assert world.seen("a").startswith(new)
    assert 1 == world.api.asked
    world.assert_alive()


REGISTRATIONS: Mapping[str, tuple[Misbehaviour | int, str]] = {
    "refused": (500, "cannot register: /register: 500"),
    "reset": (Misbehaviour(resets=True), "cannot register: /register: 0"),
    "ended": (Misbehaviour(), "cannot register: /register: 0"),
    "no HTTP": (Misbehaviour(b"\x00\xff\r\n" * 9), "cannot register: /register: 0"),
    "without an identifier": (Misbehaviour(NO_EVENT), "no identifier"),
}


@rows(
    REGISTRATIONS,
    lambda name, fault: Row(
        f"`/register`: {name}",
        "nothing: the function does not start, as Lambda would have it",
        fault[1],
    ),
)
def test_registering_fails(start: Start, fault: tuple[Misbehaviour | int, str]) -> None:
    """The process ends at once, and says why; it could serve no invocation."""
    what, reason = fault
    api = FakeExtensionsApi()
    if isinstance(what, int):
        api.statuses["/register"].append(what)
    else:
        api.misbehaviours["/register"].append(what)
    world = start(api=api, wait=False)

    assert 1 == world.child.wait(PATIENCE_SECONDS)
    assert any(reason in line for line in world.lines)
    assert not any("Traceback" in line for line in world.lines)


@row(
    "a setting or the config file is wrong",
    "nothing: the function does not start; `/init/error` names every problem",
    "rotaware cannot start",
)
def test_a_wrong_setting(start: Start) -> None:
    """There is no silent default: one report names the variables and their faults."""
    environ = {"SECRETS_MANAGER_TTL": "soon", "ROTAWARE_CHECK_INTERVAL": "-1"}
    world = start(environ=environ, wait=False)
    report = world.api.wait_for_call("/init/error")

    assert "Extension.ConfigInvalid" == report.document["errorType"]
    assert all(name in report.document["errorMessage"] for name in environ)
    assert 1 == world.child.wait(PATIENCE_SECONDS)
    assert any("rotaware cannot start" in line for line in world.lines)


BUG = """\
def broken(*_, **__):
    raise ZeroDivisionError("unforeseen")
from rotaware import {module}
{module}.{what} = broken
"""
BUGS = {
    "in a fetch": ("source", "AwsSource.fetch", "a fetch broke off"),
    "in a look at the sheet": ("stamps", "SsmSheet.read", "an unforeseen error"),
    "in the wait for a check": (
        "checker",
        "Checker.ensure_checked",
        "a check, or what comes before it, failed",
    ),
    "in an answer": ("store", "Store.get", "a request failed"),
}


@rows(
    BUGS,
    lambda name, bug: Row(
        f"an error that nobody foresaw, {name}",
        "as always, or 500 InternalFailure",
        bug[2],
    ),
)
def test_an_unforeseen_error(start: Start, fault: tuple[str, str, str]) -> None:
    """It is logged with its stack, and costs no more than what it happened in."""
    module, what, said = fault
    world = start(bug=BUG.format(module=module, what=what))
    value = world.account.put("a")
    world.assert_alive()

    assert world.seen("a") in {f"{value} fwd=miss", "500 InternalFailure"}

    world.assert_alive()
    line = json.loads(world.child.wait_for(lambda line: said in line))

    assert "ZeroDivisionError" == line["exception_name"]
    assert "unforeseen" in line["exception"]


def fetch_under_way(world: World, then: Callable[[], None]) -> str:
    """What a reader sees whose fetch is under way while something happens."""
    arrived, released = Event(), Event()
    value = world.account.put("a")
    world.account.faults["GetSecretValue"] = hold(
        arrived, released, world.account.secret("a")
    )
    with ThreadPoolExecutor(1) as function:
        read = function.submit(world.seen, "a")

        assert arrived.wait(PATIENCE_SECONDS)

        then()

        assert world.child.wait(NOTICED_SECONDS) is None

        released.set()
        seen = read.result(PATIENCE_SECONDS)
    return seen.replace(value, "the value")


def killed(number: signal.Signals) -> Callable[[World], None]:
    """The process gets this signal."""
    return lambda world: os.kill(world.child.pid, number)


ENDS: Mapping[str, Callable[[World], None]] = {
    "SHUTDOWN": lambda world: world.api.shut_down(),
    "SIGTERM": killed(signal.SIGTERM),
    "SIGINT": killed(signal.SIGINT),
}


@rows(
    ENDS,
    lambda name, _: Row(
        f"{name} in the middle of a fetch",
        "the value; then the process ends with status 0",
        "shut down",
    ),
)
def test_the_end_comes_during_a_fetch(
    start: Start, fault: Callable[[World], None]
) -> None:
    """What is under way is answered."""
    world = start()

    assert "the value fwd=miss" == fetch_under_way(world, lambda: fault(world))
    assert 0 == world.child.wait(KILLED_AFTER_SECONDS)
    assert not any("Traceback" in line for line in world.lines)
    assert 1 == sum('"message":"shut down"' in line for line in world.lines)


@row(
    "SHUTDOWN while AWS is silent",
    "a connection that is closed, before Lambda would kill the process",
    "shut down",
)
def test_the_end_waits_for_nobody_too_long(start: Start) -> None:
    """The process ends by itself, with status 0."""
    world = start(environ={"SECRETS_MANAGER_TIMEOUT_MILLIS": "9000"})
    world.account.faults["GetSecretValue"] = silence()
    with ThreadPoolExecutor(1) as function:
        read = function.submit(world.seen, "a")
        wait_until(lambda: "GetSecretValue" in world.account.calls, "the fetch")
        world.api.shut_down()

        assert 0 == world.child.wait(KILLED_AFTER_SECONDS)
        assert isinstance(read.exception(PATIENCE_SECONDS), ConnectionError)
