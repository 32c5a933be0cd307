"""The cache: fresh, stale or gone at a given moment, and never more than its bound."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rotaware.cache import PROVISIONAL_SECONDS, REST_SECONDS, Cache, Entry
from rotaware.clock import Instant
from rotaware.errors import AwsError
from rotaware.secret import Fetched, Query
from rotaware.sheet import Stamp, subject_of, version_digest
from tests.support.clock import ManualClock
from tests.support.fake_source import arn_of, fetched

QUERY = Query.secret("db")
SUBJECT = subject_of(arn_of("db"))
START = Instant(1_000.0, 50.0)
REFUSAL = AwsError("AccessDeniedException", "no")
NEW, OTHER = Stamp(version_digest("v2"), 7), Stamp(version_digest("v2"), 8)


def later(wall: float, monotonic: float | None = None) -> Instant:
    """Some seconds after the start; the wall clock's, if only they are given."""
    passed = wall if monotonic is None else monotonic
    return Instant(START.wall + wall, START.monotonic + passed)


def entry(
    version: str = "v1",
    ttl_seconds: float = 300.0,
    *,
    query: Query = QUERY,
    at: Instant = START,
    remembered: Stamp | None = None,
) -> Entry:
    """A value that was asked for at a moment."""
    return Entry(fetched(query, version), at, ttl_seconds, remembered)


def filled(*entries: Entry, stale_seconds: float = 0.0) -> Cache:
    """A cache that holds the last of these for ``QUERY``."""
    cache = Cache(10, stale_seconds)
    for one in entries:
        cache.put(QUERY, one, one.asked_at)
    return cache


@pytest.mark.parametrize(
    ("now", "fresh_seconds"),
    [
        (later(0), 300.0),
        (later(100), 200.0),
        (later(299.5), 0.5),
        (later(300), 0.0),
        (later(400), 0.0),
        (later(100, 0), 200.0),  # frozen
        (later(0, 100), 200.0),  # the wall clock stood
        (later(300, 1), 0.0),
        (later(1, 300), 0.0),
        (later(100, -40), 200.0),  # restored: the monotonic clock began anew
        (later(-0.1, 10), 0.0),  # the wall clock was stepped back
    ],
)
def test_freshness_ends_exactly_with_the_ttl(
    now: Instant, fresh_seconds: float
) -> None:
    """It is the TTL less the age, on the clock that counted more."""
    assert fresh_seconds == entry().fresh_seconds(now)


@pytest.mark.parametrize(
    ("stale_seconds", "now", "held"),
    [
        (0.0, later(299.9), True),
        (0.0, later(300), False),
        (0.0, later(300, 0), False),
        (0.0, later(0, 300), False),
        (60.0, later(300), True),
        (60.0, later(359.9), True),
        (60.0, later(360), False),
        (60.0, later(360, 0), False),
        (60.0, later(0, 360), False),
        (60.0, later(-1, 1), False),
        (float("inf"), later(1e9), True),
    ],
)
def test_an_entry_is_held_until_its_stale_window_ends(
    stale_seconds: float, now: Instant, *, held: bool
) -> None:
    """TTL and window together, exactly; then it is as if it had never been."""
    cache = filled(entry(), stale_seconds=stale_seconds)

    assert held == (cache.get(QUERY, now) is not None)


def test_what_was_found_too_old_does_not_come_back() -> None:
    """A wall clock that is set back and forth makes nothing fresh again."""
    cache = filled(entry())

    assert cache.get(QUERY, later(-10, 1)) is None
    assert cache.get(QUERY, later(2)) is None


@pytest.mark.parametrize("now", [later(5), later(5, 0), later(0, 5)])
def test_a_refusal_is_forgotten_when_its_time_is_over(now: Instant) -> None:
    """It has no stale window, and takes no place from values."""
    cache = filled(Entry(REFUSAL, START, 5.0), stale_seconds=3600.0)

    assert cache.get(QUERY, later(4.9)) is not None
    assert cache.get(QUERY, now) is None


def test_the_later_entry_counts() -> None:
    """Put replaces."""
    cache = filled(entry("v1"), entry("v2"))
    held = cache.get(QUERY, START)

    assert held is not None
    assert isinstance(held.outcome, Fetched)
    assert held.outcome.version == "v2"
    assert len(cache) == 1


@pytest.mark.parametrize("ttl_seconds", [0.0, -1.0])
def test_a_ttl_of_zero_holds_neither_the_new_nor_the_old(ttl_seconds: float) -> None:
    """An answer that must not be held outdates the one that is."""
    cache = filled(entry(), stale_seconds=60.0)
    cache.put(QUERY, entry(ttl_seconds=ttl_seconds), START)

    assert cache.get(QUERY, START) is None


