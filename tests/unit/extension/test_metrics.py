"""Lines of metrics: what happened since the line before, and nothing that did not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from extension.metrics import INTERVAL_SECONDS, Metrics
from rotaware.tally import CHECK_LATENCY, MOST_KEPT, Tally
from tests.support.clock import EPOCH, ManualClock


class World:
    """Metrics of counts that a test makes up."""

    def __init__(self, function_name: str | None = "orders") -> None:
        self.clock = ManualClock()
        self.counts: dict[str, int] = {}
        self.tally = Tally()
        self.written: list[str] = []
        self.metrics = Metrics(
            lambda: dict(self.counts),
            self.tally,
            self.written.append,
            self.clock,
            namespace="team",
            service="billing",
            function_name=function_name,
        )

    def lines(self) -> list[dict[str, Any]]:
        """What was written."""
        return [json.loads(line) for line in self.written]

    def values(self) -> list[dict[str, Any]]:
        """The same, without what stands in every line."""
        constant = ("_aws", "service", "function_name")
        return [
            {key: value for key, value in line.items() if key not in constant}
            for line in self.lines()
        ]


def test_a_line_is_in_the_embedded_metric_format() -> None:
    """One set of metrics, their units, one dimension, and a value for each."""
    world = World()
    world.counts = {"Hits": 3}
    world.tally.measure(CHECK_LATENCY, 0.0123456)
    world.metrics.flush()
    (line,) = world.written

    assert "\n" not in line
    assert {
        "_aws": {
            "Timestamp": int(EPOCH * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": "team",
                    "Dimensions": [["service"]],
                    "Metrics": [
                        {"Name": "Hits", "Unit": "Count"},
                        {"Name": "CheckLatency", "Unit": "Milliseconds"},
                    ],
                }
            ],
        },
        "service": "billing",
        "function_name": "orders",
        "Hits": [3],
        "CheckLatency": [12.346],
    } == json.loads(line)


def test_outside_of_a_function_there_is_no_name() -> None:
    """An absent property is left out."""
    world = World(None)
    world.counts = {"Hits": 1}
    world.metrics.flush()

    assert "function_name" not in world.lines()[0]


def test_a_line_tells_what_is_new() -> None:
    """Counts are differences, and what did not change is not mentioned."""
    world = World()
    world.counts = {"Checks": 1, "Hits": 3}
    world.metrics.flush()
    world.counts = {"Checks": 1, "Hits": 5, "Misses": 1}
    world.metrics.flush()

    assert [
        {"Checks": [1], "Hits": [3]},
        {"Hits": [2], "Misses": [1]},
    ] == world.values()


def test_where_nothing_happened_there_is_no_line() -> None:
    """An idle environment costs nothing."""
    world = World()
    world.metrics.flush()
    world.counts = {"Hits": 1}
    world.metrics.flush()
    world.metrics.flush()

    assert [{"Hits": [1]}] == world.values()


def test_measurements_alone_are_a_line() -> None:
    """Each is told once."""
    world = World()
    world.tally.measure(CHECK_LATENCY, 0.5)
    world.metrics.flush()
    world.metrics.flush()

    assert [{"CheckLatency": [500.0]}] == world.values()


def test_a_line_takes_as_many_measurements_as_cloudwatch_does() -> None:
    """A hundred values of a metric, and a hundred metrics, are the limits."""
    world = World()
    for _ in range(MOST_KEPT + 1):
        world.tally.measure(CHECK_LATENCY, 0.5)
    world.metrics.flush()

    assert 100 == len(world.values()[0]["CheckLatency"])


def test_lines_come_by_the_minute() -> None:
    """The first at once; a freeze counts as time."""
    world = World()
    told_after = []
    for seconds in (0.0, INTERVAL_SECONDS - 0.5, 0.5, 1.0):
        world.clock.tick(seconds)
        world.counts["Hits"] = world.counts.get("Hits", 0) + 1
        world.metrics.flush_if_due()
        told_after.append(len(world.written))
    world.clock.freeze(INTERVAL_SECONDS)
    world.metrics.flush_if_due()

    assert [1, 1, 2, 2] == told_after
    assert [{"Hits": [1]}, {"Hits": [2]}, {"Hits": [1]}] == world.values()


class EndOfTestError(Exception):
    """What would go on for ever stops here."""


def test_managed_instances_have_a_timer() -> None:
    """A line a minute, without invocations."""
    world = World()

    def counted() -> dict[str, int]:
        if len(world.clock.naps) > 3:
            raise EndOfTestError
        return {"Hits": len(world.clock.naps)}

    world.metrics._totals = counted
    with pytest.raises(EndOfTestError):
        world.metrics.keep_flushing()

    assert [INTERVAL_SECONDS] * 4 == world.clock.naps
    assert [{"Hits": [1]}] * 3 == world.values()
