"""The Lambda Extensions API, version 2020-01-01, over a plain socket.

Registering is on the way of every cold start, so this file imports next to nothing.
Each call but ``/event/next`` has a connection of its own. The wait for events keeps one
and has no time-out, because the environment may be frozen meanwhile.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

from __future__ import annotations

import _socket

_VERSION = "/2020-01-01/extension"
_DEFAULT_PORT = 80
_LONGEST_ANSWER = 1 << 20


class ExtensionsApiError(Exception):
    """The Extensions API refused a call, or did not answer it."""

    def __init__(self, call: str, status: int, reason: str) -> None:
        super().__init__(f"{call}: {status} {reason}".rstrip())
        self.status = status


class Invoke:
    """An invocation begins.

    Attributes:
        deadline_ms: When the function times out, in epoch milliseconds.
        request_id: The invocation's id.
        trace: The X-Ray trace header, if there is one.
    """

    __slots__ = ("deadline_ms", "request_id", "trace")

    def __init__(self, deadline_ms: int, request_id: str, trace: str | None) -> None:
        self.deadline_ms = deadline_ms
        self.request_id = request_id
        self.trace = trace


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


class ExtensionsApi:
    """A client of one execution environment's Extensions API.

    Args:
        address: ``host:port``, as in AWS_LAMBDA_RUNTIME_API.
    """

    __slots__ = ("_address", "_events", "_identifier")

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._address = (host, int(port or _DEFAULT_PORT))
        self._events: _socket.socket | None = None
        self._identifier = ""

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
            "/register", f"Lambda-Extension-Name: {name}", f'{{"events":[{events}]}}'
        )
        self._identifier = _header(head, b"lambda-extension-identifier")

    def next_event(self) -> Invoke | Shutdown:
        """Say that all work is done, and wait for the next event.

        Raises:
            ExtensionsApiError: Lambda refused or does not answer.
        """
        import json  # noqa: PLC0415  registering does not need it

        if self._events is None:
            self._events = self._connect("/event/next")
        request = self._request("GET", "/event/next", self._identity(), "")
        try:
            self._events.sendall(request)
            _, body = _receive(self._events, "/event/next")
            event = json.loads(body)
            deadline_ms = int(event["deadlineMs"])
            if event["eventType"] == "INVOKE":
                tracing = event.get("tracing") or {}
                return Invoke(
                    deadline_ms, str(event.get("requestId")), tracing.get("value")
                )
            return Shutdown(deadline_ms, str(event.get("shutdownReason")))
        except (OSError, ValueError, KeyError, TypeError) as fault:
            self._hang_up()
            raise ExtensionsApiError("/event/next", 0, repr(fault)) from fault
        except ExtensionsApiError:
            self._hang_up()
            raise

    def init_error(self, code: str, message: str) -> None:
        """Report that this extension cannot start; Lambda will end the environment."""
        self._report("/init/error", code, message)

    def exit_error(self, code: str, message: str) -> None:
        """Report that this extension ends because of an error."""
        self._report("/exit/error", code, message)

    def _report(self, path: str, code: str, message: str) -> None:
        import json  # noqa: PLC0415  only a failure needs it

        body = {"errorMessage": message, "errorType": code, "stackTrace": []}
        headers = f"{self._identity()}\r\nLambda-Extension-Function-Error-Type: {code}"
        self._call(path, headers, json.dumps(body))

    def _identity(self) -> str:
        return f"Lambda-Extension-Identifier: {self._identifier}"

    def _call(self, path: str, headers: str, body: str) -> tuple[bytes, bytes]:
        connection = self._connect(path)
        try:
            connection.sendall(self._request("POST", path, headers, body))
            return _receive(connection, path)
        except OSError as fault:
            raise ExtensionsApiError(path, 0, repr(fault)) from fault
        finally:
            connection.close()

    def _connect(self, path: str) -> _socket.socket:
        connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            connection.connect(self._address)
        except OSError as fault:
            connection.close()
            raise ExtensionsApiError(path, 0, repr(fault)) from fault
        return connection

    def _request(self, method: str, path: str, headers: str, body: str) -> bytes:
        host, port = self._address
        return (
            f"{method} {_VERSION}{path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"{headers}\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"
        ).encode()

    def _hang_up(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None


def _receive(connection: _socket.socket, path: str) -> tuple[bytes, bytes]:
    """One answer: its head and body."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection, received, path)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(_header(head, b"content-length") or 0)
    while len(body) < length:
        body += _more(connection, body, path)
    status = int(head.split(b" ", 2)[1])
    if status >= 300:  # noqa: PLR2004  the end of the 2xx
        raise ExtensionsApiError(path, status, body.decode(errors="replace"))
    return head, body


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
