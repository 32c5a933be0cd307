"""One call of a connect function: what it is called with, and what it leaves behind."""

from __future__ import annotations

import asyncio
import functools
import traceback
from typing import Any

import asyncpg
import psycopg
import pytest
import redis.asyncio

from rotaware.answers import Secret
from rotaware.database.calls import Call, OwnCall, attempt, attempt_async, is_async
from rotaware.database.refusals import OTHER, REFUSED
from rotaware.database.rule import Failed, Opened
from rotaware.errors import LoginFieldError
from tests.support.login_account import AccessError, Account, password_of

CANARY = password_of("v1")


def shown(error: BaseException) -> str:
    """All that a curious error reporter prints of the frames below a test's own."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    del trace.stack[0]
    return "".join(trace.format()) + repr(vars(error))


def tried(account: Account, call: Any, *, awaited: bool) -> Opened | Failed:
    """One attempt in a thread or on a loop."""
    secret = account.read_secret("db")
    if awaited:
        return asyncio.run(attempt_async(call, secret))
    return attempt(call, secret)


@pytest.fixture(params=[False, True], ids=["thread", "loop"])
def awaited(request: pytest.FixtureRequest) -> bool:
    """Whether the call is made on an event loop."""
    return bool(request.param)


def call_of(account: Account, *, awaited: bool, **given: Any) -> Call:
    """A call of the account's driver."""
    return Call(account.connect_async if awaited else account.connect, "db", given)


def own_call_of(account: Account, *, awaited: bool) -> OwnCall:
    """A call of code that connects by itself."""
    connect = account.connect_async if awaited else account.connect

    def function(login: Any, host: str, *, port: int) -> Any:
        return connect(user=login.username, password=login.password, host=host, p=port)

    return OwnCall(function, ("there",), {"port": 7})


def test_a_login_that_passes(awaited: bool) -> None:  # noqa: FBT001  a fixture
    """The driver gets the secret's parts, and what the caller gave."""
    account = Account()
    call = call_of(account, awaited=awaited, timeout=5)

    expected = Opened("connection as app to db.internal")
    assert expected == tried(account, call, awaited=awaited)
    assert [
        {"user": "app", "password": CANARY, "host": "db.internal", "timeout": 5}
    ] == account.logins


def test_own_code(awaited: bool) -> None:  # noqa: FBT001  a fixture
    """It gets the login before its own arguments."""
    account = Account()
    call = own_call_of(account, awaited=awaited)

    expected = Opened("connection as app to there")
    assert expected == tried(account, call, awaited=awaited)
    assert [
        {"user": "app", "password": CANARY, "host": "there", "p": 7}
    ] == account.logins


@pytest.mark.parametrize("make", [call_of, own_call_of])
def test_a_login_that_fails(make: Any, awaited: bool) -> None:  # noqa: FBT001  a fixture
    """It is told by the driver's own exception, in which no password is left."""
    account = Account()
    account.taken = set()
    result = tried(account, make(account, awaited=awaited), awaited=awaited)

    assert isinstance(result, Failed)
    assert REFUSED == result.kind
    assert type(result.error) is AccessError
    assert ("no entry with ***",) == result.error.args
    assert "in connect" in shown(result.error)
    assert "canary" not in shown(result.error)


def test_the_caller_s_own_password_is_hidden_too() -> None:
    """What the driver was called with counts."""
    account = Account()
    call = call_of(account, awaited=False, password="canary-own")
    result = tried(account, call, awaited=False)

    assert isinstance(result, Failed)
    assert "canary" not in shown(result.error)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_no_failure(interrupt: type[BaseException]) -> None:
    """It goes on its way, without the password."""
    account = Account()
    account.fault = interrupt(f"in the middle of {CANARY}")
    with pytest.raises(interrupt) as raised:
        tried(account, call_of(account, awaited=False), awaited=False)

    assert "canary" not in shown(raised.value)


def test_other_failures(awaited: bool) -> None:  # noqa: FBT001  a fixture
    """An exception of another kind is told as such."""
    account = Account()
    account.fault = OSError(111, "Connection refused")
    result = tried(account, call_of(account, awaited=awaited), awaited=awaited)

    assert Failed(account.fault, OTHER) == result


def test_a_wrong_secret() -> None:
    """It is no attempt: the error tells the user what to mend."""
    with pytest.raises(LoginFieldError):
        attempt(Call(Account().connect, "db", {}), Secret("db", "[]", "v1"))


@pytest.mark.parametrize("wrong", [psycopg, None, "psycopg"], ids=range(3))
def test_what_cannot_be_called(wrong: Any) -> None:
    """A module, or a driver that is not installed, is refused at once."""
    with pytest.raises(TypeError, match="give the driver's connect function, such as"):
        Call(wrong, "db", {})


def test_places() -> None:
    """Calls that name another server have another place; own code has none."""
    account = Account()

    assert 0 == call_of(account, awaited=False).place
    assert 0 != call_of(account, awaited=False, host="replica").place
    assert 0 == own_call_of(account, awaited=False).place


class Callable:
    """An object that is called like a coroutine function."""

    async def __call__(self) -> None:
        """Do nothing."""


def plain() -> None:
    """Do nothing."""


async def coroutine() -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("connect", "expected"),
    [
        (psycopg.connect, False),
        (psycopg.AsyncConnection.connect, True),
        (asyncpg.connect, True),
        (redis.asyncio.Redis, True),
        (redis.Redis, False),
        (coroutine, True),
        (plain, False),
        (functools.partial(coroutine), True),
        (Callable(), True),
        (print, False),
    ],
    ids=range(10),
)
def test_is_async(connect: Any, expected: bool) -> None:  # noqa: FBT001  a table
    """Coroutine functions, and classes whose instances are awaited."""
    assert expected is is_async(connect)
