"""When the checker looks at the sheet, and who waits for it."""

from __future__ import annotations

import io
import json
from threading import Condition, Lock, Semaphore, Thread, current_thread
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware.checker import Checker
from rotaware.errors import AwsError, AwsTimeoutError
from rotaware.log import Logger
from rotaware.pace import CHECK_SECONDS
from rotaware.sheet import Edition, Sheet, encode
from rotaware.stamps import SsmSheet
from rotaware.tally import Tally
from tests.support.clock import ManualClock
from tests.support.parameter_store import (
    DEADLINE_SECONDS,
    Call,
    Gate,
    ParameterStore,
    throttled,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "/rotaware/default/stamps"
READ = Call("GetParameter", NAME)
DENIED = AwsError("AccessDeniedException", "no")


class Meeting(Condition):
    """Tells who has come to wait; he holds the lock until he really waits."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = Semaphore(0)
        self._landed = Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self._waiting.release()
        return super().wait(timeout)

    def notify_all(self) -> None:
        self._landed.release()
        super().notify_all()

    def landed(self, count: int) -> None:
        """Return when so many more checks have landed."""
        for _ in range(count):
            assert self._landed.acquire(timeout=DEADLINE_SECONDS)

    def join(self, count: int) -> None:
        """Return when so many more have come."""
        for _ in range(count):
            assert self._waiting.acquire(timeout=DEADLINE_SECONDS)


class Door(Gate):
    """A lock that tells who has come to it, and keeps the first one in front of it."""

    def __init__(self) -> None:
        super().__init__()
        self._come = Semaphore(0)
        self._first = iter([self])
        self._lock = Lock()

    def __enter__(self) -> None:
        self._come.release()
        for gate in self._first:
            gate.pass_through()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def join(self, count: int) -> None:
        """Return when so many more have come."""
        for _ in range(count):
            assert self._come.acquire(timeout=DEADLINE_SECONDS)


class Environment:
    """A checker over a sheet of one generation, and what became of it."""

    def __init__(
        self,
        *,
        interval_seconds: float = 5.0,
        timeout_seconds: float = DEADLINE_SECONDS,
        random: Callable[[], float] = lambda: 0.0,
        sheet: bool = True,
    ) -> None:
        self.store = ParameterStore()
        self.clock = ManualClock()
        self.applied: list[int] = []
        self.apply: Callable[[Edition], None] = lambda _: None
        self.meeting = Meeting()
        self._log = io.StringIO()
        self.tally = Tally()
        self.checker = Checker(
            SsmSheet(self.store, NAME),
            self._take_note,
            interval_seconds=interval_seconds,
            timeout_seconds=timeout_seconds,
            clock=self.clock,
            random=random,
            log=Logger(
                service="test", level="INFO", stream=self._log, clock=self.clock
            ),
            tally=self.tally,
        )
        self.checker._done = self.meeting
        if sheet:
            self.write()

    def _take_note(self, edition: Edition) -> None:
        self.apply(edition)
        self.applied.append(edition.generation)

    def write(self) -> None:
        """Write the sheet's next generation."""
        self.store.put(NAME, encode(Sheet(base=self.store.version(NAME))))

    def landed(self, checks: int = 1) -> None:
        """Return when so many checks have landed, and the last one is counted."""
        self.meeting.landed(checks)
        with self.meeting:
            pass

    def logged(self) -> list[dict[str, Any]]:
        """All lines so far."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    def refuse(self, error: Exception | None) -> None:
        """What every call meets from now on."""

        def before(_: Call) -> None:
            if error is not None:
                raise error

        self.store.before = before

    def hold(self) -> Gate:
        """Make the next call wait at a gate, the ones after it not."""
        gate = Gate()
        gates = iter([gate])

        def before(_: Call) -> None:
            for each in gates:
                each.pass_through()

        self.store.before = before
        return gate

    def door(self) -> Door:
        """Make the first who wants to apply a sheet wait before he may."""
        door = Door()
        self.checker._applying = cast("Any", door)
        return door

    def later(self, action: Callable[[], None] | None = None) -> Thread:
        """Do something in another thread; a read, by default."""
        thread = Thread(target=action or self.checker.ensure_checked, daemon=True)
        thread.start()
        return thread

    def interval_after_check(self) -> float:
        """Check when it is due, and tell how long the checker is content then."""
        self.clock.tick(self.checker.seconds_until_due())
        self.checker.ensure_checked()
        return self.checker.seconds_until_due()


def join(*threads: Thread) -> None:
    """Wait until they have ended."""
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()


class TestInterval:
    """A check is good for an interval."""

    def test_a_check_is_one_call(self) -> None:
        """One GetParameter, whatever the sheet says, and nothing else."""
        environment = Environment()
        environment.checker.ensure_checked()

        assert [READ] == environment.store.calls
        assert [1] == environment.applied
        assert 0 == environment.checker.failed_checks
        assert "found" == environment.checker.state

    def test_checks_are_counted_and_timed(self) -> None:
        """Those that are throttled, and those that fail otherwise, by themselves."""
        environment = Environment()
        began = environment.clock.now()

        assert "unknown" == environment.checker.state
        assert environment.checker.last_began() is None

        environment.store.before = lambda _: environment.clock.tick(0.25)
        environment.checker.ensure_checked()

        assert began == environment.checker.last_began()
        assert {"Checks": 1} == environment.tally.counts()
        assert {"CheckLatency": [0.25]} == environment.tally.take_latest()

        for error in (throttled(), DENIED, DENIED):
            environment.refuse(error)
            environment.interval_after_check()

        assert {
            "Checks": 4,
            "ChecksThrottled": 1,
            "ChecksFailed": 2,
        } == environment.tally.counts()
        assert "AccessDeniedException" == environment.checker.state

    @pytest.mark.parametrize(("seconds", "checks"), [(4.99, 1), (5.0, 2), (5.01, 2)])
    def test_a_check_is_due_when_the_interval_is_over(
        self, seconds: float, checks: int
    ) -> None:
        """Younger than the interval will do; as old as that will not."""
        environment = Environment()
        environment.checker.ensure_checked()
        environment.clock.tick(seconds)
        due = environment.checker.seconds_until_due()
        environment.checker.ensure_checked()

        assert checks == environment.store.count("GetParameter")
        assert pytest.approx(max(0.0, 5.0 - seconds)) == due

    def test_age_counts_from_the_beginning_of_a_check(self) -> None:
        """A slow check is old when it is done."""
        environment = Environment()
        environment.apply = lambda _: environment.clock.tick(2.0)
        environment.checker.ensure_checked()

        assert 3.0 == environment.checker.seconds_until_due()

    @given(st.floats(0.0, 1.0, exclude_max=True), st.floats(0.01, 3600.0))
    def test_jitter_only_shortens(self, random: float, interval: float) -> None:
        """An interval is as long as it was set, or up to a fifth shorter."""
        environment = Environment(interval_seconds=interval, random=lambda: random)
        environment.checker.ensure_checked()
        due = environment.checker.seconds_until_due()

        assert pytest.approx(interval * (1 - 0.2 * random)) == due
        assert due <= interval

    def test_every_interval_has_its_own_jitter(self) -> None:
        """Environments that started together drift apart."""
        randoms = iter([0.0, 0.5, 0.25])
        environment = Environment(random=lambda: next(randoms))
        intervals = [environment.interval_after_check() for _ in range(2)]

        assert [4.5, 4.75] == intervals

    @pytest.mark.parametrize(
        ("wall", "monotonic"),
        [(-0.001, 1.0), (5.0, 0.0), (0.0, 5.0), (-100.0, 0.0)],
        ids=["stepped back", "frozen", "wall stands still", "stepped back, frozen"],
    )
    def test_no_clock_can_hide_that_a_check_is_due(
        self, wall: float, monotonic: float
    ) -> None:
        """The larger age counts, and a step back makes every check too old."""
        environment = Environment()
        environment.checker.ensure_checked()
        environment.clock.step(wall=wall, monotonic=monotonic)

        assert 0.0 == environment.checker.seconds_until_due()
        environment.checker.ensure_checked()
        assert 2 == environment.store.count("GetParameter")

    def test_an_invocation_is_content_with_a_young_check(self) -> None:
        """With an interval, INVOKE checks only when that is over."""
        environment = Environment()
        environment.checker.invocation_began()
        environment.checker.invocation_ended()
        environment.clock.tick(4.0)
        environment.checker.invocation_began()

        assert 1 == environment.store.count("GetParameter")

    def test_the_first_check_is_due(self) -> None:
        """Nothing has been checked yet, whatever the interval is."""
        assert 0.0 == Environment().checker.seconds_until_due()

    def test_the_first_check_may_be_begun_ahead(self) -> None:
        """Who begins it does not wait; who reads then waits for this one."""
        environment = Environment()
        gate = environment.hold()

        environment.checker.begin()

        assert gate.arrived.wait(DEADLINE_SECONDS)
        assert [] == environment.applied
        read = environment.later()
        environment.meeting.join(1)
        gate.open()
        read.join(DEADLINE_SECONDS)
        assert [1] == environment.applied
        assert [READ] == environment.store.calls

    def test_without_a_sheet_there_is_nothing_to_do(self) -> None:
        """Stamps that are off cost nothing and never are due."""
        clock = ManualClock()
        checker = Checker(
            None,
            lambda _: None,
            interval_seconds=0.0,
            timeout_seconds=0.5,
            clock=clock,
            random=lambda: 0.0,
            log=Logger(service="test", level="INFO", stream=io.StringIO(), clock=clock),
        )
        checker.begin()
        checker.invocation_began()

        assert float("inf") == checker.seconds_until_due()
        assert 0 == checker.failed_checks


class TestOncePerInvocation:
    """With interval 0, a check is good for the invocation in which it began."""

    def test_invoke_checks_and_reads_within_need_not(self) -> None:
        """However long the invocation takes, one check will do."""
        environment = Environment(interval_seconds=0.0)
        environment.checker.invocation_began()
        environment.clock.tick(900.0)
        environment.checker.ensure_checked()

        assert 1 == environment.store.count("GetParameter")
        assert float("inf") == environment.checker.seconds_until_due()

    def test_every_invocation_checks_anew(self) -> None:
        """Even if no time has passed on any clock."""
        environment = Environment(interval_seconds=0.0)
        for _ in range(3):
            environment.checker.invocation_began()
            environment.checker.invocation_ended()

        assert 3 == environment.store.count("GetParameter")

    def test_a_read_between_invocations_checks(self) -> None:
        """While /event/next waits, a read may be the sign of the next invocation."""
        environment = Environment(interval_seconds=0.0)
        environment.checker.invocation_began()
        environment.checker.invocation_ended()

        assert 0.0 == environment.checker.seconds_until_due()
        environment.checker.ensure_checked()
        assert 2 == environment.store.count("GetParameter")
        assert 0.0 == environment.checker.seconds_until_due()

    def test_a_check_before_invoke_does_not_count(self) -> None:
        """It may have been that of a straggler of the invocation before."""
        environment = Environment(interval_seconds=0.0)
        environment.checker.ensure_checked()
        environment.checker.invocation_began()

        assert 2 == environment.store.count("GetParameter")

    @pytest.mark.parametrize("wall", [-3600.0, 0.0, 3600.0])
    def test_clocks_do_not_count(self, wall: float) -> None:
        """Which came first is not a question of time: clocks are stepped."""
        environment = Environment(interval_seconds=0.0)
        environment.checker.invocation_began()
        environment.clock.step(wall=wall)
        environment.checker.ensure_checked()

        assert 1 == environment.store.count("GetParameter")

    def test_a_read_that_overtakes_invoke_waits_for_a_check(self) -> None:
        """It does not go on before a sheet is applied that was read after it came."""
        environment = Environment(interval_seconds=0.0)
        environment.checker.invocation_began()
        environment.checker.invocation_ended()
        environment.write()
        gate = environment.hold()
        read = environment.later()
        gate.wait_for_arrival()

        assert [1] == environment.applied
        assert read.is_alive()
        gate.open()
        join(read)
        assert [1, 2] == environment.applied

    def test_a_check_under_way_is_not_enough_for_such_a_read(self) -> None:
        """It may have read the sheet before the invocation began."""
        environment = Environment(interval_seconds=0.0)
        gate = environment.hold()
        first = environment.later()
        gate.wait_for_arrival()
        second = environment.later()
        environment.meeting.join(1)
        gate.open()
        join(first, second)

        assert 2 == environment.store.count("GetParameter")

    def test_a_check_under_way_is_not_enough_for_invoke(self) -> None:
        """INVOKE waits for it, and makes another one."""
        environment = Environment(interval_seconds=0.0)
        gate = environment.hold()
        read = environment.later()
        gate.wait_for_arrival()
        invoke = environment.later(environment.checker.invocation_began)
        environment.meeting.join(1)
        gate.open()
        join(read, invoke)

        assert 2 == environment.store.count("GetParameter")
        assert float("inf") == environment.checker.seconds_until_due()

    def test_readers_that_overtake_invoke_share_the_next_check(self) -> None:
        """One check under way, one after it: that is enough for all of them."""
        environment = Environment(interval_seconds=0.0)
        gate = environment.hold()
        first = environment.later()
        gate.wait_for_arrival()
        others = [environment.later() for _ in range(16)]
        environment.meeting.join(17)  # the first waits, too
        gate.open()
        join(first, *others)

        assert 2 == environment.store.count("GetParameter")

    def test_the_check_of_invoke_is_enough_for_an_earlier_read(self) -> None:
        """A check that began after a read came will do, whoever made it."""
        environment = Environment(interval_seconds=0.0)
        straggler, invoked = environment.hold(), Gate()
        gates = iter([straggler, invoked])
        environment.store.before = lambda _: next(gates).pass_through()
        first = environment.later()
        straggler.wait_for_arrival()
        second = environment.later()
        environment.meeting.join(1)
        invoke = environment.later(environment.checker.invocation_began)
        environment.meeting.join(1)
        straggler.open()
        invoked.wait_for_arrival()
        environment.meeting.join(1)
        invoked.open()
        join(first, second, invoke)

        assert 2 == environment.store.count("GetParameter")

    def test_reads_wait_for_the_check_of_invoke(self) -> None:
        """Sixty-four readers in an invocation: one check."""
        environment = Environment(interval_seconds=0.0)
        gate = environment.hold()
        invoke = environment.later(environment.checker.invocation_began)
        gate.wait_for_arrival()
        reads = [environment.later() for _ in range(64)]
        environment.meeting.join(64)

        assert 0.0 == environment.checker.seconds_until_due()
        gate.open()
        join(invoke, *reads)
        assert 1 == environment.store.count("GetParameter")

    def test_what_was_said_before_is_over_with_the_invocation(self) -> None:
        """The epoch grows when an invocation begins, and when it ends."""
        checker = Environment(interval_seconds=0.0).checker
        epochs = [checker.epoch]
        for event in (checker.invocation_began, checker.invocation_ended):
            event()
            epochs.append(checker.epoch)

        assert sorted(set(epochs)) == epochs

    def test_what_was_said_before_is_over_with_the_next_check(self) -> None:
        """The epoch grows when a check begins, not only when it is done."""
        environment = Environment()
        epoch = environment.checker.epoch
        gate = environment.hold()
        check = environment.later()
        gate.wait_for_arrival()

        assert epoch + 1 == environment.checker.epoch
        gate.open()
        join(check)
        assert epoch + 1 == environment.checker.epoch


class TestWaiting:
    """Who waits, for what, and for how long."""

    def test_readers_share_one_check(self) -> None:
        """Sixty-four readers find the interval over: one of them checks."""
        environment = Environment()
        gate = environment.hold()
        first = environment.later()
        gate.wait_for_arrival()
        others = [environment.later() for _ in range(63)]
        environment.meeting.join(63)
        gate.open()
        join(first, *others)

        assert [READ] == environment.store.calls
        assert 0 == environment.checker.waits_given_up

    def test_a_reader_goes_on_when_the_sheet_is_applied(self) -> None:
        """Not before, though the sheet has been read."""
        environment = Environment()
        gate = Gate()
        environment.apply = lambda _: gate.pass_through()
        first = environment.later()
        gate.wait_for_arrival()
        second = environment.later()
        environment.meeting.join(1)

        assert 0.0 == environment.checker.seconds_until_due()
        assert second.is_alive()
        gate.open()
        join(first, second)

    def test_a_check_longer_than_the_interval_is_enough(self) -> None:
        """Whoever waited for a check that began after he came goes on."""
        environment = Environment(interval_seconds=0.01)
        slow, slower = Gate(), Gate()
        gates = iter([slow, slower])
        environment.store.before = lambda _: next(gates).pass_through()
        first = environment.later()
        slow.wait_for_arrival()
        environment.clock.tick(1.0)
        others = [environment.later() for _ in range(3)]
        environment.meeting.join(4)  # the first waits, too
        slow.open()
        slower.wait_for_arrival()
        environment.meeting.join(3)
        environment.clock.tick(1.0)
        slower.open()
        join(first, *others)

        assert 2 == environment.store.count("GetParameter")

    def test_a_reader_in_time_does_not_wait(self) -> None:
        """Who is content with the last check passes by the one under way."""
        environment = Environment()
        environment.checker.ensure_checked()
        environment.clock.step(wall=-1.0)
        gate = environment.hold()
        check = environment.later()
        gate.wait_for_arrival()
        environment.clock.step(wall=1.0)
        environment.checker.ensure_checked()

        assert [1] == environment.applied
        assert 0 == environment.checker.waits_given_up
        gate.open()
        join(check)

    def test_a_wait_is_bounded(self) -> None:
        """When the time-out is over, the read goes on, and that is counted."""
        environment = Environment(timeout_seconds=0.01)
        gate = environment.hold()
        check = environment.later()
        gate.wait_for_arrival()
        environment.checker.ensure_checked()

        join(check)

        assert 2 == environment.checker.waits_given_up
        assert [] == environment.applied
        gate.open()
        environment.landed()
        assert [1] == environment.applied

    def test_a_check_has_a_time_of_its_own(self) -> None:
        """However short the wait for it is, or what is left of it."""
        environment = Environment(interval_seconds=0.0, timeout_seconds=0.5)
        gate = environment.hold()
        first = environment.later()
        gate.wait_for_arrival()
        environment.clock.tick(0.4)
        second = environment.later(environment.checker.invocation_began)
        environment.meeting.join(2)
        gate.open()
        join(first, second)

        assert [CHECK_SECONDS, CHECK_SECONDS] == environment.store.timeouts

    def test_a_slow_check_counts_when_it_lands(self) -> None:
        """Nobody waits for it any more, and no further check is made for that."""
        environment = Environment(timeout_seconds=0.01)
        gate = environment.hold()
        environment.checker.ensure_checked()
        gate.open()
        environment.landed()
        environment.checker.ensure_checked()

        assert [1] == environment.applied
        assert [READ] == environment.store.calls
        assert 0 == environment.checker.failed_checks

    def test_a_caller_may_have_more_time(self) -> None:
        """The first check connects anew, and nothing has to be fast yet."""
        environment = Environment(timeout_seconds=0.0)
        gate = environment.hold()
        check = environment.later(lambda: environment.checker.ensure_checked(10.0))
        gate.wait_for_arrival()
        environment.meeting.join(1)
        gate.open()
        join(check)

        assert [1] == environment.applied
        assert 0 == environment.checker.waits_given_up

    def test_a_check_that_was_frozen_is_given_up(self) -> None:
        """The next read makes another one; what the old one brings is too old."""
        environment = Environment(timeout_seconds=0.01)
        gate = environment.hold()
        environment.checker.ensure_checked()
        environment.clock.freeze(CHECK_SECONDS)
        environment.write()
        environment.write()
        environment.checker.ensure_checked(10.0)

        assert [3] == environment.applied
        gate.open()
        environment.landed(2)
        assert [3] == environment.applied
        assert environment.checker.seconds_until_due() > 0.0

    def test_sheets_are_applied_in_the_order_of_their_checks(self) -> None:
        """A check that is given up while it applies one is waited for by the next."""
        environment = Environment(timeout_seconds=0.01)
        door = environment.door()
        door.open()
        gate = Gate()
        gates = iter([gate])

        def apply(_: Edition) -> None:
            for each in gates:
                each.pass_through()

        environment.apply = apply
        environment.checker.ensure_checked()
        gate.wait_for_arrival()
        environment.clock.freeze(CHECK_SECONDS)
        environment.write()
        read = environment.later(lambda: environment.checker.ensure_checked(10.0))
        door.join(2)

        assert [] == environment.applied
        gate.open()
        join(read)
        assert [1, 2] == environment.applied

    def test_what_is_overtaken_on_its_way_is_not_applied(self) -> None:
        """That a check is the latest must be so while its sheet is applied."""
        environment = Environment(timeout_seconds=0.01)
        door = environment.door()
        environment.checker.ensure_checked()
        door.wait_for_arrival()
        environment.clock.freeze(CHECK_SECONDS)
        environment.write()
        environment.checker.ensure_checked(10.0)

        assert [2] == environment.applied
        door.open()
        environment.landed(2)
        assert [2] == environment.applied

    def test_a_check_that_was_given_up_says_nothing(self) -> None:
        """That it fails at last is no news of the sheet: a later one has read it."""
        environment = Environment(timeout_seconds=0.01)
        gate = Gate()
        gates = iter([gate])

        def before(_: Call) -> None:
            for each in gates:
                each.pass_through()
                raise AwsTimeoutError("late")

        environment.store.before = before
        environment.checker.ensure_checked()
        environment.clock.freeze(CHECK_SECONDS)
        environment.checker.ensure_checked(10.0)
        gate.open()
        environment.landed(2)

        assert ["checking the stamp sheet"] == [
            line["message"] for line in environment.logged()
        ]
        assert 1 == environment.checker.failed_checks


FAILURES = [
    pytest.param(throttled(), "ThrottlingException", id="throttled"),
    pytest.param(DENIED, "AccessDeniedException", id="denied"),
    pytest.param(AwsTimeoutError("late"), "TimeoutError", id="late"),
    pytest.param(KeyError("Version"), "broken", id="a bug"),
]


class TestFailure:
    """What fails, fails open."""

    @pytest.mark.parametrize(("error", "state"), FAILURES)
    def test_a_failure_is_said_once(self, error: Exception, state: str) -> None:
        """Reads go on; the log tells the change of state, not every failure."""
        environment = Environment()
        environment.refuse(error)
        for _ in range(3):
            environment.interval_after_check()
        (line,) = environment.logged()

        assert ("WARNING", state) == (line["level"], line["sheet"])
        assert (3, 3) == (
            environment.store.count("GetParameter"),
            environment.checker.failed_checks,
        )
        assert [] == environment.applied

    @pytest.mark.parametrize(
        ("text", "state", "reason", "applied"),
        [
            (None, "absent", "is the invalidator deployed?", [0, 0, 0]),
            ("garbage", "unusable", "delete it", []),
            ('{"format":2}', "unusable", "update the layer", []),
        ],
    )
    def test_a_sheet_of_no_use_is_said_once(
        self, text: str | None, state: str, reason: str, applied: list[int]
    ) -> None:
        """The log says what is wrong and what to do; having none is passed on."""
        environment = Environment(sheet=False)
        if text is not None:
            environment.store.put(NAME, text)
        for _ in range(3):
            environment.interval_after_check()
        (line,) = environment.logged()

        assert ("WARNING", state) == (line["level"], line["sheet"])
        assert reason in line["reason"]
        assert applied == environment.applied

    def test_every_change_of_state_is_said(self) -> None:
        """Found, refused, refused for another reason, found again."""
        environment = Environment()
        for error in (None, DENIED, DENIED, throttled(), None, None):
            environment.refuse(error)
            environment.interval_after_check()
        states = [line.get("sheet") for line in environment.logged()]

        assert [None, "AccessDeniedException", "ThrottlingException", None] == states

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (throttled(), [45.0, 300.0, 300.0]),
            (DENIED, [10.0, 20.0, 40.0, 60.0, 60.0]),
            (KeyError("Version"), [10.0, 20.0, 40.0, 60.0, 60.0]),
            (None, [5.0, 5.0]),
        ],
        ids=["throttled", "denied", "a bug", "found"],
    )
    def test_the_pace_is_told_what_became_of_a_check(
        self, error: Exception | None, expected: list[float]
    ) -> None:
        """Being throttled slackens it more, and for longer, than any other failure."""
        environment = Environment()
        environment.refuse(error)
        intervals = [environment.interval_after_check() for _ in expected]

        assert expected == intervals

    def test_a_sheet_that_is_absent_slackens_the_pace(self) -> None:
        """Up to a minute: an answer is no sign that others want the quota."""
        environment = Environment(sheet=False)
        intervals = [environment.interval_after_check() for _ in range(5)]

        assert [10.0, 20.0, 40.0, 60.0, 60.0] == intervals

    def test_back_to_a_check_in_each_invocation(self) -> None:
        """With interval 0 a failing sheet is left alone for a while, then followed."""
        environment = Environment(interval_seconds=0.0)
        environment.refuse(throttled())
        environment.checker.invocation_began()
        environment.checker.invocation_ended()
        environment.refuse(None)
        environment.checker.invocation_began()
        environment.checker.invocation_ended()

        assert 1 == environment.store.count("GetParameter")
        environment.clock.tick(1.0)
        for _ in range(3):
            environment.checker.invocation_began()
            environment.checker.invocation_ended()
        assert 4 == environment.store.count("GetParameter")

    def test_jitter_shortens_a_longer_interval_too(self) -> None:
        """So throttled environments do not come back together."""
        environment = Environment(random=lambda: 0.5)
        environment.refuse(throttled())

        assert 33.75 == environment.interval_after_check()

    def test_a_sheet_that_appears_is_found(self) -> None:
        """It is looked for rarely, but it is."""
        environment = Environment(sheet=False)
        for _ in range(4):
            environment.interval_after_check()
        environment.write()
        environment.interval_after_check()

        assert [0, 0, 0, 0, 1] == environment.applied
        assert ["WARNING", "INFO"] == [each["level"] for each in environment.logged()]

    @pytest.mark.parametrize("place", ["read", "apply"])
    def test_a_bug_is_logged_and_reads_go_on(self, place: str) -> None:
        """Not even an unforeseen error reaches a read, or stops later checks."""
        environment = Environment()

        def broken(_: object) -> None:
            raise RuntimeError("a bug")

        if place == "read":
            environment.store.before = broken
        else:
            environment.apply = broken
        environment.interval_after_check()
        environment.refuse(None)
        environment.apply = lambda _: None
        environment.interval_after_check()
        line = environment.logged()[0]

        assert ("broken", "RuntimeError") == (line["sheet"], line["exception_name"])
        assert [1] == environment.applied

    def test_where_no_thread_is_left_a_read_goes_on(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That a check cannot begin is a failed check, not a failed read."""
        environment = Environment()
        with monkeypatch.context() as patch:

            def start(_: Thread) -> None:
                raise RuntimeError("can't start new thread")

            patch.setattr(Thread, "start", start)
            environment.checker.ensure_checked()
        (line,) = environment.logged()

        assert ("broken", 1) == (line["sheet"], environment.checker.failed_checks)
        assert 10.0 == environment.checker.seconds_until_due()
        environment.interval_after_check()
        assert [1] == environment.applied

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_the_end_of_a_thread_leaves_nothing_stuck(self) -> None:
        """Whatever ends a check, the next one is made, and waiters wake up."""
        environment = Environment()
        ended: list[Thread] = []

        def ending(_: object) -> None:
            ended.append(current_thread())
            raise SystemExit

        environment.apply = ending
        environment.checker.ensure_checked()
        join(*ended)
        assert 10.0 == environment.checker.seconds_until_due()
        environment.apply = lambda _: None
        environment.interval_after_check()

        assert [1] == environment.applied
