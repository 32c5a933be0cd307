"""The machine runs out of something."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.fault_rig import (
    CHECK_SECONDS,
    READ,
    RECOVERY_SECONDS,
    TOKEN,
    TOKEN_HEADER,
    World,
)
from tests.support.fault_table import Row, row, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Start = Callable[..., World]

PATIENCE_SECONDS = 10.0
LARGEST_SECRET = 65536
PIPE_BYTES = 4096
# RLIMIT_NPROC binds nobody who is root; and only the same user may change it later.
AS_ANOTHER_USER = [
    "setpriv",
    "--reuid=54321",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    "--",
]


def works_as_ever(world: World) -> None:
    """A value is read, is a hit, and is rotated."""
    old = world.account.put("a")

    assert [f"{old} fwd=miss", f"{old} hit"] == [world.seen("a") for _ in range(2)]

    new = world.account.rotate("a")
    world.tick(RECOVERY_SECONDS)

    assert f"{new} fwd=stale" == world.seen("a")

    world.assert_alive()


@rows(
    {"full": "full", "read-only": "read-only"},
    lambda name, _: Row(f"`/tmp` is {name}", "as always: nothing is ever written"),
)
def test_no_disk(start: Start, fault: str) -> None:
    """Neither values nor anything else is kept in files."""
    works_as_ever(start(tmp=fault))


class Kept:
    """A reader that keeps its connection."""

    def __init__(self, world: World) -> None:
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", world.port, timeout=PATIENCE_SECONDS
        )

    def seen(self, name: str) -> str:
        """A value, or an error's status and code."""
        self._connection.request("GET", f"{READ}{name}", headers={TOKEN_HEADER: TOKEN})
        response = self._connection.getresponse()
        document = json.loads(response.read())
        if response.status != 200:
            return f"{response.status} {document['__type']}"
        return str(document["SecretString"])

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def limit(world: World, bound: str, user: Sequence[str] = ()) -> None:
    """Bound the running process; what a process has stays its own."""
    command = [*user, "prlimit", f"--pid={world.child.pid}", bound]
    subprocess.run(command, check=True)


@row(
    "no file descriptor is left",
    "values on connections that are open, the held one on error; new connections wait",
    "Too many open files",
)
def test_no_descriptor(start: Start) -> None:
    """Nothing breaks that has its descriptors; the rest goes on when there are more."""
    world = start()
    old, other = world.account.put("a"), world.account.put("b")
    kept = Kept(world)
    before, _ = resource.prlimit(world.child.pid, resource.RLIMIT_NOFILE)

    assert old == kept.seen("a")

    new = world.account.rotate("a")
    world.tick(CHECK_SECONDS)
    world.assert_alive()
    limit(world, "--nofile=3:")
    world.aws.drop_connections()

    assert old == kept.seen("a")
    assert "502 ConnectionError" == kept.seen("b")

    asked = world.api.asked
    world.api.send_invoke()
    world.child.wait_for(lambda line: "no next event" in line)
    with ThreadPoolExecutor(1) as function:
        read = function.submit(world.seen, "b")
        world.child.wait_for(lambda line: "cannot accept a connection" in line)

        assert not read.done()

        limit(world, f"--nofile={before}:")

        assert f"{other} fwd=miss" == read.result(PATIENCE_SECONDS)
    kept.close()
    world.api.wait_until_asked(asked + 1)
    world.assert_alive()
    world.tick(RECOVERY_SECONDS)

    assert f"{new} fwd=stale" == world.seen("a")
    assert any("Too many open files" in line for line in world.lines)


@row(
    "no thread can be started",
    "values, as far as there are threads already; looks at the sheet fail",
    "no thread can be started for a check",
)
def test_no_thread(start: Start) -> None:
    """What needs a thread of its own is done without, or put off."""
    user = AS_ANOTHER_USER if os.geteuid() == 0 else []
    world = start(command=user)
    first, second = world.account.put("a"), world.account.put("b")

    assert f"{first} fwd=miss" == world.seen("a")

    limit(world, "--nproc=1:", user)
    world.account.rotate("a")
    world.aws.drop_connections()
    world.tick(CHECK_SECONDS)

    assert f"{first} hit" == world.seen("a")
    assert f"{second} fwd=miss" == world.seen("b")

    world.assert_alive()
    world.child.wait_for(lambda line: "no thread can be started for a check" in line)
    limit(world, "--nproc=1000:", user)
    world.tick(RECOVERY_SECONDS)

    assert "canary-a-2 fwd=stale" == world.seen("a")


@row(
    "more large secrets are read than the cache holds",
    "as always: the one that was not read for longest is fetched again",
)
def test_large_secrets(start: Start) -> None:
    """What was pushed out is not kept in memory."""
    world = start(environ={"PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "10"})
    names = [f"large-{number}" for number in range(80)]
    for name in names:
        world.account.put(name, "x" * LARGEST_SECRET)

    def sources(of: Sequence[str]) -> set[str]:
        return {world.seen(name).rpartition("x ")[2] for name in of}

    assert {"fwd=miss"} == sources(names[:20])

    before = resident_bytes(world)

    assert {"fwd=miss"} == sources(names[20:])
    assert {"hit"} == sources(names[-10:])
    assert {"fwd=miss"} == sources(names[:1])
    assert resident_bytes(world) - before < 20 * LARGEST_SECRET

    world.assert_alive()


def data_bytes(world: World) -> int:
    """How much memory of its own the process has."""
    status = Path(f"/proc/{world.child.pid}/status").read_text()
    return 1024 * int(status.partition("VmData:")[2].split()[0])


def resident_bytes(world: World) -> int:
    """How much memory the process has."""
    pages = Path(f"/proc/{world.child.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


@row(
    "standard output is a full pipe that nobody reads",
    "as always: lines are kept for later, and when that is too much, counted",
)
def test_a_log_that_nobody_reads(start: Start, tmp_path: Path) -> None:
    """No line makes a reader wait; they come when there is room again."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    pipe = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(pipe, 1031, PIPE_BYTES)  # F_SETPIPE_SZ
    world = start(stdout=str(fifo))
    absent = [f"absent-{number}" for number in range(40)]

    assert {"400 ResourceNotFoundException"} == {world.seen(name) for name in absent}

    works_as_ever(world)
    received = whole_lines = b""
    deadline = 40
    while b"last-words" not in whole_lines:
        world.seen(f"last-words-{deadline}")
        received += read_all(pipe)
        whole_lines = received.rpartition(b"\n")[0]
        deadline -= 1

        assert deadline
    os.close(pipe)
    lines = [json.loads(line) for line in whole_lines.decode().splitlines()]
    names = [line["name"] for line in lines if "name" in line]

    assert absent == names[: len(absent)]
    assert b"canary" not in received


def read_all(pipe: int) -> bytes:
    """What is in a pipe now."""
    received = b""
    try:
        while True:
            received += os.read(pipe, 1 << 16)
    except BlockingIOError:
        return received


@row("standard output is closed from the start", "as always; there is no log")
def test_no_standard_output(start: Start) -> None:
    """Its number may be the listener's: nothing is written there."""
    world = start(stdout="closed")
    works_as_ever(world)

    assert [] == world.lines
