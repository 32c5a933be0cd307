"""What is held, how old it is, and what may still be served. Pure: it takes ``now``.

An entry is fresh until its TTL is over or it is evicted. After that it is stale: it is
kept for a while, to be served when its source cannot be reached. A refusal is never
stale, it is forgotten. The cache is bounded: the entry that was used least recently
goes first. The caller locks.
"""

from __future__ import annotations

import cachetools

from rotaware.clock import Instant, age_seconds
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.secret import Fetched
from rotaware.sheet import outdates, predates, version_digest, younger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rotaware.errors import AwsError
    from rotaware.secret import Query
    from rotaware.sheet import Stamp

REST_SECONDS = 1.0
"""How long a stale value is served before its failing source is asked again."""
PROVISIONAL_SECONDS = (0.0, 0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""How long an answer that contradicts its stamp is good for, the first time, the second
and so on: Secrets Manager is eventually consistent. After the last it is accepted."""

# The base class reads and writes in place: an entry that is only looked through does
# not become the one that was used last.
_each = cachetools.Cache.__iter__
_look_at = cachetools.Cache.__getitem__
_change = cachetools.Cache.__setitem__


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
        failed_at: When its source last could not be reached to replace it, stale.
    """

    outcome: Fetched | AwsError
    asked_at: Instant
    ttl_seconds: float
    remembered: Stamp | None = None
    mismatches: int = 0
    provisional_seconds: float | None = None
    evicted: bool = False
    failed_at: Instant | None = None

    @property
    def arn(self) -> str | None:
        """The ARN that its source answered with; None for a refusal."""
        return self.outcome.arn if isinstance(self.outcome, Fetched) else None

    @property
    def members(self) -> tuple[Query, ...]:
        """The parameters that a path's list names; none for everything else."""
        listed = self.outcome.members if isinstance(self.outcome, Fetched) else None
        return listed or ()

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

    @property
    def is_doubted(self) -> bool:
        """Whether a sheet speaks against it: it is not only old."""
        return self.evicted or self.provisional_seconds is not None

    def is_outdated(self, stamps: Mapping[str, Stamp], *, doubted: bool) -> bool:
        """Whether a sheet evicts it.

        Args:
            stamps: What the sheet says.
            doubted: Whether the sheet has forgotten things since it was last seen.
        """
        fetched = self.outcome
        if not isinstance(fetched, Fetched) or fetched.subject is None:
            return False
        version = version_digest(fetched.version) if fetched.current else ""
        stamp = stamps.get(fetched.subject)
        return doubted or outdates(stamp, self.remembered, version)

    def weighed(self, stamps: Mapping[str, Stamp], held: Entry | None) -> Entry:
        """Itself; good for a moment only, if it contradicts its subject's last stamp.

        Args:
            stamps: What the sheet says; it does not outdate the entry.
            held: What was held for the query before.
        """
        fetched = self.outcome
        if not isinstance(fetched, Fetched) or not fetched.current:
            return self
        # What was remembered may have been overwritten unread, until that is repaired.
        stamp = stamps.get(fetched.subject or "", self.remembered)
        if stamp is None:
            return self
        stamp = younger(stamp, self.remembered)
        if stamp.version == version_digest(fetched.version):
            return self
        # A rotation is known to its source before it is stamped.
        if predates(stamp, fetched.created):
            return self
        before = held.mismatches if held and held.remembered == stamp else 0
        if before == len(PROVISIONAL_SECONDS):
            return self._replace(mismatches=before)
        return self._replace(
            mismatches=before + 1,
            provisional_seconds=min(PROVISIONAL_SECONDS[before], self.ttl_seconds),
        )


class Cache:
    """Entries by query, bounded in number and in time.

    Args:
        max_entries: 0 holds nothing.
        stale_seconds: For how long past its TTL an entry is kept.
    """

    def __init__(self, max_entries: int, stale_seconds: float) -> None:
        self._now = 0.0
        self.max_entries = max_entries
        self.overflowed = 0
        """How many entries had to go because there was no place for them."""
        self._stale_seconds = stale_seconds
        self._entries: cachetools.TLRUCache[Query, Entry] = cachetools.TLRUCache(
            max_entries, ttu=self._held_until, timer=lambda: self._now
        )

    def get(self, query: Query, now: Instant) -> Entry | None:
        """The entry, fresh or stale; None when nothing may be served any more."""
        self._now = now.monotonic
        entry = self._entries.get(query) or self._held_under_a_name(query, now)
        if entry is None:
            return None
        if age_seconds(entry.asked_at, now) < self._held_seconds(entry):
            return entry
        self.drop(query)
        return None

    def fallback(self, query: Query, now: Instant) -> Entry | None:
        """The entry that may be served when its source cannot be reached."""
        entry = self.get(query, now) if self._stale_seconds else None
        return entry if entry and isinstance(entry.outcome, Fetched) else None

    def put(self, query: Query, entry: Entry, now: Instant) -> None:
        """Hold an entry in place of an earlier one; with a TTL of 0, hold neither."""
        self._now = now.monotonic
        if self.max_entries and entry.ttl_seconds > 0:
            is_full = len(self._entries) >= self.max_entries
            self.overflowed += is_full and query not in self._entries
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
        for query, entry in self._all():
            if not isinstance(entry.outcome, Fetched):
                self.drop(query)
            elif not entry.evicted and outdated(query, entry):
                # That its source failed before is no reason to serve it from now on.
                stale = entry._replace(evicted=True, failed_at=None)
                _change(self._entries, query, stale)
                evicted.append(query)
        return evicted

    def entries(self, now: Instant) -> list[tuple[Query, Entry]]:
        """All that is held; looking at them is not using them."""
        self._now = now.monotonic
        return self._all()

    def __len__(self) -> int:
        return len(self._entries)

    def _held_under_a_name(self, query: Query, now: Instant) -> Entry | None:
        """For a query by ARN: the youngest fresh entry that another name brought."""
        if not query.id.startswith("arn:"):
            return None
        same = [
            entry
            for name, entry in self._all()
            if entry.arn == query.id
            and name._replace(id=query.id) == query
            and entry.fresh_seconds(now) > 0.0
        ]
        youngest = max(same, key=lambda entry: entry.asked_at, default=None)
        if youngest is not None:
            self._entries[query] = youngest
        return youngest

    def _all(self) -> list[tuple[Query, Entry]]:
        entries = self._entries
        entries.expire()
        return [(query, _look_at(entries, query)) for query in _each(entries)]

    def _held_seconds(self, entry: Entry) -> float:
        if isinstance(entry.outcome, Fetched):
            return entry.ttl_seconds + self._stale_seconds
        return entry.ttl_seconds

    def _held_until(self, _query: Query, entry: Entry, _now: float) -> float:
        return entry.asked_at.monotonic + self._held_seconds(entry)
