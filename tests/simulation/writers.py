"""Events on their way, the queue, and the real invalidators that work it off.

Whatever an invalidator does not finish comes again: because it crashed, or because it
said so. Each delivery runs on a machine of its own, with a clock of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from invalidator.decide import decide
from invalidator.invalidate import Invalidator
from tests.simulation.cloud import subject
from tests.simulation.environment import TraceLog
from tests.simulation.line import Crash, Line
from tests.simulation.scheduler import EPOCH, Host
from tests.support.events import REGION

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger, Metrics

    from invalidator.decide import Decision
    from tests.simulation.cloud import Cloud
    from tests.simulation.scheduler import Actor, Scheduler


class Habits(NamedTuple):
    """How the bus and the queue behave.

    Attributes:
        lost: How often an event never arrives.
        twice: How often it arrives once more, later.
        soonest_seconds: How long it takes at least.
        delay_seconds: How long it takes in the mean, beyond that.
        batch: How many events one delivery holds at most.
        workers: How many deliveries there are at once.
        skew_seconds: How wrong invalidators' clocks may be.
    """

    lost: float
    twice: float
    soonest_seconds: float
    delay_seconds: float
    batch: int
    workers: int
    skew_seconds: float


class Message(NamedTuple):
    """One event in the queue.

    Attributes:
        name: The secret that it is about.
        changes: How many changes of that secret came before it.
        decision: What it means.
    """

    name: str
    changes: int
    decision: Decision


class Queue:
    """Takes events from the bus and hands them to invalidators.

    Attributes:
        loses: Whether the bus may still lose events.
        outstanding: How many events are on their way or in the queue.
        heard: Up to which change of each secret an event has been worked off.
        deliveries: How often an invalidator was started.
    """

    def __init__(
        self, scheduler: Scheduler, cloud: Cloud, habits: Habits, sheet: str
    ) -> None:
        self._scheduler = scheduler
        self._random = scheduler.random
        self._cloud = cloud
        self._habits = habits
        self._sheet = sheet
        self._messages: list[Message] = []
        self._last: dict[str, Message] = {}
        self._idle: list[Actor] = []
        self._waiting: list[Actor] = []
        # Whoever was refused most of his rounds may give up when all is calm.
        self._rationed = cloud.faults.rationed
        self.loses = True
        self.outstanding = 0
        self.heard: dict[str, int] = {}
        self.deliveries = 0
        self.closed = False
        for number in range(habits.workers):
            scheduler.spawn(f"invalidator {number}", self._work)

    def send(self, name: str, event: Any, changes: int) -> None:
        """Put an event on the bus."""
        at = datetime.fromtimestamp(EPOCH + self._scheduler.now, UTC)
        event["time"] = at.isoformat(timespec="seconds")
        message = Message(name, changes, decide(event, sheet=self._sheet))
        self._last[name] = message
        random, habits = self._random.random, self._habits
        lost = self.loses and random() < habits.lost
        copies = 0 if lost else 1 + (random() < habits.twice)
        if not copies:
            self._scheduler.tell("the bus loses an event", f"{name} {changes}")
        for _ in range(copies):
            self._send(message)

    def send_again(self, name: str) -> None:
        """Let the last event about a secret come once more."""
        self._send(self._last[name])

    def finish(self) -> None:
        """Wait until all that was sent is worked off."""
        actor = self._scheduler.actor
        while self.outstanding:
            self._waiting.append(actor)
            self._scheduler.give_way()

    def close(self) -> None:
        """Send the invalidators home."""
        self.closed = True
        for actor in self._idle:
            self._scheduler.wake(actor)

    def _send(self, message: Message) -> None:
        self.outstanding += 1
        delay = self._random.expovariate(1.0) * self._habits.delay_seconds
        self._arrive_after(self._habits.soonest_seconds + delay, message)

    def _arrive_after(self, seconds: float, message: Message) -> None:
        def arrive() -> None:
            self._messages.append(message)
            if self._idle:
                self._scheduler.wake(self._idle.pop())

        self._scheduler.spawn("bus", arrive, after=seconds)

    def _work(self) -> None:
        actor = self._scheduler.actor
        while not self.closed:
            if not self._messages:
                self._idle.append(actor)
                self._scheduler.give_way()
                continue
            self._random.shuffle(self._messages)
            batch = self._messages[: self._habits.batch]
            del self._messages[: self._habits.batch]
            self._deliver(batch, actor)

    def _deliver(self, batch: list[Message], actor: Actor) -> None:
        self.deliveries += 1
        self._scheduler.tell("takes", [message[:2] for message in batch])
        host = actor.host = Host(self._scheduler, actor.label)
        actor.wrote = 0
        names = [message.name for message in batch]
        actor.subjects = frozenset(subject(name) for name in names)
        skew = self._habits.skew_seconds
        host.skew_seconds = self._random.uniform(-skew, skew)
        log = _Log(self._scheduler, rationed=self._rationed)
        invalidator = Invalidator(
            Line(self._cloud, self._scheduler, host),
            self._sheet,
            region=REGION,
            clock=host,
            random=self._random.random,
            logger=cast("Logger", log),
            metrics=cast("Metrics", _NoMetrics()),
        )
        try:
            failed = set(invalidator.stamp([message.decision for message in batch]))
        except Crash:
            self._scheduler.tell("crashes")
            failed = {_key(message) for message in batch}
        for message in batch:
            if _key(message) in failed:
                self._arrive_after(1.0 + self._random.expovariate(0.5), message)
            else:
                self.heard[message.name] = max(
                    message.changes, self.heard.get(message.name, 0)
                )
                self.outstanding -= 1
        if not self.outstanding:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                self._scheduler.wake(each)


class _Log(TraceLog):
    """An invalidator's: it tells why nothing was written.

    Args:
        scheduler: Time, and whom to tell.
        rationed: Whether AWS refuses calls for being too many.
    """

    def __init__(self, scheduler: Scheduler, *, rationed: bool) -> None:
        super().__init__(scheduler)
        self._rationed = rationed

    def error(self, message: str, /, **fields: object) -> None:
        """Nobody may be kept from writing by others for so long that he gives up."""
        self.info(message, **fields)
        if "SheetContended" in str(fields.get("problem")) and not self._rationed:
            self._scheduler.violated("a writer gives up")


class _NoMetrics:
    service = "invalidator"

    def add_metric(self, *_: object) -> None:
        """Nobody looks at it."""

    def flush_metrics(self) -> None:
        """Likewise."""


def _key(message: Message) -> Any:
    return getattr(message.decision, "key", None)
