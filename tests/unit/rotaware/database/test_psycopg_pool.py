"""psycopg's pools go on through rotations, and let go of old logins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg_pool
import pytest

from rotaware.database.freshness import Freshness
from rotaware.database.psycopg_pool import AsyncConnectionPool, ConnectionPool

if TYPE_CHECKING:
    from tests.unit.rotaware.database.conftest import Rotating


@pytest.fixture(autouse=True)
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each checkout looks at the version, so that no test has to let time pass."""
    monkeypatch.setattr(Freshness, "is_due", lambda _: True)


def test_a_pool_works_through_rotations(rotating: Rotating) -> None:
    """Old logins go when the version changes, those in use when they come back."""
    client: Any = rotating
    options = {"dbname": "app"}
    with ConnectionPool(
        "db", client=client, min_size=2, kwargs=options, open=True
    ) as pool:
        with pool.connection() as held:
            rotating.rotate()
            with pool.connection() as another:
                assert "v2" == another.secret_version
                another.execute("SELECT 1")
            assert "v1" == held.secret_version
            held.execute("SELECT 1")  # a session outlives its password
        with pool.connection() as connection:
            assert "v2" == connection.secret_version
        rotating.rotate(questions_in_window=2)
        for connection in list(pool._pool):
            connection.close()
        with pool.connection() as connection:
            assert connection.secret_version in {"v2", "v3"}


def test_where_the_server_is_by_conninfo(rotating: Rotating) -> None:
    """Name and password alone come from the secret."""
    client: Any = rotating
    conninfo = f"host={rotating.server.host} port={rotating.server.port} dbname=app"
    checked: list[Any] = []
    with (
        ConnectionPool(
            "db", conninfo, client=client, min_size=1, open=True, check=checked.append
        ) as pool,
        pool.connection() as connection,
    ):
        assert (rotating.user,) == connection.execute("SELECT current_user").fetchone()
        assert [connection] == checked


def test_a_pool_without_a_login(rotating: Rotating) -> None:
    """It fails as psycopg's does; the server is not stormed."""
    client: Any = rotating
    rotating.server.set_password(rotating.user, "canary-other")
    before = rotating.server.refused_logins()
    with (
        ConnectionPool(
            "db",
            client=client,
            budget_seconds=0,
            min_size=1,
            kwargs={"dbname": "app"},
            open=True,
        ) as pool,
        pytest.raises(psycopg_pool.PoolTimeout),
        pool.connection(timeout=0.3),
    ):
        pass

    assert 1 == rotating.server.refused_logins() - before


def test_async_pools(rotating: Rotating) -> None:
    """The same on an event loop."""
    client: Any = rotating
    checked: list[Any] = []

    async def check(connection: Any) -> None:
        checked.append(connection)

    async def main() -> None:
        conninfo = f"host={rotating.server.host} port={rotating.server.port}"
        async with AsyncConnectionPool(
            "db",
            conninfo,
            client=client,
            min_size=1,
            kwargs={"dbname": "app"},
            check=check,
        ) as pool:
            async with pool.connection() as connection:
                assert "v1" == connection.secret_version
            rotating.rotate()
            async with pool.connection() as connection:
                assert "v2" == connection.secret_version
                await connection.execute("SELECT 1")
        async with (
            AsyncConnectionPool(
                "db", conninfo, client=client, min_size=1, kwargs={"dbname": "app"}
            ) as pool,
            pool.connection() as connection,
        ):
            assert isinstance(connection, psycopg.AsyncConnection)

    asyncio.run(main())

    assert 2 == len(checked)
