"""Single user: the user changes its own password.

From then on, until the label moves, the current version of the secret is wrong: that is
the window in which ``rotaware.database`` waits. If the test fails, the old password is
set again, so that the window does not stay open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .logins import is_taken, same_place, session
from .secrets_manager import CURRENT, PENDING, PREVIOUS, RotationError

if TYPE_CHECKING:
    from .secrets_manager import Versions

    Login = dict[str, Any]


class SingleUser:
    """Satisfies ``secrets_manager.Strategy``."""

    def pending(self, current: Login, password: str) -> Login:
        """The same user with another password."""
        return {**current, "password": password}

    def set_in_database(self, versions: Versions) -> None:
        """Log in with whatever is taken, and set the pending password."""
        current, pending = versions.read(CURRENT), versions.read(PENDING)
        if pending["username"] != current["username"]:
            raise RotationError("the pending version is for another user")
        if not same_place(pending, current):
            raise RotationError("the pending version is for another server")
        if is_taken(pending):
            return
        login = self._taken(versions, current)
        with session(login) as (database, opened):
            database.set_password(opened, pending["username"], pending["password"])

    def test(self, versions: Versions) -> None:
        """Log in and read; where that fails, set the password that was there before."""
        current, pending = versions.read(CURRENT), versions.read(PENDING)
        try:
            with session(pending) as (database, opened):
                database.try_out(opened)
        except RotationError as failure:
            if not is_taken(pending):
                raise
            with session(pending) as (database, opened):
                database.set_password(opened, current["username"], current["password"])
            raise RotationError(f"{failure}; the old password is set again") from None

    def _taken(self, versions: Versions, current: Login) -> Login:
        """The current login; or, after a failure in between, the one before."""
        if is_taken(current):
            return current
        previous = versions.find(PREVIOUS)
        if previous is not None and (
            previous["username"] == current["username"]
            and same_place(previous, current)
            and is_taken(previous)
        ):
            return previous
        raise RotationError(
            f"the database takes neither {PENDING}, {CURRENT} nor {PREVIOUS}"
        )
