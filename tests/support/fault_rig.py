"""The built layer's process, and hands on everything around it that can fail.

The layer is bound on /opt of a mount namespace, its launcher is started as Lambda does,
and talks TLS to a hostile AWS by a host name of its own. Only the clock is replaced:
the process reads the machine's plus what the test holds, through the one method that
all of its time comes from, so that minutes cost nothing. Waits on sockets are real.
ROTAWARE_LAYER names another layer than build/layer.
"""

from __future__ import annotations

import calendar
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.sheet import Sheet, Stamp, encode, subject_of, version_digest
from tests.support.extension_process import Read, read
from tests.support.extensions_api import FakeExtensionsApi
from tests.support.hostile_aws import (
    CA,
    LOCALHOST,
    HostileAws,
    answer,
    refuse,
)
from tests.support.processes import Child, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from tests.support.hostile_aws import Received, Step

ROOT = Path(__file__).resolve().parents[2]
LAYER = Path(os.environ.get("ROTAWARE_LAYER", ROOT / "build" / "layer"))
HOST = "aws.test"
HERE, NOBODY = "127.0.0.1", "127.0.0.9"
TOKEN = "canary-session-token"
TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"
READ = "/secretsmanager/get?secretId="
SHEET = "/rotaware/default/stamps"
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:{}-AbCdEf"
CREATED = 1_800_000_000
"""When AWS says that each version was made; each is stamped later."""
SKEW_SECONDS = 300
TTL_SECONDS, STALE_SECONDS = 100, 1000
SETTINGS = {
    "SECRETS_MANAGER_TTL": str(TTL_SECONDS),
    "ROTAWARE_STALE_IF_ERROR": str(STALE_SECONDS),
    "SECRETS_MANAGER_TIMEOUT_MILLIS": "1000",
}
CHECK_SECONDS = 6.0
"""More than the interval between two looks at the sheet."""
RECOVERY_SECONDS = 61.0
"""More than checks that fail are apart, and longer than a refusal is remembered."""
THROTTLED_SECONDS = 901.0
"""More than checks that are throttled are apart."""
# $ROOM holds the places of everything, because the rest may be hidden by then.
SCRIPT = r"""
set -eu
layer=$1 launcher=$2 room=$3 tmp=$4 stdout=$5
shift 5
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/room /mnt/tmp
mount --bind "$room" /mnt/room
mount --bind "$layer" /opt
mount --bind "$launcher" /opt/extensions/rotaware
mount -o remount,bind,ro /opt
mount --bind "$room/hosts" /etc/hosts
if [ -e /etc/resolv.conf ]; then mount --bind "$room/resolv.conf" /etc/resolv.conf; fi
cd /mnt/room
case $tmp in
    full)
        mount -t tmpfs -o size=4k tmpfs /mnt/tmp
        dd if=/dev/zero of=/mnt/tmp/filler bs=4096 count=1 2>/dev/null
        ;;
    read-only) mount -t tmpfs -o ro tmpfs /mnt/tmp ;;
esac
[ "$tmp" = own ] || mount --bind /mnt/tmp /tmp
case $stdout in
    closed) exec "$@" >&- ;;
    own) exec "$@" ;;
    *) exec "$@" <>"$stdout" >&0 ;;
esac
"""
HELD_CLOCK = """\
import posix
sys.path.insert(0, "/opt/rotaware")
from rotaware import clock
held = posix.open("/mnt/room/clock", posix.O_RDONLY)
machines = clock.SystemClock.now
def now(self):
    wall, monotonic = map(float, posix.pread(held, 64, 0).split())
    instant = machines(self)
    return clock.Instant(instant.wall + wall, instant.monotonic + monotonic)
clock.SystemClock.now = now
"""


