"""Many readers, one source: who shares whose answer, and what a race cannot do.

Every race is built: a fetch is held at a gate with its answer in hand, the world goes
on, readers come, the gate opens.
"""

from __future__ import annotations

import sys
from threading import Barrier, Event, Thread, current_thread
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.errors import AwsError, AwsUnavailableError
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
from rotaware.secret import AWSPENDING, Query
from tests.support.fake_source import (
    DEADLINE_SECONDS,
    Reader,
    World,
    arn_of,
    edition,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotaware.sheet import Edition
    from rotaware.store import Store

DB = Query.secret("db")
DB_ARN = Query.secret(arn_of("db"))
DENIED = AwsError("AccessDeniedException", "no", 400)
DOWN = AwsUnavailableError("ServiceUnavailable", "come back later", 503)
V2 = {"db": ("v2", 5)}


@pytest.fixture
def world() -> World:
    """A store that serves stale on error, and a source with ``db`` at v1."""
    made = World(stale_seconds=60.0)
    made.source.now["db"] = "v1"
    return made


def told(answer: Answer) -> tuple[str, str]:
    """What a read got, and how."""
    return version_of(answer), answer.how


# --- one flight for all


@pytest.mark.parametrize("outcome", ["v1", DENIED, DOWN, RuntimeError("a bug")])
def test_a_crowd_makes_one_call(world: World, outcome: str | Exception) -> None:
    """64 readers who come together share one outcome, a failure too."""
    world.source.now["db"] = outcome
    barrier = Barrier(64)

    class Runner(Reader):
        def run(self) -> None:
            barrier.wait(DEADLINE_SECONDS)
            super().run()

    runners = [Runner(world.store, DB, {}) for _ in range(64)]
    with world.source.gate("db") as gate:
        for runner in runners:
            runner.start()
        gate.wait_for_arrival()
        for runner in runners:
            assert runner.came.wait(DEADLINE_SECONDS)
    answers = [runner.answer() for runner in runners]

    assert [answers[0]] * 64 == answers
    assert [DB] == world.source.calls


def test_a_shared_failure_is_not_repeated_in_series(world: World) -> None:
    """Who waited does not ask again, one after the other; who comes later does."""
    world.source.now["db"] = DOWN
    with world.source.gate("db") as gate:
        readers = [world.start(DB)]
        gate.wait_for_arrival()
        readers += [world.start(DB) for _ in range(10)]
    for reader in readers:
        assert reader.answer().outcome is DOWN

    assert len(world.source.calls) == 1
    assert world.store.get(DB).outcome is DOWN
    assert len(world.source.calls) == 2


def test_flights_for_different_queries_do_not_wait_for_each_other(
    world: World,
) -> None:
    """The lock is not held while the source is asked; hits go on as well."""
    world.source.now["other"] = "v7"
    world.store.get(Query.secret("other"))
    with world.source.gate("db") as gate:
        slow = world.start(DB)
        gate.wait_for_arrival()
        assert ("v7", HIT) == told(world.store.get(Query.secret("other")))
        assert ("v1", MISS) == told(world.store.get(Query.secret("db", "v1")))
        assert world.store.peek(DB) is None
    assert ("v1", MISS) == told(slow.answer())


# --- a sheet that is applied during a flight


@pytest.mark.parametrize(("ttl_seconds", "how"), [(300.0, MISS), (0.0, BYPASS)])
@pytest.mark.parametrize(
    "sheet",
    [
        edition(1, V2),
        edition(9, {}, base=3),  # overwritten: everything is in doubt
        edition(9, {}, horizon=8),  # forgotten
    ],
)
def test_a_read_after_a_newer_sheet_never_gets_what_it_outdates(
    ttl_seconds: float, how: str, sheet: Edition
) -> None:
    """Whether or not values are held: the flight that left before it is not enough."""
    world = World(ttl_seconds=ttl_seconds)
    world.source.now["db"] = "v1"
    with world.source.gate("db") as gate:
        early = world.start(DB)
        gate.wait_for_arrival()
        world.store.apply(sheet)
        world.source.now["db"] = "v2"
        late = [world.start(DB) for _ in range(8)]
    assert ("v1", how) == told(early.answer())
    assert {"v2"} == {version_of(reader.answer()) for reader in late}
    assert len(world.source.calls) == 2


def test_what_a_sheet_outdated_on_its_way_is_not_held(world: World) -> None:
    """Nor does it put an older value back in place."""
    world.store.get(DB)
    world.clock.tick(300)
    with world.source.gate("db") as gate:
        early = world.start(DB)
        gate.wait_for_arrival()
        world.store.apply(edition(1, V2))
    assert ("v1", EXPIRED) == told(early.answer())
    assert world.store.peek(DB) is None


def test_a_sheet_that_names_what_is_on_its_way_outdates_nothing(world: World) -> None:
    """The flight brings what the stamp names: everybody may share it."""
    world.source.now["db"] = "v2"
    with world.source.gate("db") as gate:
        early = world.start(DB)
        gate.wait_for_arrival()
        world.store.apply(edition(1, V2))
        late = world.start(DB)
    assert ("v2", MISS) == told(early.answer()) == told(late.answer())
    assert ("v2", HIT) == told(world.store.get(DB))
    assert len(world.source.calls) == 1


def test_a_sheet_about_another_secret_outdates_nothing(world: World) -> None:
    """Readers after it share the flight that left before it."""
    with world.source.gate("db") as gate:
        early = world.start(DB)
        gate.wait_for_arrival()
        world.store.apply(edition(1, {"other": ("v2", 5)}))
        late = world.start(DB)
    assert ("v1", MISS) == told(early.answer()) == told(late.answer())
    assert ("v1", HIT) == told(world.store.get(DB))


def test_a_fixed_version_is_shared_and_held_whatever_is_applied(world: World) -> None:
    """Not even a sheet in doubt says anything about it."""
    fixed = Query.secret("db", "v1")
    with world.source.gate("db") as gate:
        early = world.start(fixed)
        gate.wait_for_arrival()
        world.store.apply(edition(9, V2, base=3))
        late = world.start(fixed)
    assert ("v1", MISS) == told(early.answer()) == told(late.answer())
    assert ("v1", HIT) == told(world.store.get(fixed))


def test_a_label_that_was_fetched_before_the_stamp_is_not_held(world: World) -> None:
    """AWSPREVIOUS may have moved while it was under way."""
    previous = Query.secret("db", None, "AWSPREVIOUS")
    with world.source.gate("db") as gate:
        early = world.start(previous)
        gate.wait_for_arrival()
        world.store.apply(edition(1, V2))
    assert ("v1", MISS) == told(early.answer())
    assert world.store.peek(previous) is None


def test_the_second_stamp_on_the_way_counts_too(world: World) -> None:
    """A flight may be overtaken more than once; nobody gets lost."""
    with world.source.gate("db") as first:
        readers = [world.start(DB)]
        first.wait_for_arrival()
        world.store.apply(edition(1, V2))
        world.source.now["db"] = "v2"
        with world.source.gate("db") as second:
            readers.append(world.start(DB))
            first.open()
            second.wait_for_arrival()
            world.store.apply(edition(2, {"db": ("v3", 6)}))
            world.source.now["db"] = "v3"
            readers.append(world.start(DB))
    versions = [version_of(reader.answer()) for reader in readers]

    assert versions == ["v1", "v2", "v3"]
    assert ("v3", HIT) == told(world.store.get(DB))


def test_a_refusal_that_left_before_a_sheet_is_not_remembered(world: World) -> None:
    """A secret that was restored meanwhile is found by the next who asks."""
    world.source.now["db"] = DENIED
    with world.source.gate("db") as gate:
        early = world.start(DB)
        gate.wait_for_arrival()
        world.store.apply(edition(1, {"db": ("v1", 5)}))
        world.source.now["db"] = "v1"
        late = world.start(DB)
    assert ("AccessDeniedException", MISS) == told(early.answer())
    assert ("v1", MISS) == told(late.answer())
    assert ("v1", HIT) == told(world.store.get(DB))


def test_a_refusal_that_is_not_remembered_ends_the_stale_value_all_the_same(
    world: World,
) -> None:
    """It was refused: when the source fails later, nothing covers for it."""
    world.store.get(DB)
    world.clock.tick(300)
    world.source.now["db"] = DENIED
    with world.source.gate("db") as gate:
        early = world.start(DB)
        gate.wait_for_arrival()
        world.store.apply(edition(1, {"other": ("v2", 5)}))
        world.source.now["db"] = DOWN
    assert version_of(early.answer()) == "AccessDeniedException"
    assert world.store.get(DB).outcome is DOWN


def test_a_failure_that_left_before_a_sheet_is_shared(world: World) -> None:
    """The sheet does not mend the source: what is held covers for it."""
    world.store.get(DB)
    world.clock.tick(300)
    world.source.now["db"] = DOWN
    with world.source.gate("db") as gate:
        early = world.start(DB)
        gate.wait_for_arrival()
        world.store.apply(edition(1, V2))
        late = world.start(DB)
    assert ("v1", STALE_IF_ERROR) == told(early.answer()) == told(late.answer())
    assert len(world.source.calls) == 2


@pytest.mark.parametrize("options", [{}, {"refresh": True}])
def test_a_failure_that_left_before_a_sheet_is_not_held_against_the_source(
    world: World, options: dict[str, Any]
) -> None:
    """Who comes after both asks for what the sheet has announced."""
    world.store.get(DB)
    world.clock.tick(0 if options else 300)
    world.source.now["db"] = DOWN
    with world.source.gate("db") as gate:
        early = world.start(DB, **options)
        gate.wait_for_arrival()
        world.store.apply(edition(1, V2))
        world.source.now["db"] = "v2"
    early.answer()
    assert ("v2", EXPIRED) == told(world.store.get(DB))


# --- prefetch


def test_reads_wait_for_a_prefetch(world: World) -> None:
    """They do not ask a second time."""
    with world.source.gate("db") as gate:
        threads = world.store.prefetch([DB])
        gate.wait_for_arrival()
        readers = [world.start(DB) for _ in range(4)]
    assert [("v1", MISS)] * 4 == [told(reader.answer()) for reader in readers]
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert world.source.calls == []


def test_a_stamp_that_arrives_during_a_prefetch_is_not_lost(world: World) -> None:
    """What it outdates is not held, and not given to who comes later."""
    with world.source.gate("db") as gate:
        world.store.prefetch([DB])
        gate.wait_for_arrival()
        early = world.start(DB)
        world.store.apply(edition(1, V2))
        world.source.now["db"] = "v2"
        late = world.start(DB)
    assert ("v1", MISS) == told(early.answer())
    assert ("v2", MISS) == told(late.answer())
    assert ("v2", HIT) == told(world.store.get(DB))


def test_what_a_batch_brought_does_not_wait_for_what_it_left_out(
    world: World,
) -> None:
    """The rest is asked for one by one, and each lands by itself."""
    world.source.now["other"] = "v7"
    world.source.left_out = {DB}
    with world.source.gate("db"), world.source.gate("db") as single:
        world.source._gates["db"][0].open()  # the batch passes
        threads = world.store.prefetch([DB, Query.secret("other")])
        single.wait_for_arrival()
        assert ("v7", HIT) == told(world.store.get(Query.secret("other")))
        waiting = world.start(DB)
    assert ("v1", MISS) == told(waiting.answer())
    for thread in threads:
        thread.join(DEADLINE_SECONDS)


# --- who asks for the source's own word


def test_a_refresh_never_joins_an_earlier_flight(world: World) -> None:
    """And two that come together share the next one."""
    with world.source.gate("db") as first:
        early = world.start(DB)
        first.wait_for_arrival()
        world.source.now["db"] = "v2"
        with world.source.gate("db") as second:
            refreshers = [world.start(DB, refresh=True) for _ in range(2)]
            first.open()
            second.wait_for_arrival()
    assert ("v1", MISS) == told(early.answer())
    assert [("v2", REQUESTED)] * 2 == [told(one.answer()) for one in refreshers]
    assert len(world.source.calls) == 2


def test_who_wakes_late_still_shares_the_next_flight(world: World) -> None:
    """The next one may have left, landed and be forgotten: nobody asks again."""
    late = _Late(world.store, DB, {"refresh": True})
    with world.source.gate("db") as first:
        early = world.start(DB)
        first.wait_for_arrival()
        flight = world.store._flights[DB]
        flight.landed = late.landed  # which keeps this one reader asleep
        late.start()
        assert late.came.wait(DEADLINE_SECONDS)
        prompt = world.start(DB, refresh=True)
        world.source.now["db"] = "v2"
    assert ("v2", REQUESTED) == told(prompt.answer())
    world.source.now["db"] = "v3"
    late.landed.let_late_ones_go()
    assert ("v2", REQUESTED) == told(late.answer())
    assert ("v1", MISS) == told(early.answer())
    assert len(world.source.calls) == 2


class _LateEvent(Event):
    """Set for all but one thread, which wakes when it is let go."""

    def __init__(self, late: Reader) -> None:
        super().__init__()
        self._late = late
        self._gone = Event()

    def wait(self, timeout: float | None = None) -> bool:
        woken = super().wait(timeout or DEADLINE_SECONDS)
        if current_thread() is self._late:
            return self._gone.wait(DEADLINE_SECONDS)
        return woken

    def let_late_ones_go(self) -> None:
        """Wake it."""
        self._gone.set()


class _Late(Reader):
    """A reader that is slow to wake up when a flight has landed."""

    def __init__(self, store: Store, query: Query, options: dict[str, Any]) -> None:
        super().__init__(store, query, options)
        self.landed = _LateEvent(self)


def test_a_refresh_that_comes_later_flies_again(world: World) -> None:
    """It does not join the refresh that is under way."""
    with world.source.gate("db") as gate:
        first = world.start(DB, refresh=True)
        gate.wait_for_arrival()
        world.source.now["db"] = "v2"
        second = world.start(DB, refresh=True)
    assert ("v1", REQUESTED) == told(first.answer())
    assert ("v2", REQUESTED) == told(second.answer())


def test_all_whom_a_version_failed_share_one_fetch(world: World) -> None:
    """Sixteen failed log-ins, one call."""
    world.store.get(DB)
    world.source.now["db"] = "v2"
    with world.source.gate("db") as gate:
        readers = [world.start(DB, instead_of="v1")]
        gate.wait_for_arrival()
        readers += [world.start(DB, instead_of="v1") for _ in range(15)]
    assert {("v2", REQUESTED)} == {told(reader.answer()) for reader in readers}
    assert len(world.source.calls) == 2


def test_who_was_failed_does_not_take_the_same_version_from_an_earlier_flight(
    world: World,
) -> None:
    """That one may have left before the rotation; another version will do."""
    with world.source.gate("db") as first:
        early = world.start(DB)
        first.wait_for_arrival()
        other = world.start(DB, instead_of="v0")
        world.source.now["db"] = "v2"
        failed = [world.start(DB, instead_of="v1") for _ in range(3)]
    assert ("v1", MISS) == told(early.answer())
    assert ("v1", REQUESTED) == told(other.answer())
    assert {"v2"} == {version_of(reader.answer()) for reader in failed}


@pytest.mark.parametrize("options", [{"refresh": True}, {"instead_of": "v1"}])
def test_a_stale_value_is_for_plain_readers_only(
    world: World, options: dict[str, Any]
) -> None:
    """In one flight that fails, each gets what it asked for: whoever leads."""
    world.store.get(DB)
    world.clock.tick(300)
    world.source.now["db"] = DOWN
    with world.source.gate("db") as gate:
        forced = world.start(DB, **options)
        gate.wait_for_arrival()
        plain = world.start(DB)
    assert (DOWN, REQUESTED) == (forced.answer().outcome, forced.answer().how)
    assert ("v1", STALE_IF_ERROR) == told(plain.answer())
    assert len(world.source.calls) == 2


def test_a_refresh_that_joins_a_later_flight_gets_nothing_stale(world: World) -> None:
    """It waits for one flight, shares the next, and is told that this one failed."""
    world.store.get(DB)
    world.clock.tick(300)
    world.source.now["db"] = DENIED
    with world.source.gate("db") as first:
        early = world.start(DB)
        first.wait_for_arrival()
        refreshers = [world.start(DB, refresh=True) for _ in range(2)]
        world.source.now["db"] = DOWN
    assert version_of(early.answer()) == "AccessDeniedException"
    for refresher in refreshers:
        assert refresher.answer().outcome is DOWN


def test_a_refusal_ends_the_wait_of_all(world: World) -> None:
    """And it is remembered for those who come after."""
    world.source.now["db"] = DENIED
    with world.source.gate("db") as gate:
        readers = [world.start(DB)]
        gate.wait_for_arrival()
        readers += [world.start(DB) for _ in range(3)]
    assert [("AccessDeniedException", MISS)] * 4 == [
        told(reader.answer()) for reader in readers
    ]
    assert ("AccessDeniedException", REMEMBERED_REFUSAL) == told(world.store.get(DB))


# --- what must not go wrong


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_reader_whose_thread_ended(world: World) -> None:
    """Whatever ends it: who waits is told, and the next one asks."""
    world.source.now["db"] = SystemExit()
    with world.source.gate("db") as gate:
        ended = world.start(DB)
        gate.wait_for_arrival()
        waiting = [world.start(DB) for _ in range(3)]
    assert {("InternalFailure", MISS)} == {told(one.answer()) for one in waiting}
    ended.join(DEADLINE_SECONDS)
    world.source.now["db"] = "v1"
    assert ("v1", MISS) == told(world.store.get(DB))


def test_an_older_answer_by_name_does_not_replace_a_newer_one_by_arn(
    world: World,
) -> None:
    """They are two flights; the one that left first may land last."""
    with world.source.gate("db") as gate:
        by_name = world.start(DB)
        gate.wait_for_arrival()
        world.source.now["db"] = "v2"
        by_arn = world.store.get(DB_ARN, refresh=True)
    assert ("v1", MISS) == told(by_name.answer())
    assert ("v2", REQUESTED) == told(by_arn)
    assert ("v2", HIT) == told(world.store.get(DB_ARN))


def test_pending_versions_share_flights_but_nothing_more(world: World) -> None:
    """AWSPENDING is never held, not even for those who come a moment later."""
    pending = Query.secret("db", None, AWSPENDING)
    with world.source.gate("db") as gate:
        readers = [world.start(pending)]
        gate.wait_for_arrival()
        readers += [world.start(pending) for _ in range(2)]
    assert [("v1", BYPASS)] * 3 == [told(reader.answer()) for reader in readers]
    assert world.store.peek(pending) is None
    assert len(world.source.calls) == 1


# --- and whatever nobody thought of


@pytest.fixture
def _eager_threads() -> Iterator[None]:
    """Threads take turns as often as the interpreter lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_eager_threads")
@pytest.mark.parametrize("ttl_seconds", [300.0, 0.0])
@pytest.mark.parametrize(
    "options", [{}, {"refresh": True}, {"instead_of": "v0"}], ids=str
)
def test_no_interleaving_serves_what_was_outdated_before_the_read(
    ttl_seconds: float, options: dict[str, Any]
) -> None:
    """While a secret rotates all the time, no read goes back behind its stamp."""
    world = World(ttl_seconds=ttl_seconds, stale_seconds=60.0)
    world.source.now["db"] = "v1"
    rotations = 150
    stamped = [1]
    went_back: list[tuple[int, str]] = []

    def read_all_the_time() -> None:
        while stamped[-1] < rotations:
            floor = stamped[-1]
            version = version_of(world.store.get(DB, **options))
            if int(version.removeprefix("v")) < floor:
                went_back.append((floor, version))

    readers = [Thread(target=read_all_the_time) for _ in range(6)]
    for reader in readers:
        reader.start()
    for number in range(2, rotations + 1):
        world.source.now["db"] = f"v{number}"
        world.store.apply(edition(number, {"db": (f"v{number}", number)}))
        stamped.append(number)
    for reader in readers:
        reader.join(DEADLINE_SECONDS)

    assert not [reader for reader in readers if reader.is_alive()]
    assert went_back == []
    assert world.store._flights == {}
