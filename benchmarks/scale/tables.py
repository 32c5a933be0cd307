"""What is shown of the simulations: a table for each question, its head first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.scale.study import (
    INTERVAL_SECONDS,
    INTERVALS,
    JITTERS,
    LARGE,
    PATTERN_NAMES,
    SHAPES,
    SIZES,
    STORM,
    UNLUCKY,
    always_busy,
    by_ttl,
    checking,
    deployed,
    jittered,
    on_dynamodb,
    patterned,
    stormy,
)
from rotaware.clock import Instant
from rotaware.pace import FOUND, SHAPE, THROTTLED, Pace

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping

    from benchmarks.scale.simulation import Result, Scenario

_WHOLE = 10.0
"""Larger figures are shown without decimals."""
_FEW, _MANY = 3.0, 100.0
_HOUR_SECONDS = 3600.0
_BACK = (1, 2, 3, 4, 8)
_COMMON = ["checks a second", "throttled", "others throttled", "others' calls lost"]
_STALE = ["stale p50", "p99", "longest"]


def sizes(results: Mapping[Scenario, Result]) -> list[list[str]]:
    """By number of environments and by store."""
    rows = [["environments", "sheet in", *_COMMON, *_STALE]]
    for size in SIZES:
        for name, make in (
            ("SSM", always_busy),
            ("DynamoDB", on_dynamodb),
            ("none: TTL alone", by_ttl),
        ):
            result = results[make(size)]
            rows.append([f"{size:,}", name, *_common(result), *_stale(result)])
    return rows


def patterns(results: Mapping[Scenario, Result]) -> list[list[str]]:
    """By the way in which environments are invoked."""
    head = ["without a look p99", "longest", "over an hour", "not one look"]
    rows = [["environments", "invocations", *_COMMON, *_STALE, *head]]
    for size in LARGE:
        for name in PATTERN_NAMES:
            result = results[patterned(size, name)]
            oldest = result.oldest_seconds
            cells = [
                *_common(result),
                *_stale(result),
                *_seconds(oldest, 0.99, 1.0),
                f"{sum(each > _HOUR_SECONDS for each in oldest):,}",
                f"{result.never_looked:,}",
            ]
            rows.append([f"{size:,}", name, *cells])
    return rows


def storm(results: Mapping[Scenario, Result]) -> list[list[str]]:
    """One rotation beside five hundred."""
    head = ["all stamped after", "writes", "fetches a second, at most"]
    rows = [["environments", "rotations", *_COMMON, *_STALE, *head]]
    for size in LARGE:
        for name, make in (("1", always_busy), (str(STORM), stormy)):
            result = results[make(size)]
            begin, end = result.scenario.rotates_at, result.scenario.seconds
            stamped = f"{result.written_after:.1f} s"
            peak = f"{result.fetches.peak(begin, end):,.0f}"
            cells = [*_common(result), *_stale(result), stamped]
            rows.append([f"{size:,}", name, *cells, str(result.writes), peak])
    return rows


def intervals(results: Mapping[Scenario, Result]) -> list[list[str]]:
    """By the interval that is set."""
    rows = [["environments", "interval", *_COMMON, *_STALE]]
    for size, choices in INTERVALS.items():
        for seconds in choices:
            result = results[checking(size, seconds)]
            name = _bold(f"{seconds:g} s", chosen=seconds == INTERVAL_SECONDS)
            rows.append([f"{size:,}", name, *_common(result), *_stale(result)])
    return rows


def shapes(results: Mapping[Scenario, Result]) -> list[list[str]]:
    """By what a throttled check does to the interval."""
    rows = [
        [
            "a throttled check",
            "1,000: others throttled",
            "stale p50",
            "p99",
            "10,000: others throttled",
            "their calls lost",
            "longest without a look",
            "10,000 deployed: others throttled",
            "their calls lost",
        ]
    ]
    for name, shape in SHAPES.items():
        few, many = (results[always_busy(size, shape)] for size in LARGE)
        start = results[deployed(10_000, shape)]
        rows.append(
            [
                name,
                _common(few)[2],
                *_stale(few)[:2],
                *_common(many)[2:],
                *_seconds(many.oldest_seconds, 1.0),
                *_common(start)[2:],
            ]
        )
    return rows


def unlucky(results: Mapping[Scenario, Result]) -> list[list[str]]:
    """What one bad moment costs those who have room enough."""
    head = ["checks throttled", "longest without a look"]
    rows = [["environments", "interval", "what happens", *head, *_STALE]]
    for size, interval, name, make in UNLUCKY:
        result = results[make(size, interval)]
        cells = [f"{sum(result.checks.throttled):,}"]
        cells += [*_seconds(result.oldest_seconds, 1.0), *_stale(result)]
        rows.append([f"{size:,}", f"{interval:g} s", name, *cells])
    return rows


def back(_: Mapping[Scenario, Result]) -> list[list[str]]:
    """How long it takes from so many throttled checks to what was set."""
    rows = [["interval", "environment", *(f"{count} throttled" for count in _BACK)]]
    for interval in (INTERVAL_SECONDS, 60.0):
        for name, first in (("new", []), ("that had got through", [FOUND])):
            times = [_back_seconds(interval, count, first) for count in _BACK]
            rows.append([f"{interval:g} s", name, *map(_time, times)])
    return rows


def jitters(results: Mapping[Scenario, Result]) -> list[list[str]]:
    """By how much an interval is shortened at most."""
    rows = [["environments", "jitter", *_COMMON, *_STALE]]
    for name, scenario in (
        ("1,000", always_busy(1_000)),
        ("1,000 deployed", deployed(1_000)),
        ("10,000 deployed", deployed(10_000)),
    ):
        for jitter in JITTERS:
            result = results[jittered(scenario, jitter)]
            label = _bold(f"{100 * jitter:.0f} %", chosen=jitter == SHAPE.jitter)
            rows.append([name, label, *_common(result), *_stale(result)])
    return rows


TABLES = {
    "sizes": sizes,
    "patterns": patterns,
    "storm": storm,
    "intervals": intervals,
    "shapes": shapes,
    "unlucky": unlucky,
    "back": back,
    "jitters": jitters,
}


def quantile(ordered: array[float], share: float) -> float:
    """The value below which this share of the others lies."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _common(result: Result) -> list[str]:
    begin, end = result.scenario.rotates_at, result.scenario.seconds
    return [
        _rate(result.checks.rate(begin, end)),
        _share(result.checks.share(begin, end)),
        _share(result.attempts.share(begin, end)),
        _share(result.calls.share(begin, end)),
    ]


