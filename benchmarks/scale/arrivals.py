"""When an execution environment is invoked.

Between invocations it is frozen: nothing happens in it. Most invocations find that no
check is due, so they are not simulated one by one. An arrival process only has to say
which invocation comes next after a moment, and which was the last one before it.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE_SECONDS = 60.0


class Arrivals(Protocol):
    """The invocations of one environment."""

    def after(self, moment: float) -> float:
        """The first invocation after a moment. Moments never go back."""
        ...

    def before(self, moment: float) -> float:
        """The last invocation before a moment; after which is none till the next."""
        ...


class Poisson:
    """Independent requests, at a steady rate: what comes knows nothing of the past.

    So the time from any moment to the next invocation, and back to the last, has one
    and the same distribution, and no history is kept.
    """

    __slots__ = ("_random", "_rate")

    def __init__(self, random: Random, mean_seconds: float) -> None:
        self._random = random
        self._rate = 1.0 / mean_seconds

    def after(self, moment: float) -> float:
        """See ``Arrivals``."""
        return moment + self._random.expovariate(self._rate)

    def before(self, moment: float) -> float:
        """See ``Arrivals``."""
        return moment - self._random.expovariate(self._rate)


class Bursts:
    """Poisson while a burst lasts; bursts and the pauses between are exponential too.

    Args:
        random: A source of its own.
        mean_seconds: Between two requests of one burst.
        burst_seconds: How long a burst lasts, on average.
        pause_seconds: How long there is none, on average.
    """

    __slots__ = ("_burst_seconds", "_bursts", "_pause_seconds", "_random", "_within")

    def __init__(
        self,
        random: Random,
        mean_seconds: float,
        burst_seconds: float,
        pause_seconds: float,
    ) -> None:
        self._random = random
        self._within = Poisson(random, mean_seconds)
        self._burst_seconds = burst_seconds
        self._pause_seconds = pause_seconds
        begin = random.uniform(0.0, pause_seconds)
        self._bursts = [(begin, begin + random.expovariate(1.0 / burst_seconds))]

    def after(self, moment: float) -> float:
        """See ``Arrivals``."""
        while True:
            begin, end = self._burst_at(moment)
            arrival = self._within.after(max(moment, begin))
            if arrival < end:
                return arrival
            moment = end

    def before(self, moment: float) -> float:
        """See ``Arrivals``."""
        self._burst_at(moment)
        for begin, end in reversed(self._bursts):
            if begin < moment:
                arrival = self._within.before(min(moment, end))
                if arrival > begin:
                    return arrival
        return float("-inf")

    def _burst_at(self, moment: float) -> tuple[float, float]:
        """The first burst that is not over at a moment."""
        while self._bursts[-1][1] <= moment:
            pause = self._random.expovariate(1.0 / self._pause_seconds)
            begin = self._bursts[-1][1] + pause
            length = self._random.expovariate(1.0 / self._burst_seconds)
            self._bursts.append((begin, begin + length))
        return next(burst for burst in self._bursts if burst[1] > moment)


class Cron:
    """Once a minute, all environments together, at :00 and a moment.

    Args:
        random: A source of its own.
        spread_seconds: Within which time after :00 an environment begins.
        keeps_place: Whether it begins at the same moment after each :00.
    """

    __slots__ = ("_keeps_place", "_seed", "_spread_seconds")

    def __init__(
        self, random: Random, spread_seconds: float, *, keeps_place: bool = False
    ) -> None:
        self._seed = random.getrandbits(32)
        self._spread_seconds = spread_seconds
        self._keeps_place = keeps_place

    def after(self, moment: float) -> float:
        """See ``Arrivals``."""
        minute = int(moment // MINUTE_SECONDS)
        arrival = self._in_minute(minute)
        return arrival if arrival > moment else self._in_minute(minute + 1)

    def before(self, moment: float) -> float:
        """See ``Arrivals``."""
        minute = int(moment // MINUTE_SECONDS)
        arrival = self._in_minute(minute)
        return arrival if arrival < moment else self._in_minute(minute - 1)

    def _in_minute(self, minute: int) -> float:
        place = 0 if self._keeps_place else minute
        # No history: looking back draws the same. It is a hash of whole numbers alone,
        # so the same in every process.
        share = Random(hash((self._seed, place))).random()  # noqa: S311  no secret
        return minute * MINUTE_SECONDS + share * self._spread_seconds


def steady(random: Random) -> Arrivals:
    """An API: two requests a second."""
    return Poisson(random, 0.5)


def busy(random: Random) -> Arrivals:
    """A queue's consumer: one batch after another, ten a second."""
    return Poisson(random, 0.1)


def idle(random: Random) -> Arrivals:
    """A request every two minutes, hardly enough to stay alive."""
    return Poisson(random, 120.0)


def bursty(random: Random) -> Arrivals:
    """Two requests a second for a minute, then none for three."""
    return Bursts(random, 0.5, 60.0, 180.0)


def cron(random: Random) -> Arrivals:
    """A schedule: every minute, anywhere in the two seconds after :00."""
    return Cron(random, 2.0)


def ranked(random: Random) -> Arrivals:
    """The same, each at its own place in those two seconds, always."""
    return Cron(random, 2.0, keeps_place=True)


def mixed(random: Random) -> Arrivals:
    """An account: of each kind a part."""
    kinds = (steady, steady, busy, bursty, bursty, bursty, idle, idle, idle, cron)
    return random.choice(kinds)(random)


PATTERNS: dict[str, Callable[[Random], Arrivals]] = {
    "mixed": mixed,
    "steady": steady,
    "bursty": bursty,
    "busy": busy,
    "idle": idle,
    "cron": cron,
    "cron, in order": ranked,
}
