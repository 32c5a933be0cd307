"""That the simulation of many environments is right, seen in small ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.scale import __main__ as command
from benchmarks.scale import study, tables
from benchmarks.scale.account import (
    BIN_SECONDS,
    DYNAMODB,
    PARAMETER_STORE,
    TokenBucket,
)
from benchmarks.scale.arrivals import PATTERNS, Bursts
from benchmarks.scale.sheets import BATCH, EVENT_SECONDS, WINDOW_SECONDS
from benchmarks.scale.simulation import Result, Scenario, simulate

if TYPE_CHECKING:
    from benchmarks.scale.arrivals import Arrivals

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"
SMALL = Scenario(3, "busy", rotates_at=400.0, seconds=700.0, starting_seconds=60.0)
CROWD = replace(SMALL, environments=2_000, pattern="steady", rotates_at=900.0)
CROWD = replace(CROWD, seconds=2700.0)
# No call of an invalidator is throttled where nobody else uses the quota.
STAMPED_SECONDS = EVENT_SECONDS + WINDOW_SECONDS + 0.5


@pytest.fixture(scope="module")
def crowd() -> Result:
    """2,000 environments that want four hundred checks a second, of forty."""
    return simulate(CROWD)


def after_rotation(result: Result) -> tuple[float, float]:
    """The time that is measured."""
    return result.scenario.rotates_at, result.scenario.seconds


def arrivals_of(pattern: str, seed: int = 1) -> Arrivals:
    """One environment's invocations."""
    return PATTERNS[pattern](Random(seed))  # noqa: S311  no secret hangs on it


class TestQuota:
    """Whatever is asked, no more than the quota is granted."""

    @given(
        st.lists(st.floats(0.0, 1.0), min_size=1, max_size=200), st.floats(1.0, 50.0)
    )
    def test_a_bucket_never_grants_more(self, pauses: list[float], rate: float) -> None:
        """Than a second's worth, and the rate from then on."""
        bucket, now, granted = TokenBucket(rate), 0.0, 0
        for pause in pauses:
            now += pause
            granted += bucket.take(now)

            assert granted <= rate + rate * now + 1e-6

    @given(st.floats(1.0, 50.0), st.integers(1, 100))
    def test_a_bucket_grants_all_it_has(self, rate: float, calls: int) -> None:
        """Whoever keeps below the rate is never throttled."""
        bucket = TokenBucket(rate)

        assert all(bucket.take(number / rate * 1.001) for number in range(calls))

    def test_no_call_is_lost_or_made_up(self, crowd: Result) -> None:
        """In no ten seconds is more granted than there is; but all there is, is."""
        for place in range(len(crowd.checks.total) - 1):
            granted = sum(
                tally.total[place] - tally.throttled[place]
                for tally in (crowd.checks, crowd.attempts)
            )
            assert granted <= 40 * BIN_SECONDS + 40
            assert all(
                0 <= tally.throttled[place] <= tally.total[place]
                for tally in (crowd.checks, crowd.attempts, crowd.calls)
            )
        assert sum(crowd.attempts.total) >= sum(crowd.calls.total)
        assert 36.0 < sum(
            tally.rate(*after_rotation(crowd))
            * (1 - tally.share(*after_rotation(crowd)))
            for tally in (crowd.checks, crowd.attempts)
        )


