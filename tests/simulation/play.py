"""Playing schedules: the real code put in place, and what came of it told."""

from __future__ import annotations

import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import invalidator.invalidate
import rotaware.checker
import rotaware.flight
import rotaware.store
from rotaware.stamps import sheet_home
from tests.simulation.scheduler import Violation
from tests.simulation.threads import simulated_threads
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rotaware.aws import Aws
    from rotaware.stamps import SheetHome
    from tests.simulation.line import Line


@contextmanager
def real_code() -> Iterator[None]:
    """Put the real code on simulated threads, for any number of worlds.

    Sheets that invalidators write get the room that their world gives them. Coverage is
    not measured meanwhile: it would take longer than all the rest.
    """
    real, tracing = sheet_home, sys.gettrace()

    def roomy(aws: Aws, address: str, *, writes: bool = False) -> SheetHome:
        home = real(aws, address, writes=writes)
        home.max_bytes = cast("Line", aws).cloud.max_bytes
        return home

    setattr(invalidator.invalidate, "sheet_home", roomy)  # noqa: B010  not exported
    sys.settrace(None)
    try:
        with simulated_threads(rotaware.checker, rotaware.flight, rotaware.store):
            yield
    finally:
        sys.settrace(tracing)
        setattr(invalidator.invalidate, "sheet_home", real)  # noqa: B010


def first_failure(seeds: Iterable[int]) -> int | None:
    """The first seed whose schedule breaks a law; the real code is in place."""
    for seed in seeds:
        world = World(seed)
        try:
            world.run()
        except BaseException:
            if world.scheduler.fault is None:
                raise
            return seed
    return None


def report(seed: int) -> str:
    """What happens in a schedule, line by line, and what is wrong with it."""
    world = World(seed, traced=True)
    ending = "all laws hold"
    try:
        world.run()
    except Violation as violation:
        ending = f"broken: {violation}"
    except Exception:  # noqa: BLE001  whatever the real code failed with
        ending = traceback.format_exc()
    lines = [
        f"{at:9.3f}  {who:24} {what} {details}"
        for at, who, what, details in world.scheduler.trace
    ]
    again = f"SIMULATION_SEED={seed} pytest tests/simulation"
    return "\n".join([*lines, ending, f"to play it again: {again}"])
