"""What is fuzzed: each target takes any bytes, and raises only for a fault of ours.

Every one holds its parser to more than not crashing: to what another implementation
says, or to what must hold of any answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

import h11

from extension.config_file import entries
from extension.http1 import END_OF_HEAD, Request
from extension.routes import STATS, Ask, legacy_route, route
from rotaware.errors import RequestError, SheetError
from rotaware.http1 import BadAnswerError, Incoming, Response, read_response
from rotaware.secret import Query
from rotaware.sheet import Sheet, Stamp, decode, encode
from tests.fuzz.differences import DIFFERENCES, compare

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "token"
LISTED = frozenset({"app/db", "/"})
_NO_BODY = frozenset({204, 304})
_MOST_FAULTS = 5000


class Target(NamedTuple):
    """A parser under fuzzing.

    Attributes:
        take: Gives it bytes.
        seeds: Good and bad ones to start from.
        words: What its input is made of.
    """

    take: Callable[[bytes], None]
    seeds: list[bytes]
    words: tuple[bytes, ...]


def head(data: bytes) -> None:
    """A request's head, beside h11."""
    compare((data + END_OF_HEAD).partition(END_OF_HEAD)[0])


def grammar(data: bytes) -> None:
    """A target, with the right token, beside ``urllib``."""
    text = data.decode("latin-1")
    path, _, query = text.partition("?")
    headers = {"host": "localhost", "x-vault-token": TOKEN}
    request = Request("GET", path, query, headers, keep_alive=True)
    _without_token(request)
    try:
        ask = route(request, lambda: (TOKEN,))
    except RequestError:
        return
    if ask is None:
        assert path == "/ping"
        return
    if ask is STATS:
        assert path.rstrip("/") == "/stats"
        return
    assert isinstance(ask, Ask)
    assert ask.query.id.isprintable()
    named = unquote_to_bytes(_name(path, query).encode("latin-1")).decode()
    if ask.query.is_path:
        assert ask.query.id in (named.rstrip("/"), "/")
        return
    # A parameter's name may be followed by :version or :label.
    assert named == ask.query.id or (
        ask.query.service == "ssm" and named.startswith(f"{ask.query.id}:")
    )


def _without_token(request: Request) -> None:
    """Such a port gives the current version of what is listed, and nothing else."""
    try:
        ask = legacy_route(request, LISTED)
    except RequestError:
        return
    if ask is None:
        assert request.path == "/ping"
        return
    assert ask.query.id in LISTED
    assert ask == Ask(Query.secret(ask.query.id), bare=ask.bare)
    assert ask.bare is not None


def _name(path: str, query: str) -> str:
    """What names what is asked for."""
    for prefix in ("/v1/", "/cache/"):
        if path.startswith(prefix):
            return path.removeprefix(prefix)
    place = path.rstrip("/")
    names = {
        "/secretsmanager/get": "secretId",
        "/systemsmanager/parameters/path": "path",
    }
    return _fields(query)[names.get(place, "name")]


def _fields(query: str) -> dict[str, str]:
    pairs = [field.partition("=") for field in query.split("&")]
    return {
        unquote_to_bytes(name.encode("latin-1")).decode(errors="replace"): value
        for name, _, value in pairs
    }


def config(data: bytes) -> None:
    """A config file: a list of what is wanted, or of what is wrong."""
    text = data.decode(errors="replace")
    listed, faults = entries(text, lambda: 600.0)
    assert len(faults) < _MOST_FAULTS
    assert all(fault and isinstance(fault, str) for fault in faults)
    assert all(entry.query.id for entry in listed)


def sheet(data: bytes) -> None:
    """A stamp sheet: what is read is what can be written."""
    try:
        read = decode(data.decode(errors="replace"))
    except SheetError:
        return
    assert read == decode(encode(read))


def answer(data: bytes) -> None:
    """An answer of AWS or of the port, beside h11; however it is cut into pieces."""
    size = 1 + (data[0] if data else 0)
    data = data[1:]
    whole = _read_answer(data, len(data) + 1)
    assert whole == _read_answer(data, size)
    theirs = _theirs(data)
    if theirs is not None and whole is not None:
        assert theirs == (whole.status, whole.body)


def _read_answer(data: bytes, size: int) -> Response | None:
    pieces = [data[place : place + size] for place in range(0, len(data), size)]
    pieces.reverse()
    try:
        return read_response(Incoming(lambda: pieces.pop() if pieces else b""))[0]
    except BadAnswerError:
        return None


def _theirs(data: bytes) -> tuple[int, bytes] | None:
    """Status and body, where h11 reads a final answer to its end."""
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 17)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    body = bytearray()
    status = 0
    try:
        client.receive_data(data)
        client.receive_data(b"")
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None
    return None if status in _NO_BODY else (status, bytes(body))


