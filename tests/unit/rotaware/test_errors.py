"""Each error says what happened, and how the port answers it."""

from __future__ import annotations

import pytest

from rotaware.errors import (
    AwsError,
    AwsSignatureError,
    AwsThrottledError,
    AwsTimeoutError,
    AwsUnavailableError,
    RequestError,
    RotawareError,
    SettingsError,
    SheetError,
    aws_error,
    is_named,
)


@pytest.mark.parametrize(
    ("error", "status", "code", "message", "text"),
    [
        (RotawareError("broke"), 500, "InternalFailure", "broke", "broke"),
        (RotawareError(), 500, "InternalFailure", "RotawareError", ""),
        (SheetError("no sheet"), 500, "SheetUnusable", "no sheet", "no sheet"),
        (RequestError(405, "Not", "GET only"), 405, "Not", "GET only", "GET only"),
        (
            SettingsError(["a: wrong", "b: wrong"]),
            500,
            "Extension.ConfigInvalid",
            "a: wrong; b: wrong",
            "a: wrong; b: wrong",
        ),
        (AwsError("Denied", "no"), 400, "Denied", "no", "Denied: no"),
        (AwsError("Denied", "no", 403), 403, "Denied", "no", "Denied: no"),
        (AwsUnavailableError("Down", "no"), 502, "Down", "no", "Down: no"),
        (AwsThrottledError("Slow", "no", 429), 429, "Slow", "no", "Slow: no"),
        (AwsTimeoutError("late"), 504, "TimeoutError", "late", "TimeoutError: late"),
    ],
)
def test_an_error_knows_its_status_code_and_message(
    error: RotawareError, status: int, code: str, message: str, text: str
) -> None:
    """The port answers with status, code and message; a log shows the text."""
    assert (status, code, message, text) == (
        error.status,
        error.code,
        error.message,
        str(error),
    )


def test_the_problems_of_settings_stay_apart() -> None:
    """Whoever reports them may write one line for each."""
    assert ("a: wrong", "b: wrong") == SettingsError(["a: wrong", "b: wrong"]).problems


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (AwsError("Denied", "no"), [AwsError]),
        (AwsUnavailableError("Down", "no"), [AwsError, AwsUnavailableError]),
        (AwsThrottledError("Slow", "no"), [AwsError, AwsUnavailableError]),
        (AwsSignatureError("Expired", "no"), [AwsError, AwsUnavailableError]),
        (AwsTimeoutError("late"), [AwsError, AwsUnavailableError]),
        (SheetError("no sheet"), []),
    ],
)
def test_what_may_pass_can_be_told_from_what_was_refused(
    error: RotawareError, kinds: list[type[RotawareError]]
) -> None:
    """Throttling and time-outs are a kind of not being available."""
    assert kinds == [
        kind for kind in (AwsError, AwsUnavailableError) if isinstance(error, kind)
    ]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ResourceNotFoundException", 400, AwsError),
        ("AccessDeniedException", 403, AwsError),
        ("LimitExceededException", 400, AwsError),
        ("Moved", 301, AwsError),
        ("Anything", 499, AwsError),
        ("ThrottlingException", 400, AwsThrottledError),
        ("TooManyRequestsException", 400, AwsThrottledError),
        ("RequestLimitExceeded", 503, AwsThrottledError),
        ("TooManyUpdates", 400, AwsThrottledError),
        ("SlowDown", 503, AwsThrottledError),
        ("Anything", 429, AwsThrottledError),
        ("ExpiredTokenException", 400, AwsSignatureError),
        ("InvalidClientTokenId", 403, AwsSignatureError),
        ("RequestExpired", 400, AwsSignatureError),
        ("UnrecognizedClientException", 503, AwsSignatureError),
        ("InternalServiceError", 500, AwsUnavailableError),
        ("ServiceUnavailable", 503, AwsUnavailableError),
        ("RequestTimeout", 400, AwsUnavailableError),
        ("Anything", 408, AwsUnavailableError),
        ("Anything", 504, AwsUnavailableError),
    ],
)
def test_an_answer_of_aws_has_its_kind(
    code: str, status: int, kind: type[AwsError]
) -> None:
    """Refused, to be asked less often, of the caller's keys, or likely to pass."""
    error = aws_error(code, "why", status)

    assert kind is type(error)
    assert (code, "why", status) == (error.code, error.message, error.status)


@pytest.mark.parametrize(
    ("name", "message", "expected"),
    [
        ("app/db", "on resource: secret:app/db-AbCdEf", True),
        ("app/db", "it is denied", False),
        ("db", "it is not there (db: make it)", True),
        ("secret", "can't find the specified secret.", False),
        ("a", "can't find it (b)", False),
    ],
)
def test_whether_a_message_says_a_name(
    name: str, message: str, *, expected: bool
) -> None:
    """A plain word counts only where it was put for its own sake."""
    assert expected == is_named(name, message)
