"""boto3 behind the port that the library calls AWS through.

botocore's exceptions end here: each becomes one of rotaware's, so that a caller can
tell what AWS refuses from what it may grant later. Answers have AWS's JSON shape: no
``ResponseMetadata``, dates as epoch numbers. No operation used here carries blobs.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    ReadTimeoutError,
)

from rotaware.errors import AwsTimeoutError, AwsUnavailableError, aws_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.client import BaseClient

    from rotaware.errors import AwsError

CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=2,
    read_timeout=5,
)
"""A few attempts of a few seconds each: the queue tries again later."""


class BotoAws:
    """Satisfies ``rotaware.aws.Aws``; one client a service, made when first needed.

    Args:
        config: What the clients allow a call: its timeouts and its retries.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session = boto3.Session()
        self._clients: dict[str, BaseClient] = {}

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,  # noqa: ARG002  clients bound every call
    ) -> dict[str, Any]:
        """One operation, with botocore's standard retries."""
        try:
            answer = getattr(self._client(service), xform_name(operation))(**request)
        except ClientError as refusal:
            raise _translated(refusal) from refusal
        except (ConnectTimeoutError, ReadTimeoutError) as fault:
            raise AwsTimeoutError(
                f"{service} {operation}: no answer in time"
            ) from fault
        except BotoCoreError as fault:
            # Its text may quote the request; its name says what happened.
            name = type(fault).__name__
            raise AwsUnavailableError(name, f"{service} {operation}: {name}") from fault
        del answer["ResponseMetadata"]
        plain: dict[str, Any] = _plain(answer)
        return plain

    def _client(self, service: str) -> BaseClient:
        if service not in self._clients:
            # boto3's stubs know literal names of services only.
            make: Callable[..., BaseClient] = self._session.client
            self._clients[service] = make(service, config=self._config)
        return self._clients[service]


def _translated(refusal: ClientError) -> AwsError:
    fault = refusal.response["Error"]
    code, message = fault["Code"], fault.get("Message", "")
    status = refusal.response["ResponseMetadata"]["HTTPStatusCode"]
    return aws_error(code, message, status)


def _plain(answer: Any) -> Any:
    match answer:
        case dict():
            return {key: _plain(value) for key, value in answer.items()}
        case list():
            return [_plain(value) for value in answer]
        case datetime():
            return answer.timestamp()
        case _:
            return answer
