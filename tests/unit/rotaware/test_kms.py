"""What is sent to KMS for a variable, and what becomes of each answer."""

from __future__ import annotations

import re
import traceback
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware.errors import AwsError, AwsThrottledError, AwsUnavailableError
from rotaware.kms import KmsSource, encrypted_variables
from rotaware.secret import Fetched, Query
from tests.support.fake_aws import Call, FakeAws

CANARY = "canary-5d20b7"
BLOB = b64encode(bytes(range(150))).decode()
OTHER_CONTEXT = AwsError("InvalidCiphertextException", "HTTP status 400 without")
DENIED = AwsError("AccessDeniedException", "User f is not authorized", 403)
KEY = Query.variable("KEY")


def plaintext(data: bytes) -> dict[str, str]:
    """What KMS answers."""
    return {
        "KeyId": "arn:aws:kms:eu-west-1:123456789012:key/a",
        "Plaintext": b64encode(data).decode(),
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }


def source(*answers: Any, function: str | None = "f") -> tuple[KmsSource, FakeAws]:
    """A source of one variable, whose KMS answers this."""
    aws = FakeAws(*answers)
    return KmsSource(aws, {"KEY": BLOB}, function), aws


def failure(*answers: Any, function: str | None = "f") -> AwsError:
    """The error that these answers end in."""
    kms, _ = source(*answers, function=function)
    with pytest.raises(AwsError) as raised:
        kms.fetch(KEY)
    return raised.value


def calls(*contexts: str | None, timeout_seconds: float | None = None) -> list[Call]:
    """Decrypt in these contexts."""
    return [
        Call(
            "kms",
            "Decrypt",
            {"CiphertextBlob": BLOB}
            | (
                {"EncryptionContext": {"LambdaFunctionName": context}}
                if context
                else {}
            ),
            timeout_seconds,
        )
        for context in contexts
    ]


def test_the_context_of_the_consoles_helper_comes_first() -> None:
    """A ciphertext of the console needs one call, in the function's context."""
    kms, aws = source(plaintext(b"value"))

    fetched = kms.fetch(KEY, timeout_seconds=2.0)

    assert calls("f", timeout_seconds=2.0) == aws.calls
    assert {"Name": "KEY", "Value": "value", "Blob": None} == fetched.value.reveal()


def test_a_ciphertext_of_no_context_is_tried_without() -> None:
    """Where KMS says that it was another one, there may have been none."""
    kms, aws = source(OTHER_CONTEXT, plaintext(b"value"))

    fetched = kms.fetch(KEY, timeout_seconds=2.0)

    assert calls("f", None, timeout_seconds=2.0) == aws.calls
    assert "value" == fetched.value.reveal()["Value"]


@pytest.mark.parametrize("function", [None, ""])
def test_without_a_function_there_is_no_context(function: str | None) -> None:
    """Outside of Lambda, one call without it is all."""
    kms, aws = source(plaintext(b"value"), function=function)

    kms.fetch(KEY)

    assert calls(None) == aws.calls


def test_a_variable_belongs_to_nobody_else() -> None:
    """No stamp speaks of it, and no ARN finds it in the cache."""
    fetched = source(plaintext(b"value"))[0].fetch(KEY)

    assert ("KEY", None, "", False) == (
        fetched.arn,
        fetched.subject,
        fetched.version,
        fetched.current,
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a", "a"),
        ("p\u00e4ss\0\n".encode(), "p\u00e4ss\0\n"),
        (b"\xff\x00", None),
        (b"ab\xc3", None),
    ],
)
def test_what_is_no_text_stays_base64(data: bytes, text: str | None) -> None:
    """One of the two fields is the plaintext, to the byte, the other is null."""
    document = source(plaintext(data))[0].fetch(KEY).value.reveal()

    blob = None if text is not None else b64encode(data).decode()
    assert {"Name": "KEY", "Value": text, "Blob": blob} == document


@pytest.mark.parametrize(
    ("answers", "code", "hint"),
    [
        (
            [OTHER_CONTEXT, OTHER_CONTEXT],
            "InvalidCiphertextException",
            "neither in this function's encryption context, LambdaFunctionName, nor",
        ),
        # The role may decrypt in its function's context alone.
        ([OTHER_CONTEXT, DENIED], "AccessDeniedException", "nor without one; encrypt"),
        ([DENIED], "AccessDeniedException", "allow kms:Decrypt on its key to the"),
        (
            [AwsError("DisabledException", "key/a is disabled.")],
            "DisabledException",
            "enable the key",
        ),
        (
            [AwsError("KMSInvalidStateException", "key/a is pending deletion.")],
            "KMSInvalidStateException",
            "cancel its deletion",
        ),
        (
            [AwsError("NotFoundException", "Key 'key/a' does not exist")],
            "NotFoundException",
            "encrypt it with a key of this Region",
        ),
        (
            [AwsError("IncorrectKeyException", "another key")],
            "IncorrectKeyException",
            "KMS does not decrypt it; encrypt it anew",
        ),
    ],
)
def test_a_refusal_names_the_variable_and_what_to_do(
    answers: list[AwsError], code: str, hint: str
) -> None:
    """The code, status and message are AWS's; what to do stands before them."""
    error = failure(*answers)

    assert (code, answers[-1].status) == (error.code, error.status)
    assert error.message.startswith("KEY: ")
    assert hint in error.message
    assert error.message.endswith(f" (AWS: {answers[-1].message})")
    assert BLOB not in error.message


