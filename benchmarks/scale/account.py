"""What one account and Region has in common: quotas, and who else draws on them."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from benchmarks.scale.world import World

BIN_SECONDS = 10.0
BURST_SECONDS = 10.0
ATTEMPTS = 3


class Limits(NamedTuple):
    """What a store grants, in calls per second."""

    reads: float
    writes: float


PARAMETER_STORE = Limits(reads=40.0, writes=3.0)
# One item: of 3,000 read units a second, an eventually consistent read of up to 4 KB
# takes a half; of 1,000 write units, a write takes one per KB.
DYNAMODB = Limits(reads=6000.0, writes=250.0)


class TokenBucket:
    """A quota: tokens come at a rate, and a second's worth of them can be saved up.

    A call that finds none is throttled, and costs none.
    """

    __slots__ = ("_at", "_capacity", "_rate", "_tokens")

    def __init__(self, rate: float) -> None:
        self._rate = self._capacity = self._tokens = rate
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Whether a call at this moment is granted. Moments never go back."""
        tokens = self._tokens + (now - self._at) * self._rate
        tokens = min(tokens, self._capacity)
        self._at = now
        granted = tokens >= 1.0
        self._tokens = tokens - 1.0 if granted else tokens
        return granted


class Tally:
    """Calls over time: how many came, and how many of them were throttled."""

    __slots__ = ("throttled", "total")

    def __init__(self, seconds: float) -> None:
        bins = [0] * (int(seconds / BIN_SECONDS) + 1)
        self.total = array("l", bins)
        self.throttled = array("l", bins)

    def add(self, now: float, *, granted: bool) -> None:
        """Count one call."""
        place = int(now / BIN_SECONDS)
        self.total[place] += 1
        if not granted:
            self.throttled[place] += 1

    def rate(self, begin: float, end: float) -> float:
        """Calls per second in a time."""
        return sum(self.total[_bins(begin, end)]) / (end - begin)

    def peak(self, begin: float, end: float) -> float:
        """Calls per second in the busiest part of a time."""
        return max(self.total[_bins(begin, end)]) / BIN_SECONDS

    def share(self, begin: float, end: float) -> float:
        """Which share of the calls in a time was throttled."""
        bins = _bins(begin, end)
        return sum(self.throttled[bins]) / max(1, sum(self.total[bins]))


class Others:
    """Whoever else reads parameters: independent calls, three attempts each.

    Between two attempts they pause as AWS's SDKs do in standard mode.

    Args:
        world: Where they live.
        quota: What they share with the environments.
        rate: Their calls per second.
        burst: How many further calls they make within ten seconds of some moment.

    Attributes:
        attempts: What they sent.
        calls: What they wanted; throttled: in vain.
    """

    def __init__(
        self,
        world: World,
        quota: TokenBucket,
        rate: float,
        burst: tuple[int, float] = (0, 0.0),
    ) -> None:
        self._world = world
        self._quota = quota
        self._rate = rate
        self.attempts = Tally(world.seconds)
        self.calls = Tally(world.seconds)
        if rate:
            self._plan(0.0)
        calls, moment = burst
        for _ in range(calls):
            pause = world.random.uniform(0.0, BURST_SECONDS)
            world.at(moment + pause, lambda now: self._attempt(now, 1))

    def _plan(self, now: float) -> None:
        self._world.at(now + self._world.random.expovariate(self._rate), self._call)

    def _call(self, now: float) -> None:
        self._plan(now)
        self._attempt(now, 1)

    def _attempt(self, now: float, number: int) -> None:
        granted = self._quota.take(now)
        self.attempts.add(now, granted=granted)
        if granted or number == ATTEMPTS:
            self.calls.add(now, granted=granted)
            return
        pause = pause_seconds(self._world, number)
        self._world.at(now + pause, lambda later: self._attempt(later, number + 1))


def pause_seconds(world: World, attempt: int) -> float:
    """How long an AWS SDK waits after an attempt that was throttled."""
    return world.random.random() * 2.0 ** (attempt - 1)


def _bins(begin: float, end: float) -> slice:
    return slice(int(begin / BIN_SECONDS), int(end / BIN_SECONDS))
