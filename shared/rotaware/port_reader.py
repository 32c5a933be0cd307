"""Reads from the extension's local port.

Rules:
1. A connection that died over a freeze is replaced, and nobody notices.
2. After a fork each process has connections of its own.
3. The token is looked up at each read; one that was refused is renewed, once.
4. What the port refuses is raised as the error that AWS or the extension meant.
"""

from __future__ import annotations

import os

from rotaware.answers import PORT_VARIABLE, document_of, refusal, text_of
from rotaware.clock import Deadline, SystemClock
from rotaware.connection import Connections, Limits
from rotaware.errors import (
    AwsTimeoutError,
    AwsUnavailableError,
    ExtensionError,
    NobodyListensError,
    SettingsError,
)
from rotaware.http1 import encode_request, percent_encoded
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.reader import Reading
from rotaware.secret import AWSCURRENT, KMS, SECRETS_MANAGER
from rotaware.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotaware.clock import Clock
    from rotaware.http1 import Response
    from rotaware.secret import Query

TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"  # noqa: S105  a header's name
TIMEOUT_SECONDS = 30.0
MAX_CONNECTIONS = 16

_OK, _BAD_TOKEN = 200, 403
_LARGEST_PORT, _PORT_DIGITS = 65535, 5


class _Place(NamedTuple):
    """Where the extension listens."""

    port: int
    scheme: str = "http"
    host: str = "127.0.0.1"


class PortReader:
    """Reads from one extension; safe to use from many threads.

    Args:
        environ: Where port and token are found.
        clock: The source of time.
        timeout_seconds: For one read, waiting for AWS included.

    Raises:
        SettingsError: The port is none.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._clock = clock or SystemClock()
        self._timeout_seconds = timeout_seconds
        self._place = _Place(_port(environ))
        self._tokens = Tokens(environ, self._clock)
        self._process_id = os.getpid()
        self._connections = self._new_connections()

    def read(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Reading:
        """One answer of the port; see ``Reader``."""
        response = self._asked(target(query, refresh=refresh, instead_of=instead_of))
        if response.status != _OK:
            raise refusal(response, self._place.port)
        read = text_of if query.service == KMS else document_of
        from_source = "fwd=" in response.headers.get("cache-status", "")
        return Reading(read(response.body), from_source)

    def close(self) -> None:
        """Hang up; a later read connects anew."""
        self._own_connections().close_idle()

    def _asked(self, target: str) -> Response:
        deadline = Deadline(self._clock, self._timeout_seconds)
        token = self._tokens.current(deadline)
        response = self._sent(target, token, deadline)
        if response.status == _BAD_TOKEN:
            # Container credentials change; the extension knows the newer ones already.
            renewed = self._tokens.renewed(deadline)
            if renewed != token:
                response = self._sent(target, renewed, deadline)
        return response

    def _sent(self, target: str, token: str, deadline: Deadline) -> Response:
        port = self._place.port
        headers = (("Host", f"127.0.0.1:{port}"), (TOKEN_HEADER, token))
        request = encode_request("GET", target, headers)
        try:
            return self._own_connections().send(self._place, request, deadline)
        except AwsTimeoutError:
            raise
        except AwsUnavailableError as error:
            refused = isinstance(error.__cause__, ConnectionRefusedError)
            kind = NobodyListensError if refused else ExtensionError
            raise kind(
                f"no rotaware extension answers ({error.message}, port {port}); add its"
                f" layer to the function, or set {PORT_VARIABLE} to its port"
            ) from None

    def _own_connections(self) -> Connections:
        # After a fork two processes would read each other's answers off one socket.
        if self._process_id != os.getpid():
            self._connections = self._new_connections()
            self._process_id = os.getpid()
        return self._connections

    def _new_connections(self) -> Connections:
        return Connections(
            clock=self._clock,
            max_connections=MAX_CONNECTIONS,
            limits=Limits(read_seconds=self._timeout_seconds),
        )


def target(query: Query, *, refresh: bool, instead_of: str | None) -> str:
    """Path and query by which the port is asked."""
    path, fields = _route(query)
    fields["refreshNow"] = "true" if refresh else None
    fields["insteadOf"] = instead_of
    return f"{path}?{_encoded(fields)}"


def _route(query: Query) -> tuple[str, dict[str, str | None]]:
    if query.service == SECRETS_MANAGER:
        # AWSCURRENT is what the port gives to those who name nothing.
        is_default = query.version is None and query.label == AWSCURRENT
        return "/secretsmanager/get", {
            "secretId": query.id,
            "versionId": query.version,
            "versionStage": None if is_default else query.label,
        }
    if query.service == KMS:
        return "/kms/get", {"name": query.id}
    decrypt = "true" if query.decrypt else None
    if query.is_path:
        return "/systemsmanager/parameters/path", {
            "path": query.id,
            "recursive": None if query.recursive else "false",
            "withDecryption": decrypt,
        }
    return "/systemsmanager/parameters/get", {
        "name": query.id,
        "version": query.version,
        "label": query.label,
        "withDecryption": decrypt,
    }


def _encoded(fields: Mapping[str, str | None]) -> str:
    """The fields that are given, as a query."""
    return "&".join(
        [
            f"{key}={percent_encoded(text)}"
            for key, text in fields.items()
            if text is not None
        ]
    )


def _port(environ: Mapping[str, str]) -> int:
    # The extension has refused what is no port for it; rotaware.parsers, which knows
    # that, would be a tenth of a first read.
    text = environ.get(PORT_VARIABLE, "2773")
    is_short = len(text) <= _PORT_DIGITS and text.isascii() and text.isdigit()
    port = int(text) if is_short else 0
    if not 0 < port <= _LARGEST_PORT:
        raise SettingsError(
            [f"{PORT_VARIABLE}: is no port; use the extension's, 1 to {_LARGEST_PORT}"]
        )
    return port
