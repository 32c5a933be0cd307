"""Reading through the cache: one flight for each query, and no stamp lost on the way.

Rule 1. Under the lock: look and decide. Outside: ask the source. Under the lock once
        more: commit, if what came back is still wanted.
Rule 2. Whoever needs an answer joins the flight for it that is under way, unless that
        one left too early; all who joined share its outcome, a failure too.
Rule 3. A flight remembers the sheet as it was when it left. What a newer sheet outdates
        or doubts is handed to those who asked before it was seen, but not held.
Rule 4. A stale value is served only when its source could not be reached, never when it
        refused.
"""

from __future__ import annotations

from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rotaware.cache import Cache, Entry
from rotaware.errors import AwsError, AwsUnavailableError, RotawareError
from rotaware.secret import AWSPENDING, Fetched
from rotaware.sheet import missed, outdates, version_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rotaware.clock import Clock, Instant
    from rotaware.log import Logger
    from rotaware.secret import Query
    from rotaware.sheet import Edition, Stamp

REFUSAL_SECONDS = 5.0
"""How long a refusal is remembered."""
PATIENCE_SECONDS = 2.0
"""How long a source may take while a stale value could be served instead."""
PROVISIONAL_SECONDS = (0.0, 0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""How long an answer that contradicts its stamp is good for, the first time, the second
and so on: Secrets Manager is eventually consistent. After the last it is accepted."""

HIT = "hit"
MISS = "fwd=miss"
EXPIRED = "fwd=stale"
REQUESTED = "fwd=request"
BYPASS = "fwd=bypass"
STALE_IF_ERROR = "hit; detail=stale-if-error"
REMEMBERED_REFUSAL = "hit; detail=refused"


class Source(Protocol):
    """Where values come from."""

    def fetch(self, query: Query, *, timeout_seconds: float | None = None) -> Fetched:
        """Ask for one.

        Raises:
            AwsError: The source refused, or could not be reached.
        """
        ...

    def batches(self, queries: Iterable[Query]) -> list[list[Query]]:
        """Group queries as ``fetch_many`` takes them."""
        ...

    def fetch_many(self, batch: Sequence[Query]) -> Mapping[Query, Fetched | AwsError]:
        """Ask for a group; each query has its outcome."""
        ...


class Answer(NamedTuple):
    """What a read gets.

    Attributes:
        outcome: The value, or the refusal.
        how: Its ``Cache-Status`` (RFC 9211), without the cache's name.
        fresh_seconds: For how long it would be served from the cache.
    """

    outcome: Fetched | RotawareError
    how: str
    fresh_seconds: float = 0.0


class _Flight:
    """A question on its way to the source.

    Attributes:
        number: Flights are numbered in the order in which they leave.
        applied: How many sheets had been taken note of when it left.
        seen: The last of them.
        outdated: Whether a later sheet outdated what it brought.
        answer: What it brought; None until it has landed.
    """

    __slots__ = (
        "answer",
        "applied",
        "asked_at",
        "doubts",
        "landed",
        "number",
        "outdated",
        "seen",
    )

    def __init__(self, number: int, store: Store, asked_at: Instant) -> None:
        self.number = number
        self.applied = store.applied
        self.doubts = store.doubts
        self.seen = store.seen
        self.asked_at = asked_at
        self.landed = Event()
        self.outdated = False
        self.answer: Answer | None = None


class Store:
    """The cache, its source, and the sheet as last seen.

    Args:
        source: Where values come from.
        cache: Where they are held.
        ttls: Seconds for which a value is fresh, by service.
        clock: Time.
        log: Told about evictions and failures, never about values.
    """

    def __init__(
        self,
        source: Source,
        cache: Cache,
        ttls: Mapping[str, float],
        clock: Clock,
        log: Logger,
    ) -> None:
        self._source = source
        self._cache = cache
        self._ttls = ttls
        self._own_ttls: dict[Query, float] = {}
        self._clock = clock
        self._log = log
        self._lock = Lock()
        self._flights: dict[Query, _Flight] = {}
        self._departures = 0
        self.seen: Edition | None = None
        """The sheet as last seen."""
        self.applied = 0
        """How many sheets were taken note of."""
        self.doubts = 0
        """How many of them put everything in doubt."""
        self.epoch = 0
        """Grows whenever an answer given before may be wrong now."""

    def peek(self, query: Query) -> Answer | None:
        """A fresh value that is held, without blocking; None when there is none."""
        with self._lock:
            return self._held(query, self._clock.now())

    def get(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Answer:
        """A value, from the cache or the source. Blocks while the source is asked.

        Args:
            query: What to read.
            refresh: Ask the source, whatever is held.
            instead_of: The version that just failed the caller: ask the source unless
                another one is held.
        """
        with self._lock:
            departures, applied = self._departures, self.applied
        while True:
            with self._lock:
                now = self._clock.now()
                held = None if refresh else self._held(query, now)
                if held is not None and not _is(held, instead_of):
                    return held
                flight = self._flights.get(query)
                if flight is None:
                    flight = self._leave(query, now)
                    break
            flight.landed.wait()
            too_early = refresh and flight.number <= departures
            overtaken = flight.outdated and flight.applied < applied
            if flight.answer is not None and not too_early and not overtaken:
                return flight.answer
        return self._fly(query, flight, forced=refresh or instead_of is not None)

    def prefetch(self, wanted: Mapping[Query, float | None]) -> list[Thread]:
        """Fetch many, in as few calls as can be; reads meanwhile wait for them.

        Args:
            wanted: What to fetch, with its own TTL in seconds where it has one.

        Returns:
            The threads that fetch, one for each call; join them to wait.
        """
        with self._lock:
            self._own_ttls.update(
                {query: ttl for query, ttl in wanted.items() if ttl is not None}
            )
            now = self._clock.now()
            flights = {
                query: self._leave(query, now)
                for query in wanted
                if query not in self._flights
            }
        threads = [
            Thread(target=self._fly_many, args=(batch, flights), daemon=True)
            for batch in self._source.batches(flights)
        ]
        for thread in threads:
            thread.start()
        return threads

    def apply(self, edition: Edition) -> None:
        """Take note of the sheet, and evict what it outdates."""
        with self._lock:
            seen, self.seen = self.seen, edition
            if seen == edition:
                return
            reason = missed(seen, edition)
            self.applied += 1
            self.doubts += reason is not None
            stamps = edition.sheet.stamps
            evicted = self._cache.evict(
                lambda _, entry: reason is not None or _is_outdated(entry, stamps),
                self._clock.now(),
            )
            self.epoch += 1
        if evicted:
            self._log.info(
                "evicted",
                reason=reason or "stamped",
                names=[query.id for query in evicted],
                generation=edition.generation,
            )

    def _held(self, query: Query, now: Instant) -> Answer | None:
        """What the cache may answer at once. The caller holds the lock."""
        entry = self._cache.get(query, now)
        if entry is None:
            return None
        fresh_seconds = entry.fresh_seconds(now)
        if isinstance(entry.outcome, AwsError):
            if fresh_seconds == 0.0:
                return None
            return Answer(entry.outcome, REMEMBERED_REFUSAL)
        if fresh_seconds > 0.0:
            return Answer(entry.outcome, HIT, fresh_seconds)
        return Answer(entry.outcome, STALE_IF_ERROR) if entry.is_resting(now) else None

    def _leave(self, query: Query, now: Instant) -> _Flight:
        """Start a flight. The caller holds the lock, and must fly it."""
        self._departures += 1
        flight = _Flight(self._departures, self, now)
        self._flights[query] = flight
        return flight

    def _fly(self, query: Query, flight: _Flight, *, forced: bool) -> Answer:
        outcome: Fetched | RotawareError = RotawareError("the fetch broke off")
        try:
            outcome = self._ask(query, flight, forced=forced)
        except AwsError as error:
            outcome = error
        finally:
            answer = self._land(query, flight, outcome, forced=forced)
        return answer

    def _ask(self, query: Query, flight: _Flight, *, forced: bool) -> Fetched:
        with self._lock:
            entry = self._cache.get(query, flight.asked_at)
        fallback = entry is not None and self._may_serve_stale(entry, forced=forced)
        return self._source.fetch(
            query, timeout_seconds=PATIENCE_SECONDS if fallback else None
        )

    def _may_serve_stale(self, entry: Entry, *, forced: bool) -> bool:
        """Whether a value may stand in for one that its source did not give."""
        return (
            not forced
            and self._cache.serves_stale
            and isinstance(entry.outcome, Fetched)
        )

    def _fly_many(
        self, batch: Sequence[Query], flights: Mapping[Query, _Flight]
    ) -> None:
        outcomes: Mapping[Query, Fetched | AwsError] = {}
        broken = RotawareError("the prefetch broke off")
        try:
            outcomes = self._source.fetch_many(batch)
        except Exception as fault:  # noqa: BLE001  nobody above this thread would see it
            self._log.error("the prefetch broke off", exception=fault)
        for query in batch:
            outcome = outcomes.get(query, broken)
            self._land(query, flights[query], outcome, forced=False)

    def _land(
        self,
        query: Query,
        flight: _Flight,
        outcome: Fetched | RotawareError,
        *,
        forced: bool,
    ) -> Answer:
        """Commit what came back, and tell all who wait."""
        with self._lock:
            now = self._clock.now()
            held = self._cache.get(query, now)
            if isinstance(outcome, Fetched):
                answer = self._commit(query, flight, outcome, held, now)
            else:
                answer = self._failed(query, outcome, held, now, forced=forced)
            if forced and not isinstance(answer.outcome, RotawareError):
                answer = answer._replace(how=REQUESTED)
            self._flights.pop(query)
            flight.answer = answer
            self.epoch += 1
        flight.landed.set()
        if isinstance(outcome, RotawareError):
            self._log.warning(
                "a source did not answer with a value",
                name=query.id,
                code=outcome.code,
                reason=outcome.message,
                served=answer.how,
            )
        return answer

    def _commit(
        self,
        query: Query,
        flight: _Flight,
        fetched: Fetched,
        held: Entry | None,
        now: Instant,
    ) -> Answer:
        """Hold a value, unless the sheet outdated it on its way."""
        ttl_seconds = self._own_ttls.get(query, self._ttls[query.service])
        if query.label == AWSPENDING or ttl_seconds == 0:
            return Answer(fetched, BYPASS)
        stamp, remembered = (
            edition.sheet.stamps.get(fetched.subject or "") if edition else None
            for edition in (self.seen, flight.seen)
        )
        entry = Entry(fetched, flight.asked_at, ttl_seconds, remembered)
        if fetched.current and stamp and stamp == remembered:
            entry = _doubted(entry, stamp, held)
        how = MISS if held is None else EXPIRED
        stamps = self.seen.sheet.stamps if self.seen else {}
        if flight.doubts < self.doubts or _is_outdated(entry, stamps):
            flight.outdated = True
            return Answer(fetched, how)
        self._cache.put(query, entry, now)
        if fetched.arn != query.id:
            self._cache.put(query._replace(id=fetched.arn), entry, now)
        return Answer(fetched, how, entry.fresh_seconds(now))

    def _failed(
        self,
        query: Query,
        error: RotawareError,
        held: Entry | None,
        now: Instant,
        *,
        forced: bool,
    ) -> Answer:
        """Remember a refusal; serve what is held when there was no answer."""
        how = MISS if held is None else EXPIRED
        if isinstance(error, AwsError) and not isinstance(error, AwsUnavailableError):
            self._cache.put(query, Entry(error, now, REFUSAL_SECONDS), now)
            return Answer(error, how)
        if held is None or not self._may_serve_stale(held, forced=forced):
            return Answer(error, how)
        self._cache.put(query, held._replace(failed_at=now), now)
        return Answer(held.outcome, STALE_IF_ERROR)


def _is(answer: Answer, version: str | None) -> bool:
    """Whether an answer is the version that just failed the caller."""
    return isinstance(answer.outcome, Fetched) and answer.outcome.version == version


def _is_outdated(entry: Entry, stamps: Mapping[str, Stamp]) -> bool:
    if not isinstance(entry.outcome, Fetched) or entry.outcome.subject is None:
        return False
    version = version_digest(entry.outcome.version) if entry.outcome.current else ""
    return outdates(stamps.get(entry.outcome.subject), entry.remembered, version)


def _doubted(entry: Entry, stamp: Stamp, held: Entry | None) -> Entry:
    """An entry that contradicts the stamp it was fetched for is good for a moment."""
    fetched = entry.outcome
    if isinstance(fetched, AwsError) or stamp.version == version_digest(
        fetched.version
    ):
        return entry
    same_stamp = held is not None and held.remembered == stamp
    mismatches = (held.mismatches if held and same_stamp else 0) + 1
    if mismatches > len(PROVISIONAL_SECONDS):
        return entry._replace(mismatches=mismatches)
    seconds = min(PROVISIONAL_SECONDS[mismatches - 1], entry.ttl_seconds)
    return entry._replace(mismatches=mismatches, provisional_seconds=seconds)
