"""Who reads which secret, who shares what, and for how long refused logins last."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rotaware
from rotaware.database import secrets
from rotaware.database.calls import Call
from rotaware.database.rule import Read
from rotaware.database.secrets import Budget, Logins
from tests.support.clock import ManualClock
from tests.support.login_account import AccessError, Account

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(), 10.0),
        (Budget(3.0), 3.0),
        (Budget(0), 0.0),
        (Budget(-1.0), 0.0),
        (Budget(None, lambda: 60_000), 58.5),
        (Budget(5.0, lambda: 60_000), 5.0),
        (Budget(5.0, lambda: 4_000), 2.5),
        (Budget(None, lambda: 1_000), 0.0),
    ],
    ids=range(8),
)
def test_budget(budget: Budget, expected: float) -> None:
    """It ends before the function does."""
    assert expected == budget.now()


def logins(account: Any, name: str = "db", **options: Any) -> Logins:
    """Logins in a time that passes by itself."""
    return Logins(account, name, Budget(0.0), clock=ManualClock(), **options)


def call(account: Account, **given: Any) -> Call:
    """A call of the account's driver."""
    return Call(account.connect, "db", given)


def test_enter() -> None:
    """A connection, or something to wait for."""
    account = Account()

    assert logins(account).enter(call(account), awaited=False)
    later = Call(account.connect_async, "db", {})
    assert asyncio.run(logins(account).enter(later, awaited=True))


def test_calls_share_what_they_know() -> None:
    """By client, secret and place: what is refused here is not tried again here."""
    account, other = Account(), Account()
    account.taken = other.taken = set()

    def enter(by: Account, name: str = "db", **given: Any) -> None:
        with pytest.raises(AccessError):
            logins(by, name).enter(call(by, **given), awaited=False)

    enter(account)
    enter(account)
    assert 1 == len(account.logins)
    enter(account, "other")
    enter(account, host="replica")
    enter(other)
    assert 3 == len(account.logins)
    assert 1 == len(other.logins)


def test_a_fork_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who led in the parent does not lead here."""
    account = Account()
    account.taken = set()
    with pytest.raises(AccessError):
        logins(account).enter(call(account), awaited=False)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(AccessError):
        logins(account).enter(call(account), awaited=False)

    assert 2 == len(account.logins)


def test_the_library_s_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """If none is given, reads go where ``rotaware.read_secret`` goes."""
    asked: list[Any] = []

    class Stub:
        """A client that notes what it is asked."""

        def read_secret(self, name: str, **options: Any) -> Any:
            asked.append((name, options))

    monkeypatch.setattr("rotaware.parameters._clients", [Stub()])
    Logins(None, "db", Budget()).read(Read("v1", "AWSPENDING"))

    assert rotaware.read_secret is not None
    ((name, options),) = asked
    assert "db" == name
    assert ("v1", "AWSPENDING") == (options["instead_of"], options["version_stage"])


def test_pending_and_user_names() -> None:
    """AWSPENDING is used if that is allowed; a locked user's other version is not."""
    account = Account()
    account.taken = {"v2"}
    account.labels["AWSPENDING"] = "v2"
    with pytest.raises(AccessError):
        logins(account).enter(call(account), awaited=False)
    opened = logins(account, "again", pending=True).enter(call(account), awaited=False)
    assert opened

    locked = Account()
    locked.answers.extend(["v1", "v2"])
    locked.fault = AccessError("role is not permitted to log in")
    with pytest.raises(AccessError):
        logins(locked).enter(call(locked), awaited=False)
    assert 1 == len(locked.logins)


def test_jitter_is_random() -> None:
    """In [0, 1)."""
    assert 0.0 <= secrets._random() < 1.0


def test_nothing_is_imported_that_is_not_used() -> None:
    """No driver, no event loop; only what the package itself needs."""
    program = (
        "import sys; from rotaware import database;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    told = subprocess.run(
        [sys.executable, "-Sc", program],
        env={"PYTHONPATH": str(ROOT / "shared")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()

    assert "rotaware" in told
    unwanted = {"psycopg", "psycopg2", "psycopg_pool", "asyncpg", "pymysql", "mysql"}
    unwanted |= {"redis", "sqlalchemy", "asyncio", "inspect", "random", "logging"}
    assert not unwanted & set(told)
