"""The store: what a read gets, whom it asks for it, and what it never gets again."""

from __future__ import annotations

import json
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rotaware.cache import PROVISIONAL_SECONDS, REST_SECONDS
from rotaware.errors import (
    AwsError,
    AwsThrottledError,
    AwsTimeoutError,
    AwsUnavailableError,
)
from rotaware.flight import (
    BYPASS,
    EXPIRED,
    HIT,
    MISS,
    REMEMBERED_REFUSAL,
    REQUESTED,
    STALE_IF_ERROR,
    Answer,
)
from rotaware.holdings import REFUSAL_SECONDS
from rotaware.secret import AWSPENDING, Fetched, Prefetch, Query
from rotaware.store import PATIENCE_SECONDS
from tests.support.fake_source import World, arn_of, edition, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable

DB = Query.secret("db")
DB_ARN = Query.secret(arn_of("db"))
DENIED = AwsError("AccessDeniedException", "no", 400)
DOWN = AwsUnavailableError("ServiceUnavailable", "come back later", 503)
BROKEN_OFF = "InternalFailure"


def world(**options: Any) -> World:
    """A world in which ``db`` is at v1."""
    made = World(**options)
    made.source.now["db"] = "v1"
    return made


def told(answer: Answer) -> tuple[str, str]:
    """What a read got, and how."""
    return version_of(answer), answer.how


def lines(made: World) -> list[dict[str, Any]]:
    """What was logged."""
    return [json.loads(line) for line in made.lines.getvalue().splitlines()]


# --- hits and misses


def test_a_miss_asks_and_a_hit_does_not() -> None:
    """One fetch serves every read until the TTL is over, and tells what is left."""
    here = world()

    assert (("v1", MISS), 300.0) == (
        told(answer := here.store.get(DB)),
        answer.fresh_seconds,
    )
    here.clock.tick(100)
    assert Answer(answer.outcome, HIT, 200.0) == here.store.get(DB)
    assert [DB] == here.source.calls


def test_the_ttl_counts_from_the_question() -> None:
    """A slow source makes nothing fresher."""
    here = world()
    with here.source.gate("db") as gate:
        reader = here.start(DB)
        gate.wait_for_arrival()
        here.clock.tick(10)
    assert reader.answer().fresh_seconds == 290.0


@pytest.mark.parametrize("stale_seconds", [0.0, 60.0])
def test_after_the_ttl_it_is_asked_for_again(stale_seconds: float) -> None:
    """At the very moment, whether or not a stale value is kept."""
    here = world(stale_seconds=stale_seconds)
    here.store.get(DB)
    here.source.now["db"] = "v2"
    here.clock.tick(299)
    before = here.store.get(DB)
    here.clock.tick(1)
    after = here.store.get(DB)

    assert ("v1", HIT) == told(before)
    assert ("v2", EXPIRED if stale_seconds else MISS) == told(after)


def test_every_field_of_a_query_tells_answers_apart() -> None:
    """Nothing that could be another answer is a hit."""
    here = world()
    queries = [
        DB,
        Query.secret("db", "v1"),
        Query.secret("db", None, "AWSPREVIOUS"),
        Query.parameter("db"),
        Query.parameter("db", decrypt=True),
    ]
    for query in (*queries, *queries):
        here.store.get(query)

    assert queries == here.source.calls


def test_peeking_never_asks() -> None:
    """It gives what is held: a value, a refusal, or nothing."""
    here = world()
    nothing = here.store.peek(DB)
    here.store.get(DB)
    here.store.get(Query.secret("none"))

    assert nothing is None
    assert ("v1", HIT) == told(here.store.peek(DB) or pytest.fail("not held"))
    refusal = here.store.peek(Query.secret("none"))
    assert refusal is not None
    assert ("ResourceNotFoundException", REMEMBERED_REFUSAL) == told(refusal)
    assert len(here.source.calls) == 2


def test_a_value_that_was_read_by_name_is_a_hit_by_arn() -> None:
    """AWS told its ARN."""
    here = world()
    here.store.get(DB)

    assert ("v1", HIT) == told(here.store.get(DB_ARN))


def test_reading_by_one_name_costs_one_place() -> None:
    """A cache for one secret serves one secret."""
    here = world(max_entries=1)
    here.store.get(DB)

    assert ("v1", HIT) == told(here.store.get(DB))


@pytest.mark.parametrize(
    ("query", "options"),
    [
        (Query.secret("db", None, AWSPENDING), {}),
        (Query.secret("db", "v1", AWSPENDING), {}),
        (Query.parameter("db:AWSPENDING"), {}),
        (DB, {"ttl_seconds": 0.0}),
    ],
)
def test_what_must_not_be_held_is_asked_for_each_time(
    query: Query, options: dict[str, float]
) -> None:
    """AWSPENDING, and anything with a TTL of 0; their refusals neither."""
    here = world(stale_seconds=60.0, **options)
    answers = [here.store.get(query) for _ in range(2)]
    here.source.now["db"] = DENIED
    refusals = [here.store.get(query) for _ in range(2)]

    assert [("v1", BYPASS)] * 2 == [told(answer) for answer in answers]
    assert [("AccessDeniedException", MISS)] * 2 == [told(one) for one in refusals]
    assert len(here.source.calls) == 4
    assert len(here.cache) == 0


def test_without_a_cache_every_read_asks() -> None:
    """Size 0 is no cache."""
    here = world(max_entries=0)

    assert [("v1", MISS)] * 2 == [told(here.store.get(DB)) for _ in range(2)]
    assert len(here.source.calls) == 2


# --- refresh, and instead of


