"""One Lambda execution environment on this machine.

The official Runtime Interface Emulator runs a runtime with a function directory on
/var/task and the built layer on /opt, in mount and process namespaces of its own:
nothing of it is seen outside, nothing of it survives. On this machine's root it needs
root or unprivileged user namespaces; in another system's, root. One sandbox takes one
request at a time, as in Lambda; its answer comes when the extension has asked for its
next event, so that is the moment to freeze. On Managed Instances it takes many, and
is never frozen.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.namespace import in_namespace
from tests.support.processes import Child, ProcessError, free_port, wait_until
from tests.support.runtimes import Runtime, python_on_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "build" / "layer"
LAYER_ARM64 = ROOT / "build" / "layer-arm64"
EMULATOR = ROOT / "build" / "tools" / "aws-lambda-rie"
INVOCATIONS = "/2015-03-31/functions/function/invocations"
_names = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Response:
    """What one invocation answered, and how long its caller waited."""

    status: int
    body: Any
    seconds: float


class Sandbox:
    """A function with its layer, from cold start to SHUTDOWN.

    Args:
        function: The directory that becomes /var/task.
        environ: The function's own environment variables, and its credentials.
        endpoint_url: Where AWS is.
        handler: As the function's configuration names it.
        runtime: What runs it, and in which system; by default Python on this machine.
        layer: What becomes /opt.
        tmp: The mount options of /tmp.
        timeout_seconds: The function's timeout, spent by INIT too.
    """

    def __init__(  # noqa: PLR0913  a Lambda function has as many settings
        self,
        function: Path,
        *,
        environ: Mapping[str, str],
        endpoint_url: str,
        handler: str = "app.handler",
        runtime: Runtime | None = None,
        layer: Path = LAYER,
        tmp: str = "size=512m",
        timeout_seconds: int = 20,
    ) -> None:
        runtime = runtime or python_on_this_machine()
        places = {"/opt": layer, "/var/task": function, "/var/rapid": EMULATOR.parent}
        places |= runtime.places
        _require(runtime.root.path, EMULATOR, *places.values())
        self.name = f"function-{next(_names)}"
        self.port = free_port()
        self.extension_port = free_port()
        self._takes = threading.BoundedSemaphore(runtime.at_once)
        self._stage = Path(tempfile.mkdtemp(prefix="rotaware-sandbox-"))
        self._tmp: int | None = None
        own = self._environ(handler, endpoint_url, timeout_seconds)
        command = in_namespace(runtime.root, self._stage, tmp, places)
        command += [*self._emulator(), *runtime.command, handler]
        variables = {**own, **runtime.environ, **environ}
        self._child = Child(command, variables, self._stage.parent)
        try:
            self._child.wait_until_listening(self.port)
            self._emulator_pid = self._child_of(self._child.pid)
            inside = f"/proc/{self._emulator_pid}/root/tmp"
            self._tmp = os.open(inside, os.O_PATH | os.O_DIRECTORY)
        except BaseException:
            self.stop()
            raise

    def invoke(
        self,
        payload: object = None,
        deadline_seconds: float = 30,
        trace: str | None = None,
    ) -> Response:
        """Send one event; return when function and extension are through with it."""
        with self._takes:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=deadline_seconds
            )
            with contextlib.closing(connection):
                started_at = time.monotonic()
                headers = {"X-Amzn-Trace-Id": trace} if trace else {}
                connection.request("POST", INVOCATIONS, json.dumps(payload), headers)
                response = connection.getresponse()
                raw = response.read()
                seconds = time.monotonic() - started_at
        try:
            body = json.loads(raw)
        except ValueError:
            body = raw
        return Response(response.status, body, seconds)

    @property
    def lines(self) -> list[str]:
        """Everything that emulator, extension and function have written."""
        return self._child.lines

    @property
    def tmp(self) -> Path:
        """What the function has as /tmp; it can be looked at until `stop`."""
        return Path(f"/proc/self/fd/{self._tmp}")

    def wait_for(
        self, predicate: Callable[[str], bool], deadline_seconds: float = 10.0
    ) -> str:
        """The first log line that satisfies the predicate."""
        return self._child.wait_for(predicate, deadline_seconds)

    def processes(self) -> dict[int, str]:
        """The command lines of all that runs inside, by the host's process ids."""
        inside: dict[int, str] = {}
        with contextlib.suppress(FileNotFoundError):
            namespace = Path(f"/proc/{self._emulator_pid}/ns/pid").readlink()
            for place in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if (place / "ns" / "pid").readlink() == namespace:
                        command = (place / "cmdline").read_bytes()
                        inside[int(place.name)] = command.replace(b"\0", b" ").decode()
        return inside

    def freeze(self) -> None:
        """Stop every process inside, as Lambda does between invocations."""
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them all go on."""
        for pid in self.processes():
            os.kill(pid, signal.SIGCONT)

    def shut_down(self, deadline_seconds: float = 5.0) -> float:
        """Deliver SHUTDOWN as Lambda does; return how many seconds all took to end."""
        started_at = time.monotonic()
        os.kill(self._emulator_pid, signal.SIGTERM)
        if self._child.wait(deadline_seconds) is None:
            raise ProcessError(f"did not shut down:\n{self._child.transcript()}")
        return time.monotonic() - started_at

    def stop(self) -> None:
        """End whatever still runs and remove what it wrote; harmless when repeated."""
        if self._child.running and hasattr(self, "_emulator_pid"):
            self.thaw()
            with contextlib.suppress(ProcessError, ProcessLookupError):
                self.shut_down()
        self._child.stop()
        if self._tmp is not None:
            os.close(self._tmp)
            self._tmp = None
        with contextlib.suppress(FileNotFoundError):
            self._stage.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _environ(
        self, handler: str, endpoint_url: str, timeout_seconds: int
    ) -> dict[str, str]:
        return {
            "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
            "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:"
            "/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "LAMBDA_TASK_ROOT": "/var/task",
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "_HANDLER": handler,
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(self.extension_port),
        }

    def _emulator(self) -> list[str]:
        addresses = {
            "--runtime-interface-emulator-address": self.port,
            "--runtime-api-address": free_port(),
        }
        options = [
            part for flag, port in addresses.items()
            for part in (flag, f"127.0.0.1:{port}")
        ]  # fmt: skip
        return [f"/var/rapid/{EMULATOR.name}", "--log-level", "info", *options]

    def _child_of(self, pid: int) -> int:
        children = Path(f"/proc/{pid}/task/{pid}/children")
        wait_until(lambda: bool(children.read_text().split()), "the emulator's process")
        return int(children.read_text().split()[0])


def _require(*parts: Path) -> None:
    for part in parts:
        if not part.exists():
            raise ProcessError(f"{part} is missing: `make test` builds it")
