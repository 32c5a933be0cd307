"""The real process keeps its memory to itself, and a crash leaves nothing behind.

Whoever spies has the same user as the extension and no privilege, as function code has
in Lambda. A program that does nothing about it shows each time that the spy is able.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rotaware.sheet import Sheet, encode
from tests.support.extension_process import (
    ROOT,
    SHEET,
    ExtensionProcess,
    ScriptedAws,
    interpreter,
    layer_launcher,
    source_launcher,
)
from tests.support.extensions_api import FakeExtensionsApi
from tests.support.processes import Child
from tests.support.sandbox import LAYER

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
POWERLESS = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
# A change of user forgets that the parent's death kills, and what may be dumped.
BECOME = """\
import os, resource
most = resource.RLIM_INFINITY if os.geteuid() == 0 else (
    resource.getrlimit(resource.RLIMIT_CORE)[1])
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
os.execvp({command[0]!r}, {command})
"""
OPEN_PROGRAM = """\
import ctypes, signal, sys
canary = "canary"
ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0)  # Yama: anybody may
print("ready", flush=True)
signal.pause()
"""
SPY = """\
import ctypes, json, os, sys
place = f"/proc/{sys.argv[1]}"
def memory():
    with open(f"{place}/maps") as maps:
        start = next(line.split("-")[0] for line in maps if "[heap]" in line)
    with open(f"{place}/mem", "rb", buffering=0) as file:
        file.seek(int(start, 16))
        file.read(1)
def environ():
    with open(f"{place}/environ", "rb") as file:
        file.read()
def descriptors():
    os.listdir(f"{place}/fd")
def trace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, int(sys.argv[1]), None, None) != 0:  # PTRACE_SEIZE
        raise OSError(ctypes.get_errno(), "ptrace")
succeeded = []
for attempt in (memory, environ, descriptors, trace):
    try:
        attempt()
    except PermissionError:
        continue
    succeeded.append(attempt.__name__)
print(json.dumps(succeeded))
"""


@functools.cache
def become() -> tuple[str, ...]:
    """The command that goes on without privilege.

    As another user, where that one can read the project; else without capabilities.
    """
    if os.geteuid() != 0:
        return ("env", "--")
    for options in (NOBODY, POWERLESS):
        command = ("setpriv", *options, "--pdeathsig=KILL", "--")
        probe = [*command, sys.executable, "-c", f"open({__file__!r})"]
        if subprocess.run(probe, check=False, capture_output=True).returncode == 0:
            return command
    raise AssertionError("neither works")


def launcher(directory: Path, program: Path) -> Path:
    """What starts a program without privilege, but with leave to dump core."""
    path = directory / "become.py"
    command = [*become(), interpreter(program), "-I", "-S", str(program)]
    path.write_text(BECOME.format(command=command))
    return path


def spied(pid: int, spy: Path) -> list[str]:
    """What somebody of the same user can do to a process."""
    command = [*become(), sys.executable, "-I", "-S", str(spy), str(pid)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=30)
    succeeded: list[str] = json.loads(done.stdout)
    return succeeded


@pytest.fixture
def directory() -> Iterator[Path]:
    """A place in which everybody may write, so that a core could be."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o777)
        (path / "spy.py").write_text(SPY)
        (path / "open.py").write_text(OPEN_PROGRAM)
        yield path


@contextlib.contextmanager
def open_program(directory: Path) -> Iterator[Child]:
    """A program that does nothing about it."""
    start = launcher(directory, directory / "open.py")
    child = Child([sys.executable, str(start)], os.environ, directory)
    try:
        child.wait_for(lambda line: line == "ready")
        yield child
    finally:
        child.stop()


@pytest.fixture(params=["sources", "layer"])
def program(request: pytest.FixtureRequest, directory: Path) -> Path:
    """What Lambda would start: by the library, or by the layer's own interpreter."""
    if request.param == "layer":
        return layer_launcher(directory, LAYER)
    return source_launcher(directory)


@contextlib.contextmanager
def extension(directory: Path, program: Path) -> Iterator[ExtensionProcess]:
    """The extension, holding a secret."""
    start = launcher(directory, program)
    with FakeExtensionsApi() as api, ScriptedAws() as aws:
        aws.secrets["db"] = "canary"
        aws.parameters[SHEET] = encode(Sheet())
        process = ExtensionProcess(start, api, aws, directory)
        try:
            api.wait_for_next()

            assert "canary" == process.secret("db")

            yield process
        finally:
            process.child.stop()


def test_nobody_of_the_same_user_looks_inside(directory: Path, program: Path) -> None:
    """Not through /proc, not as a debugger does; the port goes on answering."""
    with (
        extension(directory, program) as process,
        open_program(directory) as other,
    ):
        spy = directory / "spy.py"

        assert ["memory", "environ", "descriptors", "trace"] == spied(other.pid, spy)
        assert [] == spied(process.child.pid, spy)
        assert "canary" == process.secret("db")
        assert not any("memory" in line for line in process.child.lines)


class SilentApi:
    """Lambda, as long as it does not answer: nothing else has been started yet."""

    def __init__(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()
        self.address = f"{host}:{port}"


@pytest.mark.parametrize(("start_from", "seen"), [("sources", True), ("layer", False)])
def test_the_layer_is_closed_before_it_registers(
    directory: Path, start_from: str, *, seen: bool
) -> None:
    """No function runs until then, so there is no moment at which one could look.

    Without the layer's own interpreter it is closed only when more has been loaded.
    """
    by_layer = start_from == "layer"
    start = launcher(
        directory,
        layer_launcher(directory, LAYER) if by_layer else source_launcher(directory),
    )
    with socket.create_server(("127.0.0.1", 0)) as listener, ScriptedAws() as aws:
        listener.settimeout(10)
        process = ExtensionProcess(
            start,
            SilentApi(listener),  # type: ignore[arg-type]
            aws,
            directory,
        )
        try:
            registering, _ = listener.accept()
            with registering:
                assert b"POST" == registering.recv(4)

                succeeded = spied(process.child.pid, directory / "spy.py")

                assert seen == ("environ" in succeeded)
                assert seen or [] == succeeded
        finally:
            process.child.stop()


def how_it_ended(child: Child, number: signal.Signals) -> int:
    """Send a signal that dumps core; whether it was dumped or just killed."""
    os.kill(child.pid, number)
    result = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert result is not None
    assert number == result.si_status

    return result.si_code


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_leaves_nothing_behind(
    directory: Path, program: Path, number: signal.Signals
) -> None:
    """No core, though the limit allows one, and no file of any other kind."""
    with extension(directory, program) as process:
        before = sorted(directory.rglob("*"))

        assert os.CLD_KILLED == how_it_ended(process.child, number)
        assert before == sorted(directory.rglob("*"))
    with open_program(directory) as other:
        if how_it_ended(other, number) != os.CLD_DUMPED:
            pytest.skip("no program dumps core on this machine")


def test_an_orderly_end_leaves_nothing_behind(directory: Path, program: Path) -> None:
    """Neither while it serves nor afterwards is there a file that was not there."""
    (directory / "become.py").touch()
    before = sorted(directory.rglob("*"))
    with extension(directory, program) as process:
        assert before == sorted(directory.rglob("*"))

        process.child.stop()
    assert before == sorted(directory.rglob("*"))
    assert not (ROOT / "core").exists()