def test_a_refresh_asks_although_a_value_is_held() -> None:
    """What it brings is held from then on."""
    here = world()
    here.store.get(DB)
    here.source.now["db"] = "v2"

    assert ("v2", REQUESTED) == told(here.store.get(DB, refresh=True))
    assert ("v2", HIT) == told(here.store.get(DB))


def test_instead_of_another_version_is_a_hit() -> None:
    """The cache has moved on already: nobody needs to ask."""
    here = world()
    here.store.get(DB)

    assert ("v1", HIT) == told(here.store.get(DB, instead_of="v0"))
    assert len(here.source.calls) == 1


def test_instead_of_the_version_that_is_held_asks() -> None:
    """Whatever the source says then is the answer, also the same again."""
    here = world()
    here.store.get(DB)
    same = here.store.get(DB, instead_of="v1")
    here.source.now["db"] = "v2"
    other = here.store.get(DB, instead_of="v1")

    assert [("v1", REQUESTED), ("v2", REQUESTED)] == [told(same), told(other)]
    assert len(here.source.calls) == 3


def test_instead_of_does_not_repeat_a_refusal() -> None:
    """A refusal is no version that could have failed anybody."""
    here = world()
    here.source.now["db"] = DENIED
    here.store.get(DB)

    assert ("AccessDeniedException", REMEMBERED_REFUSAL) == told(
        here.store.get(DB, instead_of="v1")
    )
    assert len(here.source.calls) == 1


# --- refusals


def test_a_refusal_is_remembered_for_some_seconds() -> None:
    """A wrong name does not cost a call in each invocation."""
    here = world()
    here.source.now["db"] = DENIED
    first = here.store.get(DB)
    here.clock.tick(REFUSAL_SECONDS - 0.5)
    second = here.store.get(DB)
    here.clock.tick(0.5)
    here.source.now["db"] = "v1"
    third = here.store.get(DB)

    assert [
        ("AccessDeniedException", MISS),
        ("AccessDeniedException", REMEMBERED_REFUSAL),
        ("v1", MISS),
    ] == [told(first), told(second), told(third)]


def test_a_new_sheet_ends_all_refusals() -> None:
    """A secret may have been made or restored."""
    here = world()
    here.source.now["db"] = DENIED
    here.store.get(DB)
    here.source.now["db"] = "v1"
    here.store.apply(edition(1, {"another": ("v9", 5)}))

    assert ("v1", MISS) == told(here.store.get(DB))


def test_a_refresh_ends_a_refusal() -> None:
    """It does not ask what is remembered."""
    here = world()
    here.source.now["db"] = DENIED
    here.store.get(DB)
    here.source.now["db"] = "v1"

    assert ("v1", REQUESTED) == told(here.store.get(DB, refresh=True))
    assert ("v1", HIT) == told(here.store.get(DB))


@pytest.mark.parametrize("options", [{}, {"refresh": True}, {"instead_of": "v1"}])
def test_after_a_refusal_nothing_stale_is_served(options: dict[str, Any]) -> None:
    """Not then, and not when the source fails later: access was taken away."""
    here = world(stale_seconds=3600.0)
    here.store.get(DB)
    here.clock.tick(300)
    here.source.now["db"] = DENIED
    refused = here.store.get(DB, **options)
    here.clock.tick(REFUSAL_SECONDS)
    here.source.now["db"] = DOWN

    assert version_of(refused) == "AccessDeniedException"
    assert ("ServiceUnavailable", MISS) == told(here.store.get(DB))


# --- failures


@pytest.mark.parametrize(
    "failure", [DOWN, AwsThrottledError("Slow", "down"), AwsTimeoutError("late")]
)
def test_a_failing_source_is_covered_by_a_stale_value(
    failure: AwsUnavailableError,
) -> None:
    """Until its window ends; then the failure is told."""
    here = world(stale_seconds=60.0)
    here.store.get(DB)
    here.source.now["db"] = failure
    here.clock.tick(300)
    first = here.store.get(DB)
    here.clock.tick(59)
    last = here.store.get(DB)
    here.clock.tick(1)
    after = here.store.get(DB)

    assert ("v1", STALE_IF_ERROR) == told(first) == told(last)
    assert first.fresh_seconds == 0.0
    assert (failure, MISS) == (after.outcome, after.how)


def test_an_evicted_value_covers_for_its_source_too() -> None:
    """It is outdated, but better than none; the answer says so."""
    here = world(stale_seconds=60.0)
    here.store.get(DB)
    here.source.now["db"] = DOWN
    here.store.apply(edition(1, {"db": ("v2", 5)}))

    assert ("v1", STALE_IF_ERROR) == told(here.store.get(DB))


@pytest.mark.parametrize("evict", [True, False])
def test_without_a_window_a_failure_is_told(*, evict: bool) -> None:
    """Also when what was evicted is still there."""
    here = world()
    here.store.get(DB)
    here.source.now["db"] = DOWN
    if evict:
        here.store.apply(edition(1, {"db": ("v2", 5)}))
    else:
        here.clock.tick(300)
    answers = [here.store.get(DB) for _ in range(2)]

    assert [DOWN, DOWN] == [answer.outcome for answer in answers]
    assert len(here.source.calls) == 3


def test_a_failing_source_is_left_alone_for_a_moment() -> None:
    """Reads go on with the stale value; then one of them tries again."""
    here = world(stale_seconds=60.0)
    here.store.get(DB)
    here.clock.tick(300)
    here.source.now["db"] = DOWN
    for _ in range(3):
        assert ("v1", STALE_IF_ERROR) == told(here.store.get(DB))
    calls = len(here.source.calls)
    here.clock.tick(REST_SECONDS)
    here.source.now["db"] = "v2"

    assert calls == 2
    assert ("v2", EXPIRED) == told(here.store.get(DB))


