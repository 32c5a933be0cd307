"""Time, as the cache needs it: two clocks, because each of them can lie.

The monotonic clock may stop while Lambda freezes the environment and starts anew in
a restored snapshot; the wall clock may be stepped. Age is the larger of the two, and
a wall clock that went back makes everything old.
"""

from __future__ import annotations

import time

from rotaware.lean import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Instant(NamedTuple):
    """One moment on both clocks, in seconds."""

    wall: float
    monotonic: float


class Clock(Protocol):
    """The only source of time in rotaware."""

    def now(self) -> Instant:
        """The current moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""
        ...


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    sleep: Callable[[float], None] = staticmethod(time.sleep)

    def now(self) -> Instant:
        """The current moment."""
        # Asked at every read, so without the checks of a call.
        return tuple.__new__(Instant, (time.time(), time.monotonic()))


def age_seconds(since: Instant, now: Instant) -> float:
    """How old something is; infinite when the wall clock was stepped back."""
    if now.wall < since.wall:
        return float("inf")
    return max(now.wall - since.wall, now.monotonic - since.monotonic)


class Deadline:
    """One time allowance, spent across all the steps of an operation."""

    __slots__ = ("_clock", "_expires_at")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._expires_at = clock.now().monotonic + seconds

    def remaining_seconds(self) -> float:
        """What is left, never negative."""
        return max(0.0, self._expires_at - self._clock.now().monotonic)


def iso8601(epoch_seconds: float) -> str:
    """UTC with milliseconds, no zeros at their end, as the AWS SDK for Go writes it."""
    milliseconds = round(epoch_seconds * 1000)
    whole, rest = divmod(milliseconds, 1000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"
