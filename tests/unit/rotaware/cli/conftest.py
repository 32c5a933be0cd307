"""Runs commands in this process, with AWS as a table of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from rotaware.cli import commands, options
from rotaware.cli.session import Account
from tests.support.answering import Answering

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key"}


class Acting(Account):
    """An account with credentials."""

    def credentials(self) -> dict[str, str]:
        return CREDENTIALS


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command with AWS's answers."""

    def run_command(
        *arguments: str, endpoint_url: str | None = None, **answers: Any
    ) -> Result:
        table = {name.replace("__", "."): each for name, each in answers.items()}
        aws = Answering(table)
        session: Any = None
        monkeypatch.setattr(
            options,
            "open_account",
            lambda *_: Acting(aws, "eu-west-1", session, endpoint_url),
        )
        return CliRunner().invoke(commands.rotaware, arguments, catch_exceptions=False)

    return run_command
