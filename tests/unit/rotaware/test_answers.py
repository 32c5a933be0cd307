"""The port's answers become values, or errors without the value."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware.answers import (
    Secret,
    about,
    changed,
    document_of,
    parameter_value,
    parameter_values,
    refusal,
    secret_of,
    text_of,
    transformation,
    variable_value,
)
from rotaware.errors import (
    AwsError,
    AwsThrottledError,
    AwsTimeoutError,
    AwsUnavailableError,
    ExtensionError,
    RotawareError,
    TransformError,
)
from rotaware.http1 import Response

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "canary-b7f3a1"


def answer(status: int, document: object) -> Response:
    """An answer of the port with a JSON body."""
    return Response(status, {}, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("status", "code", "kind", "later_code"),
    [
        (400, "ResourceNotFoundException", AwsError, "ResourceNotFoundException"),
        (400, "AccessDeniedException", AwsError, "AccessDeniedException"),
        (403, "AccessDenied", AwsError, "AccessDenied"),
        (400, "ThrottlingException", AwsThrottledError, "ThrottlingException"),
        (
            429,
            "TooManyRequestsException",
            AwsThrottledError,
            "TooManyRequestsException",
        ),
        (400, "SlowDown", AwsThrottledError, "SlowDown"),
        (400, "RequestTimeout", AwsUnavailableError, "RequestTimeout"),
        (502, "ConnectionError", AwsUnavailableError, "ConnectionError"),
        (500, "InternalFailure", AwsUnavailableError, "InternalFailure"),
        (504, "TimeoutError", AwsTimeoutError, "TimeoutError"),
    ],
)
def test_an_error_document_is_its_error(
    status: int, code: str, kind: type[AwsError], later_code: str
) -> None:
    """AWS's code, message and status come back as the error of that kind."""
    error = refusal(answer(status, {"__type": code, "message": "why"}), 2773)

    assert kind is type(error)
    assert (later_code, "why", status) == (error.code, error.message, error.status)


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (403, "Bad Token", "AccessDenied"),
        (400, "missing parameter secretId", "InvalidRequest"),
    ],
)
def test_a_refusal_in_the_agents_words_is_told(
    status: int, text: str, code: str
) -> None:
    """The extension itself refused, and answers as the Secrets Manager Agent does."""
    headers = {"cache-status": "rotaware; fwd=bypass"}
    error = refusal(Response(status, headers, text.encode()), 2773)

    assert AwsError is type(error)
    assert (code, text, status) == (error.code, error.message, error.status)


@pytest.mark.parametrize(
    "body",
    [b"not ready", b"", b"[]", b'{"message": "x"}', b'{"__type": 1}', b"[" * 100_000],
    ids=["text", "nothing", "list", "no type", "number", "deep"],
)
def test_a_stranger_on_the_port_is_told(body: bytes) -> None:
    """An error that is none of ours is not quoted; the message says what to set."""
    error = refusal(Response(400, {}, body), 4000)

    assert ExtensionError is type(error)
    assert (
        "port 4000 answers with status 400 and no error document; set"
        " PARAMETERS_SECRETS_EXTENSION_HTTP_PORT to the port of the rotaware extension"
    ) == error.message


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ({"SecretString": "text", "SecretBinary": None}, "text"),
        ({"SecretString": "", "SecretBinary": None}, ""),
        ({"SecretString": None, "SecretBinary": "AAH/"}, b"\x00\x01\xff"),
        ({"SecretBinary": ""}, b""),
    ],
)
def test_a_secret_is_text_or_bytes(
    document: dict[str, Any], value: str | bytes
) -> None:
    """Text comes back as it is, a binary secret as its bytes."""
    assert value == secret_of("a", document).value


@pytest.mark.parametrize(
    ("document", "version", "stages"),
    [
        ({"VersionId": "v1", "VersionStages": ["A", "B"]}, "v1", ("A", "B")),
        ({"VersionId": None, "VersionStages": None}, "", ()),
        ({"VersionId": 1, "VersionStages": "A"}, "", ()),
    ],
)
def test_a_secret_knows_its_version(
    document: dict[str, Any], version: str, stages: tuple[str, ...]
) -> None:
    """As far as the answer tells it."""
    secret = secret_of("a", {"SecretString": "x", **document})

    assert ("a", version, stages) == (
        secret.id,
        secret.version_id,
        secret.version_stages,
    )


def test_a_secret_cannot_be_shown_or_copied_by_accident() -> None:
    """Its text form names secret and version, and it refuses to be pickled."""
    secret = Secret("db", CANARY, "v1", ("AWSCURRENT",))

    assert "<Secret db, version v1, value hidden>" == repr(secret) == f"{secret}"
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"^a secret cannot be pickled or copied$"):
            take(secret)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (AwsError("NotFound", "Not found.", 404), "Not found. (db)"),
        (AwsThrottledError("Slow", "", 429), "(db)"),
        (AwsTimeoutError("no answer about app/db"), "no answer about app/db (db)"),
        (AwsError("NotFound", "None (db: make it)"), "None (db: make it)"),
    ],
)
def test_an_error_is_about_what_was_read(error: AwsError, message: str) -> None:
    """Its message names that, once; kind, code and status stay."""
    told = about("db", error)

    assert (message, error.code, error.status) == (told.message, told.code, told.status)
    assert type(error) is type(told)
    assert told is not error


def test_a_parameter_is_text() -> None:
    """A parameter is its value."""
    assert "v" == parameter_value("/a", {"Parameter": {"Value": "v"}})


