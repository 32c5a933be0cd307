"""One caller among many: when it tries, asks, waits and gives up.

Times are those of a world of its own (see ``login_world``).
"""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware.answers import Secret
from rotaware.database.ledger import Ledger
from rotaware.database.refusals import LOCKED, OTHER, REFUSED
from rotaware.database.rule import Caller, Connect, Failed, Opened, Read, Refused
from rotaware.database.turns import Pause, Wait
from rotaware.errors import AwsUnavailableError
from rotaware.secret import AWSPENDING
from tests.support.login_world import (
    DOWN,
    LockoutError,
    OutageError,
    RefusalError,
    World,
)

WINDOW = 1.0
JITTER = st.lists(st.floats(0, 0.999), min_size=1, max_size=8)


def rotate(world: World, at: float, number: int, window: float = WINDOW) -> None:
    """One single-user rotation: setSecret, then finishSecret."""
    world.pending.set(at, f"v{number}")
    world.server.set(at, f"v{number}")
    world.current.set(at + window, f"v{number}")


# --- what a rotation costs


@given(
    workers=st.integers(1, 16),
    window=st.floats(0.0, 1.2),
    pauses=st.lists(st.floats(0.0, 0.3), min_size=16, max_size=16),
    login=st.floats(0.001, 0.05),
    read=st.floats(0.001, 0.1),
    jitter=JITTER,
    gaps=st.lists(st.floats(0.2, 5.0), min_size=1, max_size=5),
)
def test_a_window_of_a_second_is_not_seen(  # noqa: PLR0913, PLR0917  a world's parts
    workers: int,
    window: float,
    pauses: list[float],
    login: float,
    read: float,
    jitter: list[float],
    gaps: list[float],
) -> None:
    """No call fails; two questions in vain, three refused logins a worker, no more."""
    world = World(read=read, login=login, random=jitter)
    begins, time = [], 1.0
    for number, gap in enumerate(gaps, 2):
        begins.append(time)
        rotate(world, time, number, window)
        time += window + gap + 2.0
    for worker in range(workers):
        world.work(worker, time, 0.01 + pauses[worker], 10.0)
    world.run()

    assert [] == world.failures()
    for begin, end in zip(begins, [*begins[1:], time + 60.0], strict=True):
        assert world.in_vain(begin - 0.001, end) <= 2
        assert max(world.refused_by_worker(begin, end).values(), default=0) <= 3


@given(
    workers=st.integers(1, 8),
    window=st.floats(1.0, 9.0),
    pauses=st.lists(st.floats(0.0, 0.3), min_size=8, max_size=8),
    jitter=JITTER,
)
def test_a_window_within_the_budget_is_not_seen(
    workers: int, window: float, pauses: list[float], jitter: list[float]
) -> None:
    """However long it is: the last question comes when the time is nearly over."""
    world = World(random=jitter)
    rotate(world, 1.0, 2, window)
    for worker in range(workers):
        world.work(worker, 1.5, 0.01 + pauses[worker], 10.0)
    world.run()

    assert [] == world.failures()
    assert world.in_vain(0.999, 12.0) <= 6


@pytest.mark.parametrize("seed", range(10))
def test_one_rotation_after_the_other_is_not_seen(seed: int) -> None:
    """Though a window is as likely as none: a new version is asked for soon again."""
    dice = random.Random(seed)  # noqa: S311  no secret
    world = World(read=0.03, random=[dice.random() for _ in range(64)])
    time = 1.0
    for number in range(2, 42):
        rotate(world, time, number, 1.1)
        time += 2.1 + 0.3 * dice.random()
    for worker in range(8):
        world.work(worker, time, 0.05 + 0.5 * dice.random(), 10.0)
    world.run()

    assert [] == world.failures()


