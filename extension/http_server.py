"""The loopback server: one thread for all its ports, that never waits for AWS.

It knows no secrets.

Rule 1. What can be answered at once is answered in place, by one write.
Rule 2. What must wait goes to a worker; until its answer is out, nothing more is read
        from that connection, so pipelined answers keep their order.
Rule 3. Everything has a bound: connections, a head's bytes, the time for sending it
        and for reading the answer.
Rule 4. When all places are taken, the connection that has been idle for longest makes
        room. Where none is idle the newcomer reads 429; and when too many do, or no
        descriptor is left, those who come after wait in the backlog.

``_socket`` and ``epoll`` stand in for ``socket`` and ``selectors``: their wrappers cost
more than the rest of a hit.
"""

from __future__ import annotations

import _socket
import select
from threading import Thread

from extension.connection import Connection
from extension.http1 import (
    END_OF_HEAD,
    MAX_HEAD_BYTES,
    is_hopeless,
    parse_head,
    render,
)
from extension.listeners import Listeners
from rotaware.clock import Deadline
from rotaware.errors import RequestError, RotawareError
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extension.connection import Handler
    from extension.http1 import Request, Response
    from extension.workers import Workers
    from rotaware.clock import Clock
    from rotaware.log import Logger

MAX_CONNECTIONS = 512
HEAD_SECONDS = 5.0
"""How long a client may take to send a request's head."""
READ_SECONDS = 30.0
"""How long a client may take to read an answer that does not fit into its socket."""

_CHUNK = 65536
_WAKES = 256
_DONTWAIT = _socket.MSG_DONTWAIT
_TICK_SECONDS = 0.5
_STUMBLE_SECONDS = 0.05
_MAX_REFUSALS = 64


