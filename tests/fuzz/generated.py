"""Streams of requests, and what a server that is right answers to them.

A stream is what one client sends on one connection: requests that are good, nearly
good or damaged, and garbage, one behind the other, cut into segments anywhere. What to
expect is worked out by the port's own grammar, head by head, each beside h11; the
server must come to the same however the bytes arrive.
"""

from __future__ import annotations

import functools
from random import Random
from typing import NamedTuple

from extension.http1 import END_OF_HEAD, MAX_HEAD_BYTES, Request, is_hopeless
from extension.routes import STATS, legacy_route, route
from rotaware.errors import RequestError
from rotaware.secret import KMS, SECRETS_MANAGER
from tests.fuzz.differences import DIFFERENCES, compare
from tests.fuzz.mutations import mutated

TOKEN = "local-session-token"
SECRETS = ("app/db", "other")
PARAMETERS = ("/app/url",)
LISTED = frozenset({*SECRETS, "missing"})
_MOST_REQUESTS = 24
_CRLF = b"\r\n"
_TOKEN_FIELD = b"X-Aws-Parameters-Secrets-Token: " + TOKEN.encode()
_HOSTS = [b"localhost", b"localhost:2773", b"127.0.0.1", b"127.0.0.1:2773", b"[::1]:1"]
_EVIL_HOSTS = [
    b"rebound.example",
    b"127.0.0.1.rebound.example",
    b"169.254.169.254",
    b"",
]
_TARGETS = [
    b"/secretsmanager/get?secretId=app/db",
    b"/secretsmanager/get/?versionStage=AWSCURRENT&secretId=app%2Fdb",
    b"/v1/other",
    b"/v1/app/db?insteadOf=nothing",
    b"/systemsmanager/parameters/get?name=/app/url",
    b"/systemsmanager/parameters/get/?name=%2Fapp%2Furl&withDecryption=true",
    b"/cache/app/db",
    b"/cache/app%2Fdb",
    b"/secrets?name=other",
    b"/?name=app%2Fdb",
    b"/ping",
    b"/stats",
]
_WRONG_TARGETS = [
    b"/",
    b"/v1/",
    b"/ping/",
    b"//ping",
    b"/secretsmanager/get",
    b"/secretsmanager/get?secretId=app/db&secretId=other",
    b"/secretsmanager/get?secretId=%zz",
    b"/v1/missing",
    b"/cache/",
    b"/cache/missing",
    b"/cache/unlisted",
    b"/secrets",
    b"/?name",
    b"/kms/get?name=HOME",
    b"/systemsmanager/parameters/path",
    b"/v1/app/db?refreshNow=maybe",
    b"/v1/" + b"x" * 3000,
    b"*",
    b"http://localhost/ping",
    b"localhost:2773",
    b"/v1/\xff",
    "/v1/à".encode(),
    b"/v1/a b",
]
_METHODS = [b"HEAD", b"POST", b"PUT", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b"G@T"]
_FIELDS = [
    b"Accept: */*",
    b"User-Agent: node-fetch/1.0",
    b"Connection: keep-alive",
    b"Content-Length: 0",
    b"ACCEPT-ENCODING:\tgzip, deflate ",
    "X-Name: à".encode(),
    b"X-Empty:",
    b"Cookie: a=b; c=d",
]
_LAST_FIELDS = [b"Connection: close", b"connection: Keep-Alive, Close"]
_WRONG_FIELDS = [
    b"X-Forwarded-For: 10.0.0.1",
    b"Forwarded: for=a",
    b"X-Vault-Token: wrong",
    b"Host: rebound.example",
    b"Content-Length: 5",
    b"Content-Length: +0",
    b"Content-Length: 0, 0",
    b"Content-Length: 99999999999999999999999999",
    b"Content-Length: 0\r\nContent-Length: 5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 0",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding:\x0bchunked",
    b"X: a\r\n b",
    b"X: a\nY: b",
    b"X: a\rY: b",
    b"X: a\0b",
    b"X\0: a",
    b": a",
    b"no colon",
    b"X: " + b"x" * MAX_HEAD_BYTES,
]
_VERSIONS = [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.1 ", b"http/1.1", b""]
_GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\nHost: localhost\n\n",
    b"5\r\nabcde\r\n0\r\n\r\n",
    b"\r\n\r\n",
    b"\n",
]
_WORDS = [_CRLF, b"\n", END_OF_HEAD, b" ", b":", b"\t", b"\0", b"/", b"%", b"HTTP/1.1"]


class Expected(NamedTuple):
    """One answer.

    Attributes:
        method: Of the request that it answers.
        statuses: What it may say.
        is_last: Whether the connection ends with it.
    """

    method: str
    statuses: frozenset[int]
    is_last: bool