def test_a_cache_of_size_zero_holds_nothing() -> None:
    """Nor does it fail."""
    cache = Cache(0, 3600.0)
    cache.put(QUERY, entry(), START)
    cache.drop(QUERY)

    assert cache.get(QUERY, START) is None
    assert cache.evict(lambda _, __: True, START) == []
    assert len(cache) == 0


def test_dropping_forgets() -> None:
    """Also what is not there."""
    cache = filled(entry())
    cache.drop(QUERY)
    cache.drop(QUERY)

    assert cache.get(QUERY, START) is None


# --- the bound


def put(cache: Cache, *names: str) -> None:
    """Hold an entry for each of these names."""
    for name in names:
        query = Query.secret(name)
        cache.put(query, entry(query=query), START)


def kept(cache: Cache, names: str) -> str:
    """Which of these names are held; the looking does not count as use."""
    held = {query.id for query, _ in cache._all()}
    return "".join(name for name in names if name in held)


def test_the_least_recently_used_goes_first() -> None:
    """Reading counts as use, and so does writing."""
    cache = Cache(3, 0.0)
    put(cache, *"abc")
    cache.get(Query.secret("a"), START)
    put(cache, "b", "d")

    assert kept(cache, "abcd") == "abd"
    assert len(cache) == 3


def test_what_had_to_make_room_is_counted() -> None:
    """Not what was replaced or dropped, nor what would have expired anyway."""
    cache = Cache(2, 0.0)
    put(cache, "a", "b", "b")

    assert 0 == cache.overflowed

    put(cache, "c")

    assert 1 == cache.overflowed

    cache.drop(Query.secret("b"))
    put(cache, "d")
    expired = later(400)
    cache.put(Query.secret("e"), entry(at=expired), expired)

    assert 1 == cache.overflowed


def test_looking_through_all_is_no_use() -> None:
    """What was used least still goes first; what is too old is left out."""
    cache = Cache(2, 0.0)
    put(cache, "a", "b")
    cache.get(Query.secret("a"), START)
    looked_at = [query.id for query, _ in cache.entries(START)]
    put(cache, "c")

    assert ["a", "b"] == sorted(looked_at)
    assert "ac" == kept(cache, "abc")
    assert [] == cache.entries(later(300))


def test_an_eviction_is_no_use() -> None:
    """Looking through all entries, and marking one, leaves the order as it was."""
    cache = Cache(3, 60.0)
    put(cache, *"abc")
    cache.get(Query.secret("a"), START)
    cache.evict(lambda query, _: query.id == "b", START)
    put(cache, "d")

    assert kept(cache, "abcd") == "acd"


def test_what_has_expired_goes_before_what_was_used_least() -> None:
    """A place that nobody can use any more is free."""
    cache = Cache(2, 0.0)
    put(cache, "a")
    brief = Query.secret("b")
    cache.put(brief, entry(query=brief, ttl_seconds=10.0), START)
    cache.put(Query.secret("c"), entry(query=Query.secret("c")), later(10))

    assert kept(cache, "abc") == "ac"


# --- eviction


def test_eviction_ends_freshness_and_leaves_the_value_for_errors() -> None:
    """Evicted is stale, not gone; a second eviction does not name it again."""
    cache = filled(entry(), stale_seconds=60.0)

    assert cache.evict(lambda _, __: True, START) == [QUERY]
    assert cache.evict(lambda _, __: True, START) == []
    held = cache.get(QUERY, START)
    assert held is not None
    assert held.fresh_seconds(START) == 0.0
    assert cache.fallback(QUERY, START) == held


def test_eviction_ends_the_rest_of_its_source() -> None:
    """That it failed before says nothing about who asks because of the eviction."""
    cache = filled(entry()._replace(failed_at=later(1)), stale_seconds=60.0)
    cache.evict(lambda _, __: True, later(1))
    held = cache.get(QUERY, later(1))

    assert held is not None
    assert not held.is_resting(later(1))


@pytest.mark.parametrize(
    ("one", "doubted"),
    [
        (entry(), False),
        (entry()._replace(evicted=True), True),
        (entry().weighed({SUBJECT: NEW}, None), True),
        (entry("v2").weighed({SUBJECT: NEW}, None), False),
    ],
)
def test_what_a_sheet_spoke_against_is_in_doubt(one: Entry, *, doubted: bool) -> None:
    """Not what is only old."""
    assert doubted == one.is_doubted


