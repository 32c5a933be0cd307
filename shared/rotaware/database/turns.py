"""Whose turn it is after a refused login, and what the others do meanwhile."""

from __future__ import annotations

from threading import Lock

from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    Turn: TypeAlias = "Pause | Wait | GiveUp | None"


class Pause(NamedTuple):
    """Lead: let these seconds pass, then ask."""

    seconds: float


class Wait(NamedTuple):
    """Let somebody else do it, until the bell rings or these seconds have passed."""

    seconds: float
    bell: Bell


class GiveUp(NamedTuple):
    """The next question is due too late; this was the last refusal."""

    error: BaseException


class Limits(NamedTuple):
    """How long a caller has; times of its monotonic clock.

    Attributes:
        deadline: Until when it lets time pass.
        patience: Until when it waits for what others are doing.
    """

    deadline: float
    patience: float


class Bell:
    """Rings once; who comes later hears it at once."""

    __slots__ = ("_hearers", "_lock", "_rung")

    def __init__(self) -> None:
        self._lock = Lock()
        self._rung = False
        self._hearers: list[Callable[[], object]] = []

    def hear(self, hearer: Callable[[], object]) -> None:
        """Call this when it rings."""
        with self._lock:
            if not self._rung:
                self._hearers.append(hearer)
                return
        hearer()

    def ring(self) -> None:
        """Call all who wait for it."""
        with self._lock:
            self._rung = True
        for hearer in self._hearers:
            hearer()


def ring(bells: Iterable[Bell]) -> None:
    """Ring them all, under no lock: who hears it may come back at once."""
    for bell in bells:
        bell.ring()
