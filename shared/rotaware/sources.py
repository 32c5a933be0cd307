"""Where values come from, where each service has a source of its own."""

from __future__ import annotations

from rotaware.errors import AwsError
from rotaware.lean import TYPE_CHECKING
from rotaware.tally import FETCH_LATENCY, FETCHES, FETCHES_FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rotaware.clock import Clock
    from rotaware.secret import Fetched, Query
    from rotaware.store import Source
    from rotaware.tally import Tally


class Sources:
    """One source for the store, made of several.

    Args:
        by_service: The source of each service that is asked for.
        clock: Time.
        tally: Counts the fetches, and how long they take; one for many counts once.
    """

    __slots__ = ("_by_service", "_clock", "_tally")

    def __init__(
        self, by_service: Mapping[str, Source], clock: Clock, tally: Tally
    ) -> None:
        self._by_service = by_service
        self._clock = clock
        self._tally = tally

    def fetch(self, query: Query, *, timeout_seconds: float | None = None) -> Fetched:
        """Ask its service for one; see ``Source``."""
        source = self._by_service[query.service]
        began = self._clock.now().monotonic
        try:
            return source.fetch(query, timeout_seconds=timeout_seconds)
        except AwsError:
            self._tally.count(FETCHES_FAILED)
            raise
        finally:
            self._fetched(began)

    def batches(self, queries: Iterable[Query]) -> list[list[Query]]:
        """Queries, grouped as their service takes them."""
        wanted = list(queries)
        # Two services may have one source, which groups for both of them.
        return [
            batch
            for source in dict.fromkeys(self._by_service.values())
            for batch in source.batches(
                query for query in wanted if self._by_service[query.service] is source
            )
        ]

    def fetch_many(self, batch: Sequence[Query]) -> Mapping[Query, Fetched | AwsError]:
        """One group of ``batches``, by its service; see ``Source``."""
        began = self._clock.now().monotonic
        outcomes = self._by_service[batch[0].service].fetch_many(batch)
        if outcomes:  # else nothing was asked, or will be asked again one by one
            self._fetched(began)
        return outcomes

    def _fetched(self, began: float) -> None:
        self._tally.count(FETCHES)
        self._tally.measure(FETCH_LATENCY, self._clock.now().monotonic - began)
