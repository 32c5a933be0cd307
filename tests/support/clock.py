"""Clocks that tests hold in their hands."""

from __future__ import annotations

from threading import Lock

from rotaware.clock import Instant

EPOCH = 1_800_000_000.0


class ManualClock:
    """Satisfies ``rotaware.clock.Clock``: time passes only when a test says so.

    A sleep returns at once and lets its time pass, so pauses cost a test nothing.
    Threads may share it.

    Attributes:
        naps: The seconds of each sleep, in order.
    """

    def __init__(self, wall: float = EPOCH, monotonic: float = 100.0) -> None:
        self._now = Instant(wall, monotonic)
        self._lock = Lock()
        self.naps: list[float] = []

    def now(self) -> Instant:
        return self._now

    def sleep(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.naps.append(seconds)
        self.tick(seconds)

    def tick(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.step(wall=seconds, monotonic=seconds)

    def freeze(self, seconds: float) -> None:
        """Let time pass while the environment is frozen: the monotonic clock stops."""
        self.step(wall=seconds)

    def step(self, *, wall: float = 0.0, monotonic: float = 0.0) -> None:
        """Move each clock by itself; a step of the wall clock may be negative."""
        with self._lock:
            now = self._now
            self._now = Instant(now.wall + wall, now.monotonic + monotonic)
