"""What a secret says of a login, and what it says when it does not."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from rotaware.database.login import Login, login_of
from rotaware.errors import LoginFieldError

CANARY = "canary-p@ss"
FIELDS = {
    "engine": "postgres",
    "host": "db.internal",
    "port": 5432,
    "username": "app",
    "password": CANARY,
    "dbname": "orders",
}


def login(**changes: Any) -> Login:
    """The login in the usual secret with some fields changed."""
    return login_of("prod/db", "v1", json.dumps({**FIELDS, **changes}))


def parts(of: Login) -> tuple[Any, ...]:
    """What a login says besides the password."""
    return (of.engine, of.host, of.port, of.username, of.dbname, of.ssl)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("postgres", "db.internal", 5432, "app", "orders", None)),
        ({"port": "5432"}, ("postgres", "db.internal", 5432, "app", "orders", None)),
        ({"port": ""}, ("postgres", "db.internal", None, "app", "orders", None)),
        ({"port": None}, ("postgres", "db.internal", None, "app", "orders", None)),
        ({"port": 65535}, ("postgres", "db.internal", 65535, "app", "orders", None)),
        ({"dbname": None}, ("postgres", "db.internal", 5432, "app", None, None)),
        ({"dbname": ""}, ("postgres", "db.internal", 5432, "app", None, None)),
        ({"host": None}, ("postgres", None, 5432, "app", "orders", None)),
        ({"username": None}, ("postgres", "db.internal", 5432, None, "orders", None)),
        ({"engine": None}, (None, "db.internal", 5432, "app", "orders", None)),
        ({"engine": "moon"}, ("moon", "db.internal", 5432, "app", "orders", None)),
        (
            {"engine": "redshift", "dbClusterIdentifier": "c-1", "port": None},
            ("redshift", "db.internal", 5439, "app", "orders", None),
        ),
        (
            {"engine": "mongo", "ssl": True},
            ("mongo", "db.internal", 5432, "app", "orders", True),
        ),
        (
            {"engine": "mongo", "ssl": "False"},
            ("mongo", "db.internal", 5432, "app", "orders", False),
        ),
        ({"ssl": ""}, ("postgres", "db.internal", 5432, "app", "orders", None)),
        (
            {"engine": "mysql", "masterarn": "arn:aws:secretsmanager:x:1:secret:m"},
            ("mysql", "db.internal", 5432, "app", "orders", None),
        ),
    ],
)
def test_fields(changes: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Fields mean what AWS means; those for rotation functions are left alone."""
    assert expected == parts(login(**changes))
    assert CANARY == login(**changes).password


def test_what_rds_manages() -> None:
    """A secret that RDS manages names no host: the caller will."""
    found = login_of("rds!db-1", "v1", json.dumps({"username": "a", "password": "b"}))

    assert (None, None, None, "a", None, None) == parts(found)
    assert "v1" == found.version_id


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": None}, "has no field 'password': add it"),
        ({"password": ""}, "has no field 'password': add it"),
        ({"password": [CANARY]}, "has a list in the field 'password': make it a str"),
        ({"username": {"n": CANARY}}, "has a dict in the field 'username': make it a"),
        ({"host": 5}, "has a int in the field 'host': make it a string"),
        ({"dbname": True}, "has a bool in the field 'dbname': make it a string"),
        ({"engine": 1.5}, "has a float in the field 'engine': make it a string"),
        (
            {"port": CANARY},
            "has no port in the field 'port': make it a number to 65535",
        ),
        ({"port": 0}, "has no port in the field 'port'"),
        ({"port": 65536}, "has no port in the field 'port'"),
        ({"port": "1" * 5000}, "has no port in the field 'port'"),
        ({"port": "\u0665"}, "has no port in the field 'port'"),
        ({"port": -1}, "has no port in the field 'port'"),
        ({"port": 5432.0}, "has no port in the field 'port'"),
        ({"port": True}, "has no port in the field 'port'"),
        ({"port": [5432]}, "has no port in the field 'port'"),
        ({"ssl": CANARY}, "has neither true nor false in the field 'ssl': make it one"),
        ({"ssl": 1}, "has neither true nor false in the field 'ssl'"),
    ],
)
def test_wrong_fields(changes: dict[str, Any], said: str) -> None:
    """One line names the secret, the field and the fix, and never the value."""
    with pytest.raises(LoginFieldError) as failed:
        login(**changes)

    assert str(failed.value).startswith(f"secret 'prod/db' {said}")
    assert CANARY not in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("value", ["", "pass", "[1]", '"x"', b"\xff", "[" * 9999])
def test_no_json_object(value: str | bytes) -> None:
    """A value of another kind is refused, unquoted, by an error without a cause."""
    with pytest.raises(LoginFieldError, match="is no JSON object: store") as failed:
        login_of("prod/db", "v1", value)

    assert failed.value.__cause__ is failed.value.__context__ is None


def test_a_binary_secret() -> None:
    """JSON in bytes will do."""
    found = login_of("db", "v1", json.dumps(FIELDS).encode())

    assert "app" == found.username


def test_the_password_is_hidden() -> None:
    """No text of a login holds it, and none can be written down by accident."""
    found = login()

    assert "Login(postgres, app at db.internal:5432/orders, password hidden)" == repr(
        found
    )
    assert CANARY not in f"{found} {[found]}"
    for write in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            write(found)