@given(workers=st.integers(1, 8), lost=st.integers(2, 5), jitter=JITTER)
def test_missed_rotations_cost_one_question(
    workers: int, lost: int, jitter: list[float]
) -> None:
    """Whoever slept through rotations, their events lost, logs in at the second try."""
    world = World(random=jitter)
    for number in range(2, lost + 2):
        rotate(world, float(number), number, 0.5)
    for worker in range(workers):
        world.at(100.0, partial(world.call, worker))
    world.run()

    assert [] == world.failures()
    assert 1 == len(world.asked)
    assert {1} == {call.refused for call in world.calls}
    assert max(call.ended for call in world.calls) < 100.1


def test_alternating_users_are_never_refused() -> None:
    """Where old and new login both pass, nobody asks."""
    world = World()
    world.server.set(1.0, "v1 v2")
    world.current.set(2.0, "v2")
    world.work(0, 4.0, 0.1, 10.0)
    world.run()

    assert [] == world.asked
    assert [] == world.refused


@given(workers=st.integers(1, 8), repaired=st.floats(2.0, 100.0), jitter=JITTER)
def test_a_rotation_taken_back_heals_by_itself(
    workers: int, repaired: float, jitter: list[float]
) -> None:
    """When the old password works again, calls pass within the longest pause."""
    world = World(random=jitter)
    world.server.set(1.0, "v2")
    world.server.set(repaired, "v1")
    for worker in range(workers):
        world.work(worker, repaired + 60.0, 1.0, 10.0)
    world.run()
    late = [call for call in world.failures() if call.ended > repaired + 40.0]

    assert [] == late
    assert [1] == sorted({len(set(world.held.values()))})


@given(workers=st.integers(1, 16), seconds=st.floats(60.0, 200.0), jitter=JITTER)
def test_a_dead_password_is_left_alone(
    workers: int, seconds: float, jitter: list[float]
) -> None:
    """While none is right, an environment tries and asks ever more rarely."""
    world = World(random=jitter)
    world.server.set(1.0, "nobody's")
    for worker in range(workers):
        world.work(worker, seconds, 2.0, 10.0)
    world.run()
    rounds = 14 + seconds / 30.0

    assert len(world.asked) <= rounds
    assert len(world.refused) <= workers + rounds
    assert {RefusalError} == {type(call.error()) for call in world.failures()}


@given(
    workers=st.integers(1, 8),
    budget=st.floats(0.0, 20.0),
    server=st.lists(
        st.tuples(st.floats(0.0, 10.0), st.sampled_from(["v1", "v2", "v3", DOWN])),
        max_size=8,
    ),
    current=st.lists(
        st.tuples(st.floats(0.0, 10.0), st.sampled_from(["v1", "v2", "v3"])),
        max_size=8,
    ),
    unreachable=st.lists(
        st.tuples(st.floats(0.0, 5.0), st.sampled_from(["", DOWN])), max_size=4
    ),
    jitter=JITTER,
)
def test_whatever_happens_a_call_ends(  # noqa: PLR0913, PLR0917  likewise
    workers: int,
    budget: float,
    server: list[tuple[float, str]],
    current: list[tuple[float, str]],
    unreachable: list[tuple[float, str]],
    jitter: list[float],
) -> None:
    """Calls end in time, by the driver's error if by any, and pass in a sane world."""
    world = World(random=jitter)
    end = 1.0
    for changes, timeline in (
        (server, world.server),
        (current, world.current),
        (unreachable, world.secrets_manager),
    ):
        time = 1.0
        for gap, state in changes:
            time += gap
            timeline.set(time, state)
        end = max(end, time)
    world.server.set(end + 1.0, "v9")
    world.current.set(end + 1.0, "v9")
    world.secrets_manager.set(end + 1.0, "")
    for worker in range(workers):
        world.work(worker, end + 150.0, 2.0, budget)
    world.run()

    for call in world.calls:
        assert call.ended - call.began <= max(budget, 1.0) + 1.0
        if call.error() is not None:
            assert type(call.error()) in {RefusalError, OutageError}
            assert call.ended < end + 1.0 + 100.0