@pytest.mark.parametrize("options", [{"refresh": True}, {"instead_of": "v1"}])
@pytest.mark.parametrize("seconds", [0, 300])
def test_who_asks_for_the_source_itself_gets_nothing_stale(
    options: dict[str, Any], seconds: int
) -> None:
    """It gets the failure; what is held stays for the others."""
    here = world(stale_seconds=60.0)
    here.store.get(DB)
    here.clock.tick(seconds)
    here.source.now["db"] = DOWN
    forced = here.store.get(DB, **options)
    plain = here.store.get(DB)

    assert (DOWN, REQUESTED) == (forced.outcome, forced.how)
    assert ("v1", STALE_IF_ERROR if seconds else HIT) == told(plain)
    assert len(here.source.calls) == 2


@pytest.mark.parametrize("options", [{"refresh": True}, {"instead_of": "v1"}])
def test_a_failed_refresh_does_not_keep_an_outdated_value_in_service(
    options: dict[str, Any],
) -> None:
    """The source is back when the stamp comes: it is asked."""
    here = world(stale_seconds=60.0)
    here.store.get(DB)
    here.source.now["db"] = DOWN
    here.store.get(DB, **options)
    here.source.now["db"] = "v2"
    here.store.apply(edition(1, {"db": ("v2", 5)}))

    assert ("v2", EXPIRED) == told(here.store.get(DB))


def test_a_failed_refresh_of_a_fresh_value_does_not_outlast_its_ttl() -> None:
    """Nobody was served a stale value: nobody has tried in vain yet."""
    here = world(stale_seconds=60.0)
    here.store.get(DB)
    here.clock.tick(300 - REST_SECONDS / 2)
    here.source.now["db"] = DOWN
    here.store.get(DB, refresh=True)
    here.clock.tick(REST_SECONDS / 2)
    here.source.now["db"] = "v2"

    assert ("v2", EXPIRED) == told(here.store.get(DB))


def test_instead_of_does_not_take_a_stale_value_of_another_version() -> None:
    """It asks, although the source rests."""
    here = world(stale_seconds=60.0)
    here.store.get(DB)
    here.clock.tick(300)
    here.source.now["db"] = DOWN
    here.store.get(DB)

    assert here.store.get(DB, instead_of="v0").outcome == DOWN


def test_patience_is_short_only_where_something_can_be_served_instead() -> None:
    """A read that has a stale value to fall back on does not wait for long."""
    here = world(stale_seconds=60.0)
    here.store.get(DB)
    here.store.get(DB, refresh=True)
    here.clock.tick(300)
    here.store.get(DB, instead_of="v1")
    here.clock.tick(300)
    here.store.get(DB)
    here.clock.tick(360)
    here.store.get(DB)

    assert [None, None, None, PATIENCE_SECONDS, None] == here.source.timeouts


def test_patience_is_long_without_a_window() -> None:
    """Also while an evicted value is still there: it may not be served."""
    here = world()
    here.store.get(DB)
    here.store.apply(edition(1, {"db": ("v2", 5)}))
    here.store.get(DB)

    assert [None, None] == here.source.timeouts


def test_patience_is_long_for_what_a_stamp_outdated() -> None:
    """A slow source is not a failing one: its new value is worth the wait."""
    here = world(stale_seconds=60.0)
    here.store.get(DB)
    here.store.apply(edition(1, {"db": ("v2", 5)}))
    here.store.get(DB)  # the source is behind, so this answer is in doubt as well
    here.store.get(DB)
    here.clock.tick(300)
    here.store.get(DB)

    assert [None, None, None, None] == here.source.timeouts


def test_a_fault_in_the_source_ends_the_read_and_nothing_else() -> None:
    """It is logged, told as a failure, covered if that can be, and tried again."""
    here = world(stale_seconds=60.0)
    here.source.now["db"] = RuntimeError("a bug")
    fault = here.store.get(DB)
    here.source.now["db"] = "v1"
    healed = here.store.get(DB)
    here.clock.tick(300)
    here.source.now["db"] = RuntimeError("a bug")
    covered = here.store.get(DB)

    assert (BROKEN_OFF, MISS) == told(fault)
    assert ("v1", MISS) == told(healed)
    assert ("v1", STALE_IF_ERROR) == told(covered)
    assert "a fetch broke off" in [line["message"] for line in lines(here)]


@pytest.mark.parametrize("error", [DENIED, DOWN])
def test_an_error_that_is_kept_keeps_no_frames(error: AwsError) -> None:
    """Their local names hold answers of AWS, values included."""
    here = world()
    here.source.now["db"] = error
    outcome = here.store.get(DB).outcome

    assert outcome is error
    assert outcome.__traceback__ is None


