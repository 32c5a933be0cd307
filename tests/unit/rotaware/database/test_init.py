"""``rotaware.database`` as function code uses it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rotaware import database
from tests.support.login_account import AccessError, Account


def test_connect() -> None:
    """A driver's connection by a secret; options go to the driver."""
    account = Account()
    found = database.connect(account.connect, "prod/db", client=account, timeout=5)  # type: ignore[arg-type]

    assert "connection as app to db.internal" == found
    assert 5 == account.logins[0]["timeout"]


def test_connect_on_a_loop() -> None:
    """What is awaited at the driver is awaited here."""
    account = Account()

    async def main() -> str:
        return await database.connect(account.connect_async, "prod/db", client=account)  # type: ignore[arg-type]

    assert asyncio.run(main())


def test_connect_by_newer_version() -> None:
    """A rotated password costs a second try."""
    account = Account()
    account.rotate("v2")
    account.answers.append("v1")

    assert database.connect(account.connect, "prod/db", client=account)  # type: ignore[arg-type]
    assert 2 == len(account.logins)


def test_options() -> None:
    """Budget and AWSPENDING are as the caller says."""
    account = Account()
    account.taken = {"v2"}
    account.labels["AWSPENDING"] = "v2"
    client: Any = account
    with pytest.raises(AccessError):
        database.connect(account.connect, "one", client=client, budget_seconds=0)
    assert database.connect(
        account.connect, "two", client=client, pending=True, remaining_ms=lambda: 10
    )


def test_with_login() -> None:
    """The function gets the login, and is called again with a newer one."""
    account = Account()
    client: Any = account
    account.rotate("v2")
    account.answers.append("v1")

    @database.with_login("prod/db", client=client)
    def connection(login: database.Login, port: int) -> str:
        """Connects."""
        return account.connect(
            user=login.username, password=login.password, host=login.host, port=port
        )

    assert connection(7)
    assert ["canary-v1", "canary-v2"] == [told["password"] for told in account.logins]
    assert ("connection", "Connects.") == (connection.__name__, connection.__doc__)


def test_with_login_on_a_loop() -> None:
    """The same for an async function, with options."""
    account = Account()
    client: Any = account
    account.taken = set()

    @database.with_login("prod/db", client=client, budget_seconds=0)
    async def connection(login: database.Login) -> str:
        return await account.connect_async(
            user=login.username, password=login.password, host=login.host
        )

    with pytest.raises(AccessError):
        asyncio.run(connection())
    account.rotate("v2")
    assert asyncio.run(connection())
