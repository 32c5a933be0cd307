"""Alternating users: each rotation changes the password of the user who is not in use.

The current version stays right all the time, and until the rotation after the next. It
takes an administrator, whose secret the field ``masterarn`` names, and who makes the
second user when it is needed for the first time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .logins import is_taken, same_place, session
from .secrets_manager import CURRENT, PENDING, RotationError

if TYPE_CHECKING:
    from .secrets_manager import Versions

    Login = dict[str, Any]

SUFFIX = "_clone"
LONGEST_NAME = 63
"""PostgreSQL cuts off what is longer, without a word."""


class AlternatingUsers:
    """Satisfies ``secrets_manager.Strategy``."""

    def pending(self, current: Login, password: str) -> Login:
        """The other user, with another password."""
        username = other_user(current["username"])
        return {**current, "username": username, "password": password}

    def set_in_database(self, versions: Versions) -> None:
        """Let the administrator make the other user, or change its password."""
        current, pending = versions.read(CURRENT), versions.read(PENDING)
        if pending["username"] != other_user(current["username"]):
            raise RotationError("the pending version is not for the other user")
        if not same_place(pending, current):
            raise RotationError("the pending version is for another server")
        if is_taken(pending):
            return
        administrator = versions.read(CURRENT, _administrator(current))
        if not same_place(administrator, current):
            raise RotationError("the administrator is of another server")
        name, password = pending["username"], pending["password"]
        database_name = {"dbname": current.get("dbname")}
        with session({**administrator, **database_name}) as (database, opened):
            database.copy_user(opened, current["username"], name, password)
            database.set_password(opened, name, password)

    def test(self, versions: Versions) -> None:
        """Log in and read; the user who is in use is not concerned."""
        with session(versions.read(PENDING)) as (database, opened):
            database.try_out(opened)


def other_user(username: str) -> str:
    """The one of the two that this is not."""
    if username.endswith(SUFFIX):
        return username.removesuffix(SUFFIX)
    other = username + SUFFIX
    if len(other) > LONGEST_NAME:
        raise RotationError(
            f"the user's name is longer than {LONGEST_NAME - len(SUFFIX)}"
        )
    return other


def _administrator(current: Login) -> str:
    try:
        return str(current["masterarn"])
    except KeyError:
        raise RotationError(
            "the secret has no field masterarn, which names the administrator's"
        ) from None
