"""Reading through the cache: one flight for each query, and no stamp lost on the way.

Rule 1. Under the lock: look and decide. Outside: ask the source. Under the lock once
        more: commit, if what came back is still wanted.
Rule 2. Whoever needs an answer joins the flight for it that is under way; all who
        joined share its outcome, a failure too. Those for whom it left too early go on
        to the next one together.
Rule 3. A flight remembers the sheet as it was when it left. What a newer sheet outdates
        or doubts is handed to those who asked before it was seen, but not held.
Rule 4. A stale value is served only when its source gave no answer, never when it
        refused; and not to those who asked for the source's own word.
"""

from __future__ import annotations

from threading import Lock, Thread

from rotaware.cache import Cache, Entry
from rotaware.errors import AwsError, AwsUnavailableError, RotawareError
from rotaware.flight import (
    BYPASS,
    EXPIRED,
    HIT,
    MISS,
    REMEMBERED_REFUSAL,
    STALE_IF_ERROR,
    Answer,
    Flight,
    View,
)
from rotaware.lean import TYPE_CHECKING, Protocol
from rotaware.secret import AWSPENDING, Fetched
from rotaware.sheet import missed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rotaware.clock import Clock, Instant
    from rotaware.log import Logger
    from rotaware.secret import Prefetch, Query
    from rotaware.sheet import Edition

