"""Child processes that cannot outlive the tests, and ports that nobody else has.

A child is killed by the kernel when its parent dies, however that happens. Its output
is read to the end, line by line, into a list that tests can wait on. Whether a port is
open is read from the kernel's tables: behind some proxies every connect succeeds.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LISTEN_STATE = "0A"
# Below the range from which Linux takes the ports of outgoing connections.
PORTS = range(10_240, 32_000)
_given: set[int] = set()


class ProcessError(Exception):
    """A child process did not do what the rig needs from it."""


def free_port() -> int:
    """A loopback port on which nothing listens, another one each time."""
    while True:
        port = random.choice(PORTS)  # noqa: S311  no secret: it only spreads the choice
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def is_listening(port: int) -> bool:
    """Whether a socket listens on the port, by the kernel's own table."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        lines = Path(table).read_text().splitlines()[1:] if Path(table).exists() else []
        for _, local, _, state, *_ in map(str.split, lines):
            if state == LISTEN_STATE and local.endswith(wanted):
                return True
    return False


def wait_until(
    condition: Callable[[], bool], what: str, deadline_seconds: float = 30.0
) -> None:
    """Ask until the condition holds; name what was waited for when it does not."""
    expires_at = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() > expires_at:
            raise ProcessError(f"waited {deadline_seconds:g} s in vain for {what}")
        time.sleep(0.005)


class Child:
    """A running program, killed when its parent dies.

    It must be started by a thread that lives as long as the child shall: the kernel
    sends the signal when that thread ends.
    """

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], cwd: Path
    ) -> None:
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lines(self) -> list[str]:
        """Everything that it has written, in order."""
        with self._changed:
            return list(self._lines)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_for(
        self, predicate: Callable[[str], bool], deadline_seconds: float = 30.0
    ) -> str:
        """The first line that satisfies the predicate, as soon as it is written."""

        def found() -> str | None:
            return next(filter(predicate, self._lines), None)

        with self._changed:
            self._changed.wait_for(
                lambda: found() is not None or not self._reader.is_alive(),
                deadline_seconds,
            )
            line = found()
        if line is None:
            raise ProcessError(f"no such line in:\n{self.transcript()}")
        return line

    def wait_until_listening(self, port: int, deadline_seconds: float = 30.0) -> None:
        """Return once the port is open; raise when the child has ended instead."""
        try:
            wait_until(
                lambda: is_listening(port) or not self.running,
                f"port {port}",
                deadline_seconds,
            )
        except ProcessError as error:
            raise ProcessError(f"{error}:\n{self.transcript()}") from None
        if not self.running:
            self.wait(deadline_seconds)
            raise ProcessError(f"ended at once:\n{self.transcript()}")

    def wait(self, deadline_seconds: float) -> int | None:
        """The exit status, or None when it still runs."""
        try:
            status = self._process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(deadline_seconds)
        return status

    def stop(self, grace_seconds: float = 3.0) -> None:
        """End it and its process group: politely, then by force."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                break
            if self.wait(grace_seconds) is not None:
                break
        self.wait(grace_seconds)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def transcript(self, count: int = 40) -> str:
        """The last lines, for an error message."""
        return "\n".join(self.lines[-count:])

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        for raw in stream:
            with self._changed:
                self._lines.append(raw.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
