"""The bytes of answers, in each dialect."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension.dialects import DIALECTS, Agent, AwsExtension, bare, epoch_text, missing
from extension.http1 import JSON, TEXT, Response
from rotaware.clock import iso8601
from rotaware.errors import (
    AwsError,
    AwsTimeoutError,
    AwsUnavailableError,
    RequestError,
    RotawareError,
)

SECRET: dict[str, Any] = {
    "ARN": "arn",
    "CreatedDate": "2022-11-16T08:22:40.5Z",
    "Name": "app/db",
    "SecretBinary": None,
    "SecretString": "a",
    "VersionId": "v1",
    "VersionStages": ["AWSCURRENT", "blue"],
    "ResultMetadata": {},
}
PARAMETER = {"Parameter": {"Name": "/a", "Value": "<a>", "Version": 1}}
STATUS = "rotaware; fwd=miss"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "plain"),
        ('"\\', '\\"\\\\'),
        ("\b\f\n\r\t", "\\b\\f\\n\\r\\t"),
        ("\0\x01\x1f\x7f", "\\u0000\\u0001\\u001f\x7f"),
        ("<>&", "\\u003c\\u003e\\u0026"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("é € 𝄞", "é € 𝄞"),
        ("a\ud834b", "a\ufffdb"),
    ],
)
def test_texts_as_go_writes_them(text: str, written: str) -> None:
    """UTF-8 as it is, but for what could mean something to a browser."""
    assert f'{{"a":"{written}"}}'.encode() == AwsExtension().document({"a": text})


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('"\\\b\f\n\r\t\0\x1f\x7f', '\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\x7f'),
        ("<>&\u2028\u2029é € 𝄞", "<>&\u2028\u2029é € 𝄞"),
        ("a\udd1eb", "a\ufffdb"),
    ],
)
def test_texts_as_the_agent_writes_them(text: str, written: str) -> None:
    """UTF-8 as it is."""
    body = Agent().document({**SECRET, "SecretString": text})

    assert f'"SecretString":"{written}",'.encode() in body


@pytest.mark.parametrize("dialect", DIALECTS)
@given(st.text())
def test_any_text_is_read_as_it_was(dialect: str, text: str) -> None:
    """By whoever knows JSON."""
    body = DIALECTS[dialect].document({**SECRET, "SecretString": text})

    assert text == json.loads(body)["SecretString"]


@pytest.mark.parametrize(
    ("document", "body"),
    [
        (
            SECRET,
            (
                '{"ARN":"arn","Name":"app/db","VersionId":"v1","SecretString":"a",'
                '"VersionStages":["AWSCURRENT","blue"],"CreatedDate":"1668586960.5"}'
            ),
        ),
        (
            {
                **SECRET,
                "SecretString": None,
                "SecretBinary": "YQ==",
                "CreatedDate": None,
                "VersionStages": None,
            },
            (
                '{"ARN":"arn","Name":"app/db","VersionId":"v1","SecretBinary":"YQ==",'
                '"CreatedDate":null}'
            ),
        ),
        # What the agent does not know.
        (
            PARAMETER,
            '{"Parameter":{"Name":"/a","Value":"\\u003ca\\u003e","Version":1}}',
        ),
    ],
)
def test_documents_of_the_agent(document: dict[str, Any], body: str) -> None:
    """Its order, nothing that is absent, and a date as text in seconds."""
    assert body.encode() == Agent().document(document)


def test_documents_of_the_aws_extension() -> None:
    """As they are, with nulls, and without blanks."""
    assert json.dumps(SECRET, separators=(",", ":")).encode() == (
        AwsExtension().document(SECRET)
    )


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("1970-01-01T00:00:00Z", "0"),
        ("2000-02-29T23:59:59.999Z", "951868799.999"),
        ("2022-11-16T08:22:40.046Z", "1668586960.046"),
        ("2100-03-01T00:00:00.5Z", "4107542400.5"),
    ],
)
def test_dates(date: str, seconds: str) -> None:
    """As many digits as are needed."""
    assert seconds == epoch_text(date)


@given(st.integers(0, 10**13))
def test_any_date_is_read_as_it_was(milliseconds: int) -> None:
    """To the millisecond."""
    assert milliseconds / 1000 == float(epoch_text(iso8601(milliseconds / 1000)))


REFUSALS = [
    (AwsError("AccessDeniedException", "no"), "AccessDeniedException", "no"),
    (AwsError("X", "né"), "X", "né"),
]


@pytest.mark.parametrize(("error", "code", "message"), REFUSALS)
def test_what_aws_says(error: AwsError, code: str, message: str) -> None:
    """In each dialect: its code, message and status."""
    for dialect in DIALECTS.values():
        refusal = dialect.refusal(error, STATUS)

        assert (400, STATUS, JSON) == (
            refusal.status,
            refusal.cache_status,
            refusal.content_type,
        )
        assert {"__type": code, "message": message} == json.loads(refusal.body)


def test_errors_are_said_as_aws_says_them() -> None:
    """Code and message are a JSON object's, the status is the error's own."""
    expected = Response(
        504, b'{"__type": "TimeoutError", "message": "\\u2026"}', STATUS
    )

    assert expected == AwsExtension().refusal(AwsTimeoutError("…"), STATUS)


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (
            AwsError("ResourceNotFoundException", "no"),
            400,
            '{"__type":"ResourceNotFoundException","message":"no"}',
        ),
        (
            AwsTimeoutError("no answer in time"),
            504,
            '{"__type":"TimeoutError","message":"Timeout"}',
        ),
        (
            AwsUnavailableError("ConnectionError", "reset"),
            502,
            '{"__type":"ConnectionError","message":"Read Error"}',
        ),
        (
            AwsUnavailableError("MalformedResponse", "no JSON"),
            502,
            '{"__type":"ConnectionError","message":"Response Error"}',
        ),
        (AwsError("X", ""), 400, '{"__type":"InternalFailure"}'),
        (RotawareError("see the log"), 500, '{"__type":"InternalFailure"}'),
    ],
)
def test_json_errors_of_the_agent(error: RotawareError, status: int, body: str) -> None:
    """As its tests have them."""
    refusal = Agent().refusal(error, STATUS)

    assert Response(status, body.encode(), STATUS, JSON) == refusal


@pytest.mark.parametrize(
    ("status", "code", "message", "text"),
    [
        (429, "TooManyConnections", "close some", "Connection limit exceeded"),
        (400, "Forwarded", "call directly", "Forwarded"),
        (403, "AccessDenied", "missing token", "Bad Token"),
        (405, "MethodNotAllowed", "GET only", "Not allowed"),
        (404, "NotFound", "no such path; there are", "Not found"),
        (
            400,
            "InvalidRequest",
            "missing parameter secretId; give a name",
            "missing parameter secretId",
        ),
        (400, "InvalidRequest", "missing secret ID; name it", "missing secret ID"),
        (
            400,
            "InvalidRequest",
            "unknown parameter: a; b; known here are c",
            "unknown parameter: a; b",
        ),
        (
            400,
            "InvalidRequest",
            "invalid refreshNow value; give true or false",
            "invalid refreshNow value",
        ),
        # What the agent does not know.
        (
            400,
            "InvalidRequest",
            "roleArn is not offered; x",
            "roleArn is not offered; x",
        ),
        (431, "HeaderTooLarge", "the head is over", "the head is over"),
    ],
)
def test_text_errors_of_the_agent(
    status: int, code: str, message: str, text: str
) -> None:
    """Word for word, and ours where it has none."""
    refusal = Agent().refusal(RequestError(status, code, message))

    assert Response(status, text.encode(), "rotaware", TEXT) == refusal


@pytest.mark.parametrize(
    ("document", "media_type", "body", "answered"),
    [
        (SECRET, TEXT, b"a", TEXT),
        ({**SECRET, "SecretString": "<é>"}, JSON, "<é>".encode(), JSON),
        ({**SECRET, "SecretString": ""}, TEXT, b"", TEXT),
        ({**SECRET, "SecretString": "\ud800"}, TEXT, "\ufffd".encode(), TEXT),
        (
            {
                **SECRET,
                "SecretString": None,
                "SecretBinary": base64.b64encode(b"\0\xff").decode(),
            },
            JSON,
            b"\0\xff",
            "application/octet-stream",
        ),
        ({"Name": "A", "Value": "b", "Blob": None}, TEXT, b"b", TEXT),
        (
            {"Name": "A", "Value": None, "Blob": "/w=="},
            TEXT,
            b"\xff",
            "application/octet-stream",
        ),
    ],
)
def test_bare_values(
    document: dict[str, Any], media_type: str, body: bytes, answered: str
) -> None:
    """Texts as they are asked for, and bytes."""
    assert Response(200, body, STATUS, answered) == bare(document, media_type, STATUS)


def test_an_empty_binary_secret() -> None:
    """Its bytes are none, and it is there."""
    document = {**SECRET, "SecretString": None, "SecretBinary": ""}

    assert b"" == bare(document, TEXT, STATUS).body


@pytest.mark.parametrize(
    ("code", "status"), [("ResourceNotFoundException", 404), ("DecryptionFailure", 400)]
)
def test_who_looks_at_the_status_alone(code: str, status: int) -> None:
    """Sees that there is no such secret; the reason is in the body."""
    error = AwsError(code, "no")
    refusal = AwsExtension().refusal(error)

    assert refusal._replace(status=status) == missing(refusal, error)