class TestArrivals:
    """The next invocation lies ahead, the last one behind."""

    @pytest.mark.parametrize("pattern", PATTERNS)
    @given(seed=st.integers(0, 2**32), steps=st.lists(st.floats(0.0, 300.0)))
    def test_time_goes_on(self, pattern: str, seed: int, steps: list[float]) -> None:
        """From whichever moment one looks."""
        arrivals, now = arrivals_of(pattern, seed), 0.0
        for step in steps:
            now += step

            assert arrivals.before(now) < now < arrivals.after(now)

    @pytest.mark.parametrize(
        ("pattern", "per_minute"),
        [("steady", 120.0), ("busy", 600.0), ("idle", 0.5), ("bursty", 30.0)],
    )
    def test_so_many_come(self, pattern: str, per_minute: float) -> None:
        """As the pattern's description says, on average."""
        arrivals, now, count = arrivals_of(pattern), 0.0, 0
        while count < 4000:
            now = arrivals.after(now)
            count += 1

        assert pytest.approx(per_minute, rel=0.15) == count / now * 60.0

    def test_between_bursts_none_comes(self) -> None:
        """Each lies in a burst; that before a pause is the last of the burst before."""
        arrivals, now = Bursts(Random(1), 0.5, 60.0, 180.0), 0.0  # noqa: S311  as above
        for _ in range(2000):
            now = arrivals.after(now)

            assert any(begin < now < end for begin, end in arrivals._bursts)
        (_, end), (begin, _) = arrivals._bursts[-3:-1]
        assert end - 30.0 < arrivals.before(begin) < end

    def test_a_schedule_comes_once_a_minute(self) -> None:
        """At its second of every minute, and at no other."""
        arrivals = arrivals_of("cron")
        first = arrivals.after(0.0)

        assert first < 2.0
        assert 60.0 < arrivals.after(first) < 62.0
        assert pytest.approx(first) == arrivals.before(arrivals.after(first))

    def test_or_always_in_the_same_order(self) -> None:
        """Where each keeps its place after :00."""
        arrivals = arrivals_of("cron, in order")
        first = arrivals.after(0.0)

        assert pytest.approx(first + 60.0) == arrivals.after(first)
        assert pytest.approx(first) == arrivals.before(first + 60.0)


class TestFreshness:
    """How long the old version is served."""

    @pytest.mark.parametrize("pattern", PATTERNS)
    @pytest.mark.parametrize("interval", [0.0, 1.0, 5.0, 30.0])
    def test_within_the_interval(self, pattern: str, interval: float) -> None:
        """Few environments have seen the stamp an interval after it was written."""
        scenario = replace(SMALL, pattern=pattern, interval_seconds=interval, others=0)
        result = simulate(scenario)

        assert result.written_after <= STAMPED_SECONDS
        assert max(result.stale_seconds) <= result.written_after + interval
        assert 0 == sum(result.checks.throttled)

    def test_it_is_not_all_fresh_at_once(self) -> None:
        """Whoever has just looked goes on for an interval."""
        result = simulate(replace(SMALL, environments=100, interval_seconds=30.0))

        assert max(result.stale_seconds) > result.written_after + 20.0
        assert min(result.stale_seconds) < result.written_after + 10.0

    @pytest.mark.parametrize("ttl", [60.0, 300.0])
    def test_without_stamps_within_the_ttl(self, ttl: float) -> None:
        """And not much sooner."""
        scenario = replace(SMALL, environments=100, interval_seconds=None)
        result = simulate(replace(scenario, ttl_seconds=ttl, starting_seconds=ttl))

        assert 100 == len(result.stale_seconds)
        assert 0.9 * ttl < max(result.stale_seconds) <= ttl
        assert 0 == sum(result.checks.total)

    def test_a_storm_is_stamped_by_batches(self) -> None:
        """By the real invalidator's loop: few writes, no stamp lost, all fresh."""
        storm = replace(SMALL, environments=200, rotations=200, limits=DYNAMODB)
        result = simulate(storm)

        assert 200 // BATCH <= result.writes < 100
        assert 200 == len(result.stale_seconds)
        assert max(result.stale_seconds) < result.written_after + 5.0
        assert 0 == result.never_fresh

    @pytest.mark.parametrize("limit", [1.0, 3.0])
    def test_writes_keep_to_their_quota(self, limit: float) -> None:
        """One second's worth at once, and then no more than is granted."""
        scenario = replace(SMALL, rotations=300, rotating_seconds=1.0)
        limits = PARAMETER_STORE._replace(writes=limit)
        result = simulate(replace(scenario, limits=limits))

        assert 300 // BATCH <= result.writes <= limit + limit * result.written_after

    @settings(max_examples=5)
    @given(st.integers(0, 2**32))
    def test_equal_seeds_equal_worlds(self, seed: int) -> None:
        """A figure can be had again."""
        scenario = replace(SMALL, pattern="mixed", seed=seed)
        first, second = simulate(scenario), simulate(scenario)

        assert first.stale_seconds == second.stale_seconds
        assert first.checks.total == second.checks.total


