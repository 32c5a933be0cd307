"""What the pages say is what the code does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import report
from extension.config import MAX_CONFIG_CHARACTERS, VARIABLES, load
from tests.support.stand_in import ACCOUNT, REGION, reading_policy

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
HERE = f"{REGION}:{ACCOUNT}"
HEAD = ["| variable | default | meaning |", "|---|---|---|"]


def table() -> list[str]:
    """The settings' table as the README has to show it."""
    return HEAD + [
        f"| `{variable.name}` | {shown(variable.default)} | {variable.meaning} |"
        for variable in VARIABLES
    ]


def shown(default: str | None) -> str:
    """A default as a cell."""
    return "" if default is None else f"`{default}`"


def test_the_readme_lists_every_setting() -> None:
    """The README's table has each variable, its default and its meaning."""
    lines = README.read_text(encoding="utf-8").splitlines()
    assert HEAD[0] in lines, "\n".join(["the README needs this table:", *table()])
    start = lines.index(HEAD[0])
    rest = [*lines[start:], ""]

    assert table() == rest[: rest.index("")]


def test_no_cell_breaks_the_table() -> None:
    """A bar or a line end in a cell would make two of it."""
    assert all(4 == row.count("|") for row in table())
    assert not any("\n" in row for row in table())


def lists_something(text: str) -> bool:
    """Whether a config file is right and not empty."""
    return bool(load({}, lambda _: text).prefetch)


@pytest.mark.parametrize("page", ["README.md", "docs/settings.md"])
def test_every_config_file_shown_is_accepted(page: str) -> None:
    """What a page shows as a config file lists something, and has no fault."""
    text = (ROOT / page).read_text(encoding="utf-8")
    examples = [part.partition("```")[0] for part in text.split("```yaml\n")[1:]]

    assert examples
    assert all(lists_something(example) for example in examples)


def test_the_page_names_the_files_bound() -> None:
    """How long a config file may be is documented."""
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")

    assert f"{MAX_CONFIG_CHARACTERS:,}" in text


def test_make_bench_finds_its_place_in_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It replaces the figures, once, and nothing else of the page."""
    page = README.read_text(encoding="utf-8")
    start = page.index("| what | rotaware | peer |")
    figures = page[start : page.index("<!--", start)]
    copy = tmp_path / "README.md"
    copy.write_text(page, encoding="utf-8")
    monkeypatch.setattr(report, "README", copy)

    report.write_into_readme("measured anew\n")

    assert page.replace(figures, "measured anew\n") == copy.read_text(encoding="utf-8")


def test_the_policy_shown_is_the_one_that_is_tested() -> None:
    """The end-to-end tests run functions under the role that the README describes."""
    text = README.read_text(encoding="utf-8").partition("```json\n")[2]
    policy = text.partition("```")[0].replace("eu-west-1:123456789012", HERE)

    tested = reading_policy("app", "/rotaware/default/stamps")
    assert tested == json.loads(policy)["Statement"]
