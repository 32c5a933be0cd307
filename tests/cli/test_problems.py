"""What keeps a command from its work is one line, status 1, and nothing half-done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import SECRET
from tests.support.processes import free_port
from tests.support.recorder import Refusal

if TYPE_CHECKING:
    from click.testing import Result

    from tests.cli.conftest import Tool
    from tests.support.deployment import Deployment
    from tests.support.stand_in import StandIn

COMMANDS = [("doctor",), ("stamps",), ("stamp", SECRET)]
NOTHING = [{"Effect": "Deny", "Action": ["*"], "Resource": ["*"]}]
every_command = pytest.mark.parametrize("command", COMMANDS, ids="-".join)


def one_line(result: Result, *words: str) -> None:
    """What a person sees."""
    assert (1, "") == (result.exit_code, result.stdout)
    assert 1 == result.stderr.count("\n"), result.stderr
    assert result.stderr.startswith("rotaware: ")
    for word in words:
        assert word in result.stderr


@every_command
def test_no_credentials(tool: Tool, command: tuple[str, ...]) -> None:
    """It says how to get some."""
    nothing = dict.fromkeys(tool.environ)
    tool.environ = {
        **nothing,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    }

    one_line(tool.run(*command, AWS_PROFILE=None), "no credentials", "aws configure")


@every_command
def test_credentials_that_aws_does_not_know(
    tool: Tool, stand_in: StandIn, command: tuple[str, ...]
) -> None:
    """Wrong, expired, or of a Region that is not enabled."""
    forged = stand_in.assume(NOTHING) | {"AWS_SECRET_ACCESS_KEY": "another"}

    one_line(tool.run(*command, **forged), "AWS does not take these credentials here")


@every_command
def test_a_region_that_is_closed(
    tool: Tool, stand_in: StandIn, command: tuple[str, ...]
) -> None:
    """Where nothing is allowed, nothing looks healthy."""
    result = tool.run(*command, **stand_in.assume(NOTHING))

    one_line(result, "AccessDenied", "allow this to yourself", "organisation")


@pytest.mark.parametrize(
    ("command", "call"),
    [
        (("doctor",), "AWSEvents.DescribeRule"),
        (("stamps",), "secretsmanager.ListSecrets"),
        (("stamp", SECRET), "secretsmanager.DescribeSecret"),
    ],
)
def test_throttling(  # noqa: PLR0913, PLR0917  pytest's
    tool: Tool,
    stand_in: StandIn,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    call: str,
) -> None:
    """It says when to try again, and has written nothing."""
    monkeypatch.setattr("rotaware.cli.session.ATTEMPTS", 1)
    before = deployment.sheet_version()
    recorder = stand_in.recorder()
    with recorder.refusing(call, Refusal(400, "ThrottlingException", "Rate exceeded")):
        result = tool.run(*command, "--endpoint-url", recorder.url)

    one_line(result, "Rate exceeded", "try again in a minute")
    assert before == deployment.sheet_version()


def test_nobody_answers(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network, or a Region that there is not."""
    monkeypatch.setattr("rotaware.cli.session.ATTEMPTS", 1)
    url = f"http://127.0.0.1:{free_port()}"

    one_line(tool.run("stamps", "--endpoint-url", url), "EndpointConnectionError")


def test_no_such_profile(tool: Tool) -> None:
    """Before AWS is asked anything."""
    one_line(tool.run("stamps", "--profile", "nope"), "(nope)", "--profile")


def test_one_wrong_name_stamps_nothing(tool: Tool, deployment: Deployment) -> None:
    """The others are not stamped either."""
    before = deployment.sheet_version()

    one_line(tool.run("stamp", SECRET, "nope"), "ResourceNotFoundException", "--region")
    assert before == deployment.sheet_version()
