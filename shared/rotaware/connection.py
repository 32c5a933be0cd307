"""HTTP/1.1 over pooled sockets.

Rules:
1. At most ``max_connections`` to one place; who comes later waits, within its deadline.
2. A kept connection that turns out dead before a byte of the answer came is replaced
   once, invisibly: Lambda freezes processes, and peers hang up meanwhile.
3. A connection that failed takes the other idle ones to the same place with it.
4. TLS is loaded and the CA file is read when the first https request is sent, once.
   ``rotaware.tls`` always checks the host name and the certificate.
5. Whatever goes wrong is an AwsUnavailableError that names the host, never the content.
"""

from __future__ import annotations

import _socket
import threading

from rotaware.clock import Deadline, age_seconds
from rotaware.errors import AwsTimeoutError, AwsUnavailableError
from rotaware.http1 import BadAnswerError, Incoming, read_response
from rotaware.lean import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from typing import Any

    from rotaware.clock import Clock, Instant
    from rotaware.http1 import Response
    from rotaware.tls import Secured, Tls

_IDLE_SECONDS = 60.0
_RECEIVE_BYTES = 64 * 1024


class Address(Protocol):
    """Where to connect, such as an ``Endpoint``."""

    @property
    def scheme(self) -> str: ...  # noqa: D102
    @property
    def host(self) -> str: ...  # noqa: D102
    @property
    def port(self) -> int: ...  # noqa: D102


class Limits(NamedTuple):
    """Bounds on one exchange, within the caller's deadline.

    Attributes:
        connect_seconds: For each address of a host, the TLS handshake not included.
        read_seconds: From the first byte sent to the last byte received, and for the
            TLS handshake.
    """

    connect_seconds: float = 2.0
    read_seconds: float = 5.0


_DEFAULT_LIMITS = Limits()


class _DiedIdleError(Exception):
    """A kept connection was dead when it was used again."""


class Connections:
    """Keeps connections open and lends each to one request at a time."""

    __slots__ = ("_ca_file", "_clock", "_limits", "_lock", "_most", "_places", "_tls")

    def __init__(
        self,
        *,
        clock: Clock,
        max_connections: int,
        ca_file: str | None = None,
        limits: Limits = _DEFAULT_LIMITS,
    ) -> None:
        self._clock = clock
        self._most = max_connections
        self._ca_file = ca_file
        self._limits = limits
        self._lock = threading.Lock()
        self._places: dict[tuple[str, str, int], _Place] = {}
        self._tls: Tls | None = None

    def send(self, endpoint: Address, request: bytes, deadline: Deadline) -> Response:
        """Send one whole request and receive its answer."""
        place = self._place(endpoint)
        if not place.free.acquire(timeout=deadline.remaining_seconds()):
            raise AwsTimeoutError(f"{endpoint.host}: all connections stayed busy")
        try:
            kept = self._kept(place)
            if kept is not None:
                try:
                    return self._exchange(place, kept, request, deadline)
                except _DiedIdleError:
                    pass
            return self._exchange(
                place, self._open(endpoint, deadline), request, deadline
            )
        finally:
            place.free.release()

    def close_idle(self) -> None:
        """Hang up every connection that no request uses."""
        with self._lock:
            places = list(self._places.values())
        for place in places:
            self._drop_idle(place)

    def _place(self, endpoint: Address) -> _Place:
        with self._lock:
            key = endpoint.scheme, endpoint.host, endpoint.port
            place = self._places.get(key)
            if place is None:
                place = self._places[key] = _Place(self._most)
            return place

    def _kept(self, place: _Place) -> _Connection | None:
        now = self._clock.now()
        while True:
            with self._lock:
                connection = place.idle.pop() if place.idle else None
            if connection is None or connection.is_usable(now):
                return connection
            connection.close()

    def _exchange(
        self,
        place: _Place,
        connection: _Connection,
        request: bytes,
        deadline: Deadline,
    ) -> Response:
        seconds = min(self._limits.read_seconds, deadline.remaining_seconds())
        try:
            response, reusable = connection.exchange(
                request, Deadline(self._clock, seconds)
            )
        except BaseException:
            connection.close()
            self._drop_idle(place)
            raise
        if reusable:
            connection.idle_since = self._clock.now()
            with self._lock:
                place.idle.append(connection)
        else:
            connection.close()
        return response

    def _drop_idle(self, place: _Place) -> None:
        with self._lock:
            dropped, place.idle = place.idle, []
        for connection in dropped:
            connection.close()

    def _open(self, endpoint: Address, deadline: Deadline) -> _Connection:
        try:
            tls = None if endpoint.scheme == "http" else self._trust()
            try:
                return self._opened(endpoint, tls, deadline)
            except OSError as error:
                if tls is None or not tls.is_too_narrow(error):
                    raise
            return self._opened(endpoint, self._trust(tls), deadline)
        except TimeoutError:
            raise AwsTimeoutError(f"{endpoint.host}: no connection in time") from None
        except OSError as error:
            raise _unavailable(endpoint.host, error) from error

    def _opened(
        self, endpoint: Address, tls: Tls | None, deadline: Deadline
    ) -> _Connection:
        raw = _connect(endpoint, deadline, self._limits.connect_seconds)
        try:
            raw.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            if tls is None:
                return _Connection(endpoint.host, raw, raw)
            raw.settimeout(_left(deadline, self._limits.read_seconds))
            return _Connection(endpoint.host, raw, tls.secured(raw, endpoint.host))
        except BaseException:
            raw.close()
            raise

    def _trust(self, too_narrow: Tls | None = None) -> Tls:
        """Whom to trust; all in the CA file, once Amazon's do not suffice."""
        from rotaware.tls import Tls  # noqa: PLC0415  http needs none of it

        with self._lock:
            if self._tls is None:
                self._tls = Tls(self._ca_file)
            elif self._tls is too_narrow:
                self._tls = Tls(self._ca_file, everybody=True)
            return self._tls


