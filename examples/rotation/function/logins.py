"""Logging in with the versions of a secret, until one is taken.

A login that the server refused leads on to the next; any other failure, such as that of
a database that is down, ends the step. What a driver raises stays here: it may hold the
password.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .databases import DATABASES
from .secrets_manager import RotationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .databases import Database

    Login = dict[str, Any]


def database_of(login: Login) -> Database:
    """The database that the secret's field ``engine`` names."""
    try:
        return DATABASES[login["engine"]]
    except (KeyError, TypeError):
        known = ", ".join(DATABASES)
        raise RotationError(f"the secret's engine is none of: {known}") from None


@contextmanager
def session(login: Login) -> Iterator[tuple[Database, Any]]:
    """A session with this login, and the database that it is with.

    Raises:
        RotationError: It could not be had, or a statement failed.
    """
    database = database_of(login)
    problem = None
    try:
        with database.connect(login) as opened:
            yield database, opened
    except RotationError:
        raise
    except Exception as fault:  # noqa: BLE001  drivers have no base in common
        refused = database.is_refusal(fault)
        problem = "login refused" if refused else type(fault).__name__
    if problem is not None:
        raise RotationError(f"{login['username']} at {login.get('host')}: {problem}")


def is_taken(login: Login) -> bool:
    """Whether the database takes this login now.

    Raises:
        RotationError: It takes nobody's, as when it is down.
    """
    database = database_of(login)
    problem = None
    try:
        with database.connect(login):
            return True
    except Exception as fault:  # noqa: BLE001  as above
        if not database.is_refusal(fault):
            problem = type(fault).__name__
    if problem is not None:
        raise RotationError(f"{login['username']} at {login.get('host')}: {problem}")
    return False


def same_place(login: Login, other: Login) -> bool:
    """Whether both are of one server: a new password must not go to another one."""
    return all(
        login.get(field) == other.get(field) for field in ("engine", "host", "port")
    )
