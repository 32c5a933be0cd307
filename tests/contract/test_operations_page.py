"""What docs/operations.md lists is what there is: metrics, alarms, log lines."""

from __future__ import annotations

import re
from pathlib import Path

from rotaware import tally
from rotaware.holdings import STAMPED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CAUSES = (STAMPED, "created", "recreated", "forgotten", "overwritten", "overflow")


def rows(head: str) -> list[list[str]]:
    """The cells of a table, by how its head begins."""
    _, found, rest = PAGE.partition(f"| {head}")

    assert found

    _, *lines = rest.partition("\n\n")[0].split("\n")[1:]
    return [[cell.strip("` ") for cell in line.split("|")[1:-1]] for line in lines]


def test_the_page_lists_every_metric() -> None:
    """Counts and measurements, with their units; an eviction by each cause."""
    names = [
        value
        for name, value in vars(tally).items()
        if name.isupper() and isinstance(value, str)
    ]
    names.remove(tally.EVICTIONS)
    names += [tally.EVICTIONS + cause.title() for cause in CAUSES]
    listed = {name: unit for name, unit, _ in rows("metric | unit |")}

    assert sorted(names) == sorted(listed)
    for name, unit in listed.items():
        measured = name.endswith(("Latency", "Delay", "Time"))

        assert ("Milliseconds" if measured else "Count") == unit


def test_every_cause_of_an_eviction_is_known() -> None:
    """The sheet's own words for it are in the page."""
    source = (ROOT / "shared/rotaware/sheet.py").read_text(encoding="utf-8")
    body = source.partition("def missed(")[2].partition("\ndef ")[0]

    assert set(CAUSES) - {STAMPED, "overflow"} == set(
        re.findall(r'return "(\w+)"', body)
    )


def test_the_page_lists_every_alarm() -> None:
    """Those of the template, in its order."""
    template = (ROOT / "infra/template.yaml").read_text(encoding="utf-8")
    alarms = re.findall(
        r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm$", template, re.MULTILINE
    )

    assert alarms
    assert alarms == [name for name, *_ in rows("alarm | what has happened |")]


def test_every_metric_to_alarm_on_is_one() -> None:
    """A name with a typing error would be an alarm that never rings."""
    listed = {name for name, *_ in rows("metric | unit |")}
    watched = {
        cells[0].split("`")[0] for cells in rows("metric, sum over five minutes")
    }

    assert watched <= listed


def test_every_log_line_is_written_somewhere() -> None:
    """By the extension or what it is made of, at the level that is told."""
    sources = [
        path.read_text(encoding="utf-8")
        for folder in ("extension", "shared/rotaware")
        for path in (ROOT / folder).glob("*.py")
    ]
    text = " ".join(re.sub(r"\s+", " ", source) for source in sources)
    for message, level, _ in rows("`message` | level |"):
        assert re.search(rf'log\.{level.lower()}\( ?"{re.escape(message)}"', text), (
            message
        )
