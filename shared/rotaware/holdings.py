"""What is held, as the sheet that was seen last and the TTLs allow. No I/O, no threads.

Rule 1. What a newer sheet than a flight knew outdates or doubts is not held.
Rule 2. A stale value is served only when its source gave no answer, never when it
        refused.
Rule 3. What a path's list brings is held as if each parameter had been asked for alone,
        unless what is held is younger.

The caller locks, and says what time it is.
"""

from __future__ import annotations

from rotaware import paths
from rotaware.cache import Entry
from rotaware.errors import AwsError, AwsUnavailableError
from rotaware.flight import (
    BYPASS,
    EXPIRED,
    HIT,
    MISS,
    REMEMBERED_REFUSAL,
    STALE_IF_ERROR,
    Answer,
    View,
)
from rotaware.lean import TYPE_CHECKING
from rotaware.secret import AWSPENDING, Fetched
from rotaware.sheet import missed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rotaware.cache import Cache
    from rotaware.clock import Instant
    from rotaware.errors import RotawareError
    from rotaware.flight import Flight
    from rotaware.secret import Prefetch, Query
    from rotaware.sheet import Edition

STAMPED = "stamped"
"""Why a sheet evicts what its stamps outdate, and nothing else."""
REFUSAL_SECONDS = 5.0
"""How long a refusal is remembered."""


