"""The JSON protocol: calls, answers, errors by kind, and AWS's clock."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware.aws_json import decode, encode, skew_seconds
from rotaware.errors import (
    AwsError,
    AwsSignatureError,
    AwsThrottledError,
    AwsUnavailableError,
)
from rotaware.http1 import Response

NOW = 1_790_000_000.0


def _error(status: int, document: object, **headers: str) -> AwsError:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(AwsError) as caught:
        decode(Response(status, headers, body))
    return caught.value


@pytest.mark.parametrize(
    ("service", "target", "version"),
    [
        ("secretsmanager", "secretsmanager.Ask", "1.1"),
        ("ssm", "AmazonSSM.Ask", "1.1"),
        ("kms", "TrentService.Ask", "1.1"),
        ("dynamodb", "DynamoDB_20120810.Ask", "1.0"),
    ],
)
def test_a_call_is_a_target_and_a_document(
    service: str, target: str, version: str
) -> None:
    """The service's own prefix and version of JSON, and the request as it is."""
    headers, body = encode(service, "Ask", {"A": "ä"})

    assert dict(headers) == {
        "X-Amz-Target": target,
        "Content-Type": f"application/x-amz-json-{version}",
    }
    assert json.loads(body) == {"A": "ä"}


@pytest.mark.parametrize(("body", "document"), [(b'{"A": 1}', {"A": 1}), (b"", {})])
def test_an_answer_is_a_document(body: bytes, document: dict[str, int]) -> None:
    """Operations that answer with nothing answer with an empty object."""
    assert document == decode(Response(200, {}, body))


@pytest.mark.parametrize(
    "body", [b"canary", b'"canary"', b"\xff\xfe", b"[" * 100000], ids=range(4)
)
def test_an_answer_that_is_no_document_may_pass(body: bytes) -> None:
    """Whatever came in AWS's place is not quoted: it could be a secret, cut short."""
    error = _error(200, body)

    assert isinstance(error, AwsUnavailableError)
    assert error.code == "ConnectionError"
    assert "canary" not in str(error)
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ResourceNotFoundException", 400, AwsError),
        ("ThrottlingException", 400, AwsThrottledError),
        ("ServiceUnavailable", 503, AwsUnavailableError),
    ],
)
def test_errors_have_their_kind(code: str, status: int, kind: type[AwsError]) -> None:
    """Refused, to be asked less often, or likely to pass."""
    error = _error(status, {"__type": code, "message": "why"})

    assert kind is type(error)
    assert (error.code, error.message, error.status) == (code, "why", status)


@pytest.mark.parametrize(
    ("document", "headers", "code"),
    [
        ({"__type": "com.amazonaws.x#Code"}, {}, "Code"),
        ({"__type": "Code:http://internal/"}, {}, "Code"),
        ({"code": "Code"}, {}, "Code"),
        ({"Code": "Code"}, {}, "Code"),
        ({}, {"x-amzn-errortype": "x#Code:http://internal/#y"}, "Code"),
        ({"__type": "Body"}, {"x-amzn-errortype": "Header"}, "Body"),
        ({}, {}, "404"),
        (["list"], {}, "404"),
        (b"<html>", {}, "404"),
    ],
)
def test_an_errors_code_is_found(
    document: object, headers: dict[str, str], code: str
) -> None:
    """In the body or a header, without its namespace; else it is the status."""
    assert code == _error(404, document, **headers).code


@pytest.mark.parametrize(
    ("status", "document", "code"),
    [
        (301, {}, "301"),
        (302, {"__type": "Moved", "message": "there"}, "Moved"),
        (399, {}, "399"),
        (400, b"<html>", "400"),
        (407, {"message": "who are you?"}, "407"),
    ],
)
def test_what_another_says_in_awss_place_may_pass(
    status: int, document: object, code: str
) -> None:
    """A redirect, or a refusal without AWS's code, is of a proxy between."""
    error = _error(status, document)

    assert AwsUnavailableError is type(error)
    assert (code, 502) == (error.code, error.status)


def test_an_error_says_something() -> None:
    """AWS's message in either spelling, or the status."""
    assert _error(400, {"Message": "why"}).message == "why"
    assert _error(400, b"<html>").message == "HTTP status 400 without a message"


def test_a_refused_signature_does_not_quote_the_request() -> None:
    """AWS repeats what it would have signed, and the session token stands in it."""
    message = "The signature does not match.\n\nThe Canonical String ... canary-token"

    error = _error(403, {"__type": "InvalidSignatureException", "message": message})

    assert AwsSignatureError is type(error)
    assert error.message == "The signature does not match."


@given(st.integers(0, 253402300799))
def test_a_clock_that_is_off_is_seen(date: int) -> None:
    """AWS's Date header tells how far, from four minutes on."""
    skew = skew_seconds(
        Response(403, {"date": formatdate(date, usegmt=True)}, b""), NOW
    )

    assert skew == (date - NOW if abs(date - NOW) > 240 else 0)


@pytest.mark.parametrize("off", [-241, -240, 0, 240, 241])
def test_four_minutes_are_tolerated(off: int) -> None:
    """AWS accepts five."""
    response = Response(403, {"date": formatdate(NOW + off, usegmt=True)}, b"")

    assert skew_seconds(response, NOW) == (off if abs(off) == 241 else 0)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"date": ""},
        {"date": "Fri, 20 Nov 2026 08:48 GMT"},
        {"date": "Fri, 20 Nov 2000 08:48:55 CET"},
        {"date": "Fri, 20 Foo 2000 08:48:55 GMT"},
    ],
)
def test_a_date_that_is_none_tells_nothing(headers: dict[str, str]) -> None:
    """Then the own clock is trusted."""
    assert skew_seconds(Response(403, headers, b""), NOW) == 0.0
