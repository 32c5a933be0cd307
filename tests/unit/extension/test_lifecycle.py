"""The extension's life, with Lambda and the server as a test has them."""

from __future__ import annotations

import io
import json
from functools import partial
from itertools import pairwise

import pytest

from extension.extensions_api import (
    ExtensionsApi,
    ExtensionsApiError,
    ExtensionsApiGoneError,
    Invoke,
    Shutdown,
    UnknownEvent,
)
from extension.http_server import HttpServer
from extension.lifecycle import (
    LINGER_SECONDS,
    LONGEST_LINGER_SECONDS,
    MAX_REFUSALS,
    SHORTEST_TICK_SECONDS,
    Terminated,
    drain,
    follow_events,
    keep_checked,
    linger_over_reads,
)
from rotaware.checker import Checker
from rotaware.log import Logger
from tests.support.clock import EPOCH, ManualClock

REFUSED = ExtensionsApiError("/event/next", 500, "scripted")
GONE = ExtensionsApiGoneError("/event/next", 0, "scripted")
INVOKED = Invoke("Root=1-a;Sampled=1", "first")
ENDED = Shutdown(int(EPOCH * 1000) + 2000, "spindown")


class Lambda(ExtensionsApi):
    """Hands out the events that a test lists; the last one again and again."""

    __slots__ = ("calls", "events")

    def __init__(
        self, *events: Invoke | Shutdown | UnknownEvent | BaseException
    ) -> None:
        super().__init__("127.0.0.1:9")
        self.events = list(events)
        self.calls: list[str] = []

    def next_event(self) -> Invoke | Shutdown | UnknownEvent:
        self.calls.append("next")
        event = self.events.pop(0) if len(self.events) > 1 else self.events[0]
        if isinstance(event, BaseException):
            raise event
        return event


class Invocations(Checker):
    """Notes when invocations begin and end."""

    def __init__(self, calls: list[str], fault: BaseException | None = None) -> None:
        self._calls = calls
        self._fault = fault

    def invocation_began(self) -> None:
        self._calls.append("began")
        if self._fault is not None:
            raise self._fault

    def invocation_ended(self) -> None:
        self._calls.append("ended")


