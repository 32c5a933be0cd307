"""AWS's JSON protocols: what a call and its answer look like. Pure."""

from __future__ import annotations

from rotaware import lean_json as json
from rotaware.errors import (
    AwsError,
    AwsSignatureError,
    AwsUnavailableError,
    aws_error,
)
from rotaware.lean import TYPE_CHECKING
from rotaware.sigv4 import utc_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

    from rotaware.http1 import Response

    Message: TypeAlias = tuple[tuple[tuple[str, str], ...], bytes]

# Prefix of the targets, and the protocol's version.
_SERVICES = {
    "secretsmanager": ("secretsmanager", "1.1"),
    "ssm": ("AmazonSSM", "1.1"),
    "kms": ("TrentService", "1.1"),
    "dynamodb": ("DynamoDB_20120810", "1.0"),
}
_TOLERATED_SKEW_SECONDS = 240.0
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


def encode(service: str, operation: str, request: Mapping[str, Any]) -> Message:
    """The headers that tell a call, and its body."""
    target, version = _SERVICES[service]
    headers = (
        ("X-Amz-Target", f"{target}.{operation}"),
        ("Content-Type", f"application/x-amz-json-{version}"),
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
    error = aws_error(code, message, status)
    if isinstance(error, AwsSignatureError):
        # What follows the first line repeats the request, session token included.
        error.args = (message.partition("\n")[0],)
    if type(error) is AwsError and (code == str(status) or status < 400):  # noqa: PLR2004
        # AWS names what it refuses, and redirects nobody: a proxy spoke in its place.
        return AwsUnavailableError(code, message)
    return error


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
