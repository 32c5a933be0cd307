"""Pages prove what they claim by tests that they name: these tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[`(test_\w+)`\]\(([^)#]+)\)")
NAME = re.compile(r"`(test_\w+)`")
DEFINED = re.compile(r"(?m)^ *(?:async )?def (test_\w+)\(")


def names_in(test: Path) -> set[str]:
    """The tests of a file, and the file's own name."""
    return {test.stem, *DEFINED.findall(test.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def everywhere() -> set[str]:
    """All tests that there are."""
    return set().union(*map(names_in, (ROOT / "tests").rglob("test_*.py")))


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_every_test_that_a_page_names_exists(page: Path, everywhere: set[str]) -> None:
    """Where it is a link, in the file that the link leads to."""
    text = page.read_text(encoding="utf-8")

    assert set() == set(NAME.findall(text)) - everywhere
    for name, link in LINK.findall(text):
        assert name in names_in((page.parent / link).resolve()), (name, link)
