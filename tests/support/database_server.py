"""What the real servers of the tests have in common: Debian's programs, run here.

A server listens on loopback, on a port of its own, keeps its data in a temporary folder
and writes no faster than memory: a test's data need not survive a power cut. It runs as
a user without rights, because PostgreSQL refuses root, and the kernel ends it together
with the tests. Whatever Debian itself has started stays as it is.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.processes import Child, ProcessError, free_port

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence
    from types import TracebackType

HOST = "127.0.0.1"
PLACES = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
NOBODY = 65534
ADMIN_PASSWORD = "canary-of-the-administrator"
START_SECONDS = 30.0
FENCE = "fence-"
_numbers = itertools.count(1)


def program(name: str, package: str, places: str = PLACES) -> str:
    """Where a server's program lies, also where the user's PATH leaves it out."""
    found = shutil.which(name, path=places)
    if found is None:
        raise ProcessError(f"{name} is missing: apt-get install {package}")
    return found


def remove_orphans(folder: Path) -> None:
    """Remove the data of servers whose tests were killed: their process is no more."""
    for orphan in folder.glob("rotaware-*-*-*"):
        owner = orphan.name.split("-")[2]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(orphan, ignore_errors=True)


def as_nobody(command: Sequence[str]) -> list[str]:
    """The command as a user without rights, where the tests themselves are root.

    A change of user forgets that the parent's death kills, so it is said again.
    """
    if os.geteuid() != 0:
        return list(command)
    return [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
        "--pdeathsig=KILL", "--", *command,
    ]  # fmt: skip


class DatabaseServer(ABC):
    """A running server; a subclass lays out its data and knows its command.

    Attributes:
        engine: As a secret's field of this name has it.
        host: Where it listens.
        port: Where it listens.
    """

    engine: str
    stop_signal: signal.Signals
    ready: str
    """What its log says when it takes logins."""

    def __init__(self) -> None:
        self.host = HOST
        self.port = free_port()
        remove_orphans(Path(tempfile.gettempdir()))
        prefix = f"rotaware-{self.engine}-{os.getpid()}-"
        self.folder = Path(tempfile.mkdtemp(prefix=prefix))
        self.data = self.folder / "data"
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        self._child: Child | None = None
        try:
            self.lay_out()
            self._start()
            self.prepare()
        except BaseException:
            self.stop()
            raise

    def lay_out(self) -> None:  # noqa: B027  not all need it
        """Make the data that the server starts from."""

    @abstractmethod
    def command(self) -> list[str]:
        """What runs it in the foreground, its log on its output."""

    def prepare(self) -> None:  # noqa: B027  likewise
        """What is done once, when it runs for the first time."""

    @abstractmethod
    def make_user(self, name: str, password: str) -> None:
        """Let somebody log in."""

    @abstractmethod
    def set_password(self, name: str, password: str) -> None:
        """Change a password, as a rotation does; sessions that are open stay open."""

    @property
    def lines(self) -> list[str]:
        """Its log."""
        return self._child.lines if self._child else []

    @abstractmethod
    def refused_logins(self, username: str = "") -> int:
        """How many logins it has refused until now: to whom it names."""

    def secret(
        self, username: str, password: str, **fields: object
    ) -> dict[str, object]:
        """A secret with the standard fields, for a user of this server."""
        return {
            "engine": self.engine,
            "host": self.host,
            "port": self.port,
            "username": username,
            "password": password,
            **fields,
        }

    def halt(self) -> None:
        """End the server alone: who connects now finds nobody listening."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.running:
            os.kill(child.pid, self.stop_signal)
            child.wait(3.0)
        child.stop()

    def resume(self) -> None:
        """Start it again on the same port and data; its log begins anew."""
        self._start()

    def stop(self) -> None:
        """End it and remove its data; harmless when repeated."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, command: Sequence[str]) -> None:
        """Run a program to its end, as the user that the server will be."""
        done = subprocess.run(
            as_nobody(command),
            env=self._environ(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=START_SECONDS,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
            raise ProcessError(f"{command[0]} failed:\n{said}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self._child = Child(as_nobody(self.command()), self._environ(), self.folder)
        self._child.wait_for(lambda line: self.ready in line, START_SECONDS)

    def _environ(self) -> dict[str, str]:
        return {"PATH": PLACES, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder)}


class LoggingServer(DatabaseServer):
    """One whose log has a line for each login that it refuses."""

    refusal: tuple[str, ...]
    """What a line of its log holds if it tells of a refused login, and no other."""

    def refused_logins(self, username: str = "") -> int:
        """How many logins it has refused until now, by its own log: to whom it names.

        One more is refused first: when that is in the log, so are those before it.
        """
        fence = f"{FENCE}{next(_numbers)}"
        self.fail_to_log_in(fence)
        if self._child is not None:
            self._child.wait_for(lambda line: self._is_refusal(line) and fence in line)
        return sum(
            self._is_refusal(line) and username in line and FENCE not in line
            for line in self.lines
        )

    @abstractmethod
    def fail_to_log_in(self, username: str) -> None:
        """Try to log in as somebody whom it does not know."""

    def _is_refusal(self, line: str) -> bool:
        return all(part in line for part in self.refusal)
