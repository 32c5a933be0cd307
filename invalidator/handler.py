"""The invalidator Lambda: its composition root and the two shapes of its input.

It takes one EventBridge event, or an SQS batch of them. A batch is decided as a whole,
stamped once, and answered with the records to deliver again: those that AWS refused for
now. For a single event a refusal is raised. The bound on retries is the sender's: the
queue's redrive policy, or Lambda's for asynchronous invocations.
"""

from __future__ import annotations

import functools
import os
import random
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes import SQSEvent

from invalidator.decide import Touched, decide, decide_text
from invalidator.invalidate import NAMESPACE, Invalidator
from rotaware.boto import BotoAws
from rotaware.clock import SystemClock
from rotaware.errors import SettingsError
from rotaware.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "rotaware-invalidator")

logger = Logger(service=SERVICE)
metrics = Metrics(service=SERVICE, namespace=NAMESPACE)


# Events hold no values, but what they do hold is not for the log either.
@logger.inject_lambda_context(log_event=False)
def handler(event: Any, context: LambdaContext) -> PartialItemFailureResponse | None:
    """Lambda's entry point."""
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
            return _batch(event, context)
        case _:
            _single(event)
            return None


def _single(event: Any) -> None:
    invalidator = _invalidator()
    failures = invalidator.stamp([decide(event, sheet=invalidator.sheet)])
    for failure in failures.values():
        raise failure


def _batch(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    invalidator = _invalidator()
    decisions = {
        record.message_id: decide_text(record.body, sheet=invalidator.sheet)
        for record in SQSEvent(event).records
    }
    failures = invalidator.stamp(list(decisions.values()))

    def settle(record: SQSRecord) -> None:
        decision = decisions[record.message_id]
        if isinstance(decision, Touched) and decision.key in failures:
            raise failures[decision.key]

    # Should all fail, the answer says so too; an exception would add nothing to it.
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, settle, processor, context)


@functools.cache
def _invalidator() -> Invalidator:
    """Made at the first event, and once for each execution environment."""
    settings = Settings.from_environ(os.environ)
    if settings.stamps is None:
        fix = "use ssm, ssm:///a/name or dynamodb://table"
        raise SettingsError([f"ROTAWARE_STAMPS: the invalidator needs a sheet; {fix}"])
    return Invalidator(
        BotoAws(),
        settings.stamps,
        region=os.environ["AWS_REGION"],
        clock=SystemClock(),
        random=random.random,
        logger=logger,
        metrics=metrics,
    )
