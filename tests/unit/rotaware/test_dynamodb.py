"""The sheet's home in DynamoDB: which calls it makes, what it makes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.dynamodb import MAX_BYTES, DynamoDbSheet
from rotaware.errors import AwsError, AwsThrottledError, SheetError
from rotaware.parsers import NAMESPACE_LENGTH
from rotaware.sheet import (
    UNWRITTEN,
    Edition,
    Sheet,
    Stamp,
    derive,
    encode,
    missed,
    subject_of,
    version_digest,
)
from tests.support.item_store import (
    READ_UNIT_BYTES,
    TABLE,
    ItemStore,
    item_of,
    size_of,
)
from tests.support.parameter_store import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotaware.aws import Aws

NAMESPACE = "default"
BORN = 1790000000
READ = Call("GetItem", NAMESPACE)
WRITE = Call("PutItem", NAMESPACE)


def sheet(base: int = 6, born: int = BORN, version: str = "v1") -> Sheet:
    """A sheet with one stamp."""
    return Sheet(base, 0, born, {"s": Stamp(version_digest(version), born)})


def reader(store: Aws) -> DynamoDbSheet:
    """The home as an extension has it."""
    return DynamoDbSheet(store, TABLE, NAMESPACE, consistent=False)


def writer(store: Aws) -> DynamoDbSheet:
    """The home as an invalidator has it."""
    return DynamoDbSheet(store, TABLE, NAMESPACE, consistent=True)


@pytest.fixture
def store() -> ItemStore:
    """A table with a sheet."""
    made = ItemStore()
    made.put(NAMESPACE, encode(sheet()))
    return made


class Asked(Exception):  # noqa: N818  no error, but the end of the test
    """The request that was made."""


class Witness:
    """Satisfies ``rotaware.aws.Aws`` by showing what it is asked."""

    def call(
        self,
        service: str,
        operation: str,
        request: object,
        *,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        raise Asked(service, operation, request, timeout_seconds)


def asked(call: Callable[[], object]) -> tuple[object, ...]:
    """What a call asks DynamoDB."""
    with pytest.raises(Asked) as caught:
        call()
    return caught.value.args


class TestRequests:
    """What goes over the wire, word by word."""

    @pytest.mark.parametrize("consistent", [False, True])
    def test_a_read(self, *, consistent: bool) -> None:
        """One GetItem of the namespace's item, consistent for writers alone."""
        home = DynamoDbSheet(Witness(), TABLE, NAMESPACE, consistent=consistent)
        request = {
            "TableName": TABLE,
            "Key": {"namespace": {"S": NAMESPACE}},
            "ConsistentRead": consistent,
        }

        expected = ("dynamodb", "GetItem", request, 0.5)
        assert expected == asked(lambda: home.read(timeout_seconds=0.5))

    @pytest.mark.parametrize(
        ("over", "base", "condition"),
        [
            (
                UNWRITTEN,
                0,
                {"ConditionExpression": "attribute_not_exists(edition)"},
            ),
            (
                Edition(7, sheet(6)),
                7,
                {
                    "ConditionExpression": "edition = :read",
                    "ExpressionAttributeValues": {":read": {"S": f"{BORN}.7"}},
                },
            ),
            (
                Edition(1, sheet(0)),
                1,
                {
                    "ConditionExpression": "edition = :read",
                    "ExpressionAttributeValues": {":read": {"S": f"{BORN}.1"}},
                },
            ),
        ],
    )
    def test_a_write(self, over: Edition, base: int, condition: dict[str, Any]) -> None:
        """One PutItem, on the condition that the item is what was read."""
        home = writer(Witness())
        request = {
            "TableName": TABLE,
            "Item": item_of(NAMESPACE, encode(sheet(base))),
            **condition,
        }

        expected = ("dynamodb", "PutItem", request, None)
        assert expected == asked(lambda: home.write(sheet(base), over=over))


