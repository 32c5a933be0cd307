"""A source that a test scripts, and readers of a store who meet at its gates.

A fetch decides what it answers when it is called, and may then be held at a gate: so it
carries an old value while the test lets the world go on. Nobody sleeps: a reader counts
as waiting once it has read the clock, which a store does while it holds its lock.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from threading import Event, Thread, current_thread
from typing import TYPE_CHECKING, Any

from rotaware.cache import Cache
from rotaware.errors import AwsError
from rotaware.log import Logger
from rotaware.secret import (
    ARN_SUFFIX_LENGTH,
    AWSCURRENT,
    PARAMETER_STORE,
    SECRETS_MANAGER,
    Fetched,
    Query,
    Value,
)
from rotaware.sheet import Edition, Sheet, Stamp, subject_of, version_digest
from rotaware.store import Store
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rotaware.clock import Instant
    from rotaware.flight import Answer

DEADLINE_SECONDS = 10.0
PROBE = Query.secret("nobody-reads-this")


def arn_of(name: str) -> str:
    """The ARN of a secret of this name."""
    return f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-a1b2c3"


def fetched(query: Query, version: str) -> Fetched:
    """What a source answers: the payload names itself."""
    arn = query.id if query.id.startswith("arn:") else arn_of(query.id)
    pinned = query.version is not None
    return Fetched(
        value=Value({"SecretString": f"the payload of {version}"}),
        arn=arn,
        subject=None if pinned else subject_of(arn),
        version=query.version or version,
        current=not pinned and query.label in (None, AWSCURRENT),
    )


def edition(
    generation: int,
    stamps: Mapping[str, tuple[str, int]],
    *,
    base: int | None = None,
    horizon: int = 0,
    born: int = 1,
) -> Edition:
    """A sheet that stamps secrets by name: version and since."""
    return Edition(
        generation,
        Sheet(
            base=generation - 1 if base is None else base,
            horizon=horizon,
            born=born,
            stamps={
                subject_of(arn_of(name)): Stamp(version_digest(version), since)
                for name, (version, since) in stamps.items()
            },
        ),
    )


class Gate:
    """Where one fetch is held."""

    def __init__(self) -> None:
        self._arrived = Event()
        self._opened = Event()

    def pass_through(self) -> None:
        """Say that somebody came, and wait for the gate to open."""
        self._arrived.set()
        _expect(self._opened, "nobody opened the gate")

    def wait_for_arrival(self) -> None:
        """Return when a fetch stands at the gate."""
        _expect(self._arrived, "no fetch came to the gate")

    def open(self) -> None:
        """Let the fetch go on."""
        self._opened.set()


class FakeSource:
    """Satisfies ``rotaware.store.Source``.

    Attributes:
        now: What it answers, by name: a version, or an error to raise.
        calls: Every ``fetch``, in order.
        timeouts: The time limit of each.
        batch_calls: Every ``fetch_many``, in order.
        batch_error: What ``fetch_many`` raises.
        left_out: What ``fetch_many`` leaves out.
    """

    def __init__(self) -> None:
        self.now: dict[str, str | BaseException] = {}
        self.calls: list[Query] = []
        self.timeouts: list[float | None] = []
        self.batch_calls: list[list[Query]] = []
        self.batch_error: Exception | None = None
        self.left_out: set[Query] = set()
        self._gates: dict[str, list[Gate]] = {}

    @contextmanager
    def gate(self, name: str) -> Iterator[Gate]:
        """Hold the next fetch of this name, after it has read its answer."""
        gate = Gate()
        self._gates.setdefault(name, []).append(gate)
        try:
            yield gate
        finally:
            gate.open()

    def fetch(self, query: Query, *, timeout_seconds: float | None = None) -> Fetched:
        self.calls.append(query)
        self.timeouts.append(timeout_seconds)
        outcome = self._outcome(query)
        self._pass_gate(query)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def batches(self, queries: Iterable[Query]) -> list[list[Query]]:
        wanted = list(queries)
        return [wanted[start : start + 2] for start in range(0, len(wanted), 2)]

    def fetch_many(self, batch: Sequence[Query]) -> Mapping[Query, Fetched | AwsError]:
        self.batch_calls.append(list(batch))
        if self.batch_error is not None:
            raise self.batch_error
        outcomes = {
            query: outcome
            for query in batch
            if query not in self.left_out
            and isinstance(outcome := self._outcome(query), Fetched | AwsError)
        }
        for query in batch:
            self._pass_gate(query)
        return outcomes

    def _outcome(self, query: Query) -> Fetched | BaseException:
        now = self.now.get(_name(query))
        if isinstance(now, str):
            return fetched(query, now)
        return now or AwsError("ResourceNotFoundException", f"no {query.id}")

    def _pass_gate(self, query: Query) -> None:
        gates = self._gates.get(_name(query))
        if gates:
            gates.pop(0).pass_through()


class Reader(Thread):
    """One thread that reads a store once."""

    def __init__(self, store: Store, query: Query, options: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.came = Event()
        self._store = store
        self._query = query
        self._options = options
        self._answer: Answer | None = None

    def run(self) -> None:
        self._answer = self._store.get(self._query, **self._options)

    def answer(self) -> Answer:
        """What it got, once it has got it."""
        self.join(DEADLINE_SECONDS)
        assert self._answer is not None
        return self._answer


class World:
    """A store with a scripted source and a clock in the test's hand.

    Args:
        ttl_seconds: Of secrets and parameters.
        stale_seconds: For how long past it a value may be served on error.
        max_entries: The cache's size.
    """

    def __init__(
        self,
        *,
        ttl_seconds: float = 300.0,
        stale_seconds: float = 0.0,
        max_entries: int = 100,
    ) -> None:
        self.clock = _WitnessClock()
        self.source = FakeSource()
        self.cache = Cache(max_entries, stale_seconds)
        self.lines = io.StringIO()
        self.store = Store(
            self.source,
            self.cache,
            {SECRETS_MANAGER: ttl_seconds, PARAMETER_STORE: ttl_seconds},
            self.clock,
            Logger(service="test", level="DEBUG", stream=self.lines, clock=self.clock),
        )

    def start(self, query: Query, **options: Any) -> Reader:
        """Start a reader: on return it has decided whether to fly or to wait."""
        reader = Reader(self.store, query, options)
        reader.start()
        _expect(reader.came, "the reader did not come to the store")
        self.store.peek(PROBE)  # takes the lock: whoever held it has decided
        return reader


class _WitnessClock(ManualClock):
    """Notes which reader looked at it."""

    def now(self) -> Instant:
        thread = current_thread()
        if isinstance(thread, Reader):
            thread.came.set()
        return super().now()


def version_of(answer: Answer) -> str:
    """The version that a read got; what it got instead, if none."""
    if isinstance(answer.outcome, Fetched):
        return answer.outcome.version
    return answer.outcome.code


def _name(query: Query) -> str:
    """A secret's name, also out of its ARN."""
    if query.id.startswith("arn:"):
        return query.id.rpartition(":")[2][:-ARN_SUFFIX_LENGTH]
    return query.id


def _expect(event: Event, complaint: str) -> None:
    if not event.wait(DEADLINE_SECONDS):
        raise TimeoutError(complaint)
