"""The HTTP/1.1 grammar: as much of it as talking to AWS needs. Pure.

Rules:
1. A request is one piece of bytes, so that it leaves in one write.
2. An answer is taken from whatever portions its bytes arrive in.
3. What is not HTTP, is cut short or is larger than any answer of AWS is one error.
"""

from __future__ import annotations

from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_HEAD_BYTES = 64 * 1024
_BODY_BYTES = 16 * 1024 * 1024
_LEAST_STATUS, _MOST_STATUS = 200, 599
_STATUS_DIGITS = 3
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_ESCAPED = [chr(o) if o in _UNRESERVED else f"%{o:02X}" for o in range(256)]


class BadAnswerError(Exception):
    """What came back is not, or not all of, an HTTP answer."""


class Response(NamedTuple):
    """One HTTP answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        # The body may be a secret, and a traceback's locals may be printed.
        return f"<Response {self.status}, {len(self.body)} bytes>"


class Incoming:
    """Bytes from a peer, in the portions that the grammar asks for."""

    __slots__ = ("_buffer", "_receive", "begun")

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._buffer = bytearray()
        self.begun = False

    def line(self, limit: int) -> str:
        """Up to the next line end, without it."""
        while (end := self._buffer.find(b"\n")) < 0 and len(self._buffer) <= limit:
            self._more()
        if not 0 <= end <= limit:
            raise BadAnswerError("a line of the answer is too long")
        return self._take(end + 1).rstrip(b"\r\n").decode("latin-1")

    def exactly(self, size: int) -> bytes:
        """The next bytes."""
        while len(self._buffer) < size:
            self._more()
        return self._take(size)

    def rest(self, limit: int) -> bytes:
        """Everything until the peer hangs up."""
        while data := self._receive():
            self._buffer += data
            if len(self._buffer) > limit:
                raise BadAnswerError("the answer is too large")
        return self._take(len(self._buffer))

    def is_empty(self) -> bool:
        """Whether the peer has sent nothing beyond what was taken."""
        return not self._buffer

    def _more(self) -> None:
        data = self._receive()
        if not data:
            raise BadAnswerError("the connection ended before the answer did")
        self.begun = True
        self._buffer += data

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def encode_request(
    method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes = b""
) -> bytes:
    """A request as one piece, so that it leaves in one write."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join((*lines, "", "")).encode("ascii") + body


def percent_encoded(text: str) -> str:
    """The text as it can stand in a path's segment or a query's value."""
    return "".join([_ESCAPED[octet] for octet in text.encode()])


def read_response(incoming: Incoming) -> tuple[Response, bool]:
    """One answer, and whether the connection can be used for another."""
    version, status = _status_line(incoming.line(_HEAD_BYTES))
    headers = _headers(incoming)
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise BadAnswerError("the answer's length is not understood")
        body = _chunks(incoming)
    elif length is not None:
        body = incoming.exactly(_size(length, 10, _BODY_BYTES))
    else:
        return Response(status, headers, incoming.rest(_BODY_BYTES)), False
    reusable = (
        version == "HTTP/1.1"
        and headers.get("connection", "").lower() != "close"
        and incoming.is_empty()
    )
    return Response(status, headers, body), reusable


def _status_line(line: str) -> tuple[str, int]:
    version, _, rest = line.partition(" ")
    code = rest.partition(" ")[0]
    if version not in {"HTTP/1.1", "HTTP/1.0"} or len(code) != _STATUS_DIGITS:
        raise BadAnswerError("the answer is not HTTP")
    status = _size(code, 10, _MOST_STATUS)
    if status < _LEAST_STATUS:
        raise BadAnswerError("the answer is not a final one")
    return version, status


def _headers(incoming: Incoming) -> dict[str, str]:
    headers: dict[str, str] = {}
    left = _HEAD_BYTES
    while line := incoming.line(left):
        left -= len(line)
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise BadAnswerError("a header of the answer is not understood")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _chunks(incoming: Incoming) -> bytes:
    body = bytearray()
    while size := _size(
        incoming.line(_HEAD_BYTES).partition(";")[0].strip(), 16, _BODY_BYTES
    ):
        body += incoming.exactly(size)
        if len(body) > _BODY_BYTES:
            raise BadAnswerError("the answer is too large")
        if incoming.line(_HEAD_BYTES):
            raise BadAnswerError("a chunk of the answer has no end")
    _headers(incoming)
    return bytes(body)


def _size(text: str, base: int, limit: int) -> int:
    if not text.isascii() or not text.isalnum():
        raise BadAnswerError("a number in the answer is none")
    try:
        size = int(text, base)
    except ValueError:
        raise BadAnswerError("a number in the answer is none") from None
    if size > limit:
        raise BadAnswerError("the answer is too large")
    return size
