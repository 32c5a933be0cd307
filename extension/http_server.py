"""The loopback server: one thread that never waits for AWS. It knows no secrets.

Rule 1. What can be answered at once is answered in place, by one write.
Rule 2. What must wait goes to a worker; until its answer is out, nothing more is read
        from that connection, so pipelined answers keep their order.
Rule 3. Everything has a bound: connections, a head's bytes, the time for sending it.

``_socket`` instead of ``socket``, and ``epoll`` instead of ``selectors``: together they
halve the time of a hit (``make bench``).
"""

from __future__ import annotations

import _socket
import json
import select
from collections import deque
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from extension.http1 import (
    END_OF_HEAD,
    MAX_HEAD_BYTES,
    Response,
    parse_head,
    render,
)
from rotaware.clock import Deadline
from rotaware.errors import RequestError

if TYPE_CHECKING:
    from extension.http1 import Request
    from extension.workers import Workers
    from rotaware.clock import Clock
    from rotaware.log import Logger

MAX_CONNECTIONS = 512
HEAD_SECONDS = 5.0
"""How long a client may take to send a request's head."""

_CHUNK = 65536
_DONTWAIT = _socket.MSG_DONTWAIT
_TICK_SECONDS = 0.5
_MAX_REFUSALS = 64


class Handler(Protocol):
    """What answers requests."""

    def prepared(self, received: bytes) -> bytes | None:
        """The whole answer to exactly these bytes, if it is at hand."""
        ...

    def answer_now(self, request: Request, received: bytes | None) -> Response | None:
        """An answer that needs no waiting."""
        ...

    def answer(self, request: Request) -> Response:
        """An answer that may take its time; called in a worker."""
        ...


class _Connection:
    """One client."""

    __slots__ = (
        "closing",
        "deadline",
        "fileno",
        "lingering",
        "outgoing",
        "received",
        "socket",
        "waiting",
    )

    def __init__(self, fileno: int) -> None:
        self.fileno = fileno
        self.socket = _socket.socket(fileno=fileno)
        self.received = b""
        self.outgoing = b""
        self.deadline: Deadline | None = None
        """Runs while a head is incomplete, and while it lingers."""
        self.waiting = False
        """Whether a worker is busy with its request."""
        self.closing = False
        """Whether it is closed once everything is sent."""
        self.lingering = False
        """Whether what it still sends is thrown away: to close at once would reset the
        connection, and the client would never read why it was refused."""


