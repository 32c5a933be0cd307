"""What is held, how old it is, and what may still be served. Pure: it takes ``now``.

An entry is fresh until its TTL is over or it is evicted. After that it is stale: it is
kept for a while, to be served when its source cannot be reached. The cache is bounded:
the entry that was used least recently goes first. The caller locks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cachetools import TLRUCache

from rotaware.clock import Instant, age_seconds
from rotaware.secret import Fetched

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotaware.errors import AwsError
    from rotaware.secret import Query
    from rotaware.sheet import Stamp

REST_SECONDS = 1.0
"""How long a stale value is served before its failing source is asked again."""


class Entry(NamedTuple):
    """One answer of a source.

    Attributes:
        outcome: What it answered; an error for a remembered refusal.
        asked_at: When the question left: age counts from here.
        ttl_seconds: For how long it is fresh.
        remembered: The subject's stamp as last seen before the question left.
        mismatches: How many answers in a row contradicted the stamp.
        provisional_seconds: For how long it is fresh instead, while it does.
        evicted: Whether it stopped being fresh before its TTL was over.
        failed_at: When its source last could not be reached.
    """

    outcome: Fetched | AwsError
    asked_at: Instant
    ttl_seconds: float
    remembered: Stamp | None = None
    mismatches: int = 0
    provisional_seconds: float | None = None
    evicted: bool = False
    failed_at: Instant | None = None

    def fresh_seconds(self, now: Instant) -> float:
        """What is left of its freshness; 0 when it is stale."""
        if self.evicted:
            return 0.0
        limit = self.provisional_seconds
        if limit is None:
            limit = self.ttl_seconds
        return max(0.0, limit - age_seconds(self.asked_at, now))

    def is_resting(self, now: Instant) -> bool:
        """Whether its source failed a moment ago and is left alone."""
        return (
            self.failed_at is not None
            and age_seconds(self.failed_at, now) < REST_SECONDS
        )


class Cache:
    """Entries by query, bounded in number and in time.

    Args:
        max_entries: 0 holds nothing.
        stale_seconds: For how long past its TTL an entry is kept.
    """

    def __init__(self, max_entries: int, stale_seconds: float) -> None:
        self._now = 0.0
        self._max_entries = max_entries
        self._stale_seconds = stale_seconds
        self._entries: TLRUCache[Query, Entry] = TLRUCache(
            max_entries, ttu=self._held_until, timer=lambda: self._now
        )

    @property
    def serves_stale(self) -> bool:
        """Whether stale entries are kept at all."""
        return self._stale_seconds > 0

    def get(self, query: Query, now: Instant) -> Entry | None:
        """The entry, fresh or stale; None when nothing may be served any more."""
        self._now = now.monotonic
        entry = self._entries.get(query)
        if entry is None:
            return None
        held_seconds = entry.ttl_seconds + self._stale_seconds
        return entry if age_seconds(entry.asked_at, now) < held_seconds else None

    def put(self, query: Query, entry: Entry, now: Instant) -> None:
        """Hold an entry, in place of an earlier one."""
        self._now = now.monotonic
        if self._max_entries and entry.ttl_seconds > 0:
            self._entries[query] = entry
        else:
            self.drop(query)

    def drop(self, query: Query) -> None:
        """Forget an entry altogether."""
        self._entries.pop(query, None)

    def evict(
        self, outdated: Callable[[Query, Entry], bool], now: Instant
    ) -> list[Query]:
        """Make stale what is outdated, and forget refusals: which queries it hit."""
        self._now = now.monotonic
        evicted = []
        for query, entry in list(self._entries.items()):
            if not isinstance(entry.outcome, Fetched):
                self.drop(query)
            elif not entry.evicted and outdated(query, entry):
                self._entries[query] = entry._replace(evicted=True)
                evicted.append(query)
        return evicted

    def __len__(self) -> int:
        return len(self._entries)

    def _held_until(self, _query: Query, entry: Entry, _now: float) -> float:
        held_seconds = entry.ttl_seconds + self._stale_seconds
        return entry.asked_at.monotonic + held_seconds