def test_eviction_asks_about_each_value_and_spares_the_rest() -> None:
    """What is not outdated stays as it is."""
    cache = Cache(10, 0.0)
    put(cache, "a", "b")
    asked = []

    def outdated(query: Query, one: Entry) -> bool:
        asked.append((query.id, one.arn))
        return query.id == "a"

    assert cache.evict(outdated, START) == [Query.secret("a")]
    assert sorted(asked) == [("a", arn_of("a")), ("b", arn_of("b"))]
    spared = cache.get(Query.secret("b"), START)
    assert spared is not None
    assert not spared.evicted


def test_eviction_forgets_refusals() -> None:
    """What changed may be allowed now; they are not counted as evicted."""
    cache = filled(Entry(REFUSAL, START, 5.0))

    assert cache.evict(lambda _, __: False, START) == []
    assert cache.get(QUERY, START) is None


# --- what may stand in


def test_there_is_no_fallback_without_a_window() -> None:
    """Not even while the entry is held."""
    assert filled(entry()).fallback(QUERY, START) is None


@pytest.mark.parametrize(
    ("now", "there"), [(START, True), (later(359.9), True), (later(360), False)]
)
def test_a_fallback_lasts_as_long_as_the_window(now: Instant, *, there: bool) -> None:
    """Fresh or stale, until TTL and window are over."""
    cache = filled(entry(), stale_seconds=60.0)

    assert there == (cache.fallback(QUERY, now) is not None)


def test_a_refusal_is_no_fallback() -> None:
    """A value may stand in for an answer; a refusal may not."""
    cache = filled(Entry(REFUSAL, START, 5.0), stale_seconds=60.0)

    assert cache.fallback(QUERY, START) is None


@pytest.mark.parametrize(
    ("failed_at", "now", "resting"),
    [
        (None, START, False),
        (START, START, True),
        (START, later(REST_SECONDS - 0.1), True),
        (START, later(REST_SECONDS), False),
        (START, later(REST_SECONDS, 0), False),
    ],
)
def test_a_failing_source_is_left_alone_for_a_moment(
    failed_at: Instant | None, now: Instant, *, resting: bool
) -> None:
    """It rests from the failure on, on the clock that counted more."""
    assert resting == entry()._replace(failed_at=failed_at).is_resting(now)


# --- names and ARNs


BY_ARN = QUERY._replace(id=arn_of("db"))


def test_a_value_that_was_read_by_name_is_a_hit_by_arn() -> None:
    """It is the same secret: AWS said so."""
    cache = filled(entry("v1"))
    held = cache.get(BY_ARN, later(10))

    assert held == cache.get(QUERY, later(10))
    assert held is not None
    assert held.fresh_seconds(later(10)) == 290.0


def test_what_was_found_by_arn_is_held_by_arn() -> None:
    """The name may go: reads by ARN are no use of it."""
    cache = filled(entry())
    cache.get(BY_ARN, START)
    cache.drop(QUERY)

    assert cache.get(BY_ARN, START) is not None


@pytest.mark.parametrize(
    "query",
    [
        BY_ARN._replace(id=arn_of("other")),
        BY_ARN._replace(version="v1"),
        BY_ARN._replace(label="AWSPREVIOUS"),
        BY_ARN._replace(decrypt=False),
        BY_ARN._replace(service="ssm"),
        QUERY._replace(id="other"),
        QUERY._replace(id="arn"),
    ],
)
def test_an_arn_finds_only_the_very_same_question(query: Query) -> None:
    """Another version, label or way to decrypt is another answer."""
    assert filled(entry()).get(query, START) is None


def test_an_arn_finds_the_youngest_of_several_names() -> None:
    """A secret has a name, and an ARN without its suffix."""
    cache = Cache(10, 60.0)
    partial = QUERY._replace(id=BY_ARN.id.rpartition("-")[0])
    for name, version, ttl, at in (
        (partial, "v1", 900.0, START),
        (QUERY, "v2", 100.0, later(1)),
    ):
        one = entry(version, ttl, at=at)
        cache.put(name, one, later(1))
    held = cache.get(BY_ARN, later(1))

    assert held == cache.get(QUERY, later(1))


@pytest.mark.parametrize("query", [QUERY, QUERY._replace(id=arn_of("other"))])
def test_a_refusal_or_another_secret_is_not_found_by_arn(query: Query) -> None:
    """Only a value that came with this ARN."""
    cache = Cache(10, 60.0)
    cache.put(query, Entry(REFUSAL, START, 5.0), START)

    assert cache.get(BY_ARN, START) is None