def _stale(result: Result) -> list[str]:
    return _seconds(result.stale_seconds, 0.5, 0.99, 1.0)


def _seconds(ordered: array[float], *shares: float) -> list[str]:
    return [f"{quantile(ordered, share):,.0f} s" for share in shares]


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= _WHOLE else f"{rate:.1f}"


def _share(share: float) -> str:
    if not share:
        return "0"
    percent = 100.0 * share
    return f"{percent:.0f} %" if percent >= _WHOLE else f"{percent:.2g} %"


def _bold(text: str, *, chosen: bool) -> str:
    return f"**{text}**" if chosen else text


def _time(seconds: float) -> str:
    minutes = seconds / 60.0
    if minutes < _FEW:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < _MANY else f"{minutes / 60.0:.1f} h"


def _back_seconds(interval_seconds: float, throttled: int, first: list[str]) -> float:
    """From the last throttled check on, without jitter, if all others get through."""
    pace = Pace(interval_seconds, lambda: 0.0)
    seconds, elapsed = 0.0, 0.0
    for outcome in [*first, *[THROTTLED] * throttled]:
        seconds = _land(pace, outcome)
    while seconds > interval_seconds:
        elapsed += seconds
        seconds = _land(pace, FOUND)
    return elapsed


def _land(pace: Pace, outcome: str) -> float:
    now = Instant(0.0, 0.0)
    pace.land(pace.begin(now), now, outcome)
    return pace.seconds_until_due(now)
