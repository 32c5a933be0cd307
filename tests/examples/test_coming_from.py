"""The pages: diffs lead to the examples, links somewhere, and claims are backed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.support.page_diff import before, diffs

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "coming-from").glob("*.md"))
FEATURES = ROOT / "docs" / "features.md"
EXAMPLES = ROOT / "examples"
LIST_OF_EXAMPLES = EXAMPLES / "README.md"
LINKING = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(EXAMPLES.rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")
NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


def changed_files(page: Path) -> dict[Path, str]:
    """The files that a page's diffs lead to, as they were before."""
    found = diffs(page.read_text(encoding="utf-8"))
    return {ROOT / name: before(ROOT / name, hunks) for name, hunks in found.items()}


def anchors(page: Path) -> set[str]:
    """What can follow a ``#`` in a link to the page."""
    titles = re.findall(r"(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
    return {
        NOT_IN_ANCHORS.sub("", title).strip().lower().replace(" ", "-")
        for title in titles
    }


def test_every_page_is_here() -> None:
    """A page without a diff would pass every other test."""
    assert len(PAGES) == 5
    assert all(changed_files(page) for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_diff_is_complete(page: Path) -> None:
    """Without what it adds, nothing of rotaware is left in the whole example."""
    changed = changed_files(page)
    (folder,) = {
        ROOT / "examples" / file.relative_to(ROOT).parts[1] for file in changed
    }
    files = [folder / "template.yaml", *(folder / "function").glob("*.*")]
    texts = {file: file.read_text(encoding="utf-8") for file in files} | changed

    assert [file for file, text in texts.items() if "rotaware" in text.lower()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_was_before_is_well_formed(page: Path) -> None:
    """The diff begins at a template and code that one can have."""
    for file, text in changed_files(page).items():
        if file.suffix == ".py":
            compile(text, file, "exec")
        else:
            assert "AWS::Serverless::Function" in str(yaml_parse(text))


@pytest.mark.parametrize(
    "page", LINKING, ids=lambda page: f"{page.parent.name}/{page.stem}"
)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file, and each anchor a title in it."""
    text = page.read_text(encoding="utf-8")
    links = [
        (page.parent / path if path else page, anchor)
        for path, anchor in LINK.findall(text)
    ]

    assert [path for path, _ in links if not path.exists()] == []
    assert [
        (path, anchor)
        for path, anchor in links
        if anchor and anchor not in anchors(path)
    ] == []


def rows(page: Path) -> list[list[str]]:
    """The cells of a page's first table, without its head."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rest = [*lines[start:], ""]
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in rest[: rest.index("")]
    ]

    assert {len(table[0])} == {len(row) for row in table}

    return table[2:]


def test_every_claim_of_features_is_backed() -> None:
    """Each of rotaware's cells leads to a page or a test."""
    table = rows(FEATURES)

    assert len(table) > 20
    assert [row[0] for row in table if not LINK.search(row[-1])] == []


def test_every_example_is_listed_with_its_test() -> None:
    """The examples' page has each folder, and names a test that there is."""
    table = [(LINK.findall(first), test) for first, *_, test in rows(LIST_OF_EXAMPLES)]
    listed = {folder for links, _ in table for folder, _ in links}
    folders = {path.parent.name for path in EXAMPLES.glob("*/template.yaml")}

    assert folders <= listed
    assert [test for _, test in table if not (ROOT / test.strip("`")).exists()] == []
