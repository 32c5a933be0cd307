"""A folder of ``examples/``: its function, as the template beside it configures it.

Variables and permissions are taken from the template, so what is tested is what a user
deploys. A sandbox shares this machine's ports: each well-known port is replaced by a
free one, in the variables and in a copy of the function's files.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from samtranslator.yaml_helper import yaml_parse

from tests.support.namespace import HOST
from tests.support.processes import free_port
from tests.support.runtimes import node, python_on_this_machine
from tests.support.sandbox import Sandbox
from tests.support.stand_in import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.runtimes import Runtime

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PORT = "2773"
PSEUDO_PARAMETERS = {
    "${AWS::Partition}": "aws",
    "${AWS::Region}": REGION,
    "${AWS::AccountId}": ACCOUNT,
}


class Example(NamedTuple):
    """A template's one function.

    Attributes:
        folder: Where template and code lie.
        code: The folder that becomes /var/task.
        handler: As Lambda takes it.
        runtime: What the template names, such as ``python3.13``.
        layers: The layers' ARNs.
        variables: The environment variables.
        statements: What the function's role may do.
    """

    folder: Path
    code: Path
    handler: str
    runtime: str
    layers: list[str]
    variables: dict[str, str]
    statements: list[dict[str, Any]]

    @classmethod
    def read(cls, name: str, parameters: Mapping[str, str]) -> Example:
        """Read the template of ``examples/<name>``, with its parameters' values."""
        folder = EXAMPLES / name
        document = yaml_parse((folder / "template.yaml").read_text(encoding="utf-8"))
        (function,) = (
            _resolved(resource["Properties"], parameters)
            for resource in document["Resources"].values()
            if resource["Type"] == "AWS::Serverless::Function"
        )
        return cls(
            folder,
            folder / function["CodeUri"],
            function["Handler"],
            function["Runtime"],
            function["Layers"],
            function.get("Environment", {}).get("Variables", {}),
            [each for part in function["Policies"] for each in part["Statement"]],
        )

    def start(
        self,
        into: Path,
        endpoint_url: str,
        environ: Mapping[str, str],
        ports: tuple[str, ...],
        layer: Path,
    ) -> Sandbox:
        """Run it under the emulator.

        Args:
            into: An empty folder, for the copy of the code.
            endpoint_url: Where AWS is.
            environ: Credentials, and variables that are set besides.
            ports: The well-known ports that it uses.
            layer: What becomes /opt.
        """
        free = {port: str(free_port()) for port in (PORT, *ports)}
        code = into / "function"
        shutil.copytree(self.code, code, ignore=shutil.ignore_patterns("__pycache__"))
        for file in code.rglob("*"):
            if file.is_file():
                file.write_text(_replaced(file.read_text(encoding="utf-8"), free))
        code.chmod(0o755)
        into.chmod(0o755)
        variables = {
            name: free.get(value, value) for name, value in self.variables.items()
        }
        variables["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"] = free[PORT]
        return Sandbox(
            code,
            environ={**variables, **environ},
            endpoint_url=endpoint_url,
            handler=self.handler,
            runtime=self._runtime(),
            layer=layer,
        )

    def _runtime(self) -> Runtime:
        if self.runtime.startswith("nodejs"):
            # Debian 11 here knows no "localhost", as every system around a Lambda does.
            return node()._replace(root=HOST)
        return python_on_this_machine()


def _resolved(part: Any, parameters: Mapping[str, str]) -> Any:
    """The same, with each ``!Sub`` and ``!Ref`` replaced by what it stands for."""
    if isinstance(part, dict):
        if "Fn::Sub" in part:
            return _replaced(part["Fn::Sub"], PSEUDO_PARAMETERS)
        if "Ref" in part:
            return parameters[part["Ref"]]
        return {key: _resolved(value, parameters) for key, value in part.items()}
    if isinstance(part, list):
        return [_resolved(item, parameters) for item in part]
    return part


def _replaced(text: str, new: Mapping[str, str]) -> str:
    for old, value in new.items():
        text = text.replace(old, value)
    return text


def digest(value: str) -> str:
    """What the functions answer with in place of a value."""
    return hashlib.sha256(value.encode()).hexdigest()[:8]
