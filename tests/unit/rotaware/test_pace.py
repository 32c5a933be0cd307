"""When the next look at the sheet is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotaware.clock import Instant
from rotaware.pace import CHECK_SECONDS, FAILED, FOUND, SHAPE, THROTTLED, Pace, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NEVER = float("inf")
OUTCOMES = st.sampled_from([FOUND, FAILED, THROTTLED])
INTERVALS = st.floats(0.0, 3600.0)


class Environment:
    """A pace, and a time at which its checks take no time at all."""

    def __init__(
        self,
        interval_seconds: float = 5.0,
        *,
        random: Callable[[], float] = lambda: 0.0,
        shape: Shape = SHAPE,
    ) -> None:
        self.pace = Pace(interval_seconds, random, shape)
        self.now = Instant(1000.0, 10.0)

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        wall, monotonic = self.now
        self.now = Instant(wall + seconds, monotonic + seconds)

    def is_content(self) -> bool:
        """Whether a read that comes now needs no check."""
        return self.pace.is_recent_enough(self.pace.begun, self.now)

    def check(self, outcome: str = FOUND) -> float:
        """Make a check; for how long it will do."""
        number = self.pace.begin(self.now)
        self.pace.land(number, self.now, outcome)
        return self.pace.seconds_until_due(self.now)

    def intervals(self, outcome: str, count: int) -> list[float]:
        """Make so many checks that all end alike."""
        return [self.check(outcome) for _ in range(count)]


def after(interval_seconds: float, outcomes: Sequence[str]) -> Environment:
    """An environment whose checks ended so."""
    environment = Environment(interval_seconds)
    for outcome in outcomes:
        environment.check(outcome)
    return environment


class TestInterval:
    """A check will do for an interval."""

    @pytest.mark.parametrize("interval_seconds", [0.0, 5.0])
    def test_the_first_check_is_due(self, interval_seconds: float) -> None:
        """Nothing has been checked yet, whatever the interval is."""
        environment = Environment(interval_seconds)

        assert 0.0 == environment.pace.seconds_until_due(environment.now)
        assert not environment.is_content()

    @pytest.mark.parametrize(
        ("age_seconds", "content"), [(0.0, True), (4.9, True), (5.0, False)]
    )
    def test_a_check_grows_old(self, age_seconds: float, *, content: bool) -> None:
        """Younger than the interval will do; as old as that will not."""
        environment = Environment()
        environment.check()
        environment.tick(age_seconds)

        assert content == environment.is_content()
        assert pytest.approx(5.0 - age_seconds) == environment.pace.seconds_until_due(
            environment.now
        )

    def test_whoever_saw_a_check_begin_is_content_with_it(self) -> None:
        """However old it is when it lands."""
        environment = Environment()
        begun_before, arrived = environment.pace.begun, environment.now
        number, began_at = environment.pace.begin(environment.now), environment.now
        environment.tick(100.0)
        assert not environment.pace.is_recent_enough(begun_before, arrived)
        environment.pace.land(number, began_at, FOUND)

        assert environment.pace.is_recent_enough(begun_before, arrived)
        assert not environment.is_content()

    @given(st.floats(0.0, 1.0, exclude_max=True), st.floats(0.01, 3600.0))
    def test_jitter_only_shortens(self, random: float, interval: float) -> None:
        """An interval is as long as it was set, or up to a fifth shorter."""
        environment = Environment(interval, random=lambda: random)

        assert pytest.approx(interval * (1 - 0.2 * random)) == environment.check()

    def test_every_interval_has_its_own_jitter(self) -> None:
        """Environments that started together drift apart, throttled ones too."""
        randoms = iter([0.9, 0.5, 0.25, 1.0])
        environment = Environment(random=lambda: next(randoms))

        assert [4.5, 4.75] == environment.intervals(FOUND, 2)
        assert 5.0 == environment.check(THROTTLED)

    @given(st.floats(0.0, 1.0, exclude_max=True))
    def test_who_was_throttled_is_spread_most(self, random: float) -> None:
        """Many were, at the same moment: they try again at any time of the half."""
        environment = Environment(random=lambda: random)
        environment.check()

        assert pytest.approx(10.0 * (1 - 0.5 * random)) == environment.check(THROTTLED)


class TestInvocations:
    """With interval 0, a check will do for the invocation in which it began."""

    def test_a_check_is_good_for_an_invocation(self) -> None:
        """From its beginning to its end, and no longer."""
        environment = Environment(0.0)
        environment.pace.invocation_began()
        assert not environment.is_content()

        assert NEVER == environment.check()
        assert environment.is_content()
        environment.pace.invocation_ended()
        assert not environment.is_content()
        assert 0.0 == environment.pace.seconds_until_due(environment.now)

    def test_a_check_before_an_invocation_does_not_count(self) -> None:
        """It was made for the one before."""
        environment = Environment(0.0)
        environment.check()
        environment.pace.invocation_began()

        assert not environment.is_content()


class TestRunning:
    """A check that is under way is waited for, unless it was frozen."""

    def test_nothing_runs_at_first(self) -> None:
        """No check has begun."""
        environment = Environment()

        assert not environment.pace.is_running(environment.now)

    @pytest.mark.parametrize(
        ("age_seconds", "running"), [(0.0, True), (4.9, True), (CHECK_SECONDS, False)]
    )
    def test_a_check_runs_for_a_while(
        self, age_seconds: float, *, running: bool
    ) -> None:
        """As long as it may take; then it is given up."""
        environment = Environment()
        environment.pace.begin(environment.now)
        environment.tick(age_seconds)

        assert running == environment.pace.is_running(environment.now)

    def test_a_check_that_landed_runs_no_more(self) -> None:
        """Whatever became of it."""
        environment = Environment()
        environment.check(FAILED)

        assert not environment.pace.is_running(environment.now)

    def test_a_check_that_was_given_up_may_land_all_the_same(self) -> None:
        """Before the one that was made instead: it is as old as it is."""
        environment = Environment()
        number, began_at = environment.pace.begin(environment.now), environment.now
        environment.tick(CHECK_SECONDS)
        environment.pace.begin(environment.now)
        environment.pace.land(number, began_at, THROTTLED)

        assert 40.0 == environment.pace.seconds_until_due(environment.now)

    def test_a_check_that_lands_late_counts_no_more(self) -> None:
        """What a later one found is newer."""
        environment = Environment()
        number, began_at = environment.pace.begin(environment.now), environment.now
        environment.tick(CHECK_SECONDS)
        environment.check()
        environment.pace.land(number, began_at, THROTTLED)

        assert 5.0 == environment.pace.seconds_until_due(environment.now)


class TestThrottled:
    """The quota is shared: the interval grows fast, and comes back slowly."""

    @pytest.mark.parametrize(
        ("interval_seconds", "expected"),
        [
            (0.0, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]),
            (0.1, [1.0, 2.0]),
            (5.0, [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]),
            (200.0, [300.0, 300.0]),
            (400.0, [400.0, 400.0]),
            (3600.0, [3600.0, 3600.0]),
        ],
    )
    def test_it_doubles(self, interval_seconds: float, expected: list[float]) -> None:
        """Tried again within five minutes; but never sooner than it was set."""
        environment = after(interval_seconds, [FOUND])

        assert expected == environment.intervals(THROTTLED, len(expected))

    @pytest.mark.parametrize(
        ("interval_seconds", "expected"),
        [
            (0.0, [1.0, 9.0, 81.0, 300.0]),
            (0.1, [1.0, 9.0]),
            (4.0, [36.0, 300.0]),
            (5.0, [45.0, 300.0, 300.0]),
            (30.0, [60.0, 300.0]),
            (60.0, [120.0, 300.0]),
        ],
    )
    def test_who_never_got_through_waits_longer(
        self, interval_seconds: float, expected: list[float]
    ) -> None:
        """Many have started at once: they would keep everybody else out for minutes."""
        intervals = Environment(interval_seconds).intervals(THROTTLED, len(expected))

        assert expected == intervals

    def test_whoever_was_answered_got_through(self) -> None:
        """Whatever the answer was."""
        environment = after(5.0, [FAILED])

        assert 20.0 == environment.check(THROTTLED)

    @pytest.mark.parametrize(
        ("throttled", "grown_seconds"),
        [(1, 10.0), (2, 20.0), (6, 320.0), (7, 640.0), (8, 900.0), (20, 900.0)],
    )
    def test_behind_the_retries_it_goes_on_growing(
        self, throttled: int, grown_seconds: float
    ) -> None:
        """To a quarter of an hour: that is what who gets through at last goes by."""
        environment = after(5.0, [FOUND, *[THROTTLED] * throttled])
        expected = SHAPE.shorter(grown_seconds, throttled)

        assert pytest.approx(expected) == environment.check()

    @pytest.mark.parametrize(
        ("throttled", "grown_seconds"), [(1, 45.0), (2, 300.0), (3, 900.0), (4, 900.0)]
    )
    def test_a_new_one_gets_there_in_three_steps(
        self, throttled: int, grown_seconds: float
    ) -> None:
        """But the first two keep it within what is soon made good."""
        environment = after(5.0, [THROTTLED] * throttled)
        expected = SHAPE.shorter(grown_seconds, throttled)

        assert pytest.approx(expected) == environment.check()

    @pytest.mark.parametrize(
        ("interval_seconds", "outcomes", "seconds"),
        [
            (5.0, [FOUND, THROTTLED], 23),
            (5.0, [FOUND, THROTTLED, THROTTLED], 61),
            (5.0, [THROTTLED], 162),
            (5.0, [THROTTLED, THROTTLED], 1184),
            (60.0, [FOUND, THROTTLED], 278),
            (60.0, [THROTTLED], 278),
            (60.0, [THROTTLED, THROTTLED], 986),
            (5.0, [FOUND, *[THROTTLED] * 3], 2913),
        ],
    )
    def test_it_comes_back(
        self, interval_seconds: float, outcomes: list[str], seconds: int
    ) -> None:
        """In minutes from one or two; from more in hours, as long as it takes."""
        environment = after(interval_seconds, outcomes)
        elapsed = interval = environment.pace.seconds_until_due(environment.now)
        while interval > interval_seconds:
            interval = environment.check()
            elapsed += interval

        assert (interval_seconds, seconds) == (interval, round(elapsed - interval))

    @pytest.mark.parametrize(("calm", "forgiven"), [(59, False), (60, True)])
    def test_not_more_than_two_are_forgiven(self, calm: int, *, forgiven: bool) -> None:
        """Until there were sixty successes in a row at what was set."""
        environment = after(5.0, [FOUND, THROTTLED, THROTTLED])
        while environment.check() > 5.0:
            pass
        environment.intervals(FOUND, calm - 1)
        environment.check(THROTTLED)

        assert (7.5 if forgiven else pytest.approx(9.89, abs=0.01)) == (
            environment.check()
        )

    def test_a_throttled_check_ends_the_calm(self) -> None:
        """The sixty begin anew."""
        environment = after(5.0, [FOUND, THROTTLED, THROTTLED])
        for _ in range(2):
            while environment.check() > 5.0:
                pass
            environment.intervals(FOUND, 40)
            environment.check(THROTTLED)

        assert 9.8 < environment.check() < 9.9

    def test_nothing_is_forgiven_while_it_is_longer_than_set(self) -> None:
        """However many checks got through on the way back."""
        environment = after(5.0, [FOUND, *[THROTTLED] * 8])
        intervals = environment.intervals(FOUND, 120)

        assert 5.0 < intervals[-1] < 0.99 * intervals[-2]
        assert intervals[-1] > 0.97 * intervals[-2]

    @given(st.floats(5.1, 900.0))
    def test_the_longer_it_is_the_faster_it_comes_back(self, seconds: float) -> None:
        """So that environments under one quota come to have about the same."""
        shares = [1 - SHAPE.shorter(each, 3) / each for each in (5.0, seconds, 900.0)]

        assert sorted(shares) == shares
        assert 0.01 < shares[0] < 0.012
        assert shares[-1] < 0.1

    def test_with_interval_0_it_comes_back_to_each_invocation(self) -> None:
        """An interval of less than a second is none."""
        environment = after(0.0, [THROTTLED])
        assert 1.0 == environment.pace.seconds_until_due(environment.now)

        assert 0.0 == environment.check()

    def test_what_was_set_may_be_another_shape(self) -> None:
        """Without growth nothing is throttled away."""
        environment = Environment(shape=Shape(growth=1.0, first_growth=1.0))

        assert [5.0, 5.0] == environment.intervals(THROTTLED, 2)


class TestFailed:
    """Other failures cost nobody else anything."""

    @pytest.mark.parametrize(
        ("interval_seconds", "expected"),
        [
            (0.0, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]),
            (0.1, [1.0, 2.0]),
            (5.0, [10.0, 20.0, 40.0, 60.0, 60.0]),
            (30.0, [60.0, 60.0]),
            (45.0, [60.0, 60.0]),
            (300.0, [300.0, 300.0]),
        ],
    )
    def test_it_doubles(self, interval_seconds: float, expected: list[float]) -> None:
        """Up to a minute; but it is never shorter than it was set."""
        intervals = Environment(interval_seconds).intervals(FAILED, len(expected))

        assert expected == intervals

    @pytest.mark.parametrize(
        ("interval_seconds", "expected"),
        [
            (0.0, [30.0, 15.0, 7.5, 3.75, 1.875]),
            (5.0, [30.0, 15.0, 7.5, 5.0, 5.0]),
            (300.0, [300.0]),
        ],
    )
    def test_it_halves_again(
        self, interval_seconds: float, expected: list[float]
    ) -> None:
        """With each success, until it is what was set."""
        environment = after(interval_seconds, [FAILED] * 8)

        assert expected == environment.intervals(FOUND, len(expected))

    def test_it_comes_back_to_a_minute_from_further(self) -> None:
        """Whoever is answered at all is not throttled any more."""
        environment = after(5.0, [THROTTLED] * 5)
        intervals = environment.intervals(FAILED, 100)

        assert sorted(intervals, reverse=True) == intervals
        assert 800.0 < intervals[0] < 900.0
        assert 60.0 == intervals[-1]

    def test_throttling_is_remembered_until_it_is_over(self) -> None:
        """A failure in between makes nobody come back faster than throttling lets."""
        environment = after(5.0, [FOUND, *[THROTTLED] * 3, FAILED])
        assert 60.0 == environment.pace.seconds_until_due(environment.now)
        slow = environment.check()
        environment.intervals(FOUND, 250)
        environment.check(FAILED)

        assert 58.0 < slow < 60.0
        assert 5.0 == environment.check()


@given(INTERVALS, st.lists(OUTCOMES, max_size=30))
def test_no_interval_is_shorter_than_set_nor_endless(
    interval_seconds: float, outcomes: list[str]
) -> None:
    """Whatever becomes of the checks, the next one is due in time."""
    environment = after(interval_seconds, outcomes)
    environment.pace.invocation_began()
    due = environment.pace.seconds_until_due(environment.now)

    assert due <= max(interval_seconds, SHAPE.longest_seconds)
    if outcomes:
        assert due >= interval_seconds


@settings(max_examples=40)
@given(INTERVALS, st.lists(OUTCOMES, max_size=30))
def test_after_enough_successes_all_is_as_set(
    interval_seconds: float, outcomes: list[str]
) -> None:
    """Nothing that has been leaves a trace for ever."""
    environment = after(interval_seconds, outcomes)
    environment.intervals(FOUND, 520)
    environment.pace.invocation_ended()

    assert interval_seconds == environment.check()
