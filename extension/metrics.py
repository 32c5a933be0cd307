"""Metrics as log lines, in CloudWatch's embedded metric format.

Rule 1. One line tells all that happened since the line before, and there is at most one
        in ``INTERVAL_SECONDS``. Where nothing happened there is none.
Rule 2. What never happened is not mentioned: CloudWatch charges for each metric that it
        has heard of. For the same reason the service is the only dimension, and no name
        of a secret is told.
Rule 3. The shape is that of Powertools' Metrics.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from rotaware import lean_json as json
from rotaware.clock import age_seconds
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from rotaware.clock import Clock, Instant
    from rotaware.tally import Tally

INTERVAL_SECONDS = 60.0
"""CloudWatch keeps these metrics by the minute: more lines would tell no more."""

_encode = json.encoder(separators=(",", ":"), ensure_ascii=False)


class Metrics:
    """Tells what was counted.

    Args:
        totals: Gives all counts since the start.
        tally: Keeps the latest measurements.
        write: Takes a line, and never raises.
        clock: Time.
        namespace: Of the metrics.
        service: Their dimension.
        function_name: A property of each line, to search for; None for no function.
    """

    def __init__(  # noqa: PLR0913  all of them are independent
        self,
        totals: Callable[[], Mapping[str, int]],
        tally: Tally,
        write: Callable[[str], None],
        clock: Clock,
        *,
        namespace: str,
        service: str,
        function_name: str | None,
    ) -> None:
        self._totals = totals
        self._tally = tally
        self._write = write
        self._clock = clock
        self._namespace = namespace
        self._properties = {"service": service}
        if function_name:
            self._properties["function_name"] = function_name
        self._told: Mapping[str, int] = {}
        self._told_at: Instant | None = None

    def flush_if_due(self) -> None:
        """Write a line, if the last one is long enough ago; the first one at once."""
        told_at, now = self._told_at, self._clock.now()
        if told_at is None or age_seconds(told_at, now) >= INTERVAL_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write a line of what is not told yet."""
        now = self._told_at = self._clock.now()
        told, totals = self._told, self._totals()
        self._told = totals
        values: dict[str, list[float]] = {
            what: [total - told.get(what, 0)]
            for what, total in totals.items()
            if total != told.get(what, 0)
        }
        metrics = [{"Name": what, "Unit": "Count"} for what in values]
        for what, latest in self._tally.take_latest().items():
            metrics.append({"Name": what, "Unit": "Milliseconds"})
            values[what] = [round(seconds * 1000, 3) for seconds in latest]
        if values:
            self._write(_encode(self._line(int(now.wall * 1000), metrics, values)))

    def keep_flushing(self) -> NoReturn:
        """For Managed Instances, which announce no invocations."""
        while True:
            self._clock.sleep(INTERVAL_SECONDS)
            self.flush_if_due()

    def _line(
        self,
        timestamp_ms: int,
        metrics: list[dict[str, str]],
        values: Mapping[str, list[float]],
    ) -> dict[str, Any]:
        about = {
            "Namespace": self._namespace,
            "Dimensions": [["service"]],
            "Metrics": metrics,
        }
        head = {"Timestamp": timestamp_ms, "CloudWatchMetrics": [about]}
        return {"_aws": head, **self._properties, **values}
