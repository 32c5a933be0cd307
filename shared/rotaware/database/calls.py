"""One call of a connect function: with which arguments, and what came of it.

No frame here holds a password any more when an exception leaves it.
"""

from __future__ import annotations

from rotaware.database.arguments import (
    another_place,
    arguments_of,
    driver_of,
    password_in,
)
from rotaware.database.login import login_of
from rotaware.database.refusals import kind_of
from rotaware.database.rule import Failed, Opened
from rotaware.database.scrub import scrub
from rotaware.lean import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rotaware.answers import Secret
    from rotaware.database.login import Login

_COROUTINE = 0x80  # inspect.CO_COROUTINE, without the price of importing it


class Attempt(Protocol):
    """Something that logs in.

    Attributes:
        place: Tells apart those whose logins have nothing to do with each other.
    """

    place: int

    def __call__(self, login: Login) -> Any:
        """A connection, or something to wait for."""
        ...

    def password(self, login: Login) -> str | None:
        """What must be in no exception."""
        ...


class Call:
    """Calls a driver's connect function with what a secret holds.

    Args:
        connect: The driver's function, or a class of its.
        secret_id: Name or ARN.
        given: What the caller passes to the driver; it wins over the secret's fields.
        driver: Whose names the arguments have; None: as the function tells.
    """

    version_id: str | None = None
    """Of the secret by which it was called last."""

    def __init__(
        self,
        connect: Callable[..., Any],
        secret_id: str,
        given: Mapping[str, Any],
        driver: str | None = None,
    ) -> None:
        if not callable(connect):
            raise TypeError(
                f"{connect!r} cannot be called: give the driver's connect function,"
                " such as psycopg.connect"
            )
        self._connect = connect
        self._secret_id = secret_id
        self._given = given
        self._driver = driver_of(connect) if driver is None else driver
        self.place = another_place(self._driver, given)

    def __call__(self, login: Login) -> Any:
        """What the driver returns: a connection, or something to wait for."""
        self.version_id = login.version_id
        return self._connect(**self._arguments(login))

    def password(self, login: Login) -> str | None:
        """What must be in no exception."""
        return password_in(self._driver, self._arguments(login))

    def _arguments(self, login: Login) -> dict[str, Any]:
        return arguments_of(self._secret_id, login, self._driver, self._given)


class OwnCall:
    """Calls code that connects by itself."""

    place: int = 0

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        named: Mapping[str, Any],
    ) -> None:
        self._function = function
        self._args = args
        self._named = named

    def __call__(self, login: Login) -> Any:
        """What the function returns."""
        return self._function(login, *self._args, **self._named)

    def password(self, login: Login) -> str:
        """What must be in no exception."""
        return login.password


def attempt(call: Attempt, secret: Secret) -> Opened | Failed:
    """Log in by what the secret holds."""
    login = login_of(secret.id, secret.version_id, secret.value)
    password = call.password(login)
    try:
        return Opened(call(login))
    except BaseException as error:  # noqa: BLE001  raised again, or told
        return failure(error, password)
    finally:
        del login, password


async def attempt_async(call: Attempt, secret: Secret) -> Opened | Failed:
    """The same on an event loop."""
    login = login_of(secret.id, secret.version_id, secret.value)
    password = call.password(login)
    try:
        return Opened(await call(login))
    except BaseException as error:  # noqa: BLE001  raised again, or told
        return failure(error, password)
    finally:
        del login, password


def failure(error: BaseException, password: str | None) -> Failed:
    """What became of an attempt; raises what is no failure, such as an interrupt."""
    kind = kind_of(error)
    scrub(error, password)
    if not isinstance(error, Exception):
        del password
        raise error
    return Failed(error, kind)


def is_async(connect: Any) -> bool:
    """Whether what it returns must be awaited."""
    while hasattr(connect, "func"):  # functools.partial
        connect = connect.func
    if isinstance(connect, type):
        return hasattr(connect, "__await__")
    code = getattr(connect, "__code__", None)
    code = code or getattr(type(connect).__call__, "__code__", None)
    return bool(getattr(code, "co_flags", 0) & _COROUTINE)
