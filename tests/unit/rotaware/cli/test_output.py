"""What a person and a program read."""

from __future__ import annotations

import json

import pytest

from rotaware.cli import output
from rotaware.cli.comparison import DIFFERS, UNSTAMPED, Row
from rotaware.cli.cost import Load, estimate
from rotaware.cli.findings import ERROR, OK, Finding

Capture = pytest.CaptureFixture[str]


def test_findings(capsys: Capture) -> None:
    """Each has its line, and its fix a second one; brackets are no markup."""
    output.print_findings(
        [
            Finding(OK, "stack", "is [red] there"),
            Finding(ERROR, "rule", "gone", "do it"),
        ]
    )

    assert [
        "ok      stack: is [red] there",
        "error   rule: gone",
        "        -> do it",
    ] == capsys.readouterr().out.splitlines()


def test_documents(capsys: Capture) -> None:
    """A finding as JSON."""
    output.print_json([output.finding_document(Finding(OK, "a", "b"))])

    assert [{"state": "ok", "about": "a", "text": "b", "fix": ""}] == json.loads(
        capsys.readouterr().out
    )


def test_lines_are_not_broken(capsys: Capture) -> None:
    """However long they are."""
    output.print_lines("word " * 100)

    assert 1 == capsys.readouterr().out.count("\n")


def test_rows(capsys: Capture) -> None:
    """With and without a stamp or a version."""
    output.print_rows(
        [
            Row(DIFFERS, "app/db", "secretsmanager", "v", 0, 0.0),
            Row(UNSTAMPED, "app/" + "x" * 90, "secretsmanager", "", None, 0.0),
        ],
        90.0,
    )
    head, first, second = capsys.readouterr().out.splitlines()

    assert head.split() == ["state", "name", "current", "version", "stamped", "ago"]
    assert first.split() == [
        "differs",
        "app/db",
        "v",
        "1970-01-01T00:00:00Z",
        "2",
        "min",
    ]
    assert second.split() == ["no", "stamp", "app/" + "x" * 90, "none"]


def test_a_terminal_has_its_own_width(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    output.print_findings([Finding(ERROR, "rule", "gone")])

    assert "\x1b[31merror" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environments", "words"), [(1, "$0.00"), (10_000, "not possible")]
)
def test_costs(capsys: Capture, environments: int, words: str) -> None:
    """SSM is free, or does not suffice."""
    output.print_costs(estimate(Load(10**9, environments, 5.0, 0.1)))

    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_ages(seconds: float, text: str) -> None:
    """In the largest unit."""
    assert text == output.age(seconds)
