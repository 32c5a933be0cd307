"""The sheet's home in Parameter Store: which calls it makes, what it makes of them.

The other home is in ``test_dynamodb.py``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rotaware.stamps
from rotaware.errors import AwsError, SheetError
from rotaware.sheet import (
    UNWRITTEN,
    Edition,
    Sheet,
    Stamp,
    encode,
    version_digest,
)
from rotaware.stamps import SsmSheet, sheet_home

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "/rotaware/default/stamps"
SOURCES = Path(rotaware.stamps.__file__).parents[1]
SHEET = Sheet(6, 0, 1790000000, {"s": Stamp(version_digest("v1"), 1790000000)})
DOCUMENT = encode(SHEET)


class Answers:
    """Satisfies ``rotaware.aws.Aws`` with one answer to everything."""

    def __init__(self, answer: dict[str, Any] | AwsError) -> None:
        self.answer = answer
        self.asked: list[tuple[object, ...]] = []

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        self.asked.append((service, operation, dict(request), timeout_seconds))
        if isinstance(self.answer, AwsError):
            raise self.answer
        return self.answer


def test_reading_is_one_call() -> None:
    """A read is one GetParameter, of the latest version."""
    aws = Answers({"Parameter": {"Version": 7, "Value": DOCUMENT}})
    edition = SsmSheet(aws, NAME).read(timeout_seconds=0.5)

    assert Edition(7, SHEET) == edition
    assert [("ssm", "GetParameter", {"Name": NAME}, 0.5)] == aws.asked


def test_what_was_overwritten_is_one_call_too() -> None:
    """By its version."""
    aws = Answers({"Parameter": {"Version": 6, "Value": DOCUMENT}})

    assert Edition(6, SHEET) == SsmSheet(aws, NAME).read_overwritten(6)
    assert [("ssm", "GetParameter", {"Name": f"{NAME}:6"}, None)] == aws.asked


@pytest.mark.parametrize(
    ("over", "overwrites"), [(UNWRITTEN, False), (Edition(1, Sheet()), True)]
)
def test_writing_is_one_call(over: Edition, *, overwrites: bool) -> None:
    """A write is one PutParameter, which overwrites unless it creates."""
    aws = Answers({"Version": 8, "Tier": "Standard"})
    request = {
        "Name": NAME,
        "Value": DOCUMENT,
        "Type": "String",
        "Overwrite": overwrites,
    }

    assert 8 == SsmSheet(aws, NAME).write(SHEET, over=over)
    assert [("ssm", "PutParameter", request, None)] == aws.asked


@pytest.mark.parametrize("code", ["ParameterNotFound", "ParameterVersionNotFound"])
def test_what_is_not_there_is_none(code: str) -> None:
    """A parameter, or a version of it, that does not exist is None."""
    home = SsmSheet(Answers(AwsError(code, "")), NAME)

    assert home.read() is None
    assert home.read_overwritten(6) is None


def test_somebody_else_creates_it_first() -> None:
    """Then nothing is written."""
    aws = Answers(AwsError("ParameterAlreadyExists", ""))

    assert SsmSheet(aws, NAME).write(Sheet(), over=UNWRITTEN) is None


def test_other_refusals_pass_through() -> None:
    """What AWS refuses is the caller's business."""
    home = SsmSheet(Answers(AwsError("AccessDenied", "no")), NAME)

    with pytest.raises(AwsError, match="AccessDenied"):
        home.read()
    with pytest.raises(AwsError, match="AccessDenied"):
        home.write(Sheet(), over=UNWRITTEN)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Parameter": None},
        {"Parameter": []},
        {"Parameter": {}},
        {"Parameter": {"Version": 1}},
        {"Parameter": {"Value": DOCUMENT}},
        {"Parameter": {"Version": None, "Value": DOCUMENT}},
        {"Parameter": {"Version": "1", "Value": DOCUMENT}},
        {"Parameter": {"Version": 1, "Value": None}},
        {"Parameter": {"Version": 1, "Value": 5}},
        {"Parameter": {"Version": 1, "Value": "canary"}},
    ],
)
def test_a_malformed_answer_is_a_sheet_error(answer: dict[str, Any]) -> None:
    """Whatever a 200 holds, reading raises a SheetError, and does not quote it."""
    with pytest.raises(SheetError) as error:
        SsmSheet(Answers(answer), NAME).read()

    assert "canary" not in str(error.value)


@pytest.mark.parametrize("answer", [{}, {"Version": None}, {"Version": "2"}])
def test_a_write_without_a_version_is_a_sheet_error(answer: dict[str, Any]) -> None:
    """Who does not learn the generation cannot go on."""
    with pytest.raises(SheetError, match="version"):
        SsmSheet(Answers(answer), NAME).write(Sheet(), over=UNWRITTEN)


def test_a_parameter_needs_no_table() -> None:
    """The code for a table is loaded for a table alone: a cold start pays for it."""
    program = (
        "import sys; from rotaware.stamps import sheet_home;"
        f" sheet_home(None, {NAME!r}); print('rotaware.dynamodb' in sys.modules);"
        " sheet_home(None, 'dynamodb://a/b'); print('rotaware.dynamodb' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SOURCES)},
    )

    assert ["False", "True"] == done.stdout.split()


@pytest.mark.parametrize("writes", [False, True])
def test_an_address_names_the_home(*, writes: bool) -> None:
    """A parameter's name, or a table and a namespace that may hold dots and dashes."""
    aws = Answers({})

    assert isinstance(sheet_home(aws, NAME, writes=writes), SsmSheet)
    home = sheet_home(aws, "dynamodb://a-table/name.space", writes=writes)
    assert UNWRITTEN == home.read()
    request = {
        "TableName": "a-table",
        "Key": {"namespace": {"S": "name.space"}},
        "ConsistentRead": writes,
    }
    assert [("dynamodb", "GetItem", request, None)] == aws.asked
