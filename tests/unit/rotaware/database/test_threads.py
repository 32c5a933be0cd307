"""The rule's steps in threads: they share what they know, and wait for each other."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.database.calls import Call
from rotaware.database.ledger import Ledger
from rotaware.database.login import login_of
from rotaware.database.rule import Caller, Read
from rotaware.database.threads import Blocking
from rotaware.database.turns import Bell, Wait
from rotaware.errors import AwsUnavailableError, LoginFieldError
from tests.support.clock import ManualClock
from tests.support.login_account import AccessError, Account

if TYPE_CHECKING:
    from rotaware.answers import Secret

SECONDS = 10.0


class Rig:
    """Callers of one account who share a ledger."""

    def __init__(self) -> None:
        self.account = Account()
        self.clock = ManualClock()
        self.ledger = Ledger(lambda: 0.0)

    def connect(self, budget: float = 10.0, connect: Any = None) -> Any:
        """One caller's way to a connection."""
        caller = Caller(
            self.ledger,
            lambda: self.clock.now().monotonic,
            budget,
            pending=False,
            username_of=lambda secret: login_of("", "", secret.value).username,
        )
        call = Call(connect or self.account.connect, "db", {})
        return Blocking(self.read, call, self.clock).run(caller.steps())

    def read(self, step: Read) -> Secret:
        return self.account.read_secret(
            "db", version_stage=step.stage, instead_of=step.instead_of
        )


def test_a_connection() -> None:
    """What the driver returned."""
    assert "connection as app to db.internal" == Rig().connect()


def test_a_rotation_is_waited_out() -> None:
    """Pauses are the clock's; after them another version is tried."""
    rig = Rig()
    rig.account.taken = {"v2"}
    rig.account.answers.extend(["v1", "v1", "v1", "v2"])

    assert rig.connect()
    assert [0.5, 1.0] == rig.clock.naps
    assert [None, "v1", "v1", "v1"] == [asked for _, asked in rig.account.reads]


def test_the_driver_s_exception() -> None:
    """It is raised as it is, when the budget is over."""
    rig = Rig()
    rig.account.taken = set()
    with pytest.raises(AccessError, match=r"^no entry with \*\*\*$"):
        rig.connect(budget=0.0)


def test_a_secret_that_cannot_be_read() -> None:
    """The client's error is raised as it is."""
    rig = Rig()
    error = AwsUnavailableError("Down", "no")
    rig.account.answers.append(error)
    with pytest.raises(AwsUnavailableError) as failed:
        rig.connect()

    assert failed.value is error


def test_a_wrong_secret_ends_it() -> None:
    """What a person must mend is not waited out; nobody waits for this caller."""
    rig = Rig()
    rig.account.taken = set()
    rig.account.answers.extend(["v1", "v1"])
    rig.account.fields["host"] = None
    with pytest.raises(LoginFieldError) as failed:
        rig.connect()
    trace = failed.value.__traceback__
    while trace is not None:
        assert "fields" not in trace.tb_frame.f_locals
        trace = trace.tb_next

    rig.account.fields["host"] = "db.internal"
    rig.account.taken = {"v1"}
    assert rig.connect()


def test_waiting_for_another_thread() -> None:
    """Who comes while another one asks waits for what becomes of it."""
    rig = Rig()
    rig.account.taken = {"v2"}
    gate, asked = Event(), Event()
    plain_read = rig.read

    def read(step: Read) -> Secret:
        if step.instead_of is not None:
            asked.set()
            assert gate.wait(SECONDS)
            rig.account.labels["AWSCURRENT"] = "v2"
        return plain_read(step)

    rig.read = read  # type: ignore[method-assign]
    found: list[str] = []
    leader = Thread(target=lambda: found.append(rig.connect()), daemon=True)
    leader.start()
    assert asked.wait(SECONDS)
    waits = Event()
    hear = Bell.hear

    class Observed(Bell):
        """Tells when somebody listens."""

        def hear(self, hearer: Any) -> None:
            hear(self, hearer)
            waits.set()

    def new_bell() -> Bell:
        rig.ledger._bells.append(Observed())
        return rig.ledger._bells[-1]

    rig.ledger._new_bell = new_bell  # type: ignore[method-assign]
    follower = Thread(target=lambda: found.append(rig.connect()), daemon=True)
    follower.start()
    assert waits.wait(SECONDS)
    gate.set()
    leader.join(SECONDS)
    follower.join(SECONDS)

    assert 2 == len(found)
    assert 1 == sum(asked_for is not None for _, asked_for in rig.account.reads)
    assert 3 == len(rig.account.logins)


def test_a_wait_that_nobody_ends() -> None:
    """It ends by itself."""
    rig = Rig()
    blocking = Blocking(rig.read, Call(rig.account.connect, "db", {}), rig.clock)

    assert blocking.wait(Wait(0.001, Bell())) is None  # type: ignore[func-returns-value]
