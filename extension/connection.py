"""A client's connection, as the loopback server keeps it."""

from __future__ import annotations

import _socket

from rotaware.lean import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from extension.http1 import Request, Response
    from rotaware.clock import Deadline
    from rotaware.errors import RotawareError


class Handler(Protocol):
    """What answers requests. Whatever it raises but in ``refused`` is a 500."""

    def prepared(self, received: bytes) -> bytes | None:
        """The whole answer to exactly these bytes, if it is at hand."""
        ...

    def answer_now(self, request: Request, received: bytes | None) -> Response | None:
        """An answer that needs no waiting."""
        ...

    def answer(self, request: Request) -> Response:
        """An answer that may take its time; called in a worker."""
        ...

    def refused(self, error: RotawareError) -> Response:
        """How an error is told."""
        ...


class Connection:
    """One client, and what is under way for it."""

    __slots__ = (
        "closing",
        "fileno",
        "finished",
        "handler",
        "heard",
        "lingering",
        "outgoing",
        "patience",
        "received",
        "socket",
        "waiting",
    )

    def __init__(self, fileno: int, handler: Handler) -> None:
        self.fileno = fileno
        self.handler = handler
        """What answers it: that of the port to which it came."""
        self.heard = 0
        """In which look at the sockets it last had news; 0 for never."""
        self.patience: Deadline | None = None
        """For how long it may go on holding a place without having asked for anything;
        None while nobody wants that place."""
        self.socket = _socket.socket(fileno=fileno)
        self.received = b""
        self.outgoing = b""
        self.waiting = False
        """Whether a worker is busy with its request."""
        self.finished: bytes | None = None
        """The answer that the worker has made; nothing when it could make none."""
        self.closing = False
        """Whether it is closed once everything is sent."""
        self.lingering = False
        """Whether what it still sends is thrown away: to close at once would reset the
        connection, and the client would never read why it was refused."""

    def last_heard(self) -> int:
        """By which those who have been silent for longest come first."""
        return self.heard

    def is_idle(self) -> bool:
        """Whether nothing is under way, nor to be expected at once."""
        if self.waiting or self.closing or self.outgoing or self.received:
            return False
        patience = self.patience
        if not self.heard and not (patience and patience.remaining_seconds() == 0.0):
            return False
        try:
            return not self.socket.recv(1, _socket.MSG_DONTWAIT | _socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:  # it has gone
            return True
