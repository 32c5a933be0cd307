"""One extension process under measurement: rotaware's, or a peer's."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.stand_ins import REGION, STEP_SECONDS, ExtensionsApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.stand_ins import Aws

TOKEN = "benchmark-token"
SECRETS = [f"bench/secret-{number}" for number in range(10)]
LAUNCHER = ["/opt/extensions/rotaware"]
"""The built layer's, bound on /opt."""
WHOLE_PYTHON = Path("build/interpreter/build-python/bin/python3.13")
"""The layer's interpreter once more, with the whole standard library."""
BOTO3_EXTENSION = Path(__file__).parent / "peers" / "boto3_extension.py"


class Extension:
    """A running extension.

    Attributes:
        process: The process.
        port: Where it serves.
        started_at: When it was started, on the performance counter.
        api: Its Extensions API.
    """

    def __init__(
        self,
        command: list[str],
        aws: Aws,
        secrets: list[str],
        settings: dict[str, str],
    ) -> None:
        self.port = free_port()
        self.api = ExtensionsApi()
        environ = {
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIDBENCHMARK",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_SESSION_TOKEN": TOKEN,
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(self.port),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""),
            **{f"SECRET_{number}": name for number, name in enumerate(secrets)},
            **aws.settings,
            **settings,
        }
        self.started_at = time.perf_counter()
        self.process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)

    def registered_seconds(self) -> float:
        """From the start of the process until Lambda had its registration."""
        if not self.api.registered.wait(STEP_SECONDS):
            raise TimeoutError("the extension did not register")
        return self.api.registered_at - self.started_at

    def first_secret_seconds(self) -> float:
        """From the start of the process until a client had its first secret."""
        while True:
            with contextlib.suppress(OSError), self.connect() as client:
                client.sendall(self.request(SECRETS[0]))
                if client.recv(65536).startswith(b"HTTP/1.1 200"):
                    return time.perf_counter() - self.started_at
            if time.perf_counter() - self.started_at > STEP_SECONDS:
                raise TimeoutError("the extension served no secret")
            time.sleep(0.0005)

    def connect(self) -> socket.socket:
        """A connection to its port."""
        return connect(self.port)

    def request(self, name: str) -> bytes:
        """The bytes of a read."""
        return (
            f"GET /secretsmanager/get?secretId={name} HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{self.port}\r\n"
            f"X-Aws-Parameters-Secrets-Token: {TOKEN}\r\n\r\n"
        ).encode()

    def resident_bytes(self) -> int:
        """What it holds in memory."""
        return resident_bytes(self.process.pid)

    def stop(self) -> None:
        """Shut it down."""
        self.api.shut_down()
        try:
            self.process.wait(STEP_SECONDS)
        finally:
            self.process.kill()
            self.api.close()


@contextlib.contextmanager
def running(
    command: list[str],
    aws: Aws,
    secrets: list[str] | None = None,
    **settings: str,
) -> Iterator[Extension]:
    """An extension, shut down at the end."""
    names = SECRETS if secrets is None else secrets
    extension = Extension(command, aws, names, settings)
    try:
        yield extension
    finally:
        extension.stop()


def interpreter() -> str:
    """The interpreter that the layer's launcher names."""
    shebang = Path(LAUNCHER[0]).read_text(encoding="utf-8").splitlines()[0]
    return shebang.removeprefix("#!").split()[0]


def boto3_peer() -> list[str]:
    """The peer's command, spared the search for site-packages.

    It runs on the Python that this environment is made from: boto3 needs more of the
    standard library than the layer's interpreter is compiled with.
    """
    packages = sysconfig.get_path("purelib")
    start = f"import sys; sys.path.append({packages!r}); sys.argv[0] = {{0!r}};"
    code = start.format(str(BOTO3_EXTENSION)) + (
        " import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return [str(Path(sys.executable).resolve()), "-I", "-S", "-c", code]


def connect(port: int) -> socket.socket:
    """A connection to a port of this machine."""
    client = socket.create_connection(("127.0.0.1", port), STEP_SECONDS)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def resident_bytes(pid: int) -> int:
    """A process's resident memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
