"""One simulation: so many environments, one pattern, one rotation or many."""

from __future__ import annotations

import copyreg
from array import array
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from benchmarks.scale.account import PARAMETER_STORE, Limits, Others, Tally
from benchmarks.scale.arrivals import PATTERNS
from benchmarks.scale.environments import Environment, Secret, Shared
from benchmarks.scale.sheets import Invalidators, SheetStore
from benchmarks.scale.world import World
from rotaware.pace import SHAPE, Pace, Shape

# rotaware's own tuples cannot be pickled, and a scenario goes to other processes.
copyreg.pickle(Shape, lambda shape: (Shape, tuple(shape)))


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated.

    Attributes:
        environments: How many.
        pattern: When they are invoked; a key of ``PATTERNS``.
        interval_seconds: As set; None for TTLs alone.
        shape: How the interval follows throttling.
        limits: What the sheet's store grants.
        others: Calls per second that others make of the same quota.
        burst: How many more they make in one burst, and when that begins.
        starting_seconds: In which time all environments start.
        rotates_at: When the secrets begin to be rotated.
        rotations: How many are.
        rotating_seconds: In which time.
        seconds: When it ends.
        ttl_seconds: As set; the default is out of play.
        seed: Where its chance comes from.
    """

    environments: int
    pattern: str = "mixed"
    interval_seconds: float | None = 5.0
    shape: Shape = SHAPE
    limits: Limits = PARAMETER_STORE
    others: float = 10.0
    burst: tuple[int, float] = (0, 0.0)
    starting_seconds: float = 600.0
    rotates_at: float = 3020.0
    rotations: int = 1
    rotating_seconds: float = 10.0
    seconds: float = 5420.0
    ttl_seconds: float = 86_400.0
    seed: int = 1


class Result(NamedTuple):
    """What came of it. Shares and rates are of the time after ``rotates_at``.

    Attributes:
        stale_seconds: Of each environment that was invoked after its rotation, for how
            long invocations read the old version; sorted.
        never_fresh: How many of them still held it in the end.
        oldest_seconds: Of each environment that checks, how old its last granted check
            was at most when an invocation began, granted again by the end or not;
            sorted. Measured since half of ``rotates_at``.
        never_looked: How many of them never had a check granted.
        checks: All checks over time.
        fetches: All calls to Secrets Manager over time.
        attempts: All attempts of the others.
        calls: Their calls, of up to three attempts each.
        written_after: When the last stamp was written, after the first rotation.
        writes: How many writes that took.
    """

    scenario: Scenario
    stale_seconds: array[float]
    never_fresh: int
    oldest_seconds: array[float]
    never_looked: int
    checks: Tally
    fetches: Tally
    attempts: Tally
    calls: Tally
    written_after: float
    writes: int


def simulate(scenario: Scenario) -> Result:
    """Let it happen."""
    world = World(scenario.seed, scenario.seconds)
    store = SheetStore(scenario.limits)
    others = Others(world, store.reads, scenario.others, scenario.burst)
    shared = Shared(
        world,
        store.reads,
        store,
        checks=Tally(scenario.seconds),
        fetches=Tally(scenario.seconds),
        ttl_seconds=scenario.ttl_seconds,
        measured_from=scenario.rotates_at / 2,
    )
    secrets = _secrets(scenario)
    invalidators = Invalidators(world, store)
    for secret in secrets:
        invalidators.expect(secret)
    environments = _environments(scenario, shared, secrets)
    world.run()
    invoked = [each for each in environments if each.was_invoked]
    checking = environments if scenario.interval_seconds is not None else []
    written_at = max(store.written_at, default=scenario.rotates_at)
    return Result(
        scenario,
        array("d", sorted(each.stale_seconds for each in invoked)),
        sum(each.is_stale(world.seconds) for each in invoked),
        array(
            "d", sorted(each.oldest_look_seconds(world.seconds) for each in checking)
        ),
        sum(not each.has_looked for each in checking),
        shared.checks,
        shared.fetches,
        others.attempts,
        others.calls,
        written_at - scenario.rotates_at,
        len(store.written_at),
    )


def _secrets(scenario: Scenario) -> list[Secret]:
    """Rotated one after another, in equal steps."""
    step = scenario.rotating_seconds / scenario.rotations
    return [
        Secret(number, scenario.rotates_at + number * step)
        for number in range(scenario.rotations)
    ]


def _environments(
    scenario: Scenario, shared: Shared, secrets: list[Secret]
) -> list[Environment]:
    world = shared.world
    kind = PATTERNS[scenario.pattern]
    environments = []
    for number in range(scenario.environments):
        random = Random(world.random.random())  # noqa: S311  no secret hangs on it
        pace = None
        if scenario.interval_seconds is not None:
            pace = Pace(scenario.interval_seconds, random.random, scenario.shape)
        secret = secrets[number % len(secrets)]
        environment = Environment(shared, kind(random), pace, secret)
        environments.append(environment)
        world.at(random.uniform(0.0, scenario.starting_seconds), environment.invoke)
    return environments
