"""The stamp sheet in one item of a DynamoDB table.

The table's partition key is ``namespace``, so that several sheets share a table. Beside
it, an item has the document and the edition that this is. Rules:
1. A write names the edition that it was derived from, and is refused where another one
   is. So nothing is overwritten unread, and a generation is its base plus one.
2. An edition's name holds its birth, so that a sheet which was deleted and made again
   is another one, though it has come to the same generation.
3. A table without the item is a sheet that nobody has written yet. A table that does
   not exist is none.
4. A reader takes what any replica says, at half the price, but never goes back to an
   older edition because of that: then it asks once more, for the latest.
"""

from __future__ import annotations

from rotaware.errors import AwsError, SheetError
from rotaware.lean import TYPE_CHECKING
from rotaware.secret import DYNAMODB
from rotaware.sheet import UNWRITTEN, Edition, decode, encode

if TYPE_CHECKING:
    from typing import Any

    from rotaware.aws import Aws
    from rotaware.sheet import Sheet

MAX_BYTES = 3900
"""With key, edition and names an item then has at most 4 KB: one read unit. A longer
one would double the price of every check."""

_MALFORMED = (
    "the table's item is no edition of the stamp sheet: something else writes there, or"
    " it is damaged; delete it and the next rotation makes it anew"
)


class DynamoDbSheet:
    """A sheet in one item.

    Args:
        aws: The client to call.
        table: The table's name.
        namespace: The item's key.
        consistent: Whether reads bring the latest edition, as a writer's have to: else
            it might take an old one for proof that there is nothing to write.
        max_bytes: How long the document may be.
    """

    __slots__ = (
        "_aws",
        "_consistent",
        "_key",
        "_seen_generation",
        "_table",
        "max_bytes",
    )

    def __init__(
        self,
        aws: Aws,
        table: str,
        namespace: str,
        *,
        consistent: bool,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._aws = aws
        self._table = table
        self._key = {"namespace": {"S": namespace}}
        self._consistent = consistent
        self._seen_generation = 0
        self.max_bytes = max_bytes

    def read(self, *, timeout_seconds: float | None = None) -> Edition | None:
        """One GetItem; a second one, as long, where the first would go back."""
        edition = self._get(timeout_seconds, consistent=self._consistent)
        if edition is not None and edition.generation < self._seen_generation:
            edition = self._get(timeout_seconds, consistent=True)
        if edition is not None:
            self._seen_generation = edition.generation
        return edition

    def read_overwritten(self, generation: int) -> Edition | None:
        """None: only the latest edition is kept."""
        del generation
        return None

    def write(self, sheet: Sheet, *, over: Edition) -> int | None:
        """One PutItem, on the condition that the item is still what was read."""
        written = Edition(over.generation + 1, sheet)
        request: dict[str, Any] = {
            "TableName": self._table,
            "Item": {
                **self._key,
                "edition": {"S": _name_of(written)},
                "sheet": {"S": encode(sheet)},
            },
            "ConditionExpression": "attribute_not_exists(edition)",
        }
        if over.generation > 0:
            request["ConditionExpression"] = "edition = :read"
            request["ExpressionAttributeValues"] = {":read": {"S": _name_of(over)}}
        try:
            self._aws.call(DYNAMODB, "PutItem", request)
        except AwsError as refusal:
            if refusal.code == "ConditionalCheckFailedException":
                return None
            raise
        return written.generation

    def _get(
        self, timeout_seconds: float | None, *, consistent: bool
    ) -> Edition | None:
        request = {
            "TableName": self._table,
            "Key": self._key,
            "ConsistentRead": consistent,
        }
        try:
            answer = self._aws.call(
                DYNAMODB, "GetItem", request, timeout_seconds=timeout_seconds
            )
        except AwsError as refusal:
            if refusal.code == "ResourceNotFoundException":
                return None
            raise
        return _edition(answer["Item"]) if "Item" in answer else UNWRITTEN


def _edition(item: Any) -> Edition:
    match item:
        case {"edition": {"S": name}, "sheet": {"S": str(text)}}:
            sheet = decode(text)
            edition = Edition(sheet.base + 1, sheet)
            if name == _name_of(edition):
                return edition
        case _:
            pass
    raise SheetError(_MALFORMED)


def _name_of(edition: Edition) -> str:
    return f"{edition.sheet.born}.{edition.generation}"
