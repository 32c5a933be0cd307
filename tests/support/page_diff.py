"""The ```diff blocks of a page, each against the file that its header names.

A block is a unified diff without line numbers. What it leads to lies in the repository,
so the lines that it keeps and adds have to stand there, once; put back, they give the
file as it was before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FENCE = "```"


def diffs(page: str) -> dict[str, list[list[str]]]:
    """The hunks of each block, by the path after ``+++``."""
    found: dict[str, list[list[str]]] = {}
    for part in page.split(f"{FENCE}diff\n")[1:]:
        before, after, *lines = part.partition(FENCE)[0].splitlines()

        assert before == "--- before"

        hunks = found.setdefault(after.removeprefix("+++ "), [])
        for line in lines:
            if line == "@@":
                hunks.append([])
            else:
                hunks[-1].append(line)
    return found


def before(file: Path, hunks: list[list[str]]) -> str:
    """The file's text without what the hunks add, and with what they take away."""
    text = file.read_text(encoding="utf-8")
    for hunk in hunks:
        new = _joined(line[1:] for line in hunk if line[0] in " +")
        old = _joined(line[1:] for line in hunk if line[0] in " -")

        assert text.count(new) == 1, f"not in {file}:\n{new}"

        text = text.replace(new, old)
    return text


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
