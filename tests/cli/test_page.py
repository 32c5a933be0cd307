"""Each command that docs/command-line.md shows is run, and says what the page says.

Numbers, version ids and the endings that CloudFormation gives to names differ each
time.
"""

from __future__ import annotations

import re
import shlex
import shutil
from typing import TYPE_CHECKING

import click
import pytest

from rotaware.cli.commands import rotaware
from tests.cli.conftest import ROOT
from tests.support.processes import free_port
from tests.support.stand_in import reading_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Made, Tool
    from tests.support.deployment import Deployment
    from tests.support.stand_in import StandIn

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = [part.partition("```")[0] for part in PAGE.split("```console\n")[1:]]
EXAMPLE = PAGE.partition("```python\n")[2].partition("```")[0]

# Something else may run on this machine at the same time.
OTHER_PORT = f"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT={free_port()}"


def generalised(text: str) -> list[str]:
    """The lines of an output without what differs each time."""
    for pattern, word in (
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "VERSION"),
        (r"-[0-9A-F]{13}\b", "-ENDING"),
        (r"\d+(\.\d+)?( (s|min|h|d)\b)?", "0"),
        (r" +", " "),
    ):
        text = re.sub(pattern, word, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.fixture
def world(
    stand_in: StandIn,
    deployment: Deployment,
    make_function: Callable[..., Made],
) -> None:
    """What the page speaks of: the function ``orders`` and two secrets."""
    manager = stand_in.client("secretsmanager")
    for name in ("app/db", "app/partner"):
        manager.create_secret(Name=name, SecretString="canary")
    deployment.rotate("app/db", "canary-new")
    make_function(
        name="orders",
        policy=reading_policy("app", deployment.sheet),
        SECRET_DATABASE="app/db",
        ROTAWARE_NAMESPACE="shop",
    )


@pytest.mark.usefixtures("world")
def test_every_command_of_the_page_says_what_it_shows(
    tool: Tool, tmp_path: Path
) -> None:
    """In the order of the page."""
    (tmp_path / "app.py").write_text(EXAMPLE)
    (tmp_path / "build").mkdir()
    shutil.copytree(ROOT / "build" / "layer", tmp_path / "build" / "layer")
    shutil.copytree(ROOT / "build" / "tools", tmp_path / "build" / "tools")

    assert len(BLOCKS) >= 5
    for block in BLOCKS:
        first, _, shown = block.partition("\n")
        _, name, command, *arguments = shlex.split(first)
        if command == "local":
            arguments += ["--env", OTHER_PORT]
        ran = tool.process(command, *arguments, cwd=tmp_path)

        assert "rotaware" == name
        assert generalised(shown) == generalised(ran.stdout), ran.stderr
        if command == "cost":
            assert shown.split() == ran.stdout.split()


def test_the_page_names_every_command_and_option() -> None:
    """What ``--help`` lists is in the page's tables."""
    missing = [
        text
        for name, command in rotaware.commands.items()
        for text in (f"## `rotaware {name}", *options(command))
        if text not in PAGE
    ]

    assert [] == missing


def options(command: click.Command) -> list[str]:
    """Its options, as the page writes them."""
    return [
        f"`{option.opts[0]}"
        for option in command.params
        if isinstance(option, click.Option)
    ]
