"""The port's answers become values, or errors without the value."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware.answers import (
    changed,
    document_of,
    parameter_value,
    refusal,
    secret_value,
    transformation,
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
    assert value == secret_value("a", document)


def test_a_parameter_is_text() -> None:
    """A parameter is its value."""
    assert "v" == parameter_value("/a", {"Parameter": {"Value": "v"}})


@pytest.mark.parametrize("take", [secret_value, parameter_value])
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
    ],
    ids=range(8),
)
def test_an_odd_answer_is_refused_unquoted(
    take: Callable[[str, Any], object], document: object
) -> None:
    """What is no answer about this is refused, by name, without showing it."""
    with pytest.raises(ExtensionError, match=r"^prod/db: the answer is not unde") as e:
        take("prod/db", document)

    assert CANARY not in str(e.value)
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
    ("transform", "value"),
    [
        ("json", f"{{{CANARY}"),
        ("binary", f"{CANARY}\u00e9"),
        ("json", b"\xff" + CANARY.encode()),
        (int, CANARY),
    ],
)
def test_a_failed_transform_does_not_hold_the_value(
    transform: Any, value: str | bytes
) -> None:
    """The error names the secret; neither it nor its causes know the value."""
    with pytest.raises(TransformError) as raised:
        changed("prod/db", value, transformation("prod/db", transform))

    assert raised.value.message.startswith("prod/db: the value cannot be transformed (")
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


def outcome(take: Callable[[str, Any], str | bytes], document: object) -> bool:
    """Whether there is a value or an ExtensionError."""
    try:
        return isinstance(take("a", document), (str, bytes))
    except ExtensionError:
        return True


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.dictionaries(
            st.sampled_from(["SecretString", "SecretBinary", "Parameter", "Value"]),
            inner,
        ),
    )
)
def test_any_document_is_a_value_or_refused(structure: object) -> None:
    """Whatever a 200 holds, there is a value or an ExtensionError."""
    document = document_of(json.dumps(structure).encode())

    assert all(outcome(take, document) for take in (secret_value, parameter_value))