class TestReading:
    """``read``: the edition, or why there is none."""

    def test_what_is_there(self, store: ItemStore) -> None:
        """The item is the sheet; its generation follows from its base."""
        assert Edition(7, sheet(6)) == reader(store).read(timeout_seconds=2.0)
        assert [2.0] == store.timeouts

    def test_no_item_is_a_sheet_that_nobody_has_written(self) -> None:
        """So readers look as often as ever, and see the first stamp in time."""
        assert UNWRITTEN == reader(ItemStore()).read()
        assert missed(None, UNWRITTEN) is None

    def test_no_table_is_no_sheet(self, store: ItemStore) -> None:
        """Where nothing is deployed there is nothing to look at."""
        store.exists = False

        assert reader(store).read() is None

    def test_other_refusals_pass_through(self, store: ItemStore) -> None:
        """What AWS refuses is the caller's business."""

        def refuse(_: Call) -> None:
            raise AwsError("AccessDeniedException", "no")

        store.before = refuse

        with pytest.raises(AwsError, match="AccessDenied"):
            reader(store).read()

    @pytest.mark.parametrize(
        "item",
        [
            {},
            {"edition": {"S": f"{BORN}.7"}},
            {"sheet": {"S": encode(sheet())}},
            {"edition": {"S": f"{BORN}.8"}, "sheet": {"S": encode(sheet())}},
            {"edition": {"S": "9.7"}, "sheet": {"S": encode(sheet())}},
            {"edition": {"N": "7"}, "sheet": {"S": encode(sheet())}},
            {"edition": {"S": f"{BORN}.7"}, "sheet": {"B": "Y2FuYXJ5"}},
            {"edition": {"S": f"{BORN}.7"}, "sheet": {"S": "canary"}},
            {"edition": "canary", "sheet": None},
        ],
    )
    def test_anything_else_is_a_sheet_error(self, item: dict[str, Any]) -> None:
        """An item that no rotaware wrote is told, not believed, and not quoted."""
        store = ItemStore()
        store.put_item({"namespace": {"S": NAMESPACE}, **item})

        with pytest.raises(SheetError) as error:
            reader(store).read()

        assert "delete it" in str(error.value)
        assert "canary" not in str(error.value)

    @pytest.mark.parametrize("item", [None, [], "canary", {"Item": None}])
    def test_an_item_that_is_none_is_a_sheet_error(self, item: object) -> None:
        """Whatever a 200 holds."""

        class Answers(ItemStore):
            def call(self, *_: object, **__: object) -> dict[str, Any]:
                return {"Item": item}

        with pytest.raises(SheetError, match="no edition"):
            reader(Answers()).read()

    def test_a_newer_format_is_told(self, store: ItemStore) -> None:
        """What a newer rotaware wrote is not taken for damaged."""
        item = item_of(NAMESPACE, encode(sheet()))
        store.put_item({**item, "sheet": {"S": json.dumps({"format": 2})}})

        with pytest.raises(SheetError, match="update the layer"):
            reader(store).read()

    def test_nothing_overwritten_is_kept(self, store: ItemStore) -> None:
        """There is no former edition to read, and no call for one."""
        assert writer(store).read_overwritten(6) is None
        assert [] == store.calls


class TestReplicas:
    """A read may answer with less than the one before."""

    def test_a_reader_takes_what_it_is_told(self, store: ItemStore) -> None:
        """One cheap read, even where it lags."""
        store.put(NAMESPACE, encode(sheet(7)))
        store.lag = lambda: 1

        assert Edition(7, sheet(6)) == reader(store).read()
        assert [READ] == store.calls

    def test_a_reader_does_not_go_back(self, store: ItemStore) -> None:
        """An older edition than the last is asked for again, consistently."""
        home = reader(store)
        store.put(NAMESPACE, encode(sheet(7)))
        assert Edition(8, sheet(7)) == home.read()
        assert Edition(8, sheet(7)) == home.read()
        assert [READ] * 2 == store.calls
        store.lag = lambda: 1

        assert Edition(8, sheet(7)) == home.read(timeout_seconds=2.0)
        assert [READ] * 4 == store.calls
        assert [None, None, 2.0, 2.0] == store.timeouts

    def test_a_sheet_made_anew_does_go_back(self, store: ItemStore) -> None:
        """A deletion is seen, once, and so is what follows it."""
        home = reader(store)
        seen = home.read()
        store.delete(NAMESPACE)
        gone = home.read()
        store.put(NAMESPACE, encode(sheet(0, BORN + 1)))
        anew = home.read()

        assert (Edition(7, sheet(6)), UNWRITTEN) == (seen, gone)
        assert Edition(1, sheet(0, BORN + 1)) == anew
        assert [READ] * 4 == store.calls
        assert gone is not None
        assert "recreated" == missed(seen, gone)

    def test_a_table_that_is_gone_is_remembered_for_what_it_was(
        self, store: ItemStore
    ) -> None:
        """Its absence does not let an old copy of its item through."""
        home = reader(store)
        store.put(NAMESPACE, encode(sheet(7)))
        home.read()
        store.exists = False
        assert home.read() is None
        store.exists = True
        store.lag = lambda: 1

        assert Edition(8, sheet(7)) == home.read()

    def test_a_writer_never_lags(self, store: ItemStore) -> None:
        """It may not take an old edition for proof that there is nothing to write."""
        store.put(NAMESPACE, encode(sheet(7)))
        store.lag = lambda: 1

        assert Edition(8, sheet(7)) == writer(store).read()


