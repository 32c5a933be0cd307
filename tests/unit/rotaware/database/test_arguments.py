"""What each driver is called with, and which driver it is."""

from __future__ import annotations

import functools
from typing import Any

import asyncpg
import mysql.connector
import psycopg
import psycopg2
import pymysql
import pytest
import redis
import redis.asyncio

from rotaware.database.arguments import (
    another_place,
    arguments_of,
    driver_of,
    password_in,
)
from rotaware.database.login import Login
from rotaware.errors import LoginFieldError

FULL = {
    "host": "db.internal",
    "port": 5432,
    "username": "app",
    "password": "canary",
    "dbname": "7",
}
PG2 = {"user": "app", "password": "canary", "host": "db.internal", "port": 5432}


class OwnClient(redis.Redis):
    """Somebody's subclass."""


def login(**changes: Any) -> Login:
    """The full login with some fields changed."""
    return Login("prod/db", "v1", {**FULL, **changes})


DRIVERS = [
    (psycopg.connect, "psycopg"),
    (psycopg.AsyncConnection.connect, "psycopg"),
    (psycopg2.connect, "psycopg2"),
    (asyncpg.connect, "asyncpg"),
    (pymysql.connect, "pymysql"),
    (mysql.connector.connect, "mysql"),
    (redis.Redis, "redis"),
    (redis.asyncio.Redis, "redis"),
    (OwnClient, "redis"),
    (functools.partial(functools.partial(psycopg.connect), port=1), "psycopg"),
    (login, ""),
    (int, ""),
]


@pytest.mark.parametrize(("connect", "driver"), DRIVERS, ids=range(len(DRIVERS)))
def test_driver(connect: Any, driver: str) -> None:
    """It is the top module that the function, or a class's ancestor, comes from."""
    assert driver == driver_of(connect)


@pytest.mark.parametrize(
    ("driver", "given", "expected"),
    [
        ("psycopg", {}, {**PG2, "dbname": "7"}),
        ("psycopg2", {}, {**PG2, "dbname": "7"}),
        ("asyncpg", {}, {**PG2, "database": "7"}),
        ("pymysql", {}, {**PG2, "database": "7"}),
        ("mysql", {}, {**PG2, "database": "7"}),
        ("", {}, {**PG2, "database": "7"}),
        (
            "redis",
            {},
            {
                "username": "app",
                "password": "canary",
                "host": "db.internal",
                "port": 5432,
                "db": 7,
            },
        ),
        ("psycopg", {"host": "replica", "sslmode": "require"}, {"host": "replica"}),
        ("pymysql", {"db": "other", "passwd": "x"}, {"db": "other", "passwd": "x"}),
    ],
)
def test_arguments(
    driver: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The secret's fields by the driver's names; what the caller gives wins."""
    found = arguments_of("prod/db", login(), driver, given)

    assert {**found, **expected} == found
    assert given.items() <= found.items()
    if not given:
        assert expected == found
    if driver == "pymysql" and given:
        assert not {"password", "database"} & set(found)


@pytest.mark.parametrize(
    ("driver", "place"),
    [
        ("psycopg", "conninfo"),
        ("psycopg", "service"),
        ("psycopg2", "dsn"),
        ("asyncpg", "dsn"),
        ("pymysql", "unix_socket"),
        ("mysql", "option_files"),
        ("redis", "unix_socket_path"),
        ("", "dsn"),
    ],
)
def test_another_way_to_the_server(driver: str, place: str) -> None:
    """Who says in another way where the server is takes name and password alone."""
    found = arguments_of("db", login(host=None), driver, {place: "there"})

    assert {"password", place} < set(found)
    assert not {"host", "port", "dbname", "database", "db"} & set(found)


@pytest.mark.parametrize(
    ("driver", "missing", "said"),
    [
        ("psycopg", "host", "has no field 'host': add it, or give host="),
        ("psycopg", "username", "has no field 'username': add it, or give user="),
        ("redis", "host", "has no field 'host': add it, or give host="),
    ],
)
def test_missing_fields(driver: str, missing: str, said: str) -> None:
    """What the driver cannot do without must come from somewhere."""
    with pytest.raises(LoginFieldError) as failed:
        arguments_of("db", login(**{missing: None}), driver, {})

    assert f"secret 'db' {said}" == str(failed.value)


def test_fields_that_may_be_missing() -> None:
    """Drivers know their port, servers a user's database, Redis a nameless user."""
    found = arguments_of("db", login(port=None, dbname=None), "psycopg", {})

    assert {"user", "password", "host"} == set(found)
    assert {"password", "host", "port", "db"} == set(
        arguments_of("db", login(username=None), "redis", {})
    )
    assert {"password", "host", "port", "username"} == set(
        arguments_of("db", login(dbname=None), "redis", {})
    )


@pytest.mark.parametrize("dbname", ["canary", "\u0665", "-1"])
def test_redis_knows_databases_by_number(dbname: str) -> None:
    """Another name is refused, unquoted."""
    with pytest.raises(LoginFieldError, match="has no number") as failed:
        arguments_of("db", login(dbname=dbname), "redis", {})

    assert dbname not in str(failed.value)


def test_which_password_counts() -> None:
    """That with which the driver is called."""
    assert "a" == password_in("pymysql", {"passwd": "a"})
    assert "b" == password_in("psycopg", {"password": "b", "passwd": "a"})
    assert password_in("psycopg", {}) is None


def test_places() -> None:
    """Calls to one server as one user are alike, whatever else they ask for."""
    assert 0 == another_place("psycopg", {"connect_timeout": 5, "dbname": "x"})
    there = another_place("psycopg", {"host": "replica", "sslmode": "x"})
    assert there == another_place("psycopg", {"host": "replica"}) != 0
    assert there != another_place("psycopg", {"host": "other"})
    assert 0 != another_place("psycopg", {"conninfo": "host=x"})