# --- failures that are no refused login


@given(workers=st.integers(1, 16), pause=st.floats(0.3, 3.0))
def test_a_database_that_is_down_starts_no_storm(workers: int, pause: float) -> None:
    """Each call tries once, and one question a minute is asked."""
    world = World()
    world.server.set(1.0, DOWN)
    for worker in range(workers):
        world.at(1.5, partial(world.work, worker, 30.0, pause, 10.0))
    world.run()

    assert 1 == len(world.asked)
    assert {1} == {call.logins for call in world.calls}
    assert {OutageError} == {type(call.error()) for call in world.calls}


# --- one caller, step by step


class Script:
    """Plays one caller against outcomes that a test gives."""

    def __init__(
        self,
        *,
        ledger: Ledger | None = None,
        budget: float = 10.0,
        pending: bool = False,
        refused: Refused | None = None,
    ) -> None:
        self.now = 0.0
        self.ledger = ledger or Ledger(lambda: 0.0)
        caller = Caller(
            self.ledger,
            lambda: self.now,
            budget,
            pending=pending,
            username_of=lambda secret: (
                secret.value.split()[0] if isinstance(secret.value, str) else None
            ),
        )
        self.steps = caller.steps(refused)
        self.step: Any = next(self.steps)
        self.result: Any = None

    def answer(self, outcome: Any = None, after: float = 0.0) -> Any:
        """The next step; None at the end."""
        self.now += after
        try:
            self.step = self.steps.send(outcome)
        except StopIteration as end:
            self.step, self.result = None, end.value
        return self.step


def secret(version: str, user: str = "app") -> Secret:
    """One whose value is a user's name and the version."""
    return Secret("db", f"{user} {version}", version)


REFUSAL, OUTAGE, LOCKOUT = RefusalError(), OutageError(), LockoutError()
UNREACHABLE = Failed(AwsUnavailableError("Down", "no"))


def test_the_first_login_passes() -> None:
    """By the version that is held, and no more is asked."""
    script = Script()

    assert Read() == script.step
    first = secret("v1")
    assert Connect(first) == script.answer(first)
    assert script.answer(Opened("connection")) is None
    assert Opened("connection") == script.result


def test_no_secret_no_login() -> None:
    """What the read raised is what the caller gets."""
    script = Script()

    assert script.answer(UNREACHABLE) is None
    assert UNREACHABLE is script.result


def test_a_refused_login_asks_at_once_then_waits() -> None:
    """0.5, 1, 2 and 4 seconds, the last time early; an old refusal is tried again."""
    script = Script()
    v1 = secret("v1")
    script.answer(v1)

    assert Read("v1") == script.answer(Failed(REFUSAL, REFUSED))
    for seconds in (0.5, 1.0, 2.0):
        assert Pause(seconds) == script.answer(v1)
        assert Read("v1") == script.answer(None, seconds)
    assert Connect(v1) == script.answer(v1)
    assert Pause(4.0) == script.answer(Failed(REFUSAL, REFUSED))
    assert Read("v1") == script.answer(None, 4.0)
    assert Connect(v1) == script.answer(v1)
    assert Pause(2.0) == script.answer(Failed(REFUSAL, REFUSED))
    assert Read("v1") == script.answer(None, 2.0)
    assert script.answer(v1) is None
    assert Failed(REFUSAL, REFUSED) == script.result


def test_an_unreachable_secrets_manager_is_asked_again() -> None:
    """A question that got no answer counts as one in vain."""
    script = Script()
    script.answer(secret("v1"))
    script.answer(Failed(REFUSAL, REFUSED))

    assert Pause(0.5) == script.answer(UNREACHABLE)


def test_the_driver_s_own_exception_is_raised() -> None:
    """The very object, once the budget is over."""
    script = Script(budget=0.0)
    v1 = secret("v1")
    script.answer(v1)
    script.answer(Failed(REFUSAL, REFUSED), 3.0)

    assert script.answer(v1) is None
    assert script.result.error is REFUSAL