class HttpServer:
    """Serves a listening socket.

    Args:
        listener: Bound and listening.
        handler: What answers.
        workers: Where blocking answers are made.
        clock: Time.
        log: Told about what was not foreseen.
        max_connections: Further ones are answered with 429.
    """

    def __init__(  # noqa: PLR0913  all of them are independent
        self,
        listener: _socket.socket,
        handler: Handler,
        workers: Workers,
        *,
        clock: Clock,
        log: Logger,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._listener = listener
        self._handler = handler
        self._workers = workers
        self._clock = clock
        self._log = log
        self._max_connections = max_connections
        self._connections: dict[int, _Connection] = {}
        self._slow: set[_Connection] = set()
        self._finished: deque[tuple[_Connection, bytes, bool]] = deque()
        self._wake_receiver, self._wake_sender = _socket.socketpair()
        self._poll = select.epoll()
        self._stop_by: Deadline | None = None
        self._thread = Thread(target=self._run, daemon=True, name="rotaware-http")

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._listener.setblocking(False)  # noqa: FBT003  the standard signature
        self._poll.register(self._listener.fileno(), select.EPOLLIN)
        self._poll.register(self._wake_receiver.fileno(), select.EPOLLIN)
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Take no more requests, finish those under way, and return. Idempotent."""
        if self._stop_by is None:
            self._stop_by = Deadline(self._clock, timeout_seconds)
            self._wake()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._is_done():
            waits = bool(self._slow) or self._stop_by is not None
            for fileno, _ in self._poll.poll(_TICK_SECONDS if waits else None):
                connection = self._connections.get(fileno)
                try:
                    if connection is not None:
                        self._serve(connection)
                    elif fileno == self._listener.fileno():
                        self._accept()
                    else:
                        self._finish()
                except Exception as fault:  # noqa: BLE001  one client must not end the rest
                    self._log.error("a connection failed", exception=fault)
                    if connection is not None:
                        self._close(connection)
            self._expire()
        self._listener.close()
        for connection in list(self._connections.values()):
            self._close(connection)

    def _is_done(self) -> bool:
        if self._stop_by is None:
            return False
        busy = any(c.waiting or c.outgoing for c in self._connections.values())
        return not busy or self._stop_by.remaining_seconds() == 0.0

    def _accept(self) -> None:
        try:
            fileno, _ = self._listener._accept()  # noqa: SLF001  accept() builds enums
        except OSError:
            return
        connection = _Connection(fileno)
        self._connections[fileno] = connection
        self._poll.register(fileno, select.EPOLLIN)
        crowd = len(self._connections) - self._max_connections
        if crowd > _MAX_REFUSALS:
            self._close(connection)
        elif crowd > 0:
            refusal = RequestError(429, "TooManyConnections", "close some connections")
            self._refuse(connection, refusal)
        else:
            self._serve(connection)

    def _serve(self, connection: _Connection) -> None:
        """Read what has come, and answer it."""
        if connection.outgoing:
            self._flush(connection)
            return
        try:
            received = connection.socket.recv(_CHUNK, _DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received or connection.waiting:
            self._close(connection)
            return
        if connection.lingering:
            return
        if not connection.received:
            answer = self._handler.prepared(received)
            if answer is not None:
                self._send(connection, answer)
                return
        connection.received += received
        self._answer(connection)

    def _answer(self, connection: _Connection) -> None:
        """Answer the requests received so far, until one must wait."""
        while connection.received and not connection.closing:
            head, end, rest = connection.received.partition(END_OF_HEAD)
            if len(head) > MAX_HEAD_BYTES:
                refusal = RequestError(431, "HeaderTooLarge", "the head is over 16 KiB")
                self._refuse(connection, refusal)
                return
            if not end:
                self._limit_time(connection)
                return
            alone = connection.received if not rest else None
            connection.received = rest
            connection.deadline = None
            self._slow.discard(connection)
            try:
                request = parse_head(head)
            except RequestError as refusal:
                self._refuse(connection, refusal)
                return
            remembered = alone if request.keep_alive else None
            response = self._handler.answer_now(request, remembered)
            if response is None:
                self._hand_over(connection, request)
                return
            connection.closing = not request.keep_alive
            self._send(connection, render(response, keep_alive=request.keep_alive))
            if connection.outgoing:
                return

    def _hand_over(self, connection: _Connection, request: Request) -> None:
        connection.waiting = True
        self._poll.modify(connection.fileno, 0)

        def job() -> None:
            answer = render(
                self._handler.answer(request), keep_alive=request.keep_alive
            )
            self._finished.append((connection, answer, request.keep_alive))
            self._wake()

        self._workers.submit(job)

    def _finish(self) -> None:
        """Send what the workers have made."""
        self._wake_receiver.recv(_CHUNK)
        while self._finished:
            connection, answer, keep_alive = self._finished.popleft()
            if self._connections.get(connection.fileno) is not connection:
                continue
            connection.waiting = False
            connection.closing = not keep_alive
            self._poll.modify(connection.fileno, select.EPOLLIN)
            self._send(connection, answer)
            if not connection.outgoing:
                self._answer(connection)

    def _send(self, connection: _Connection, answer: bytes) -> None:
        try:
            sent = connection.socket.send(answer, _DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        if sent < len(answer):
            connection.outgoing = answer[sent:]
            self._poll.modify(connection.fileno, select.EPOLLOUT)
        elif connection.lingering:
            connection.socket.shutdown(_socket.SHUT_WR)
        elif connection.closing:
            self._close(connection)

    def _flush(self, connection: _Connection) -> None:
        outgoing, connection.outgoing = connection.outgoing, b""
        self._send(connection, outgoing)
        if not connection.outgoing and connection.fileno in self._connections:
            self._poll.modify(connection.fileno, select.EPOLLIN)
            self._answer(connection)

    def _refuse(self, connection: _Connection, refusal: RequestError) -> None:
        """Answer, and trust nothing more that comes from there."""
        body = json.dumps({"__type": refusal.code, "message": refusal.message})
        connection.closing = connection.lingering = True
        connection.received = b""
        self._limit_time(connection)
        response = Response(refusal.status, body.encode())
        self._send(connection, render(response, keep_alive=False))

    def _limit_time(self, connection: _Connection) -> None:
        if connection.deadline is None:
            connection.deadline = Deadline(self._clock, HEAD_SECONDS)
            self._slow.add(connection)

    def _expire(self) -> None:
        """Give up on heads that do not arrive, and on clients that do not leave."""
        for connection in list(self._slow):
            deadline = connection.deadline
            if deadline is not None and deadline.remaining_seconds() > 0.0:
                continue
            if connection.lingering:
                self._close(connection)
                continue
            connection.deadline = None
            refusal = RequestError(
                408, "RequestTimeout", "the request did not arrive in time"
            )
            self._refuse(connection, refusal)

    def _close(self, connection: _Connection) -> None:
        self._slow.discard(connection)
        connection.outgoing = b""
        connection.received = b""
        if self._connections.get(connection.fileno) is connection:
            del self._connections[connection.fileno]
            connection.socket.close()  # which also ends its registration

    def _wake(self) -> None:
        self._wake_sender.send(b"\0", _DONTWAIT)