class Stream(NamedTuple):
    """What a client sends.

    Attributes:
        segments: In so many writes.
        requests: How many requests it is meant to hold.
    """

    segments: list[bytes]
    requests: int

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self.segments)


class Generator:
    """Makes streams; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  repeatable is what it should be

    def stream(self) -> Stream:
        """The next one."""
        random = self._random
        count = random.choice((1, 2, random.randint(1, _MOST_REQUESTS)))
        requests = [self._good() for _ in range(count)]
        if random.random() < 0.8:
            damaged = random.choice((self._nearly_good, self._mutated, self._garbage))
            place = random.choice((count - 1, random.randrange(count)))
            requests[place] = damaged()
        return Stream(self._cut(b"".join(requests)), count)

    def _good(self) -> bytes:
        random = self._random
        fields = [b"Host: " + random.choice(_HOSTS), _TOKEN_FIELD]
        fields += random.sample(_FIELDS, random.randrange(3))
        random.shuffle(fields)
        return _request(random.choice(_TARGETS), fields)

    def _nearly_good(self) -> bytes:
        random = self._random
        fields = [b"Host: " + random.choice(_HOSTS), _TOKEN_FIELD]
        target, method, version = random.choice(_TARGETS), b"GET", b"HTTP/1.1"
        match random.randrange(8):
            case 0:
                target = random.choice(_WRONG_TARGETS)
            case 1:
                method = random.choice(_METHODS)
            case 2:
                version = random.choice(_VERSIONS)
            case 3:
                fields[0] = b"Host: " + random.choice(_EVIL_HOSTS)
            case 4:
                del fields[random.randrange(2)]
            case 5:
                fields.append(random.choice(_LAST_FIELDS))
            case 6:
                return random.choice(DIFFERENCES).example + END_OF_HEAD
            case _:
                fields.insert(random.randrange(3), random.choice(_WRONG_FIELDS))
        return _request(target, fields, method, version)

    def _mutated(self) -> bytes:
        return mutated(self._random, self._good(), _WORDS)

    def _garbage(self) -> bytes:
        random = self._random
        return random.choice((random.choice(_GARBAGE), random.randbytes(40)))

    def _cut(self, data: bytes) -> list[bytes]:
        random = self._random
        most = random.choice((0, 0, 1, 3, 20))
        places = sorted(random.randrange(len(data) + 1) for _ in range(most))
        ends = [*places, len(data)]
        return [data[a:b] for a, b in zip([0, *places], ends, strict=True) if a < b]


def _request(
    target: bytes,
    fields: list[bytes],
    method: bytes = b"GET",
    version: bytes = b"HTTP/1.1",
) -> bytes:
    line = b" ".join((method, target, version))
    return _CRLF.join((line, *fields)) + END_OF_HEAD


def expected(data: bytes, *, has_token: bool) -> list[Expected]:
    """The answers to a stream; AssertionError if h11 takes a head for another.

    Args:
        data: The stream.
        has_token: Whether it is the main port that it was sent to.
    """
    answers: list[Expected] = []
    while data and not (answers and answers[-1].is_last):
        head, end, rest = data.partition(END_OF_HEAD)
        early = frozenset({400} if is_hopeless(head) else ())
        if len(head) + len(end) > MAX_HEAD_BYTES:
            answers.append(_refused(431, early))
        elif end:
            answers.append(_answer(head, early, has_token=has_token))
        elif early:
            answers.append(_refused(400, early))
        data = rest
    return answers


@functools.lru_cache(maxsize=10_000)
def _answer(head: bytes, early: frozenset[int], *, has_token: bool) -> Expected:
    request = compare(head)
    if isinstance(request, RequestError):
        return _refused(request.status, early)
    statuses = frozenset(_statuses(request, has_token=has_token))
    return Expected(request.method, statuses, not request.keep_alive)


def _refused(status: int, early: frozenset[int]) -> Expected:
    return Expected("GET", frozenset({status} | early), is_last=True)


def _statuses(request: Request, *, has_token: bool) -> set[int]:
    try:
        if has_token:
            ask = route(request, lambda: (TOKEN,))
        else:
            ask = legacy_route(request, LISTED)
    except RequestError as refusal:
        return {refusal.status}
    if ask is None or ask is STATS:
        return {200}
    known = SECRETS if ask.query.service == SECRETS_MANAGER else PARAMETERS
    if ask.query.is_path:
        return {200, 400, 502}
    # Of what it does not know, AWS says 400.
    missing = 400 if ask.bare is None else 404
    return {200 if ask.query.id in known and ask.query.service != KMS else missing}
