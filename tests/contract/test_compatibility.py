"""The page on compatibility: a test for each row, a row for each test."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from extension.config import LISTED_TTL, SECRETS
from rotaware.settings import VARIABLES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
SUITES = [
    "tests/contract/test_aws_extension.py",
    "tests/contract/test_agent.py",
    "tests/contract/test_community.py",
]
AWS_PREFIXES = ("PARAMETERS_SECRETS_EXTENSION_", "SECRETS_MANAGER_", "SSM_PARAMETER_")
PATHS = [
    "/secretsmanager/get?secretId=",
    "/systemsmanager/parameters/get?name=",
    "/v1/<secretId>",
    "/ping",
    "/cache/<name>",
    "/secrets?name=",
    "/?name=",
]


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        section: Whose.
        what: Its first cell.
        tests: What stands behind it, each with its file.
    """

    section: str
    what: str
    tests: list[str]


def rows() -> list[Row]:
    """All rows of the page."""
    found = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        suite = re.search(r"^In `(tests/\S+)`|\nIn `(tests/\S+)`", section)

        assert suite is not None, section[:40]

        home = suite[1] or suite[2]
        title = section.partition("\n")[0]
        for line in section.splitlines():
            if not line.startswith("| ") or line.startswith(("|---", "| variable |")):
                continue
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if cells[-1] == "test":
                continue
            names = re.findall(r"`([^`]+)`", cells[-1])
            tests = [name if "::" in name else f"{home}::{name}" for name in names]
            found.append(Row(title, cells[0], tests))
    return found


@functools.cache
def named_in(file: str) -> set[str]:
    """The tests in a file, with the file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {f"{file}::{name}" for name in names if name.startswith("test_")}


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.section}: {row.what}")
def test_each_row_has_a_test(row: Row) -> None:
    """One at least, and all of them exist."""
    assert row.tests
    for test in row.tests:
        assert test in named_in(test.partition("::")[0])


@pytest.mark.parametrize("suite", SUITES)
def test_each_test_has_a_row(suite: str) -> None:
    """Nothing is promised by a test alone."""
    named = {test for row in rows() for test in row.tests}

    assert set() == named_in(suite) - named


def test_each_variable_has_a_row() -> None:
    """Those that others have, too."""
    text = "\n".join(row.what for row in rows())
    theirs = [each.name for each in VARIABLES if each.name.startswith(AWS_PREFIXES)]
    agents = ["AWS_TOKEN", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"]

    assert len(theirs) == 9
    for name in [*theirs, *agents, SECRETS.name, LISTED_TTL.name]:
        assert f"`{name}`" in text


def test_each_request_has_a_row() -> None:
    """Those that others answer, too."""
    text = "\n".join(row.what for row in rows())

    for path in PATHS:
        assert f"GET {path}" in text
