"""The rule's steps on an event loop, which goes on meanwhile."""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.database import tasks
from rotaware.database.calls import Call
from rotaware.database.ledger import Ledger
from rotaware.database.rule import Caller, Read
from rotaware.database.turns import Bell, Wait
from rotaware.errors import AwsUnavailableError
from tests.support.login_account import AccessError, Account

if TYPE_CHECKING:
    from rotaware.answers import Secret


class Rig:
    """Callers of one account who share a ledger; time is what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.account = Account()
        self.ledger = Ledger(lambda: 0.0)
        self.now = 0.0
        self.naps: list[float] = []
        self.rotated_after = 0
        self.readers: set[int] = set()
        self._sleep = asyncio.sleep
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds
        if len(self.naps) == self.rotated_after:
            self.account.labels["AWSCURRENT"] = "v2"
        await self._sleep(0)

    def read(self, step: Read) -> Secret:
        self.readers.add(get_ident())
        return self.account.read_secret(
            "db", version_stage=step.stage, instead_of=step.instead_of
        )

    async def connect(self, budget: float = 10.0, connect: Any = None) -> Any:
        """One caller's way to a connection."""
        caller = Caller(
            self.ledger,
            lambda: self.now,
            budget,
            pending=False,
            username_of=lambda _: "app",
        )
        call = Call(connect or self.account.connect_async, "db", {})
        return await tasks.run(caller.steps(), self.read, call)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A rig."""
    return Rig(monkeypatch)


def test_a_connection(rig: Rig) -> None:
    """What the driver returned; the secret is read by another thread."""
    assert "connection as app to db.internal" == asyncio.run(rig.connect())
    assert get_ident() not in rig.readers


def test_a_rotation_is_waited_out(rig: Rig) -> None:
    """Eight tasks: one asks, each was refused at most once, and all connect."""
    rig.account.taken = {"v2"}
    rig.rotated_after = 2

    async def slowly(**options: Any) -> Any:
        await rig._sleep(0)
        return rig.account.connect(**options)

    async def main() -> list[Any]:
        calls = [rig.connect(connect=slowly) for _ in range(8)]
        return await asyncio.gather(*calls)

    assert 8 == len(asyncio.run(main()))
    assert [0.5, 1.0] == rig.naps
    # Whose read came late may have heard that the version is refused already.
    assert 8 + 1 <= len(rig.account.logins) <= 8 + 8
    assert 3 == sum(asked is not None for _, asked in rig.account.reads)


def test_failures(rig: Rig) -> None:
    """The driver's exception as it is; the client's as it is."""
    rig.account.taken = set()
    with pytest.raises(AccessError, match=r"^no entry with \*\*\*$"):
        asyncio.run(rig.connect(budget=0.0))
    error = AwsUnavailableError("Down", "no")
    rig.account.answers.append(error)
    with pytest.raises(AwsUnavailableError) as failed:
        asyncio.run(rig.connect())

    assert failed.value is error


def test_a_cancelled_leader_is_replaced(rig: Rig) -> None:
    """Its task is gone at once, and another one takes over."""

    async def main() -> Any:
        entered, never = asyncio.Event(), asyncio.Event()

        async def hang(**_: Any) -> None:
            entered.set()
            await never.wait()

        rig.account.taken = set()
        with pytest.raises(AccessError):
            await rig.connect(budget=0.0)
        rig.now += 5.0
        leader = asyncio.ensure_future(rig.connect(connect=hang))
        await entered.wait()
        rig.account.taken = {"v1"}
        follower = asyncio.ensure_future(rig.connect())
        while not rig.ledger._bells:
            await rig._sleep(0.001)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        rig.now += 10.0
        return await follower

    assert asyncio.run(main())


def test_waiting() -> None:
    """It ends with the bell, which may ring late, or when time is over."""
    early, late, after = Bell(), Bell(), Bell()
    early.ring()

    async def main() -> None:
        await tasks.wait(Wait(60.0, early))
        asyncio.get_running_loop().call_soon(late.ring)
        await tasks.wait(Wait(60.0, late))
        await tasks.wait(Wait(0.001, after))

    asyncio.run(main())
    after.ring()  # the loop is closed, and nobody minds
