"""One writer of the sheet at a time.

Several writers at once are in ``tests/concurrency/test_writers.py``.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from rotaware.dynamodb import DynamoDbSheet
from rotaware.errors import (
    AwsError,
    AwsThrottledError,
    AwsTimeoutError,
    AwsUnavailableError,
    SheetError,
)
from rotaware.log import Logger
from rotaware.publish import (
    MAX_BATCH,
    MAX_GAP,
    MAX_LATE,
    MAX_ROUNDS,
    Published,
    publish,
)
from rotaware.sheet import (
    MAX_BYTES,
    Edition,
    Sheet,
    Stamp,
    decode,
    encode,
    subject_of,
    version_digest,
)
from rotaware.stamps import SsmSheet
from tests.support.clock import EPOCH, ManualClock
from tests.support.item_store import TABLE, ItemStore
from tests.support.parameter_store import Call, ParameterStore, throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NAME = "/rotaware/default/stamps"
NAMESPACE = "default"
NOW = int(EPOCH)
NOW_MS = NOW * 1000
PAUSE_MS = 100
BORN = NOW - 1000
JUDGE = Call("judge", "")
READ = Call("GetParameter", NAME)
WRITE = Call("PutParameter", NAME)
OVERWRITTEN = Call("GetParameter", f"{NAME}:2")


def stamps(**versions: str) -> dict[str, Stamp]:
    """Stamps that are as old as the sheet."""
    return {name: Stamp(version_digest(each), BORN) for name, each in versions.items()}


def document(base: int, horizon: int = 0, born: int = BORN, **versions: str) -> str:
    """A sheet with such stamps, as text."""
    return encode(Sheet(base, horizon, born, stamps(**versions)))


class Account:
    """Parameter Store, and a judge whose calls are in the same list."""

    def __init__(self, *documents: str) -> None:
        self.store = ParameterStore()
        self.clock = ManualClock()
        self.log = io.StringIO()
        self.current: dict[str, str] = {"s": "v1"}
        for each in documents:
            self.store.put(NAME, each)

    @property
    def calls(self) -> list[Call]:
        """What was asked, in order."""
        return self.store.calls

    @property
    def last(self) -> Edition:
        """The sheet as it stands."""
        version = self.store.version(NAME)
        return Edition(version, decode(self.store.values(NAME)[version]))

    def says(self) -> dict[str, str]:
        """The versions that the sheet names, by their digests."""
        return {name: each.version for name, each in self.last.sheet.stamps.items()}

    def judge(self) -> Mapping[str, str]:
        """What is current now."""
        self.calls.append(JUDGE)
        self.store.before(JUDGE)
        return dict(self.current)

    def at(self, moments: Mapping[int, Callable[[], None]]) -> None:
        """Let something happen before the nth call of all, counted from one."""
        self.store.before = lambda _: moments.get(len(self.calls), lambda: None)()

    def publish(
        self,
        random: Callable[[], float] = lambda: 0.5,
        max_bytes: int = MAX_BYTES,
        **changed: float,
    ) -> Published:
        """One event."""
        log = Logger(service="test", level="INFO", stream=self.log, clock=self.clock)
        return publish(
            SsmSheet(self.store, NAME, max_bytes),
            self.judge,
            clock=self.clock,
            random=random,
            log=log,
            changed=changed,
        )

    def overwrite(self, text: str) -> Callable[[], None]:
        """Somebody else writes, when this is called."""
        return lambda: self._put(text)

    def _put(self, text: str) -> None:
        self.store.put(NAME, text)


class Table:
    """The same, with the sheet in an item."""

    def __init__(self, *documents: str) -> None:
        self.items = ItemStore()
        self.clock = ManualClock()
        for each in documents:
            self.items.put(NAMESPACE, each)

    @property
    def operations(self) -> list[str]:
        """What was asked, in order."""
        return [call.operation for call in self.items.calls]

    def judge(self) -> Mapping[str, str]:
        """What is current."""
        self.items.calls.append(JUDGE)
        return {"s": "v1"}

    def at(self, moments: Mapping[int, Callable[[], None]]) -> None:
        """Let something happen before the nth call of all, counted from one."""
        calls = self.items.calls
        self.items.before = lambda _: moments.get(len(calls), lambda: None)()

    def publish(self) -> Published:
        """One event."""
        return publish(
            DynamoDbSheet(self.items, TABLE, NAMESPACE, consistent=True),
            self.judge,
            clock=self.clock,
            random=lambda: 0.5,
            log=Logger(
                service="test", level="NONE", stream=io.StringIO(), clock=self.clock
            ),
        )


def raises(error: Exception) -> Callable[[], None]:
    """An answer that is a refusal."""

    def refuse() -> None:
        raise error

    return refuse


class TestPublish:
    """``publish``: the sheet says what the judge says, at the least cost."""

    def test_the_first_sheet_is_created(self) -> None:
        """Without a sheet, one is made, never put over another's."""
        account = Account()

        assert (1, 1) == account.publish()[:2]
        assert Sheet(0, 0, NOW_MS, {"s": Stamp(version_digest("v1"), NOW)}) == (
            account.last.sheet
        )

    def test_a_clean_write_costs_four_calls(self) -> None:
        """Read, judge, write, judge."""
        account = Account(document(0, s="v0", t="v5"))

        assert (1, 2) == account.publish()[:2]
        assert [READ, JUDGE, WRITE, JUDGE] == account.calls
        assert {"s": version_digest("v1"), "t": version_digest("v5")} == account.says()

    def test_a_duplicate_writes_nothing(self) -> None:
        """What the sheet already says costs one read and one question."""
        account = Account(document(0, s="v1"))

        assert (0, 1) == account.publish()[:2]
        assert [READ, JUDGE] == account.calls
        assert not account.log.getvalue()

    @pytest.mark.parametrize("changed_at", [BORN, BORN + 0.9, NOW, NOW + 3600])
    def test_a_later_change_renews_its_stamp(self, changed_at: float) -> None:
        """Though it names the same version: another was current, and may be held.

        Its duplicate finds a younger stamp, even if this clock is an hour behind.
        """
        account = Account(document(0, s="v1", t="v1"))

        assert (1, 2) == account.publish(s=changed_at)[:2]
        renewed = account.last.sheet.stamps["s"]
        assert version_digest("v1") == renewed.version
        assert max(NOW, changed_at) <= renewed.since
        assert stamps(t="v1")["t"] == account.last.sheet.stamps["t"]
        assert (0, 2) == account.publish(s=changed_at)[:2]

    def test_an_earlier_change_is_stamped_already(self) -> None:
        """And what an event says of others than were judged counts for nothing."""
        account = Account(document(0, s="v1", t="v1"))

        assert (0, 1) == account.publish(s=BORN - 0.1, t=NOW)[:2]

    @pytest.mark.parametrize("documents", [(), (document(0, t="v1"),)])
    def test_nothing_to_say_writes_nothing(self, documents: Sequence[str]) -> None:
        """A judge who knows nothing changes nothing, and makes no empty sheet."""
        account = Account(*documents)
        account.current = {}

        assert (0, len(documents)) == account.publish()[:2]
        assert [READ, JUDGE] == account.calls

    def test_a_write_is_logged(self) -> None:
        """The log tells generation, base and how many stamps changed, no names."""
        account = Account(document(0, s="v0", t="v1"))
        account.current = {"s": "v1", "t": "v1", "u": "v1"}
        account.publish()
        line = json.loads(account.log.getvalue())

        assert (2, 1, 2) == (line["generation"], line["base"], line["stamps"])

    def test_it_tells_how_full_the_sheet_is(self) -> None:
        """The part of its room that the sheet takes, written or found."""
        account = Account()
        written = account.publish(max_bytes=1000)

        expected = len(encode(account.last.sheet)) / 1000
        assert [expected] * 2 == [
            written.fullness,
            account.publish(max_bytes=1000).fullness,
        ]

    def test_a_batch_is_one_write(self) -> None:
        """As many subjects as a batch may have fit, and cost what one costs."""
        account = Account(document(0, t="v0"))
        account.current = {
            subject_of(f"arn:aws:ssm:::parameter/{number}"): f"v{number}"
            for number in range(MAX_BATCH)
        }

        assert (MAX_BATCH, 2) == account.publish()[:2]
        assert [READ, JUDGE, WRITE, JUDGE] == account.calls

    def test_a_rotation_meanwhile_is_stamped_too(self) -> None:
        """The judge is asked again after the write, until the answer is the same."""
        account = Account(document(0, s="v0"))
        account.at({4: lambda: account.current.update(s="v2")})

        assert (1, 3) == account.publish()[:2]
        assert {"s": version_digest("v2")} == account.says()
        assert [READ, JUDGE, WRITE, JUDGE] * 2 == account.calls

    def test_who_overwrites_repairs(self) -> None:
        """A version that is not the next one has overwritten another: it is merged."""
        account = Account(document(0, s="v0"))
        account.at({3: account.overwrite(document(1, s="v0", t="v1"))})

        assert (1, 4) == account.publish()[:2]
        assert {"s": version_digest("v1"), "t": version_digest("v1")} == account.says()
        assert OVERWRITTEN in account.calls
        assert 3 == account.last.sheet.base

    def test_a_gap_that_holds_nothing_new_is_left(self) -> None:
        """Repairing for its own sake would make writers overwrite each other."""
        account = Account(document(0), document(1, t="v1"), document(1, s="v1", t="v1"))

        assert (0, 3) == account.publish()[:2]
        assert 0 == account.store.count("PutParameter")

    def test_somebody_else_creates_the_sheet_first(self) -> None:
        """Then it is read, like any other."""
        account = Account()
        account.at({3: account.overwrite(document(0, t="v1"))})

        assert (1, 2) == account.publish()[:2]
        assert {"s", "t"} == account.says().keys()

    def test_the_sheet_is_deleted_meanwhile(self) -> None:
        """A sheet of a deleted one is born anew as soon as it is written again."""
        account = Account(*(document(base, s="v0") for base in range(5)))
        account.at({3: lambda: account.store.delete(NAME)})
        published = account.publish()
        moved = account.last
        account.current = {"t": "v1"}
        account.publish()

        assert (1, 1) == published[:2]
        assert moved.is_moved
        assert (1, 1, NOW_MS + PAUSE_MS) == account.last.sheet[:3]

    def test_who_overwrites_a_new_sheet_repairs_that_too(self) -> None:
        """Deleted and made again, while a writer held the old one in his hands."""
        account = Account(*(document(base, s="v0") for base in range(5)))

        def anew() -> None:
            account.store.delete(NAME)
            account.store.put(NAME, document(0, t="v1"))

        account.at({3: anew})

        assert (1, 3) == account.publish()[:2]
        assert {"s": version_digest("v1"), "t": version_digest("v1")} == account.says()
        assert (2, 2, NOW_MS + PAUSE_MS) == account.last.sheet[:3]


