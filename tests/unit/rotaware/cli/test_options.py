"""What several commands have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from rotaware.cli import options
from rotaware.cli.commands import rotaware
from rotaware.errors import AwsError, AwsUnavailableError, RotawareError

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from rotaware.cli.session import Account


def test_options_and_variables_name_the_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Region, profile and endpoint, each as it is given."""
    opened: list[object] = []

    def refuse(*named: object) -> None:
        opened.extend(named)
        raise RotawareError("closed; open it")

    monkeypatch.setattr(options, "open_account", refuse)
    result = CliRunner().invoke(
        rotaware,
        ["doctor", "--region", "eu-west-1", "--profile", "work"],
        env={"AWS_ENDPOINT_URL": "http://aws"},
    )

    assert ["eu-west-1", "work", "http://aws"] == opened
    assert "rotaware: closed; open it\n" == result.stderr


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_variable_names_the_region(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Either of those that AWS's own command line knows."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "eu-north-1")
    seen: list[str] = []

    @click.command
    @options.asks_aws
    def command(account: Account) -> None:
        seen.append(account.region)

    result = CliRunner().invoke(command, [], catch_exceptions=False)

    assert (0, ["eu-north-1"]) == (result.exit_code, seen)


def test_a_problem_is_one_line(run: Callable[..., Result]) -> None:
    """On standard error, with status 1."""
    fault = AwsUnavailableError("NoCredentialsError", "x")
    result = run("doctor", cloudformation__DescribeStacks=fault)

    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("rotaware: there are no credentials; ")
    assert 1 == result.stderr.count("\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("stamps", "--namespace", "team"), "no sheet /rotaware/team/stamps here"),
        (("stamps", "--stamps", "off"), "off names no sheet"),
        (("stamps", "--stamps", "nowhere"), "ROTAWARE_STAMPS: names no stamp sheet"),
    ],
)
def test_a_sheet_that_is_none(
    run: Callable[..., Result], arguments: tuple[str, ...], words: str
) -> None:
    """Not there, or not named rightly, in the setting's own words."""
    result = run(*arguments, ssm__GetParameter=AwsError("ParameterNotFound", "none"))

    assert 1 == result.exit_code
    assert words in result.stderr
