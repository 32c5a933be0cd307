"""Simulated time: what happens next happens next, and nothing happens in between."""

from __future__ import annotations

import heapq
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Action = Callable[[float], None]


class World:
    """A queue of what will happen.

    Args:
        seed: Where all chance comes from.
        seconds: When it ends.

    Attributes:
        now: Simulated seconds since it began.
        random: The chance of this world.
    """

    __slots__ = ("_count", "_queue", "now", "random", "seconds")

    def __init__(self, seed: int, seconds: float) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.random = Random(seed)  # noqa: S311  no secret hangs on it
        self._queue: list[tuple[float, int, Action]] = []
        self._count = 0

    def at(self, moment: float, action: Action) -> None:
        """Let something happen; after the end, nothing does."""
        if moment < self.seconds:
            self._count += 1
            heapq.heappush(self._queue, (moment, self._count, action))

    def run(self) -> None:
        """Until the end."""
        queue = self._queue
        while queue:
            self.now, _, action = heapq.heappop(queue)
            action(self.now)
