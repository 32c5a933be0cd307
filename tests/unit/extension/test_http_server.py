"""The loopback server, over real sockets, with a handler that tests hold in hand."""

from __future__ import annotations

import gc
import http.client
import io
import json
import os
import resource
import socket
import struct
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from extension.dialects import AwsExtension
from extension.http1 import MAX_HEAD_BYTES, Response
from extension.http_server import HEAD_SECONDS, READ_SECONDS, HttpServer
from extension.workers import Workers
from rotaware.log import Logger
from tests.support.clock import ManualClock
from tests.support.processes import wait_until

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterator

    from extension.http1 import Request
    from rotaware.errors import RotawareError

PATIENCE_SECONDS = 10.0
REMEMBERED = b"GET /remembered HTTP/1.1\r\nHost: localhost\r\n\r\n"
PREPARED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nprepared"


def get(path: str, *fields: str) -> bytes:
    """A request as a careful client writes it."""
    head = "".join(f"{field}\r\n" for field in ("Host: localhost", *fields))
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


class Gate:
    """Somebody arrives and waits until the test opens."""

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._opened = threading.Event()

    def pass_through(self) -> None:
        self._arrived.release()
        assert self._opened.wait(PATIENCE_SECONDS)

    def wait_for_arrival(self) -> None:
        assert self._arrived.acquire(timeout=PATIENCE_SECONDS)

    def open(self) -> None:
        self._opened.set()


class Handler:
    """Answers with the path. Its beginning says how.

    ``/at-gate`` blocks the server's own thread; ``/later`` is answered by a worker, and
    ``/later/at-gate`` blocks that one; ``/broken`` raises; ``/large`` has 4 MiB.
    """

    def __init__(self) -> None:
        self.gate = Gate()
        self.worker_gate = Gate()
        self.offered: list[bytes | None] = []
        self.answered: list[str] = []

    def prepared(self, received: bytes) -> bytes | None:
        if received.startswith(b"GET /unprepared"):
            raise ValueError("canary: nobody may see this")
        return PREPARED if received == REMEMBERED else None

    def answer_now(self, request: Request, received: bytes | None) -> Response | None:
        self.offered.append(received)
        if request.path.startswith("/later"):
            return None
        if request.path == "/at-gate":
            self.gate.pass_through()
        return self._answer(request)

    def answer(self, request: Request) -> Response:
        if request.path == "/later/at-gate":
            self.worker_gate.pass_through()
        return self._answer(request)

    def refused(self, error: RotawareError) -> Response:
        return AwsExtension().refusal(error)

    def _answer(self, request: Request) -> Response:
        self.answered.append(request.path)
        if request.path.endswith("/broken"):
            raise ValueError("canary: nobody may see this")
        size = 1 << 22 if request.path.endswith("/large") else 0
        return Response(200, request.path.encode().ljust(size, b"."))


class Answer(NamedTuple):
    """One answer as the client read it."""

    status: int
    fields: dict[str, str]
    body: str


class Client:
    """One connection to the server."""

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(PATIENCE_SECONDS)
        self.socket = connected
        self._received = bytearray()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer:
        """The next answer."""
        while b"\r\n\r\n" not in self._received:
            self._more()
        head = self._take(self._received.index(b"\r\n\r\n") + 4)
        status_line, *lines = head.rstrip().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines)
        body = self._take(int(fields["content-length"]))
        return Answer(int(status_line.split()[1]), fields, body)

    def ask(self, path: str, *fields: str) -> Answer:
        self.send(get(path, *fields))
        return self.answer()

    def skip(self, length: int) -> None:
        """Read so many bytes of whatever comes."""
        self._take(length)

    def is_hung_up_on(self) -> bool:
        """Whether the server ends the connection in order, and sends nothing more."""
        return not self._received and self.socket.recv(1) == b""

    def reset(self) -> None:
        """Vanish without a word."""
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.socket.close()

    def _take(self, length: int) -> str:
        while len(self._received) < length:
            self._more()
        taken = self._received[:length].decode()
        del self._received[:length]
        return taken

    def _more(self) -> None:
        chunk = self.socket.recv(1 << 20)
        assert chunk, f"hung up after {self._received[:200]!r}"
        self._received += chunk


class WatchedWorkers(Workers):
    """Tells when a job is done, its answer handed to the server."""

    def __init__(self, log: Logger) -> None:
        super().__init__(4, log)
        self._done = threading.Semaphore(0)

    def submit(self, job: Callable[[], None]) -> None:
        def watched() -> None:
            job()
            self._done.release()

        super().submit(watched)

    def wait_for_one(self) -> None:
        assert self._done.acquire(timeout=PATIENCE_SECONDS)


