"""The fault table of docs/faults.md, made from the rows that the fault tests carry.

python -m tests.support.fault_table     writes it into the page
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    Test = Callable[..., None]

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- made from tests/faults -->", "<!-- up to here -->"
MODULES = (
    "test_source",
    "test_credentials",
    "test_sheet",
    "test_time",
    "test_lambda",
    "test_machine",
    "test_clients",
)


class Row(NamedTuple):
    """One fault.

    Attributes:
        fails: What fails.
        reader: What a reader sees.
        log: What a log line says then; None where nothing is worth a line.
    """

    fails: str
    reader: str
    log: str | None = None


def row(fails: str, reader: str, log: str | None = None) -> Callable[[Test], Test]:
    """The test proves this row."""

    def mark(test: Test) -> Test:
        test.rows = {"": Row(fails, reader, log)}  # type: ignore[attr-defined]
        return test

    return mark


def rows(
    faults: Mapping[str, T], row_of: Callable[[str, T], Row]
) -> Callable[[Test], Test]:
    """The test is run with each fault, by its name, and proves a row with each."""

    def mark(test: Test) -> Test:
        made = {name: row_of(name, fault) for name, fault in faults.items()}
        test.rows = made  # type: ignore[attr-defined]
        with_each = pytest.mark.parametrize("fault", faults.values(), ids=faults)
        with_each(test)
        return test

    return mark


def row_of(test: Test, identifier: str) -> Row:
    """What a test proves."""
    carried: dict[str, Row] = test.rows  # type: ignore[attr-defined]
    return carried.get(identifier) or carried[""]


def rows_by_test(module: ModuleType) -> Iterator[tuple[str, Mapping[str, Row]]]:
    """Each test of a module, and its rows; no rows where it has none."""
    for name, test in vars(module).items():
        if name.startswith("test_") and inspect.isfunction(test):
            yield name, getattr(test, "rows", {})


def table() -> str:
    """All rows, in sections."""
    parts = []
    for name in MODULES:
        module = importlib.import_module(f"tests.faults.{name}")
        title = (module.__doc__ or "").splitlines()[0].rstrip(".")
        parts += [
            f"## {title}",
            "",
            f"In `tests/faults/{name}.py`.",
            "",
            "| what fails | what a reader sees | what the log says | test |",
            "|---|---|---|---|",
        ]
        for test, carried in rows_by_test(module):
            for identifier, row in carried.items():
                log = f"`{row.log}`" if row.log else ""
                ran = f"`{test}`" if not identifier else f"`{test}[{identifier}]`"
                parts.append(f"| {row.fails} | {row.reader} | {log} | {ran} |")
        parts.append("")
    return "\n".join(parts)


def with_table(page: str) -> str:
    """The page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
