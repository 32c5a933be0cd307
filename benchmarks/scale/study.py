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
PATTERN_NAMES = ("steady", "busy", "bursty", "idle", "cron", "mixed")
INTERVALS = (0.0, 1.0, 5.0, 15.0, 60.0)
INTERVAL_SECONDS = 5.0
JITTERS = (0.0, 0.2, 0.5)
STORM = 500

NO_BACK_OFF = SHAPE._replace(growth=1.0, first_growth=1.0)
DOUBLING = Shape(
    growth=2.0,
    first_growth=2.0,
    longest_seconds=60.0,
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
    "as chosen, but the first time as always": SHAPE._replace(first_growth=2.0),
    "as chosen, but triples": SHAPE._replace(growth=3.0),
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
    return replace(always_busy(environments), interval_seconds=None)


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


def stormy(environments: int) -> Scenario:
    """500 secrets are rotated within ten seconds."""
    return replace(always_busy(environments), rotations=STORM)


def patterned(environments: int, pattern: str) -> Scenario:
    """Other invocations."""
    return Scenario(environments, pattern)


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
        *(checking(size, each) for size in (100, *LARGE) for each in INTERVALS),
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
