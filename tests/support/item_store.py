"""DynamoDB in memory, behind the port that rotaware calls AWS through.

It keeps what the real one promises about one item: a conditional write is all or
nothing, a consistent read knows every write that was answered, any other read may lag
behind. Conditions other than the stamp sheet's are refused. Tests make it lag, refuse
and wait, as they do with ``ParameterStore``.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from rotaware.errors import AwsError
from rotaware.sheet import decode
from tests.support.parameter_store import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Answer = dict[str, Any]
    Item = dict[str, dict[str, str]]

TABLE = "stamps"
KEY = "namespace"
READ_UNIT_BYTES = 4096
KNOWN_CONDITIONS = ("attribute_not_exists(edition)", "edition = :read")


def item_of(namespace: str, document: str) -> Item:
    """The item that holds a sheet."""
    sheet = decode(document)
    return {
        KEY: {"S": namespace},
        "edition": {"S": f"{sheet.born}.{sheet.base + 1}"},
        "sheet": {"S": document},
    }


def size_of(item: Item) -> int:
    """What DynamoDB counts of an item of texts: names and values, as UTF-8."""
    return sum(
        len(name.encode()) + len(value["S"].encode()) for name, value in item.items()
    )


def is_met(request: Mapping[str, Any], item: Item | None) -> bool:
    """Whether a PutItem may replace what is there."""
    condition = request["ConditionExpression"]
    if condition not in KNOWN_CONDITIONS:
        raise AwsError("ValidationException", f"unknown here: {condition}")
    if condition == KNOWN_CONDITIONS[0]:
        return item is None or "edition" not in item
    values = request["ExpressionAttributeValues"]
    return item is not None and item.get("edition") == values[":read"]


class ItemStore:
    """Satisfies ``rotaware.aws.Aws``, for GetItem and PutItem of one table.

    Attributes:
        calls: All calls, in order, refused ones too; their names are the items' keys.
        timeouts: What each of them was given.
        before: Called before each call takes effect: it may wait, change the store, or
            raise what AWS shall answer.
        lag: By how many writes the next read is behind that is not consistent.
        exists: Whether there is such a table.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.timeouts: list[float | None] = []
        self.before: Callable[[Call], None] = lambda _: None
        self.lag: Callable[[], int] = lambda: 0
        self.exists = True
        self._lock = Lock()
        self._states: dict[str, list[Item | None]] = {}

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> Answer:
        key = request.get("Key") or request["Item"]
        call = Call(operation, key[KEY]["S"])
        self.calls.append(call)
        self.timeouts.append(timeout_seconds)
        self.before(call)
        operations = {
            ("dynamodb", "GetItem"): self._get_item,
            ("dynamodb", "PutItem"): self._put_item,
        }
        with self._lock:
            if not self.exists or request["TableName"] != TABLE:
                message = "Requested resource not found"
                raise AwsError("ResourceNotFoundException", message)
            return operations[service, operation](call.name, request)

    def put(self, namespace: str, document: str) -> None:
        """Write a sheet behind everybody's back."""
        self.put_item(item_of(namespace, document))

    def put_item(self, item: Item) -> None:
        """Write anything behind everybody's back."""
        with self._lock:
            self._states.setdefault(item[KEY]["S"], []).append(item)

    def delete(self, namespace: str) -> None:
        """Delete the item."""
        with self._lock:
            self._states.setdefault(namespace, []).append(None)

    def item(self, namespace: str) -> Item | None:
        """The item as it is."""
        return self._latest(namespace)

    def document(self, namespace: str) -> str:
        """The sheet as it is."""
        item = self._latest(namespace)
        assert item is not None
        return item["sheet"]["S"]

    def count(self, operation: str) -> int:
        """How many calls there were of one operation."""
        return sum(call.operation == operation for call in self.calls)

    def _latest(self, namespace: str, lag: int = 0) -> Item | None:
        states = [None, *self._states.get(namespace, [])]
        return states[max(0, len(states) - 1 - lag)]

    def _get_item(self, namespace: str, request: Mapping[str, Any]) -> Answer:
        item = self._latest(namespace, 0 if request["ConsistentRead"] else self.lag())
        return {} if item is None else {"Item": dict(item)}

    def _put_item(self, namespace: str, request: Mapping[str, Any]) -> Answer:
        if not is_met(request, self._latest(namespace)):
            message = "The conditional request failed"
            raise AwsError("ConditionalCheckFailedException", message)
        self._states.setdefault(namespace, []).append(request["Item"])
        return {}