class TestGoodNeighbour:
    """Ten times more than there is, is wanted."""

    def test_nobody_starves(self, crowd: Result) -> None:
        """Neither the others, nor any environment."""
        measured = after_rotation(crowd)

        assert crowd.attempts.share(*measured) < 0.1
        assert crowd.calls.share(*measured) < 0.01
        assert crowd.checks.rate(*measured) < 40.0
        assert crowd.scenario.ttl_seconds > crowd.scenario.seconds
        assert 2_000 == len(crowd.stale_seconds) == len(crowd.oldest_seconds)
        assert 0 == crowd.never_fresh == crowd.never_looked
        assert max(crowd.stale_seconds) <= max(crowd.oldest_seconds) < 1500.0

    def test_retrying_late_would_starve_some(self, crowd: Result) -> None:
        """It is the early retry that keeps the longest wait short."""
        late = study.SHAPES["as chosen, but tried again as late as all"]
        result = simulate(replace(CROWD, shape=late))

        assert max(result.oldest_seconds) > 1.3 * max(crowd.oldest_seconds)

    def test_who_waits_in_the_end_has_waited(self) -> None:
        """A check that is never granted counts, and for as long as it was wanted."""
        closed = PARAMETER_STORE._replace(reads=0.5)
        result = simulate(replace(SMALL, limits=closed))

        assert 3 == result.never_looked == len(result.oldest_seconds)
        assert 600.0 < min(result.oldest_seconds) <= max(result.oldest_seconds) < 700.0

    def test_who_is_never_throttled_waits_for_an_interval(self) -> None:
        """No look becomes older than that, and frozen time is no waiting."""
        for pattern in ("busy", "idle"):
            result = simulate(replace(SMALL, pattern=pattern, others=0))

            assert 0 < max(result.oldest_seconds) < 5.0

    @pytest.mark.parametrize("name", ["all start at once", "a burst of others"])
    def test_one_bad_moment_costs_minutes(self, name: str) -> None:
        """Who has room enough is soon as fresh as ever."""
        throttled = 0
        for size, interval, unlucky, make in study.UNLUCKY:
            if unlucky == name:
                scenario = make(size, interval)
                result = simulate(replace(scenario, seconds=scenario.rotates_at + 300))

                assert max(result.stale_seconds) < 2 * interval + STAMPED_SECONDS
                throttled += sum(result.checks.throttled)
        assert throttled > 0

    def test_without_care_all_would(self) -> None:
        """The quota does bite, so that it is the pace that spares the others."""
        careless = replace(CROWD, shape=study.NO_BACK_OFF, rotates_at=100.0)
        result = simulate(replace(careless, seconds=400.0))

        assert result.attempts.share(*after_rotation(result)) > 0.8

    def test_with_dynamodb_nobody_notices(self) -> None:
        """Its quota is another one, and large enough."""
        scenario = replace(CROWD, limits=DYNAMODB, rotates_at=100.0, seconds=160.0)
        result = simulate(scenario)

        assert 0 == sum(result.checks.throttled)
        assert max(result.stale_seconds) <= result.written_after + 5.0


def test_the_page_has_a_place_for_every_table() -> None:
    """The command fills them all, and leaves the rest as it is."""
    page = PAGE.read_text(encoding="utf-8")
    rows = [["a", "b"], ["1", "2"]]
    for name in tables.TABLES:
        filled = command.filled(page, name, command.markdown(rows))

        assert "-->\n| a | b |\n| --- | --- |\n| 1 | 2 |\n<!--" in filled
    with pytest.raises(ValueError, match="no place"):
        command.filled("", "sizes", "")
