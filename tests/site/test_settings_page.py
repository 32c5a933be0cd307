"""The table of docs/settings.md is that of the code.

python -m tests.site.test_settings_page     writes it into the page
"""

from __future__ import annotations

from pathlib import Path

from extension.config import VARIABLES

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
BEGIN, END = "<!-- made by tests/site/test_settings_page.py -->", "<!-- up to here -->"
HEAD = ["| variable | default | meaning |", "|---|---|---|"]


def table() -> list[str]:
    """A row for each variable."""
    return HEAD + [
        f"| `{each.name}` | {f'`{each.default}`' if each.default else ''}"
        f" | {each.meaning} |"
        for each in VARIABLES
    ]


def with_table(page: str) -> str:
    """The page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "\n".join(table())
    return f"{before}{BEGIN}\n{lines}\n{END}{after}"


def test_the_page_lists_every_setting() -> None:
    """Name, default and meaning, in the code's order."""
    page = PAGE.read_text(encoding="utf-8")

    assert (1, 1) == (page.count(BEGIN), page.count(END))
    assert with_table(page) == page, "run python -m tests.site.test_settings_page"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
