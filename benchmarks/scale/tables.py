"""What is shown of the simulations: a table for each question, its head first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.scale.study import (
    INTERVAL_SECONDS,
    INTERVALS,
    JITTERS,
    LARGE,
    NO_BACK_OFF,
    PATTERN_NAMES,
    SHAPES,
    SIZES,
    STORM,
    always_busy,
    by_ttl,
    checking,
    deployed,
    jittered,
    on_dynamodb,
    patterned,
    stormy,
)
from rotaware.pace import SHAPE

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping

    from benchmarks.scale.simulation import Result, Scenario
    from rotaware.pace import Shape

_WHOLE = 10.0
"""Larger figures are shown without decimals."""
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
    rows = [["environments", "invocations", *_COMMON, *_STALE, "longest wait"]]
    for size in LARGE:
        for name in PATTERN_NAMES:
            result = results[patterned(size, name)]
            waited = f"{quantile(result.waits, 1.0):,.0f} s"
            cells = [*_common(result), *_stale(result), waited]
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
    for size in (100, *LARGE):
        for seconds in INTERVALS:
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
            "10,000 deployed: others throttled",
            "their calls lost",
            "back from 60 s",
        ]
    ]
    for name, shape in SHAPES.items():
        few, many = (results[always_busy(size, shape)] for size in LARGE)
        start = results[deployed(10_000, shape)]
        back = "at once" if shape is NO_BACK_OFF else f"{_minutes_back(shape):.0f} min"
        rows.append(
            [
                name,
                _common(few)[2],
                *_stale(few)[:2],
                *_common(many)[2:],
                *_common(start)[2:],
                back,
            ]
        )
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
    return [f"{quantile(result.stale_seconds, q):.0f} s" for q in (0.5, 0.99, 1.0)]


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= _WHOLE else f"{rate:.1f}"


def _share(share: float) -> str:
    if not share:
        return "0"
    percent = 100.0 * share
    return f"{percent:.0f} %" if percent >= _WHOLE else f"{percent:.2g} %"


def _bold(text: str, *, chosen: bool) -> str:
    return f"**{text}**" if chosen else text


def _minutes_back(shape: Shape) -> float:
    """How long it takes from an interval of a minute back to 5 s."""
    seconds, elapsed = 60.0, 0.0
    while seconds > INTERVAL_SECONDS:
        elapsed += seconds
        seconds = shape.shorter(seconds)
    return elapsed / 60.0
