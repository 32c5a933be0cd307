"""Database connections that a password's rotation does not break.

    from rotaware import database

    connection = database.connect(psycopg.connect, "prod/db", connect_timeout=5)

Who, where and with which password comes from the secret. A login that is refused while
the secret rotates is tried again as soon as another version is current. What a failure
raises is the driver's own exception, without the password. No driver is imported here.
"""

from __future__ import annotations

from rotaware.database.arguments import driver_of
from rotaware.database.calls import Call, OwnCall, is_async
from rotaware.database.login import Login
from rotaware.database.secrets import Budget, Logins
from rotaware.errors import LoginFieldError
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from rotaware.client import Client

    Returned = TypeVar("Returned")

__all__ = ["Login", "LoginFieldError", "connect", "with_login"]


def connect(  # noqa: PLR0913  each is its own
    driver_connect: Callable[..., Returned],
    secret_id: str,
    *,
    pending: bool = False,
    budget_seconds: float | None = None,
    remaining_ms: Callable[[], float] | None = None,
    client: Client | None = None,
    **driver_options: Any,
) -> Returned:
    """A connection, by the login that a secret holds.

    Args:
        driver_connect: What the driver connects with, such as ``psycopg.connect``.
            Where that is awaited, as ``asyncpg.connect`` is, so is this.
        secret_id: Name or ARN of the secret.
        pending: Try AWSPENDING before giving up. It works as soon as a rotation has set
            the new password; nobody has tested it then.
        budget_seconds: For how long to wait out refused logins; 0: not at all. If not
            given, 10, or what ``remaining_ms`` leaves.
        remaining_ms: Tells how long the function may still run:
            ``context.get_remaining_time_in_millis``. Waiting ends before that.
        client: Whom to read by; None: by whom ``rotaware.get_secret`` reads.
        driver_options: Passed to the driver; they win over the secret's fields.

    Raises:
        RotawareError: The secret cannot be read.
        LoginFieldError: It lacks a field, or has one in another form.
        Exception: The driver's own, where the login failed.
    """
    call = Call(driver_connect, secret_id, driver_options)
    logins = Logins(client, secret_id, Budget(budget_seconds, remaining_ms), pending)
    awaited = is_async(driver_connect)
    if driver_of(driver_connect) == "redis":
        from rotaware.database import redis_py  # noqa: PLC0415  it imports the driver

        open_client = redis_py.async_client_of if awaited else redis_py.client_of
        client_or_later: Any = open_client(driver_connect, logins, driver_options)
        return client_or_later  # type: ignore[no-any-return]
    returned: Returned = logins.enter(call, awaited=awaited)
    return returned


def with_login(
    secret_id: str,
    *,
    pending: bool = False,
    budget_seconds: float | None = None,
    remaining_ms: Callable[[], float] | None = None,
    client: Client | None = None,
) -> Callable[[Callable[..., Returned]], Callable[..., Returned]]:
    """Decorates a function, also an async one, that connects by itself.

    It is called with a ``Login`` before its own arguments, and called again with a
    newer one if it raises and there is one. So let it connect, and nothing else. Its
    exceptions lose what could hold the password, locals in tracebacks included.

        @database.with_login("prod/db")
        def connection(login):
            return ldap3.Connection(login.host, login.username, login.password)

    Args:
        secret_id: As in ``connect``, and so the others.
        pending: See there.
        budget_seconds: See there.
        remaining_ms: See there.
        client: See there.
    """
    budget = Budget(budget_seconds, remaining_ms)

    def decorate(function: Callable[..., Returned]) -> Callable[..., Returned]:
        from functools import wraps  # noqa: PLC0415  only decorators need it

        awaited = is_async(function)

        @wraps(function)
        def connected(*args: Any, **named: Any) -> Returned:
            call = OwnCall(function, args, named)
            logins = Logins(client, secret_id, budget, pending)
            returned: Returned = logins.enter(call, awaited=awaited)
            return returned

        return connected

    return decorate
