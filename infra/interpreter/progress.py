"""What a long step shows: a moving line, or a line now and then where none can move."""

from __future__ import annotations

import sys
import time

_TERMINAL_SECONDS = 0.5
_LOG_SECONDS = 20.0


class Progress:
    """One step, from when it is made until it is done."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._started_at = self._shown_at = time.monotonic()
        self._moving = sys.stdout.isatty()

    def show(self, detail: str = "") -> None:
        """Say how far the step is, if it is time to say so."""
        now = time.monotonic()
        pause = _TERMINAL_SECONDS if self._moving else _LOG_SECONDS
        if now - self._shown_at >= pause:
            self._shown_at = now
            self._write(f"{detail} " if detail else "", "\r" if self._moving else "\n")

    def done(self) -> None:
        """Say how long it took."""
        self._write("done, ", "\n")

    def _write(self, detail: str, end: str) -> None:
        seconds = time.monotonic() - self._started_at
        print(f"  {self._label}: {detail}{seconds:.0f} s", end=end, flush=True)