def test_what_stands_under_a_path_is_named_without_it() -> None:
    """With or without a slash behind the path; names elsewhere keep theirs."""
    document = {
        "Parameters": [
            {"Name": "/a/b", "Value": "1"},
            {"Name": "/a/c/d", "Value": "2"},
            {"Name": "/x", "Value": "3"},
        ]
    }

    assert {"b": "1", "c/d": "2", "x": "3"} == parameter_values("/a", document)
    assert {"b": "1", "c/d": "2", "x": "3"} == parameter_values("/a/", document)
    assert {"a/b": "1", "a/c/d": "2", "x": "3"} == parameter_values("/", document)


def test_a_variable_is_text_or_bytes() -> None:
    """Bytes only where they are no text."""
    assert "\u00e9" == variable_value("A", text_of("\u00e9".encode()))
    assert b"\xff" == variable_value("A", text_of(b"\xff"))


@pytest.mark.parametrize(
    "take", [secret_of, parameter_value, parameter_values, variable_value]
)
@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"SecretString": [CANARY]},
        {"SecretBinary": "A"},
        {"SecretBinary": CANARY + "\u00e9"},
        {"Parameter": CANARY},
        {"Parameter": {"Value": {CANARY: 1}}},
        {"Parameters": [CANARY]},
        {"Parameters": [{"Name": "a", "Value": 1}]},
        {"Parameters": [{"Value": CANARY}]},
        {"Parameters": [{"Name": None, "Value": CANARY}]},
    ],
    ids=range(12),
)
def test_an_odd_answer_is_refused_unquoted(
    take: Callable[[str, Any], object], document: object
) -> None:
    """What is no answer about this is refused, by name, without showing it."""
    with pytest.raises(ExtensionError, match=r"^prod/db: the answer is not unde") as e:
        take("prod/db", document)

    assert CANARY not in str(e.value)
    frames = [frame for frame, _ in traceback.walk_tb(e.value.__traceback__)][1:]
    assert [] == [f for f in frames if CANARY in repr(f.f_locals)]
    assert e.value.__context__ is None


@pytest.mark.parametrize(
    ("name", "transform", "value", "result"),
    [
        ("a", None, "text", "text"),
        ("a", None, b"\xff", b"\xff"),
        ("a", "json", '{"b": 1}', {"b": 1}),
        ("a.b", "json", b'{"b": 1}', {"b": 1}),
        ("a", "binary", "AAH/", b"\x00\x01\xff"),
        ("a.json", "auto", "[1]", [1]),
        ("a.binary", "auto", "AA==", b"\x00"),
        ("a.txt", "auto", "[1]", "[1]"),
        ("json", "auto", "[1]", [1]),
        ("a", int, "12", 12),
    ],
)
def test_a_value_is_transformed(
    name: str, transform: Any, value: str | bytes, result: object
) -> None:
    """Words mean what they mean in Powertools; a function is called with the text."""
    assert result == changed(name, value, transformation(name, transform))


@pytest.mark.parametrize("transform", ["xml", "", 0])
def test_an_unknown_transform_is_refused(transform: Any) -> None:
    """A word that is no transform is a mistake in the program."""
    with pytest.raises(ValueError, match=r"is no transform; use 'json', 'binary'"):
        transformation("a", transform)


@pytest.mark.parametrize(
    ("transform", "value", "fault"),
    [
        (
            "json",
            f"{{{CANARY}",
            "is not JSON; store JSON, or leave the transform out to get its text",
        ),
        (
            "binary",
            f"{CANARY}\u00e9",
            "is not base64; store base64, or leave the transform out",
        ),
        (
            "json",
            b"\xff" + CANARY.encode(),
            "is binary, not text; leave the transform out to get its bytes",
        ),
        (
            int,
            CANARY,
            "cannot be transformed: the function that was given raised ValueError",
        ),
    ],
)
def test_a_failed_transform_does_not_hold_the_value(
    transform: Any, value: str | bytes, fault: str
) -> None:
    """The error names the secret; neither it nor its causes know the value."""
    with pytest.raises(TransformError) as raised:
        changed("prod/db", value, transformation("prod/db", transform))

    assert f"prod/db: the value {fault}" == raised.value.message
    assert CANARY not in str(raised.value)
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    frames = [frame for frame, _ in traceback.walk_tb(raised.value.__traceback__)]
    # The first is this test's own, which has to know the value.
    assert [] == [f for f in frames[1:] if CANARY in repr(f.f_locals)]
    assert len(frames) > 1


@given(st.integers(100, 599), st.binary() | st.text().map(str.encode))
def test_any_refusal_is_an_error_of_ours(status: int, body: bytes) -> None:
    """Whatever comes back, it becomes one of our errors."""
    assert isinstance(refusal(Response(status, {}, body), 2773), RotawareError)


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(
                    (
                        "SecretString",
                        "SecretBinary",
                        "VersionStages",
                        "Parameter",
                        "Parameters",
                        "Name",
                        "Value",
                    )
                ),
                inner,
            )
            | st.lists(inner, max_size=3)
        ),
    )
)
def test_any_document_is_a_value_or_refused(structure: object) -> None:
    """Whatever a 200 holds, there is a value or an ExtensionError."""
    document = document_of(json.dumps(structure).encode())
    takes: list[Callable[[str, Any], object]] = [
        secret_of,
        parameter_value,
        parameter_values,
        variable_value,
    ]
    for take in takes:
        with suppress(ExtensionError):
            take("a", document)
