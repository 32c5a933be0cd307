"""A deployed stack and a function on the stand-in, and the tool as a person runs it.

One stand-in serves all of these tests. What a test breaks it mends, or breaks at
something of its own.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import pytest
from click.testing import CliRunner

from rotaware.cli.commands import rotaware
from rotaware.cli.session import open_account
from tests.support.deployment import Deployment, deploy
from tests.support.stand_in import (
    ACCOUNT,
    CREDENTIALS,
    REGION,
    StandIn,
    reading_policy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

ROOT = Path(__file__).parents[2]
MAIN = "from rotaware.cli import main; main()"
SECRET = "cli/database"
_numbers = itertools.count(1)
# It takes boto3 a second to load what it knows of eight services.
_known_account = functools.cache(open_account)


class Tool:
    """The command line, asking the stand-in."""

    def __init__(self, stand_in: StandIn) -> None:
        self._url = stand_in.url
        self.environ: dict[str, str | None] = {
            name.upper(): value for name, value in CREDENTIALS.items()
        }

    def run(self, command: str, *arguments: str, **environ: str | None) -> Result:
        """Run a command; its result has output, standard error and status."""
        where = ["--region", REGION, "--endpoint-url", self._url]
        used = open_account if environ else _known_account
        with mock.patch("rotaware.cli.options.open_account", used):
            return CliRunner().invoke(
                rotaware,
                [command, *where, *arguments],
                env={**self.environ, **environ},
                catch_exceptions=False,
            )

    def process(
        self, command: str, *arguments: str, cwd: Path = ROOT
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a process of its own, as it is installed."""
        return subprocess.run(
            [sys.executable, "-c", MAIN, command, *arguments],
            cwd=cwd,
            env={
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ENDPOINT_URL": self._url,
                "PATH": os.environ["PATH"],
                "HOME": "/nowhere",
                "PYTHONPATH": str(ROOT / "shared"),
                **{name.upper(): value for name, value in CREDENTIALS.items()},
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

    def findings(self, *arguments: str) -> list[dict[str, str]]:
        """What the doctor finds, other than what is right."""
        result = self.run("doctor", "--json", *arguments)
        found: list[dict[str, str]] = json.loads(result.stdout)
        wrong = [each for each in found if each["state"] != "ok"]
        errors = [each for each in wrong if each["state"] == "error"]

        assert (1 if errors else 0) == result.exit_code
        return wrong


class Made(NamedTuple):
    """A function, the role that it has, and its layer."""

    name: str
    role: str
    layer: str


@pytest.fixture(scope="session")
def stand_in() -> Iterator[StandIn]:
    """AWS."""
    with StandIn() as running:
        yield running


@pytest.fixture(scope="session")
def deployment(stand_in: StandIn) -> Deployment:
    """The stack, and one secret that has been rotated."""
    deployed = deploy(stand_in)
    manager = stand_in.client("secretsmanager")
    manager.create_secret(Name=SECRET, SecretString="canary-first")
    deployed.rotate(SECRET, "canary-second")
    return deployed


@pytest.fixture
def tool(stand_in: StandIn, deployment: Deployment) -> Tool:
    """The command line, where everything is deployed."""
    del deployment
    return Tool(stand_in)


@pytest.fixture(scope="session")
def layer(stand_in: StandIn) -> str:
    """The ARN of a published layer's version; what is in it nobody looks at."""
    return publish(stand_in, "rotaware", ["x86_64"])


@pytest.fixture
def make_function(
    stand_in: StandIn, deployment: Deployment, layer: str
) -> Callable[..., Made]:
    """Makes a function that is as it should be, but for what the test says."""

    def make(
        *,
        name: str | None = None,
        policy: list[dict[str, Any]] | None = None,
        layers: list[str] | None = None,
        **variables: str,
    ) -> Made:
        name = name or f"function-{next(_numbers)}"
        allowed = reading_policy("cli", deployment.sheet) if policy is None else policy
        role = make_role(stand_in, name, allowed)
        stand_in.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": zipped("app.py")},
            Layers=[layer] if layers is None else layers,
            Architectures=["x86_64"],
            Environment={"Variables": {"SECRET_DATABASE": SECRET, **variables}},
        )
        return Made(name, role, layer)

    return make


def make_role(stand_in: StandIn, name: str, statements: list[dict[str, Any]]) -> str:
    """The ARN of a new role that allows just this."""
    iam = stand_in.client("iam")
    trust = {"Version": "2012-10-17", "Statement": []}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    policy = {"Version": "2012-10-17", "Statement": statements}
    iam.put_role_policy(
        RoleName=name, PolicyName="reads", PolicyDocument=json.dumps(policy)
    )
    return str(role["Role"]["Arn"])


def publish(stand_in: StandIn, name: str, architectures: list[str]) -> str:
    """Publish a layer's version; its ARN."""
    return str(
        stand_in.client("lambda").publish_layer_version(
            LayerName=name,
            Content={"ZipFile": zipped("extensions/rotaware")},
            CompatibleArchitectures=architectures,
        )["LayerVersionArn"]
    )


def zipped(name: str) -> bytes:
    """A zip with one empty file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(name, "")
    return archive.getvalue()


def arn_of_parameter(name: str) -> str:
    """The ARN of a parameter on the stand-in."""
    return f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}"