class Server(HttpServer):
    """Notes how long it may take to stop."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []

    def stop(self, timeout_seconds: float) -> None:
        self.timeouts.append(timeout_seconds)


class World:
    """A loop to follow."""

    def __init__(
        self,
        *events: Invoke | Shutdown | UnknownEvent | BaseException,
        fault: BaseException | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.api = Lambda(*events)
        self.checker = Invocations(self.api.calls, fault)
        self.output = io.StringIO()
        self.log = Logger(
            service="test", level="INFO", stream=self.output, clock=self.clock
        )

    def follow(self) -> Shutdown:
        """Go on until the end."""
        return follow_events(
            self.api,
            self.checker,
            self.clock,
            self.log,
            begin=partial(self.api.calls.append, "begin"),
            linger=partial(self.api.calls.append, "linger"),
        )

    def lines(self) -> list[dict[str, object]]:
        """What was logged."""
        return [json.loads(line) for line in self.output.getvalue().splitlines()]


def test_each_invocation_is_checked_before_the_next_event_is_asked_for() -> None:
    """Asking for the next event says that this one is done."""
    world = World(INVOKED, INVOKED, ENDED)

    assert world.follow() is ENDED
    one = ["began", "linger", "ended", "next"]
    assert ["ended", "next", "begin", *one, *one] == world.api.calls
    assert [] == world.lines()


def test_lines_know_their_invocation() -> None:
    """The first invocation is the cold start; each one has its own trace and id."""
    world = World(INVOKED, Invoke(None, "second"), UnknownEvent("LAST"), ENDED)
    told: list[tuple[bool | None, str | None, str | None]] = []

    def note() -> None:
        log = world.log
        told.append((log.cold_start, log.xray_trace_id, log.function_request_id))

    follow_events(
        world.api, world.checker, world.clock, world.log, begin=note, linger=note
    )
    (line,) = world.lines()

    assert [(True, "1-a", "first")] * 2 + [(False, None, "second")] == told
    assert "second" == line["function_request_id"]
    assert world.log.cold_start is False


def test_the_end_belongs_to_no_invocation() -> None:
    """Nor do its lines."""
    world = World(INVOKED, ENDED)
    world.follow()

    assert world.log.xray_trace_id is None
    assert world.log.function_request_id is None


def test_an_unknown_event_is_logged() -> None:
    """It is neither an invocation nor the end, and costs no time."""
    world = World(UnknownEvent("RESTORE"), ENDED)

    assert world.follow() is ENDED
    assert ["RESTORE"] == [line["event_type"] for line in world.lines()]
    assert ["ended", "next", "ended", "next"] == world.api.calls
    assert [] == world.clock.naps


def test_a_check_that_raises_ends_nothing() -> None:
    """Whatever the check does, the next event is asked for."""
    world = World(INVOKED, ENDED, fault=ZeroDivisionError("unforeseen"))

    assert world.follow() is ENDED
    assert ["ZeroDivisionError"] == [line["exception_name"] for line in world.lines()]


def test_refusals_are_repeated_with_longer_pauses() -> None:
    """An event ends a row of failures: the next row begins with a short pause."""
    world = World(*[REFUSED] * 7, INVOKED, REFUSED, ENDED)

    assert world.follow() is ENDED
    assert [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 0.1] == world.clock.naps
    assert [1, 2, 4, 1] == [line["failures"] for line in world.lines()]


def test_an_api_that_is_gone_for_good_is_the_end() -> None:
    """After about half a minute without a break nobody can need this process."""
    world = World(*[GONE] * (MAX_REFUSALS - 1), REFUSED, GONE)
    shutdown = world.follow()

    assert (0, "the Extensions API is gone") == (shutdown.deadline_ms, shutdown.reason)
    assert 2 * MAX_REFUSALS == world.api.calls.count("next")
    assert 60 < sum(world.clock.naps) < 120


@pytest.mark.parametrize("fault", [REFUSED, MemoryError(), OSError("unforeseen")])
def test_any_other_failure_may_last(fault: Exception) -> None:
    """Whatever keeps events from coming, to exit would fail the function."""
    world = World(*[fault] * (3 * MAX_REFUSALS), ENDED)

    assert world.follow() is ENDED
    assert [1, 2, 4, 8, 16, 32, 64] == [line["failures"] for line in world.lines()]
    assert all(line["reason"] for line in world.lines())


@pytest.mark.parametrize(
    "world",
    [World(Terminated()), World(INVOKED, fault=Terminated())],
    ids=["while it waits", "while it checks"],
)
def test_sigterm_is_a_shutdown(world: World) -> None:
    """It is heeded wherever the loop is, and leaves two seconds."""
    shutdown = world.follow()

    assert (int(EPOCH * 1000) + 2000, "SIGTERM") == (
        shutdown.deadline_ms,
        shutdown.reason,
    )


@pytest.mark.parametrize(
    ("granted_ms", "seconds"),
    [(2000, 1.8), (10_000, 1.8), (500, 0.3), (100, 0.0), (-9, 0)],
)
def test_drain_keeps_the_deadline(granted_ms: int, seconds: float) -> None:
    """It leaves a moment for the process to end, and takes no longer than is usual."""
    world, server = World(ENDED), Server()
    shutdown = Shutdown(int(EPOCH * 1000) + granted_ms, "spindown")
    drain(server, shutdown, world.clock, world.log)

    assert [pytest.approx(seconds)] == server.timeouts
    assert [("shut down", "spindown")] == [
        (line["message"], line["reason"]) for line in world.lines()
    ]


class Due(Checker):
    """Falls due after five seconds, and counts its checks; ends the test at last."""

    def __init__(
        self, clock: ManualClock, last: float, fault: Exception | None = None
    ) -> None:
        self._fault = fault
        self.checked_at: list[float] = []
        self._clock = clock
        self._last = last
        self._due_at = clock.now().monotonic

    def seconds_until_due(self) -> float:
        now = self._clock.now().monotonic
        if now >= self._last:
            raise EndOfTestError
        return max(0.0, self._due_at - now)

    def ensure_checked(self, timeout_seconds: float | None = None) -> None:
        del timeout_seconds
        self.checked_at.append(self._clock.now().monotonic)
        self._due_at = self.checked_at[-1] + 5.0
        if self._fault is not None:
            raise self._fault


class EndOfTestError(Exception):
    """What would go on for ever stops here."""


@pytest.mark.parametrize("fault", [None, ZeroDivisionError("unforeseen")])
def test_a_managed_instance_is_checked_while_it_is_read(
    fault: Exception | None,
) -> None:
    """As the check falls due, whatever it does; when reads stop, so do the checks."""
    world = World(ENDED)
    clock = ManualClock(monotonic=0.0)
    checker = Due(clock, 60.0, fault)
    with pytest.raises(EndOfTestError):
        keep_checked(
            checker,
            lambda: int(min(clock.now().monotonic, 14.0)),
            clock,
            world.log,
        )

    gaps = [after - before for before, after in pairwise(checker.checked_at)]
    assert [5.0] * (len(gaps)) == gaps
    assert 14.0 <= checker.checked_at[-1] < 14.0 + 5.0
    assert len(clock.naps) < 60.0 / SHORTEST_TICK_SECONDS


def reads_so_far(clock: ManualClock, pauses: int) -> int:
    """One read in each of the first pauses."""
    return min(len(clock.naps), pauses)


def test_lingering_ends_when_no_read_has_come_for_a_moment() -> None:
    """One pause follows the last read; a function that reads nothing costs one."""
    for pauses in (0, 1, 3):
        clock = ManualClock()
        linger_over_reads(partial(reads_so_far, clock, pauses), clock)

        assert [LINGER_SECONDS] * (pauses + 1) == clock.naps


def test_lingering_is_bounded() -> None:
    """A thread that reads without end does not keep the environment awake."""
    clock = ManualClock()
    linger_over_reads(partial(reads_so_far, clock, 10**6), clock)

    assert sum(clock.naps) == pytest.approx(LONGEST_LINGER_SECONDS)
