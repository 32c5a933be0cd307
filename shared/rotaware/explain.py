"""Why each read gets what it gets: lines of level DEBUG, imported for that level only.

Names, versions, times; never a value, nor anything that a caller sent but the name.
The caller holds the store's lock.
"""

from __future__ import annotations

from rotaware.cache import PROVISIONAL_SECONDS
from rotaware.clock import age_seconds
from rotaware.flight import HIT, STALE_IF_ERROR
from rotaware.lean import TYPE_CHECKING
from rotaware.secret import Fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rotaware.cache import Entry
    from rotaware.clock import Instant
    from rotaware.flight import Answer, Flight
    from rotaware.holdings import Holdings
    from rotaware.secret import Query
    from rotaware.sheet import Edition


class Explainer:
    """Told by the store what it decides.

    Args:
        holdings: What is held.
        debug: Where lines go: ``Logger.debug``.
    """

    def __init__(self, holdings: Holdings, debug: Callable[..., None]) -> None:
        self._holdings = holdings
        self._debug = debug

    def found(self, query: Query, answer: Answer) -> None:
        """Something is held that may be served."""
        if answer.how == HIT:
            because = f"it is fresh for {answer.fresh_seconds:.3f} s"
        elif answer.how == STALE_IF_ERROR:
            because = "it is stale, and its source failed a moment ago"
        else:
            because = "its source refused a moment ago"
        self._say("found in memory", query, because)

    def asks(
        self, query: Query, now: Instant, instead_of: str | None, *, refresh: bool
    ) -> None:
        """What is held will not do for a read: the source is asked."""
        if refresh:
            because = "the caller wants the source's own word"
        elif instead_of is not None:
            because = "the caller wants another version than is held"
        elif self._holdings.ttl_seconds(query) == 0:
            because = "it is never held"
        else:
            because = _fault(self._holdings.cache.get(query, now), now)
        self._say("asking the source", query, because)

    def prefetches(self, queries: Iterable[Query]) -> None:
        """Sources are asked for what nobody waits for yet."""
        for query in queries:
            self._say("asking the source", query, "it is listed")

    def joins(self, query: Query, *, again: bool) -> None:
        """A read waits for a question that is under way."""
        because = "it has been asked already"
        if again:
            because = "it had been asked too early, and now is asked once more"
        self._say("waiting for the source", query, because)

    def landed(self, query: Query, flight: Flight, now: Instant) -> None:
        """The source has answered, and what it said is held or not."""
        outcome = flight.outcome
        entry = self._holdings.cache.get(query, now)
        if flight.outdated:
            because = "not held: the stamp sheet has changed meanwhile"
        elif entry is None:
            because = "not held"
        elif entry.outcome is not outcome and not isinstance(outcome, Fetched):
            because = "no value came: what is held stays"
        elif not isinstance(outcome, Fetched):
            because = "the refusal is held for a moment"
        elif entry.provisional_seconds is not None:
            because = f"held for {entry.provisional_seconds:g} s: {_doubt(entry)}"
        else:
            because = f"held for {entry.ttl_seconds:g} s"
        version = outcome.version if isinstance(outcome, Fetched) else None
        served = flight.answer.how
        self._say("the source answered", query, because, version=version, served=served)

    def saw(self, edition: Edition, *, changed: bool) -> None:
        """A sheet was read."""
        self._debug(
            "looked at the stamp sheet",
            generation=edition.generation,
            stamps=len(edition.sheet.stamps),
            because="it has changed" if changed else "it says what it said before",
        )

    def _say(self, message: str, query: Query, because: str, **more: object) -> None:
        name = self._holdings.variables.get(query, query.id)
        self._debug(message, name=name, because=because, **more)


def _fault(entry: Entry | None, now: Instant) -> str:
    """Why what is held will not do."""
    if entry is None:
        return "nothing is held"
    if entry.evicted:
        return "the stamp sheet has evicted what is held"
    if entry.provisional_seconds is not None:
        return _doubt(entry)
    over_seconds = age_seconds(entry.asked_at, now) - entry.ttl_seconds
    return f"its TTL has been over for {over_seconds:.3f} s"


def _doubt(entry: Entry) -> str:
    return (
        "the source contradicts the stamp,"
        f" answer {entry.mismatches} of {len(PROVISIONAL_SECONDS)} that may"
    )
