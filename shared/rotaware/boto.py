"""boto3 behind the port that rotaware calls AWS through.

Rule 1. Requests and answers have AWS's JSON shape: blobs are base64 text, dates epoch
        numbers, and there is no ``ResponseMetadata``.
Rule 2. botocore's exceptions end here: each becomes one of rotaware's, so that a caller
        can tell what AWS refuses from what it may grant later. They are no cause of
        it: what they say, and the frames that they keep, may hold a value.
Rule 3. AWS itself judges what it is asked, in its own words: botocore does not.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from copy import copy
from datetime import datetime
from threading import Lock, local
from typing import TYPE_CHECKING, Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    ReadTimeoutError,
)

from rotaware.aws import USER_AGENT
from rotaware.clock import Deadline, SystemClock
from rotaware.errors import (
    AwsError,
    AwsSignatureError,
    AwsTimeoutError,
    AwsUnavailableError,
    SettingsError,
    aws_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.client import BaseClient

    from rotaware.clock import Clock

ATTEMPTS = 3
CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
"""For one attempt, where the caller sets no limit to the call."""
MAX_CONNECTIONS = 10
"""Kept to each service, as botocore has it."""


def new_session() -> boto3.Session:
    """One that looks for credentials where boto3 does.

    Raises:
        SettingsError: AWS's files or variables name a profile that there is not, say.
    """
    try:
        return boto3.Session()
    except BotoCoreError as fault:
        problem = f"session: boto3 makes none ({fault}); correct that, or give one"
    raise SettingsError([problem])


class BotoAws:
    """Satisfies ``rotaware.aws.Aws``; its clients are made when first needed.

    Args:
        session: Where credentials come from; None for a new one, which looks for them
            where boto3 does.
        region: Whose services are called; None for the session's Region.
        endpoint_url: Where all of them answer, instead of AWS.
        attempts: How often botocore tries, in its standard mode.
        max_connections: How many are kept to a service.
        clock: Time, for limits.
    """

    def __init__(  # noqa: PLR0913  all of them are independent
        self,
        *,
        session: boto3.Session | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        attempts: int = ATTEMPTS,
        max_connections: int = MAX_CONNECTIONS,
        clock: Clock | None = None,
    ) -> None:
        self._session = session or new_session()
        self._region = region
        self._endpoint_url = endpoint_url
        self._attempts = attempts
        self._max_connections = max_connections
        self._clock = clock or SystemClock()
        self._lock = Lock()
        self._clients: dict[tuple[str, float | None, int], BaseClient] = {}
        self._under_way = local()

    def with_attempts(self, attempts: int) -> BotoAws:
        """The same with another number of attempts; 1 for who retries itself.

        Both hang up together.
        """
        other = copy(self)
        other._attempts = attempts  # noqa: SLF001  it is one of us
        return other

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        """One operation.

        boto3 bounds no call as a whole. With a limit, an attempt has that long to wait
        for an answer, and none begins when it is over.
        """
        failure: AwsError
        try:
            client = self._client(service, timeout_seconds)
            self._under_way.deadline = (
                None
                if timeout_seconds is None
                else Deadline(self._clock, timeout_seconds)
            )
            return _answered(client, operation, request)
        except AwsTimeoutError as over:
            failure = AwsTimeoutError(f"{service} {operation}: {over.message}")
        except ClientError as refusal:
            failure = _refused(refusal)
        except (ConnectTimeoutError, ReadTimeoutError):
            failure = AwsTimeoutError(f"{service} {operation}: no answer in time")
        except NoCredentialsError as fault:
            failure = _unavailable(
                service,
                operation,
                fault,
                "; give boto3 credentials: by a role, a profile or variables",
            )
        except Exception as fault:  # noqa: BLE001  botocore's have no base in common
            failure = _unavailable(service, operation, fault)
        raise failure  # out here, not chained: see rule 2

    def close_idle(self) -> None:
        """Hang up the connections that no call uses; later calls make new ones."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _client(self, service: str, timeout_seconds: float | None) -> BaseClient:
        """The client for these limits: botocore binds them to clients.

        There are few: one a service that is set, and those of the checks.
        """
        key = service, timeout_seconds, self._attempts
        with self._lock:  # a session makes one client at a time
            if key not in self._clients:
                self._clients[key] = self._new_client(service, timeout_seconds)
            return self._clients[key]

    def _new_client(self, service: str, timeout_seconds: float | None) -> BaseClient:
        # boto3's stubs know literal names of services only.
        make: Callable[..., BaseClient] = self._session.client
        limit = READ_SECONDS if timeout_seconds is None else timeout_seconds
        client = make(
            service,
            region_name=self._region,
            endpoint_url=self._endpoint_url,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": self._attempts},
                connect_timeout=min(CONNECT_SECONDS, limit),
                read_timeout=limit,
                max_pool_connections=self._max_connections,
                parameter_validation=False,
                user_agent_extra=USER_AGENT,
            ),
        )
        client.meta.events.register("before-send", self._stop_when_over)
        return client

    def _stop_when_over(self, **_: Any) -> None:
        """Called before each attempt, by the thread that calls."""
        deadline = self._under_way.deadline
        if deadline is not None and deadline.remaining_seconds() == 0.0:
            raise AwsTimeoutError("no answer in time")


def _answered(
    client: BaseClient, operation: str, request: Mapping[str, Any]
) -> dict[str, Any]:
    # Every operation that is used takes something, which the stubs do not know.
    shape: Any = client.meta.service_model.operation_model(operation).input_shape
    given = {
        name: a2b_base64(value) if shape.members[name].type_name == "blob" else value
        for name, value in request.items()
    }
    answer = getattr(client, xform_name(operation))(**given)
    answer.pop("ResponseMetadata", None)
    plain: dict[str, Any] = _plain(answer)
    return plain


def _refused(refusal: ClientError) -> AwsError:
    fault = refusal.response["Error"]
    code, message = fault["Code"], fault.get("Message", "")
    status = refusal.response["ResponseMetadata"]["HTTPStatusCode"]
    unnamed = code == str(status)
    if unnamed:
        message = f"HTTP status {status} without a message"
    error = aws_error(code, message, status)
    if unnamed and type(error) is AwsError:
        # AWS names what it refuses: a proxy spoke in its place.
        return AwsUnavailableError(code, message)
    if isinstance(error, AwsSignatureError):
        # What follows the first line repeats the request, session token included.
        error.args = (message.partition("\n")[0],)
    return error


def _unavailable(
    service: str, operation: str, fault: Exception, fix: str = ""
) -> AwsUnavailableError:
    """Its text may quote the request or the answer; its name says what happened."""
    name = type(fault).__name__
    return AwsUnavailableError(name, f"{service} {operation}: {name}{fix}")


def _plain(answer: Any) -> Any:
    match answer:
        case dict():
            return {key: _plain(value) for key, value in answer.items()}
        case list():
            return [_plain(value) for value in answer]
        case datetime():
            return answer.timestamp()
        case bytes():
            return b2a_base64(answer, newline=False).decode()
        case _:
            return answer