def test_an_end_of_the_thread_leaves_no_flight_behind() -> None:
    """Even what no code catches lets the next read ask."""
    here = world()
    here.source.now["db"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        here.store.get(DB)
    here.source.now["db"] = "v1"

    assert ("v1", MISS) == told(here.store.get(DB))


def test_a_service_that_nobody_configured_leaves_no_flight_behind() -> None:
    """A fault while landing is the reader's alone."""
    here = world()
    unknown = Query("kms", "db")
    for _ in range(2):
        with pytest.raises(KeyError):
            here.store.get(unknown)

    assert [unknown, unknown] == here.source.calls


# --- the log


def test_failures_and_evictions_are_logged_without_values() -> None:
    """Which secret, why, and what was served instead."""
    here = world(stale_seconds=60.0)
    here.store.get(DB)
    here.store.apply(edition(1, {"db": ("v2", 5)}))
    here.source.now["db"] = DOWN
    here.store.get(DB)
    evicted, failed = lines(here)

    assert ("evicted", "stamped", ["db"], 1) == tuple(
        evicted[key] for key in ("message", "reason", "names", "generation")
    )
    assert ("db", "ServiceUnavailable", "come back later", STALE_IF_ERROR) == tuple(
        failed[key] for key in ("name", "code", "reason", "served")
    )
    assert "payload" not in here.lines.getvalue()


# --- stamps


def test_a_stamp_evicts_what_it_outdates_and_nothing_else() -> None:
    """Only the changed secret is fetched again."""
    here = world()
    here.source.now["other"] = "v1"
    for query in (DB, Query.secret("other")):
        here.store.get(query)
    here.source.now["db"] = "v2"
    here.store.apply(edition(1, {"db": ("v2", 5)}))

    assert here.store.peek(DB) is None
    assert ("v1", HIT) == told(here.store.get(Query.secret("other")))
    assert ("v2", EXPIRED) == told(here.store.get(DB))
    assert len(here.source.calls) == 3


def test_the_same_sheet_again_evicts_nothing() -> None:
    """A check that finds nothing new is none of the cache's business."""
    here = world()
    sheet = edition(1, {"db": ("v2", 5)})
    here.store.apply(sheet)
    here.source.now["db"] = "v2"
    here.store.get(DB)
    epoch = here.store.epoch
    here.store.apply(edition(1, {"db": ("v2", 5)}))

    assert ("v2", HIT) == told(here.store.get(DB))
    assert here.store.epoch == epoch
    assert lines(here) == []


@pytest.mark.parametrize(
    ("doubtful", "reason"),
    [
        (edition(1, {}), "recreated"),
        (edition(6, {}, born=2), "recreated"),
        (edition(7, {}, horizon=6), "forgotten"),
        (edition(8, {}, base=5), "overwritten"),
    ],
)
def test_a_sheet_that_may_have_forgotten_evicts_all(doubtful: Any, reason: str) -> None:
    """All but fixed versions: no stamp ever spoke of those."""
    here = world()
    fixed = Query.secret("db", "v1")
    here.store.apply(edition(5, {}))
    for query in (DB, fixed):
        here.store.get(query)
    here.store.apply(doubtful)

    assert here.store.peek(DB) is None
    assert here.store.peek(fixed) is not None
    assert [reason] == [line["reason"] for line in lines(here)]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_label_goes_with_every_change_of_its_secret(version: str) -> None:
    """AWSPREVIOUS moves when AWSCURRENT does, whatever version it was on."""
    here = world()
    here.source.now["db"] = version
    previous = Query.secret("db", None, "AWSPREVIOUS")
    here.store.apply(edition(1, {"db": ("v1", 5)}))
    here.store.get(previous)
    here.store.apply(edition(2, {"db": ("v2", 6)}))

    assert here.store.peek(previous) is None


def test_a_fixed_version_stays() -> None:
    """It cannot change."""
    here = world()
    fixed = Query.secret("db", "v1")
    here.store.get(fixed)
    here.store.apply(edition(1, {"db": ("v2", 6)}))

    assert ("v1", HIT) == told(here.store.get(fixed))


def test_a_stamp_that_names_what_is_held_evicts_nothing() -> None:
    """The event may come after the read that has seen the change already."""
    here = world()
    here.source.now["db"] = "v2"
    here.store.get(DB)
    here.store.apply(edition(1, {"db": ("v2", 5)}))

    assert ("v2", HIT) == told(here.store.get(DB))


# --- a source that is behind its stamp


def ask_again(here: World, seconds: float) -> int:
    """Read every tenth of a second for so long; how often the source was asked."""
    before = len(here.source.calls)
    for _ in range(round(seconds * 10)):
        assert isinstance(here.store.get(DB).outcome, Fetched)
        here.clock.tick(0.1)
    return len(here.source.calls) - before


@pytest.mark.parametrize("stale_seconds", [0.0, 60.0])
def test_a_source_that_is_behind_its_stamp_is_asked_again(stale_seconds: float) -> None:
    """The next reads ask, and the first new value is held at once."""
    here = world(stale_seconds=stale_seconds)
    here.store.get(DB)
    here.store.apply(edition(1, {"db": ("v2", 5)}))
    behind = [here.store.get(DB) for _ in range(2)]
    here.source.now["db"] = "v2"
    caught_up = here.store.get(DB)

    assert [("v1", EXPIRED)] * 2 == [told(answer) for answer in behind]
    assert [0.0, 0.0] == [answer.fresh_seconds for answer in behind]
    assert ("v2", EXPIRED) == told(caught_up)
    assert ("v2", HIT) == told(here.store.get(DB))


@pytest.mark.parametrize("stale_seconds", [0.0, 60.0])
def test_a_wrong_stamp_does_not_evict_for_ever(stale_seconds: float) -> None:
    """The source is asked a bounded number of times, and then believed."""
    here = world(stale_seconds=stale_seconds)
    here.store.apply(edition(1, {"db": ("v2", 5)}))
    asked = ask_again(here, sum(PROVISIONAL_SECONDS) + 1)

    assert len(PROVISIONAL_SECONDS) + 1 == asked
    assert ask_again(here, 100) == 0
    assert ("v1", HIT) == told(here.store.get(DB))


def test_a_new_stamp_is_given_a_new_chance() -> None:
    """What was accepted against one stamp is not accepted against the next."""
    here = world()
    here.store.apply(edition(1, {"db": ("v2", 5)}))
    first = ask_again(here, 10)
    here.store.apply(edition(2, {"db": ("v3", 6)}))

    assert first == ask_again(here, 10) == len(PROVISIONAL_SECONDS) + 1


@pytest.mark.parametrize("overwritten_by", [{}, {"db": ("v1", 4)}])
def test_a_stamp_that_was_seen_speaks_though_it_is_overwritten_meanwhile(
    overwritten_by: dict[str, tuple[str, int]],
) -> None:
    """The sheet that lacks it will be repaired, and has the same stamp again then."""
    here = world()
    here.store.apply(edition(5, {"db": ("v2", 5)}))
    with here.source.gate("db") as gate:
        threads = here.store.prefetch([DB])
        gate.wait_for_arrival()
        here.store.apply(edition(6, overwritten_by, base=4))
    for thread in threads:
        thread.join(10)
    here.store.apply(edition(7, {"db": ("v2", 5)}))
    here.source.now["db"] = "v2"

    assert "v2" == version_of(here.store.get(DB))


def test_a_provisional_value_covers_for_its_source() -> None:
    """It is what there is."""
    here = world(stale_seconds=60.0)
    here.store.apply(edition(1, {"db": ("v2", 5)}))
    here.store.get(DB)
    here.source.now["db"] = DOWN

    assert ("v1", STALE_IF_ERROR) == told(here.store.get(DB))


# --- prefetch


def joined(here: World, *queries: Query, **ttls: float) -> None:
    """Prefetch, and wait."""
    here.store.expect(Prefetch(query, ttls.get(query.id)) for query in queries)
    for thread in here.store.prefetch(queries):
        thread.join(10)


def test_without_a_thread_for_it_a_prefetch_is_flown_by_its_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A flight that nobody flew would hold its readers for ever."""

    def cannot_start(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    here = world()
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", cannot_start)

        assert [] == here.store.prefetch([DB])
    assert ("v1", HIT) == told(here.store.get(DB))
    assert [[DB]] == here.source.batch_calls


def test_what_was_prefetched_is_a_hit_by_name_and_by_arn() -> None:
    """In as few calls as the source takes."""
    here = world()
    here.source.now |= {"a": "v7", "b": "v8"}
    joined(here, DB, Query.secret("a"), Query.secret("b"))

    assert [2, 1] == sorted((len(one) for one in here.source.batch_calls), reverse=True)
    assert ("v1", HIT) == told(here.store.get(DB))
    assert ("v1", HIT) == told(here.store.get(DB_ARN))
    assert ("v7", HIT) == told(here.store.get(Query.secret("a")))
    assert here.source.calls == []


def test_a_secret_may_have_a_ttl_of_its_own() -> None:
    """In the prefetch, and whenever it is fetched again."""
    here = world()
    here.source.now["a"] = "v7"
    joined(here, DB, Query.secret("a"), db=10.0)
    here.clock.tick(10)

    assert here.store.get(DB).fresh_seconds == 10.0
    assert here.store.get(Query.secret("a")).fresh_seconds == 290.0


def test_what_a_batch_leaves_out_is_asked_for_by_itself() -> None:
    """Where batches are denied, everything is."""
    here = world()
    here.source.now["a"] = "v7"
    here.source.left_out = {DB}
    joined(here, Query.secret("a"), DB)

    assert [DB] == here.source.calls
    assert ("v1", HIT) == told(here.store.get(DB))
    assert ("v7", HIT) == told(here.store.get(Query.secret("a")))


def test_a_refusal_in_a_batch_is_that_secrets_alone() -> None:
    """The others are held."""
    here = world()
    here.source.now["a"] = DENIED
    joined(here, Query.secret("a"), DB)

    assert ("AccessDeniedException", REMEMBERED_REFUSAL) == told(
        here.store.get(Query.secret("a"))
    )
    assert ("v1", HIT) == told(here.store.get(DB))


def test_a_fault_in_a_batch_is_made_good_one_by_one() -> None:
    """It is logged, and nobody waits for what will not come."""
    here = world()
    here.source.batch_error = RuntimeError("a bug")
    joined(here, DB)

    assert ("v1", HIT) == told(here.store.get(DB))
    assert ["a prefetch broke off"] == [line["message"] for line in lines(here)]


def test_a_prefetch_that_cannot_be_grouped_leaves_no_flight_behind() -> None:
    """A fault before anything left is the caller's."""
    here = world()

    def broken(queries: Iterable[Query]) -> list[list[Query]]:
        raise RuntimeError(queries)

    here.source.batches = broken  # type: ignore[method-assign]  # the fault to try
    with pytest.raises(RuntimeError):
        here.store.prefetch([DB])

    assert ("v1", MISS) == told(here.store.get(DB))


def test_a_prefetch_does_not_ask_for_what_is_in_flight() -> None:
    """A read that came first has asked already."""
    here = world()
    with here.source.gate("db") as gate:
        reader = here.start(DB)
        gate.wait_for_arrival()
        assert here.store.prefetch([DB]) == []
    assert ("v1", MISS) == told(reader.answer())


def test_what_is_never_held_is_not_prefetched() -> None:
    """It is asked for when it is read, and then again."""
    here = world()
    joined(here, DB, Query.secret("a", None, AWSPENDING), Query.secret("b"), b=0.0)

    assert [[DB]] == here.source.batch_calls


def again(here: World) -> None:
    """Prefetch what is in doubt, and wait."""
    for thread in here.store.prefetch_doubted():
        thread.join(10)


def test_what_a_sheet_doubts_after_a_prefetch_is_prefetched_again_once() -> None:
    """That alone: neither what it spares, nor what was refused or not found."""
    here = world()
    here.source.now |= {"spared": "v7", "denied": DENIED, "down": DOWN}
    names = ("db", "spared", "denied", "down", "missing")
    joined(here, *(Query.secret(name) for name in names))
    here.store.get(Query.secret("read", "v1"))
    here.source.now["db"] = "v2"
    here.store.apply(edition(1, {"db": ("v2", 5)}))
    here.source.batch_calls.clear()
    again(here)
    assert ("v2", HIT) == told(here.store.get(DB))
    here.store.apply(edition(2, {"db": ("v3", 6)}))
    again(here)

    assert [[DB]] == here.source.batch_calls


@pytest.mark.parametrize("source_has", ["v1", DENIED])
def test_what_a_sheet_outdates_during_a_prefetch_is_prefetched_again(
    source_has: str | AwsError,
) -> None:
    """A value; a refusal is for the next read to try."""
    here = world()
    here.source.now["db"] = source_has
    with here.source.gate("db") as gate:
        threads = here.store.prefetch([DB])
        gate.wait_for_arrival()
        here.store.apply(edition(1, {"db": ("v2", 5)}))
        here.source.now["db"] = "v2"
    for thread in threads:
        thread.join(10)
    again(here)

    calls = 2 if source_has == "v1" else 1
    assert [[DB]] * calls == here.source.batch_calls
    assert ("v2", HIT if calls == 2 else MISS) == told(here.store.get(DB))


def test_what_is_still_under_way_is_not_prefetched_again() -> None:
    """Who waits no longer for a prefetch does not start it twice."""
    here = world()
    with here.source.gate("db") as gate:
        threads = here.store.prefetch([DB])
        gate.wait_for_arrival()
        here.store.apply(edition(1, {"db": ("v2", 5)}))
        assert here.store.prefetch_doubted() == []
    for thread in threads:
        thread.join(10)


def test_what_was_read_since_is_not_prefetched_again() -> None:
    """The read has asked already."""
    here = world()
    joined(here, DB)
    here.source.now["db"] = "v2"
    here.store.apply(edition(1, {"db": ("v2", 5)}))
    here.store.get(DB)

    assert here.store.prefetch_doubted() == []


# --- sharing a flight


def test_all_who_ask_meanwhile_share_one_answer() -> None:
    """One fetch, one outcome."""
    here = world()
    with here.source.gate("db") as gate:
        readers = [here.start(DB)]
        gate.wait_for_arrival()
        readers += [here.start(DB) for _ in range(3)]
    answers = [reader.answer() for reader in readers]

    assert [answers[0]] * 4 == answers
    assert len(here.source.calls) == 1


def test_a_read_after_a_stamp_does_not_share_what_left_before_it() -> None:
    """Who asked before the sheet was seen gets the old value; nobody else does."""
    here = world()
    with here.source.gate("db") as gate:
        early = here.start(DB)
        gate.wait_for_arrival()
        here.store.apply(edition(1, {"db": ("v2", 5)}))
        here.source.now["db"] = "v2"
        late = here.start(DB)
    assert ("v1", MISS) == told(early.answer())
    assert ("v2", MISS) == told(late.answer())


def test_a_refresh_does_not_share_what_left_before_it() -> None:
    """It asks for what is true now."""
    here = world()
    with here.source.gate("db") as gate:
        early = here.start(DB)
        gate.wait_for_arrival()
        here.source.now["db"] = "v2"
        late = here.start(DB, refresh=True)
    assert ("v1", MISS) == told(early.answer())
    assert ("v2", REQUESTED) == told(late.answer())


def test_the_lock_is_held_for_the_cache_and_never_for_the_source() -> None:
    """Look and decide under it; ask outside; commit under it once more."""
    here = world(stale_seconds=60.0)
    lock = here.store._lock
    held: dict[str, set[bool]] = {}

    def watch(part: object, *names: str) -> None:
        for name in names:
            plain = getattr(part, name)

            def watched(
                *args: Any, _plain: Any = plain, _name: str = name, **options: Any
            ) -> Any:
                held.setdefault(_name, set()).add(lock.locked())
                return _plain(*args, **options)

            setattr(part, name, watched)

    watch(here.cache, "get", "fallback", "put", "drop", "evict")
    watch(here.source, "fetch", "fetch_many")
    here.store.get(DB)
    here.store.peek(DB)
    joined(here, Query.secret("other"))
    for outcome in ("v2", DOWN, DENIED):
        here.source.now["db"] = outcome
        here.store.get(DB, refresh=True)
    here.store.apply(edition(1, {"db": ("v2", 5)}))

    under, outside = {True}, {False}
    assert held == {
        **dict.fromkeys(("get", "fallback", "put", "drop", "evict"), under),
        **dict.fromkeys(("fetch", "fetch_many"), outside),
    }


# --- the epoch


def test_the_epoch_grows_whenever_an_answer_may_be_wrong() -> None:
    """After each fetch, whatever it brought, and with each new sheet."""
    here = world()
    epochs = [here.store.epoch]

    def note() -> None:
        epochs.append(here.store.epoch)

    here.store.get(DB)
    note()
    here.store.apply(edition(1, {}))
    note()
    here.source.now["db"] = DOWN
    here.store.get(DB, refresh=True)
    note()
    here.source.now["db"] = DENIED
    here.store.get(DB, refresh=True)
    note()
    here.source.now["other"] = "v1"
    joined(here, Query.secret("other"))
    note()

    assert sorted(set(epochs)) == epochs


def test_a_hit_leaves_the_epoch_alone() -> None:
    """What was prepared from it may be used again."""
    here = world()
    here.store.get(DB)
    epoch = here.store.epoch
    here.store.get(DB)
    here.store.peek(DB)

    assert epoch == here.store.epoch


# --- a snapshot of this process is still to be taken


def test_nothing_is_held_before_a_snapshot() -> None:
    """Values and refusals are passed on; a prefetch sends nothing."""
    here = world()
    here.store.hold_nothing()
    here.source.now["gone"] = DENIED

    for _ in range(2):
        assert ("v1", BYPASS) == told(here.store.get(DB))
        assert DENIED is here.store.get(Query.secret("gone")).outcome
    assert [] == here.store.prefetch([DB])
    assert 4 == len(here.source.calls)

    here.store.hold_from_now()
    here.store.get(DB)

    assert ("v1", HIT) == told(here.store.get(DB))


@pytest.mark.parametrize("brings", ["v1", DENIED, DOWN])
def test_what_left_before_a_restore_is_for_those_who_wait(
    brings: str | AwsError,
) -> None:
    """It is neither held nor remembered; and who comes after it asks anew."""
    here = world()
    here.store.hold_nothing()
    here.source.now["db"] = brings
    with here.source.gate("db") as gate:
        early = here.start(DB)
        gate.wait_for_arrival()
        here.store.hold_from_now()
    outcome = early.answer().outcome
    here.source.now["db"] = "v2"

    assert brings == (outcome if isinstance(brings, AwsError) else "v1")
    assert BYPASS == early.answer().how
    assert ("v2", MISS) == told(here.store.get(DB))
    assert ("v2", HIT) == told(here.store.get(DB))


def test_who_comes_after_a_restore_joins_nothing_from_before() -> None:
    """Its answer may have been on its way for days."""
    here = world()
    here.store.hold_nothing()
    with here.source.gate("db") as gate:
        early = here.start(DB)
        gate.wait_for_arrival()
        here.store.hold_from_now()
        here.source.now["db"] = "v2"
        for thread in here.store.prefetch([DB]):
            thread.join(5)

        assert ("v2", HIT) == told(here.store.get(DB))
    early.answer()

    assert ("v2", HIT) == told(here.store.get(DB))


# --- all of it, against a model


class Held(NamedTuple):
    """A value as the model has it; doubted if it contradicted the stamp."""

    version: int
    doubted: bool
    age_seconds: float = 0.0
    evicted: bool = False


@settings(max_examples=300, stateful_step_count=40)
class StoreAndModel(RuleBasedStateMachine):
    """One secret, its source and its sheet: what one read after another may get.

    The model knows, by hand, what is held, how old it is, and which stamp was seen
    before it was asked for.
    """

    TTL, STALE = 20.0, 30.0
    ASKED_AT_ONCE = PROVISIONAL_SECONDS.count(0.0) + 1

    def __init__(self) -> None:
        super().__init__()
        self.world = world(ttl_seconds=self.TTL, stale_seconds=self.STALE)
        self.version = 1
        self.state = "up"
        self.stamp: int | None = None
        self.generation = 0
        self.held: Held | None = None
        self.refused_seconds: float | None = None
        self.failed_seconds: float | None = None
        self.asked_in_a_row = 0

    @rule()
    def rotate(self) -> None:
        """The source has another version."""
        self.version += 1
        self._script()

    @rule(state=st.sampled_from(["up", "down", "denied"]))
    def change_state(self, state: str) -> None:
        """The source goes up or down, or denies."""
        self.state = state
        self.asked_in_a_row = 0
        self._script()

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0, 20.0, 50.0]))
    def tick(self, seconds: float) -> None:
        """Time passes."""
        self.world.clock.tick(seconds)
        self.asked_in_a_row = 0
        if self.held:
            age = self.held.age_seconds + seconds
            kept = age < self.TTL + self.STALE
            self.held = self.held._replace(age_seconds=age) if kept else None
        if self.refused_seconds is not None:
            self.refused_seconds += seconds
        if self.failed_seconds is not None:
            self.failed_seconds += seconds

    @rule(wrong=st.one_of(st.none(), st.integers(1, 3)))
    def stamp_it(self, wrong: int | None) -> None:
        """The sheet says what the source says, or anything."""
        self.generation += 1
        self.stamp = wrong or self.version
        self.refused_seconds = None
        self.asked_in_a_row = 0
        if self.held and self.stamp != self.held.version and not self.held.evicted:
            self.held = self.held._replace(evicted=True)
            self.failed_seconds = None
        self.world.store.apply(
            edition(self.generation, {"db": (f"v{self.stamp}", self.generation)})
        )

    @rule()
    def read(self) -> None:
        """What is held and good is served; else the source is asked, once."""
        calls = len(self.world.source.calls)
        got, how = told(self.world.store.get(DB))
        asked = len(self.world.source.calls) - calls
        if self._refusal_is_remembered():
            assert (got, how, asked) == (DENIED.code, REMEMBERED_REFUSAL, 0)
        elif self._is_good():
            assert self.held is not None
            assert (got, how, asked) == (f"v{self.held.version}", HIT, 0)
        elif self._is_provisional() and not asked:
            assert self.held is not None
            assert got == f"v{self.held.version}"
            assert how == HIT or (how == STALE_IF_ERROR and self._rests())
        elif self.held and self._rests():
            assert (got, how, asked) == (f"v{self.held.version}", STALE_IF_ERROR, 0)
        else:
            self._check_fetch(got, how, asked)

    @rule()
    def refresh(self) -> None:
        """The source's own word, whatever is held; what is fresh does not notice."""
        held = self.world.store.peek(DB)
        answer = self.world.store.get(DB, refresh=True)
        assert told(answer) == (self._word(), REQUESTED)
        self._note_fetch(fresh=held is not None and held.how == HIT)

    @invariant()
    def bounded(self) -> None:
        """One secret, one place."""
        assert len(self.world.cache) <= 1

    def _check_fetch(self, got: str, how: str, asked: int) -> None:
        assert asked == 1
        if self.state == "up":
            self.asked_in_a_row += 1
            assert self.asked_in_a_row <= self.ASKED_AT_ONCE
        if self.state == "down" and self.held:
            assert (got, how) == (f"v{self.held.version}", STALE_IF_ERROR)
        else:
            assert (got, how) == (self._word(), EXPIRED if self.held else MISS)
        self._note_fetch()

    def _note_fetch(self, *, fresh: bool = False) -> None:
        if self.state == "up":
            self.held = Held(self.version, self.stamp not in (None, self.version))
            self.refused_seconds = self.failed_seconds = None
        elif self.state == "denied":
            self.held = self.failed_seconds = None
            self.refused_seconds = 0.0
        elif self.held and not fresh:
            self.failed_seconds = 0.0

    def _is_good(self) -> bool:
        return self._is_fresh() and not (self.held and self.held.doubted)

    def _is_provisional(self) -> bool:
        return self._is_fresh() and bool(self.held and self.held.doubted)

    def _is_fresh(self) -> bool:
        held = self.held
        return held is not None and not held.evicted and held.age_seconds < self.TTL

    def _rests(self) -> bool:
        return self.failed_seconds is not None and self.failed_seconds < REST_SECONDS

    def _refusal_is_remembered(self) -> bool:
        return (
            self.refused_seconds is not None and self.refused_seconds < REFUSAL_SECONDS
        )

    def _word(self) -> str:
        if self.state == "up":
            return f"v{self.version}"
        return DOWN.code if self.state == "down" else DENIED.code

    def _script(self) -> None:
        outcomes: dict[str, str | BaseException] = {
            "up": f"v{self.version}",
            "down": DOWN,
            "denied": DENIED,
        }
        self.world.source.now["db"] = outcomes[self.state]