class TestGaps:
    """What was overwritten and cannot be read any more counts as forgotten."""

    @pytest.mark.parametrize(
        ("size", "horizon", "reads"), [(MAX_GAP, 0, MAX_GAP), (MAX_GAP + 1, 19, 0)]
    )
    def test_a_long_gap_is_given_up(self, size: int, horizon: int, reads: int) -> None:
        """A gap is read up to a limit; a longer one not at all."""
        overwritten = [
            document(0, 0, BORN, **{f"t{each}": "v1"}) for each in range(size)
        ]
        account = Account(document(0), *overwritten, document(1, s="v0"))
        account.publish()

        assert horizon == account.last.sheet.horizon
        assert 1 + reads == account.store.count("GetParameter")
        assert 1 + reads == len(account.says())

    def test_a_version_that_is_gone_raises_the_horizon(self) -> None:
        """Parameter Store keeps a hundred versions; and it may show one late."""
        account = Account(document(0), document(1, t="v1"), document(1, u="v1"))
        account.store.forget(NAME, 2)
        account.publish()

        assert 3 == account.last.sheet.horizon
        assert {"s", "u"} == account.says().keys()
        looked_for = [READ, JUDGE, OVERWRITTEN]
        assert [*looked_for * (MAX_LATE + 1), WRITE, JUDGE] == account.calls
        assert MAX_LATE == len(account.clock.naps)

    @pytest.mark.parametrize("times", [1, MAX_LATE])
    def test_a_version_that_is_shown_late_is_waited_for(self, times: int) -> None:
        """Its stamps are the only ones: whoever wrote it has seen it stand, and left.

        A reader that doubts all it holds may be told the old value once more, and then
        only a stamp could tell that it is old.
        """
        account = Account(document(0), document(1, t="v1"), document(1, u="v1"))
        lags = iter([0, 2] * times)
        account.store.lag = lambda: next(lags, 0)

        assert (1, 4) == account.publish()[:2]
        assert 0 == account.last.sheet.horizon
        assert {"s", "t", "u"} == account.says().keys()
        assert times + 1 == account.calls.count(OVERWRITTEN)
        assert times == len(account.clock.naps)

    def test_a_throttled_writer_comes_to_the_end_of_a_gap(self) -> None:
        """What was read of it once is known, though the round broke off."""
        account = Account(
            document(0), document(1, t="v1"), document(1, u="v1"), document(1, w="v1")
        )
        account.at({4: raises(throttled())})

        assert (1, 5) == account.publish()[:2]
        third = Call("GetParameter", f"{NAME}:3")
        broken_off = [READ, JUDGE, OVERWRITTEN, third]
        assert [*broken_off, READ, JUDGE, third, WRITE, JUDGE] == account.calls
        assert {"s", "t", "u", "w"} == account.says().keys()

    def test_the_gap_of_a_sheet_made_anew_is_another(self) -> None:
        """Though its generations have the same numbers."""
        account = Account(document(0), document(1, t="v1"), document(1, u="v1"))

        def anew() -> None:
            account.store.delete(NAME)
            for text in (
                document(0, born=NOW - 5, w="v1"),
                document(1, born=NOW - 5, x="v1"),
                document(1, born=NOW - 5, y="v1"),
            ):
                account.store.put(NAME, text)
            raise throttled()

        account.at({4: anew})

        assert (1, 4) == account.publish()[:2]
        assert {"s", "x", "y"} == account.says().keys()

    @pytest.mark.parametrize("text", ["garbage", '{"format":2}'])
    def test_a_version_that_is_no_sheet_raises_the_horizon(self, text: str) -> None:
        """What a stranger, or a newer rotaware, wrote in between is not known."""
        account = Account(document(0), text, document(1, u="v1"))
        account.publish()

        assert 3 == account.last.sheet.horizon

    def test_a_gap_that_may_not_be_read_stops_the_writer(self) -> None:
        """A refusal is not a gap: it is raised, and nothing is written."""
        account = Account(document(0), document(1, t="v1"), document(1, u="v1"))
        account.at({3: raises(AwsError("AccessDeniedException", "no"))})

        with pytest.raises(AwsError, match="AccessDenied"):
            account.publish()

        assert 3 == account.last.generation


