"""AWS Signature Version 4 for requests whose whole body is at hand.

Pure. Rules:
1. Every header of a request is signed, so what may change on the way is added later.
2. The path is normalised and encoded once more, as every service but S3 expects.
3. A day's signing key is kept: four of the five HMACs are the same all day.
"""

from __future__ import annotations

import time
from _hashlib import hmac_digest as digest
from _hashlib import openssl_sha256 as sha256

from rotaware.http1 import percent_encoded
from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rotaware.credentials import Credentials

_ALGORITHM = "AWS4-HMAC-SHA256"


class Request(NamedTuple):
    """One HTTP request.

    Attributes:
        query: As sent: percent-encoded, without the question mark.
        headers: Names in any case; a name may stand more than once.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        # The headers hold the session token; a traceback's locals may be printed.
        return f"<Request {self.method} {self.path}>"


class Signer:
    """Signs requests to one service in one Region."""

    __slots__ = ("_day_key", "_region", "_service")

    def __init__(self, service: str, region: str) -> None:
        self._service = service
        self._region = region
        self._day_key: tuple[str, str, bytes] | None = None

    def sign(
        self, request: Request, credentials: Credentials, epoch_seconds: float
    ) -> Request:
        """The request with its date, session token and Authorization headers."""
        date = amz_date(epoch_seconds)
        added = [("X-Amz-Date", date)]
        if credentials.session_token:
            added.append(("X-Amz-Security-Token", credentials.session_token))
        request = request._replace(headers=(*request.headers, *added))
        canonical, names = canonical_request(request)
        scope = f"{date[:8]}/{self._region}/{self._service}/aws4_request"
        key = self._key(credentials.secret_access_key, date[:8])
        text = string_to_sign(date, scope, canonical)
        authorization = (
            f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={_hmac(key, text).hex()}"
        )
        return request._replace(
            headers=(*request.headers, ("Authorization", authorization))
        )

    def _key(self, secret: str, day: str) -> bytes:
        kept = self._day_key
        if kept is not None and kept[:2] == (secret, day):
            return kept[2]
        key = f"AWS4{secret}".encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = _hmac(key, part)
        self._day_key = (secret, day, key)
        return key


def canonical_request(request: Request) -> tuple[str, str]:
    """What is signed of a request, and the names of its signed headers."""
    values: dict[str, list[str]] = {}
    for name, value in request.headers:
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    names = sorted(values)
    signed = ";".join(names)
    lines = [
        request.method,
        _canonical_path(request.path),
        _canonical_query(request.query),
        *(f"{name}:{','.join(values[name])}" for name in names),
        "",
        signed,
        sha256(request.body).hexdigest(),
    ]
    return "\n".join(lines), signed


def string_to_sign(date: str, scope: str, canonical: str) -> str:
    """The text that the signature is made of."""
    return f"{_ALGORITHM}\n{date}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"


def amz_date(epoch_seconds: float) -> str:
    """A moment as ``X-Amz-Date`` has it: 20150830T123600Z."""
    return "{:04}{:02}{:02}T{:02}{:02}{:02}Z".format(*time.gmtime(epoch_seconds)[:6])


def utc_seconds(  # noqa: PLR0913, PLR0917  the six fields of a civil date
    year: int, month: int, day: int, hour: int, minute: int, second: int
) -> int:
    """Seconds since 1970 of a civil UTC date: calendar.timegm without its imports."""
    if month <= 2:  # noqa: PLR2004  years are counted from March: leap days come last
        year -= 1
    leap_days = year // 4 - year // 100 + year // 400
    month_days = (153 * ((month + 9) % 12) + 2) // 5
    days = 365 * year + leap_days + month_days + day - 719469
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def _hmac(key: bytes, text: str) -> bytes:
    return digest(key, text.encode(), "sha256")


def _canonical_path(path: str) -> str:
    if path == "/":
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(percent_encoded(segment))
    slash = "/" if kept and path.endswith("/") else ""
    return f"/{'/'.join(kept)}{slash}"


def _canonical_query(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(f"{key}={value}" for key, _, value in sorted(pairs))
