"""What each driver really raises when it cannot log in, on the real servers.

``rotaware.database`` tells a refused login from other failures by what stands here: by
the exception's class, its code where it has one, and its words where it has none.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import redis
from redis.backoff import NoBackoff

from tests.support.drivers import DRIVERS, Login
from tests.support.mariadb import Mariadb
from tests.support.postgres import Postgres
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.database_server import DatabaseServer

RIGHT, WRONG = "canary-right", "canary-wrong"
SERVERS: dict[str, Callable[[], DatabaseServer]] = {
    "postgres": Postgres,
    "mariadb": Mariadb,
    "redis": RedisServer,
}


class Raised(NamedTuple):
    """What a failed login told: its class, the code that it carries, a few words."""

    kind: str
    code: object
    words: str


PSYCOPG = "psycopg.OperationalError"
PSYCOPG2 = "psycopg2.OperationalError"
WRONG_PASSWORD = "FATAL:  password authentication failed for user"
NOT_PERMITTED = "is not permitted to log in"
NO_DATABASE = 'database "absent" does not exist'
REFUSED = "Connection refused"
PYMYSQL = "pymysql.err.OperationalError"
PROGRAMMING = "mysql.connector.errors.ProgrammingError"
DENIED = "Access denied for user"
LOCKED = "Access denied, this account is locked"
BLOCKED = "User is blocked because of too many credential errors"
AUTHENTICATION = "redis.exceptions.AuthenticationError"
INVALID_PAIR = "invalid username-password pair or user is disabled."

# libpq gives no SQLSTATE for what happens before the login is through.
_PSYCOPG = {
    "wrong password": Raised(PSYCOPG, None, WRONG_PASSWORD),
    "unknown role": Raised(PSYCOPG, None, WRONG_PASSWORD),
    "locked": Raised(PSYCOPG, None, NOT_PERMITTED),
    "expired": Raised(PSYCOPG, None, WRONG_PASSWORD),
    "no database": Raised(PSYCOPG, None, NO_DATABASE),
    "down": Raised(PSYCOPG, None, REFUSED),
}
_MYSQL_CONNECTOR = {
    "wrong password": Raised(PROGRAMMING, 1045, DENIED),
    "unknown role": Raised(PROGRAMMING, 1045, DENIED),
    "locked": Raised("mysql.connector.errors.DatabaseError", 4151, LOCKED),
    "blocked": Raised("mysql.connector.errors.DatabaseError", 4150, BLOCKED),
    "no password": Raised(PROGRAMMING, 1698, DENIED),
    "no database": Raised(PROGRAMMING, 1044, DENIED),
    "down": Raised("mysql.connector.errors.InterfaceError", 2003, REFUSED),
}
_REDIS = {
    "wrong password": Raised(AUTHENTICATION, None, INVALID_PAIR),
    "unknown role": Raised(AUTHENTICATION, None, INVALID_PAIR),
    "locked": Raised(AUTHENTICATION, None, INVALID_PAIR),
    "no right": Raised("redis.exceptions.NoPermissionError", None, "no permissions"),
    "down": Raised("redis.exceptions.ConnectionError", None, "Error 111 connecting"),
}
RAISED = {
    "psycopg": _PSYCOPG,
    "psycopg async": _PSYCOPG,
    "psycopg2": {
        situation: raised._replace(kind=PSYCOPG2)
        for situation, raised in _PSYCOPG.items()
    },
    "asyncpg": {
        "wrong password": Raised(
            "asyncpg.exceptions.InvalidPasswordError",
            "28P01",
            "password authentication failed for user",
        ),
        "unknown role": Raised(
            "asyncpg.exceptions.InvalidPasswordError",
            "28P01",
            "password authentication failed for user",
        ),
        "locked": Raised(
            "asyncpg.exceptions.InvalidAuthorizationSpecificationError",
            "28000",
            NOT_PERMITTED,
        ),
        "no database": Raised(
            "asyncpg.exceptions.InvalidCatalogNameError", "3D000", NO_DATABASE
        ),
        "down": Raised("builtins.ConnectionRefusedError", 111, "Connect call failed"),
    },
    "pymysql": {
        "wrong password": Raised(PYMYSQL, 1045, DENIED),
        "unknown role": Raised(PYMYSQL, 1045, DENIED),
        "locked": Raised(PYMYSQL, 4151, LOCKED),
        "blocked": Raised(PYMYSQL, 4150, BLOCKED),
        "no password": Raised(PYMYSQL, 1698, DENIED),
        "no database": Raised(PYMYSQL, 1044, DENIED),
        "down": Raised(PYMYSQL, 2003, REFUSED),
    },
    "mysql.connector": _MYSQL_CONNECTOR,
    "mysql.connector pure": _MYSQL_CONNECTOR,
    "redis": _REDIS,
    "redis async": _REDIS,
}
# Situation to who tries to log in, with what, to which database.
TRIES = {
    "wrong password": ("app", WRONG, "app"),
    "unknown role": ("nobody", RIGHT, "app"),
    "locked": ("locked", RIGHT, "app"),
    "expired": ("expired", RIGHT, "app"),
    "blocked": ("blocked", RIGHT, "app"),
    "no password": ("socket", RIGHT, "app"),
    "no right": ("weak", RIGHT, "app"),
    "no database": ("app", RIGHT, "absent"),
    "down": ("app", RIGHT, "app"),
}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """A server of its own, with a user for each situation."""
    with SERVERS[request.param]() as running:
        running.make_user("app", RIGHT)
        running.make_user("locked", RIGHT)
        if isinstance(running, Postgres):
            running.execute("ALTER ROLE locked NOLOGIN")
            running.make_user("expired", RIGHT)
            running.execute("ALTER ROLE expired VALID UNTIL '2001-01-01'")
        elif isinstance(running, Mariadb):
            running.execute("ALTER USER locked@'%%' ACCOUNT LOCK")
            running.make_user("blocked", RIGHT)
        elif isinstance(running, RedisServer):
            with running.client() as client:
                client.acl_setuser("locked", enabled=False)
                client.acl_setuser("weak", enabled=True, passwords=[f"+{RIGHT}"])
        yield running


def test_every_driver_raises_what_the_table_says(server: DatabaseServer) -> None:
    """Each driver, in each situation, raises just this, and never the password."""
    found, said = {}, []

    def note(driver: str, situation: str) -> None:
        fault = raised_by(server, driver, situation)
        found[driver, situation] = told(fault, RAISED[driver][situation])
        said.append(str(fault))

    for driver in DRIVERS[server.engine]:
        for situation in RAISED[driver].keys() - {"down"}:
            with set_up(server, situation):
                note(driver, situation)
    server.halt()
    for driver in DRIVERS[server.engine]:
        note(driver, "down")
    server.resume()

    assert {
        (driver, situation): raised
        for driver in DRIVERS[server.engine]
        for situation, raised in RAISED[driver].items()
    } == found
    assert [text for text in said if "canary" in text] == []


def test_psycopg_keeps_the_password_in_its_exception(postgres: Postgres) -> None:
    """Why nobody may log a failed connection's attributes: one of them prints it."""
    with pytest.raises(Exception, match=WRONG_PASSWORD) as failed:
        attempt(postgres, "psycopg", "nobody", WRONG, "app")

    assert WRONG in repr(getattr(failed.value, "pgconn", None))


