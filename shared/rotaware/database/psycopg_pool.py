"""psycopg's pools, with logins from a secret: needs ``psycopg[pool]`` 3.3 or newer.

    from rotaware.database.psycopg_pool import ConnectionPool

    pool = ConnectionPool("prod/db", min_size=1, open=True)

Their workers log in by the rule, so a rotation is waited out there. When the version
changes, the pool is drained: connections that lie in it are closed at once, those in
use when they come back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import psycopg_pool

from rotaware.database.calls import Call
from rotaware.database.freshness import Freshness
from rotaware.database.secrets import Budget, Logins

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotaware.client import Client


class ConnectionPool(psycopg_pool.ConnectionPool[Any]):
    """``psycopg_pool.ConnectionPool`` for the login in a secret.

    Args:
        secret_id: Name or ARN.
        conninfo: What the secret does not say, as options of libpq.
        pending: As in ``rotaware.database.connect``.
        budget_seconds: For how long each login waits out refusals; 10 if not given.
        client: As in ``rotaware.database.connect``.
        kwargs: Passed to each connection; they win over the secret's fields.
        connection_class: See ``psycopg_pool``; so the options.
        options: See ``psycopg_pool``.
    """

    def __init__(  # noqa: PLR0913  each is its own
        self,
        secret_id: str,
        conninfo: str = "",
        *,
        pending: bool = False,
        budget_seconds: float | None = None,
        client: Client | None = None,
        connection_class: type[psycopg.Connection[Any]] = psycopg.Connection,
        check: Callable[[Any], None] | None = None,
        **options: Any,
    ) -> None:
        logins = Logins(client, secret_id, Budget(budget_seconds), pending)
        self._freshness = Freshness(logins)
        self._own_check = check
        super().__init__(
            conninfo,
            connection_class=_logging_in(connection_class, logins),
            check=self._refuse_old,
            **options,
        )

    def _refuse_old(self, connection: Any) -> None:
        if self._freshness.is_due() and self._freshness.look():
            self.drain()
        if self._freshness.is_old(connection.secret_version):
            raise psycopg.OperationalError(_OLD)
        if self._own_check is not None:
            self._own_check(connection)


class AsyncConnectionPool(psycopg_pool.AsyncConnectionPool[Any]):
    """``psycopg_pool.AsyncConnectionPool`` likewise."""

    def __init__(  # noqa: PLR0913  likewise
        self,
        secret_id: str,
        conninfo: str = "",
        *,
        pending: bool = False,
        budget_seconds: float | None = None,
        client: Client | None = None,
        connection_class: type[psycopg.AsyncConnection[Any]] = psycopg.AsyncConnection,
        check: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> None:
        logins = Logins(client, secret_id, Budget(budget_seconds), pending)
        self._freshness = Freshness(logins)
        self._own_check = check
        super().__init__(
            conninfo,
            connection_class=_logging_in_async(connection_class, logins),
            check=self._refuse_old,
            **options,
        )

    async def _refuse_old(self, connection: Any) -> None:
        import asyncio  # noqa: PLC0415  psycopg has imported it by now

        if self._freshness.is_due() and await asyncio.to_thread(self._freshness.look):
            await self.drain()
        if self._freshness.is_old(connection.secret_version):
            raise psycopg.OperationalError(_OLD)
        if self._own_check is not None:
            await self._own_check(connection)


_OLD = "the connection's login is of a version of the secret that is not current"


def _given(conninfo: str, options: dict[str, Any]) -> dict[str, Any]:
    return {**options, **({"conninfo": conninfo} if conninfo else {})}


def _logging_in(base: type[psycopg.Connection[Any]], logins: Logins) -> Any:
    """A class of connections that log in by the rule."""

    class Connection(base):  # type: ignore[valid-type, misc]
        secret_version: str | None = None

        @classmethod
        def connect(cls, conninfo: str = "", **options: Any) -> Any:
            given = _given(conninfo, options)
            call = Call(super().connect, logins.secret_id, given, "psycopg")
            connection = logins.enter(call, awaited=False)
            connection.secret_version = call.version_id
            return connection

    return Connection


def _logging_in_async(base: type[psycopg.AsyncConnection[Any]], logins: Logins) -> Any:
    """The same for an event loop."""

    class AsyncConnection(base):  # type: ignore[valid-type, misc]
        secret_version: str | None = None

        @classmethod
        async def connect(cls, conninfo: str = "", **options: Any) -> Any:
            given = _given(conninfo, options)
            call = Call(super().connect, logins.secret_id, given, "psycopg")
            connection = await logins.enter(call, awaited=True)
            connection.secret_version = call.version_id
            return connection

    return AsyncConnection