TestStoreAndModel = StoreAndModel.TestCase


def test_what_stood_in_a_variable_never_reaches_the_log() -> None:
    """A function may keep a password in SECRET_KEY; the line names the variable."""
    here = world()
    here.source.now["hunter2"] = AwsError("AccessDeniedException", "no: hunter2", 400)
    query = Query.secret("hunter2")
    here.store.expect([Prefetch(query, variable="SECRET_KEY")])
    for thread in here.store.prefetch([query]):
        thread.join(10)

    (line,) = lines(here)
    assert ("SECRET_KEY", "AccessDeniedException") == (line["name"], line["code"])
    assert "hunter2" not in here.lines.getvalue()


# --- what is counted, and told to a person


def test_evictions_are_counted_by_their_cause() -> None:
    """What a stamp evicted has a delay; what is doubted has none."""
    here = world()
    here.source.now["other"] = "v1"
    here.store.get(DB)
    here.store.get(Query.secret("other"))
    since = int(here.clock.now().wall)
    here.clock.tick(7)
    here.store.apply(edition(1, {"db": ("v2", since), "other": ("v2", since)}))

    assert {"EvictionsStamped": 2} == here.store.tally.counts()
    assert {"EvictionDelay": [7.0, 7.0]} == here.store.tally.take_latest()

    here.source.now["db"] = "v2"
    here.store.get(DB)
    here.store.apply(edition(9, {}, base=4))
    here.store.apply(edition(9, {}, base=4))

    assert {
        "EvictionsOverwritten": 1,
        "EvictionsStamped": 2,
    } == here.store.tally.counts()
    assert {} == here.store.tally.take_latest()


