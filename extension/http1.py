"""HTTP/1.1 as the local port speaks it: bytes in, values out. Pure.

Only what a GET needs is understood. Whatever is not plainly a well-formed request is
refused, and the connection closed, because what follows it cannot be trusted.
"""

from __future__ import annotations

from rotaware.errors import RequestError
from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEAD_BYTES = 16384
"""Of a head with the empty line that ends it."""
END_OF_HEAD = b"\r\n\r\n"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"

_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
_TOKEN = frozenset(
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
_TOKEN_BYTES = "".join(_TOKEN).encode()
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\r\n"))
_REQUEST_LINE_PARTS = 3
_ONLY_ONCE = frozenset(
    {"content-length", "host", "x-aws-parameters-secrets-token", "x-vault-token"}
)
_HEX = frozenset("0123456789abcdefABCDEF")
_HEX_DIGITS = 2


class Request(NamedTuple):
    """One request without a body.

    Attributes:
        method: As sent.
        path: As sent, still percent-encoded.
        query: What follows the first ``?``, still percent-encoded.
        headers: By lower-case name.
        keep_alive: Whether the client wants the connection kept.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    keep_alive: bool

    def rendered(self, response: Response) -> bytes:
        """An answer to it, to be sent by one write."""
        only_head = self.method == "HEAD"  # its answer ends there, whatever it says
        return render(response, keep_alive=self.keep_alive, only_head=only_head)

    def __repr__(self) -> str:
        # The headers hold the token, and a traceback's locals may be printed.
        return f"<Request {self.method} {self.path}>"


class Response(NamedTuple):
    """One answer.

    Attributes:
        status: The HTTP status.
        body: What it says.
        cache_status: The ``Cache-Status`` field.
        content_type: The body's media type.
    """

    status: int
    body: bytes
    cache_status: str = "rotaware"
    content_type: str = JSON

    def __repr__(self) -> str:
        # The body may be a secret.
        return f"<Response {self.status}, {len(self.body)} bytes>"


def parse_head(head: bytes) -> Request:
    """Read a request's head, without the empty line that ends it.

    Raises:
        RequestError: It is malformed, or wants what this port does not offer.
    """
    if len(head.translate(None, _CONTROLS)) < len(head) or _has_stray_ends(head):
        raise _malformed("the head holds control characters, or lines without CRLF")
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != _REQUEST_LINE_PARTS or "\t" in lines[0]:
        raise _malformed("the request line is not METHOD SP TARGET SP VERSION")
    method, target, version = parts
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise RequestError(505, "HttpVersionNotSupported", "speak HTTP/1.1")
    if not target.startswith("/") or not method or not set(method) <= _TOKEN:
        raise _malformed("the request line names no method and path")
    headers = _headers(lines[1:])
    if version == "HTTP/1.1" and "host" not in headers:
        raise _malformed("the Host header is missing")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise RequestError(413, "ContentTooLarge", "this port takes no request bodies")
    path, _, query = target.partition("?")
    options = {
        word.strip() for word in headers.get("connection", "").lower().split(",")
    }
    # After another method it is unclear whether the client expects a body.
    keep_alive = (
        method == "GET"
        and "close" not in options
        and (version == "HTTP/1.1" or "keep-alive" in options)
    )
    return Request(method, path, query, headers, keep_alive)


def is_hopeless(beginning: bytes) -> bool:
    """Whether no head begins like this: it is no use to wait for the rest.

    So is a TLS handshake, and what ends its lines by LF alone.
    """
    return beginning[:1] not in _TOKEN_BYTES or _has_stray_ends(beginning.rstrip(b"\r"))


def render(
    response: Response, *, keep_alive: bool = True, only_head: bool = False
) -> bytes:
    """The whole answer, or all but its body, to be sent by one write."""
    close = "" if keep_alive else "Connection: close\r\n"
    allow = "Allow: GET\r\n" if response.status == 405 else ""  # noqa: PLR2004
    head = (
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Error')}\r\n"
        f"Content-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n"
        "Cache-Control: no-store\r\n"
        f"Cache-Status: {response.cache_status}\r\n"
        f"{close}{allow}\r\n"
    ).encode("latin-1")
    return head if only_head else head + response.body


def unquote(text: str) -> str:
    """Decode percent-encoding; ``+`` stands for itself, as names may hold it.

    Raises:
        ValueError: An escape is malformed, or the bytes are no UTF-8.
    """
    first, *rest = text.split("%")
    decoded = bytearray(first.encode("latin-1"))
    for part in rest:
        digits, plain = part[:_HEX_DIGITS], part[_HEX_DIGITS:]
        if len(digits) < _HEX_DIGITS or not set(digits) <= _HEX:
            raise ValueError("malformed percent-encoding")
        decoded += bytes.fromhex(digits) + plain.encode("latin-1")
    return decoded.decode()


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or not set(name) <= _TOKEN:
            raise _malformed("a header is malformed")
        name = name.lower()
        value = value.strip(" \t")
        if name in headers:
            if name in _ONLY_ONCE:
                raise _malformed(f"the header {name} is repeated")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _has_stray_ends(text: bytes) -> bool:
    """Whether there is a CR or an LF outside of a CRLF."""
    return not text.count(b"\r") == text.count(b"\n") == text.count(b"\r\n")


def _malformed(message: str) -> RequestError:
    return RequestError(400, "MalformedRequest", message)
