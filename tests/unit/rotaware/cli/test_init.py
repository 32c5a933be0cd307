"""The tool says what to install where its extra is missing."""

from __future__ import annotations

import sys
from types import ModuleType

import click
import pytest

from rotaware.cli import main


def test_it_runs_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``main`` is what the installed program calls."""
    monkeypatch.setattr(sys, "argv", ["rotaware", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()

    assert 0 == ended.value.code
    assert "doctor" in capsys.readouterr().out
    assert click.__name__ in sys.modules


@pytest.mark.parametrize("module", ["boto3", "click", "rich.console"])
def test_a_missing_extra_is_one_line(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """It names the command that installs it."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name, name=module)

    commands = ModuleType("rotaware.cli.commands")
    monkeypatch.setattr(commands, "__getattr__", missing, raising=False)
    monkeypatch.setitem(sys.modules, commands.__name__, commands)
    with pytest.raises(SystemExit) as ended:
        main()

    package = module.partition(".")[0]
    line = f"rotaware: {package} is missing: pip install 'rotaware[cli]'"
    assert line == ended.value.code


def test_a_missing_part_of_its_own_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """That no extra would install."""
    monkeypatch.delitem(sys.modules, "rotaware.cli.commands", raising=False)
    monkeypatch.setitem(sys.modules, "rotaware.cli.commands", None)
    with pytest.raises(ModuleNotFoundError):
        main()
