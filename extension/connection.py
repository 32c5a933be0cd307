"""A client's connection, as the loopback server keeps it."""

from __future__ import annotations

import _socket

from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from rotaware.clock import Deadline


class Connection:
    """One client, and what is under way for it."""

    __slots__ = (
        "closing",
        "fileno",
        "finished",
        "heard",
        "lingering",
        "outgoing",
        "patience",
        "received",
        "socket",
        "waiting",
    )

    def __init__(self, fileno: int) -> None:
        self.fileno = fileno
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
