"""The Lambda Extensions API, version 2020-01-01, over a plain socket.

Registering is on the way of every cold start, so this file imports next to nothing.
Each call has a connection of its own: one that was kept could die over a freeze. There
is no time-out until an answer begins: the environment may be frozen while it waits. The
parser is its own: ``rotaware.http1`` would bring in ``typing`` before registering.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

from __future__ import annotations

import _socket

_VERSION = "/2020-01-01/extension"
_DEFAULT_PORT = 80
_LONGEST_ANSWER = 1 << 20
_ANSWER_SECONDS = 5.0


class ExtensionsApiError(Exception):
    """The Extensions API refused a call, or did not answer it."""

    def __init__(self, call: str, status: int, reason: str) -> None:
        super().__init__(f"{call}: {status} {reason}".rstrip())
        self.status = status


class ExtensionsApiGoneError(ExtensionsApiError):
    """Nobody listens there."""


class Invoke:
    """An invocation begins.

    Attributes:
        trace: The X-Ray trace header, if there is one.
        request_id: Which invocation it is.
    """

    __slots__ = ("request_id", "trace")

    def __init__(self, trace: str | None, request_id: str | None = None) -> None:
        self.trace = trace
        self.request_id = request_id


class Shutdown:
    """The environment ends.

    Attributes:
        deadline_ms: When the process is killed, in epoch milliseconds.
        reason: Why; its words differ between Lambda and its emulator.
    """

    __slots__ = ("deadline_ms", "reason")

    def __init__(self, deadline_ms: int, reason: str) -> None:
        self.deadline_ms = deadline_ms
        self.reason = reason


class UnknownEvent:
    """An event of a type that did not exist when this was written.

    Attributes:
        event_type: What Lambda calls it.
    """

    __slots__ = ("event_type",)

    def __init__(self, event_type: str) -> None:
        self.event_type = event_type


class ExtensionsApi:
    """A client of one execution environment's Extensions API.

    Args:
        address: ``host:port``, as in AWS_LAMBDA_RUNTIME_API.
    """

    __slots__ = ("_address", "_identifier", "_initialized")

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._address = (host, int(port or _DEFAULT_PORT))
        self._identifier = ""
        self._initialized = False

    def register(self, name: str, *, invoke: bool) -> None:
        """Register for SHUTDOWN, and for INVOKE where that is allowed.

        Args:
            name: This program's file name in ``/opt/extensions``.
            invoke: False on Lambda Managed Instances.

        Raises:
            ExtensionsApiError: Lambda refused.
        """
        events = '"INVOKE","SHUTDOWN"' if invoke else '"SHUTDOWN"'
        head, _ = self._call(
            "POST",
            "/register",
            f"Lambda-Extension-Name: {name}",
            f'{{"events":[{events}]}}',
        )
        self._identifier = _header(head, b"lambda-extension-identifier")
        if not self._identifier:
            raise ExtensionsApiError("/register", 0, "the answer has no identifier")

    def next_event(self) -> Invoke | Shutdown | UnknownEvent:
        """Say that all work is done, and wait for the next event.

        Raises:
            ExtensionsApiError: Lambda refused, does not answer, or not with an event.
        """
        self._initialized = True
        _, body = self._call("GET", "/event/next", self._identity())
        return _event(body)

    def report_failure(self, code: str, message: str) -> None:
        """Say that this extension ends because of an error, as does the environment.

        Raises:
            ExtensionsApiError: Lambda does not want to know.
        """
        from rotaware import lean_json as json  # noqa: PLC0415  only a failure needs it

        path = "/exit/error" if self._initialized else "/init/error"
        body = {"errorMessage": message, "errorType": code, "stackTrace": []}
        headers = f"{self._identity()}\r\nLambda-Extension-Function-Error-Type: {code}"
        self._call("POST", path, headers, json.dumps(body))

    def _identity(self) -> str:
        return f"Lambda-Extension-Identifier: {self._identifier}"

    def _call(
        self, method: str, path: str, headers: str, body: str = ""
    ) -> tuple[bytes, bytes]:
        host, port = self._address
        request = (
            f"{method} {_VERSION}{path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Connection: close\r\n{headers}\r\n"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
        )
        try:
            return self._exchange(path, request.encode())
        except ConnectionRefusedError as fault:
            raise ExtensionsApiGoneError(path, 0, repr(fault)) from fault
        except (OSError, ValueError, IndexError) as fault:
            raise ExtensionsApiError(path, 0, repr(fault)) from fault

    def _exchange(self, path: str, request: bytes) -> tuple[bytes, bytes]:
        connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            connection.connect(self._address)
            connection.sendall(request)
            return _receive(connection, path)
        finally:
            connection.close()


def _event(body: bytes) -> Invoke | Shutdown | UnknownEvent:
    from rotaware import lean_json as json  # noqa: PLC0415  registering does not need it

    try:
        event = json.loads(body)
        match event["eventType"]:
            case "INVOKE":
                trace = (event.get("tracing") or {}).get("value")
                return Invoke(_text(trace), _text(event.get("requestId")))
            case "SHUTDOWN":
                deadline_ms = int(event.get("deadlineMs") or 0)
                return Shutdown(deadline_ms, str(event.get("shutdownReason")))
            case unknown:
                return UnknownEvent(str(unknown))
    except Exception as fault:  # it may be malformed in any way
        raise ExtensionsApiError("/event/next", 0, repr(fault)) from fault


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _receive(connection: _socket.socket, path: str) -> tuple[bytes, bytes]:
    """One answer: its head and body."""
    received = _more(connection, b"", path)
    connection.settimeout(_ANSWER_SECONDS)
    while b"\r\n\r\n" not in received:
        received += _more(connection, received, path)
    head, _, body = received.partition(b"\r\n\r\n")
    if _header(head, b"transfer-encoding").lower() == "chunked":
        body = _joined(connection, body, path)
    length = int(_header(head, b"content-length") or 0)
    while len(body) < length:
        body += _more(connection, body, path)
    status = int(head.split(b" ", 2)[1])
    if not 200 <= status < 300:  # noqa: PLR2004  the 2xx
        raise ExtensionsApiError(path, status, body.decode(errors="replace"))
    return head, body


def _joined(connection: _socket.socket, received: bytes, path: str) -> bytes:
    """A body that comes in chunks."""
    body = b""
    while True:
        while b"\r\n" not in received:
            received += _more(connection, received, path)
        size, _, received = received.partition(b"\r\n")
        length = int(size, 16)
        if length <= 0:
            return body
        while len(received) < length + 2:
            received += _more(connection, body + received, path)
        body += received[:length]
        received = received[length + 2 :]


def _more(connection: _socket.socket, received: bytes, path: str) -> bytes:
    chunk = connection.recv(65536)
    if not chunk or len(received) > _LONGEST_ANSWER:
        raise ExtensionsApiError(path, 0, "the answer broke off")
    return chunk


def _header(head: bytes, name: bytes) -> str:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode()
    return ""
