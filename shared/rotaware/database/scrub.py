"""Takes a password out of an exception that is about to reach the user.

Every driver has it in the locals of its frames, which error reporters print; psycopg's
exceptions hold the whole connection, whose ``repr`` shows it. So frames lose their
locals, though not their places, attributes that are no plain values go, and in texts
the password is replaced. The exception stays the same object.
"""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from enum import Enum

from rotaware.database.refusals import parts_of
from rotaware.http1 import percent_encoded
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any

HIDDEN = "***"
_PLAIN = (int, float, Enum, type, BaseException)
_MEMBER = type(OSError.strerror)


def scrub(error: BaseException, password: str | None) -> None:
    """Leave nothing in an exception, and what it was raised from, that tells.

    Args:
        error: What a connect function raised. Frames that still run keep their locals.
        password: Replaced wherever a text holds it.
    """
    forms = _forms(password) if password else ()
    for part in parts_of(error):
        _clear(part.__traceback__)
        part.args = _clean(part.args, forms)
        vars(part).update(_clean(vars(part), forms))
        for name in _members(type(part)):
            value = getattr(part, name, None)
            with suppress(AttributeError, TypeError):  # some cannot be set
                if value is not None:
                    setattr(part, name, _clean(value, forms))
        if isinstance(part, (UnicodeEncodeError, UnicodeDecodeError)):
            # It may be the password that could not be encoded.
            part.object = type(part.object)()


def forget_locals(error: BaseException) -> None:
    """Take the locals out of all frames that an exception has passed, and left."""
    for part in parts_of(error):
        _clear(part.__traceback__)


def copied(error: BaseException) -> BaseException:
    """Another exception of the same kind, for another caller; else the same one."""
    try:
        return copy(error)
    except Exception:  # noqa: BLE001  a class of whatever constructor
        return error


def _clear(trace: TracebackType | None) -> None:
    while trace is not None:
        with suppress(RuntimeError):  # where it still runs
            trace.tb_frame.clear()
        trace = trace.tb_next


def _members(kind: type) -> Iterator[str]:
    """What exceptions of a class hold outside of their attributes."""
    for home in kind.__mro__:
        for name, member in vars(home).items():
            if type(member) is _MEMBER and not name.startswith("__"):
                yield name


def _forms(password: str) -> tuple[str, ...]:
    """How a text may hold the password, the longest first."""
    encodable = password.encode(errors="replace").decode()
    forms = {password, repr(password)[1:-1], percent_encoded(encodable)}
    return tuple(sorted(forms, key=len, reverse=True))


def _clean(value: Any, forms: tuple[str, ...]) -> Any:
    """The value where it is plain, without the password; None for any other."""
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, str):
        for form in forms:
            value = value.replace(form, HIDDEN)
        return value
    if isinstance(value, bytes):
        for form in forms:
            value = value.replace(form.encode(errors="replace"), HIDDEN.encode())
        return value
    if type(value) in (tuple, list):
        return type(value)(_clean(each, forms) for each in value)
    if type(value) is dict:
        return {key: _clean(each, forms) for key, each in value.items()}
    return None