class TestConditionalWrites:
    """A home that refuses to overwrite what was not read: the sheet never has a gap."""

    def test_the_first_sheet(self) -> None:
        """In a table without items the first stamp makes the item."""
        table = Table()

        assert (1, 1) == table.publish()[:2]
        expected = Sheet(0, 0, NOW_MS, {"s": Stamp(version_digest("v1"), NOW)})
        assert expected == decode(table.items.document(NAMESPACE))
        assert ["GetItem", "judge", "PutItem", "judge"] == table.operations

    def test_who_is_overtaken_begins_again(self) -> None:
        """A lost condition is another round, after a pause: nothing to merge."""
        table = Table(document(0, s="v0"))
        table.at({3: lambda: table.items.put(NAMESPACE, document(1, s="v0", t="v1"))})

        assert (1, 3) == table.publish()[:2]
        said = decode(table.items.document(NAMESPACE))
        assert {"s", "t"} == said.stamps.keys()
        assert (2, 0) == said[:2]
        once = ["GetItem", "judge", "PutItem"]
        assert [*once, *once, "judge"] == table.operations
        assert table.clock.now().monotonic > ManualClock().now().monotonic

    def test_the_sheet_is_deleted_meanwhile(self) -> None:
        """A writer of the old one makes a new one, born anew, in the next round."""
        table = Table(document(5, s="v0", t="v1"))
        table.at({3: lambda: table.items.delete(NAMESPACE)})

        assert (1, 1) == table.publish()[:2]
        said = decode(table.items.document(NAMESPACE))
        assert (0, 0, NOW_MS + PAUSE_MS) == said[:3]
        assert {"s"} == said.stamps.keys()

    def test_a_write_whose_answer_was_lost(self) -> None:
        """Sent again, it is refused: the next round finds that all is said."""
        table = Table(document(0, s="v0"))
        table.at({3: lambda: table.items.put(NAMESPACE, document(1, s="v1"))})

        assert (0, 2) == table.publish()[:2]
        assert ["GetItem", "judge", "PutItem", "GetItem", "judge"] == table.operations

    def test_a_table_that_does_not_exist(self) -> None:
        """What no retry in this invocation could mend is raised as AWS says it."""
        table = Table()
        table.items.exists = False

        with pytest.raises(AwsError, match="ResourceNotFoundException"):
            table.publish()

    def test_a_newer_format_is_not_overwritten(self) -> None:
        """What a newer rotaware wrote is left to it, also if it comes in between."""
        table = Table(document(0, s="v0"))
        newer = {"namespace": {"S": NAMESPACE}, "edition": {"S": "2"}}
        newer["sheet"] = {"S": '{"format":2}'}
        table.at({3: lambda: table.items.put_item(newer)})

        with pytest.raises(SheetError, match="format 2"):
            table.publish()

        assert newer == table.items.item(NAMESPACE)


