"""From decisions to stamps: one judgement and one publish for a whole batch.

What AWS refuses for now is handed back, for the sender to try again. What no retry
could mend is logged, counted and over. Log lines name secrets, reasons and AWS's words,
never an event's body.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from invalidator.decide import Ignored, Touched
from invalidator.judge import Judge
from rotaware.errors import RotawareError
from rotaware.publish import publish
from rotaware.sheet import subject_of
from rotaware.stamps import sheet_home

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_lambda_powertools import Logger, Metrics

    from invalidator.decide import Decision
    from rotaware.aws import Aws
    from rotaware.clock import Clock
    from rotaware.publish import Published

NAMESPACE = "rotaware"

Failures = dict[tuple[str, str], RotawareError]
"""By ``Touched.key``: what could not be stamped for now, and why."""


class Invalidator:
    """Stamps what events touched.

    Args:
        aws: The client for all calls.
        sheet: The address of the sheet, as ``Settings.stamps`` has it.
        region: Where the client calls.
        clock: Time.
        random: Uniform in [0, 1).
        logger: Where to log.
        metrics: Counts, with a namespace and a service.
    """

    def __init__(  # noqa: PLR0913  each is a part of the outside world
        self,
        aws: Aws,
        sheet: str,
        *,
        region: str,
        clock: Clock,
        random: Callable[[], float],
        logger: Logger,
        metrics: Metrics,
    ) -> None:
        self.sheet = sheet
        self._aws = aws
        self._region = region
        self._clock = clock
        self._random = random
        self._logger = logger
        self._metrics = metrics

    def stamp(self, decisions: Sequence[Decision]) -> Failures:
        """Stamp all that was touched in one go; what failed for now."""
        self._count_ignored(decisions)
        touched = [each for each in decisions if isinstance(each, Touched)]
        if not touched:
            return {}
        judge = Judge(self._aws, touched, region=self._region)
        try:
            published = publish(
                sheet_home(self._aws, self.sheet, writes=True),
                judge,
                clock=self._clock,
                random=self._random,
                log=self._logger,
                changed=_changed(touched),
            )
        except RotawareError as failure:
            self._logger.error("wrote no stamps", problem=str(failure))
            self._count_failed(touched)
            return {each.key: failure for each in touched}
        for (_, name), refusal in judge.refused.items():
            self._logger.warning("refused for now", id=name, problem=str(refusal))
        current = [each for each in touched if each.key not in judge.refused]
        self._logger.info(
            "stamped",
            ids=sorted({each.id for each in current}),
            written=published.written,
            generation=published.generation,
        )
        self._count_stamped(published, current)
        self._count_failed([each for each in touched if each.key in judge.refused])
        return dict(judge.refused)

    def _count_ignored(self, decisions: Sequence[Decision]) -> None:
        reasons = Counter(
            each.reason for each in decisions if isinstance(each, Ignored)
        )
        for reason, count in reasons.items():
            self._logger.info("ignored", reason=reason, events=count)
            with single_metric(
                name="EventsIgnored",
                unit=MetricUnit.Count,
                value=count,
                namespace=NAMESPACE,
                default_dimensions={
                    "service": str(self._metrics.service),
                    "reason": reason,
                },
            ):
                pass

    def _count_stamped(self, published: Published, current: Sequence[Touched]) -> None:
        self._metrics.add_metric("StampsWritten", MetricUnit.Count, published.written)
        self._metrics.add_metric(
            "SheetFullness", MetricUnit.Percent, round(100 * published.fullness, 1)
        )
        if published.written:
            # A late duplicate writes nothing; its age is no lag.
            now = self._clock.now().wall
            for each in current:
                lag_ms = max(0.0, now - each.occurred_at) * 1000
                self._metrics.add_metric(
                    "EventToStampLag", MetricUnit.Milliseconds, lag_ms
                )
        self._metrics.flush_metrics()

    def _count_failed(self, handed_back: Sequence[Touched]) -> None:
        if handed_back:
            self._metrics.add_metric("EventsFailed", MetricUnit.Count, len(handed_back))
            self._metrics.flush_metrics()


def _changed(touched: Sequence[Touched]) -> dict[str, float]:
    """When each subject changed, as the latest of its events says."""
    changed: dict[str, float] = {}
    for each in touched:
        with suppress(ValueError):  # the judge refuses what has no subject
            subject = subject_of(each.arn)
            changed[subject] = max(each.occurred_at, changed.get(subject, 0.0))
    return changed