def test_a_stale_value_is_not_taken_over() -> None:
    """After a refusal of the ARN, what its name brought before must not stand in."""
    cache = filled(entry(), stale_seconds=60.0)

    assert cache.get(BY_ARN, later(300)) is None


# --- stamps


@pytest.mark.parametrize(
    ("one", "stamps", "doubted", "outdated"),
    [
        (entry("v1"), {}, False, False),
        (entry("v1"), {}, True, True),
        (entry("v1"), {"another": NEW}, False, False),
        (entry("v1"), {SUBJECT: NEW}, False, True),
        (entry("v2"), {SUBJECT: NEW}, False, False),
        (entry("v2"), {SUBJECT: NEW}, True, True),
        (entry("v1", remembered=NEW), {SUBJECT: NEW}, False, False),
        (entry("v1", remembered=NEW), {SUBJECT: OTHER}, False, True),
        (entry("v2", remembered=NEW), {SUBJECT: OTHER}, False, False),
        # a label that may have moved along
        (
            entry("v2", query=QUERY._replace(label="AWSPREVIOUS")),
            {SUBJECT: NEW},
            False,
            True,
        ),
        (
            entry("v2", query=QUERY._replace(label="AWSPREVIOUS"), remembered=NEW),
            {SUBJECT: NEW},
            False,
            False,
        ),
        # a fixed version, and a refusal
        (entry("v1", query=Query.secret("db", "v1")), {SUBJECT: NEW}, True, False),
        (Entry(REFUSAL, START, 5.0), {SUBJECT: NEW}, True, False),
    ],
)
def test_a_stamp_outdates_another_version_of_its_subject(
    one: Entry, stamps: dict[str, Stamp], *, doubted: bool, outdated: bool
) -> None:
    """A changed stamp, unless it names what is held; labels always; versions never."""
    assert outdated == one.is_outdated(stamps, doubted=doubted)


@pytest.mark.parametrize(
    ("one", "stamps"),
    [
        (entry("v1"), {}),
        (entry("v1"), {"another": NEW}),
        (entry("v2", remembered=NEW), {SUBJECT: NEW}),
        (entry("v2", remembered=NEW), {}),
        (entry("v1", remembered=NEW), {SUBJECT: Stamp(version_digest("v1"), 9)}),
        (
            entry("v1", query=QUERY._replace(label="AWSPREVIOUS"), remembered=NEW),
            {SUBJECT: NEW},
        ),
        (entry("v1", query=Query.secret("db", "v1")), {SUBJECT: NEW}),
        (Entry(REFUSAL, START, 5.0), {SUBJECT: NEW}),
    ],
)
def test_what_does_not_contradict_its_stamp_is_good_for_its_ttl(
    one: Entry, stamps: dict[str, Stamp]
) -> None:
    """No stamp, the stamped version, another label, a fixed version, a refusal."""
    assert one == one.weighed(stamps, None)


@pytest.mark.parametrize(
    "stamps",
    [{SUBJECT: NEW}, {}, {SUBJECT: Stamp(version_digest("v1"), 6)}],
    ids=["the sheet says it", "it said it", "it says what was before"],
)
def test_a_contradiction_is_good_for_longer_each_time_and_then_accepted(
    stamps: dict[str, Stamp],
) -> None:
    """So a wrong stamp cannot evict for ever."""
    held: Entry | None = None
    good_for = []
    for _ in range(len(PROVISIONAL_SECONDS) + 2):
        held = entry("v1", remembered=NEW).weighed(stamps, held)
        good_for.append(held.fresh_seconds(START))

    assert good_for == [*PROVISIONAL_SECONDS, 300.0, 300.0]


@pytest.mark.parametrize(
    ("created", "good_for"),
    [(NEW.since - 1, 0.0), (NEW.since, 0.0), (NEW.since + 0.1, 300.0)],
)
def test_a_version_made_after_its_stamp_is_no_contradiction(
    created: float, good_for: float
) -> None:
    """A rotation is known to its source before it is stamped."""
    brought = fetched(QUERY, "v3")._replace(created=created)
    weighed = Entry(brought, START, 300.0, NEW).weighed({SUBJECT: NEW}, None)

    assert weighed.fresh_seconds(START) == good_for


def test_another_stamp_is_doubted_anew() -> None:
    """Only contradictions of the same stamp count together."""
    before = entry("v1", remembered=NEW)._replace(mismatches=5)
    weighed = entry("v1", remembered=OTHER).weighed({SUBJECT: OTHER}, before)

    assert weighed.mismatches == 1
    assert weighed.provisional_seconds == PROVISIONAL_SECONDS[0]


