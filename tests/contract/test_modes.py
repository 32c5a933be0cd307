"""What a page says of other ways to run names its tests: all, and no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("section", "tests"),
    [
        ("Managed Instances", "tests/e2e/test_managed_instances.py"),
        ("SnapStart", "tests/e2e/test_snap_start.py"),
    ],
)
def test_each_row_is_a_test(section: str, tests: str) -> None:
    """Rows and tests are in the same order."""
    page = (ROOT / "docs" / "freshness.md").read_text(encoding="utf-8")
    _, _, rest = page.partition(f"\n### {section}\n")
    text = re.split(r"\n##+ ", rest)[0]
    tree = ast.parse((ROOT / tests).read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]

    assert [name for name in names if name.startswith("test_")] == re.findall(
        r"`(test_\w+)`", text
    )
