"""What docs/databases.md shows is what the code takes."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from rotaware import database
from rotaware.database import arguments, ledger, redis_py, secrets
from rotaware.database import psycopg_pool as pools
from rotaware.database.refusals import _MYSQL, LOCKED

PAGE = (Path(__file__).parents[2] / "docs/databases.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def section(title: str) -> str:
    """What stands below a heading."""
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_code_compiles(block: str) -> None:
    """Each block is Python, and imports what is there."""
    compile(block, "docs/databases.md", "exec")
    for module, name in re.findall(r"\nfrom (rotaware\S*) import (\w+)", f"\n{block}"):
        assert hasattr(__import__(module, fromlist=[name]), name)


def test_the_table_of_settings() -> None:
    """It has the arguments of ``connect``, those of the decorator and the pools."""
    rows = re.findall(r"^\| `(\w+)` \|", section("Settings to use"), re.MULTILINE)
    taken = inspect.signature(database.connect).parameters.values()
    own = [each.name for each in taken if each.kind is each.KEYWORD_ONLY]

    assert set(own) == set(rows)
    assert set(own) < set(inspect.signature(database.with_login).parameters)
    assert {"pending", "budget_seconds", "client"} < set(
        inspect.signature(pools.ConnectionPool.__init__).parameters
    )


def test_the_table_of_drivers() -> None:
    """Every driver that is known is in it."""
    table = section("With each driver")

    for driver in arguments.DRIVERS:
        assert f"connect({driver}." in table


def test_figures() -> None:
    """Those on the page are those in the code."""
    assert 10.0 == secrets.BUDGET_SECONDS
    assert f"{secrets.RESERVE_SECONDS} s before the function does" in PAGE
    assert (0.5, 30.0, 0.25) == (
        ledger.FIRST_PAUSE_SECONDS,
        ledger.LONGEST_PAUSE_SECONDS,
        ledger.JITTER,
    )
    assert 3.0 == ledger.PROBE_SECONDS
    assert 60.0 == ledger.QUESTION_SECONDS
    assert redis_py.RETRIES > 0
    for number, kind in _MYSQL.items():
        assert (str(number) in section("The rule")) is True, (number, kind == LOCKED)
