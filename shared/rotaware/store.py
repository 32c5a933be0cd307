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
Rule 5. What a path's list brings is held as if each parameter had been asked for alone.
"""

from __future__ import annotations

from threading import Lock, Thread

from rotaware import paths
from rotaware.errors import AwsError, RotawareError
from rotaware.flight import BYPASS, Answer, Flight, View
from rotaware.holdings import STAMPED, Holdings
from rotaware.lean import TYPE_CHECKING, Protocol
from rotaware.secret import Fetched
from rotaware.tally import EVICTION_DELAY, EVICTIONS, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rotaware.cache import Cache, Entry
    from rotaware.clock import Clock, Instant
    from rotaware.explain import Explainer
    from rotaware.log import Log
    from rotaware.secret import Prefetch, Query
    from rotaware.sheet import Edition

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
        tally: Counts evictions, and how late they come.

    Attributes:
        tally: The same.
        epoch: Grows whenever an answer given before may be wrong now.
    """

    def __init__(  # noqa: PLR0913, PLR0917  all of them are independent
        self,
        source: Source,
        cache: Cache,
        ttls: Mapping[str, float],
        clock: Clock,
        log: Log,
        tally: Tally | None = None,
    ) -> None:
        self._source = source
        self._holdings = Holdings(cache, ttls)
        self._clock = clock
        self._log = log
        self._lock = Lock()
        self._flights: dict[Query, Flight] = {}
        self._prefetched: dict[Query, Flight] = {}
        self._departures = 0
        self.tally = tally or Tally()
        self.epoch = 0
        self._explainer: Explainer | None = None

    def peek(self, query: Query) -> Answer | None:
        """What may be answered at once; None when the source must be asked."""
        with self._lock:
            now = self._clock.now()
            held = self._holdings.held(query, now)
            if held is not None and self._explainer is not None:
                self._explainer.found(query, held)
            if held is None or not query.is_path:
                return held
            members = paths.to_be_read(held)
            answers = [self._holdings.held(member, now) for member in members]
        known = [answer for answer in answers if answer is not None]
        return paths.assembled(held, known) if len(known) == len(answers) else None

    def get(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Answer:
        """A value, from the cache or the source. Blocks while the source is asked.

        Args:
            query: What to read.
            refresh: Ask the source, whatever is held.
            instead_of: The version that just failed the caller: ask the source unless
                another one is held. A path has none.
        """
        if not query.is_path:
            if not (refresh or instead_of):
                self._wait_for_its_path(query)
            return self._get(query, refresh=refresh, instead_of=instead_of)
        listed = self._get(query, refresh=refresh)
        members = paths.to_be_read(listed)
        _, flights = self._send(members)
        answers = [self._joined(member, flights) for member in members]
        if gone := paths.gone(members, answers):
            with self._lock:
                self._holdings.strike(query, gone, self._clock.now())
        return paths.assembled(listed, answers)

    def _joined(self, query: Query, flights: Mapping[Query, Flight]) -> Answer:
        """What a flight brought that left for this read; without one, as ``get``."""
        if query not in flights:
            return self._get(query)
        flights[query].landed.wait()
        return flights[query].answer

    def _get(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Answer:
        """What ``get`` does for one question."""
        forced = refresh or instead_of is not None
        with self._lock:
            departures, applied = self._departures, self._holdings.view.applied
        waited_for: Flight | None = None
        while True:
            with self._lock:
                now = self._clock.now()
                held = None if refresh else self._holdings.held(query, now)
                if held is not None and held.satisfies(instead_of):
                    if self._explainer is not None:
                        self._explainer.found(query, held)
                    return held
                # Who waited, too, may have gone on already, and even have landed.
                flight = waited_for.next if waited_for else None
                flight = flight or self._flights.get(query)
                leads = flight is None
                if flight is None:
                    if self._explainer is not None:
                        self._explainer.asks(query, now, instead_of, refresh=refresh)
                    flight = self._leave(query, now, forced=forced)
                elif self._explainer is not None:
                    self._explainer.joins(query, again=waited_for is not None)
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
        """Take note of what the configuration lists, before anything is read."""
        self._holdings.expect(listed)

    def hold_nothing(self) -> None:
        """Pass on what is fetched, and keep none of it, until ``hold_from_now``.

        For as long as a snapshot of this process is still to be taken, which others
        will start from.
        """
        self._holdings.holds = False

    def hold_from_now(self) -> None:
        """Hold what is fetched; not what is under way, which may be of another life."""
        with self._lock:
            self._holdings.holds = True
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
                each
                for query, flight in flights.items()
                for each in (query, *flight.members)
                if self._holdings.is_doubted(each, flight, now)
            ]
        return self._send(doubted)[0]

    def apply(self, edition: Edition) -> None:
        """Take note of the sheet, and evict what it outdates."""
        with self._lock:
            now = self._clock.now()
            applied = self._holdings.apply(edition, now)
            if self._explainer is not None:
                self._explainer.saw(edition, changed=applied is not None)
            if applied is None:
                return
            self.epoch += 1
            reason, evicted = applied
            delays = self._holdings.delays(evicted, now) if reason == STAMPED else ()
        if evicted:
            self.tally.count(EVICTIONS + reason.title(), len(evicted))
            for seconds in delays:
                self.tally.measure(EVICTION_DELAY, seconds)
            self._log.info(
                "evicted",
                reason=reason,
                names=[query.id for query in evicted],
                generation=edition.generation,
            )

    def _wait_for_its_path(self, query: Query) -> None:
        """Let the prefetch of a path, if one will bring it, save a call."""
        for path, flight in self._prefetched.items():
            if path.covers(query):
                flight.landed.wait()

    def _send(
        self, wanted: Iterable[Query]
    ) -> tuple[list[Thread], dict[Query, Flight]]:
        """Start the flights of a prefetch, and their threads."""
        with self._lock:
            now = self._clock.now()
            batches = self._source.batches(
                query
                for query in wanted
                if self._holdings.ttl_seconds(query) > 0
                and query not in self._flights
                and self._holdings.held(query, now) is None
            )
            flights = {
                query: self._leave(query, now) for batch in batches for query in batch
            }
            if self._explainer is not None:
                self._explainer.prefetches(flights)
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

    def _leave(self, query: Query, now: Instant, *, forced: bool = False) -> Flight:
        """Start a flight. The caller holds the lock, and must see that it lands."""
        self._departures += 1
        fallback = None if forced else self._holdings.cache.fallback(query, now)
        # An outdated value may be of no use any more: the new one is worth the wait.
        hurries = fallback is not None and not fallback.is_doubted
        timeout_seconds = PATIENCE_SECONDS if hurries else None
        flight = Flight(self._departures, self._holdings.view, now, timeout_seconds)
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
                else:
                    flight.answer = self._landed(query, flight, outcome)
                if self._explainer is not None:
                    self._explainer.landed(query, flight, self._clock.now())
            finally:
                if is_current:
                    del self._flights[query]
                self.epoch += 1
                flight.landed.set()
        if isinstance(outcome, Fetched):
            complaint = paths.complaint(outcome, self._holdings.cache.max_entries)
            if complaint is not None:
                self._log.warning(
                    "a path is of no use", name=query.id, reason=complaint
                )
        else:
            self._log.warning(
                "a source did not answer with a value",
                name=self._shown(query),
                code=outcome.code,
                # AWS may repeat what it was asked for.
                reason=None if query in self._holdings.variables else outcome.message,
                served=flight.answer.how,
            )

    def _landed(
        self, query: Query, flight: Flight, outcome: Fetched | RotawareError
    ) -> Answer:
        """What reads get for that. The caller holds the lock."""
        now = self._clock.now()
        if isinstance(outcome, Fetched):
            return self._holdings.commit(query, flight, outcome, now)
        return self._holdings.failed(query, flight, outcome, now)

    def explain(self, debug: Callable[..., None]) -> None:
        """Say from now on why each read gets what it gets; ``Logger.debug`` does."""
        from rotaware.explain import Explainer  # noqa: PLC0415  most starts do without

        self._explainer = Explainer(self._holdings, debug)

    @property
    def explains(self) -> bool:
        """Whether each read has to come by here, to be explained."""
        return self._explainer is not None

    def entries(self) -> list[tuple[str, Query, Entry]]:
        """What is held, each with the name that may be shown."""
        with self._lock:
            held = self._holdings.cache.entries(self._clock.now())
        return [(self._shown(query), query, entry) for query, entry in held]

    @property
    def overflowed(self) -> int:
        """How many values had to go because there was no place for them."""
        return self._holdings.cache.overflowed

    @property
    def view(self) -> View:
        """The sheet as last seen."""
        return self._holdings.view

    def _shown(self, query: Query) -> str:
        """What stands for a query in the log (see ``Prefetch.variable``)."""
        return self._holdings.variables.get(query, query.id)
