"""The extension as a real process, between a fake Lambda and a scripted AWS.

The launcher is a parameter: one that runs the source tree, or the built layer's own,
with the interpreter that its first line names.
"""

from __future__ import annotations

import http.client
import json
import sys
import sysconfig
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tests.support.processes import Child, free_port
from tests.support.recorder import Gate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.extensions_api import FakeExtensionsApi

ROOT = Path(__file__).parents[2]
LAMBDAS_PYTHON = ROOT / "build/interpreter/build-python/bin/python3.13"
ACCOUNT = "eu-west-1:111122223333"
TOKEN = "local-session-token"
SHEET = "/rotaware/default/stamps"
_ARN = f"arn:aws:secretsmanager:{ACCOUNT}:secret:"
_SUFFIX = "-AbCdEf"
_LAUNCHER = """\
import sys
sys.path[:0] = {paths}
from extension.__main__ import main
main()
"""


def source_launcher(directory: Path) -> Path:
    """A launcher for the source tree, under the layer's name for it."""
    launcher = directory / "rotaware"
    dependencies = sysconfig.get_paths()["purelib"]
    paths = [str(ROOT), str(ROOT / "shared"), dependencies]
    launcher.write_text(_LAUNCHER.format(paths=paths))
    return launcher


def layer_launcher(directory: Path, layer: Path) -> Path:
    """A built layer's launcher, for where the layer and Lambda's Python lie here."""
    launcher = directory / "rotaware"
    text = (layer / "extensions" / "rotaware").read_text()
    text = text.replace("/var/lang/bin/python3", str(LAMBDAS_PYTHON))
    launcher.write_text(text.replace("/opt/", f"{layer}/"))
    return launcher


def interpreter(launcher: Path) -> str:
    """What a launcher is run by: its own, or else this one."""
    first = launcher.read_text().partition("\n")[0]
    return first.removeprefix("#!").split()[0] if "#!" in first else sys.executable


class ScriptedAws:
    """Secrets Manager, Parameter Store and KMS on one loopback port.

    Attributes:
        url: For AWS_ENDPOINT_URL.
        secrets: Name to value; their version is the value's length.
        parameters: Name to value; the sheet may be one.
        plaintexts: Ciphertext to plaintext, both in base64; in whatever context.
        refusals: Operation to status and error code.
        gates: Operation to the gate that its calls pass.
        calls: The operations that were called, in order.
    """

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.parameters: dict[str, str] = {}
        self.plaintexts: dict[str, str] = {}
        self.refusals: dict[str, tuple[int, str]] = {}
        self.gates: dict[str, Gate] = {}
        self.calls: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.aws = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for gate in self.gates.values():
            gate.open()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hold(self, operation: str) -> Gate:
        """Let all calls of an operation wait at a gate, until it is opened."""
        self.gates[operation] = Gate()
        return self.gates[operation]

    def answer(self, operation: str, request: Mapping[str, Any]) -> tuple[int, Any]:
        """Status and document."""
        self.calls.append(operation)
        if operation in self.gates:
            self.gates[operation].arrived.set()
            self.gates[operation].opened.wait()
        if operation in self.refusals:
            status, code = self.refusals[operation]
            return status, {"__type": code, "message": "scripted"}
        match operation:
            case "GetSecretValue":
                return self._secret(request["SecretId"])
            case "BatchGetSecretValue":
                found = [self._secret(name) for name in request["SecretIdList"]]
                values = [document for status, document in found if status == 200]
                return 200, {"SecretValues": values, "Errors": []}
            case "GetItem":
                return 200, {}  # a table in which nothing has been written
            case "Decrypt":
                return 200, {"Plaintext": self.plaintexts[request["CiphertextBlob"]]}
            case _:
                return self._parameter(request["Name"])

    def _secret(self, secret_id: str) -> tuple[int, Any]:
        name = secret_id.removeprefix(_ARN).removesuffix(_SUFFIX)
        if name not in self.secrets:
            code = "ResourceNotFoundException"
            return 400, {"__type": code, "message": "no such secret"}
        value = self.secrets[name]
        return 200, {
            "ARN": f"{_ARN}{name}{_SUFFIX}",
            "Name": name,
            "VersionId": f"version-{len(value)}",
            "SecretString": value,
            "VersionStages": ["AWSCURRENT"],
            "CreatedDate": 1_800_000_000.5,
        }

    def _parameter(self, name: str) -> tuple[int, Any]:
        if name not in self.parameters:
            return 400, {"__type": "ParameterNotFound", "message": "no such parameter"}
        parameter = {
            "ARN": f"arn:aws:ssm:{ACCOUNT}:parameter{name}",
            "Name": name,
            "Type": "String",
            "Value": self.parameters[name],
            "Version": 1,
        }
        return 200, {"Parameter": parameter}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    aws: ScriptedAws


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        status, document = self.server.aws.answer(operation, json.loads(body))
        answer = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Calls are kept by the fake."""


class Read(NamedTuple):
    """One answer of the local port."""

    status: int
    cache_status: str
    document: Any


def read(port: int, target: str, headers: Mapping[str, str]) -> Read:
    """Ask a local port, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", target, headers=dict(headers))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    cache_status = response.headers["Cache-Status"]
    if response.headers["Content-Type"] != "application/json":
        return Read(response.status, cache_status, body.decode())
    return Read(response.status, cache_status, json.loads(body))


class ExtensionProcess:
    """A started extension.

    Args:
        launcher: What Lambda would start.
        api: Lambda.
        aws: AWS.
        directory: Its own TMPDIR.
        environ: Further variables.
        options: Further options of the interpreter.
    """

    def __init__(  # noqa: PLR0913  a process has many sides
        self,
        launcher: Path,
        api: FakeExtensionsApi,
        aws: ScriptedAws,
        directory: Path,
        *,
        environ: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.environ = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "local-secret-key",
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(self.port),
            "ROTAWARE_CONFIG": str(directory / "config.yaml"),
            "TMPDIR": str(directory),
            **(environ or {}),
        }
        self.environ = {k: v for k, v in self.environ.items() if v}
        self.child = Child(
            [interpreter(launcher), "-I", "-B", "-S", *options, str(launcher)],
            self.environ,
            cwd=directory,
        )

    def read(self, target: str, headers: Mapping[str, str] | None = None) -> Read:
        """Ask the local port, with the token unless the headers have another."""
        sent = {"X-Aws-Parameters-Secrets-Token": TOKEN} | dict(headers or {})
        return read(self.port, target, sent)

    def secret(self, name: str) -> str:
        """A secret's value."""
        document = self.read(f"/secretsmanager/get?secretId={name}").document
        value: str = document["SecretString"]
        return value

    @property
    def output(self) -> str:
        """Everything that it has written, to both streams."""
        return "\n".join(self.child.lines)