class Holdings:
    """The cache, and all that decides about it.

    Args:
        cache: Where values are held.
        ttls: Seconds for which a value is fresh, by service.

    Attributes:
        cache: The same.
        view: The sheet as last seen.
        holds: Whether anything is put into the cache.
        variables: The environment variables that named queries. What stood in one is
            not to be logged, nor what AWS says about it.
    """

    def __init__(self, cache: Cache, ttls: Mapping[str, float]) -> None:
        self.cache = cache
        self.view = View()
        self.holds = True
        self.variables: dict[Query, str] = {}
        self._ttls = ttls
        self._own_ttls: dict[Query, float] = {}
        self._paths: list[Query] = []

    def expect(self, listed: Iterable[Prefetch]) -> None:
        """Take note of what the configuration says of single queries."""
        for query, ttl_seconds, variable in listed:
            if ttl_seconds is not None:
                self._own_ttls[query] = ttl_seconds
                if query.is_path:
                    self._paths.append(query)
            if variable is not None:
                self.variables[query] = variable
        self._paths.sort(key=lambda path: len(path.id), reverse=True)

    def ttl_seconds(self, query: Query) -> float:
        """For how long a value is fresh; 0 for what is not held at all.

        Its own, else that of the closest path above it, else its service's.
        """
        if not self.holds or query.label == AWSPENDING:
            return 0.0
        if query in self._own_ttls:
            return self._own_ttls[query]
        for path in self._paths:
            if path.covers(query):
                return self._own_ttls[path]
        return self._ttls[query.service]

    def held(self, query: Query, now: Instant) -> Answer | None:
        """What may be answered at once."""
        entry = self.cache.get(query, now)
        if entry is None:
            return None
        if isinstance(entry.outcome, AwsError):
            return Answer(entry.outcome, REMEMBERED_REFUSAL)
        fresh_seconds = entry.fresh_seconds(now)
        if fresh_seconds > 0.0:
            return Answer(entry.outcome, HIT, fresh_seconds)
        return Answer(entry.outcome, STALE_IF_ERROR) if entry.is_resting(now) else None

    def apply(self, edition: Edition, now: Instant) -> tuple[str, list[Query]] | None:
        """Take note of the sheet; why it evicts, and what; None for the same again."""
        seen, applied, doubts = self.view
        if seen == edition:
            return None
        reason = missed(seen, edition)
        doubted = reason is not None
        self.view = View(edition, applied + 1, doubts + doubted)
        stamps = self.view.stamps
        evicted = self.cache.evict(
            lambda _, entry: entry.is_outdated(stamps, doubted=doubted), now
        )
        return reason or STAMPED, evicted

    def delays(self, evicted: Sequence[Query], now: Instant) -> list[float]:
        """How many seconds ago the stamps were written that evicted them."""
        subjects = [
            entry.outcome.subject or ""
            for query, entry in self.cache.entries(now)
            if query in evicted and isinstance(entry.outcome, Fetched)
        ]
        stamps = self.view.stamps
        return [max(0.0, now.wall - stamps[subject].since) for subject in subjects]

    def is_doubted(self, query: Query, flight: Flight, now: Instant) -> bool:
        """Whether a sheet speaks against what a flight brought."""
        if flight.outdated:
            return isinstance(flight.outcome, Fetched)
        entry = self.cache.get(query, now)
        return entry is not None and entry.is_doubted

    def commit(
        self, query: Query, flight: Flight, fetched: Fetched, now: Instant
    ) -> Answer:
        """Hold what a flight brought, unless the sheet outdated it on its way."""
        how = MISS if self.cache.get(query, now) is None else EXPIRED
        if self.ttl_seconds(query) == 0:
            how = BYPASS
        if fetched.members is None:
            return Answer(fetched, how, self._hold(query, flight, fetched, now))
        if not paths.fits(fetched, self.cache.max_entries):
            self.cache.drop(query)
            return Answer(fetched, BYPASS)
        for member, brought in zip(fetched.members, fetched.brought, strict=True):
            known = self.cache.get(member, now)
            if known is None or known.asked_at.monotonic <= flight.asked_at.monotonic:
                self._hold(member, flight, brought, now)
        if flight.outdated:  # whoever comes now asks for the path again
            return Answer(fetched, how)
        names = paths.names_of(fetched)
        return Answer(fetched, how, self._hold(query, flight, names, now))

    def failed(
        self, query: Query, flight: Flight, error: RotawareError, now: Instant
    ) -> Answer:
        """Remember a refusal; serve what is held when there was no answer."""
        how = MISS if self.cache.get(query, now) is None else EXPIRED
        overtaken = flight.view.applied < self.view.applied
        if isinstance(error, AwsError) and not isinstance(error, AwsUnavailableError):
            flight.outdated = overtaken
            self.cache.drop(query)
            if not overtaken and self.ttl_seconds(query) > 0:
                self.cache.put(query, Entry(error, now, REFUSAL_SECONDS), now)
            return Answer(error, how)
        fallback = self.cache.fallback(query, now)
        if fallback is None:
            return Answer(error, how)
        # A source rests for those whom a stale value was good enough for: not after a
        # forced flight while it is fresh, nor when a sheet has announced another since.
        if not overtaken:
            for each in (query, *fallback.members):
                self._rest(each, now)
        return Answer(fallback.outcome, STALE_IF_ERROR)

    def strike(self, path: Query, gone: Sequence[Query], now: Instant) -> None:
        """Take what does not exist any more from the list of a path."""
        entry = self.cache.get(path, now)
        if entry is not None and isinstance(entry.outcome, Fetched):
            rest = paths.without(entry.outcome, gone)
            self.cache.put(path, entry._replace(outcome=rest), now)

    def _hold(
        self, query: Query, flight: Flight, fetched: Fetched, now: Instant
    ) -> float:
        """Put a value into the cache, unless it is outdated; how long it is fresh."""
        remembered = flight.view.stamps.get(fetched.subject or "")
        entry = Entry(fetched, flight.asked_at, self.ttl_seconds(query), remembered)
        doubted = flight.view.doubts < self.view.doubts
        if entry.is_outdated(self.view.stamps, doubted=doubted):
            flight.outdated = True
            return 0.0
        entry = entry.weighed(self.view.stamps, self.cache.get(query, now))
        self.cache.put(query, entry, now)
        return entry.fresh_seconds(now)

    def _rest(self, query: Query, now: Instant) -> None:
        """Leave its source alone for a moment, if what is held is stale."""
        fallback = self.cache.fallback(query, now)
        if fallback is not None and fallback.fresh_seconds(now) == 0:
            self.cache.put(query, fallback._replace(failed_at=now), now)
