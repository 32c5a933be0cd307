"""SQLAlchemy's engines go on through rotations, and let go of old logins."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy
from sqlalchemy import create_engine, exc, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import greenlet_spawn

from rotaware.database import sqlalchemy as rotating_engines
from rotaware.database.freshness import Freshness
from rotaware.database.sqlalchemy import VERSION, log_in
from rotaware.database.turns import Bell, Wait
from rotaware.errors import AwsUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.unit.rotaware.database.conftest import Rotating

SYNC = ["postgresql+psycopg://", "postgresql+psycopg2://"]
ASYNC = ["postgresql+psycopg_async://", "postgresql+asyncpg://"]


@pytest.fixture(autouse=True)
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each checkout looks at the version, so that no test has to let time pass."""
    monkeypatch.setattr(Freshness, "is_due", lambda _: True)


@pytest.fixture(params=SYNC)
def engine(request: pytest.FixtureRequest, rotating: Rotating) -> Iterator[Engine]:
    """An engine for the account."""
    made = create_engine(f"{request.param}/app", pool_pre_ping=True)
    client: Any = rotating
    log_in(made, "db", client=client, budget_seconds=5)
    yield made
    made.dispose()


def version(connection: sqlalchemy.Connection) -> str:
    """Of the secret by which the connection logged in."""
    connection.execute(text("SELECT 1"))
    return str(connection.info[VERSION])


def sessions(rotating: Rotating) -> int:
    """How many sessions the server has of the user."""
    from tests.support.postgres import Postgres  # noqa: PLC0415

    assert isinstance(rotating.server, Postgres)
    with rotating.server.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = %s", [rotating.user]
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_an_engine_works_through_rotations(engine: Engine, rotating: Rotating) -> None:
    """Idle connections of an old login go at the next checkout, others on return."""
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(engine.connect())
    held = engine.connect()
    assert "v1" == version(held)

    rotating.rotate()
    with engine.connect() as connection:
        assert "v2" == version(connection)
        held.execute(text("SELECT 1"))  # a session outlives its password
    held.close()
    with engine.connect() as connection:
        assert "v2" == version(connection)
    rotating.rotate()
    with engine.connect() as connection:
        assert "v3" == version(connection)

    assert 1 >= sessions(rotating)


def test_a_connection_in_use_is_closed_on_return(
    engine: Engine, rotating: Rotating
) -> None:
    """One that comes back with an old login does not stay in the pool."""
    held = engine.connect()
    rotating.rotate()
    with engine.connect():
        held.close()
    with engine.connect() as connection:
        assert "v2" == version(connection)


def test_a_window_is_waited_out(engine: Engine, rotating: Rotating) -> None:
    """The pool's own connect asks until another version is current."""
    rotating.rotate(questions_in_window=2)
    with engine.connect() as connection:
        assert "v2" == version(connection)

    assert ["v1", "v1"] == [asked for asked in rotating.reads if asked]


def test_a_failure_is_sqlalchemy_s(rotating: Rotating) -> None:
    """The driver's exception is wrapped as ever, and tells no password."""
    made = create_engine("postgresql+psycopg:///app")
    client: Any = rotating
    log_in(made, "db", client=client, budget_seconds=0)
    rotating.server.set_password(rotating.user, "canary-other")
    with pytest.raises(exc.OperationalError, match="password authentication") as failed:
        made.connect()

    assert "canary" not in repr(vars(failed.value.orig))


def test_pre_ping_reconnects_by_the_rule(engine: Engine, rotating: Rotating) -> None:
    """A connection that died is replaced by one of the current login."""
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
    driver.close()
    rotating.rotate(questions_in_window=1)
    with engine.connect() as connection:
        assert "v2" == version(connection)


def test_an_unreadable_secret_closes_nothing(
    engine: Engine, rotating: Rotating
) -> None:
    """What is in the pool works on."""
    with engine.connect():
        pass
    rotating.failure = AwsUnavailableError("Down", "no")
    with engine.connect() as connection:
        assert "v1" == version(connection)


def test_a_connection_that_failed_in_use(engine: Engine) -> None:
    """It comes back as nothing, which is not looked at."""
    connection = engine.connect()
    connection.invalidate()
    connection.close()
    with engine.connect() as another:
        assert "v1" == version(another)


@pytest.mark.parametrize("url", ASYNC)
def test_async_engines(url: str, rotating: Rotating) -> None:
    """The same on an event loop, which goes on while a rotation is waited out."""

    async def main() -> tuple[list[str], int]:
        engine = create_async_engine(f"{url}/app", pool_pre_ping=True)
        client: Any = rotating
        log_in(engine, "db", client=client)
        async with engine.connect():
            pass
        rotating.rotate(questions_in_window=2)
        ticks = 0

        async def one(held: asyncio.Event) -> str:
            async with engine.connect() as connection:
                held.set()
                await asyncio.sleep(0)
                return await connection.run_sync(version)

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.ensure_future(tick())
        found = await asyncio.gather(*[one(asyncio.Event()) for _ in range(4)])
        rotating.rotate()
        found.append(await one(asyncio.Event()))
        ticking.cancel()
        await engine.dispose()
        return found, ticks

    found, ticks = asyncio.run(main())

    assert {"v1", "v2"} >= set(found[:4])
    assert "v2" in found[:4]
    assert "v3" == found[4]
    assert ticks >= 10


def test_waiting_on_a_loop() -> None:
    """Who waits for another task lets the loop go on."""
    runner = rotating_engines._InGreenlet(lambda _: None, None, None)  # type: ignore[arg-type, return-value]

    async def main() -> None:
        await greenlet_spawn(runner.wait, Wait(0.001, Bell()))

    asyncio.run(main())


def test_names_of_drivers() -> None:
    """SQLAlchemy's own names are not always those of the modules."""
    assert "mysql" == rotating_engines._NATIVE["mysqlconnector"]