def test_who_waited_raises_a_copy() -> None:
    """Who has not tried itself raises an exception of the same kind, not the same."""
    first = Script(budget=0.0)
    v1 = secret("v1")
    first.answer(v1)
    first.answer(Failed(REFUSAL, REFUSED))
    first.answer(v1)
    second = Script(ledger=first.ledger, budget=0.0)

    assert second.answer(v1) is None
    assert REFUSED == second.result.kind
    assert isinstance(second.result.error, RefusalError)
    assert second.result.error is not REFUSAL


def test_a_locked_user_is_not_tried_again() -> None:
    """Another password does not unlock it; another user may pass."""
    script = Script()
    script.answer(secret("v1"))

    assert Read("v1") == script.answer(Failed(LOCKOUT, LOCKED))
    assert script.answer(secret("v2")) is None
    assert script.result.error is LOCKOUT

    script = Script()
    script.answer(secret("v1"))
    script.answer(Failed(LOCKOUT, LOCKED))
    clone = secret("v2", "app_clone")

    assert Connect(clone) == script.answer(clone)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_lock_met_while_waiting_ends_it_for_all(version: str) -> None:
    """The caller fails; those who come, and had waited, do not try."""
    script = Script(budget=10.0)
    script.answer(secret("v1"))
    script.answer(Failed(REFUSAL, REFUSED))
    script.now += 4.0
    other = Script(ledger=script.ledger)
    other.now = script.now

    assert isinstance(other.answer(secret("v1")), Wait)
    got = secret(version)
    assert Connect(got) == script.answer(got)
    assert script.answer(Failed(LOCKOUT, LOCKED)) is None
    assert script.result.error is LOCKOUT
    assert other.answer() is None
    assert isinstance(other.result.error, LockoutError)


def test_an_outage_after_a_refusal_frees_the_others() -> None:
    """A new version that meets an outage is no refused one: each tries for itself."""
    script = Script()
    script.answer(secret("v1"))
    script.answer(Failed(REFUSAL, REFUSED))
    other = Script(ledger=script.ledger)
    other.answer(secret("v1"))
    script.answer(secret("v2"))

    assert script.answer(Failed(OUTAGE, OTHER)) is None
    assert script.result.error is OUTAGE
    assert Read() == other.answer()


def test_an_outage_at_a_second_try_keeps_the_refusal() -> None:
    """The refused version stays refused."""
    script = Script()
    v1 = secret("v1")
    script.answer(v1)
    script.answer(Failed(REFUSAL, REFUSED))
    script.now += 4.0
    script.answer(v1)

    assert script.answer(Failed(OUTAGE, OTHER)) is None
    assert script.ledger.is_refused("v1")


def test_an_outage_asks_once_and_shares_the_answer() -> None:
    """A second caller waits for the first one's question, and tries what it brought."""
    first = Script()
    second = Script(ledger=first.ledger)
    for script in (first, second):
        script.answer(secret("v1"))

    assert Read("v1") == first.answer(Failed(OUTAGE, OTHER))
    assert isinstance(second.answer(Failed(OUTAGE, OTHER)), Wait)
    v2 = secret("v2")
    assert Connect(v2) == first.answer(v2)
    assert Read() == second.answer()
    assert Connect(v2) == second.answer(v2)
    assert Read() == second.answer(Failed(OUTAGE, OTHER))
    assert second.answer(v2) is None
    assert second.result.error is OUTAGE


def test_an_outage_and_no_secret() -> None:
    """If the secret cannot be read either, the driver's exception is the answer."""
    script = Script()
    script.answer(secret("v1"))
    script.answer(Failed(OUTAGE, OTHER))

    assert script.answer(UNREACHABLE) is None
    assert script.result.error is OUTAGE


