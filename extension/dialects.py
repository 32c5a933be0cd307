"""How answers are written: as by the AWS extension, or the Secrets Manager Agent. Pure.

Both take documents in the shape of the AWS extension. Bodies are theirs to the byte,
where they are known; a refusal of the AWS extension is known to hide its cause, so ours
is the AWS services' own form instead.
"""

from __future__ import annotations

from binascii import a2b_base64

from extension.http1 import BYTES, JSON, TEXT, Response
from rotaware import lean_json as json
from rotaware.errors import AwsTimeoutError, RequestError
from rotaware.lean import TYPE_CHECKING, Protocol
from rotaware.sigv4 import utc_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rotaware.errors import RotawareError

_NO_SUCH_SECRET = "ResourceNotFoundException"  # noqa: S105  an error code
_NOT_FOUND = 404

# What encoding/json escapes for the sake of HTML and JavaScript.
_GO_ESCAPES = tuple((char, f"\\u{ord(char):04x}") for char in "<>&\u2028\u2029")

_AGENT_TEXTS = {
    "AccessDenied": "Bad Token",
    "Forwarded": "Forwarded",
    "MethodNotAllowed": "Not allowed",
    "NotFound": "Not found",
    "TooManyConnections": "Connection limit exceeded",
}
# Faults that it knows, too; it does not say what to do about them.
_AGENT_FAULTS = (
    "missing parameter secretId",
    "missing secret ID",
    "unknown parameter: ",
    "invalid refreshNow value",
)
_AGENT_CONNECTION_FAULTS = {
    "ConnectionError": "Read Error",
    "MalformedResponse": "Response Error",
}
_AGENT_OPTIONAL = ("SecretString", "SecretBinary", "VersionStages")

_compact = json.encoder(separators=(",", ":"), ensure_ascii=False)
_spaced = json.encoder()


class Dialect(Protocol):
    """One way of writing answers."""

    def document(self, document: Mapping[str, Any]) -> bytes:
        """The body that holds a document."""
        ...

    def refusal(self, error: RotawareError, cache_status: str = ...) -> Response:
        """An error."""
        ...


class AwsExtension:
    """As the AWS Parameters and Secrets extension, which is written in Go."""

    def document(self, document: Mapping[str, Any]) -> bytes:
        """As ``encoding/json`` writes it."""
        text = _compact(document)
        for char, escape in _GO_ESCAPES:
            text = text.replace(char, escape)
        return _utf8(text)

    def refusal(self, error: RotawareError, cache_status: str = "rotaware") -> Response:
        """As AWS's JSON services say it."""
        body = {"__type": error.code, "message": error.message}
        return Response(error.status, _spaced(body).encode(), cache_status)


class Agent(AwsExtension):
    """As the Secrets Manager Agent, which is written in Rust.

    What it does not serve is written as the AWS extension does.
    """

    def document(self, document: Mapping[str, Any]) -> bytes:
        """As ``serde_json`` writes it."""
        if "SecretString" not in document:
            return super().document(document)
        created = document["CreatedDate"]
        fields = {name: document[name] for name in ("ARN", "Name", "VersionId")}
        for name in _AGENT_OPTIONAL:
            if document[name] is not None:
                fields[name] = document[name]
        fields["CreatedDate"] = None if created is None else epoch_text(created)
        return _utf8(_compact(fields))

    def refusal(self, error: RotawareError, cache_status: str = "rotaware") -> Response:
        """Its own refusals as a text, AWS's as JSON."""
        text = _agent_text(error)
        if text is not None:
            return Response(error.status, _utf8(text), cache_status, TEXT)
        code, message = error.code, error.message
        if isinstance(error, AwsTimeoutError):
            message = "Timeout"
        elif code in _AGENT_CONNECTION_FAULTS:
            code, message = "ConnectionError", _AGENT_CONNECTION_FAULTS[code]
        body = {"__type": code, "message": message}
        if code == "InternalFailure" or not message:
            body = {"__type": "InternalFailure"}
        return Response(error.status, _utf8(_compact(body)), cache_status, JSON)


DIALECTS: dict[str, Dialect] = {"aws-extension": AwsExtension(), "agent": Agent()}


def bare(document: Mapping[str, Any], media_type: str, cache_status: str) -> Response:
    """The value alone; its bytes where it is binary."""
    for name in ("SecretString", "Value"):
        if document.get(name) is not None:
            return Response(200, _utf8(document[name]), cache_status, media_type)
    blob = document["SecretBinary" if "SecretBinary" in document else "Blob"]
    return Response(200, a2b_base64(blob), cache_status, BYTES)


def missing(refusal: Response, error: RotawareError) -> Response:
    """A refusal to who asked for a bare value, and may look at the status alone."""
    return (
        refusal._replace(status=_NOT_FOUND)
        if error.code == _NO_SUCH_SECRET
        else refusal
    )


def epoch_text(iso8601: str) -> str:
    """A date as ``rotaware.clock.iso8601`` writes it, in seconds since 1970."""
    date, _, time = iso8601.rstrip("Z").partition("T")
    year, month, day = map(int, date.split("-"))
    whole, dot, fraction = time.partition(".")
    hour, minute, second = map(int, whole.split(":"))
    return f"{utc_seconds(year, month, day, hour, minute, second)}{dot}{fraction}"


def _agent_text(error: RotawareError) -> str | None:
    """What the agent says; None for an error that it takes over from AWS."""
    if not isinstance(error, RequestError):
        return None
    if error.code in _AGENT_TEXTS:
        return _AGENT_TEXTS[error.code]
    fault, _, _ = error.message.rpartition("; ")
    return fault if fault.startswith(_AGENT_FAULTS) else error.message


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half of a character from beyond U+FFFF: JSON can say it, UTF-8 cannot.
        whole = ("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
        return "".join(whole).encode()
