"""The loopback server: one thread that never waits for AWS. It knows no secrets.

Rule 1. What can be answered at once is answered in place, by one write.
Rule 2. What must wait goes to a worker; until its answer is out, nothing more is read
        from that connection, so pipelined answers keep their order.
Rule 3. Everything has a bound: connections, a head's bytes, the time for sending it.

``_socket`` and ``epoll`` stand in for ``socket`` and ``selectors``: their wrappers cost
more than the rest of a hit.
"""

from __future__ import annotations

import _socket
import select
from collections import deque
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from extension.http1 import (
    END_OF_HEAD,
    MAX_HEAD_BYTES,
    error_response,
    parse_head,
    render,
)
from rotaware.clock import Deadline
from rotaware.errors import RequestError, RotawareError

if TYPE_CHECKING:
    from collections.abc import Callable

    from extension.http1 import Request, Response
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
    """What answers requests. Whatever the last two raise is logged, and is a 500."""

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
        self._slow: dict[_Connection, Deadline] = {}
        """Those whose head is incomplete, and those that linger."""
        self._deaf: Deadline | None = None
        """Runs while no descriptor was left for another connection."""
        self._finished: deque[tuple[_Connection, bytes]] = deque()
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
        """Finish what is under way, and close everything. Idempotent."""
        if self._stop_by is None:
            self._stop_by = Deadline(self._clock, timeout_seconds)
            self._wake()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        connections = self._connections
        while self._stop_by is None or not self._is_done(self._stop_by):
            timed = bool(self._slow or self._deaf or self._stop_by)
            own = []
            for fileno, _ in self._poll.poll(_TICK_SECONDS if timed else None):
                connection = connections.get(fileno)
                if connection is None:
                    own.append(fileno)
                    continue
                try:
                    self._serve(connection)
                except Exception as fault:  # noqa: BLE001  one client must not end the rest
                    self._drop(connection, fault)
            if own:
                # After the rest: a descriptor that is closed here may be used again.
                self._attend(own)
            if timed:
                self._expire()
        for connection in list(self._connections.values()):
            self._close(connection)
        for part in (self._listener, self._wake_receiver, self._wake_sender):
            part.close()
        self._poll.close()

    def _is_done(self, stop_by: Deadline) -> bool:
        busy = any(c.waiting or c.outgoing for c in self._connections.values())
        return not busy or stop_by.remaining_seconds() == 0.0

    def _guarded(
        self, step: Callable[[_Connection], None], connection: _Connection
    ) -> None:
        try:
            step(connection)
        except Exception as fault:  # noqa: BLE001  likewise
            self._drop(connection, fault)

    def _drop(self, connection: _Connection, fault: Exception) -> None:
        self._log.error("a connection failed", exception=fault)
        self._close(connection)

    def _attend(self, filenos: list[int]) -> None:
        """See to the workers' answers and to new connections."""
        if self._wake_receiver.fileno() in filenos:
            self._finish()
        if self._listener.fileno() in filenos:
            self._accept()

    def _accept(self) -> None:
        try:
            fileno, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001  accept() builds enums
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as fault:
            # It waits in the backlog, and would wake this loop without end.
            self._log.error("cannot accept a connection", reason=str(fault))
            self._poll.modify(self._listener.fileno(), 0)
            self._deaf = Deadline(self._clock, _TICK_SECONDS)
            return
        connection = _Connection(fileno)
        self._connections[fileno] = connection
        self._guarded(self._welcome, connection)

    def _welcome(self, connection: _Connection) -> None:
        self._poll.register(connection.fileno, select.EPOLLIN)
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
            if len(head) + len(end) > MAX_HEAD_BYTES:
                refusal = RequestError(431, "HeaderTooLarge", "the head is over 16 KiB")
                self._refuse(connection, refusal)
                return
            if not end:
                if connection not in self._slow:
                    self._limit_time(connection)
                return
            alone = connection.received if not rest else None
            connection.received = rest
            self._slow.pop(connection, None)
            try:
                request = parse_head(head)
            except RequestError as refusal:
                self._refuse(connection, refusal)
                return
            connection.closing = not request.keep_alive
            response = self._answer_now(request, alone if request.keep_alive else None)
            if response is None:
                self._hand_over(connection, request)
                return
            self._send(connection, render(response, keep_alive=request.keep_alive))
            if connection.outgoing:
                return

    def _answer_now(self, request: Request, received: bytes | None) -> Response | None:
        try:
            return self._handler.answer_now(request, received)
        except Exception as fault:  # noqa: BLE001  the client is told, in so many words
            return self._failure(fault)

    def _hand_over(self, connection: _Connection, request: Request) -> None:
        connection.waiting = True
        self._poll.modify(connection.fileno, 0)

        def job() -> None:
            try:
                response = self._handler.answer(request)
            except Exception as fault:  # noqa: BLE001  likewise
                response = self._failure(fault)
            answer = render(response, keep_alive=request.keep_alive)
            self._finished.append((connection, answer))
            self._wake()

        self._workers.submit(job)

    def _finish(self) -> None:
        """Send what the workers have made."""
        self._wake_receiver.recv(_CHUNK)
        while self._finished:
            connection, answer = self._finished.popleft()
            if self._connections.get(connection.fileno) is connection:
                connection.waiting = False
                connection.outgoing = answer
                self._guarded(self._flush, connection)

    def _failure(self, fault: Exception) -> Response:
        self._log.error("a request failed", exception=fault)
        return error_response(RotawareError("an unforeseen error; see the log"))

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
        elif connection.closing:
            self._leave(connection)

    def _flush(self, connection: _Connection) -> None:
        outgoing, connection.outgoing = connection.outgoing, b""
        self._send(connection, outgoing)
        if not connection.outgoing and connection.fileno in self._connections:
            self._poll.modify(connection.fileno, select.EPOLLIN)
            self._answer(connection)

    def _refuse(self, connection: _Connection, refusal: RequestError) -> None:
        """Answer, and trust nothing more that comes from there."""
        connection.closing = connection.lingering = True
        connection.received = b""
        self._limit_time(connection)
        self._send(connection, render(error_response(refusal), keep_alive=False))

    def _leave(self, connection: _Connection) -> None:
        """All is sent: close, or say that nothing more comes and linger."""
        if connection.lingering:
            try:
                connection.socket.shutdown(_socket.SHUT_WR)
            except OSError:  # it has already gone
                self._close(connection)
        else:
            self._close(connection)

    def _limit_time(self, connection: _Connection) -> None:
        self._slow[connection] = Deadline(self._clock, HEAD_SECONDS)

    def _expire(self) -> None:
        """Do what was put off, when its time has come."""
        if self._deaf is not None and self._deaf.remaining_seconds() == 0.0:
            self._deaf = None
            self._poll.modify(self._listener.fileno(), select.EPOLLIN)
        for connection, deadline in list(self._slow.items()):
            if deadline.remaining_seconds() == 0.0:
                self._guarded(self._give_up, connection)

    def _give_up(self, connection: _Connection) -> None:
        """On a head that does not arrive, or a client that does not leave."""
        if connection.lingering:
            self._close(connection)
            return
        refusal = RequestError(
            408, "RequestTimeout", "the request did not arrive in time"
        )
        self._refuse(connection, refusal)

    def _close(self, connection: _Connection) -> None:
        self._slow.pop(connection, None)
        connection.outgoing = b""
        connection.received = b""
        self._connections.pop(connection.fileno, None)
        connection.socket.close()  # which also ends its registration

    def _wake(self) -> None:
        try:  # noqa: SIM105  contextlib costs start-up time
            self._wake_sender.send(b"\0", _DONTWAIT)
        except OSError:  # it is about to wake anyway, or has stopped
            pass
