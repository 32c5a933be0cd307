"""The sheet's store and the invalidator: the real ``publish`` over simulated calls.

Each invalidator is a greenlet: where the real one waits for an answer or pauses, the
simulated time goes on. Every call that it makes draws on the same quotas.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped] # has none

from benchmarks.scale.account import ATTEMPTS, TokenBucket, pause_seconds
from rotaware.clock import Instant
from rotaware.errors import AwsError, AwsThrottledError
from rotaware.publish import publish
from rotaware.sheet import Edition, Sheet, decode, encode
from rotaware.stamps import SsmSheet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.scale.account import Limits
    from benchmarks.scale.environments import Secret
    from benchmarks.scale.world import World

# As infra/template.yaml sets them.
BATCH = 25
WINDOW_SECONDS = 1.0
MOST_INVALIDATORS = 2
VISIBILITY_SECONDS = 180.0

# Assumed: what an event takes from the rotation to the queue, and a call over the wire.
EVENT_SECONDS = 1.0
CALL_SECONDS = 0.02
JUDGE_SECONDS = 0.2

_EPOCH = 1_800_000_000.0


class SheetStore:
    """One sheet, and the quotas of what it lies in.

    Attributes:
        edition: The latest, as every reader decodes it.
        reads: The quota for reads.
        written_at: When each edition was written.
    """

    def __init__(self, limits: Limits) -> None:
        self.reads = TokenBucket(limits.reads)
        self.writes = TokenBucket(limits.writes)
        self.written_at: list[float] = []
        self._values = [encode(Sheet(born=int(_EPOCH)))]
        self.edition = Edition(1, decode(self._values[0]))

    def write(self, now: float, value: str) -> int:
        """Put another edition over the latest."""
        self._values.append(value)
        self.edition = Edition(len(self._values), decode(value))
        self.written_at.append(now)
        return self.edition.generation

    def read(self, name: str) -> tuple[str, int]:
        """An edition's text and generation, by name or name and generation."""
        _, _, number = name.partition(":")
        generation = int(number or len(self._values))
        return self._values[generation - 1], generation


class Invalidators:
    """What EventBridge, queue and invalidators do with rotations.

    Attributes:
        failures: How many batches were handed back to the queue.
    """

    def __init__(self, world: World, store: SheetStore) -> None:
        self._world = world
        self._store = store
        self._queue: deque[Secret] = deque()
        self._running = 0
        self.failures = 0

    def expect(self, secret: Secret) -> None:
        """Hear of a rotation when it happens."""
        self._world.at(
            secret.rotated_at + EVENT_SECONDS, lambda _: self._receive([secret])
        )

    def _receive(self, secrets: list[Secret]) -> None:
        self._queue.extend(secrets)
        if self._running < MOST_INVALIDATORS:
            self._running += 1
            self._world.at(self._world.now + WINDOW_SECONDS, lambda _: self._start())

    def _receive_again(self, secrets: list[Secret], _: float) -> None:
        self._receive(secrets)

    def _start(self) -> None:
        greenlet(self._work).switch()

    def _work(self) -> None:
        while self._queue:
            size = min(BATCH, len(self._queue))
            batch = [self._queue.popleft() for _ in range(size)]
            try:
                self._stamp(batch)
            except AwsError:
                self.failures += 1
                again = self._world.now + VISIBILITY_SECONDS
                self._world.at(again, partial(self._receive_again, batch))
        self._running -= 1

    def _stamp(self, batch: list[Secret]) -> None:
        calls = Calls(self._world, self._store)

        def judge() -> Mapping[str, str]:
            calls.sleep(JUDGE_SECONDS)
            now = self._world.now
            return {each.subject: each.versions[each.is_rotated(now)] for each in batch}

        home = SsmSheet(calls, "sheet")
        random = self._world.random.random
        publish(home, judge, clock=calls, random=random, log=_Silence())


class Calls:
    """Satisfies ``Aws`` and ``Clock`` for the greenlet that uses it."""

    def __init__(self, world: World, store: SheetStore) -> None:
        self._world = world
        self._store = store

    def now(self) -> Instant:
        """The simulated moment on both clocks."""
        return Instant(_EPOCH + self._world.now, self._world.now)

    def sleep(self, seconds: float) -> None:
        """Let the world go on meanwhile."""
        this = getcurrent()
        self._world.at(self._world.now + seconds, lambda _: this.switch())
        this.parent.switch()

    def call(
        self,
        service: str,  # noqa: ARG002  there is only one
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,  # noqa: ARG002  no call hangs here
    ) -> dict[str, Any]:
        """GetParameter or PutParameter, with the invalidator's own retries."""
        reads = operation == "GetParameter"
        quota = self._store.reads if reads else self._store.writes
        for attempt in range(1, ATTEMPTS + 1):
            self.sleep(CALL_SECONDS)
            if quota.take(self._world.now):
                break
            if attempt == ATTEMPTS:
                raise AwsThrottledError("ThrottlingException", "Rate exceeded")
            self.sleep(pause_seconds(self._world, attempt))
        if reads:
            value, version = self._store.read(request["Name"])
            return {"Parameter": {"Value": value, "Version": version}}
        return {"Version": self._store.write(self._world.now, request["Value"])}


class _Silence:
    def info(self, message: str, /, **fields: int) -> None:
        """What was written is counted by the store."""