def test_without_a_function_its_context_is_not_spoken_of() -> None:
    """Who has no function's name is not told that it did not fit."""
    error = failure(OTHER_CONTEXT, function=None)

    assert "LambdaFunctionName" not in error.message
    assert "KEY: KMS does not decrypt it" in error.message


@pytest.mark.parametrize("before", [[], [OTHER_CONTEXT]])
def test_what_may_pass_is_passed_on(before: list[AwsError]) -> None:
    """No answer is no refusal: it is told as it was, and asked again later."""
    throttled = AwsThrottledError("ThrottlingException", "Rate exceeded")

    assert throttled is failure(*before, throttled)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Plaintext": None},
        {"Plaintext": 1},
        {"Plaintext": ""},
        {"Plaintext": CANARY},
        {"Plaintext": [CANARY]},
    ],
)
def test_an_answer_that_is_none_is_no_value(answer: dict[str, Any]) -> None:
    """It counts as no answer, and what it holds stays in it."""
    error = failure(answer)

    assert isinstance(error, AwsUnavailableError)
    assert "MalformedResponse" == error.code
    assert "KEY" in error.message
    assert CANARY not in error.message
    assert error.__context__ is None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert not any(CANARY in str(frame.f_locals) for frame in frames[1:])


def test_what_is_not_listed_is_not_decrypted() -> None:
    """KMS is not asked, and the answer says where to list it."""
    kms, aws = source()

    with pytest.raises(AwsError) as raised:
        kms.fetch(Query.variable("OTHER"))

    assert ("VariableNotListed", 404) == (raised.value.code, raised.value.status)
    assert raised.value.message.startswith("OTHER is not listed in ROTAWARE_KMS_ENV;")
    assert [] == aws.calls


def test_each_variable_is_a_batch_of_its_own() -> None:
    """KMS decrypts one at a time, so each is asked for by itself."""
    kms, aws = source()
    other = Query.variable("OTHER")

    assert [[KEY], [other]] == kms.batches(iter([KEY, other]))
    assert {} == kms.fetch_many([KEY])
    assert [] == aws.calls


def test_a_variable_holds_ciphertext_in_base64() -> None:
    """Spaces and line ends that a tool has put into it are left out."""
    environ = {"A": BLOB, "B": f" {BLOB[:76]}\n{BLOB[76:]}\n", "C": "no business"}

    assert ({"A": BLOB, "B": BLOB}, []) == encrypted_variables(environ, ("A", "B"))


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        f"{CANARY}==",
        "hunter2?",
        BLOB[:-1],
        BLOB + "=",
        BLOB + "=" * 4,
        BLOB[:-1] + "\u00e9",
        "AB==",  # bits that nobody wrote
        "-_-_",
        "====",
        "\udcff",
    ],
)
def test_what_is_no_base64_is_refused_unseen(text: str) -> None:
    """It may be the secret itself: the refusal names the variable alone."""
    found, (problem,) = encrypted_variables({"KEY": text}, ("KEY",))

    assert {} == found
    assert (
        "KEY: is no base64, which KMS ciphertext has to be; encrypt it, or take it out"
        " of ROTAWARE_KMS_ENV"
    ) == problem


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}, {"KEY": " \n"}])
def test_what_is_listed_has_to_be_set(environ: dict[str, str]) -> None:
    """A name without a value is a typing error, in the list or in the variable."""
    found, (problem,) = encrypted_variables(environ, ("KEY",))

    assert {} == found
    assert (
        "ROTAWARE_KMS_ENV: lists KEY, which is not set; set that to KMS ciphertext in"
        " base64, or do not list it"
    ) == problem


def test_a_long_name_is_cut() -> None:
    """What stands in a list of names may be no name at all."""
    _, (unset,) = encrypted_variables({}, ("A" * 65,))
    _, (wrong,) = encrypted_variables({"A" * 65: "?"}, ("A" * 65,))

    assert "A" * 65 not in unset + wrong
    assert wrong.startswith("A" * 64 + ": ")


@given(
    st.dictionaries(
        st.sampled_from(["A", "B"]),
        st.text() | st.binary().map(b64encode).map(bytes.decode),
    )
)
def test_every_listed_variable_is_held_or_refused(environ: dict[str, str]) -> None:
    """Whatever is set, each name that is listed has a ciphertext or a problem."""
    found, problems = encrypted_variables(environ, ("A", "B"))

    refused = [re.search(r"\b[AB]\b", problem) for problem in problems]
    assert ["A", "B"] == sorted([*found, *(match[0] for match in refused if match)])


@given(st.binary(min_size=1))
def test_every_plaintext_comes_back(data: bytes) -> None:
    """Text or bytes, nothing is lost on the way."""
    fetched = source(plaintext(data))[0].fetch(KEY)
    document = fetched.value.reveal()

    assert isinstance(fetched, Fetched)
    if document["Blob"] is None:
        assert data == document["Value"].encode()
    else:
        assert b64encode(data).decode() == document["Blob"]
