"""What is left of an exception, and what is not."""

from __future__ import annotations

import builtins
import traceback

import pytest

from rotaware.database.scrub import copied, forget_locals, scrub

CANARY = "canary 'p@ss"


class StrangeError(Exception):
    """Has a constructor that nothing can repeat."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)

    def __reduce__(self) -> str:
        raise TypeError("no")


def shown(error: BaseException) -> str:
    """All that a curious error reporter prints."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(trace.format()) + repr([vars(error), error.args])


def raised() -> Exception:
    """An exception with the canary in every pocket."""

    def inner(password: str) -> None:
        connection = [password]
        try:
            raise OSError(5, f"could not use {password}")  # noqa: TRY301
        except OSError as error:
            failure = RuntimeError("login failed", password, {"with": connection}, 7)
            failure.connection = object()  # type: ignore[attr-defined]
            failure.said = (f"{password!r}", password.encode())  # type: ignore[attr-defined]
            failure.url = "db://app:canary%20%27p%40ss@host"  # type: ignore[attr-defined]
            failure.code = 7  # type: ignore[attr-defined]
            failure.cause = error  # type: ignore[attr-defined]
            raise failure from error

    with pytest.raises(RuntimeError) as failed:
        inner(CANARY)
    return failed.value


def test_scrub() -> None:
    """The password goes, with what is no plain value; places and the rest stay."""
    error = raised()
    scrub(error, CANARY)
    text = shown(error)

    assert "canary" not in text.replace("CANARY", "")
    assert "in inner" in text
    assert ("login failed", "***", {"with": ["***"]}, 7) == error.args
    assert {
        "connection": None,
        "said": ('"***"', b"***"),
        "url": "db://app:***@host",
        "code": 7,
        "cause": error.__cause__,
    } == vars(error)


def test_no_password_no_replacement() -> None:
    """Texts stay as they are; locals go all the same."""
    error = raised()
    scrub(error, None)

    assert CANARY == error.args[1]
    assert vars(error)["connection"] is None


@pytest.mark.parametrize(
    "bad",
    [
        lambda: CANARY.replace("'", "€").encode("latin-1"),
        b"canary\xff".decode,
    ],
    ids=["encode", "decode"],
)
def test_a_password_that_cannot_be_encoded(bad: object) -> None:
    """The exception of a codec holds the whole text, outside of its attributes."""
    assert callable(bad)
    with pytest.raises(UnicodeError) as failed:
        bad()
    scrub(failed.value, CANARY)
    error = failed.value

    assert isinstance(error, (UnicodeEncodeError, UnicodeDecodeError))
    assert not error.object


def test_what_an_exception_points_at() -> None:
    """An attribute that is missing points at the object that lacks it."""
    with pytest.raises(AttributeError) as failed:
        [CANARY].missing  # type: ignore[attr-defined]  # noqa: B018
    scrub(failed.value, CANARY)

    assert ["***"] == failed.value.obj
    assert "missing" == failed.value.name


def test_a_group_of_exceptions() -> None:
    """Each of its members is scrubbed."""
    group = builtins.ExceptionGroup("two", [raised(), OSError()])
    scrub(group, CANARY)

    assert "canary" not in shown(group).replace("CANARY", "")


def test_a_password_that_is_no_text() -> None:
    """Half of a surrogate pair, as JSON may hold it, is replaced too."""
    error = ValueError("x\ud800y", b"xy")
    scrub(error, "\ud800")

    assert ("x***y", b"xy") == error.args


def test_forget_locals() -> None:
    """Frames that have ended lose their locals; those that run keep them."""
    error = raised()
    forget_locals(error)
    kept = error.__traceback__
    while kept is not None:
        assert "password" not in kept.tb_frame.f_locals
        kept = kept.tb_next

    assert "[Errno 5] could not use" in str(error.__cause__)
    still = CANARY
    try:
        raise ValueError  # noqa: TRY301
    except ValueError as own:
        forget_locals(own)

    assert CANARY == still


def test_copied() -> None:
    """Another one of the same kind; the same one where that cannot be."""
    error = ValueError("no", 7)
    strange = StrangeError("one", "two")

    assert ("no", 7) == copied(error).args
    assert type(copied(error)) is ValueError
    assert copied(error) is not error
    assert copied(strange) is strange
