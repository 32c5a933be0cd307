"""Age is what the two clocks agree on at least, and text is AWS's text."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware.clock import Deadline, Instant, SystemClock, age_seconds, iso8601
from tests.support.clock import ManualClock

SECONDS = st.floats(0, 1e6)
START = Instant(1_000.0, 50.0)


@pytest.mark.parametrize(
    ("now", "age"),
    [
        (START, 0.0),
        (Instant(1_010.0, 60.0), 10.0),
        (Instant(1_010.0, 50.0), 10.0),  # frozen: the monotonic clock stood
        (Instant(1_000.0, 60.0), 10.0),  # the wall clock stood
        (Instant(1_003.0, 60.0), 10.0),  # the wall clock was set back in between
        (Instant(1_010.0, 0.0), 10.0),  # restored: the monotonic clock began anew
        (Instant(999.9, 60.0), float("inf")),
    ],
)
def test_age_is_the_larger_of_both_clocks(now: Instant, age: float) -> None:
    """A clock that stood or began anew makes nothing young; one set back, all old."""
    assert age == age_seconds(START, now)


@given(wall=SECONDS, monotonic=SECONDS)
def test_nothing_is_younger_than_either_clock_says(
    wall: float, monotonic: float
) -> None:
    """Age is at least what each clock counted."""
    age = age_seconds(START, Instant(START.wall + wall, START.monotonic + monotonic))

    assert age >= wall - 1e-6
    assert age >= monotonic - 1e-6


def test_a_deadline_is_spent_by_all_steps_together() -> None:
    """What is left shrinks with the monotonic clock, down to nothing."""
    clock = ManualClock()
    deadline = Deadline(clock, 2.0)
    left = [deadline.remaining_seconds()]
    for _ in range(3):
        clock.tick(0.75)
        left.append(deadline.remaining_seconds())

    assert [2.0, 1.25, 0.5, 0.0] == left


def test_a_deadline_ignores_the_wall_clock() -> None:
    """A frozen environment has not worked on anything."""
    clock = ManualClock()
    deadline = Deadline(clock, 2.0)
    clock.freeze(60)

    assert deadline.remaining_seconds() == 2.0


def test_the_system_clock_goes_forward_on_both_clocks() -> None:
    """It is the machine's: now is after before, and a sleep takes time."""
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0.001)
    after = clock.now()

    assert after.monotonic >= before.monotonic + 0.001
    assert abs(after.wall - datetime.now(timezone.utc).timestamp()) < 60


@pytest.mark.parametrize(
    ("epoch_seconds", "text"),
    [
        (1668586960.499, "2022-11-16T08:22:40.499Z"),
        (1668587045.05, "2022-11-16T08:24:05.05Z"),
        (1668587045.5, "2022-11-16T08:24:05.5Z"),
        (1668587045, "2022-11-16T08:24:05Z"),
        (1668587044.9996, "2022-11-16T08:24:05Z"),
        (0, "1970-01-01T00:00:00Z"),
    ],
)
def test_dates_are_written_as_the_aws_extension_writes_them(
    epoch_seconds: float, text: str
) -> None:
    """Milliseconds, UTC, and no zero at the end of the fraction."""
    assert text == iso8601(epoch_seconds)


@given(milliseconds=st.integers(0, 4_102_444_800_000))
def test_a_date_can_be_read_back(milliseconds: int) -> None:
    """No millisecond is lost."""
    text = iso8601(milliseconds / 1000)
    whole, _, fraction = text.removesuffix("Z").partition(".")
    date = datetime.fromisoformat(whole + "+00:00")
    date += timedelta(milliseconds=int(fraction.ljust(3, "0")))

    assert milliseconds == round(date.timestamp() * 1000)