def test_a_contradiction_is_never_good_for_longer_than_the_ttl() -> None:
    """The TTL bounds everything."""
    before = entry("v1", remembered=NEW)._replace(mismatches=7)
    weighed = entry("v1", 0.5, remembered=NEW).weighed({SUBJECT: NEW}, before)

    assert weighed.fresh_seconds(START) == 0.5


@given(passed=st.floats(0, 1_000), ttl=st.floats(0.001, 500))
def test_no_entry_is_fresh_and_gone(passed: float, ttl: float) -> None:
    """What is fresh is held, to the last bit of the numbers."""
    one = entry(ttl_seconds=ttl)
    held = filled(one).get(QUERY, later(passed, 0))

    assert (one.fresh_seconds(later(passed, 0)) > 0.0) == (held is not None)


# --- all of it, against a model


class Modelled(NamedTuple):
    """An entry, as the plain model has it: ages on both clocks, counted by hand."""

    version: str | None
    ttl_seconds: float
    age_seconds: float = 0.0
    evicted: bool = False


@settings(max_examples=200, stateful_step_count=30)
class CacheAndModel(RuleBasedStateMachine):
    """The cache does what a dictionary of ages does, which is cut by hand."""

    SIZE = 3
    STALE_SECONDS = 20.0
    NAMES = st.sampled_from("abcde")
    TTLS = st.sampled_from([0.0, 10.0, 50.0])

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(monotonic=0.0)
        self.cache = Cache(self.SIZE, self.STALE_SECONDS)
        self.model: OrderedDict[str, Modelled] = OrderedDict()

    @rule(name=NAMES, version=st.sampled_from(["v1", "v2"]), ttl=TTLS)
    def put(self, name: str, version: str, ttl: float) -> None:
        """Hold a value."""
        query, now = Query.secret(name), self.clock.now()
        self.cache.put(query, Entry(fetched(query, version), now, ttl), now)
        self._put(name, Modelled(version, ttl))

    @rule(name=NAMES, ttl=TTLS)
    def refuse(self, name: str, ttl: float) -> None:
        """Remember a refusal."""
        now = self.clock.now()
        self.cache.put(Query.secret(name), Entry(REFUSAL, now, ttl), now)
        self._put(name, Modelled(None, ttl))

    @rule(name=NAMES)
    def get(self, name: str) -> None:
        """Read; whether it is there, which version, and how fresh."""
        now = self.clock.now()
        held = self.cache.get(Query.secret(name), now)
        expected = self.model.get(name)
        if expected is None:
            assert held is None
            return
        self.model.move_to_end(name)
        assert held is not None
        version = held.outcome.version if isinstance(held.outcome, Fetched) else None
        left = max(0.0, expected.ttl_seconds - expected.age_seconds)
        assert version == expected.version
        assert held.fresh_seconds(now) == (0.0 if expected.evicted else left)

    @rule(name=NAMES)
    def drop(self, name: str) -> None:
        """Forget."""
        self.cache.drop(Query.secret(name))
        self.model.pop(name, None)

    @rule(names=st.sets(NAMES))
    def evict(self, names: set[str]) -> None:
        """Outdate some."""
        evicted = self.cache.evict(lambda query, _: query.id in names, self.clock.now())
        hit = []
        for name, one in list(self.model.items()):
            if one.version is None:
                del self.model[name]
            elif name in names and not one.evicted:
                self.model[name] = one._replace(evicted=True)
                hit.append(name)
        assert sorted(hit) == sorted(query.id for query in evicted)

    @rule(seconds=st.sampled_from([1.0, 9.0, 10.0, 30.0, 60.0]))
    def tick(self, seconds: float) -> None:
        """Both clocks go on."""
        self.clock.tick(seconds)
        for name, one in list(self.model.items()):
            older = one._replace(age_seconds=one.age_seconds + seconds)
            stale = self.STALE_SECONDS if one.version else 0.0
            if older.age_seconds >= one.ttl_seconds + stale:
                del self.model[name]
            else:
                self.model[name] = older

    @invariant()
    def bounded(self) -> None:
        """Never more than its size."""
        assert len(self.cache) <= self.SIZE

    def _put(self, name: str, one: Modelled) -> None:
        self.model.pop(name, None)
        if one.ttl_seconds == 0:
            return
        if len(self.model) == self.SIZE:
            self.model.popitem(last=False)
        self.model[name] = one


TestCacheAndModel = CacheAndModel.TestCase
