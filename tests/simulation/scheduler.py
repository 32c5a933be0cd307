"""One thread of execution at a time, in simulated time, in an order that a seed picks.

Rule 1. An actor is a greenlet on a host. It goes on until it waits: for time, a lock, a
        condition. Then the scheduler goes on with whoever is due first.
Rule 2. Each use of a lock, an event or a condition (``threads``) is a scheduling point:
        the seed may make the actor dawdle there, as a machine with other things to do
        would.
Rule 3. A frozen host's actors stand still. What they waited for happens at the thaw.
Rule 4. Nothing here depends on addresses, hashes or real time: a seed is a schedule.
"""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Any, NoReturn

from greenlet import GreenletExit, greenlet  # type: ignore[import-untyped] # has none

from rotaware.clock import Instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.records import Check, Read

EPOCH = 1_800_000_000.0
LONGEST_SECONDS = 3600.0


class Violation(BaseException):
    """A law was broken. No ``except Exception`` of the code under test may hide it."""


class Host:
    """A machine: an execution environment, or an invalidator's.

    Attributes:
        name: For the trace.
        frozen: Whether Lambda froze it.
        skew_seconds: How wrong its wall clock is.
        paused_seconds: For how long its monotonic clock has stood still.
        idled_seconds: How long its actors were kept waiting by Rule 2 and 3, together.
    """

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self.scheduler = scheduler
        self.name = name
        self.frozen = False
        self.skew_seconds = 0.0
        self.paused_seconds = 0.0
        self.idled_seconds = 0.0
        self.thaws = 0
        self._now = Instant(0.0, 0.0)
        self._frozen_at = 0.0
        self._standing: list[tuple[float, Actor]] = []

    def now(self) -> Instant:
        """The host's clocks."""
        seconds = self.scheduler.now
        wall = EPOCH + self.skew_seconds + seconds
        if wall != self._now.wall:
            self._now = Instant(wall, 1000.0 + seconds - self.paused_seconds)
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let an actor of this host wait."""
        self.scheduler.sleep(seconds)

    def freeze(self) -> None:
        """Stop all actors."""
        self.frozen = True
        self._frozen_at = self.scheduler.now

    def thaw(self, *, clock_stood: bool) -> None:
        """Let them go on; the monotonic clock may have stood still or not."""
        self.frozen = False
        self._now = Instant(0.0, 0.0)
        self.thaws += 1
        seconds = self.scheduler.now - self._frozen_at
        self.idled_seconds += seconds
        late = 0.0
        if clock_stood:
            self.paused_seconds += seconds
            late = seconds
        standing, self._standing = self._standing, []
        for due, actor in standing:
            self.scheduler.put(actor, max(self.scheduler.now, due + late))

    def stand(self, due: float, actor: Actor) -> None:
        """Keep an actor that is due while its host is frozen."""
        self._standing.append((due, actor))


class Actor:
    """Something that goes on by itself.

    Attributes:
        label: For the trace.
        host: Where it lives; None for the world itself.
        spawned_at: When it began, in the world's time.
        spawned: The same, by its host's clocks.
        ticket: Its latest wait: what was due for an earlier one is void.
        looked_at: Which state of the sheet its last call was answered with.
        check: The check that it makes, if it makes one.
        read: The read that it makes, likewise.
        subjects: What it has been told to stamp.
        wrote: Which state of the sheet it has written last, in this delivery.
    """

    def __init__(
        self, scheduler: Scheduler, label: str, host: Host | None, target: Any
    ) -> None:
        self.scheduler = scheduler
        self.label = label
        self.host = host
        self.spawned_at = scheduler.now
        self.spawned = host.now() if host else Instant(scheduler.now, scheduler.now)
        self.target = target
        self.ticket = 0
        self.looked_at = 0
        self.check: Check | None = None
        self.read: Read | None = None
        self.subjects: frozenset[str] = frozenset()
        self.wrote = 0
        self.ended = False
        self.joiners: list[Actor] = []
        # Whoever ends hands over to the hub, not to whoever started it.
        self.greenlet = greenlet(self._play, scheduler.hub)

    def _play(self) -> None:
        try:
            self.target()
        except GreenletExit:
            return
        except BaseException as fault:  # noqa: BLE001  the world stops here
            self.scheduler.fail(fault)
        finally:
            self.ended = True
            for joiner in self.joiners:
                self.scheduler.wake(joiner)


class Scheduler:
    """Simulated time, and who goes on.

    Args:
        seed: Picks everything.
        traced: Whether to keep a trace.

    Attributes:
        random: The one source of chance in a world.
        now: The time in seconds.
        actor: Who goes on now.
        dawdle: How often an actor is kept waiting at a scheduling point.
        trace: What happened: time, actor, event, details.
        fault: What ended the schedule.
    """

    def __init__(self, seed: int, *, traced: bool = False) -> None:
        self.random = Random(seed)  # noqa: S311  no secret
        self.now = 0.0
        self.dawdle = 0.0
        self.traced = traced
        self.trace: list[tuple[float, str, str, str]] = []
        self.fault: BaseException | None = None
        self.steps = 0
        self._closed = False
        self.hub = greenlet.getcurrent()
        self.actor: Actor
        self._actors: list[Actor] = []
        self._queue: list[tuple[float, float, int, int, Actor]] = []

    def happens(self, rate: float) -> bool:
        """Throw the dice."""
        return self.random.random() < rate

    def some(self, share: float, most: float) -> float:
        """A rate up to ``most`` in a share of all worlds; 0 in the others."""
        return self.random.random() * most if self.happens(share) else 0.0

    def spawn(
        self,
        label: str,
        target: Callable[[], object],
        host: Host | None = None,
        after: float = 0.0,
    ) -> Actor:
        """Start an actor."""
        actor = Actor(self, label, host, target)
        self._actors.append(actor)
        self.put(actor, self.now + after)
        return actor

    def put(self, actor: Actor, due: float) -> None:
        """Let an actor go on at a time."""
        actor.ticket += 1
        self.steps += 1
        heappush(
            self._queue, (due, self.random.random(), self.steps, actor.ticket, actor)
        )

    def wake(self, actor: Actor) -> None:
        """Let an actor go on now."""
        if not actor.ended:
            self.put(actor, self.now)

    def run(self) -> None:
        """Go on until nothing is due, or a law is broken."""
        global _running  # noqa: PLW0603  one world at a time
        _running = self
        queue = self._queue
        while queue:
            due, _, _, ticket, actor = heappop(queue)
            if ticket != actor.ticket or actor.ended:
                continue
            if actor.host is not None and actor.host.frozen:
                actor.host.stand(due, actor)
                continue
            self.now = max(self.now, due)
            self.actor = actor
            actor.greenlet.switch()
            if self.fault is not None:
                break
            if self.now > LONGEST_SECONDS:
                self.fault = Violation("the world never came to rest")
                break
        waiting = [actor.label for actor in self._actors if not actor.ended]
        if waiting and self.fault is None:
            self.fault = Violation(f"these wait for ever: {', '.join(waiting)}")
        self._close()
        if self.fault is not None:
            raise self.fault

    def sleep(self, seconds: float) -> None:
        """Let time pass for the current actor."""
        self.put(self.actor, self.now + seconds)
        self.give_way()

    def point(self) -> None:
        """A scheduling point: mostly nothing happens here."""
        random = self.random.random
        if self.dawdle and not self._closed and random() < self.dawdle:
            actor = self.actor
            # Most often a moment, now and then an age.
            longest = (0.001, 0.05, 1.0)[int(random() ** 3 * 3)]
            seconds = random() * longest
            if actor.host is not None:
                actor.host.idled_seconds += seconds
            self.sleep(seconds)

    def give_way(self) -> None:
        """Wait until the current actor is put or woken."""
        if self._closed:
            raise GreenletExit
        self.hub.switch()

    def tell(self, event: str, details: object = "") -> None:
        """Add a line to the trace."""
        if self.traced:
            self.trace.append((self.now, self.actor.label, event, str(details)))

    def fail(self, fault: BaseException) -> None:
        """Stop the world."""
        if self.fault is None:
            self.fault = fault

    def violated(self, law: str) -> NoReturn:
        """Stop the world, because a law was broken."""
        self.tell("LAW BROKEN", law)
        violation = Violation(law)
        self.fail(violation)
        raise violation

    def _close(self) -> None:
        self._closed = True
        for actor in self._actors:
            if actor.greenlet and not actor.ended:
                self.actor = actor
                actor.greenlet.throw(GreenletExit)


_running: Scheduler


def running() -> Scheduler:
    """The world that goes on now."""
    return _running