def test_redis_py_logs_in_again_by_default(redis_server: RedisServer) -> None:
    """Left alone, redis-py repeats a login that was refused, ten times."""
    before = redis_server.refused_logins()
    client = redis.Redis(
        host=redis_server.host, port=redis_server.port, username="no", password=WRONG
    )
    retry: Any = client.get_retry()
    retry._backoff = NoBackoff()  # its pauses prove nothing
    with client, pytest.raises(redis.AuthenticationError):
        client.ping()

    assert before + 11 == redis_server.refused_logins()


@contextlib.contextmanager
def set_up(server: DatabaseServer, situation: str) -> Iterator[None]:
    """What must not be there in other situations."""
    if not isinstance(server, Mariadb):
        yield
        return
    if situation == "blocked":
        server.execute("SET GLOBAL max_password_errors = 1")
        raised_by(server, "pymysql", "wrong password", user="blocked")
    elif situation == "no password":
        # Whom MariaDB does not know it refuses as it would one of those whom it knows.
        server.execute("CREATE USER socket@'%%' IDENTIFIED VIA unix_socket")
    yield
    server.execute("DROP USER IF EXISTS socket@'%%'")
    server.execute("SET GLOBAL max_password_errors = 4294967295")


def raised_by(
    server: DatabaseServer, driver: str, situation: str, user: str | None = None
) -> Exception:
    """The exception that a login ends with."""
    usual, password, database = TRIES[situation]
    with pytest.raises(Exception) as failed:  # noqa: PT011  the table tells which
        attempt(server, driver, user or usual, password, database)
    return failed.value


def attempt(
    server: DatabaseServer, driver: str, user: str, password: str, database: str
) -> None:
    """Log in, and leave."""
    login = Login(server.host, server.port, user, password, database)
    DRIVERS[server.engine][driver](login)


def told(fault: Exception, expected: Raised) -> Raised:
    """What an exception tells; the expected words, if they are among its own."""
    kind = f"{type(fault).__module__}.{type(fault).__qualname__}"
    words = expected.words if expected.words in str(fault) else str(fault)
    return Raised(kind, code_of(fault), words)


def code_of(fault: Exception) -> object:
    """The code that it carries, wherever its driver puts it."""
    for name in ("errno", "sqlstate", "pgcode"):
        code = getattr(fault, name, None)
        if code is not None and not isinstance(fault.args[0], int):
            return code
    return fault.args[0] if fault.args and isinstance(fault.args[0], int) else None
