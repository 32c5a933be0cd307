"""What a witness writes down: how its reader is configured, and what he does."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rotaware.clock import Instant
    from rotaware.errors import AwsError
    from tests.simulation.scheduler import Actor


class Terms(NamedTuple):
    """How a reader is configured.

    Attributes:
        interval_seconds: How old a check may be; 0 for one in each invocation.
        timeout_seconds: How long a read may wait for a check.
        ttl_seconds: How long a value is fresh.
        stale_seconds: For how long past that it may be served on error.
        max_entries: The cache's size.
    """

    interval_seconds: float
    timeout_seconds: float
    ttl_seconds: float
    stale_seconds: float
    max_entries: int


class Read(NamedTuple):
    """One read of a function.

    Attributes:
        arrived: When it came, by the reader's clocks.
        arrived_at: The same, in the world's time.
        invoked_at: When its invocation began, in the world's time.
        refresh: Whether it wants the source asked, whatever is held.
        instead_of: The version that failed it.
        settled: How many sheets were taken note of when it came to the store.
    """

    arrived: Instant
    arrived_at: float
    invoked_at: float
    refresh: bool = False
    instead_of: str | None = None
    settled: int = 0


class Check:
    """One look at the sheet.

    Attributes:
        left: When it left, by the reader's clocks.
        left_at: The same, in the world's time.
        begun: When its thread was started, by the reader's clocks.
        begun_at: The same, in the world's time.
        done: Whether it was taken note of, or failed.
        failed: Whether it failed.
    """

    __slots__ = ("begun", "begun_at", "done", "failed", "left", "left_at")

    def __init__(self, actor: Actor, left: Instant, left_at: float) -> None:
        self.begun = actor.spawned
        self.begun_at = actor.spawned_at
        self.left = left
        self.left_at = left_at
        self.done = False
        self.failed = False


class Fetch:
    """One question to a source.

    Attributes:
        told: How many sheets its reader had been told of when it left.
        settled: How many it had taken note of when the read came that wants it.
        asked: When that was, by the reader's clocks.
        left: When it left, by the reader's clocks.
        left_at: The same, in the world's time.
        idled: How long its reader had been idle by then; later, when it landed.
        landed: When it landed.
        outcome: The version, or the error; None while it is under way.
    """

    __slots__ = (
        "asked",
        "idled",
        "landed",
        "left",
        "left_at",
        "outcome",
        "settled",
        "told",
    )

    def __init__(
        self, told: int, settled: int, asked: Instant, left: Instant, left_at: float
    ) -> None:
        self.told = told
        self.settled = settled
        self.asked = asked
        self.left = left
        self.left_at = left_at
        self.idled = 0.0
        self.landed: Instant | None = None
        self.outcome: str | AwsError | None = None
