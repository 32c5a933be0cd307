"""The code on docs/databases.md, run as it stands there on the real servers."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import mysql.connector
import psycopg
import psycopg2
import pymysql
import pytest
import redis
import redis.asyncio

import rotaware
from rotaware import database
from rotaware.answers import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.database_server import DatabaseServer

PAGE = (Path(__file__).parents[2] / "docs/databases.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CALLS = re.findall(
    r"^\| .* \| `((?:await )?database\.connect\(.*\))` \|$", PAGE, re.MULTILINE
)
NAMES = {
    "asyncpg": asyncpg,
    "database": database,
    "mysql": mysql,
    "psycopg": psycopg,
    "psycopg2": psycopg2,
    "pymysql": pymysql,
    "redis": redis,
}
SERVERS = {"mysql": "mariadb", "pymysql": "mariadb", "redis": "redis_server"}


class Reader:
    """What ``rotaware.use`` takes: every secret is the login of one server."""

    def __init__(self, server: DatabaseServer, user: str) -> None:
        server.make_user(user, "canary-of-the-page")
        self._login = server.secret(user, "canary-of-the-page")

    def read_secret(self, name: str, **_: Any) -> Secret:
        """The login."""
        return Secret(name, json.dumps(self._login), "v1")


@pytest.fixture(autouse=True)
def own_client() -> Iterator[None]:
    """The page's code says of no client; afterwards there is none again."""
    yield
    rotaware.use(None)


def use(server: DatabaseServer, user: str) -> None:
    """Have all secrets be that of a new user."""
    client: Any = Reader(server, user)
    rotaware.use(client)


def block(words: str) -> dict[str, Any]:
    """The names that the only block with these words defines."""
    (code,) = (each for each in BLOCKS if words in each)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/databases.md", "exec"), names)  # noqa: S102  our own page
    return names


def test_the_function(postgres: DatabaseServer) -> None:
    """It connects, asks, and answers with a time."""
    use(postgres, "page_function")

    assert re.match(r"\d{4}-\d\d-\d\dT", block("SELECT now()")["handler"]({}, None))


def test_sqlalchemy(postgres: DatabaseServer) -> None:
    """Its engine connects."""
    use(postgres, "page_engine")
    engine = block("create_engine")["engine"]
    with engine.connect() as connection:
        assert 1 == connection.exec_driver_sql("SELECT 1").scalar()
    engine.dispose()


def test_psycopg_pool(postgres: DatabaseServer) -> None:
    """Its pool connects."""
    use(postgres, "page_pool")
    with block("ConnectionPool")["pool"] as pool, pool.connection() as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


@pytest.mark.parametrize("call", CALLS)
def test_the_table_of_drivers(request: pytest.FixtureRequest, call: str) -> None:
    """Each call connects."""
    _, _, driver = call.partition("connect(")
    server = SERVERS.get(driver.partition(".")[0], "postgres")
    use(request.getfixturevalue(server), f"page_{CALLS.index(call)}")

    async def main() -> None:
        code = compile(call, "page", "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        made = eval(code, dict(NAMES))  # noqa: S307  our own page
        connection = await made if inspect.isawaitable(made) else made
        leave = getattr(connection, "aclose", None) or connection.close
        left = leave()
        if inspect.isawaitable(left):
            await left

    asyncio.run(main())

    assert len(CALLS) == len({*NAMES} - {"database"}) + 2
