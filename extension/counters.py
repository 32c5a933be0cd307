"""All counts of this process under the names of its metrics, wherever they are kept."""

from __future__ import annotations

from rotaware.lean import TYPE_CHECKING
from rotaware.tally import EVICTIONS, HITS, WAITS_GIVEN_UP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extension.endpoint import Endpoint
    from rotaware.checker import Checker
    from rotaware.store import Store


def totals(
    store: Store, checker: Checker, endpoints: Sequence[Endpoint]
) -> dict[str, int]:
    """How often each thing has happened since the start; what never has is left out."""
    counts = store.tally.counts()
    prepared = sum(endpoint.prepared_hits for endpoint in endpoints)
    counts[HITS] = counts.get(HITS, 0) + prepared
    counts[WAITS_GIVEN_UP] = checker.waits_given_up
    counts[f"{EVICTIONS}Overflow"] = store.overflowed
    return {what: counts[what] for what in sorted(counts) if counts[what]}