class TestFullSheets:
    """A sheet with little room."""

    ROOM = len(document(9, 9, aaaaaaaaaaa="v"))

    def test_what_does_not_fit_is_forgotten(self) -> None:
        """The home's limit counts, and the horizon tells what was dropped."""
        account = Account(document(0, t="v1"))
        account.publish(max_bytes=self.ROOM)

        assert {"s"} == account.says().keys()
        assert 1 == account.last.sheet.horizon

    @pytest.mark.parametrize(
        ("documents", "horizon", "version", "writes_again"),
        [
            ([document(0, s="v1")], 2, "v1", False),
            ([document(0, s="v1")], 1, "v1", False),
            ([document(0, s="v1")], 0, "v1", True),
            ([document(0, s="v1")], 2, "v2", True),
            ([document(0, s="v0")], 2, "v1", True),
            ([document(0), document(0, s="v1")], 3, "v1", True),
        ],
        ids=[
            "it stood",
            "it stood when the horizon was set",
            "the horizon does not tell",
            "the secret has rotated since",
            "it was never seen standing",
            "it stood in a sheet with a gap",
        ],
    )
    def test_what_has_stood_and_was_forgotten_is_not_written_again(
        self,
        documents: list[str],
        horizon: int,
        version: str,
        *,
        writes_again: bool,
    ) -> None:
        """Whoever looked has seen it, and the horizon tells the others."""
        account = Account(*documents)
        account.current = {"s": "v1", "u": "v1"}
        judgements = iter([1, 2])

        def before(call: Call) -> None:
            # After the first write u rotates, and another writer pushes s out.
            if call == JUDGE and next(judgements, 0) == 2:
                account.current = {"s": version, "u": "v2"}
                following = account.store.version(NAME)
                account.store.put(NAME, document(following, horizon, t="v9"))

        account.store.before = before
        account.publish()
        expected = {"t": "v9", "u": "v2"} | ({"s": version} if writes_again else {})

        assert {k: version_digest(v) for k, v in expected.items()} == account.says()

    def test_a_sheet_made_anew_has_seen_nothing_stand(self) -> None:
        """What stood in a deleted sheet is written to the new one."""
        account = Account(*(document(base, s="v1") for base in range(5)))
        account.current = {"s": "v1", "u": "v1"}

        def anew() -> None:
            account.current["u"] = "v2"
            account.store.delete(NAME)
            for base in range(9):
                account.store.put(NAME, document(base, base, NOW - 5, t="v1"))

        account.at({4: anew})
        account.publish()

        assert {"s", "t", "u"} == account.says().keys()


