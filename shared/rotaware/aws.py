"""The AWS port, and a client for it that costs next to nothing to start.

Rules:
1. ``timeout_seconds`` bounds a whole call: waiting for a connection, every attempt and
   every pause. A pause that does not fit is not begun: the last error is raised.
2. What may pass by itself is tried again with full jitter: connections, time-outs,
   5xx and throttling. What AWS refuses is raised at once.
3. Stale credentials or a clock that is off: the request is signed anew, once per
   attempt, with refreshed credentials and, if need be, AWS's own time.
4. Every attempt is signed when it is sent; a request signed before a freeze is too old.
"""

from __future__ import annotations

import os.path

from rotaware.aws_json import decode, encode, skew_seconds
from rotaware.clock import Deadline
from rotaware.connection import Connections
from rotaware.credentials import from_environ as credentials_from_environ
from rotaware.endpoints import SERVICES, Endpoint, endpoint
from rotaware.errors import (
    AwsSignatureError,
    AwsThrottledError,
    AwsUnavailableError,
    SettingsError,
)
from rotaware.http1 import encode_request
from rotaware.lean import TYPE_CHECKING, NamedTuple, Protocol
from rotaware.sigv4 import Request, Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from rotaware.aws_json import Message
    from rotaware.clock import Clock
    from rotaware.credentials import CredentialProvider, Credentials
    from rotaware.http1 import Response

USER_AGENT = "rotaware/0.1.0"

_DEFAULT_TIMEOUT_SECONDS = 25.0
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.05
_THROTTLED_PAUSE_SECONDS = 0.5
_CA_FILES = (
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-certificates.crt",
)


class Aws(Protocol):
    """AWS's JSON services, as everything in rotaware sees them."""

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        """AWS's answer; raises AwsError, or AwsUnavailableError for what may pass.

        Args:
            service: One of ``rotaware.endpoints.SERVICES``.
            operation: Such as ``GetSecretValue``.
            request: In AWS's JSON shape: dates are epoch numbers, blobs base64 text.
            timeout_seconds: The bound on the whole call.
        """
        ...


class _Service(NamedTuple):
    endpoint: Endpoint
    signer: Signer


class AwsClient:
    """Signs and sends calls by itself."""

    __slots__ = (
        "_attempts",
        "_clock",
        "_connections",
        "_credentials",
        "_random",
        "_services",
        "_skew_seconds",
    )

    def __init__(  # noqa: PLR0913  each is a part that tests replace
        self,
        *,
        services: Mapping[str, _Service],
        credentials: CredentialProvider,
        connections: Connections,
        clock: Clock,
        random: Callable[[], float],
        attempts: int = _ATTEMPTS,
    ) -> None:
        self._services = services
        self._credentials = credentials
        self._connections = connections
        self._clock = clock
        self._random = random
        self._attempts = attempts
        self._skew_seconds = 0.0

    @classmethod
    def from_environ(
        cls,
        environ: Mapping[str, str],
        *,
        clock: Clock,
        random: Callable[[], float],
        max_connections: int,
        services: Iterable[str] = SERVICES,
    ) -> AwsClient:
        """A client for the Region, endpoints and credentials of the environment.

        Nothing is sent and no certificate is read yet. SettingsError names every
        variable that is missing or wrong. What the environment says of other services
        than those that will be called is not looked at.
        """
        problems: list[str] = []
        places: dict[str, _Service] = {}
        ca_file: str | None = None
        try:
            places = _services(environ, services)
        except SettingsError as error:
            problems += error.problems
        try:
            ca_file = _ca_file(environ)
        except SettingsError as error:
            problems += error.problems
        connections = Connections(
            clock=clock, max_connections=max_connections, ca_file=ca_file
        )
        try:
            credentials = credentials_from_environ(
                environ, clock=clock, connections=connections
            )
        except SettingsError as error:
            raise SettingsError([*problems, *error.problems]) from None
        if problems:
            raise SettingsError(problems)
        return cls(
            services=places,
            credentials=credentials,
            connections=connections,
            clock=clock,
            random=random,
        )

    def with_attempts(self, attempts: int) -> AwsClient:
        """The same client with another number of attempts; 1 for who retries itself."""
        return AwsClient(
            services=self._services,
            credentials=self._credentials,
            connections=self._connections,
            clock=self._clock,
            random=self._random,
            attempts=attempts,
        )

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        """See ``Aws``; without a time limit of the caller's, 25 seconds."""
        if timeout_seconds is None:
            timeout_seconds = _DEFAULT_TIMEOUT_SECONDS
        deadline = Deadline(self._clock, timeout_seconds)
        message = encode(service, operation, request)
        attempt = 1
        while True:
            try:
                return self._attempt(service, message, deadline)
            except AwsSignatureError:
                raise  # it has been signed anew already
            except AwsUnavailableError as error:
                pause = self._pause_seconds(error, attempt)
                out_of_time = pause >= deadline.remaining_seconds()
                if attempt >= self._attempts or out_of_time:
                    raise
            self._clock.sleep(pause)
            attempt += 1

    def close_idle(self) -> None:
        """Hang up the connections that no call uses."""
        self._connections.close_idle()

    def _attempt(
        self, service: str, message: Message, deadline: Deadline
    ) -> dict[str, Any]:
        credentials = self._credentials.current(deadline)
        response = self._send(service, message, credentials, deadline)
        try:
            return decode(response)
        except AwsSignatureError:
            pass
        self._skew_seconds = skew_seconds(response, self._clock.now().wall)
        credentials = self._credentials.refresh(credentials, deadline)
        return decode(self._send(service, message, credentials, deadline))

    def _send(
        self,
        service: str,
        message: Message,
        credentials: Credentials,
        deadline: Deadline,
    ) -> Response:
        place, signer = self._services[service]
        headers, body = message
        request = signer.sign(
            Request(
                "POST",
                place.target,
                "",
                (("Host", place.authority), *headers),
                body,
            ),
            credentials,
            self._clock.now().wall + self._skew_seconds,
        )
        unsigned = (("User-Agent", USER_AGENT), ("Content-Length", str(len(body))))
        return self._connections.send(
            place,
            encode_request("POST", place.target, (*request.headers, *unsigned), body),
            deadline,
        )

    def _pause_seconds(self, error: AwsUnavailableError, attempt: int) -> float:
        throttled = isinstance(error, AwsThrottledError)
        base = _THROTTLED_PAUSE_SECONDS if throttled else _PAUSE_SECONDS
        return self._random() * base * 2.0**attempt


def _services(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, _Service]:
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise SettingsError(["AWS_REGION: is not set; set it as Lambda does"])
    services: dict[str, _Service] = {}
    problems: dict[str, None] = {}
    for name in names:
        try:
            services[name] = _Service(
                endpoint(name, region, environ), Signer(name, region)
            )
        except SettingsError as error:  # noqa: PERF203  a few times, at start
            problems.update(dict.fromkeys(error.problems))
    if problems:
        raise SettingsError(list(problems))
    return services


def _ca_file(environ: Mapping[str, str]) -> str | None:
    named = environ.get("AWS_CA_BUNDLE")
    if not named:
        return next((path for path in _CA_FILES if os.path.exists(path)), None)  # noqa: PTH110  pathlib costs start-up time
    if not os.path.isfile(named):  # noqa: PTH113  likewise
        raise SettingsError(["AWS_CA_BUNDLE: names no file; correct or remove it"])
    return named
