"""What a person or a program reads: lines with colours, or one JSON document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rotaware.cli.comparison import DIFFERS, SAME, Row
from rotaware.cli.findings import ERROR, OK, WARNING, Finding
from rotaware.clock import iso8601

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rotaware.cli.cost import Costs

_COLOURS = {OK: "green", WARNING: "yellow", ERROR: "red"}
WIDTH_OF_A_FILE = 200
_STATES = {SAME: "green", DIFFERS: "red"}


def print_json(document: Any) -> None:
    """One document."""
    print(json.dumps(document, indent=2))  # noqa: T201  this is the output


def print_lines(*lines: str) -> None:
    """Plain lines, however long."""
    console = _console()
    for line in lines:
        console.print(Text(line))


def finding_document(finding: Finding) -> dict[str, str]:
    """A finding for a program."""
    return finding._asdict()


def print_findings(found: Iterable[Finding]) -> None:
    """A line for each, and a second one with what to do."""
    console = _console()
    for each in found:
        line = Text(f"{each.state:8}", style=_COLOURS[each.state])
        line.append(f"{each.about}: {each.text}", style="default")
        console.print(line)
        if each.fix:
            console.print(Text(f"        -> {each.fix}", style="bold"))


def print_rows(rows: Sequence[Row], now_seconds: float) -> None:
    """A table of what is stamped and what is current."""
    table = Table(box=None, pad_edge=False)
    for heading in ("state", "name", "current version", "stamped", "ago"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        since = "" if row.since is None else iso8601(row.since)
        ago = "" if row.since is None else age(now_seconds - row.since)
        table.add_row(
            Text(row.state, style=_STATES.get(row.state, "default")),
            Text(row.name),
            Text(row.version or "none"),
            since,
            ago,
        )
    _console().print(table)


def print_costs(costs: Costs) -> None:
    """Each store with its price."""
    table = Table(box=None, pad_edge=False, show_header=False)
    free = "$0.00" if costs.ssm_dollars == 0.0 else "not possible: above its quota"
    checks = _range(*(f"{number:,}" for number in costs.checks))
    for name, text in (
        ("checks a month", checks),
        ("checks a second, at most", f"{costs.per_second:,.1f}"),
        ("ssm", free),
        ("ssm, higher throughput", _dollars(costs.ssm_higher_dollars)),
        ("dynamodb", _dollars(costs.dynamodb_dollars)),
    ):
        table.add_row(name, text)
    _console().print(table)


def age(seconds: float) -> str:
    """How long ago something was, in its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _dollars(bounds: tuple[float, float]) -> str:
    return _range(*(f"${amount:,.2f}" for amount in bounds))


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _console() -> Console:
    """In a file or a pipe, tables are as wide as they need."""
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_A_FILE
    return console
