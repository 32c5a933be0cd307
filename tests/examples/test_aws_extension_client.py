"""examples/aws_extension_client: code written for the AWS extension, unchanged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.mariadb import DATABASE, Mariadb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.examples.conftest import Account, Running

CONFIGURATION = "/shop/prod/config"
CREDENTIALS = "shop/prod/database"
USER = "shop"


@pytest.fixture
def server() -> Iterator[Mariadb]:
    """The function's database, with its user and another database."""
    with Mariadb() as running:
        running.make_user(USER, "canary-old")
        running.execute("CREATE DATABASE archive")
        running.execute("GRANT ALL ON archive.* TO %s@'%%'", USER)
        yield running


def configuration(server: Mariadb, database: str) -> str:
    """The parameter's value."""
    fields = {"host": server.host, "port": server.port, "database": database}
    return json.dumps(fields)


def credentials(password: str) -> str:
    """The secret's value."""
    return json.dumps({"username": USER, "password": password})


def test_it_logs_in_with_what_changed(
    account: Account, start: Callable[..., Running], server: Mariadb
) -> None:
    """Each change of secret or parameter is read by the next invocation, alone."""
    account.put_parameter(CONFIGURATION, configuration(server, DATABASE))
    account.put_secret(CREDENTIALS, credentials("canary-old"))
    function = start("aws_extension_client")

    assert {"user": USER, "database": DATABASE} == function.invoke()
    assert {"user": USER, "database": DATABASE} == function.invoke()
    assert function.fetches() == []

    server.set_password(USER, "canary-new")
    account.rotate(CREDENTIALS, credentials("canary-new"))

    assert {"user": USER, "database": DATABASE} == function.invoke()
    assert function.fetches() == [f"secretsmanager.GetSecretValue {CREDENTIALS}"]

    account.put_parameter(CONFIGURATION, configuration(server, "archive"))

    assert {"user": USER, "database": "archive"} == function.invoke()
    assert function.fetches() == [f"ssm.GetParameter {CONFIGURATION}"]
    assert server.refused_logins() == 0
