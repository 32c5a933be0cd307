"""Threads for what blocks."""

from __future__ import annotations

import io
import threading

import pytest

from extension.workers import Workers
from rotaware.log import Logger
from tests.support.clock import ManualClock
from tests.support.processes import wait_until

PATIENCE_SECONDS = 10.0


class Bench:
    """Workers, and jobs that meet at a gate."""

    def __init__(self, max_threads: int) -> None:
        self.output = io.StringIO()
        log = Logger(
            service="test", level="INFO", stream=self.output, clock=ManualClock()
        )
        self.workers = Workers(max_threads, log)
        self.gate = threading.Event()
        self.running = threading.Semaphore(0)
        self.done = threading.Semaphore(0)
        self.threads: set[int] = set()

    def submit(self) -> None:
        """A job that runs until the gate opens."""

        def job() -> None:
            self.threads.add(threading.get_ident())
            self.running.release()
            assert self.gate.wait(PATIENCE_SECONDS)
            self.done.release()

        self.workers.submit(job)

    def expect(self, count: int, event: threading.Semaphore) -> None:
        """Wait for that many, and see that no more have come."""
        for _ in range(count):
            assert event.acquire(timeout=PATIENCE_SECONDS)
        assert not event.acquire(blocking=False)


def test_jobs_run_side_by_side_up_to_the_bound() -> None:
    """As many jobs run as there may be threads; the others wait their turn."""
    bench = Bench(3)
    for _ in range(5):
        bench.submit()
    bench.expect(3, bench.running)
    bench.gate.set()
    bench.expect(5, bench.done)

    assert 3 == len(bench.threads)


def test_threads_are_started_when_they_are_needed() -> None:
    """One job after the other needs but one thread."""
    bench = Bench(3)
    bench.gate.set()

    assert 0 == bench.workers._threads

    for _ in range(5):
        bench.submit()
        bench.expect(1, bench.done)
        wait_until(lambda: bench.workers._outstanding == 0, "the end of the job")

    assert 1 == bench.workers._threads


def test_a_job_that_raises_is_logged_and_its_thread_goes_on() -> None:
    """A broken job costs nothing but itself."""
    bench = Bench(1)

    def broken() -> None:
        raise ValueError("broken job")

    bench.workers.submit(broken)
    bench.gate.set()
    bench.submit()
    bench.expect(1, bench.done)

    assert "broken job" in bench.output.getvalue()
    assert 1 == bench.workers._threads


def test_a_thread_that_cannot_be_started_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The job is not taken then, and the next one gets its thread."""

    def cannot_start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    bench = Bench(1)
    bench.gate.set()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        with pytest.raises(RuntimeError):
            bench.submit()
    bench.submit()
    bench.expect(1, bench.done)


def test_without_another_thread_those_that_are_busy_do_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job waits for one of them, and the next one tries again to get its own."""

    def cannot_start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    bench = Bench(3)
    bench.submit()
    bench.expect(1, bench.running)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        bench.submit()
    bench.submit()
    bench.expect(1, bench.running)
    bench.gate.set()
    bench.expect(3, bench.done)

    assert 2 == len(bench.threads)
