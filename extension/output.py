"""Standard output for a log that must never make anybody wait.

What a full pipe does not take at once is kept, and goes out before the next line. When
too much is kept, lines are dropped, and their number is told as soon as there is room.
A descriptor that is closed, or that nobody reads any more, takes nothing.
"""

from __future__ import annotations

import posix
import select
import sys

MOST_KEPT_BYTES = 1 << 20


class Output:
    """As much of a text file as ``rotaware.log`` needs; the caller locks.

    Args:
        fileno: Where lines go; it may be in blocking mode.
    """

    __slots__ = ("_dropped", "_fileno", "_kept", "_poll")

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno
        self._kept = bytearray()
        self._dropped = 0
        self._poll = select.poll()
        self._poll.register(fileno, select.POLLOUT)

    def write(self, text: str, /) -> None:
        """Keep a line, if there is room for it."""
        line = text.encode()
        if len(self._kept) + len(line) > MOST_KEPT_BYTES:
            self._dropped += 1
        else:
            self._kept += line

    def flush(self) -> None:
        """Write what can be written without waiting."""
        try:
            self._drain()
            if self._dropped and not self._kept:
                self._kept += _notice(self._dropped)
                self._dropped = 0
                self._drain()
        except OSError:  # nobody reads it any more
            self._kept.clear()

    def _drain(self) -> None:
        # A pipe that polls writable takes so many bytes at once.
        while self._kept and self._poll.poll(0):
            written = posix.write(self._fileno, self._kept[: select.PIPE_BUF])
            del self._kept[:written]


class _Nowhere:
    """For a process that was started without standard output."""

    def write(self, text: str, /) -> None:
        """Take a line to nowhere."""

    def flush(self) -> None:
        """There is nothing to pass on."""


def standard_output() -> Output | _Nowhere:
    """This process's; its descriptor's number may be another file's by now."""
    return _Nowhere() if sys.stdout is None else Output(sys.stdout.fileno())


def _notice(dropped: int) -> bytes:
    line = b'{"level":"WARNING","message":"log lines were dropped","count":%d}\n'
    return line % dropped