REFUSAL_SECONDS = 5.0
"""How long a refusal is remembered."""
PATIENCE_SECONDS = 2.0
"""How long a source may take while a value could be served that is only old."""


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
        """Ask for a group; what it leaves out has to be asked for by itself."""
        ...


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
        self._variables: dict[Query, str] = {}
        self._clock = clock
        self._log = log
        self._lock = Lock()
        self._flights: dict[Query, Flight] = {}
        self._prefetched: dict[Query, Flight] = {}
        self._departures = 0
        self._view = View()
        self._holds = True
        self.epoch = 0
        """Grows whenever an answer given before may be wrong now."""

    def peek(self, query: Query) -> Answer | None:
        """What may be answered at once; None when the source must be asked."""
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
        forced = refresh or instead_of is not None
        with self._lock:
            departures, applied = self._departures, self._view.applied
        waited_for: Flight | None = None
        while True:
            with self._lock:
                now = self._clock.now()
                held = None if refresh else self._held(query, now)
                if held is not None and held.satisfies(instead_of):
                    return held
                # Who waited, too, may have gone on already, and even have landed.
                flight = waited_for.next if waited_for else None
                flight = flight or self._flights.get(query)
                leads = flight is None
                if flight is None:
                    flight = self._leave(query, now, forced=forced)
                if waited_for is not None:
                    waited_for.next = flight
            if leads:
                self._fly(query, flight)
                return flight.answer_to(forced=forced)
            flight.landed.wait()
            left_before = flight.number <= departures
            unheard = refresh or not flight.answer.satisfies(instead_of)
            overtaken = flight.outdated and flight.view.applied < applied
            if not (left_before and unheard) and not overtaken:
                return flight.answer_to(forced=forced)
            waited_for = flight

    def expect(self, listed: Iterable[Prefetch]) -> None:
        """Take note of what the configuration says of single secrets.

        To be called before anything is read.
        """
        for query, ttl_seconds, variable in listed:
            if ttl_seconds is not None:
                self._own_ttls[query] = ttl_seconds
            if variable is not None:
                self._variables[query] = variable

    def hold_nothing(self) -> None:
        """Pass on what is fetched, and keep none of it, until ``hold_from_now``.

        For as long as a snapshot of this process is still to be taken, which others
        will start from.
        """
        self._holds = False

    def hold_from_now(self) -> None:
        """Hold what is fetched; not what is under way, which may be of another life."""
        with self._lock:
            self._holds = True
            self._flights.clear()

    def prefetch(self, wanted: Iterable[Query]) -> list[Thread]:
        """Fetch many, in as few calls as can be; reads meanwhile wait for them.

        What is held or under way already is left out, and what is never held.

        Returns:
            The threads that fetch, one for each call; join them to wait.
        """
        threads, self._prefetched = self._send(wanted)
        return threads

    def prefetch_doubted(self) -> list[Thread]:
        """Fetch again what was prefetched and what a sheet speaks against since.

        To be called once, after ``prefetch``. What was refused is left to the reads.

        Returns:
            As ``prefetch``; no thread when nothing is in doubt.
        """
        flights, self._prefetched = self._prefetched, {}
        with self._lock:
            now = self._clock.now()
            doubted = [
                query
                for query, flight in flights.items()
                if self._is_doubted(query, flight, now)
            ]
        return self._send(doubted)[0]

    def apply(self, edition: Edition) -> None:
        """Take note of the sheet, and evict what it outdates."""
        with self._lock:
            seen, applied, doubts = self._view
            if seen == edition:
                return
            reason = missed(seen, edition)
            doubted = reason is not None
            self._view = View(edition, applied + 1, doubts + doubted)
            evicted = self._cache.evict(
                lambda _, entry: entry.is_outdated(self._view.stamps, doubted=doubted),
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

    def _is_doubted(self, query: Query, flight: Flight, now: Instant) -> bool:
        """Whether a sheet speaks against what it brought. The caller holds the lock."""
        if flight.outdated:
            return isinstance(flight.outcome, Fetched)
        entry = self._cache.get(query, now)
        return entry is not None and entry.is_doubted

    def _send(
        self, wanted: Iterable[Query]
    ) -> tuple[list[Thread], dict[Query, Flight]]:
        """Start the flights of a prefetch, and their threads."""
        with self._lock:
            now = self._clock.now()
            batches = self._source.batches(
                query
                for query in wanted
                if self._ttl_seconds(query) > 0
                and query not in self._flights
                and self._held(query, now) is None
            )
            flights = {
                query: self._leave(query, now) for batch in batches for query in batch
            }
        threads = []
        for batch in batches:
            arguments = (batch, flights)
            thread = Thread(target=self._fly_together, args=arguments, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # none is left, and reads may wait for these flights
                self._fly_together(batch, flights)
            else:
                threads.append(thread)
        return threads, flights

    def _held(self, query: Query, now: Instant) -> Answer | None:
        """What the cache may answer at once. The caller holds the lock."""
        entry = self._cache.get(query, now)
        if entry is None:
            return None
        if isinstance(entry.outcome, AwsError):
            return Answer(entry.outcome, REMEMBERED_REFUSAL)
        fresh_seconds = entry.fresh_seconds(now)
        if fresh_seconds > 0.0:
            return Answer(entry.outcome, HIT, fresh_seconds)
        return Answer(entry.outcome, STALE_IF_ERROR) if entry.is_resting(now) else None

    def _leave(self, query: Query, now: Instant, *, forced: bool = False) -> Flight:
        """Start a flight. The caller holds the lock, and must see that it lands."""
        self._departures += 1
        fallback = None if forced else self._cache.fallback(query, now)
        # An outdated value may be of no use any more: the new one is worth the wait.
        hurries = fallback is not None and not fallback.is_doubted
        timeout_seconds = PATIENCE_SECONDS if hurries else None
        flight = Flight(self._departures, self._view, now, timeout_seconds)
        self._flights[query] = flight
        return flight

    def _fly(self, query: Query, flight: Flight) -> None:
        """Ask the source, and land."""
        try:
            flight.outcome = self._source.fetch(
                query, timeout_seconds=flight.timeout_seconds
            )
        except AwsError as error:
            flight.outcome = error
        except Exception as fault:  # noqa: BLE001  who waits must not share its surprise
            self._log.error(
                "a fetch broke off", name=self._shown(query), exception=fault
            )
        finally:
            self._land(query, flight)

    def _fly_together(
        self, batch: Sequence[Query], flights: Mapping[Query, Flight]
    ) -> None:
        """Ask for a batch by one call, then one by one for what that left out."""
        outcomes: Mapping[Query, Fetched | AwsError] = {}
        try:
            outcomes = self._source.fetch_many(batch)
        except Exception as fault:  # noqa: BLE001  nobody above this thread would see it
            self._log.error("a prefetch broke off", exception=fault)
        for query in batch:
            if query in outcomes:
                flights[query].outcome = outcomes[query]
                self._land(query, flights[query])
        for query in batch:
            if query not in outcomes:
                self._fly(query, flights[query])

    def _land(self, query: Query, flight: Flight) -> None:
        """Commit what a flight brought, and tell all who wait."""
        outcome = flight.outcome
        if isinstance(outcome, RotawareError):
            outcome.__traceback__ = None  # its frames hold more than should be kept
        with self._lock:
            is_current = self._flights.get(query) is flight
            try:
                if not is_current:  # it left before a restore
                    flight.answer = Answer(outcome, BYPASS)
                elif isinstance(outcome, Fetched):
                    flight.answer = self._commit(query, flight, outcome)
                else:
                    flight.answer = self._failed(query, flight, outcome)
            finally:
                if is_current:
                    del self._flights[query]
                self.epoch += 1
                flight.landed.set()
        if isinstance(outcome, RotawareError):
            self._log.warning(
                "a source did not answer with a value",
                name=self._shown(query),
                code=outcome.code,
                # AWS may repeat what it was asked for.
                reason=None if query in self._variables else outcome.message,
                served=flight.answer.how,
            )

    def _commit(self, query: Query, flight: Flight, fetched: Fetched) -> Answer:
        """Hold a value, unless the sheet outdated it on its way."""
        now = self._clock.now()
        held = self._cache.get(query, now)
        how = MISS if held is None else EXPIRED
        ttl_seconds = self._ttl_seconds(query)
        if ttl_seconds == 0:
            how = BYPASS
        remembered = flight.view.stamps.get(fetched.subject or "")
        entry = Entry(fetched, flight.asked_at, ttl_seconds, remembered)
        doubted = flight.view.doubts < self._view.doubts
        if entry.is_outdated(self._view.stamps, doubted=doubted):
            flight.outdated = True
            return Answer(fetched, how)
        entry = entry.weighed(self._view.stamps, held)
        self._cache.put(query, entry, now)
        return Answer(fetched, how, entry.fresh_seconds(now))

    def _failed(self, query: Query, flight: Flight, error: RotawareError) -> Answer:
        """Remember a refusal; serve what is held when there was no answer."""
        now = self._clock.now()
        how = MISS if self._cache.get(query, now) is None else EXPIRED
        overtaken = flight.view.applied < self._view.applied
        if isinstance(error, AwsError) and not isinstance(error, AwsUnavailableError):
            flight.outdated = overtaken
            self._cache.drop(query)
            if not overtaken and self._ttl_seconds(query) > 0:
                self._cache.put(query, Entry(error, now, REFUSAL_SECONDS), now)
            return Answer(error, how)
        fallback = self._cache.fallback(query, now)
        if fallback is None:
            return Answer(error, how)
        # A source rests for those whom a stale value was good enough for: not after a
        # forced flight while it is fresh, nor when a sheet has announced another since.
        if not overtaken and fallback.fresh_seconds(now) == 0:
            self._cache.put(query, fallback._replace(failed_at=now), now)
        return Answer(fallback.outcome, STALE_IF_ERROR)

    def _shown(self, query: Query) -> str:
        """What stands for a query in the log (see ``Prefetch.variable``)."""
        return self._variables.get(query, query.id)

    def _ttl_seconds(self, query: Query) -> float:
        """For how long a value is fresh; 0 for what is not held at all."""
        if not self._holds or query.label == AWSPENDING:
            return 0.0
        return self._own_ttls.get(query, self._ttls[query.service])
