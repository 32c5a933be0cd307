"""What is held: by TTL, by stamp, and when a source fails."""

from __future__ import annotations

import pytest

from rotaware.cache import REST_SECONDS, Cache
from rotaware.clock import Instant
from rotaware.errors import AwsError, AwsUnavailableError
from rotaware.flight import HIT, MISS, STALE_IF_ERROR, Answer, Flight
from rotaware.holdings import REFUSAL_SECONDS, Holdings
from rotaware.secret import Fetched, Prefetch, Query
from tests.support.fake_source import edition, fetched

DB = Query.secret("db")
DOWN = AwsUnavailableError("ServiceUnavailable", "come back later")
DENIED = AwsError("AccessDeniedException", "no")


def at(seconds: float) -> Instant:
    """A moment."""
    return Instant(1_000_000.0 + seconds, seconds)


def holdings(*, ttl_seconds: float = 300.0, stale_seconds: float = 3600.0) -> Holdings:
    """Nothing held yet."""
    return Holdings(
        Cache(100, stale_seconds), {"secretsmanager": ttl_seconds, "ssm": ttl_seconds}
    )


def flight(here: Holdings, seconds: float = 0.0) -> Flight:
    """One that left then, knowing what is known now."""
    return Flight(1, here.view, at(seconds), None)


def version_of(answer: Answer | None) -> str | None:
    """What a read gets."""
    if answer is None or not isinstance(answer.outcome, Fetched):
        return None
    return answer.outcome.version


def test_what_a_flight_brought_is_held() -> None:
    """From when it left, for as long as its TTL."""
    here = holdings()
    answer = here.commit(DB, flight(here), fetched(DB, "v1"), at(10))

    assert ("v1", MISS, 290.0) == (version_of(answer), answer.how, answer.fresh_seconds)
    held = here.held(DB, at(299))
    assert held is not None
    assert ("v1", HIT, 1.0) == (version_of(held), held.how, held.fresh_seconds)
    assert here.held(DB, at(300)) is None


def test_how_long_a_stamp_has_waited() -> None:
    """From when it was written until it evicted; clocks may differ a little."""
    here = holdings()
    other = Query.secret("other")
    for query in (DB, other):
        here.commit(query, flight(here), fetched(query, "v1"), at(0))
    here.commit(Query.secret("none"), flight(here), fetched(DB, "v1"), at(0))
    since = int(at(3).wall)
    applied = here.apply(
        edition(1, {"db": ("v2", since), "other": ("v2", since + 60)}), at(10)
    )
    assert applied is not None
    reason, evicted = applied

    assert "stamped" == reason
    assert [0.0, 7.0] == sorted(set(here.delays(evicted, at(10))))
    assert [7.0] == here.delays([DB], at(10))


def test_a_sheet_that_came_meanwhile_is_obeyed() -> None:
    """The value goes to those who waited, and is not held."""
    here = holdings()
    left = flight(here)
    here.apply(edition(1, {"db": ("v2", 5)}), at(1))
    answer = here.commit(DB, left, fetched(DB, "v1"), at(2))

    assert "v1" == version_of(answer)
    assert left.outdated
    assert here.held(DB, at(2)) is None


def test_the_same_sheet_again_says_nothing() -> None:
    """A new one says why it evicts, and what."""
    here = holdings()
    here.apply(edition(1, {}), at(0))
    here.commit(DB, flight(here), fetched(DB, "v1"), at(0))

    assert ("stamped", [DB]) == here.apply(edition(2, {"db": ("v2", 5)}), at(1))
    assert here.apply(edition(2, {"db": ("v2", 5)}), at(2)) is None


@pytest.mark.parametrize(("overtaken", "rests"), [(False, True), (True, False)])
def test_a_failing_source_rests_unless_a_sheet_came_meanwhile(
    *, overtaken: bool, rests: bool
) -> None:
    """A sheet announces something new: it is asked for again at once."""
    here = holdings()
    here.commit(DB, flight(here), fetched(DB, "v1"), at(0))
    left = flight(here, 300)
    if overtaken:
        here.apply(edition(1, {}), at(300))
    answer = here.failed(DB, left, DOWN, at(300))

    assert ("v1", STALE_IF_ERROR) == (version_of(answer), answer.how)
    assert rests == (here.held(DB, at(300)) is not None)
    assert here.held(DB, at(300 + REST_SECONDS)) is None


def test_a_refusal_is_held_for_a_moment_and_ends_what_was_held() -> None:
    """Access was taken away."""
    here = holdings()
    here.commit(DB, flight(here), fetched(DB, "v1"), at(0))
    here.failed(DB, flight(here, 300), DENIED, at(300))
    held = here.held(DB, at(300))

    assert held is not None
    assert DENIED is held.outcome
    assert here.held(DB, at(300 + REFUSAL_SECONDS)) is None
    assert DOWN is here.failed(DB, flight(here, 310), DOWN, at(310)).outcome


def test_a_list_that_is_not_held_has_nothing_to_strike() -> None:
    """Nor has a refusal."""
    here = holdings()
    path = Query.path("/app")
    here.strike(path, [Query.parameter("/app/a")], at(0))

    assert here.held(path, at(0)) is None
    here.failed(path, flight(here), DENIED, at(0))
    here.strike(path, [Query.parameter("/app/a")], at(0))
    held = here.held(path, at(0))
    assert held is not None
    assert DENIED is held.outcome


def test_the_closest_term_counts() -> None:
    """Its own TTL, that of the longest path above it, that of its service; or none."""
    here = holdings()
    here.expect(
        [
            Prefetch(Query.path("/a"), 10.0),
            Prefetch(Query.path("/a/b"), 20.0),
            Prefetch(Query.path("/c")),
            Prefetch(Query.parameter("/a/b/c"), 30.0),
        ]
    )
    names = ["/a/x", "/a/b/x", "/a/b/c", "/c/x", "/ab"]

    assert [10.0, 20.0, 30.0, 300.0, 300.0] == [
        here.ttl_seconds(Query.parameter(name)) for name in names
    ]
    assert 0.0 == here.ttl_seconds(Query.secret("db", None, "AWSPENDING"))
    here.holds = False
    assert 0.0 == here.ttl_seconds(Query.parameter("/a/x"))


def test_what_a_variable_named_is_known_by_it() -> None:
    """What stood in one may be a misplaced password, so the log shows the variable."""
    here = holdings()
    here.expect([Prefetch(DB, None, "SECRET_DB"), Prefetch(Query.secret("api"))])

    assert {DB: "SECRET_DB"} == here.variables
