"""Counts of what happened since the start, and the latest of what was measured.

Any thread may count, under a lock of the tally's own. What happens most often is not
counted here but by its own thread: see ``extension.endpoint``. The names are those of
the metrics that a person sees.
"""

from __future__ import annotations

from threading import Lock

from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections import deque
else:
    from _collections import deque

MOST_KEPT = 100
"""Of the latest measurements of a kind; one line of metrics takes as many."""

HITS = "Hits"
MISSES = "Misses"
FORCED = "Forced"
STALE_SERVED = "StaleServed"
REFUSALS = "Refusals"
EVICTIONS = "Evictions"
EVICTION_DELAY = "EvictionDelay"
CHECKS = "Checks"
CHECKS_THROTTLED = "ChecksThrottled"
CHECKS_FAILED = "ChecksFailed"
CHECK_LATENCY = "CheckLatency"
WAITS_GIVEN_UP = "WaitsGivenUp"
FETCHES = "Fetches"
FETCHES_FAILED = "FetchesFailed"
FETCH_LATENCY = "FetchLatency"
PREFETCH_TIME = "PrefetchTime"


class Measured(NamedTuple):
    """All measurements of one kind.

    Attributes:
        times: How many there were.
        seconds: All of them together.
        longest_seconds: The longest.
        latest: The latest that nobody has taken yet.
    """

    times: int
    seconds: float
    longest_seconds: float
    latest: deque[float]


class Tally:
    """What happened, by name."""

    __slots__ = ("_counts", "_lock", "_measured")

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, int] = {}
        self._measured: dict[str, Measured] = {}

    def count(self, what: str, times: int = 1) -> None:
        """It happened."""
        with self._lock:
            self._counts[what] = self._counts.get(what, 0) + times

    def measure(self, what: str, seconds: float) -> None:
        """It took so long."""
        with self._lock:
            before = self._measured.get(what)
            if before is None:
                before = Measured(0, 0.0, 0.0, deque(maxlen=MOST_KEPT))
            before.latest.append(seconds)
            self._measured[what] = Measured(
                before.times + 1,
                before.seconds + seconds,
                max(before.longest_seconds, seconds),
                before.latest,
            )

    def counts(self) -> dict[str, int]:
        """How often each thing happened."""
        with self._lock:
            return dict(self._counts)

    def measured(self) -> dict[str, Measured]:
        """How long each thing took."""
        with self._lock:
            return dict(self._measured)

    def take_latest(self) -> dict[str, list[float]]:
        """The latest measurements of each kind that has any, to be told once."""
        taken = {}
        with self._lock:
            for what, each in self._measured.items():
                if each.latest:
                    taken[what] = list(each.latest)
                    each.latest.clear()
        return taken
