"""A world in which secrets rotate while callers log in, in a time of its own.

The rule's steps are carried out here: reads, logins and pauses take time, bells ring,
and nothing else happens. So a schedule of an hour takes milliseconds, and is the same
each time.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from rotaware.answers import Secret
from rotaware.database.ledger import Ledger
from rotaware.database.refusals import OTHER, REFUSED
from rotaware.database.rule import Caller, Connect, Failed, Opened, Read
from rotaware.database.turns import Pause, Wait
from rotaware.errors import AwsUnavailableError
from rotaware.secret import AWSPENDING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

DOWN = "down"
CLOSED = "closed"


class RefusalError(Exception):
    """What the server says to a password that it does not take."""


class OutageError(Exception):
    """What nobody says."""


class LockoutError(Exception):
    """What the server says to a user who is locked, whatever the password."""


class Timeline:
    """What holds from when on.

    Args:
        first: What holds until the first change.
    """

    def __init__(self, first: str) -> None:
        self._times = [float("-inf")]
        self._states = [first]

    def set(self, at: float, state: str) -> None:
        """Changes come in order."""
        self._times.append(at)
        self._states.append(state)

    def at(self, time: float) -> str:
        return self._states[bisect_right(self._times, time) - 1]


class Call(NamedTuple):
    """One call and its end."""

    worker: int
    began: float
    ended: float
    outcome: Opened | Failed
    logins: int
    refused: int

    def error(self) -> BaseException | None:
        """What it failed with."""
        return self.outcome.error if isinstance(self.outcome, Failed) else None


class World:
    """One environment: a ledger, an extension's memory, a server, Secrets Manager.

    Attributes:
        server: Which version's password the server takes; several, if apart by spaces.
        current: Which version AWSCURRENT is on.
        pending: Which version AWSPENDING is on.
        now: The time.
        asked: When Secrets Manager was asked, and what it answered.
        refused: When a login was refused, and whose.
        calls: Those that have ended.
    """

    def __init__(
        self,
        *,
        read: float = 0.02,
        login: float = 0.005,
        random: Sequence[float] = (0,),
    ) -> None:
        jitter = itertools.cycle(random)
        self.ledger = Ledger(lambda: next(jitter))
        self.server = Timeline("v1")
        self.current = Timeline("v1")
        self.pending = Timeline("v1")
        self.secrets_manager = Timeline("")
        self.now = 0.0
        self.held: dict[str, str] = {"AWSCURRENT": "v1", AWSPENDING: "v1"}
        self.asked: list[tuple[float, str]] = []
        self.refused: list[tuple[float, int]] = []
        self.logins: list[tuple[float, str]] = []
        self.calls: list[Call] = []
        self._read, self._login = read, login
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, time: float, do: Callable[[], None]) -> None:
        """Do something then."""
        heapq.heappush(self._agenda, (time, next(self._numbers), do))

    def run(self) -> None:
        """Let time pass until nothing is left to do."""
        while self._agenda:
            self.now, _, do = heapq.heappop(self._agenda)
            do()

    def call(
        self,
        worker: int = 0,
        budget: float = 10.0,
        *,
        pending: bool = False,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin a call now."""
        _Running(self, worker, budget, pending=pending, then=then)

    def work(self, worker: int, until: float, pause: float, budget: float) -> None:
        """Call, again and again."""

        def again() -> None:
            if self.now < until:
                self.at(self.now + pause, lambda: self.call(worker, budget, then=again))

        self.call(worker, budget, then=again)

    def failures(self) -> list[Call]:
        return [call for call in self.calls if isinstance(call.outcome, Failed)]

    def refused_by_worker(self, since: float, until: float) -> Counter[int]:
        return Counter(who for when, who in self.refused if since <= when < until)

    def in_vain(self, since: float, until: float) -> int:
        """How many questions brought what was there already."""
        known = self.current.at(since)
        return sum(since <= when < until and got == known for when, got in self.asked)

    def fetched(self, label: str, instead_of: str | None) -> tuple[float, str]:
        """How long a read takes, and what it brings."""
        held = self.held[label]
        if instead_of is None or held != instead_of:
            return 0.0, held
        timeline = self.current if label == "AWSCURRENT" else self.pending
        answer = timeline.at(self.now + self._read / 2)
        self.asked.append((self.now, answer))
        self.held[label] = answer
        return self._read, answer

    def logged_in(self, worker: int, version: str) -> tuple[float, Opened | Failed]:
        """How long a login takes, and what becomes of it."""
        state = self.server.at(self.now + self._login / 2)
        self.logins.append((self.now, version))
        if state == DOWN:
            return self._login, Failed(OutageError(), OTHER)
        if version in state.split():
            return self._login, Opened(version)
        self.refused.append((self.now, worker))
        return self._login, Failed(RefusalError(version), REFUSED)


class _Running:
    """One call under way."""

    def __init__(
        self,
        world: World,
        worker: int,
        budget: float,
        *,
        pending: bool,
        then: Callable[[], None],
    ) -> None:
        self._world = world
        self._worker = worker
        self._then = then
        self._began = world.now
        self._logins = self._refused = 0
        caller = Caller(
            world.ledger,
            lambda: world.now,
            budget,
            pending=pending,
            username_of=lambda secret: secret.version_id,
        )
        self._steps: Generator[Any, Any, Opened | Failed] = caller.steps()
        self._go(None)

    def _go(self, outcome: Any) -> None:
        try:
            step = self._steps.send(outcome)
        except StopIteration as end:
            self._end(end.value)
            return
        self._carry_out(step)

    def _carry_out(self, step: Any) -> None:
        world = self._world
        if isinstance(step, Pause):
            world.at(world.now + step.seconds, lambda: self._go(None))
        elif isinstance(step, Wait):
            self._wait(step)
        elif isinstance(step, Read):
            self._read(step)
        else:
            self._connect(step)

    def _wait(self, step: Wait) -> None:
        world = self._world
        over: list[bool] = []

        def wake() -> None:
            if not over:
                over.append(True)
                self._go(None)

        step.bell.hear(lambda: world.at(world.now, wake))
        world.at(world.now + step.seconds, wake)

    def _read(self, step: Read) -> None:
        world = self._world
        if world.secrets_manager.at(world.now) == DOWN and step.instead_of is not None:
            error = Failed(AwsUnavailableError("Down", "no"))
            world.at(world.now, lambda: self._go(error))
            return
        seconds, version = world.fetched(step.stage or "AWSCURRENT", step.instead_of)
        secret = Secret("db", "{}", version)
        world.at(world.now + seconds, lambda: self._go(secret))

    def _connect(self, step: Connect) -> None:
        world = self._world
        seconds, result = world.logged_in(self._worker, step.secret.version_id)
        self._logins += 1
        self._refused += isinstance(result, Failed) and result.kind == REFUSED
        world.at(world.now + seconds, lambda: self._go(result))

    def _end(self, outcome: Opened | Failed) -> None:
        world = self._world
        world.calls.append(
            Call(
                self._worker,
                self._began,
                world.now,
                outcome,
                self._logins,
                self._refused,
            )
        )
        self._then()