_SHEET = Sheet(3, 1, 1_800_000_000, {"c2VjcmV0": Stamp("dmVyc2lvbg", 1_800_000_001)})
_HTTP = (
    b"\r\n", b"\r\n\r\n", b"\n", b" ", b": ", b"/", b"0", b"HTTP/1.1", b"HTTP/1.0",
    b"GET ", b"Host: a", b"X-Vault-Token: t", b"Connection: ", b"close", b"keep-alive",
    b"Content-Length: ", b"Transfer-Encoding: ", b"chunked", b"\xe9", b"9" * 30, b"200",
    b"\r\n0\r\n\r\n", b";", b"A", b"204", b"100 Continue", b"\t", b"\x85", b"\xa0",
    b"Transfer-Encoding: chunked", b"Content-Length: 0", b"\r\n ", b"\0",
)  # fmt: skip
_QUERY = (
    b"/secretsmanager/get", b"/systemsmanager/parameters/get", b"/v1/", b"/ping", b"?",
    b"/cache/", b"/secrets", b"/kms/get", b"/systemsmanager/parameters/path", b"path=",
    b"app/db", b"app%2Fdb", b"recursive=0", b"roleArn=",
    b"secretId=", b"versionId=", b"versionStage=", b"name=", b"version=", b"label=",
    b"refreshNow=true", b"insteadOf=", b"withDecryption=1", b"%", b"%2F", b"%C3%A9",
    b"&", b"+", b"\xc3\xa9", b"%00", b"%  ", b"%+1", b"%\xb2", b"9" * 30,
)  # fmt: skip
_YAML = (
    b"secrets:", b"parameters:", b"SecretManagers:", b"CacheManager:", b"id: ",
    b"ttl: ", b"stage: ", b"version: ", b"label: ", b"decrypt: ", b"- ", b"\n", b"  ",
    b"{", b"}",
    b"[", b"]", b"&a", b"*a", b"<<: ", b"!!", b"? ", b"|", b">", b"%YAML 1.1", b"---",
    b"\xff", b"\xef\xbb\xbf", b"[" * 500, b"null", b"~", b"'", b'"', b"#",
)  # fmt: skip
_JSON = (
    b'"format":', b'"stamps":', b'"base":', b'"born":', b'"horizon":', b"{", b"}", b"[",
    b"]", b",", b'"', b"null", b"true", b"1e999", b"NaN", b"-1", b"1.5", b"1" * 50,
    b"[" * 2000, b'"\\ud800"', b'"\\u"', b"\x00",
)  # fmt: skip

TARGETS = {
    "head": Target(
        head,
        [
            b"GET /v1/app/db HTTP/1.1\r\nHost: localhost:2773\r\nX-Vault-Token: t",
            b"GET /ping HTTP/1.0\r\nConnection: keep-alive",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: \t b \t",
            b"GET /a\tb HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX: a\r\nx: b",
            *(difference.example for difference in DIFFERENCES),
        ],
        _HTTP,
    ),
    "grammar": Target(
        grammar,
        [
            b"/secretsmanager/get?secretId=app%2Fdb&versionStage=AWSCURRENT",
            b"/systemsmanager/parameters/get/?name=/a/b&version=3&withDecryption=true",
            b"/v1/app/db?refreshNow=true&insteadOf=v1",
            b"/cache/app%2Fdb",
            b"/secrets?name=app/db",
            b"/?name=app%2Fdb",
            b"/kms/get?name=API_KEY",
            b"/systemsmanager/parameters/path?path=/a/&recursive=false",
        ],
        _QUERY,
    ),
    "config": Target(
        config,
        [
            b"secrets:\n  - app/db\n  - {id: app/other, ttl: 60, stage: AWSPENDING}\n",
            b"parameters:\n- id: /app/url\n  version: 3\n  decrypt: true\n",
            b"SecretManagers:\n  - secrets:\n    - a\n    - b\n",
            b"a: &x [*x]\n---\n!!python/object:os.system {? [] : b}\n",
            b"[" * 500,
            b"- " * 500,
            b"{a: " * 300,
        ],
        _YAML,
    ),
    "sheet": Target(
        sheet,
        [
            encode(Sheet()).encode(),
            encode(_SHEET).encode(),
            b'{"format":2}',
            b"[" * 2000,
            b'{"a":' * 400,
            b'{"base":0,"born":0,"format":1,"horizon":0,"stamps":{"a":["b",1.5]}}',
            b'{"base":0,"born":0,"format":1,"horizon":null,"stamps":[]}',
        ],
        _JSON,
    ),
    "answer": Target(
        answer,
        [
            b"\0HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            b"\1HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0"
            + END_OF_HEAD,
            b"\2HTTP/1.0 200 OK\r\nX: a\r\nx: b\r\n\r\nuntil the end",
            b"\3HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
            b"\4HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabcX\r\n0"
            + END_OF_HEAD,
            b"\5HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0"
            + END_OF_HEAD,
        ],
        _HTTP,
    ),
}
