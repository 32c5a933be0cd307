"""The sheet's home in Parameter Store: which calls it makes, what it makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rotaware.errors import AwsError, SheetError
from rotaware.sheet import Edition, Sheet, Stamp, encode, version_digest
from rotaware.stamps import SsmSheet

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "/rotaware/default/stamps"
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


@pytest.mark.parametrize(("generation", "name"), [(None, NAME), (7, f"{NAME}:7")])
def test_reading_is_one_call(generation: int | None, name: str) -> None:
    """A read is one GetParameter, of the latest version or of the one asked for."""
    aws = Answers({"Parameter": {"Version": 7, "Value": DOCUMENT}})
    edition = SsmSheet(aws, NAME).read(generation, timeout_seconds=0.5)

    assert Edition(7, SHEET) == edition
    assert [("ssm", "GetParameter", {"Name": name}, 0.5)] == aws.asked


@pytest.mark.parametrize("create", [True, False])
def test_writing_is_one_call(*, create: bool) -> None:
    """A write is one PutParameter, which overwrites unless it creates."""
    aws = Answers({"Version": 8, "Tier": "Standard"})
    request = {
        "Name": NAME,
        "Value": DOCUMENT,
        "Type": "String",
        "Overwrite": not create,
    }

    assert 8 == SsmSheet(aws, NAME).write(SHEET, create=create)
    assert [("ssm", "PutParameter", request, None)] == aws.asked


@pytest.mark.parametrize("code", ["ParameterNotFound", "ParameterVersionNotFound"])
def test_what_is_not_there_is_none(code: str) -> None:
    """A parameter, or a version of it, that does not exist is None."""
    assert SsmSheet(Answers(AwsError(code, "")), NAME).read() is None


def test_other_refusals_pass_through() -> None:
    """What AWS refuses is the caller's business."""
    with pytest.raises(AwsError, match="AccessDenied"):
        SsmSheet(Answers(AwsError("AccessDenied", "no")), NAME).read()


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
        SsmSheet(Answers(answer), NAME).write(Sheet(), create=True)