class _Socket(_socket.socket):
    """One that the TLS layer can refer to."""

    __slots__ = ("__weakref__",)


class _Place:
    """The connections to one scheme, host and port."""

    __slots__ = ("free", "idle")

    def __init__(self, max_connections: int) -> None:
        self.free = threading.BoundedSemaphore(max_connections)
        self.idle: list[_Connection] = []


class _Connection:
    """One connected socket, used by one request at a time."""

    __slots__ = ("_host", "_raw", "_stream", "idle_since")

    def __init__(
        self, host: str, raw: _socket.socket, stream: _socket.socket | Secured
    ) -> None:
        self._host = host
        self._raw = raw
        self._stream = stream
        self.idle_since: Instant | None = None

    def is_usable(self, now: Instant) -> bool:
        """Whether a kept connection is young and the peer has said nothing since."""
        if self.idle_since is None or age_seconds(self.idle_since, now) > _IDLE_SECONDS:
            return False
        self._raw.settimeout(0)
        try:
            # On the connection itself, under TLS. Bytes or an end here mean that the
            # peer hung up.
            self._raw.recv(1, _socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def exchange(self, request: bytes, deadline: Deadline) -> tuple[Response, bool]:
        """The answer, and whether the connection can be used again."""

        def receive() -> bytes:
            self._raw.settimeout(_left(deadline))
            return self._stream.recv(_RECEIVE_BYTES)

        incoming = Incoming(receive)
        try:
            self._raw.settimeout(_left(deadline))
            self._stream.sendall(request)
            return read_response(incoming)
        except TimeoutError:
            raise AwsTimeoutError(f"{self._host}: no answer in time") from None
        except (OSError, BadAnswerError) as error:
            if self.idle_since is not None and not incoming.begun:
                raise _DiedIdleError from error
            raise _unavailable(self._host, error) from error

    def close(self) -> None:
        """Hang up."""
        self._raw.close()

    def __del__(self) -> None:
        # Else the end of a process whose reader is not closed is a ResourceWarning.
        self._raw.close()


def _connect(
    endpoint: Address, deadline: Deadline, limit_seconds: float
) -> _socket.socket:
    failure: OSError = OSError("the host has no address")
    for family, kind, protocol, _, address in _addresses(endpoint, deadline):
        connecting = _Socket(family, kind, protocol)
        try:
            connecting.settimeout(_left(deadline, limit_seconds))
            connecting.connect(address)
        except OSError as error:
            connecting.close()
            failure = error
        else:
            return connecting
    raise failure


def _addresses(endpoint: Address, deadline: Deadline) -> list[Any]:
    """What ``getaddrinfo`` finds; in a thread, because it takes no time-out."""
    found: list[list[Any] | OSError] = []

    def resolve() -> None:
        try:
            # As bytes: a str goes through the idna codec, an import of its own.
            host = endpoint.host.encode()
            found.append(
                _socket.getaddrinfo(host, endpoint.port, type=_socket.SOCK_STREAM)
            )
        except OSError as error:
            found.append(error)

    resolver = threading.Thread(target=resolve, daemon=True)
    try:
        resolver.start()
        resolver.join(deadline.remaining_seconds())
    except RuntimeError:  # no thread is left: better late than not at all
        resolve()
    if not found:
        raise TimeoutError
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def _left(deadline: Deadline, limit_seconds: float = float("inf")) -> float:
    """Seconds for a socket to wait; 0 would mean not to wait but never to end."""
    seconds = min(deadline.remaining_seconds(), limit_seconds)
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _unavailable(host: str, error: Exception) -> AwsUnavailableError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return AwsUnavailableError("ConnectionError", f"{host}: {reason}")
