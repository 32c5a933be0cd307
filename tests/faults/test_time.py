"""The environment is frozen, or its clocks are wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_rig import CHECK_SECONDS, TTL_SECONDS, World
from tests.support.fault_table import Row, row, rows
from tests.support.hostile_aws import answer, hold, refuse, silence

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., World]

PATIENCE_SECONDS = 10.0
MINUTES = 600.0


def dead(world: World) -> None:
    """The peers have hung up meanwhile."""
    world.aws.drop_connections()


def silent(world: World) -> None:
    """The peers have forgotten the connections: what they are sent is not answered."""
    known = world.aws.connections

    respond = world.account.respond
    world.aws.respond = lambda received: (
        silence() if received.connection <= known else respond(received)
    )


THAWS = {
    "its connections dead": (dead, {"wall": MINUTES}),
    "its connections forgotten": (silent, {"wall": MINUTES}),
    "its monotonic clock went on": (dead, {"wall": MINUTES, "monotonic": MINUTES}),
    "its monotonic clock began anew": (
        dead,
        {"wall": MINUTES, "monotonic": -1_000_000.0},
    ),
}


@rows(
    THAWS,
    lambda name, _: Row(
        f"the process is frozen for minutes, and thaws: {name}",
        "no error: the new value where it was rotated meanwhile, by a new connection",
        "evicted",
    ),
)
def test_a_freeze_goes_unnoticed(
    world: World, fault: tuple[Callable[[World], None], dict[str, float]]
) -> None:
    """What was rotated while nobody could look is read anew after the thaw."""
    happens, steps = fault
    account, name = world.account, f"held-{len(world.account.versions)}"
    old = account.put(name)

    assert f"{old} fwd=miss" == world.seen(name)

    world.freeze()
    happens(world)
    new = account.rotate(name)
    world.step(**steps)
    with ThreadPoolExecutor(1) as function:
        # The invocation's first read is sent before the process runs again.
        read = function.submit(world.seen, name)
        world.thaw()

        assert f"{new} fwd=stale" == read.result(PATIENCE_SECONDS)
    world.aws.respond = account.respond
    world.assert_alive()


@row(
    "the process is frozen in the middle of a fetch, and its connection dies",
    "the value, by one more attempt",
)
def test_a_freeze_in_the_middle_of_a_fetch(start: Start) -> None:
    """Who waits for the fetch gets an answer soon after the thaw."""
    world = start()
    value = world.account.put("a")
    arrived, released = Event(), Event()
    world.aws.script = [hold(arrived, released, answer({}))] * 2
    with ThreadPoolExecutor(1) as function:
        read = function.submit(world.seen, "a")

        assert arrived.wait(PATIENCE_SECONDS)

        world.aws.script = []
        world.freeze()
        world.aws.drop_connections()
        world.thaw()

        assert f"{value} fwd=miss" == read.result(PATIENCE_SECONDS)
    released.set()
    world.assert_alive()


@row(
    "the process is frozen in the middle of a look at the sheet",
    "no error: the look counts as lost, and another one is taken",
    "evicted",
)
def test_a_freeze_in_the_middle_of_a_check(start: Start) -> None:
    """A check that waits for an answer in vain holds nobody up after the thaw."""
    world = start()
    old = world.account.put("a")

    assert f"{old} fwd=miss" == world.seen("a")

    arrived, released = Event(), Event()
    world.account.faults["GetParameter"] = hold(arrived, released, answer({}))
    world.tick(CHECK_SECONDS)

    assert f"{old} hit" == world.seen("a")
    assert arrived.is_set()

    world.freeze()
    new = world.account.rotate("a")
    world.account.faults.clear()
    world.step(wall=MINUTES / 10)
    world.thaw()

    assert f"{new} fwd=stale" == world.seen("a")

    released.set()
    world.assert_alive()


STEPS = {
    "the wall clock is stepped back an hour": {"wall": -3600.0},
    "the wall clock is stepped forward an hour": {"wall": 3600.0},
    "the monotonic clock stood still": {"wall": TTL_SECONDS + 1.0},
    "the wall clock stood still": {"monotonic": TTL_SECONDS + 1.0},
}


@rows(
    STEPS,
    lambda name, _: Row(name, "the source's present value: what was held is old"),
)
def test_clocks_that_lie_make_nothing_fresher(
    start: Start, fault: dict[str, float]
) -> None:
    """An entry is as old as the worse of two clocks says; then both go on."""
    world = start(environ={"ROTAWARE_STAMPS": "off"})
    old = world.account.put("a")

    assert [f"{old} fwd=miss", f"{old} hit"] == [world.seen("a") for _ in range(2)]

    new = world.account.put("a")
    world.step(**fault)

    assert world.seen("a") in {f"{new} fwd=stale", f"{new} fwd=miss"}
    assert f"{new} hit" == world.seen("a")

    newest = world.account.put("a")
    world.tick(TTL_SECONDS - 1.0)

    assert f"{new} hit" == world.seen("a")

    world.tick(1.0)

    assert f"{newest} fwd=stale" == world.seen("a")

    world.assert_alive()


@row(
    "AWS fails after the wall clock was stepped back",
    "an error: how old the held value is, nobody knows",
    "oops",
)
@pytest.mark.parametrize("seconds", [-1.0, -3600.0])
def test_a_step_back_ends_what_may_be_served_on_error(
    start: Start, seconds: float
) -> None:
    """Nothing stale is served past a bound that cannot be told."""
    world = start(environ={"ROTAWARE_STAMPS": "off"})
    world.account.put("a")
    world.seen("a")
    world.account.faults["GetSecretValue"] = refuse("InternalServiceError", "oops", 500)
    world.step(wall=seconds)

    assert world.seen("a") == "500 InternalServiceError"

    world.lift()

    assert world.seen("a") == "canary-a-1 fwd=miss"
