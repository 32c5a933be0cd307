"""Which scenarios answer which question."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.scale.account import DYNAMODB
from benchmarks.scale.simulation import Scenario
from rotaware.pace import SHAPE, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES = (10, 100, 300, 1_000, 3_000, 10_000)
LARGE = (1_000, 10_000)
PATTERN_NAMES = ("steady", "busy", "bursty", "idle", "mixed", "cron", "cron, in order")
INTERVALS = {
    100: (0.0, 1.0, 5.0, 15.0, 60.0),
    1_000: (0.0, 1.0, 5.0, 15.0, 60.0),
    10_000: (0.0, 5.0, 60.0),
}
INTERVAL_SECONDS = 5.0
JITTERS = (0.0, 0.2, 0.5)
STORM = 500
TTL_SECONDS = 300.0

NO_BACK_OFF = SHAPE._replace(growth=1.0, first_growth=1.0, retry_jitter=0.2)
DOUBLING = Shape(
    retry_jitter=0.2,
    first_growth=2.0,
    longest_seconds=60.0,
    longest_retry_seconds=float("inf"),
    forgiven=0,
    recovery=1.0,
    recovery_seconds=float("inf"),
)
SHAPES = {
    "every 5 s, whatever happens": NO_BACK_OFF,
    "doubles, to 60 s; comes back by halves": DOUBLING,
    "doubles, to 900 s; comes back by halves": DOUBLING._replace(longest_seconds=900.0),
    "doubles, to 900 s; comes back by 10 %": DOUBLING._replace(
        longest_seconds=900.0, recovery=0.1
    ),
    "as chosen, but tried again as late as all": SHAPE._replace(
        longest_retry_seconds=900.0, retry_jitter=0.2
    ),
    "as chosen, but back three times as fast": SHAPE._replace(recovery_seconds=3000.0),
    "as chosen, but the first time as always": SHAPE._replace(first_growth=2.0),
    "as chosen, but nothing is forgiven": SHAPE._replace(forgiven=0),
    "as chosen, but to 300 s": SHAPE._replace(longest_seconds=300.0),
    "**as chosen**": SHAPE,
}


def always_busy(environments: int, shape: Shape = SHAPE) -> Scenario:
    """Two requests a second in each: the most that a number of environments can ask.

    Without any back-off the state is steady at once, and much happens in it.
    """
    scenario = Scenario(environments, "steady", shape=shape)
    return _soon(scenario) if shape is NO_BACK_OFF else scenario


def by_ttl(environments: int) -> Scenario:
    """The same without stamps."""
    scenario = replace(always_busy(environments), interval_seconds=None)
    return replace(scenario, ttl_seconds=TTL_SECONDS)


def on_dynamodb(environments: int) -> Scenario:
    """The same, with the sheet in DynamoDB."""
    scenario = replace(always_busy(environments), limits=DYNAMODB)
    return replace(_soon(scenario), seconds=240.0)


def deployed(environments: int, shape: Shape = SHAPE) -> Scenario:
    """All start within half a minute; a secret is rotated one minute after that."""
    return Scenario(
        environments,
        "steady",
        shape=shape,
        starting_seconds=30.0,
        rotates_at=90.0,
        seconds=690.0,
    )


def calm(environments: int, interval_seconds: float) -> Scenario:
    """They start within ten minutes; a secret is rotated five minutes later."""
    return Scenario(
        environments,
        "steady",
        interval_seconds=interval_seconds,
        rotates_at=900.0,
        seconds=3000.0,
    )


def at_once(environments: int, interval_seconds: float) -> Scenario:
    """All of them start within ten seconds, and it is rotated ten minutes later."""
    scenario = calm(environments, interval_seconds)
    return replace(scenario, starting_seconds=10.0, rotates_at=600.0)


def disturbed(environments: int, interval_seconds: float) -> Scenario:
    """Two minutes before the rotation others make 1,000 calls within ten seconds."""
    scenario = calm(environments, interval_seconds)
    return replace(scenario, burst=(1000, scenario.rotates_at - 120.0))


UNLUCKY = tuple(
    (size, interval, name, make)
    for size, interval in ((100, INTERVAL_SECONDS), (1_000, 60.0))
    for name, make in (
        ("nothing", calm),
        ("all start at once", at_once),
        ("a burst of others", disturbed),
    )
)


def stormy(environments: int) -> Scenario:
    """500 secrets are rotated within ten seconds."""
    return replace(always_busy(environments), rotations=STORM)


def patterned(environments: int, pattern: str) -> Scenario:
    """Other invocations."""
    return Scenario(environments, pattern, seconds=7220.0)


def checking(environments: int, interval_seconds: float) -> Scenario:
    """Another interval."""
    return replace(always_busy(environments), interval_seconds=interval_seconds)


def jittered(scenario: Scenario, jitter: float) -> Scenario:
    """Another jitter."""
    return replace(scenario, shape=scenario.shape._replace(jitter=jitter))


def scenarios() -> set[Scenario]:
    """All that the tables and plots need."""
    return {
        *(make(size) for make in (always_busy, by_ttl) for size in SIZES),
        *(on_dynamodb(size) for size in SIZES),
        *(patterned(size, name) for size in LARGE for name in PATTERN_NAMES),
        *(make(size) for make in (deployed, stormy) for size in LARGE),
        *(make(size, interval) for size, interval, _, make in UNLUCKY),
        *(checking(size, each) for size, all_ in INTERVALS.items() for each in all_),
        *(make(10_000, each) for make in (always_busy, deployed) for each in _shapes()),
        *(always_busy(1_000, each) for each in _shapes()),
        *(
            jittered(scenario, jitter)
            for scenario in (always_busy(1_000), *map(deployed, LARGE))
            for jitter in JITTERS
        ),
    }


def _soon(scenario: Scenario) -> Scenario:
    return replace(scenario, starting_seconds=60.0, rotates_at=140.0, seconds=440.0)


def _shapes() -> Sequence[Shape]:
    return list(SHAPES.values())
