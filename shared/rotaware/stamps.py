"""The stamp sheet's home: one parameter in Parameter Store.

Parameter Store has no conditional write. But ``PutParameter`` answers with the new
version, and ``name:version`` still reads what was overwritten: ``publish`` lives on
that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rotaware.errors import AwsError, SheetError
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

    def read(
        self, generation: int | None = None, *, timeout_seconds: float | None = None
    ) -> Edition | None:
        """The latest edition, or a given one; None where there is none.

        Raises:
            SheetError: What is there is no sheet that this version can read.
            AwsError: The store refused or could not be reached.
        """
        ...

    def write(self, sheet: Sheet, *, create: bool) -> int:
        """Write a sheet; the generation that it got.

        Raises:
            AwsError: As above; also ``create`` was asked and a sheet exists.
        """
        ...


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

    def read(
        self, generation: int | None = None, *, timeout_seconds: float | None = None
    ) -> Edition | None:
        """One GetParameter."""
        name = self._name if generation is None else f"{self._name}:{generation}"
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

    def write(self, sheet: Sheet, *, create: bool) -> int:
        """One PutParameter."""
        request = {
            "Name": self._name,
            "Value": encode(sheet),
            "Type": "String",
            "Overwrite": not create,
        }
        match self._aws.call(PARAMETER_STORE, "PutParameter", request):
            case {"Version": int(version)}:
                return version
            case _:
                raise SheetError(_MALFORMED)
