"""Who signs: keys from the environment, or from the container credentials endpoint.

Rules:
1. Keys in the environment are fixed for the life of the process (Lambda's default).
2. Container credentials (SnapStart) are asked for when first needed, again before they
   expire, and again when AWS refuses them. One thread asks, the others wait.
3. They are asked for over http only from this machine or link, as botocore does.
4. Keys and tokens never show in a repr or a message.
"""

from __future__ import annotations

import _socket
import threading

from rotaware import lean_json as json
from rotaware.clock import Deadline
from rotaware.endpoints import Endpoint
from rotaware.errors import AwsTimeoutError, AwsUnavailableError, SettingsError
from rotaware.http1 import encode_request
from rotaware.lean import TYPE_CHECKING, Protocol
from rotaware.sigv4 import utc_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotaware.clock import Clock
    from rotaware.connection import Connections

_ACCESS_KEY = "AWS_ACCESS_KEY_ID"
_SECRET_KEY = "AWS_SECRET_ACCESS_KEY"  # noqa: S105  a variable's name
_SESSION_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105  likewise
_FULL_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
_AUTHORIZATION = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
_AUTHORIZATION_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"

_RELATIVE_BASE = "http://169.254.170.2"
_LINK_HOSTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23"})
_FETCH_TIMEOUT_SECONDS = 2.0
_REFRESH_BEFORE_SECONDS = 300.0
_ASK_AGAIN_SECONDS = 60.0
_IPV4_LOOPBACK_NET = 127
_OK = 200


class Credentials:
    """One set of keys; only ``access_key_id`` shows in its repr."""

    __slots__ = ("access_key_id", "expires_at", "secret_access_key", "session_token")

    def __init__(
        self,
        access_key_id: str,
        secret_access_key: str,
        session_token: str | None = None,
        expires_at: float | None = None,
    ) -> None:
        for value in (access_key_id, secret_access_key, session_token or "-"):
            if not value or not all("!" <= character <= "~" for character in value):
                raise ValueError("a key or token is empty or not plain text")
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self.session_token = session_token or None
        self.expires_at = expires_at

    def __repr__(self) -> str:
        return f"<credentials of {self.access_key_id}>"


class CredentialProvider(Protocol):
    """Where the client takes its credentials from."""

    def current(self, deadline: Deadline) -> Credentials:
        """Credentials to sign with."""
        ...

    def refresh(self, refused: Credentials, deadline: Deadline) -> Credentials:
        """Credentials to sign with after AWS has refused these."""
        ...


class FixedCredentials:
    """Credentials that never change."""

    __slots__ = ("_credentials",)

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def current(self, deadline: Deadline) -> Credentials:  # noqa: ARG002  the port's
        """The credentials."""
        return self._credentials

    def refresh(
        self,
        refused: Credentials,  # noqa: ARG002  the port's
        deadline: Deadline,
    ) -> Credentials:
        """The same credentials."""
        return self.current(deadline)


class ContainerCredentials:
    """Credentials that a local endpoint hands out and renews."""

    __slots__ = (
        "_ask_again_at",
        "_clock",
        "_connections",
        "_credentials",
        "_endpoint",
        "_lock",
        "_token",
        "_token_file",
    )

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        clock: Clock,
        connections: Connections,
    ) -> None:
        self._endpoint = _container_endpoint(environ)
        self._token = environ.get(_AUTHORIZATION)
        self._token_file = environ.get(_AUTHORIZATION_FILE)
        self._clock = clock
        self._connections = connections
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None
        self._ask_again_at = 0.0

    def current(self, deadline: Deadline) -> Credentials:
        """The credentials, renewed when they are about to expire."""
        return self._use(None, deadline)

    def refresh(self, refused: Credentials, deadline: Deadline) -> Credentials:
        """Newly fetched credentials, unless another thread has already renewed them."""
        return self._use(refused, deadline)

    def _use(self, refused: Credentials | None, deadline: Deadline) -> Credentials:
        if not self._lock.acquire(timeout=deadline.remaining_seconds()):
            raise AwsTimeoutError("another thread still waits for credentials")
        try:
            held = self._credentials
            if held is None or held is refused or self._expired(held):
                held = self._fetch(deadline)
            elif self._due(held):
                held = self._renewed(held, deadline)
            self._credentials = held
            return held
        finally:
            self._lock.release()

    def _expired(self, held: Credentials) -> bool:
        return held.expires_at is not None and (
            self._clock.now().wall >= held.expires_at
        )

    def _due(self, held: Credentials) -> bool:
        now = self._clock.now().wall
        return (
            held.expires_at is not None
            and now >= held.expires_at - _REFRESH_BEFORE_SECONDS
            and now >= self._ask_again_at
        )

    def _renewed(self, held: Credentials, deadline: Deadline) -> Credentials:
        try:
            return self._fetch(deadline)
        except AwsUnavailableError:
            return held  # still good; the endpoint is asked again in a while

    def _fetch(self, deadline: Deadline) -> Credentials:
        self._ask_again_at = self._clock.now().wall + _ASK_AGAIN_SECONDS
        headers = [
            ("Host", self._endpoint.authority),
            ("Accept", "application/json"),
            ("Connection", "close"),
        ]
        token = self._authorization()
        if token is not None:
            headers.append(("Authorization", token))
        response = self._connections.send(
            self._endpoint,
            encode_request("GET", self._endpoint.target, headers),
            Deadline(
                self._clock, min(_FETCH_TIMEOUT_SECONDS, deadline.remaining_seconds())
            ),
        )
        if response.status != _OK:
            raise _unavailable(f"it answered with status {response.status}")
        credentials = _parse(response.body)
        if credentials is None:
            raise _unavailable("its answer is not understood")
        return credentials

    def _authorization(self) -> str | None:
        token = self._token
        if self._token_file is not None:
            try:
                with open(self._token_file, encoding="utf-8") as file:  # noqa: PTH123  pathlib costs start-up time
                    token = file.read()
            except (OSError, UnicodeDecodeError) as error:
                raise _unavailable(
                    f"the file that {_AUTHORIZATION_FILE} names cannot be read"
                ) from error
        if token is not None and not (token.isascii() and token.isprintable()):
            raise _unavailable("the authorization token is no header value")
        return token


