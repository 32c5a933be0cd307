"""A world made from a seed: what happens in it, and what must be true at its end.

Which mishaps a world knows is drawn first, each for itself, and how often they happen
after that: a world of few mishaps reaches what one with all of them would drown.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.cloud import (
    SHEET,
    TABLE,
    Cloud,
    Faults,
    SecretState,
    arn_of,
    subject,
)
from tests.simulation.deeds import Operator
from tests.simulation.environment import Environment
from tests.simulation.oracle import Oracle
from tests.simulation.records import Terms
from tests.simulation.scheduler import Scheduler
from tests.simulation.writers import Habits, Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.simulation.scheduler import Host

    Deed = Callable[[], object]

AGES_SECONDS = 86_400.0
CALM_SECONDS = 1000.0
"""Longer than any back-off of a reader."""


class World:
    """One schedule.

    Args:
        seed: Picks everything.
        traced: Whether to keep a trace.

    Attributes:
        scheduler: Time and chance.
    """

    def __init__(self, seed: int, *, traced: bool = False) -> None:
        self.seed = seed
        self.scheduler = Scheduler(seed, traced=traced)
        self.random = self.scheduler.random
        self.happens, self.some = self.scheduler.happens, self.scheduler.some
        self.dynamodb = self.happens(0.2)
        address = TABLE if self.dynamodb else SHEET
        self.faults = self._faults()
        self.scheduler.dawdle = self.some(0.7, 0.2)
        self.names = ["red", "green", "blue", "grey"][
            : self.random.choice((1, 2, 2, 3, 4))
        ]
        self.places = self.random.choice((0, 0, 1, 2, 3))
        room = {"batch": 3}
        self.max_bytes = 3900
        if self.places:
            # Sheets with room for a few stamps only.
            self.max_bytes = 70 + 45 * self.places + 10
            room["batch"] = min(3, self.places)
        self.oracle = Oracle(self.scheduler, self.max_bytes)
        self.cloud = Cloud(self.scheduler, self.faults, self.oracle, self.max_bytes)
        self.oracle.cloud = self.cloud
        self.habits = Habits(
            lost=self.some(0.2, 0.5),
            twice=self.some(0.5, 0.5),
            soonest_seconds=0.3,
            delay_seconds=self.random.choice((0.1, 0.5, 5.0)),
            batch=self.random.randint(1, room["batch"]),
            workers=self.random.choice((1, 2, 2, 2, 3, 5)),
            # Of two faults at once, one is too many: see ``docs/freshness.md``.
            skew_seconds=0.0
            if self.faults.sheet_lag_seconds
            else self.random.choice((2.0, 3600.0)),
        )
        self.queue = Queue(self.scheduler, self.cloud, self.habits, address)
        self.odd = self.random.choice((0.05, 0.1, 0.5))
        self.operator = Operator(
            self.scheduler,
            self.cloud,
            self.oracle,
            self.queue,
            self.names,
            table=self.dynamodb,
        )
        self.environments = [
            self._environment(number, address)
            for number in range(self.random.choice((1, 2, 2, 3)))
        ]

    def run(self) -> None:
        """Play it; raises ``Violation``, or what the real code failed with."""
        self.scheduler.spawn("world", self._play)
        self.scheduler.run()

    def _faults(self) -> Faults:
        faults = Faults()
        faults.lost = self.some(0.25, 0.2)
        faults.failed = self.some(0.2, 0.3)
        faults.throttled = self.some(0.25, 0.3)
        faults.crash = self.some(0.5, 0.15)
        faults.sheet_lag_seconds = self.some(0.4, 3.0)
        faults.secret_lag_seconds = self.some(0.4, 3.0)
        faults.describe_lag_seconds = self.some(0.4, 0.3)
        faults.latency_seconds = self.random.choice((0.005, 0.02, 0.02, 0.1))
        faults.source_seconds = self.some(0.6, 3.0)
        faults.reads_per_second = self.random.choice((40.0, 40.0, 4.0))
        return faults

    def _environment(self, number: int, address: str) -> Environment:
        terms = Terms(
            interval_seconds=self.random.choice((0.0, 0.0, 1.0, 1.0, 5.0)),
            timeout_seconds=0.5,
            ttl_seconds=self.random.choice((AGES_SECONDS, AGES_SECONDS, 3.0)),
            stale_seconds=self.random.choice((0.0, 3600.0)),
            max_entries=self.random.choice((100, 100, 100, 1)),
        )
        environment = Environment(
            self.scheduler,
            f"env{number}",
            cloud=self.cloud,
            oracle=self.oracle,
            terms=terms,
            sheet=address,
            managed=terms.interval_seconds > 0 and self.happens(0.2),
        )
        environment.skew_seconds = self.random.choice((0.0, 0.0, -2.0, 3600.0))
        return environment

    # What happens.

    def _play(self) -> None:
        if self.happens(0.5):
            self.operator.lay_out_sheet()
        for name in self.names:
            state = SecretState(-1e6, arn_of(name), {f"{name}-1": ["AWSCURRENT"]})
            self.cloud.change(name, state)
        seconds = self.random.choice((2.0, 4.0, 10.0))
        self._together(
            [
                partial(self.operator.operate, seconds),
                *(partial(self._use, each, seconds) for each in self.environments),
            ]
        )
        self._calm_down()
        self._judge_end()
        self.queue.close()

    def _together(self, deeds: Iterable[Deed], host: Host | None = None) -> None:
        """Do some things at once, and wait until all are done."""
        scheduler, waiting = self.scheduler, self.scheduler.actor
        undone = list(deeds)
        name = host.name if host else "somebody"

        def do(deed: Deed) -> None:
            scheduler.sleep(self.random.random() * 0.01)
            deed()
            undone.remove(deed)
            if not undone:
                scheduler.wake(waiting)

        for number, deed in enumerate(undone):
            scheduler.spawn(f"{name}.{number}", partial(do, deed), host)
        while undone:
            scheduler.give_way()

    # Readers.

    def _use(self, environment: Environment, seconds: float) -> None:
        """Lambda starts an environment, and invokes it now and then."""
        scheduler = self.scheduler
        # A cold start may come late.
        scheduler.sleep(self.random.random() * seconds * self.happens(0.7))
        if self.happens(0.5):
            cold_start = partial(environment.prefetch, self.names)
            self._together([cold_start], environment)
        for _ in range(self.random.randint(2, 5)):
            self._invoke(environment)
            gap = self.random.random() * seconds / 2
            if self.happens(0.3):
                environment.freeze()
                scheduler.sleep(gap * (10 if self.happens(0.2) else 1))
                environment.thaw(clock_stood=self.happens(0.5))
            else:
                scheduler.sleep(gap)
            if self.happens(0.05):
                environment.skew_seconds += self.random.choice((-30.0, 2.0, 30.0))

    def _invoke(self, environment: Environment) -> None:
        invoked_at = self.scheduler.now
        readers = [
            partial(self._read_all, environment, self._wanted(), invoked_at)
            for _ in range(self.random.choice((1, 1, 2, 3)))
        ]
        self._together([environment.follow, *readers], environment)

    def _wanted(self) -> list[str]:
        return [self._target() for _ in range(self.random.choice((1, 1, 2, 4)))]

    def _target(self) -> str:
        name = self.random.choice(self.names)
        target = f"/secretsmanager/get?secretId={name}"
        if not self.happens(self.odd):
            return target
        version = f"{name}-{self.random.randint(1, 3)}"
        return target + self.random.choice(
            (
                "&refreshNow=true",
                f"&insteadOf={version}",
                f"&versionId={version}",
                "&versionStage=AWSPREVIOUS",
                "&versionStage=AWSPREVIOUS",
                "&versionStage=AWSPENDING",
            )
        )

    def _read_all(
        self, environment: Environment, targets: list[str], invoked_at: float
    ) -> None:
        for target in targets:
            environment.read(target, invoked_at)

    # The end.

    def _calm_down(self) -> None:
        """No more faults; what was announced is worked off."""
        for name in vars(self.faults):
            setattr(self.faults, name, 0.0)
        self.faults.latency_seconds = 0.005
        self.faults.reads_per_second = 40.0
        self.scheduler.dawdle = 0.0
        if self.operator.deletions:
            # The next rotation makes the sheet anew.
            name = self.random.choice(self.names)
            self.operator.restore(name)
            self.queue.loses = False
            self.operator.rotate(name)
        self.queue.finish()
        self.oracle.judge_end(filter(self._is_announced, self.names))

    def _judge_end(self) -> None:
        """Every reader reads what is current; after that all is quiet."""
        self.scheduler.sleep(CALM_SECONDS)
        for environment in self.environments:
            self._together([partial(self._judge, environment)], environment)
        writes, unmended = self.oracle.writes, self.oracle.has_gap
        for name in filter(self._is_announced, self.queue.heard):
            self.queue.send_again(name)
        self.queue.finish()
        forgetful = self.places and len(self.names) > self.places
        excused = forgetful or self.operator.deletions or unmended
        if self.oracle.writes != writes and not excused:
            self.scheduler.violated("a late duplicate is written")

    def _judge(self, environment: Environment) -> None:
        terms, witness = environment.terms, environment.witness
        settled = (
            terms.ttl_seconds == AGES_SECONDS
            and terms.max_entries > len(self.names)
            and all(map(self._is_announced, self.names))
            and all(self._current(name) for name in self.names)
        )
        for round_ in range(2):
            invoked_at, fetches = self.scheduler.now, witness.fetches
            environment.follow()
            for name in self.names:
                self._judge_one(environment, name, invoked_at)
            if round_ and settled and witness.fetches > fetches:
                self.scheduler.violated(f"{environment.name} never comes to rest")
            environment.sleep(6.0)

    def _is_announced(self, name: str) -> bool:
        """Whether an event after its last change was worked off."""
        return self.queue.heard.get(name, 0) == self.operator.changes[name]

    def _current(self, name: str) -> str | None:
        return self.cloud.secret(name).version("AWSCURRENT")

    def _judge_one(
        self, environment: Environment, name: str, invoked_at: float
    ) -> None:
        answer = environment.read(f"/secretsmanager/get?secretId={name}", invoked_at)
        if not self._is_announced(name):
            return
        if self.operator.deletions and not environment.witness.knew_sheet(name):
            return  # the stamp was deleted before it ever looked
        truth = self._current(name)
        refused = truth is None and answer.endswith("Exception")
        if (
            answer != truth
            and not refused
            and not self._is_misled(environment, name, answer)
        ):
            self.scheduler.violated(
                f"{environment.name} reads {answer} in the end, but {truth} is current"
            )

    def _is_misled(self, environment: Environment, name: str, answer: str) -> bool:
        """Whether a full sheet forgot what a source did not yet say: documented."""
        return (
            self.places > 0
            and self.oracle.stamp(self.cloud.sheets[-1].position, subject(name)) is None
            and self.cloud.current_since(name)
            <= environment.witness.asked_at(name, answer)
        )
