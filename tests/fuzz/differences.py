"""Where the local port and h11 disagree about a request's head, and why.

h11 is a server for everybody and lenient where clients in the field are sloppy. This
port has few clients, and a token to guard: what is not plainly right is refused. Any
other disagreement is a fault; ``compare`` raises it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import h11

from extension.http1 import END_OF_HEAD, MAX_HEAD_BYTES, parse_head
from rotaware.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from extension.http1 import Request

_CONTROLS = frozenset({*range(0x20), 0x7F} - {*b"\t\r\n"})


class Head(NamedTuple):
    """A head, taken apart without understanding much of it."""

    raw: bytes
    target: bytes
    version: bytes
    fields: list[tuple[bytes, bytes]]

    @classmethod
    def of(cls, raw: bytes) -> Head:
        """Split at every LF, as h11 does."""
        lines = [line.removesuffix(b"\r") for line in raw.split(b"\n")]
        parts = [*lines[0].split(b" "), b"", b"", b""]
        pairs = [line.partition(b":") for line in lines[1:]]
        fields = [(name.lower(), value.strip(b" \t")) for name, _, value in pairs]
        return cls(raw, parts[1], parts[2], fields)

    def values(self, name: bytes) -> list[bytes]:
        """What is said under that name."""
        return [value for field, value in self.fields if field == name]


class Difference(NamedTuple):
    """One deliberate disagreement.

    Attributes:
        name: As ``docs/port.md`` calls it.
        refused: Whether the port refuses what h11 takes; else the other way round.
        applies: Whether a head is of this kind.
        example: One that is.
    """

    name: str
    refused: bool
    applies: Callable[[Head], bool]
    example: bytes


def _get(*lines: bytes, target: bytes = b"/", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([b"GET %b %b" % (target, version), b"Host: localhost", *lines])


def _has_body(head: Head) -> bool:
    lengths = head.values(b"content-length")
    return bool(head.values(b"transfer-encoding")) or any(
        length != b"0" for length in lengths
    )


def _is_repeated(head: Head) -> bool:
    names = (b"content-length", b"x-aws-parameters-secrets-token", b"x-vault-token")
    return any(len(head.values(name)) > 1 for name in names)


def _has_bare_lf(head: Head) -> bool:
    return head.raw.count(b"\n") > head.raw.count(b"\r\n")


DIFFERENCES = [
    Difference(
        "a target that is not a path",
        refused=True,
        applies=lambda head: not head.target.startswith(b"/"),
        example=_get(target=b"http://localhost/ping"),
    ),
    Difference(
        "a version other than 1.0 and 1.1",
        refused=True,
        applies=lambda head: head.version not in {b"HTTP/1.0", b"HTTP/1.1"},
        example=_get(version=b"HTTP/2.0"),
    ),
    Difference(
        "a request body",
        refused=True,
        applies=_has_body,
        example=_get(b"Content-Length: 5"),
    ),
    Difference(
        "a repeated Content-Length or token",
        refused=True,
        applies=_is_repeated,
        example=_get(b"X-Vault-Token: a", b"X-Vault-Token: b"),
    ),
    Difference(
        "a folded header",
        refused=True,
        applies=lambda head: b"\n " in head.raw or b"\n\t" in head.raw,
        example=_get(b"X: a", b" b"),
    ),
    Difference(
        "a line that ends with LF alone",
        refused=True,
        applies=_has_bare_lf,
        example=_get(b"X: a\nY: b"),
    ),
    Difference(
        "a control character in a header",
        refused=True,
        applies=lambda head: not _CONTROLS.isdisjoint(head.raw),
        example=_get(b"X: a\x01b"),
    ),
    Difference(
        "a raw byte over 127 in the target",
        refused=False,
        applies=lambda head: not head.target.isascii(),
        example=_get(target="/v1/é".encode()),
    ),
]


def compare(raw: bytes) -> Request | RequestError:
    """What the port makes of a head, which is what h11 makes of it, or explained.

    Raises:
        AssertionError: They differ, for no reason that is listed.
    """
    ours = _ours(raw)
    theirs = _theirs(raw)
    if isinstance(ours, RequestError) == isinstance(theirs, str):
        if not isinstance(ours, RequestError) and not isinstance(theirs, str):
            _require_equal(ours, *theirs)
        return ours
    if not reasons(raw, refused=isinstance(ours, RequestError)):
        raise AssertionError(f"no listed difference: {raw!r}: {ours!r}, h11: {theirs}")
    return ours


def reasons(raw: bytes, *, refused: bool) -> list[str]:
    """The listed differences that a head shows."""
    head = Head.of(raw)
    return [
        difference.name
        for difference in DIFFERENCES
        if difference.refused == refused and difference.applies(head)
    ]


def takes(raw: bytes) -> tuple[bool, bool]:
    """Whether the port takes a head, and whether h11 does."""
    return not isinstance(_ours(raw), RequestError), not isinstance(_theirs(raw), str)


def _ours(raw: bytes) -> Request | RequestError:
    try:
        return parse_head(raw)
    except RequestError as refusal:
        return refusal


def _theirs(raw: bytes) -> tuple[h11.Request, object] | str:
    """The request and what comes next (None: its body), or why it is refused."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=2 * MAX_HEAD_BYTES)
    try:
        server.receive_data(raw + END_OF_HEAD)
        request = server.next_event()
        if not isinstance(request, h11.Request):
            return f"{request!r}"
        end = server.next_event()
    except h11.RemoteProtocolError as refusal:
        return str(refusal)
    ends_here = isinstance(end, h11.EndOfMessage) and not server.trailing_data[0]
    return request, server.their_state if ends_here else None


def _require_equal(ours: Request, theirs: h11.Request, state: object) -> None:
    if state is None:
        raise AssertionError(f"a body would be taken for a request: {ours!r}")
    target = theirs.target.decode("latin-1")
    headers: dict[str, str] = {}
    for raw_name, raw_value in theirs.headers:
        name, value = raw_name.decode(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path, _, query = target.partition("?")
    expected = (theirs.method.decode(), path, query, headers)
    if expected != (ours.method, ours.path, ours.query, ours.headers):
        raise AssertionError(f"read differently: {expected}: {ours[:4]}")
    # The port keeps HTTP/1.0 too if it is asked to, but no method except GET.
    kept = state is h11.DONE and theirs.method == b"GET"
    if theirs.http_version == b"1.1" and ours.keep_alive != kept:
        raise AssertionError(f"kept differently: {ours!r}")