class Account:
    """What AWS answers, unless a fault says otherwise.

    Attributes:
        versions: Each secret's values, by name; the last one is the current.
        sheet: The stamp sheet's text; None where there is none.
        lagging: Names whose former value is still answered.
        faults: Operation to what becomes of its calls.
        accepted_key: The one access key that is still good; None for any.
        calls: The operations that were called, in order.
    """

    def __init__(self) -> None:
        self.versions: dict[str, list[str]] = {}
        self.sheet: str | None = encode(Sheet())
        self.generation = 1
        self.stamps: dict[str, Stamp] = {}
        self.lagging: set[str] = set()
        self.faults: dict[str, Step] = {}
        self.accepted_key: str | None = None
        self.calls: list[str] = []

    def put(self, name: str, value: str | None = None) -> str:
        """Give a secret its first or next value."""
        values = self.versions.setdefault(name, [])
        values.append(value or f"canary-{name}-{len(values) + 1}")
        return values[-1]

    def rotate(self, name: str, value: str | None = None) -> str:
        """Give it its next value, and stamp that as the invalidator does."""
        value = self.put(name, value)
        subject = subject_of(ARN.format(name))
        version = version_digest(_version(len(self.versions[name])))
        self.stamps[subject] = Stamp(version, CREATED + self.generation)
        self.write_sheet(encode(Sheet(base=self.generation, stamps=dict(self.stamps))))
        return value

    def write_sheet(self, text: str | None) -> None:
        """Put any text where the sheet is."""
        self.generation += 1
        self.sheet = text

    def respond(self, received: Received) -> Step:
        """What becomes of a request."""
        operation = received.headers["x-amz-target"].rpartition(".")[2]
        self.calls.append(operation)
        if operation in self.faults:
            return self.faults[operation]
        signer = received.headers["authorization"].partition("Credential=")[2]
        if self.accepted_key not in (None, signer.partition("/")[0]):
            return refuse("ExpiredTokenException", "token is expired")
        signed_at = received.headers["x-amz-date"]
        if abs(_epoch_seconds(signed_at) - time.time()) > SKEW_SECONDS:
            date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
            return refuse("InvalidSignatureException", "Signature expired", Date=date)
        if operation == "GetSecretValue":
            return self.secret(received.document["SecretId"])
        if operation == "GetParameter" and self.sheet is not None:
            parameter = {"Version": self.generation, "Value": self.sheet}
            return answer({"Parameter": {"Name": SHEET, **parameter}})
        return refuse("ParameterNotFound")

    def secret(self, name: str) -> Step:
        values = self.versions.get(name)
        if not values:
            return refuse("ResourceNotFoundException", "no such secret")
        number = len(values) - (name in self.lagging)
        return answer(
            {
                "ARN": ARN.format(name),
                "Name": name,
                "VersionId": _version(number),
                "SecretString": values[number - 1],
                "VersionStages": ["AWSCURRENT"],
                "CreatedDate": CREATED,
            }
        )


class World:
    """One execution environment, its Lambda and its AWS.

    Args:
        directory: An empty folder.
        environ: Further variables; "" takes one away.
        tmp: ``own``, ``full`` or ``read-only``.
        stdout: ``own``, ``closed``, or a FIFO's path.
        command: What to put before the launcher.
        bug: Python that the launcher runs before the extension.
        faults: Those of the account from the start.
        secrets: Those that have a first value by then.
        wait: Whether to return when the extension waits for its first event.
    """

    def __init__(  # noqa: PLR0913  an environment has many sides
        self,
        directory: Path,
        *,
        environ: dict[str, str] | None = None,
        tmp: str = "own",
        stdout: str = "own",
        command: Sequence[str] = (),
        bug: str = "",
        faults: Mapping[str, Step] = MappingProxyType({}),
        secrets: Sequence[str] = (),
        api: FakeExtensionsApi | None = None,
        wait: bool = True,
    ) -> None:
        if not LAYER.exists():
            raise FileNotFoundError(f"{LAYER} is missing: run `make layer`")
        self._room = directory / "room"
        self._room.mkdir()
        self._freezer = _Freezer()
        self._children: list[Child] = []
        self._files = directory
        self.account = Account()
        self.account.faults.update(faults)
        for name in secrets:
            self.account.put(name)
        self.aws = HostileAws(
            certificate=LOCALHOST, directory=directory, respond=self.account.respond
        )
        self.api = api or FakeExtensionsApi()
        self.port = free_port()
        self.environ = {
            **self.aws.environ(),
            **SETTINGS,
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_ENDPOINT_URL": f"https://{HOST}:{self.aws.port}",
            # As in AWS, Parameter Store is another host, with connections of its own.
            "AWS_ENDPOINT_URL_SSM": f"https://localhost:{self.aws.port}",
            "AWS_CA_BUNDLE": "/mnt/room/ca.pem",
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(self.port),
            "PATH": os.defpath,
            "TMPDIR": "/mnt/tmp",
            **(environ or {}),
        }
        self.environ = {name: text for name, text in self.environ.items() if text}
        (self._room / "ca.pem").write_text(CA)
        (self._room / "resolv.conf").write_text(f"nameserver {NOBODY}\n")
        self._offsets = [0.0, 0.0]
        self.step()
        self.resolve_to(HERE)
        launcher = directory / "rotaware"
        first, _, rest = (LAYER / "extensions" / "rotaware").read_text().partition("\n")
        imported, _, rest = rest.partition("import sys\n")
        launcher.write_text(f"{first}\n{imported}import sys\n{HELD_CLOCK}{bug}{rest}")
        launcher.chmod(0o755)
        self._command = [
            *_unshare(),
            *map(str, (SCRIPT, "fault", LAYER, launcher, self._room, tmp, stdout)),
            *command,
            "/opt/extensions/rotaware",
        ]
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.aws)
            stack.enter_context(self.api)
            self.child = self.start_another()
            stack.callback(self.child.stop)
            self._stack = stack.pop_all()
        if wait:
            self.api.wait_for_next()

    def start_another(self, **environ: str) -> Child:
        """A further process of the same environment."""
        child = Child(self._command, {**self.environ, **environ}, self._files)
        self._children.append(child)
        return child

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        self._freezer.remove()
        self._stack.close()
        leaks = [line for line in self.all_lines if "canary" in line]
        files = [path for path in self._room.rglob("*") if path.is_file()]

        assert not leaks
        assert not [path for path in files if b"canary" in path.read_bytes()]

    @property
    def lines(self) -> list[str]:
        """Everything that the process has written."""
        return self.child.lines

    @property
    def all_lines(self) -> list[str]:
        """The same, and what further processes have written."""
        return [line for child in self._children for line in child.lines]

    # --- readers

    def read(self, name: str, options: str = "") -> Read:
        """A secret, or an error, as a reader sees it."""
        return read(self.port, f"{READ}{name}{options}", {TOKEN_HEADER: TOKEN})

    def seen(self, name: str, options: str = "") -> str:
        """The same in a line: the value and where it comes from, or the error."""
        got = self.read(name, options)
        if got.status != 200:
            return f"{got.status} {got.document['__type']}"
        how = got.cache_status.removeprefix("rotaware; ").partition("; ttl")[0]
        return f"{got.document['SecretString']} {how}"

    def assert_alive(self) -> None:
        """The function is not failed: an invocation runs through."""
        self.api.invoke()

        assert self.child.running

    # --- time

    def step(self, *, wall: float = 0.0, monotonic: float = 0.0) -> None:
        """Move each of the process's clocks by itself."""
        self._offsets[0] += wall
        self._offsets[1] += monotonic
        text = "{:<31.6f} {:<31.6f}".format(*self._offsets)
        with os.fdopen(
            os.open(self._room / "clock", os.O_CREAT | os.O_WRONLY), "w"
        ) as file:
            file.write(text)

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.step(wall=seconds, monotonic=seconds)

    def freeze(self) -> None:
        """Stop the process, as Lambda does between invocations."""
        self._freezer.freeze(self.child.pid)

    def thaw(self) -> None:
        """Let it go on; harmless when it does."""
        if self.child.running:
            self._freezer.thaw(self.child.pid)

    # --- the network

    def resolve_to(self, address: str | None) -> None:
        """Where AWS is, by its name; None: the name is unknown."""
        hosts = f"{HERE} localhost\n" + (f"{address} {HOST}\n" if address else "")
        (self._room / "hosts").write_text(hosts)

    def lift(self) -> None:
        """Take every fault away that this class can bring about."""
        self.account.faults.clear()
        self.aws.greets = True
        self.aws.present(LOCALHOST)
        self.resolve_to(HERE)
        self.aws.drop_connections()