def test_a_late_refusal_is_no_news() -> None:
    """Whose login began before others passed reads again, once, and asks nobody."""
    slow, quick = Script(), None
    v1, v2 = secret("v1"), secret("v2")
    slow.answer(v1)
    quick = Script(ledger=slow.ledger)
    quick.now = 1.0
    quick.answer(v2)
    quick.answer(Opened("connection"))

    assert Read() == slow.answer(Failed(REFUSAL, REFUSED), 2.0)
    assert Connect(v2) == slow.answer(v2)


def test_a_login_that_failed_outside() -> None:
    """It counts as the first try."""
    script = Script(refused=Refused("v1", REFUSAL, 0.0))

    assert Read() == script.step
    assert Read("v1") == script.answer(secret("v1"))


def test_a_leader_whose_trouble_others_ended() -> None:
    """It asks nobody, but reads what passed."""
    leader = Script()
    v1, v2 = secret("v1"), secret("v2")
    leader.answer(v1)
    leader.answer(Failed(REFUSAL, REFUSED))
    leader.answer(v1)
    other = Script(ledger=leader.ledger)
    other.answer(v2)
    other.answer(Opened("connection"))

    assert Read() == leader.answer(None, 0.5)
    assert Connect(v2) == leader.answer(v2)


def test_an_abandoned_leader_is_replaced() -> None:
    """When its steps are closed, another one takes over."""
    leader = Script()
    v1 = secret("v1")
    leader.answer(v1)
    leader.answer(Failed(REFUSAL, REFUSED))
    other = Script(ledger=leader.ledger)

    waits = other.answer(v1)
    assert isinstance(waits, Wait)
    rung: Counter[str] = Counter()
    waits.bell.hear(lambda: rung.update(["rang"]))
    leader.steps.close()
    assert {"rang": 1} == rung
    assert Read("v1") == other.answer()


# --- AWSPENDING


def refused_with_pending(*, ledger: Ledger | None = None) -> Script:
    """A caller that allows AWSPENDING, and whose only version is refused."""
    script = Script(budget=0.0, pending=True, ledger=ledger)
    script.answer(secret("v1"))
    script.answer(Failed(REFUSAL, REFUSED))
    return script


def test_pending_is_the_last_resort() -> None:
    """It is read when the budget is over, and tried if it is another version."""
    script = refused_with_pending()
    v2 = secret("v2")

    assert Read("v1", AWSPENDING) == script.answer(secret("v1"))
    assert Connect(v2) == script.answer(v2)
    assert script.answer(Opened("connection")) is None
    assert Opened("connection") == script.result


def test_pending_that_works_is_taken_at_once() -> None:
    """The next caller who allows it asks for nothing else."""
    script = refused_with_pending()
    script.answer(secret("v1"))
    script.answer(secret("v2"))
    script.answer(Opened("connection"))
    other = Script(pending=True, ledger=script.ledger)

    assert Read("v1", AWSPENDING) == other.answer(secret("v1"))
    v2 = secret("v2")
    assert Connect(v2) == other.answer(v2)
    assert other.answer(Opened("connection")) is None


@pytest.mark.parametrize("answer", [secret("v1"), UNREACHABLE])
def test_nothing_is_pending(answer: Any) -> None:
    """Then the driver's exception is the answer."""
    script = refused_with_pending()
    script.answer(secret("v1"))

    assert script.answer(answer) is None
    assert script.result.error is REFUSAL


def test_pending_that_is_refused_is_not_tried_by_the_next() -> None:
    """Not before the next question is due."""
    script = refused_with_pending()
    script.answer(secret("v1"))
    script.answer(secret("v2"))

    assert script.answer(Failed(REFUSAL, REFUSED)) is None
    assert script.result.error is REFUSAL
    other = Script(budget=0.0, pending=True, ledger=script.ledger)
    assert other.answer(secret("v1")) is None
    assert isinstance(other.result.error, RefusalError)
