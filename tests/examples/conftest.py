"""The rig of the examples: one stand-in and one invalidator for all of them.

Every value of a secret begins with ``canary-``: what was logged is searched for it when
a function stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.support.deployment import Deployment, deploy
from tests.support.events import parameter_changed
from tests.support.example import Example
from tests.support.sandbox import LAYER, Sandbox
from tests.support.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.support.recorder import Recorder

CANARY = "canary-"
LAYER_ARN = "arn:aws:lambda:eu-west-1:000000000000:layer:rotaware:1"
# So that nobody has to wait until a check is due.
EACH_INVOCATION = {"ROTAWARE_CHECK_INTERVAL": "0"}


class Running(NamedTuple):
    """An example's function, and every call to AWS that its environment makes."""

    sandbox: Sandbox
    calls: Recorder

    def invoke(self, event: object = None) -> dict[str, Any]:
        """What the function returns; it must not fail."""
        body = self._answer(event)
        if not isinstance(body, dict) or "errorType" in body:
            log = "\n".join(self.sandbox.lines[-40:])
            pytest.fail(f"the function failed: {body}\n{log}")
        return body

    def failure(self, event: object) -> str:
        """Why the function fails, as it must."""
        return str(self._answer(event)["errorMessage"])

    def fetches(self) -> list[str]:
        """What the last invocation asked of AWS, but for the sheet."""
        calls = [(call.name, call.request) for call in self.calls.calls]
        return sorted(
            f"{name} {request.get('SecretId') or request.get('Name', '')}".strip()
            for name, request in calls
            if not request.get("Name", "").startswith("/rotaware/")
        )

    def _answer(self, event: object) -> Any:
        self.calls.clear()
        return self.sandbox.invoke(event or {}).body


class Account(NamedTuple):
    """What the tests do to secrets and parameters."""

    stand_in: StandIn
    deployment: Deployment

    def put_secret(self, name: str, value: str) -> None:
        """Write a secret, new or not, before any function reads it."""
        assert CANARY in value

        manager = self.stand_in.client("secretsmanager")
        try:
            manager.create_secret(Name=name, SecretString=value)
        except manager.exceptions.ResourceExistsException:
            manager.put_secret_value(SecretId=name, SecretString=value)

    def delete_secret(self, name: str) -> None:
        """Remove a secret at once, if there is one."""
        self.stand_in.client("secretsmanager").delete_secret(
            SecretId=name, ForceDeleteWithoutRecovery=True
        )

    def rotate(self, name: str, value: str) -> None:
        """As a rotation function does; return when the stamp stands on the sheet."""
        self.deployment.settle()
        self.deployment.rotate(name, value)

    def put_parameter(self, name: str, value: str, kind: str = "String") -> None:
        """Write a parameter; if it is not the first time, its event is delivered."""
        parameters = self.stand_in.client("ssm")
        answer = parameters.put_parameter(
            Name=name, Value=value, Type=kind, Overwrite=True
        )
        if answer["Version"] > 1:
            arn = parameters.get_parameter(Name=name)["Parameter"]["ARN"]
            self.deployment.invoke(parameter_changed(name, arn=arn))


@pytest.fixture(scope="session")
def account() -> Iterator[Account]:
    """AWS, with the invalidator deployed from the template."""
    with StandIn() as stand_in:
        yield Account(stand_in, deploy(stand_in))


@pytest.fixture
def start(account: Account, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts examples by their names, with the built layer.

    ``ports`` are the well-known ones that the example uses; ``parameters`` those of its
    template; ``code`` and ``handler`` are run in place of its own.
    """
    running: list[Running] = []

    def run(
        name: str,
        *ports: str,
        parameters: Mapping[str, str] | None = None,
        code: Path | None = None,
        handler: str | None = None,
        layer: Path = LAYER,
        **environ: str,
    ) -> Running:
        example = Example.read(name, {"Layer": LAYER_ARN, **(parameters or {})})

        assert example.layers == [LAYER_ARN]

        example = example._replace(
            code=code or example.code, handler=handler or example.handler
        )
        recorder = account.stand_in.recorder()
        role = account.stand_in.assume(example.statements)
        into = tmp_path / f"{name}-{len(running)}"
        into.mkdir()
        environ = EACH_INVOCATION | role | environ
        sandbox = example.start(into, recorder.url, environ, ports, layer)
        running.append(Running(sandbox, recorder))
        return running[-1]

    yield run
    for one in running:
        one.sandbox.stop()

        assert [line for line in one.sandbox.lines if CANARY in line] == []
