"""Every supported driver: how it logs in, so that tests can try the same with each.

An attempt logs in and leaves at once. What it raises is the driver's own, unchanged.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import asyncpg
import mysql.connector
import psycopg
import psycopg2
import pymysql
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 5


class Login(NamedTuple):
    """Where to log in, and as whom."""

    host: str
    port: int
    user: str
    password: str
    database: str = "app"


def with_psycopg(login: Login) -> None:
    """As psycopg 3 does."""
    host, port, user, password, database = login
    psycopg.connect(
        host=host,
        port=port,
        user=user,
        password=password,
        dbname=database,
        connect_timeout=SECONDS,
    ).close()


def with_psycopg_async(login: Login) -> None:
    """As psycopg 3 does on an event loop."""

    async def attempt() -> None:
        host, port, user, password, database = login
        connection = await psycopg.AsyncConnection.connect(
            host=host,
            port=port,
            user=user,
            password=password,
            dbname=database,
            connect_timeout=SECONDS,
        )
        await connection.close()

    asyncio.run(attempt())


def with_psycopg2(login: Login) -> None:
    """As psycopg2 does."""
    host, port, user, password, database = login
    psycopg2.connect(
        host=host,
        port=port,
        user=user,
        password=password,
        dbname=database,
        connect_timeout=SECONDS,
    ).close()


def with_asyncpg(login: Login) -> None:
    """As asyncpg does."""

    async def attempt() -> None:
        connection = await asyncpg.connect(**login._asdict(), timeout=SECONDS)
        await connection.close()

    asyncio.run(attempt())


def with_pymysql(login: Login) -> None:
    """As PyMySQL does."""
    pymysql.connect(**login._asdict(), connect_timeout=SECONDS).close()


def with_mysql_connector(login: Login) -> None:
    """mysql-connector-python, the C implementation."""
    mysql.connector.connect(**login._asdict(), connection_timeout=SECONDS).close()


def with_mysql_connector_pure(login: Login) -> None:
    """mysql-connector-python, the Python implementation."""
    mysql.connector.connect(
        **login._asdict(), connection_timeout=SECONDS, use_pure=True
    ).close()


def with_redis(login: Login) -> None:
    """redis-py, told to try once: by default it logs in again and again."""
    client = redis.Redis(
        host=login.host,
        port=login.port,
        username=login.user,
        password=login.password,
        socket_connect_timeout=SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        client.ping()


def with_redis_async(login: Login) -> None:
    """redis-py, on an event loop, told the same."""

    async def attempt() -> None:
        from redis.asyncio.retry import Retry as AsyncRetry  # noqa: PLC0415

        client = redis.asyncio.Redis(
            host=login.host,
            port=login.port,
            username=login.user,
            password=login.password,
            socket_connect_timeout=SECONDS,
            retry=AsyncRetry(NoBackoff(), 0),
        )
        async with client:
            await client.ping()

    asyncio.run(attempt())


DRIVERS: dict[str, dict[str, Callable[[Login], None]]] = {
    "postgres": {
        "psycopg": with_psycopg,
        "psycopg async": with_psycopg_async,
        "psycopg2": with_psycopg2,
        "asyncpg": with_asyncpg,
    },
    "mariadb": {
        "pymysql": with_pymysql,
        "mysql.connector": with_mysql_connector,
        "mysql.connector pure": with_mysql_connector_pure,
    },
    "redis": {"redis": with_redis, "redis async": with_redis_async},
}
"""By engine and name."""