def test_a_sheet_that_evicts_nothing_counts_nothing() -> None:
    """Others' stamps are none of our business."""
    here = world()
    here.store.get(DB)
    here.store.apply(edition(1, {"other": ("v2", 5)}))

    assert {} == here.store.tally.counts()
    assert {} == here.store.tally.measured()


def test_what_is_held_can_be_looked_through() -> None:
    """Each entry, under the name that may be shown; and what the sheet said."""
    here = world(max_entries=1)
    here.store.expect([Prefetch(DB, None, "SECRET_DB")])
    here.store.get(DB)
    ((name, query, held),) = here.store.entries()

    assert ("SECRET_DB", DB, 300.0) == (name, query, held.ttl_seconds)
    assert here.store.view.applied == 0
    assert 0 == here.store.overflowed

    here.source.now["other"] = "v1"
    here.store.get(Query.secret("other"))
    here.store.apply(edition(1, {}))

    assert ["other"] == [name for name, _, _ in here.store.entries()]
    assert edition(1, {}) == here.store.view.edition
    assert 1 == here.store.overflowed


def test_each_decision_is_explained_on_demand() -> None:
    """A miss, a wait, a hit, a sheet; before that nothing is."""
    here = world()
    here.store.get(DB)

    assert [False, []] == [here.store.explains, lines(here)]

    told_of: list[str] = []
    here.store.explain(lambda message, **_: told_of.append(message))
    with here.source.gate("db") as gate:
        readers = [here.start(DB, refresh=True)]
        gate.wait_for_arrival()
        readers.append(here.start(DB, refresh=True))
        gate.open()
        for reader in readers:
            reader.answer()

    assert here.store.explains
    assert {
        "asking the source",
        "waiting for the source",
        "the source answered",
    } == set(told_of)

    told_of.clear()
    here.store.get(DB)
    here.store.peek(DB)
    here.store.apply(edition(1, {}))
    for thread in here.store.prefetch([Query.secret("other")]):
        thread.join(10)

    assert [
        "found in memory",
        "found in memory",
        "looked at the stamp sheet",
        "asking the source",
        "the source answered",
    ] == told_of
