"""AWS's JSON 1.1 protocol: what a call and its answer look like. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rotaware.errors import AwsError, AwsUnavailableError, aws_error
from rotaware.sigv4 import utc_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from rotaware.http1 import Response

    Message: TypeAlias = tuple[tuple[tuple[str, str], ...], bytes]

_TARGETS = {
    "secretsmanager": "secretsmanager",
    "ssm": "AmazonSSM",
    "kms": "TrentService",
}
_TOLERATED_SKEW_SECONDS = 240.0
STALE_SIGNATURE = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


def encode(service: str, operation: str, request: Mapping[str, Any]) -> Message:
    """The headers that tell a call, and its body."""
    headers = (
        ("X-Amz-Target", f"{_TARGETS[service]}.{operation}"),
        ("Content-Type", "application/x-amz-json-1.1"),
    )
    return headers, json.dumps(dict(request)).encode()


def decode(response: Response) -> dict[str, Any]:
    """AWS's answer as a document, or as the error that it is."""
    try:
        document = json.loads(response.body or b"{}")
    except (ValueError, RecursionError):
        document = None  # and the error is gone: it would quote the answer
    if response.status >= 300:  # noqa: PLR2004  AWS redirects no JSON service
        raise _error(response, document if isinstance(document, dict) else {})
    if not isinstance(document, dict):
        raise AwsUnavailableError("ConnectionError", "the answer is no JSON object")
    return document


def _error(response: Response, document: dict[str, Any]) -> AwsError:
    status = response.status
    code = str(
        document.get("__type")
        or document.get("code")
        or document.get("Code")
        or response.headers.get("x-amzn-errortype")
        or status
    )
    code = code.partition(":")[0].rpartition("#")[2]
    message = str(
        document.get("message")
        or document.get("Message")
        or f"HTTP status {status} without a message"
    )
    if code in STALE_SIGNATURE:
        # What follows the first line repeats the request, session token included.
        message = message.partition("\n")[0]
    return aws_error(code, message, status)


def skew_seconds(response: Response, now: float) -> float:
    """How far AWS's clock is ahead of ours, where that is too far to sign with."""
    try:
        # Fri, 20 Nov 2026 08:48:55 GMT
        _, day, month, year, clock_time, zone = response.headers["date"].split(" ")
        hour, minute, second = clock_time.split(":")
        date = utc_seconds(
            int(year),
            _MONTHS.index(month) // 3 + 1,
            int(day),
            int(hour),
            int(minute),
            int(second),
        )
    except (KeyError, ValueError):
        return 0.0
    skew = date - now
    return skew if zone == "GMT" and abs(skew) > _TOLERATED_SKEW_SECONDS else 0.0