class Running:
    """A started server, and what it was made of."""

    def __init__(self, listener: socket.socket, max_connections: int = 512) -> None:
        self.stack = ExitStack()
        self.clock = ManualClock()
        self.handler = Handler()
        self.output = io.StringIO()
        log = Logger(service="test", level="INFO", stream=self.output, clock=self.clock)
        self.workers = WatchedWorkers(log)
        self.address = listener.getsockname()
        self.family, self.kind = listener.family, listener.type
        self.server = HttpServer(
            [(listener, self.handler)],
            self.workers,
            clock=self.clock,
            log=log,
            max_connections=max_connections,
        )
        self.server.start()

    def client(self) -> Client:
        connected = socket.socket(self.family, self.kind)
        self.stack.callback(connected.close)
        connected.connect(self.address)
        return Client(connected)

    def await_turn(self, barrier: Client) -> None:
        """Return when the server has seen to everything sent before.

        The first answer may come out of the same look at the sockets, but earlier; what
        that look led to is seen by the next ones.
        """
        for _ in range(4):
            barrier.send(REMEMBERED)
            barrier.answer()

    def descriptor(self, client: Client) -> int:
        """The server's end of a connection."""
        self.await_turn(client)
        (fileno,) = (
            fileno
            for fileno, connection in self.server._connections.items()
            if connection.socket.getpeername() == client.socket.getsockname()
        )
        return fileno

    def log_lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.output.getvalue().splitlines()]


def listening() -> socket.socket:
    """A TCP listener, whose connections take no more than a part of a large answer."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    return listener


def sequential() -> socket.socket:
    """A listener whose connections keep writes apart: each is one message."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind("")  # the kernel chooses an abstract address
    listener.listen()
    return listener


def open_files() -> int:
    """How many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def running(
    listener: socket.socket | None = None, max_connections: int = 512
) -> Iterator[Running]:
    """A server that runs during the block."""
    started = Running(listener or listening(), max_connections)
    with started.stack:
        yield started
        started.handler.gate.open()
        started.handler.worker_gate.open()
        started.server.stop(PATIENCE_SECONDS)

        assert not started.server._thread.is_alive()


@pytest.fixture
def served() -> Iterator[Running]:
    """A server on TCP."""
    with running() as started:
        yield started


# Answers


def test_a_connection_is_kept_for_many_requests(served: Running) -> None:
    """Requests on one connection are answered one by one, at once or by a worker."""
    client = served.client()
    paths = ["/a", "/later/b", "/c", "/later/d"] * 10

    assert paths == [client.ask(path).body for path in paths]
    assert 1 == len(served.server._connections)


def test_what_python_sends_is_understood(served: Running) -> None:
    """The standard library's client keeps its connection and reads every answer."""
    host, port = served.address
    client = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
    with served.stack:
        served.stack.callback(client.close)
        for path in ("/a?b=c", "/later/x"):
            client.request("GET", path, headers={"X-Vault-Token": "t"})
            with client.getresponse() as response:
                body = response.read().decode()

            assert (200, path.partition("?")[0]) == (response.status, body)


def test_prepared_answers_need_no_parsing(served: Running) -> None:
    """Bytes that the handler remembers are answered with the bytes that it has."""
    client = served.client()
    client.send(REMEMBERED)

    assert "prepared" == client.answer().body
    assert [] == served.handler.offered


@pytest.mark.parametrize(
    ("parts", "offered"),
    [
        ([get("/a")], [get("/a")]),
        ([get("/a")[:9], get("/a")[9:]], [get("/a")]),
        ([get("/a") + get("/b")], [None, get("/b")]),
        ([get("/a") + b"GET"], [None]),
        ([get("/a", "Connection: close")], [None]),
        ([b"GET /a HTTP/1.0\r\n\r\n"], [None]),
        ([b"HEAD /a HTTP/1.1\r\nHost: localhost\r\n\r\n"], [None]),
    ],
)
def test_what_may_be_remembered(
    served: Running, parts: list[bytes], offered: list[bytes | None]
) -> None:
    """Only the bytes of one whole request that keeps its connection are offered."""
    client, barrier = served.client(), served.client()
    for part in parts:
        client.send(part)
        served.await_turn(barrier)

    assert offered == served.handler.offered


def test_remembered_bytes_in_the_middle_of_a_head_are_no_request(
    served: Running,
) -> None:
    """What follows the beginning of a head belongs to it, whatever it looks like."""
    client, barrier = served.client(), served.client()
    client.send(b"GET /a HTTP/1.1\r\n")
    served.await_turn(barrier)
    client.send(REMEMBERED)

    assert 400 == client.answer().status


@pytest.mark.parametrize("path", ["/a", "/later/b"])
def test_each_answer_is_one_write(path: str) -> None:
    """Head and body leave together: a second write would wait for a delayed ACK."""
    with running(sequential()) as served:
        client = served.client()
        client.send(get(path))
        message = client.socket.recv(1 << 16)

    assert message.startswith(b"HTTP/1.1 200 OK\r\n")
    assert message.endswith(b"\r\n\r\n" + path.encode())


