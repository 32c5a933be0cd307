"""A few threads for what blocks, started when they are first needed."""

from __future__ import annotations

from _queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Workers:
    """Runs jobs, at most ``max_threads`` at a time. Jobs must not raise.

    Args:
        max_threads: Threads are started up to this number, and then kept.
    """

    def __init__(self, max_threads: int) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = Lock()
        self._max_threads = max_threads
        self._threads = 0
        self._outstanding = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job soon. Returns at once."""
        with self._lock:
            self._outstanding += 1
            start = self._threads < min(self._outstanding, self._max_threads)
            self._threads += start
        self._jobs.put(job)
        if start:
            Thread(target=self._work, daemon=True, name="rotaware-worker").start()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            job()
            with self._lock:
                self._outstanding -= 1