class TestTroubles:
    """What AWS refuses, for now and for good."""

    @pytest.mark.parametrize("call", [1, 2, 3, 4])
    def test_throttling_is_waited_out(self, call: int) -> None:
        """Whichever call is throttled, the writer comes back to it."""
        account = Account(document(0, s="v0"))
        account.at({call: raises(throttled("TooManyUpdates"))})

        assert 1 == account.publish().written
        assert {"s": version_digest("v1")} == account.says()
        assert 1 == len(account.clock.naps)

    def test_pauses_grow_with_jitter_and_end(self) -> None:
        """Pauses double up to three seconds, at random below that; then it gives up."""
        account = Account(document(0, s="v0"))
        account.store.before = lambda _: raises(throttled())()

        with pytest.raises(AwsUnavailableError, match="too many invalidators") as error:
            account.publish(random=lambda: 0.5)

        longest = [min(3.0, 0.1 * 2**attempt) for attempt in range(1, MAX_ROUNDS)]
        assert [0.5 * each for each in longest] == account.clock.naps
        assert not isinstance(error.value, AwsThrottledError)
        assert MAX_ROUNDS == account.store.count("GetParameter")

    @pytest.mark.parametrize(
        "error", [AwsError("AccessDeniedException", "no"), AwsTimeoutError("late")]
    )
    @pytest.mark.parametrize("call", [1, 2, 3, 4])
    def test_any_other_refusal_is_raised(self, call: int, error: AwsError) -> None:
        """The sender of the event tries again."""
        account = Account(document(0, s="v0"))
        account.at({call: raises(error)})

        with pytest.raises(AwsError) as raised:
            account.publish()

        assert error is raised.value
        assert not account.clock.naps

    @pytest.mark.parametrize("text", ["a stranger's", "{}", '{"format":2}'])
    def test_what_is_no_sheet_is_never_overwritten(self, text: str) -> None:
        """A stranger's parameter, or a newer format, stays as it is."""
        account = Account(text)

        with pytest.raises(SheetError):
            account.publish()

        assert {1: text} == account.store.values(NAME)
        assert [READ] == account.calls

    @pytest.mark.parametrize("times", [1, 2, 5])
    @pytest.mark.parametrize("old", [document(0, s="v0"), document(0, born=0)])
    def test_an_old_copy_is_not_believed(self, old: str, times: int) -> None:
        """Who reads less than he wrote waits a while, and reads once more.

        The first stamp gives a sheet its birth: what was laid out empty is older.
        """
        account = Account(old)
        lags = iter([0, *[1] * times, 0])
        account.store.lag = lambda: next(lags)
        account.at({4: lambda: account.current.update(s="v2")})

        assert (1, 3) == account.publish()[:2]
        assert [
            READ,
            JUDGE,
            WRITE,
            JUDGE,
            *[READ] * times,
            READ,
            JUDGE,
            WRITE,
            JUDGE,
        ] == (account.calls)

    def test_a_sheet_that_is_gone_is_made_anew(self) -> None:
        """Who finds none after his own write believes that it was deleted."""
        account = Account(document(0, s="v0"))

        def gone() -> None:
            account.current.update(s="v2")
            account.store.delete(NAME)

        account.at({4: gone})

        assert (1, 1) == account.publish()[:2]
        assert {"s": version_digest("v2")} == account.says()

    def test_an_old_copy_of_another_birth_is_not_believed(self) -> None:
        """Two at once give a sheet that was laid out empty two births.

        Who overwrote the other's knows that this is what he overwrote.
        """
        account = Account(document(0, born=0))
        account.at({3: account.overwrite(document(1, born=NOW - 5, t="v1"))})
        lags = iter([0, 1])
        account.store.lag = lambda: next(lags, 0)

        assert (1, 4) == account.publish()[:2]
        repaired = [READ, READ, JUDGE, OVERWRITTEN, WRITE, JUDGE]
        assert [READ, JUDGE, WRITE, *repaired] == account.calls
        assert {"s", "t"} == account.says().keys()
        assert (3, 0, NOW_MS) == account.last.sheet[:3]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            (document(0, born=NOW - 5, t="v1"), {"s": "v2", "t": "v1"}),
            (document(7, s="v0"), {"s": "v2"}),
        ],
        ids=["made anew", "put back"],
    )
    def test_a_sheet_of_another_birth_is_no_old_copy(
        self, text: str, says: dict[str, str]
    ) -> None:
        """A lower generation is believed when the sheet was deleted meanwhile."""
        account = Account(*(document(base, s="v0") for base in range(5)))

        def anew() -> None:
            account.current.update(s="v2")
            account.store.delete(NAME)
            account.store.put(NAME, text)

        account.at({4: anew})

        assert (1, 2) == account.publish()[:2]
        assert {k: version_digest(v) for k, v in says.items()} == account.says()
