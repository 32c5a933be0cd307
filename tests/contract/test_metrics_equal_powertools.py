"""A line of metrics is what Powertools' own Metrics would have written."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.metrics import Metrics as PowertoolsMetrics
from aws_lambda_powertools.metrics import MetricUnit

from extension.metrics import Metrics
from rotaware.tally import CHECK_LATENCY, Tally
from tests.support.clock import ManualClock


def ours() -> dict[str, Any]:
    """A line with a count and two measurements."""
    written: list[str] = []
    tally = Tally()
    for seconds in (0.0125, 0.25):
        tally.measure(CHECK_LATENCY, seconds)
    Metrics(
        lambda: {"Hits": 7},
        tally,
        written.append,
        ManualClock(),
        namespace="team",
        service="billing",
        function_name="orders",
    ).flush()
    (line,) = written
    document: dict[str, Any] = json.loads(line)
    return document


def theirs() -> dict[str, Any]:
    """The same by Powertools."""
    metrics = PowertoolsMetrics(namespace="team", service="billing")
    metrics.add_metric("Hits", MetricUnit.Count, 7)
    for milliseconds in (12.5, 250.0):
        metrics.add_metric("CheckLatency", MetricUnit.Milliseconds, milliseconds)
    metrics.add_metadata("function_name", "orders")
    document: dict[str, Any] = json.loads(json.dumps(metrics.serialize_metric_set()))
    metrics.clear_metrics()
    return document


def test_lines_are_equal() -> None:
    """Same keys in the same order, same values, but for the time."""
    mine, powertools = ours(), theirs()
    for line in (mine, powertools):
        assert isinstance(line["_aws"].pop("Timestamp"), int)

    assert powertools == mine
    assert list(powertools) == list(mine)
    assert list(powertools["_aws"]) == list(mine["_aws"])
