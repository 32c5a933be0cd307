"""Which failures are refused logins, by the drivers' own exceptions.

That the servers and drivers really raise these is shown in tests/databases.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import asyncpg
import mysql.connector.errors
import psycopg
import psycopg2
import pymysql
import pytest
import redis
import sqlalchemy.exc

from rotaware.database.refusals import LOCKED, OTHER, REFUSED, kind_of, parts_of

PLACE = 'connection to server at "127.0.0.1", port 5432 failed: '
WRONG = f'{PLACE}FATAL:  password authentication failed for user "app"'
GERMAN = f"{PLACE}FATAL:  Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen"
NO_LOGIN = f'{PLACE}FATAL:  role "app" is not permitted to log in'
NO_DATABASE = f'{PLACE}FATAL:  database "app" does not exist'
STARTING = f"{PLACE}FATAL:  the database system is starting up"
DOWN = f"{PLACE}Connection refused\n\tIs the server running?"


def by_psycopg(said: str, *, asked: bool | None = None) -> psycopg.Error:
    """As psycopg 3 raises it; whether the server has asked for a password."""
    error = psycopg.OperationalError(said)
    if asked is not None:
        connection: Any = SimpleNamespace(used_password=asked)
        error._pgconn = connection
    return error


def wrapped(error: BaseException, by: BaseException) -> BaseException:
    """One that was raised from another."""
    by.__cause__ = error
    return by


INVALID_PASSWORD = asyncpg.InvalidPasswordError("password authentication failed")
NOT_PERMITTED = asyncpg.InvalidAuthorizationSpecificationError(
    'role "app" is not permitted to log in'
)
CASES: list[tuple[BaseException, str]] = [
    (by_psycopg(WRONG), REFUSED),
    (by_psycopg(WRONG, asked=True), REFUSED),
    (by_psycopg(WRONG.replace("password", "PAM")), REFUSED),
    (by_psycopg(GERMAN, asked=True), REFUSED),
    (by_psycopg(GERMAN, asked=False), OTHER),
    (by_psycopg(GERMAN), OTHER),
    (by_psycopg(NO_LOGIN, asked=True), LOCKED),
    (by_psycopg(NO_DATABASE, asked=True), OTHER),
    (by_psycopg(STARTING), OTHER),
    (by_psycopg(DOWN, asked=False), OTHER),
    (by_psycopg("FATAL:  SASL authentication failed"), REFUSED),
    (psycopg2.OperationalError(WRONG), REFUSED),
    (psycopg2.OperationalError(NO_LOGIN), LOCKED),
    (psycopg2.OperationalError(DOWN), OTHER),
    (INVALID_PASSWORD, REFUSED),
    (asyncpg.InvalidPasswordError("Passwort falsch"), REFUSED),
    (NOT_PERMITTED, LOCKED),
    (asyncpg.InvalidCatalogNameError('database "app" does not exist'), OTHER),
    (ConnectionRefusedError(111, "Connect call failed"), OTHER),
    (pymysql.err.OperationalError(1045, "Access denied for user"), REFUSED),
    (pymysql.err.OperationalError(1698, "Access denied for user"), REFUSED),
    (pymysql.err.OperationalError(1044, "Access denied for user"), OTHER),
    (pymysql.err.OperationalError(4151, "this account is locked"), LOCKED),
    (pymysql.err.OperationalError(4150, "too many credential errors"), LOCKED),
    (pymysql.err.OperationalError(2003, "Can't connect"), OTHER),
    (pymysql.err.OperationalError("1045"), OTHER),
    (pymysql.err.OperationalError(), OTHER),
    (mysql.connector.errors.ProgrammingError(msg="no", errno=1045), REFUSED),
    (mysql.connector.errors.DatabaseError(msg="no", errno=4151), LOCKED),
    (mysql.connector.errors.InterfaceError(msg="no", errno=2003), OTHER),
    (redis.AuthenticationError("invalid username-password pair"), REFUSED),
    (redis.ConnectionError("Error 111 connecting"), OTHER),
    (redis.exceptions.NoPermissionError("no permissions"), OTHER),
    (RuntimeError("no"), OTHER),
    (wrapped(INVALID_PASSWORD, RuntimeError("no")), REFUSED),
    (
        sqlalchemy.exc.OperationalError("s", None, psycopg2.OperationalError(WRONG)),
        REFUSED,
    ),
    (wrapped(NOT_PERMITTED, psycopg2.OperationalError(WRONG)), LOCKED),
]


@pytest.mark.parametrize(("error", "kind"), CASES, ids=range(len(CASES)))
def test_kind(error: BaseException, kind: str) -> None:
    """A number decides, else an SQLSTATE, else words; a lock outweighs a refusal."""
    assert kind == kind_of(error)


def test_parts() -> None:
    """All that an exception was raised from or is made of, each once."""
    first, second, third = ValueError(), KeyError(), OSError()
    first.__cause__, first.__context__, second.__context__ = second, third, first
    third.exceptions = (second, "no exception")  # type: ignore[attr-defined]

    assert {first, second, third} == set(parts_of(first))
    assert 3 == len(list(parts_of(first)))
