"""SQLAlchemy's engines, sync and async, with logins from a secret.

    from rotaware.database.sqlalchemy import log_in

    engine = create_engine("postgresql+psycopg://", pool_pre_ping=True)
    log_in(engine, "prod/db")

Whatever connects for the engine logs in by the rule: the pool, and a pre-ping that
found a connection dead. When the version changes, the pool's idle connections are
closed at once, and those in use when they come back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import ref

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.util import await_only

from rotaware.database import tasks
from rotaware.database.calls import Call
from rotaware.database.freshness import Freshness
from rotaware.database.secrets import Budget, Logins
from rotaware.database.threads import Blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from rotaware.answers import Secret
    from rotaware.client import Client
    from rotaware.database.rule import Read
    from rotaware.database.turns import Wait

VERSION = "rotaware_secret_version"
"""Under which a connection's ``info`` holds the version of its login."""
POOL = "rotaware_pool"
"""Under which ``record_info`` holds a reference to the pool that it belongs to."""
_NATIVE = {"mysqlconnector": "mysql"}


def log_in(  # noqa: PLR0913  each is its own
    engine: Engine | AsyncEngine,
    secret_id: str,
    *,
    pending: bool = False,
    budget_seconds: float | None = None,
    remaining_ms: Callable[[], float] | None = None,
    client: Client | None = None,
) -> None:
    """Let an engine log in by what a secret holds.

    What the engine's URL says, such as another host, wins over the secret's fields.

    Args:
        engine: The engine, before it connects for the first time.
        secret_id: As in ``rotaware.database.connect``, and so the others.
        pending: See there.
        budget_seconds: See there.
        remaining_ms: See there.
        client: See there.
    """
    plain: Any = getattr(engine, "sync_engine", engine)
    logins = Logins(client, secret_id, Budget(budget_seconds, remaining_ms), pending)
    events = _Events(plain, logins)
    event.listen(plain, "do_connect", events.connect)
    event.listen(plain, "checkout", events.check_out)
    event.listen(plain, "checkin", events.check_in)


class _InGreenlet(Blocking):
    """Steps under an async engine, whose event loop must go on meanwhile."""

    def read(self, step: Read) -> Secret:
        return await_only(asyncio.to_thread(super().read, step))

    def pause(self, seconds: float) -> None:
        await_only(asyncio.sleep(seconds))

    def wait(self, step: Wait) -> None:
        await_only(tasks.wait(step))


class _Events:
    """What happens in an engine's life."""

    def __init__(self, engine: Engine, logins: Logins) -> None:
        self._engine = engine
        self._logins = logins
        self._freshness = Freshness(logins)

    def connect(
        self, dialect: Any, record: Any, cargs: list[Any], cparams: dict[str, Any]
    ) -> Any:
        """A connection of the driver's."""
        driver = _NATIVE.get(dialect.driver, dialect.driver)
        logins = self._logins

        def connect(**options: Any) -> Any:
            return dialect.connect(*cargs, **options)

        call = Call(connect, logins.secret_id, cparams, driver)
        runner = _InGreenlet if dialect.is_async else Blocking
        steps = logins.steps(call)
        connection = runner(logins.read, call, logins.clock).run(steps)
        record.info[VERSION] = call.version_id
        return connection

    def check_out(self, connection: Any, record: Any, proxy: Any) -> None:
        """Let no old login be used again."""
        del connection
        # Whoever got its connection before the engine got another pool, or meanwhile.
        record.record_info[POOL] = ref(getattr(proxy, "_pool", self._engine.pool))
        if self._freshness.is_due() and self._has_changed():
            self._engine.dispose()
        if self._freshness.is_old(record.info.get(VERSION)):
            raise DisconnectionError("the login's version is not current any more")

    def check_in(self, connection: Any, record: Any) -> None:
        """Close an old login's connection, or an old pool's, instead of keeping it."""
        pool = record.record_info.get(POOL, lambda: None)()
        is_old = self._freshness.is_old(record.info.get(VERSION))
        if connection is not None and (is_old or pool is not self._engine.pool):
            record.invalidate()

    def _has_changed(self) -> bool:
        if self._engine.dialect.is_async:
            return bool(await_only(asyncio.to_thread(self._freshness.look)))
        return self._freshness.look()