class TestWriting:
    """``write``: the next edition, or nothing."""

    def test_the_first_edition(self) -> None:
        """Where nobody has written, the first generation is one."""
        store = ItemStore()

        assert 1 == writer(store).write(sheet(0), over=UNWRITTEN)
        assert Edition(1, sheet(0)) == writer(store).read()

    def test_the_next_edition(self, store: ItemStore) -> None:
        """What was read is replaced, and counts up by one."""
        home = writer(store)
        over = home.read()
        assert over is not None

        assert 8 == home.write(sheet(7), over=over)
        assert Edition(8, sheet(7)) == home.read()
        assert [READ, WRITE, READ] == store.calls

    @pytest.mark.parametrize(
        "happens",
        [
            pytest.param(
                lambda store: store.put(NAMESPACE, encode(sheet(7))), id="overtaken"
            ),
            pytest.param(lambda store: store.delete(NAMESPACE), id="deleted"),
            pytest.param(
                lambda store: store.put(NAMESPACE, encode(sheet(6, BORN + 1))),
                id="made anew up to the same generation",
            ),
        ],
    )
    def test_who_comes_late_writes_nothing(
        self, store: ItemStore, happens: Callable[[ItemStore], None]
    ) -> None:
        """Whatever happened since the read, the item stays as it is."""
        home = writer(store)
        over = home.read()
        assert over is not None
        happens(store)
        before = store.item(NAMESPACE)

        assert home.write(sheet(7, version="v2"), over=over) is None
        assert before == store.item(NAMESPACE)

    def test_somebody_else_creates_it_first(self, store: ItemStore) -> None:
        """Then nothing is written either."""
        before = store.item(NAMESPACE)

        assert writer(store).write(sheet(0), over=UNWRITTEN) is None
        assert before == store.item(NAMESPACE)

    @pytest.mark.parametrize(
        "refusal",
        [
            AwsError("ResourceNotFoundException", "Requested resource not found"),
            AwsThrottledError("ProvisionedThroughputExceededException", "slow down"),
        ],
    )
    def test_other_refusals_pass_through(
        self, store: ItemStore, refusal: AwsError
    ) -> None:
        """A missing table or a throttle is no lost race."""

        def refuse(_: Call) -> None:
            raise refusal

        store.before = refuse

        with pytest.raises(type(refusal), match=refusal.code):
            writer(store).write(sheet(0), over=UNWRITTEN)


def test_an_item_is_one_read_unit() -> None:
    """With the longest namespace, a full sheet of ninety stamps costs one unit."""
    full = Edition(10**9, Sheet(10**9 - 1, 10**9 - 1, BORN))
    truth = {subject_of(f"arn:aws:ssm:::parameter/{n}"): f"v{n}" for n in range(90)}
    old = {
        subject_of(f"arn:aws:ssm:::parameter/{n}"): Stamp("v" * 8, BORN)
        for n in range(90, 200)
    }
    fitted = derive(full, old, truth, now_seconds=BORN + 9e8, max_bytes=MAX_BYTES)
    item = item_of("n" * NAMESPACE_LENGTH, encode(fitted))

    assert 90 <= len(fitted.stamps) < 200
    assert MAX_BYTES - 60 < len(encode(fitted)) <= MAX_BYTES
    assert READ_UNIT_BYTES - 200 < size_of(item) <= READ_UNIT_BYTES
