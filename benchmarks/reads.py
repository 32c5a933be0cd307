"""Reads of a cached secret: latency kept alive and anew, throughput, cost of stamps.

For latencies, client and servers share one core, as in a function with less than two:
otherwise it is the scheduler that is measured, which wakes the other core in 20 or in
60 microseconds, as it pleases. For throughput they may use all.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import node
from benchmarks.extension import (
    LAUNCHER,
    SECRETS,
    TOKEN,
    WHOLE_PYTHON,
    connect,
    free_port,
    interpreter,
    resident_bytes,
    running,
)
from benchmarks.report import Count, Row
from benchmarks.stand_ins import STEP_SECONDS, Aws

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from benchmarks.extension import Extension

ECHO = Path(__file__).parent / "peers" / "echo.py"
CHUNK = 65536
CONNECTIONS = 8
READS = 200
WARM_UP = 3000
"""Reads until Node has compiled what it runs."""
TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"
MEMORY_LIMIT_BYTES = 12 * 1024 * 1024


def measure(rounds: int) -> tuple[list[Row], list[Count]]:
    """Read from everyone in turn, ``rounds`` times."""
    aws = Aws(0.0)
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(running(LAUNCHER, aws))
        unstamped = stack.enter_context(running(LAUNCHER, aws, ROTAWARE_STAMPS="off"))
        told = stack.enter_context(running(LAUNCHER, aws, ROTAWARE_METRICS="on"))
        for extension in (ours, unstamped, told):
            extension.first_secret_seconds()
        answer = _read(ours)
        blocking, selectors, streams = (
            stack.enter_context(_echo(kind, answer))
            for kind in ("blocking", "selectors", "asyncio")
        )
        request = ours.request(SECRETS[0])
        with _on_one_core():
            rows = [
                *_kept_alive(rounds, ours, unstamped, blocking),
                _with_metrics(rounds, told, ours),
                _anew(rounds, request, ours.port, selectors),
                *_from_node(rounds, ours.port),
            ]
        rows.append(_throughput(rounds, request, ours.port, streams))
        return rows, [_memory(ours)]


@contextlib.contextmanager
def _on_one_core() -> Iterator[None]:
    """Keep this process and its children on one core."""
    cores = os.sched_getaffinity(0)
    _keep_on({min(cores)})
    try:
        yield
    finally:
        _keep_on(cores)


def _keep_on(cores: set[int]) -> None:
    here = Path(f"/proc/{os.getpid()}/task")
    for children in here.glob("*/children"):
        for process in (os.getpid(), *map(int, children.read_text().split())):
            for thread in Path(f"/proc/{process}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cores)


def _kept_alive(
    rounds: int, ours: Extension, unstamped: Extension, echo: int
) -> list[Row]:
    request, other = ours.request(SECRETS[0]), unstamped.request(SECRETS[0])
    stamped, plain, bare = [], [], []
    with ours.connect() as one, unstamped.connect() as two, connect(echo) as three:
        for _ in range(rounds):
            stamped += _latencies(one, request)
            plain += _latencies(two, other)
            bare += _latencies(three, request)
    return [
        Row("warm hit, kept alive", "µs", stamped, bare, "blocking echo", 1.25),
        Row("the same, against stamps off", "µs", stamped, plain, "stamps off", 1.05),
    ]


def _with_metrics(rounds: int, told: Extension, untold: Extension) -> Row:
    """In turn, read by read: what is looked for is less than what a second changes."""
    samples: tuple[list[float], list[float]] = ([], [])
    with told.connect() as one, untold.connect() as other:
        pairs = list(zip((one, other), (told, untold), samples, strict=True))
        for number in range(rounds * READS):
            for client, extension, values in pairs if number % 2 else pairs[::-1]:
                request = extension.request(SECRETS[0])
                values.extend(_latencies(client, request, 1))
    return Row(
        "the same, metrics on", "µs", samples[0], samples[1], "metrics off", 1.02
    )


def _from_node(rounds: int, port: int) -> list[Row]:
    """By the HTTP client that comes with each language, over one kept connection."""
    if not node.NODE.exists():
        print("  no build/runtimes/node: run `make runtimes` for reads from Node")
        return []
    path = f"/secretsmanager/get?secretId={SECRETS[0]}"
    client = HTTPConnection("127.0.0.1", port, timeout=STEP_SECONDS)
    from_node: list[float] = []
    from_python: list[float] = []
    with node.reading(port, path) as read, contextlib.closing(client):
        read(WARM_UP)
        for _ in range(rounds):
            from_node += read(READS)
            for _ in range(READS):
                began = time.perf_counter()
                client.request("GET", path, headers={TOKEN_HEADER: TOKEN})
                client.getresponse().read()
                from_python.append((time.perf_counter() - began) * 1e6)
    name = "warm hit, kept alive, from Node"
    return [Row(name, "µs", from_node, from_python, "from Python", 2)]


def _anew(rounds: int, request: bytes, ours: int, echo: int) -> Row:
    samples: dict[int, list[float]] = {ours: [], echo: []}
    for _ in range(rounds):
        for port, values in samples.items():
            for _ in range(50):
                began = time.perf_counter()
                with connect(port) as client:
                    client.sendall(request)
                    client.recv(CHUNK)
                values.append((time.perf_counter() - began) * 1e6)
    return Row(
        "warm hit, new connection",
        "µs",
        samples[ours],
        samples[echo],
        "selectors echo",
        1.25,
    )


def _throughput(rounds: int, request: bytes, ours: int, echo: int) -> Row:
    samples: dict[int, list[float]] = {ours: [], echo: []}
    for _ in range(rounds):
        for port, values in samples.items():
            values.append(_reads_per_second(port, request, 5000))
    return Row(
        f"throughput, {CONNECTIONS} connections",
        "reads/s",
        samples[ours],
        samples[echo],
        "asyncio echo",
        1.3,
        at_least=True,
    )


def _reads_per_second(port: int, request: bytes, reads: int) -> float:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(CONNECTIONS)]
        poll = select.epoll()
        by_fileno = {client.fileno(): client for client in clients}
        for fileno in by_fileno:
            poll.register(fileno, select.EPOLLIN)
        began = time.perf_counter()
        for client in clients:
            client.sendall(request)
        sent, done = len(clients), 0
        while done < sent:
            for fileno, _ in poll.poll(STEP_SECONDS):
                by_fileno[fileno].recv(CHUNK)
                done += 1
                if sent < reads:
                    by_fileno[fileno].sendall(request)
                    sent += 1
        return done / (time.perf_counter() - began)


def _memory(ours: Extension) -> Count:
    with subprocess.Popen(
        [interpreter(), "-I", "-S", "-c", "input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as bare:
        time.sleep(0.2)
        more = ours.resident_bytes() - resident_bytes(bare.pid)
        bare.communicate(b"\n")
    return Count(
        f"resident memory, {len(SECRETS)} secrets",
        f"+{more / 2**20:.1f} MB over the bare interpreter",
        "≤ +12 MB",
        more <= MEMORY_LIMIT_BYTES,
    )


def _latencies(
    client: socket.socket, request: bytes, reads: int = READS
) -> list[float]:
    samples = []
    for _ in range(reads):
        began = time.perf_counter()
        client.sendall(request)
        client.recv(CHUNK)
        samples.append((time.perf_counter() - began) * 1e6)
    return samples


def _read(extension: Extension) -> bytes:
    with extension.connect() as client:
        client.sendall(extension.request(SECRETS[0]))
        return client.recv(CHUNK)


@contextlib.contextmanager
def _echo(kind: str, answer: bytes) -> Iterator[int]:
    port = free_port()
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(answer)
        command = [str(WHOLE_PYTHON), str(ECHO), kind, str(port), file.name]
        with subprocess.Popen(command) as process:
            try:
                _wait_until_it_answers(port)
                yield port
            finally:
                process.kill()


def _wait_until_it_answers(port: int) -> None:
    give_up = time.perf_counter() + STEP_SECONDS
    while time.perf_counter() < give_up:
        with contextlib.suppress(OSError), connect(port) as client:
            client.sendall(b"?")
            if client.recv(CHUNK):
                return
        time.sleep(0.01)
    raise TimeoutError("the echo server did not start")