class HttpServer:
    """Serves listening sockets.

    Args:
        ports: Each listener, bound and listening, and what answers who comes there.
        workers: Where blocking answers are made.
        clock: Time.
        log: Told about what was not foreseen.
        max_connections: More are not served at a time.
    """

    def __init__(
        self,
        ports: Sequence[tuple[_socket.socket, Handler]],
        workers: Workers,
        *,
        clock: Clock,
        log: Logger,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._workers = workers
        self._clock = clock
        self._log = log
        self._max_connections = max_connections
        self._connections: dict[int, Connection] = {}
        self._slow: dict[Connection, Deadline] = {}
        """Those that have begun to send or to read, and those that linger."""
        self._looks = 0
        self._is_short = False
        """Whether there was no descriptor for the newcomer."""
        self._waiting: set[Connection] = set()
        """Those for which a worker is busy."""
        self._wake_receiver, self._wake_sender = _socket.socketpair()
        self._poll = select.epoll()
        self._listeners = Listeners(ports, self._poll, clock)
        self._stop_by: Deadline | None = None
        self._thread = Thread(target=self._run, name="rotaware-http", daemon=True)

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._listeners.open()
        self._poll.register(self._wake_receiver.fileno(), select.EPOLLIN)
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Finish what is under way, and close everything. Idempotent."""
        if self._stop_by is None:
            self._stop_by = Deadline(self._clock, timeout_seconds)
            self._wake()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while self._stop_by is None or not self._is_done(self._stop_by):
            try:
                self._take_turns()
            except Exception as fault:  # noqa: BLE001, PERF203  no thread, no port
                self._log.error("the port stumbled", exception=fault)
                self._clock.sleep(_STUMBLE_SECONDS)
        for connection in list(self._connections.values()):
            self._close(connection)
        for part in (self._listeners, self._wake_receiver, self._wake_sender):
            part.close()
        self._poll.close()

    def _take_turns(self) -> None:
        """Look at the sockets and serve them, until it is time to stop."""
        connections = self._connections
        while self._stop_by is None or not self._is_done(self._stop_by):
            timed = bool(self._slow or self._listeners.deaf or self._stop_by)
            own = []
            ready = self._poll.poll(_TICK_SECONDS if timed else None)
            self._looks += 1
            for fileno, _ in ready:
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
                self._finish()
                self._expire()

    def _is_done(self, stop_by: Deadline) -> bool:
        busy = any(c.waiting or c.outgoing for c in self._connections.values())
        return not busy or stop_by.remaining_seconds() == 0.0

    def _drop(self, connection: Connection, fault: Exception) -> None:
        self._close(connection)
        self._log.error("a connection failed", exception=fault)

    def _attend(self, filenos: list[int]) -> None:
        """See to the workers' answers and to new connections."""
        if self._wake_receiver.fileno() in filenos:
            self._wake_receiver.recv(_WAKES)
            self._finish()
        for fileno in self._listeners.among(filenos):
            self._accept(fileno)

    def _accept(self, listener: int) -> None:
        try:
            connection = self._listeners.accept(listener)
        except OSError as fault:
            if self._make_room():
                return  # and try again
            if not self._is_short:
                self._is_short = True
                self._log.error("cannot accept a connection", reason=str(fault))
            self._listeners.turn_away()
            return
        if connection is None:
            return
        self._is_short = False
        self._connections[connection.fileno] = connection
        try:
            self._welcome(connection)
        except Exception as fault:  # noqa: BLE001  likewise
            self._drop(connection, fault)

    def _welcome(self, connection: Connection) -> None:
        self._poll.register(connection.fileno, select.EPOLLIN)
        crowd = len(self._connections) - self._max_connections
        if crowd <= 0 or self._make_room():
            self._serve(connection)
            return
        refusal = RequestError(429, "TooManyConnections", "close some connections")
        self._refuse(connection, refusal)
        if crowd >= _MAX_REFUSALS:
            self._listeners.turn_away()

    def _make_room(self) -> bool:
        """Close what has been idle for longest; whether anything was."""
        for connection in sorted(self._connections.values(), key=Connection.last_heard):
            if not (connection.heard or connection.patience):
                connection.patience = Deadline(self._clock, HEAD_SECONDS)
            elif connection.is_idle():
                self._close(connection)
                return True
        return False

    def _serve(self, connection: Connection) -> None:
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
        connection.heard = self._looks
        if not connection.received:
            answer = connection.handler.prepared(received)
            if answer is not None:
                self._send(connection, answer)
                return
        connection.received += received
        self._answer(connection)

    def _answer(self, connection: Connection) -> None:
        """Answer the requests received so far, until one must wait."""
        while connection.received and not connection.closing:
            head, end, rest = connection.received.partition(END_OF_HEAD)
            if len(head) + len(end) > MAX_HEAD_BYTES:
                refusal = RequestError(431, "HeaderTooLarge", "the head is over 16 KiB")
                self._refuse(connection, refusal)
                return
            if not end:
                if is_hopeless(head):
                    refusal = RequestError(400, "MalformedRequest", "this is no HTTP/1")
                    self._refuse(connection, refusal)
                elif connection not in self._slow:
                    self._limit_time(connection, HEAD_SECONDS)
                return
            alone = connection.received if not rest else None
            connection.received = rest
            self._slow.pop(connection, None)
            request = self._parsed(connection, head)
            if request is None:
                return
            connection.closing = not request.keep_alive
            remembered = alone if request.keep_alive else None
            response = self._answer_now(connection.handler, request, remembered)
            if response is None:
                self._hand_over(connection, request)
                return
            self._send(connection, request.rendered(response))
            if connection.outgoing:
                return

    def _parsed(self, connection: Connection, head: bytes) -> Request | None:
        """The request, unless it is refused."""
        try:
            return parse_head(head)
        except RequestError as refusal:
            self._refuse(connection, refusal)
            return None

    def _answer_now(
        self, handler: Handler, request: Request, received: bytes | None
    ) -> Response | None:
        try:
            return handler.answer_now(request, received)
        except Exception as fault:  # noqa: BLE001  the client is told, in so many words
            return self._failure(handler, fault)

    def _hand_over(self, connection: Connection, request: Request) -> None:
        self._waiting.add(connection)
        connection.waiting = True
        self._poll.modify(connection.fileno, 0)
        handler = connection.handler

        def job() -> None:
            answer = b""
            try:
                try:
                    response = handler.answer(request)
                except Exception as fault:  # noqa: BLE001  likewise
                    response = self._failure(handler, fault)
                answer = request.rendered(response)
            finally:
                connection.finished = answer
                self._wake()

        self._workers.submit(job)

    def _finish(self) -> None:
        """Send what the workers have made."""
        for connection in list(self._waiting):
            answer = connection.finished
            if answer is None:
                continue
            self._waiting.discard(connection)
            connection.finished = None
            connection.waiting = False
            connection.heard = self._looks
            connection.outgoing = answer
            try:
                if answer:
                    self._flush(connection)
                else:  # not even an error's: nobody shall wait for one
                    self._close(connection)
            except Exception as fault:  # noqa: BLE001  likewise
                self._drop(connection, fault)

    def _failure(self, handler: Handler, fault: Exception) -> Response:
        self._log.error("a request failed", exception=fault)
        return handler.refused(RotawareError("an unforeseen error; see the log"))

    def _send(self, connection: Connection, answer: bytes) -> None:
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
            if connection not in self._slow:
                self._limit_time(connection, READ_SECONDS)
        elif connection.closing:
            self._leave(connection)

    def _flush(self, connection: Connection) -> None:
        outgoing, connection.outgoing = connection.outgoing, b""
        self._send(connection, outgoing)
        if not connection.outgoing and connection.fileno in self._connections:
            self._poll.modify(connection.fileno, select.EPOLLIN)
            if not connection.lingering:
                self._slow.pop(connection, None)
            self._answer(connection)

    def _refuse(self, connection: Connection, refusal: RequestError) -> None:
        """Answer, and trust nothing more that comes from there."""
        connection.closing = connection.lingering = True
        connection.received = b""
        self._limit_time(connection, HEAD_SECONDS)
        response = connection.handler.refused(refusal)
        self._send(connection, render(response, keep_alive=False))

    def _leave(self, connection: Connection) -> None:
        """All is sent: close, or say that nothing more comes and linger."""
        if connection.lingering:
            try:
                connection.socket.shutdown(_socket.SHUT_WR)
            except OSError:  # it has already gone
                self._close(connection)
        else:
            self._close(connection)

    def _limit_time(self, connection: Connection, seconds: float) -> None:
        self._slow[connection] = Deadline(self._clock, seconds)

    def _expire(self) -> None:
        """Do what was put off, when its time has come."""
        self._listeners.expire()
        for connection, deadline in list(self._slow.items()):
            if deadline.remaining_seconds() == 0.0:
                try:
                    self._give_up(connection)
                except Exception as fault:  # noqa: BLE001  likewise
                    self._drop(connection, fault)

    def _give_up(self, connection: Connection) -> None:
        """On a head that does not arrive, a client that does not read or leave."""
        if connection.lingering or connection.outgoing:
            self._close(connection)
            return
        refusal = RequestError(
            408, "RequestTimeout", "the request did not arrive in time"
        )
        self._refuse(connection, refusal)

    def _close(self, connection: Connection) -> None:
        self._slow.pop(connection, None)
        self._waiting.discard(connection)
        connection.outgoing = b""
        connection.received = b""
        self._connections.pop(connection.fileno, None)
        connection.socket.close()  # which also ends its registration

    def _wake(self) -> None:
        try:  # noqa: SIM105  contextlib costs start-up time
            self._wake_sender.send(b"\0", _DONTWAIT)
        except OSError:  # it is about to wake anyway, or has stopped
            pass