class _Freezer:
    """Stops a process: by cgroup v2 where that may be used, else by a signal."""

    def __init__(self) -> None:
        self._group: Path | None = None

    def freeze(self, pid: int) -> None:
        self._group = self._group or _new_group()
        if self._group is None:
            os.kill(pid, signal.SIGSTOP)
            return
        group = self._group
        (group / "cgroup.procs").write_text(str(pid))
        (group / "cgroup.freeze").write_text("1")
        events = group / "cgroup.events"
        wait_until(lambda: "frozen 1" in events.read_text(), "the freeze")

    def thaw(self, pid: int) -> None:
        if self._group is None:
            os.kill(pid, signal.SIGCONT)
        else:
            (self._group / "cgroup.freeze").write_text("0")

    def remove(self) -> None:
        if self._group is not None:
            for pid in (self._group / "cgroup.procs").read_text().split():
                (self._group.parent / "cgroup.procs").write_text(pid)
            self._group.rmdir()


def _new_group() -> Path | None:
    """A cgroup that can be frozen; None where there is none to be had."""
    for root in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        group = root / f"rotaware-{os.getpid()}-{free_port()}"
        with contextlib.suppress(OSError):
            if not (root / "cgroup.procs").exists():
                continue
            group.mkdir()
            if (group / "cgroup.freeze").exists():
                return group
            group.rmdir()
    return None


@contextlib.contextmanager
def silent_name_server() -> Iterator[None]:
    """The name server that processes here ask takes questions, and gives no answer."""
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        try:
            listener.bind((NOBODY, 53))
        except PermissionError:
            pytest.skip("only root may be a name server")
        yield


@contextlib.contextmanager
def black_hole(port: int) -> Iterator[str]:
    """An address where packets to the port vanish: its queue is full."""
    address = "127.0.0.10"
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex((address, port))
        yield address


def log_lines(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Those that are log lines."""
    return [json.loads(line) for line in lines if line.startswith("{")]


def _version(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


def _epoch_seconds(amz_date: str) -> float:
    return calendar.timegm(time.strptime(amz_date, "%Y%m%dT%H%M%SZ"))


def _unshare() -> list[str]:
    flags = ["--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        flags = ["--user", "--map-root-user", *flags]
    command = ["unshare", *flags, "sh", "-c"]
    probe = [*command, "mount -t tmpfs tmpfs /mnt"]
    subprocess.run(probe, check=True, capture_output=True)
    return command