def from_environ(
    environ: Mapping[str, str], *, clock: Clock, connections: Connections
) -> CredentialProvider:
    """The provider that the environment names; SettingsError where it names none."""
    if environ.get(_ACCESS_KEY):
        try:
            return FixedCredentials(
                Credentials(
                    environ[_ACCESS_KEY],
                    environ.get(_SECRET_KEY, ""),
                    environ.get(_SESSION_TOKEN),
                )
            )
        except ValueError as error:
            names = f"{_ACCESS_KEY}, {_SECRET_KEY}, {_SESSION_TOKEN}"
            raise SettingsError(
                [f"{names}: {error}; set them as Lambda does"]
            ) from None
    if environ.get(_RELATIVE_URI) or environ.get(_FULL_URI):
        return ContainerCredentials(environ, clock=clock, connections=connections)
    raise SettingsError(
        [f"{_ACCESS_KEY}: is not set, nor is {_FULL_URI}; set one as Lambda does"]
    )


def _container_endpoint(environ: Mapping[str, str]) -> Endpoint:
    name, url = _FULL_URI, environ.get(_FULL_URI, "")
    if environ.get(_RELATIVE_URI):
        name, url = _RELATIVE_URI, _RELATIVE_BASE + environ[_RELATIVE_URI]
    try:
        endpoint = Endpoint.parse(url)
    except ValueError as error:
        raise SettingsError(
            [f"{name}: is no URL ({error}); set it as Lambda does"]
        ) from error
    if endpoint.scheme != "https" and not _is_near(endpoint.host):
        near = f"localhost, a loopback address or {', '.join(sorted(_LINK_HOSTS))}"
        raise SettingsError([f"{name}: names a far host; over http, use {near}"])
    return endpoint


def _is_near(host: str) -> bool:
    if host == "localhost" or host in _LINK_HOSTS:
        return True
    try:
        return _socket.inet_pton(_socket.AF_INET, host)[0] == _IPV4_LOOPBACK_NET
    except OSError:
        pass
    try:
        return _socket.inet_pton(_socket.AF_INET6, host) == bytes(15) + b"\x01"
    except OSError:
        return False


def _parse(body: bytes) -> Credentials | None:
    """What the endpoint handed out; None, not an error that would quote it."""
    try:
        document = json.loads(body)
        expiration = document.get("Expiration")
        return Credentials(
            document["AccessKeyId"],
            document["SecretAccessKey"],
            document.get("Token"),
            None if expiration is None else _epoch_seconds(expiration),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _epoch_seconds(text: str) -> float:
    """An ISO 8601 moment, fractions of a second cut off."""
    date, _, rest = text.partition("T")
    rest = rest.replace("Z", "+00:00")
    clock_time, sign, zone = rest[:-6], rest[-6:-5], rest[-5:]
    if sign not in {"+", "-"}:
        raise ValueError("a moment without its offset from UTC")
    year, month, day = date.split("-")
    hour, minute, second = clock_time.partition(".")[0].split(":")
    hours, minutes = zone.split(":")
    east = (int(hours) * 60 + int(minutes)) * 60
    local = utc_seconds(
        int(year), int(month), int(day), int(hour), int(minute), int(second)
    )
    return local - east if sign == "+" else local + east


def _unavailable(reason: str) -> AwsUnavailableError:
    return AwsUnavailableError(
        "CredentialsUnavailable", f"the container credentials endpoint: {reason}"
    )
