"""Each service's questions go to its own source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rotaware.errors import AwsError
from rotaware.secret import KMS, PARAMETER_STORE, SECRETS_MANAGER, Fetched, Query, Value
from rotaware.sources import Sources
from rotaware.tally import Tally
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SECRET, PARAMETER, VARIABLE = (
    Query.secret("a"),
    Query.parameter("b"),
    Query.variable("C"),
)


class OneSource:
    """Answers with its own name, and notes what it was asked."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.asked: list[Any] = []
        self.clock = ManualClock()
        self.refusal: AwsError | None = None
        self.knows_batches = True

    def fetch(self, query: Query, *, timeout_seconds: float | None = None) -> Fetched:
        self.asked.append((query, timeout_seconds))
        self.clock.tick(0.25)
        if self.refusal is not None:
            raise self.refusal
        return Fetched(Value({}), self._name, None, "")

    def batches(self, queries: Iterable[Query]) -> list[list[Query]]:
        batch = list(queries)
        return [batch] if batch else []

    def fetch_many(self, batch: Sequence[Query]) -> dict[Query, Fetched]:
        if not self.knows_batches:
            return {}
        return {query: self.fetch(query) for query in batch}


@pytest.fixture
def named() -> OneSource:
    """Answers for two services."""
    return OneSource("named")


@pytest.fixture
def encrypted() -> OneSource:
    """Answers for one."""
    return OneSource("encrypted")


@pytest.fixture
def tally() -> Tally:
    """Nothing counted yet."""
    return Tally()


@pytest.fixture
def sources(named: OneSource, encrypted: OneSource, tally: Tally) -> Sources:
    """Both as one."""
    by_service = {SECRETS_MANAGER: named, PARAMETER_STORE: named, KMS: encrypted}
    return Sources(by_service, named.clock, tally)


@pytest.mark.parametrize(
    ("query", "name"),
    [(SECRET, "named"), (PARAMETER, "named"), (VARIABLE, "encrypted")],
)
def test_its_service_answers(
    sources: Sources, named: OneSource, encrypted: OneSource, query: Query, name: str
) -> None:
    """A question goes to one source, with the time that it may take."""
    assert name == sources.fetch(query, timeout_seconds=2.0).arn
    assert [(query, 2.0)] == named.asked + encrypted.asked


@pytest.mark.parametrize(
    ("query", "name"), [(PARAMETER, "named"), (VARIABLE, "encrypted")]
)
def test_its_service_answers_many(sources: Sources, query: Query, name: str) -> None:
    """A group, too, goes to the source that made it."""
    outcome = sources.fetch_many([query])[query]

    assert isinstance(outcome, Fetched)
    assert name == outcome.arn


def test_each_source_groups_what_is_its_own(sources: Sources) -> None:
    """A source that has two services groups once, and sees both."""
    wanted = iter([VARIABLE, SECRET, PARAMETER])

    assert [[SECRET, PARAMETER], [VARIABLE]] == sources.batches(wanted)
    assert [] == sources.batches([])


def test_fetches_are_counted_and_timed(
    sources: Sources, named: OneSource, tally: Tally
) -> None:
    """One for many counts once; what is refused counts, and as a failure too."""
    sources.fetch(SECRET)
    sources.fetch_many([SECRET, PARAMETER])

    assert {"Fetches": 2} == tally.counts()
    assert {"FetchLatency": [0.25, 0.5]} == tally.take_latest()

    named.refusal = AwsError("AccessDeniedException", "no")
    with pytest.raises(AwsError):
        sources.fetch(SECRET)

    assert {"Fetches": 3, "FetchesFailed": 1} == tally.counts()
    assert {"FetchLatency": [0.25]} == tally.take_latest()


def test_a_batch_that_brings_nothing_is_not_counted(
    sources: Sources, named: OneSource, tally: Tally
) -> None:
    """What it was for is fetched one by one, and counted then."""
    named.knows_batches = False

    assert {} == sources.fetch_many([SECRET])
    assert {} == tally.counts()
