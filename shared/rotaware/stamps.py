"""The stamp sheet's homes: a parameter in Parameter Store, or an item in DynamoDB.

A home promises little: a write that overwrites what its writer has not read is either
refused, or seen by its generation, and what it overwrote can still be read then.
``publish`` lives on that.

Parameter Store is of the second kind. It has no conditional write. But ``PutParameter``
answers with the new version, and ``name:version`` still reads what was overwritten.
"""

from __future__ import annotations

from rotaware.errors import AwsError, SheetError
from rotaware.lean import TYPE_CHECKING, Protocol
from rotaware.parsers import DYNAMODB_SCHEME
from rotaware.secret import PARAMETER_STORE
from rotaware.sheet import MAX_BYTES, Edition, decode, encode

if TYPE_CHECKING:
    from rotaware.aws import Aws
    from rotaware.sheet import Sheet

_MALFORMED = "Parameter Store answered without the stamp sheet's value or version"
_ABSENT = frozenset({"ParameterNotFound", "ParameterVersionNotFound"})


class SheetHome(Protocol):
    """Where a sheet is kept.

    Attributes:
        max_bytes: How long its document may be.
    """

    max_bytes: int

    def read(self, *, timeout_seconds: float | None = None) -> Edition | None:
        """The latest edition; None where no sheet can be.

        Raises:
            SheetError: What is there is no sheet that this version can read.
            AwsError: The store refused or could not be reached.
        """
        ...

    def read_overwritten(self, generation: int) -> Edition | None:
        """An edition that another has overwritten; None if it is not kept.

        Raises:
            SheetError: As above.
            AwsError: As above.
        """
        ...

    def write(self, sheet: Sheet, *, over: Edition) -> int | None:
        """Write a sheet; the generation that it got.

        None: somebody else was first, and nothing was written.

        Args:
            sheet: What to write.
            over: What it was derived from; of generation 0 where there was no sheet.

        Raises:
            AwsError: The store refused or could not be reached.
        """
        ...


def sheet_home(aws: Aws, address: str, *, writes: bool = False) -> SheetHome:
    """The home that a setting names.

    Args:
        aws: The client to call.
        address: A parameter's name, or ``dynamodb://table/namespace``.
        writes: Whether its user will write.
    """
    if not address.startswith(DYNAMODB_SCHEME):
        return SsmSheet(aws, address)
    from rotaware.dynamodb import DynamoDbSheet  # noqa: PLC0415  few need it

    table, _, namespace = address.removeprefix(DYNAMODB_SCHEME).partition("/")
    return DynamoDbSheet(aws, table, namespace, consistent=writes)


class SsmSheet:
    """A sheet in one standard parameter.

    Args:
        aws: The client to call.
        name: The parameter's name, such as ``/rotaware/default/stamps``.
        max_bytes: How long its value may be.
    """

    __slots__ = ("_aws", "_name", "max_bytes")

    def __init__(self, aws: Aws, name: str, max_bytes: int = MAX_BYTES) -> None:
        self._aws = aws
        self._name = name
        self.max_bytes = max_bytes

    def read(self, *, timeout_seconds: float | None = None) -> Edition | None:
        """One GetParameter."""
        return self._get(self._name, timeout_seconds)

    def read_overwritten(self, generation: int) -> Edition | None:
        """One GetParameter too; a hundred versions are kept."""
        return self._get(f"{self._name}:{generation}", None)

    def write(self, sheet: Sheet, *, over: Edition) -> int | None:
        """One PutParameter."""
        request = {
            "Name": self._name,
            "Value": encode(sheet),
            "Type": "String",
            "Overwrite": over.generation > 0,
        }
        try:
            answer = self._aws.call(PARAMETER_STORE, "PutParameter", request)
        except AwsError as refusal:
            if refusal.code == "ParameterAlreadyExists":
                return None
            raise
        match answer:
            case {"Version": int(version)}:
                return version
            case _:
                raise SheetError(_MALFORMED)

    def _get(self, name: str, timeout_seconds: float | None) -> Edition | None:
        try:
            answer = self._aws.call(
                PARAMETER_STORE,
                "GetParameter",
                {"Name": name},
                timeout_seconds=timeout_seconds,
            )
        except AwsError as refusal:
            if refusal.code in _ABSENT:
                return None
            raise
        match answer:
            case {"Parameter": {"Version": int(version), "Value": str(value)}}:
                return Edition(version, decode(value))
            case _:
                raise SheetError(_MALFORMED)
