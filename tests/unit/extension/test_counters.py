"""All counts, wherever they are kept, under one set of names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from extension.counters import totals
from rotaware.tally import CHECKS, HITS, Tally

if TYPE_CHECKING:
    from extension.endpoint import Endpoint
    from rotaware.checker import Checker
    from rotaware.store import Store


class Holder:
    """As much of a store, a checker and an endpoint as counts."""

    def __init__(self, number: int = 0) -> None:
        self.tally = Tally()
        self.overflowed = number
        self.waits_given_up = number
        self.prepared_hits = number


def counted(holder: Holder, *endpoints: Holder) -> dict[str, int]:
    """All counts of parts that are one."""
    return totals(
        cast("Store", holder),
        cast("Checker", holder),
        [cast("Endpoint", each) for each in endpoints],
    )


def test_what_never_happened_is_left_out() -> None:
    """CloudWatch would charge for it."""
    assert {} == counted(Holder(), Holder())


def test_every_count_is_there() -> None:
    """Hits are those that were at hand, at all ports, and those that were not."""
    holder = Holder(3)
    holder.tally.count(HITS, 10)
    holder.tally.count(CHECKS)

    assert {
        "Checks": 1,
        "EvictionsOverflow": 3,
        "Hits": 10 + 4 + 5,
        "WaitsGivenUp": 3,
    } == counted(holder, Holder(4), Holder(5))
