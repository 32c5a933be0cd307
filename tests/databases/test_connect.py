"""``rotaware.database`` by each driver, on the real servers."""

from __future__ import annotations

import asyncio
import gc
import json
from types import CodeType, FrameType, FunctionType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import mysql.connector
import psycopg
import psycopg2
import pymysql
import pytest
import redis
import redis.asyncio

from rotaware import database
from rotaware.answers import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.database_server import DatabaseServer

FIRST, SECOND, OTHER = "canary-first", "canary-second", "canary-third"


class Driver(NamedTuple):
    """A driver: its server, how it connects, and what a refused login raises."""

    server: str
    connect: Callable[..., Any]
    refusal: type[Exception]
    awaited: bool = False
    options: tuple[tuple[str, Any], ...] = ()


DRIVERS = {
    "psycopg": Driver("postgres", psycopg.connect, psycopg.OperationalError),
    "psycopg-async": Driver(
        "postgres",
        psycopg.AsyncConnection.connect,
        psycopg.OperationalError,
        awaited=True,
    ),
    "psycopg2": Driver("postgres", psycopg2.connect, psycopg2.OperationalError),
    "asyncpg": Driver(
        "postgres", asyncpg.connect, asyncpg.InvalidPasswordError, awaited=True
    ),
    "pymysql": Driver("mariadb", pymysql.connect, pymysql.err.OperationalError),
    "mysql-connector": Driver(
        "mariadb", mysql.connector.connect, mysql.connector.errors.ProgrammingError
    ),
    "mysql-connector-pure": Driver(
        "mariadb",
        mysql.connector.connect,
        mysql.connector.errors.ProgrammingError,
        options=(("use_pure", True),),
    ),
    "redis": Driver("redis_server", redis.Redis, redis.AuthenticationError),
    "redis-async": Driver(
        "redis_server", redis.asyncio.Redis, redis.AuthenticationError, awaited=True
    ),
}


class Case:
    """A driver, a user of its server, and the client that reads the user's secret."""

    def __init__(self, driver: Driver, server: DatabaseServer, user: str) -> None:
        self.driver, self.server, self.user = driver, server, user
        self.version, self.passwords = "v1", {"v1": FIRST}
        self.coming: str | None = None
        self.questions = 0
        server.make_user(user, FIRST)

    def read_secret(
        self, name: str, *, instead_of: str | None = None, **_: Any
    ) -> Secret:
        if instead_of is not None:
            self.questions += 1
            self.version = self.coming or self.version
        password = self.passwords[self.version]
        fields: dict[str, Any] = self.server.secret(self.user, password)
        if self.driver.server != "redis_server":
            fields["dbname"] = "app"
        return Secret(name, json.dumps(fields), self.version)

    def rotate(self, password: str) -> None:
        """A rotation that ends with the next question."""
        self.server.set_password(self.user, password)
        self.coming, self.passwords["v2"] = "v2", password

    def connect(self, **options: Any) -> None:
        """Log in, and leave."""
        given: dict[str, Any] = {**dict(self.driver.options), **options}
        client: Any = self
        if not self.driver.awaited:
            database.connect(self.driver.connect, "db", client=client, **given).close()
            return

        async def main() -> None:
            connection = await database.connect(
                self.driver.connect, "db", client=client, **given
            )
            leave = getattr(connection, "aclose", None) or connection.close
            await leave()

        asyncio.run(main())


@pytest.fixture(params=DRIVERS)
def case(request: pytest.FixtureRequest) -> Case:
    """Each driver with a user of its own."""
    driver = DRIVERS[request.param]
    server = request.getfixturevalue(driver.server)
    test = request.node.originalname.removeprefix("test_")[:12]
    return Case(driver, server, f"{test}_{request.param}".replace("-", "_"))


def reachable(error: BaseException) -> list[str]:
    """The way to each text with a canary that an exception leads to, by its frames."""
    ahead: list[tuple[str, Any]] = [("", error), ("", error.__traceback__)]
    known: set[int] = set()
    found = []
    while ahead:
        way, part = ahead.pop()
        if id(part) in known or isinstance(part, (ModuleType, type, CodeType)):
            continue
        known.add(id(part))
        way = f"{way} > {type(part).__name__}"
        if isinstance(part, (str, bytes)):
            found += [way] * ("canary" in str(part))
            continue
        if isinstance(part, FrameType):
            if "/tests/" not in part.f_code.co_filename:
                way += f" {part.f_code.co_name}"
                ahead += [(way, value) for value in part.f_locals.values()]
        elif isinstance(part, TracebackType):
            ahead += [("", part.tb_frame), ("", part.tb_next)]
        elif not isinstance(part, FunctionType) and not is_ours(part):
            ahead += [(way, other) for other in gc.get_referents(part)]
    return found


def is_ours(part: object) -> bool:
    """Whether it is an object of the test, by which everything can be reached."""
    return isinstance(part, (Case, asyncio.AbstractEventLoop)) or type(
        part
    ).__module__.startswith(("_pytest", "rotaware.database.ledger", "threading"))


def test_logging_in(case: Case) -> None:
    """Once, by the secret as it is."""
    case.connect()

    assert 0 == case.questions


def test_a_rotation(case: Case) -> None:
    """One refused login, one question, and no failure."""
    before = case.server.refused_logins()
    case.rotate(SECOND)
    case.connect()

    assert 1 == case.questions
    assert before + 1 == case.server.refused_logins()


def test_a_refused_login(case: Case) -> None:
    """It is raised as the driver's own, and leads nowhere to a password."""
    case.server.set_password(case.user, OTHER)
    with pytest.raises(case.driver.refusal) as failed:
        case.connect(budget_seconds=0)

    assert case.driver.refusal is type(failed.value)
    assert [] == reachable(failed.value)
    assert str(failed.value)
    assert 1 == case.questions