def test_answers_leave_without_waiting_for_more(served: Running) -> None:
    """An accepted connection has what its listener was given: no Nagle algorithm."""
    listener = listening()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with running(listener) as other:
        client = other.client()
        other.await_turn(client)
        (connection,) = other.server._connections.values()

        assert connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert served.server is not other.server


# Requests in pieces


@pytest.mark.parametrize("path", ["/split", "/later/split"])
def test_a_request_may_be_split_anywhere(served: Running, path: str) -> None:
    """Wherever a segment ends, the answer is the same."""
    client, barrier = served.client(), served.client()
    request = get(path)
    for place in range(1, len(request)):
        client.send(request[:place])
        served.await_turn(barrier)
        client.send(request[place:])

        assert path == client.answer().body
    assert {} == served.server._slow


def test_a_request_may_come_byte_by_byte(served: Running) -> None:
    """Neither do many small segments matter."""
    client, barrier = served.client(), served.client()
    for byte in get("/slow"):
        client.send(bytes([byte]))
        served.await_turn(barrier)

    assert "/slow" == client.answer().body


def test_several_requests_in_one_segment(served: Running) -> None:
    """Pipelined requests are answered in their order, the last one may be cut."""
    client, barrier = served.client(), served.client()
    paths = ["/a", "/later/b", "/c", "/later/d", "/e"]
    data = b"".join(map(get, paths))
    client.send(data[:-5])

    assert paths[:-1] == [client.answer().body for _ in paths[:-1]]

    served.await_turn(barrier)
    client.send(data[-5:])

    assert "/e" == client.answer().body


def test_a_pipelined_answer_does_not_overtake(served: Running) -> None:
    """While a worker is busy with the first request, the second is not looked at."""
    client, barrier = served.client(), served.client()
    client.send(get("/later/at-gate") + get("/second"))
    served.handler.worker_gate.wait_for_arrival()
    client.send(get("/third"))
    served.await_turn(barrier)

    assert [] == served.handler.answered

    served.handler.worker_gate.open()

    assert ["/later/at-gate", "/second", "/third"] == [
        client.answer().body for _ in range(3)
    ]


# Refusals


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (get("/", "Content-Length: 5"), 413),
        (get("/", "X: " + "x" * MAX_HEAD_BYTES), 431),
        (b"x" * (MAX_HEAD_BYTES + 1), 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),
    ],
)
def test_a_refusal_is_readable_and_ends_the_connection(
    served: Running, request_bytes: bytes, status: int
) -> None:
    """It is answered in full, whatever else was sent, and then comes the end."""
    client = served.client()
    client.send(request_bytes + b"more of it" * 1000)
    answer = client.answer()

    assert status == answer.status
    assert "close" == answer.fields["connection"]
    assert "rotaware" == answer.fields["cache-status"]
    assert {"__type", "message"} == json.loads(answer.body).keys()

    client.send(get("/too-late"))

    assert client.is_hung_up_on()
    assert "/too-late" not in served.handler.answered


@pytest.mark.parametrize(
    ("surplus", "status"), [(0, 200), (1, 431), (3, 431), (4, 431), (5, 431)]
)
def test_the_limit_of_a_head_is_exact(
    served: Running, surplus: int, status: int
) -> None:
    """It does not depend on where a segment ends."""
    length = MAX_HEAD_BYTES + surplus
    head = get("/", "X: " + "x" * (length - len(get("/", "X: "))))
    barrier = served.client()

    assert length == len(head)

    for place in range(len(head) - 4, len(head) + 1):
        client = served.client()
        client.send(head[:place])
        served.await_turn(barrier)
        client.send(head[place:])

        assert status == client.answer().status


def test_garbage_after_a_good_request(served: Running) -> None:
    """The good request has its answer; the garbage is refused."""
    client = served.client()
    client.send(get("/good") + b"\x16\x03\x01 hello\r\n\r\n" + get("/unseen"))

    assert "/good" == client.answer().body
    assert 400 == client.answer().status
    assert client.is_hung_up_on()


@pytest.mark.parametrize("path", ["/last", "/later/last"])
def test_nothing_is_answered_after_close(served: Running, path: str) -> None:
    """A client that says close has its answer, and the connection ends."""
    client = served.client()
    client.send(get(path, "Connection: close") + get("/unseen"))
    answer = client.answer()

    assert (path, "close") == (answer.body, answer.fields["connection"])
    assert client.is_hung_up_on()
    assert [path] == served.handler.answered


@pytest.mark.parametrize("path", ["/broken", "/later/broken"])
def test_a_handler_that_raises_is_a_500(served: Running, path: str) -> None:
    """The client learns no details, the log does, and the connection goes on."""
    client = served.client()
    answer = client.ask(path)

    assert 500 == answer.status
    assert {
        "__type": "InternalFailure",
        "message": "an unforeseen error; see the log",
    } == json.loads(answer.body)
    assert "/next" == client.ask("/next").body
    assert ["ValueError"] == [line["exception_name"] for line in served.log_lines()]


