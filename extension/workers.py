"""A few threads for what blocks, started when they are first needed."""

from __future__ import annotations

from _queue import SimpleQueue
from threading import Lock, Thread

from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotaware.log import Logger


class Workers:
    """Runs jobs, at most ``max_threads`` at a time.

    Args:
        max_threads: Threads are started up to this number, and then kept.
        log: Told about a job that raises; its thread goes on.
    """

    def __init__(self, max_threads: int, log: Logger) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = Lock()
        self._max_threads = max_threads
        self._log = log
        self._threads = 0
        self._outstanding = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job soon. Returns at once.

        Raises:
            RuntimeError: There is no thread for it, and none can be started.
        """
        with self._lock:
            if self._threads < min(self._outstanding + 1, self._max_threads):
                self._start_another()
            self._outstanding += 1
        self._jobs.put(job)

    def _start_another(self) -> None:
        try:
            Thread(target=self._work, name="rotaware-worker", daemon=True).start()
        except RuntimeError:
            if self._threads == 0:
                raise
            return  # one of those that are busy will come to the job
        self._threads += 1

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get()
                try:
                    job()
                finally:
                    with self._lock:
                        self._outstanding -= 1
            except Exception as fault:  # noqa: BLE001, PERF203  nobody above sees it
                self._log.error("a job failed", exception=fault)
