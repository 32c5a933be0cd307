"""The listening sockets: who comes in, by which of them, and when nobody may.

Each has a handler of its own, so that what may be asked for depends on the port alone.
"""

from __future__ import annotations

import select

from extension.connection import Connection
from rotaware.clock import Deadline
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence

    from extension.connection import Handler
    from rotaware.clock import Clock

DEAF_SECONDS = 0.5


class Listeners:
    """Some listening sockets, as the loopback server's loop uses them.

    Args:
        ports: Each listener, bound and listening, and what answers who comes there.
        poll: What the loop waits on.
        clock: Time.
    """

    def __init__(
        self,
        ports: Sequence[tuple[_socket.socket, Handler]],
        poll: select.epoll,
        clock: Clock,
    ) -> None:
        self._ports = {listener.fileno(): (listener, each) for listener, each in ports}
        self._poll = poll
        self._clock = clock
        self.deaf: Deadline | None = None
        """Runs while no new connection is accepted."""

    def open(self) -> None:
        """Look out for newcomers."""
        for fileno, (listener, _) in self._ports.items():
            listener.setblocking(False)  # noqa: FBT003  the standard signature
            self._poll.register(fileno, select.EPOLLIN)

    def among(self, filenos: Sequence[int]) -> list[int]:
        """Those of them that are listeners, and may have newcomers."""
        return [fileno for fileno in filenos if fileno in self._ports]

    def accept(self, fileno: int) -> Connection | None:
        """A newcomer; None when it has gone.

        Raises:
            OSError: There is no descriptor for it.
        """
        listener, handler = self._ports[fileno]
        try:
            accepted, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001  accept() builds enums
        except (BlockingIOError, ConnectionAbortedError):
            return None
        return Connection(accepted, handler)

    def turn_away(self) -> None:
        """Leave newcomers in the backlogs for a while: each would wake the loop."""
        self._listen_for(0)
        self.deaf = Deadline(self._clock, DEAF_SECONDS)

    def expire(self) -> None:
        """Let them in again, when the time has come."""
        if self.deaf is not None and self.deaf.remaining_seconds() == 0.0:
            self.deaf = None
            self._listen_for(select.EPOLLIN)

    def close(self) -> None:
        """Stop listening."""
        for listener, _ in self._ports.values():
            listener.close()

    def _listen_for(self, events: int) -> None:
        for fileno in self._ports:
            self._poll.modify(fileno, events)
