"""A question on its way to a source, and the answer that all who wait for it get."""

from __future__ import annotations

from threading import Event

from rotaware.errors import RotawareError
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.secret import Fetched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotaware.clock import Instant
    from rotaware.secret import Query
    from rotaware.sheet import Edition, Stamp

HIT = "hit"
MISS = "fwd=miss"
EXPIRED = "fwd=stale"
REQUESTED = "fwd=request"
BYPASS = "fwd=bypass"
STALE_IF_ERROR = "hit; detail=stale-if-error"
REMEMBERED_REFUSAL = "hit; detail=refused"


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

    def satisfies(self, instead_of: str | None) -> bool:
        """Whether it will do for whom that version just failed."""
        if instead_of is None or not isinstance(self.outcome, Fetched):
            return True
        return self.outcome.version != instead_of and self.how != STALE_IF_ERROR


class View(NamedTuple):
    """The sheet as last seen.

    Attributes:
        edition: The sheet; None before the first.
        applied: How many sheets were taken note of.
        doubts: How many of them put everything in doubt.
    """

    edition: Edition | None = None
    applied: int = 0
    doubts: int = 0

    @property
    def stamps(self) -> Mapping[str, Stamp]:
        """What it says."""
        return self.edition.sheet.stamps if self.edition else {}


class Flight:
    """A question on its way to the source.

    Attributes:
        number: Flights are numbered in the order in which they leave.
        view: The sheet when it left.
        asked_at: When it left.
        timeout_seconds: How long the source may take; None leaves it to the source.
        outdated: Whether a later sheet outdated or doubts what it brought.
        outcome: What it brought.
        answer: What a read gets for that.
        landed: Set when the last three are final.
        next: Where those went on for whom it had left too early.
    """

    __slots__ = (
        "answer",
        "asked_at",
        "landed",
        "next",
        "number",
        "outcome",
        "outdated",
        "timeout_seconds",
        "view",
    )

    def __init__(
        self,
        number: int,
        view: View,
        asked_at: Instant,
        timeout_seconds: float | None,
    ) -> None:
        self.number = number
        self.view = view
        self.asked_at = asked_at
        self.timeout_seconds = timeout_seconds
        self.outdated = False
        self.outcome: Fetched | RotawareError = RotawareError("the fetch broke off")
        self.answer = Answer(self.outcome, MISS)
        self.landed = Event()
        self.next: Flight | None = None

    @property
    def members(self) -> tuple[Query, ...]:
        """The parameters that a path's list brought, unless it will be asked again."""
        outcome = self.outcome
        if self.outdated or not isinstance(outcome, Fetched):
            return ()
        return outcome.members or ()

    def answer_to(self, *, forced: bool) -> Answer:
        """What a read gets; the source's own word, if it asked for that."""
        if forced:
            return Answer(self.outcome, REQUESTED, self.answer.fresh_seconds)
        return self.answer
