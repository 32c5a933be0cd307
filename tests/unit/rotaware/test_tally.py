"""What was counted is told whole, whoever counts, and the latest once."""

from __future__ import annotations

from threading import Barrier, Thread

from rotaware.tally import CHECKS, FETCHES, MOST_KEPT, Tally


def test_what_happens_is_counted() -> None:
    """Once, or as often as is said; what never happened is not mentioned."""
    tally = Tally()

    assert {} == tally.counts()

    tally.count(CHECKS)
    tally.count(CHECKS, 2)
    tally.count(FETCHES)

    assert {"Checks": 3, "Fetches": 1} == tally.counts()


def test_counts_are_a_copy() -> None:
    """What was told does not change later."""
    tally = Tally()
    tally.count(CHECKS)
    told = tally.counts()
    tally.count(CHECKS)

    assert {"Checks": 1} == told


def test_what_is_measured_adds_up() -> None:
    """Number, sum and maximum are of all, whoever has taken the latest meanwhile."""
    tally = Tally()
    for seconds in (0.5, 2.0):
        tally.measure("CheckLatency", seconds)

    assert {"CheckLatency": [0.5, 2.0]} == tally.take_latest()

    tally.measure("CheckLatency", 1.0)
    measured = tally.measured()["CheckLatency"]

    assert (3, 3.5, 2.0) == measured[:3]
    assert {"CheckLatency": [1.0]} == tally.take_latest()
    assert {} == tally.take_latest()


def test_only_the_latest_are_kept() -> None:
    """Memory is bounded; the sum still knows all."""
    tally = Tally()
    for seconds in range(MOST_KEPT + 5):
        tally.measure("CheckLatency", float(seconds))
    (latest,) = tally.take_latest().values()

    assert [float(seconds) for seconds in range(5, MOST_KEPT + 5)] == latest
    assert MOST_KEPT + 5 == tally.measured()["CheckLatency"].times


def test_threads_lose_no_count() -> None:
    """Counting is one step, however many threads do it."""
    tally = Tally()
    together = Barrier(4)

    def work() -> None:
        together.wait(10)
        for _ in range(2000):
            tally.count(CHECKS)
            tally.measure("CheckLatency", 1.0)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert {"Checks": 8000} == tally.counts()
    assert 8000 == tally.measured()["CheckLatency"].times
