"""docs/faults.md shows what the tests of this folder prove, no more and no less."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.support.fault_table import (
    BEGIN,
    END,
    MODULES,
    PAGE,
    rows_by_test,
    with_table,
)


def test_the_page_is_what_the_tests_say() -> None:
    """Each row is a test's, and each test's rows are there."""
    page = PAGE.read_text(encoding="utf-8")

    assert (1, 1) == (page.count(BEGIN), page.count(END))
    assert with_table(page) == page, "run python -m tests.support.fault_table"


def test_every_fault_test_carries_a_row() -> None:
    """A test without a row is not to be found by who reads the page."""
    here = {path.stem for path in Path(__file__).parent.glob("test_*.py")}
    without = [
        f"{name}.{test}"
        for name in MODULES
        for test, rows in rows_by_test(importlib.import_module(f"tests.faults.{name}"))
        if not rows
    ]

    assert here - {Path(__file__).stem} == set(MODULES)
    assert [] == without


def test_every_row_is_one_line_of_the_table() -> None:
    """A bar or a line end in a cell would make two of it."""
    rows = [
        row
        for name in MODULES
        for _, carried in rows_by_test(importlib.import_module(f"tests.faults.{name}"))
        for row in carried.values()
    ]

    assert len(rows) == len({row.fails + row.reader for row in rows}) > 80
    assert not any("|" in cell or "\n" in cell for row in rows for cell in row if cell)