def test_a_fault_of_the_server_ends_one_connection(served: Running) -> None:
    """Whatever else is raised is logged and costs one client its connection."""
    client, other = served.client(), served.client()
    client.send(get("/unprepared"))

    assert client.is_hung_up_on()
    assert "/a" == other.ask("/a").body
    assert ["a connection failed"] == [line["message"] for line in served.log_lines()]


def test_without_a_thread_for_it_a_request_ends_its_connection(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that cannot be started costs one connection, also a pipelined one."""

    def cannot_start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client, pipelining = served.client(), served.client()
    pipelining.send(get("/later/at-gate") + get("/later/b"))
    served.handler.worker_gate.wait_for_arrival()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        served.workers._threads = 0
        client.send(get("/later/a"))

        assert client.is_hung_up_on()

        served.handler.worker_gate.open()

        assert "/later/at-gate" == pipelining.answer().body
        assert pipelining.is_hung_up_on()
    assert "/a" == served.client().ask("/a").body


def test_a_fault_outside_of_any_connection_ends_nothing(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised, and wherever; the port outlives it."""
    client = served.client()
    served.await_turn(client)
    attend, faults = served.server._attend, iter([MemoryError()])

    def stumble(filenos: list[int]) -> None:
        for fault in faults:
            raise fault
        attend(filenos)

    monkeypatch.setattr(served.server, "_attend", stumble)

    assert "/later/a" == client.ask("/later/a").body
    assert "/a" == served.client().ask("/a").body
    assert ["the port stumbled"] == [line["message"] for line in served.log_lines()]
    assert 1 == len(served.clock.naps)


def test_who_cannot_even_be_told_an_error_is_hung_up_on(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for an answer that will never come."""

    def exhausted(_: object) -> None:
        raise MemoryError

    client = served.client()
    with monkeypatch.context() as patch:
        patch.setattr(served.handler, "refused", exhausted)
        client.send(get("/later/broken"))

        assert client.is_hung_up_on()
    assert "/later/a" == served.client().ask("/later/a").body


def exhausted(*_: object) -> None:
    """As when there is no memory."""
    raise MemoryError


def test_a_newcomer_that_cannot_be_served_is_hung_up_on(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not forgotten in its place; the next one is served."""
    with monkeypatch.context() as patch:
        patch.setattr(served.server, "_welcome", exhausted)

        assert served.client().is_hung_up_on()
    assert "/a" == served.client().ask("/a").body


def test_a_slow_connection_that_cannot_be_refused_is_hung_up(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over, whether or not it can be told so."""
    client, barrier = served.client(), served.client()
    client.send(b"GET /half")
    served.await_turn(barrier)
    with monkeypatch.context() as patch:
        patch.setattr(served.server, "_refuse", exhausted)
        served.clock.tick(HEAD_SECONDS)

        assert client.is_hung_up_on()
    assert "/a" == served.client().ask("/a").body


# Clients that are slow, or leave


def test_a_head_that_does_not_arrive_is_a_408(served: Running) -> None:
    """Sending a little now and then does not help; leaving is not put off for ever."""
    client, barrier = served.client(), served.client()
    client.send(b"GET / HTTP/1.1\r\n")
    served.await_turn(barrier)
    served.clock.tick(HEAD_SECONDS - 1)
    client.send(b"Host: localhost\r\n")
    served.await_turn(barrier)

    assert 1 == len(served.server._slow)

    served.clock.tick(1)
    served.await_turn(barrier)

    assert 408 == client.answer().status
    assert client.is_hung_up_on()
    assert 2 == len(served.server._connections)

    served.clock.tick(HEAD_SECONDS)
    served.await_turn(barrier)

    assert 1 == len(served.server._connections)
    assert {} == served.server._slow


def test_an_idle_connection_is_kept(served: Running) -> None:
    """A client that has sent nothing is given all the time it wants."""
    client, barrier = served.client(), served.client()
    served.await_turn(client)
    served.clock.tick(3600)
    served.await_turn(barrier)

    assert "/a" == client.ask("/a").body


def test_time_begins_anew_with_each_head(served: Running) -> None:
    """A request that arrived in time leaves nothing to its successor."""
    client, barrier = served.client(), served.client()
    client.send(get("/a")[:5])
    served.await_turn(barrier)
    served.clock.tick(HEAD_SECONDS - 1)
    client.send(get("/a")[5:] + get("/b")[:5])

    assert "/a" == client.answer().body

    served.clock.tick(HEAD_SECONDS - 1)
    served.await_turn(barrier)
    client.send(get("/b")[5:])

    assert "/b" == client.answer().body


@pytest.mark.parametrize("path", ["/a", "/later/a", "/large", "/later/large"])
def test_a_half_closed_client_gets_its_answers(served: Running, path: str) -> None:
    """A client may say that it sends no more, and read on."""
    client = served.client()
    client.send(get(path) + get("/b"))
    client.socket.shutdown(socket.SHUT_WR)

    assert path == client.answer().body.rstrip(".")
    assert "/b" == client.answer().body
    assert client.is_hung_up_on()


@pytest.mark.parametrize("path", ["/large", "/later/large"])
def test_a_slow_reader_holds_nobody_up(served: Running, path: str) -> None:
    """An answer that does not fit is sent bit by bit, then the next one."""
    client, other = served.client(), served.client()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    client.send(get(path) + get("/b") + get(path, "Connection: close"))

    assert ["/other"] * 20 == [other.ask("/other").body for _ in range(20)]

    large = client.answer()

    assert (1 << 22, path) == (len(large.body), large.body.rstrip("."))
    assert "/b" == client.answer().body
    assert large.body == client.answer().body
    assert client.is_hung_up_on()


def test_an_answer_that_does_not_fit_at_all_waits() -> None:
    """Answers leave as the reader makes room for them, in their order."""
    with running(sequential()) as served:
        client, other = served.client(), served.client()
        paths = [f"/{number}" for number in range(1000)]
        data = b"".join(map(get, paths))
        for start in range(0, len(data), 1 << 14):
            client.send(data[start : start + (1 << 14)])
            served.await_turn(other)

        assert len(served.handler.answered) < 1000
        assert paths == [client.answer().body for _ in paths]


@pytest.mark.parametrize("path", ["/large", "/later/large"])
def test_who_does_not_read_is_cut_off(served: Running, path: str) -> None:
    """An answer waits for its reader, but not for ever."""
    client, other = served.client(), served.client()
    client.send(get(path))
    wait_until(lambda: len(served.server._slow) == 1, "an answer that does not fit")
    served.clock.tick(READ_SECONDS - 1)
    served.await_turn(other)

    assert 2 == len(served.server._connections)

    served.clock.tick(1)
    served.await_turn(other)

    assert 1 == len(served.server._connections)
    assert {} == served.server._slow
    with client.socket.makefile("rb") as stream:
        received = stream.read()

    assert received.endswith(b".")
    assert len(received) < 1 << 22


def test_reading_now_and_then_does_not_help(served: Running) -> None:
    """The time is for the whole answer."""
    client, other = served.client(), served.client()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    client.send(get("/large"))
    wait_until(lambda: len(served.server._slow) == 1, "an answer that does not fit")
    for seconds in (READ_SECONDS - 1, 1):
        (connection,) = served.server._slow
        before = len(connection.outgoing)
        client.skip(1 << 20)
        wait_until(lambda: len(connection.outgoing) < before, "progress")  # noqa: B023
        served.clock.tick(seconds)
        served.await_turn(other)

    assert 1 == len(served.server._connections)


def test_time_for_reading_begins_anew_with_each_answer(served: Running) -> None:
    """Who has read an answer leaves nothing to the next one."""
    client, other = served.client(), served.client()
    for _ in range(2):
        client.send(get("/large"))
        served.await_turn(other)
        served.clock.tick(READ_SECONDS - 1)
        served.await_turn(other)

        assert 1 << 22 == len(client.answer().body)

        served.await_turn(other)

        assert {} == served.server._slow


def test_a_refusal_that_does_not_fit_waits_and_lingers() -> None:
    """It is read in the end; the time for leaving is what it was from the first."""
    with running(sequential()) as served:
        probing, client, other = (served.client() for _ in range(3))
        probing.send(get("/") * 1000)
        served.await_turn(other)
        fitting = len(served.handler.answered) - 1
        probing.socket.close()
        client.send(get("/") * fitting + b"nonsense\r\n\r\n")
        served.await_turn(other)
        statuses = [client.answer().status for _ in range(fitting + 1)]

        assert [200, 400] == statuses[-2:]
        assert client.is_hung_up_on()
        assert 2 == len(served.server._connections)

        served.clock.tick(HEAD_SECONDS)
        served.await_turn(other)

        assert 1 == len(served.server._connections)


def test_a_slow_reader_may_vanish(served: Running) -> None:
    """Half an answer is forgotten with its client."""
    client, other = served.client(), served.client()
    client.send(get("/large"))
    served.await_turn(other)
    client.reset()
    served.await_turn(other)

    assert 1 == len(served.server._connections)
    assert [] == served.log_lines()


def test_a_client_may_vanish_while_a_worker_is_busy(served: Running) -> None:
    """Its answer has nowhere to go, what it sent last is not read; nobody notices."""
    client, other = served.client(), served.client()
    client.send(get("/later/at-gate"))
    served.handler.worker_gate.wait_for_arrival()
    client.send(get("/unseen"))
    client.reset()
    served.await_turn(other)

    assert 1 == len(served.server._connections)

    served.handler.worker_gate.open()
    served.workers.wait_for_one()

    assert "/later/next" == other.ask("/later/next").body
    assert ["/later/at-gate", "/later/next"] == served.handler.answered
    assert [] == served.log_lines()


def test_an_answer_is_for_nobody_else(served: Running) -> None:
    """A newcomer may have the descriptor of one who vanished, but not its answer."""
    client, other = served.client(), served.client()
    client.send(get("/later/at-gate"))
    served.handler.worker_gate.wait_for_arrival()
    (before,) = served.server._connections.keys() - {served.descriptor(other)}
    client.reset()
    served.await_turn(other)
    newcomer = served.client()
    served.await_turn(newcomer)

    assert before == served.descriptor(newcomer)

    served.handler.worker_gate.open()
    served.workers.wait_for_one()
    served.await_turn(other)

    assert "/mine" == newcomer.ask("/mine").body


@pytest.mark.parametrize("field", ["Connection: close", "Connection: keep-alive"])
def test_a_client_may_vanish_as_its_answer_is_ready(
    served: Running, field: str
) -> None:
    """The server learns of both in one breath, and goes on."""
    blocking, client = served.client(), served.client()
    client.send(get("/later/at-gate", field))
    served.handler.worker_gate.wait_for_arrival()
    blocking.send(get("/at-gate"))
    served.handler.gate.wait_for_arrival()
    served.handler.worker_gate.open()
    served.workers.wait_for_one()
    client.reset()
    served.handler.gate.open()

    assert "/at-gate" == blocking.answer().body
    assert "/later/next" == blocking.ask("/later/next").body
    assert 1 == len(served.server._connections)


def test_a_client_that_left_in_order_is_forgotten(served: Running) -> None:
    """Whether it had sent nothing, half a head, or waits for a worker."""
    idle, half, waiting, other = (served.client() for _ in range(4))
    half.send(b"GET")
    waiting.send(get("/later/at-gate"))
    served.handler.worker_gate.wait_for_arrival()
    served.await_turn(other)
    for client in (idle, half, waiting):
        client.socket.close()
    served.handler.worker_gate.open()
    served.workers.wait_for_one()
    served.await_turn(other)

    assert 1 == len(served.server._connections)
    assert {} == served.server._slow


def test_a_refused_client_may_vanish_first(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ending the output of a connection that is gone is no fault worth a word."""
    with monkeypatch.context() as patch:
        # No flag of the kernel's means 9: as though the client had just reset.
        patch.setattr("extension.http_server._socket.SHUT_WR", 9)
        client = served.client()
        client.send(b"nonsense\r\n\r\n")

        assert 400 == client.answer().status
        assert client.is_hung_up_on()
    served.await_turn(served.client())

    assert 1 == len(served.server._connections)
    assert [] == served.log_lines()


# Many clients


def occupied(served: Running, count: int) -> list[Client]:
    """Clients that wait for a worker: none of them is idle."""
    clients = [served.client() for _ in range(count)]
    for client in clients:
        client.send(get("/later/at-gate"))
    for _ in range(min(count, 4)):
        served.handler.worker_gate.wait_for_arrival()
    wait_until(lambda: served.workers._outstanding == count, "all to wait")
    return clients


def test_connections_over_the_bound_are_told_so() -> None:
    """Who comes when all are busy reads 429, whatever it has sent; others stay."""
    with running(max_connections=2) as served:
        first, second = occupied(served, 2)
        third = served.client()
        third.send(get("/a") * 50)
        answer = third.answer()

        assert 429 == answer.status
        assert "TooManyConnections" == json.loads(answer.body)["__type"]
        assert third.is_hung_up_on()

        third.socket.close()
        served.handler.worker_gate.open()

        assert ["/later/at-gate"] * 2 == [c.answer().body for c in (first, second)]
        assert "/b" == first.ask("/b").body


def test_the_connection_that_was_idle_for_longest_makes_room() -> None:
    """Whoever asked last stays, and the newcomer is served."""
    with running(max_connections=3) as served:
        clients = [served.client() for _ in range(3)]
        for client in (*clients, clients[0]):
            served.await_turn(client)
        newcomer = served.client()

        assert "/new" == newcomer.ask("/new").body
        assert clients[1].is_hung_up_on()
        assert ["/a"] * 2 == [clients[place].ask("/a").body for place in (0, 2)]


def test_an_answer_ends_idleness() -> None:
    """A client that has just got what it waited for is not the one idle for longest."""
    with running(max_connections=2) as served:
        (waiting,) = occupied(served, 1)
        other = served.client()
        served.await_turn(other)
        served.handler.worker_gate.open()

        assert "/later/at-gate" == waiting.answer().body
        assert "/new" == served.client().ask("/new").body
        assert other.is_hung_up_on()
        assert "/next" == waiting.ask("/next").body


def test_half_a_request_is_not_idle() -> None:
    """Nor is one that has come while the server was busy, nor an unread answer."""
    with running(max_connections=4) as served:
        half, asking, reading, blocking = (served.client() for _ in range(4))
        for client in (half, asking, reading, blocking):
            served.await_turn(client)
        half.send(get("/half")[:9])
        reading.send(get("/large"))
        for _ in range(2):
            served.await_turn(blocking)
        blocking.send(get("/at-gate"))
        served.handler.gate.wait_for_arrival()
        newcomer = served.client()
        asking.send(get("/asking"))
        asking.send(get("/asking"))
        served.handler.gate.open()

        assert "/at-gate" == blocking.answer().body
        assert "/new" == newcomer.ask("/new").body
        assert blocking.is_hung_up_on()
        assert ["/asking"] * 2 == [asking.answer().body for _ in range(2)]

        half.send(get("/half")[9:])

        assert "/half" == half.answer().body
        assert 1 << 22 == len(reading.answer().body)


def test_who_has_just_come_is_not_idle() -> None:
    """It is about to ask; only when it has not for long does it make room."""
    with running(max_connections=1) as served:
        first = served.client()
        wait_until(lambda: len(served.server._connections) == 1, "the first client")

        assert 429 == served.client().answer().status

        served.clock.tick(HEAD_SECONDS)

        assert "/a" == served.client().ask("/a").body
        assert first.is_hung_up_on()


def test_refusals_are_bounded_as_well() -> None:
    """Who is refused holds a descriptor for a while; who comes then waits its turn."""
    with running(max_connections=1) as served:
        occupied(served, 1)
        refused = [served.client() for _ in range(64)]

        assert {429} == {client.answer().status for client in refused}

        waiting = served.client()
        waiting.send(get("/patient"))
        served.handler.worker_gate.open()
        wait_until(lambda: served.workers._outstanding == 0, "the end of the job")
        served.clock.tick(HEAD_SECONDS)

        assert "/patient" == waiting.answer().body
        assert 1 == len(served.server._connections)


def test_a_thousand_clients_at_once() -> None:
    """Each is answered, however few places there are: nobody is cut off."""
    with running(max_connections=100) as served:
        clients = [served.client() for _ in range(1000)]
        for number, client in enumerate(clients):
            client.send(get(f"/{number}", "Connection: close"))
        ticking = threading.Event()

        def pass_time() -> None:
            while not ticking.wait(0.01):
                served.clock.tick(0.5)

        timer = threading.Thread(target=pass_time)
        timer.start()
        answers = [client.answer() for client in clients]
        ticking.set()
        timer.join()

        assert {200, 429} >= {answer.status for answer in answers}
        assert [] == served.log_lines()


def test_many_connections_one_after_the_other(served: Running) -> None:
    """A thousand connections leave nothing behind."""
    barrier = served.client()
    served.await_turn(barrier)
    before = open_files()
    for number in range(1000):
        client = served.client()
        path = f"/later/{number}" if number % 10 == 0 else f"/{number}"

        assert path == client.ask(path).body

        client.socket.close()
    served.await_turn(barrier)

    assert before == open_files()
    assert 1 == len(served.server._connections)


def test_many_connections_at_once(served: Running) -> None:
    """Two hundred clients ask together, and each gets its own answer."""
    clients = [served.client() for _ in range(200)]
    paths = [f"/later/{n}" if n % 2 else f"/{n}" for n in range(200)]
    for client, path in zip(clients, paths, strict=True):
        client.send(get(path))

    assert paths == [client.answer().body for client in clients]


def test_without_a_descriptor_for_it_a_connection_waits(served: Running) -> None:
    """With none left the server says so once, does not spin, and accepts later."""
    server, (other,) = served.server, occupied(served, 1)
    looks = server._looks
    with served.stack:
        waiting = socket.socket()
        served.stack.callback(waiting.close)
        with no_descriptors():
            waiting.connect(served.address)
            before: list[object] = [None]
            for _ in range(3):
                wait_until(
                    lambda: server._listeners.deaf not in before, "it to give up"
                )
                before.append(server._listeners.deaf)
                served.clock.tick(1)
            wait_until(
                lambda: server._listeners.deaf not in before, "it to give up again"
            )

        assert ["cannot accept a connection"] == [
            line["message"] for line in served.log_lines()
        ]
        assert server._looks - looks < 20

        served.clock.tick(1)

        assert "/a" == Client(waiting).ask("/a").body

        waiting.send(get("/later/at-gate"))
        served.handler.worker_gate.wait_for_arrival()
        late = socket.socket()
        served.stack.callback(late.close)
        with no_descriptors():
            late.connect(served.address)
            wait_until(lambda: len(served.log_lines()) == 2, "it to say so again")
        served.handler.worker_gate.open()

        assert "/later/at-gate" == other.answer().body


def test_without_a_descriptor_an_idle_connection_makes_room(served: Running) -> None:
    """The newcomer is served at once, and nothing is said."""
    other = served.client()
    served.await_turn(other)
    with served.stack:
        waiting = socket.socket()
        served.stack.callback(waiting.close)
        with no_descriptors():
            waiting.connect(served.address)

            assert "/a" == Client(waiting).ask("/a").body
        assert other.is_hung_up_on()
        assert [] == served.log_lines()


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Nothing can be opened during the block, nor accepted."""
    gc.collect()  # what it would close later would be free then
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # No lower: what is closed during the block must be free for others.
    highest = max(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208  no paths
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def test_a_connection_may_be_gone_before_it_is_accepted(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to accept then, and nothing to say."""
    ((fileno, (listener, handler)),) = served.server._listeners._ports.items()
    deserted = {fileno: (Deserted(listener), handler)}
    with monkeypatch.context() as patch:
        patch.setattr(served.server._listeners, "_ports", deserted)
        client = served.client()

        assert "/a" == client.ask("/a").body
    assert [] == served.log_lines()


def test_each_port_has_its_own_handler(served: Running) -> None:
    """One thread serves them all, and mixes nothing up."""
    other, handler = listening(), Forgetful()
    ports = [(listening(), served.handler), (other, handler)]
    log, clock = served.server._log, served.clock
    server = HttpServer(ports, served.workers, clock=clock, log=log)
    server.start()
    with served.stack:
        connected = socket.create_connection(other.getsockname(), PATIENCE_SECONDS)
        served.stack.callback(connected.close)
        client = Client(connected)

        assert ["/a", "/later/b"] == [client.ask(p).body for p in ("/a", "/later/b")]

        client.send(REMEMBERED)

        assert "/remembered" == client.answer().body

        server.stop(PATIENCE_SECONDS)
    assert ["/a", "/later/b", "/remembered"] == handler.answered
    assert [] == served.handler.answered


class Forgetful(Handler):
    """Has nothing at hand."""

    def prepared(self, received: bytes) -> bytes | None:
        del received
        return None


class Deserted:
    """A listener whose first two clients leave before they are accepted."""

    def __init__(self, listener: _socket.socket) -> None:
        self._listener = listener
        self._faults: list[OSError] = [BlockingIOError(), ConnectionAbortedError()]

    def fileno(self) -> int:
        return self._listener.fileno()

    def _accept(self) -> object:
        if self._faults:
            raise self._faults.pop()
        return self._listener._accept()  # type: ignore[attr-defined]


def test_answers_wait_when_the_server_is_busy(served: Running) -> None:
    """Workers do not fail because nobody has listened to them for long."""
    blocking, client = served.client(), served.client()
    client.send(get("/later/at-gate"))
    served.handler.worker_gate.wait_for_arrival()
    blocking.send(get("/at-gate"))
    served.handler.gate.wait_for_arrival()
    with suppress(BlockingIOError):
        while True:
            served.server._wake_sender.send(b"\0", socket.MSG_DONTWAIT)
    served.handler.worker_gate.open()
    served.workers.wait_for_one()
    served.handler.gate.open()

    assert "/later/at-gate" == client.answer().body
    assert [] == served.log_lines()


# The end


@contextmanager
def stopping(served: Running) -> Iterator[None]:
    """The server is about to stop during the block, and has stopped after it."""
    stopper = threading.Thread(target=served.server.stop, args=(PATIENCE_SECONDS,))
    stopper.start()
    wait_until(lambda: served.server._stop_by is not None, "the beginning of the end")
    yield
    stopper.join(PATIENCE_SECONDS)

    assert not stopper.is_alive()
    with pytest.raises(ConnectionRefusedError):
        served.client()


def test_stop_waits_for_a_worker(served: Running) -> None:
    """An answer that is being made is sent before the end, as are others meanwhile."""
    waiting, other = served.client(), served.client()
    waiting.send(get("/later/at-gate"))
    served.handler.worker_gate.wait_for_arrival()
    with stopping(served):
        served.await_turn(other)
        served.handler.worker_gate.open()

        assert "/later/at-gate" == waiting.answer().body
    assert other.is_hung_up_on()


def test_stop_waits_for_a_reader(served: Running) -> None:
    """An answer that is being sent is sent to its end."""
    reading, other = served.client(), served.client()
    reading.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    reading.send(get("/large"))
    served.await_turn(other)
    with stopping(served):
        served.await_turn(other)

        assert 1 << 22 == len(reading.answer().body)
    assert other.is_hung_up_on()


def test_stop_does_not_wait_longer_than_it_may(served: Running) -> None:
    """When the time is over, what is still under way is given up."""
    client = served.client()
    client.send(get("/later/at-gate"))
    served.handler.worker_gate.wait_for_arrival()
    served.server.stop(0.0)
    served.server._thread.join(PATIENCE_SECONDS)

    assert not served.server._thread.is_alive()
    assert client.is_hung_up_on()

    served.handler.worker_gate.open()
    served.workers.wait_for_one()

    assert [] == served.log_lines()


def test_stop_may_be_called_again(served: Running) -> None:
    """Once it has stopped, stopping does nothing; no descriptor is left."""
    before = open_files()
    with running() as other:
        other.await_turn(other.client())
        other.server.stop(PATIENCE_SECONDS)
        other.server.stop(PATIENCE_SECONDS)

    assert before == open_files()
    assert "/a" == served.client().ask("/a").body
