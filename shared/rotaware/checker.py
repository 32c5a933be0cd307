"""When to look at the stamp sheet.

One rule: a read or an INVOKE event is content with a check that began recently enough;
else it makes one, or waits for the one under way. Recently enough means within the
interval; with interval 0, since this invocation began. Once the extension has gone back
to ``/event/next``, a read may be the first sign of the next invocation, so then only a
check that began after the read arrived will do. Which of two things came first is told
by numbering the checks: clocks are for the interval alone.

What fails, fails open: reads go on by TTL, the interval doubles, and it is said once.
"""

from __future__ import annotations

from threading import Condition, Thread
from typing import TYPE_CHECKING

from rotaware.clock import Deadline, age_seconds
from rotaware.errors import AwsError, SheetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotaware.clock import Clock, Instant
    from rotaware.log import Logger
    from rotaware.sheet import Edition
    from rotaware.stamps import SheetHome

LONGEST_INTERVAL_SECONDS = 60.0

CHECK_SECONDS = 5.0
"""How long a check may take. Reads wait for a part of that only."""

_FIRST_BACK_OFF_SECONDS = 1.0
_JITTER = 0.2


class Checker:
    """Checks the sheet, at most one check at a time.

    Args:
        home: Where the sheet is; None when stamps are off.
        apply: Told each edition that was read, before any read goes on.
        interval_seconds: How old a check may be; 0 for one in each invocation.
        timeout_seconds: How long a read waits for a check.
        clock: Time.
        random: Uniform in [0, 1), for jitter.
        log: Told when the sheet's state changes.

    Attributes:
        epoch: Grows whenever what ``seconds_until_due`` said before may be wrong.
        failed_checks: How many checks brought no sheet, or none of use.
        waits_given_up: How many reads went on while the check that they waited for was
            still under way.
    """

    def __init__(  # noqa: PLR0913  all of them are independent
        self,
        home: SheetHome | None,
        apply: Callable[[Edition], None],
        *,
        interval_seconds: float,
        timeout_seconds: float,
        clock: Clock,
        random: Callable[[], float],
        log: Logger,
    ) -> None:
        self._home = home
        self._apply = apply
        self._interval_seconds = interval_seconds
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._random = random
        self._log = log
        self._done = Condition()
        self._begun = 0
        self._finished = 0
        self._begun_before_invocation: int | None = None
        self._began_at = clock.now()
        self._last_began: Instant | None = None
        self._back_off_seconds = 0.0
        self._current_interval_seconds = self._jittered(interval_seconds)
        self._state = "unknown"
        self.epoch = 0
        self.failed_checks = 0
        self.waits_given_up = 0

    def invocation_began(self) -> None:
        """An INVOKE event arrived."""
        with self._done:
            self._begun_before_invocation = self._begun
            self.epoch += 1
        self.ensure_checked()

    def invocation_ended(self) -> None:
        """The extension goes back to waiting for the next event."""
        with self._done:
            self._begun_before_invocation = None
            self.epoch += 1

    def ensure_checked(self, timeout_seconds: float | None = None) -> None:
        """Return once a recent enough check is done, or the time-out is over.

        Args:
            timeout_seconds: Instead of the usual one, for a caller with more time.
        """
        if self._home is None:
            return
        if timeout_seconds is None:
            timeout_seconds = self._timeout_seconds
        deadline = Deadline(self._clock, timeout_seconds)
        with self._done:
            # Under the lock, so that a check under way surely began before.
            begun_before, arrived = self._begun, self._clock.now()
            while not self._is_recent_enough(begun_before, arrived):
                if not self._is_running():
                    self._begin(self._home)
                elif not self._done.wait(deadline.remaining_seconds()):
                    self.waits_given_up += 1
                    return

    def seconds_until_due(self) -> float:
        """For how long a read need not ask; 0 when it must."""
        if self._home is None:
            return float("inf")
        with self._done:
            if self._current_interval_seconds == 0.0:
                return float("inf") if self._is_checked_in_invocation() else 0.0
            return self._fresh_seconds(self._clock.now())

    def _is_recent_enough(self, begun_before: int, arrived: Instant) -> bool:
        """Whether a check that is done will do for a read. The caller holds the lock.

        Args:
            begun_before: How many checks had begun when the read arrived.
            arrived: When that was.
        """
        if self._finished > begun_before:
            return True
        if self._current_interval_seconds == 0.0:
            return self._is_checked_in_invocation()
        return self._fresh_seconds(arrived) > 0.0

    def _is_checked_in_invocation(self) -> bool:
        before = self._begun_before_invocation
        return before is not None and self._finished > before

    def _fresh_seconds(self, now: Instant) -> float:
        """For how long the last check will do, by the interval."""
        if self._last_began is None:
            return 0.0
        age = age_seconds(self._last_began, now)
        return max(0.0, self._current_interval_seconds - age)

    def _is_running(self) -> bool:
        """Whether a check is under way that may still land. The caller holds the lock.

        One that was frozen with the environment may wait for an answer in vain.
        """
        if self._finished == self._begun:
            return False
        age = age_seconds(self._began_at, self._clock.now())
        return age < CHECK_SECONDS

    def _begin(self, home: SheetHome) -> None:
        """Start a check. The caller holds the lock.

        It has a thread and a time of its own: who waits may give up before it lands,
        and what it brings counts all the same.
        """
        self._begun += 1
        self.epoch += 1
        self._began_at = self._clock.now()
        number, began_at = self._begun, self._began_at
        check = Thread(target=self._check, args=(home, number, began_at), daemon=True)
        try:
            check.start()
        except RuntimeError as fault:  # the environment has no thread left
            reason = "no thread can be started for a check"
            self._land(number, began_at, self._failed("broken", reason, fault))

    def _check(self, home: SheetHome, number: int, began_at: Instant) -> None:
        back_off_seconds = self._back_off_seconds
        try:
            back_off_seconds = self._read(home, number)
        finally:
            self._land(number, began_at, back_off_seconds)

    def _land(self, number: int, began_at: Instant, back_off_seconds: float) -> None:
        """Count a check as done, and wake who waits for it."""
        with self._done:
            if number > self._finished:
                self._finished = number
                self._last_began = began_at
                self._back_off(back_off_seconds)
            self._done.notify_all()

    def _read(self, home: SheetHome, number: int) -> float:
        """Read the sheet and pass it on; for how long to back off."""
        try:
            edition = home.read(timeout_seconds=CHECK_SECONDS)
            if edition is None:
                return self._failed("absent", "no sheet: is the invalidator deployed?")
            if number == self._begun:  # else given up: a later one knows better
                self._apply(edition)
        except SheetError as fault:
            return self._failed("unusable", fault.message)
        except AwsError as refusal:
            return self._failed(refusal.code, refusal.message)
        except Exception as fault:  # noqa: BLE001  no read may fail because of a check
            return self._failed("broken", "an unforeseen error", fault)
        if self._becomes("found"):
            self._log.info("checking the stamp sheet")
        slower = self._back_off_seconds / 2
        return 0.0 if slower <= self._interval_seconds else slower

    def _failed(
        self, state: str, reason: str, exception: Exception | None = None
    ) -> float:
        """Say it if it is new; for how long to back off."""
        self.failed_checks += 1
        if self._becomes(state):
            self._log.warning(
                "cached values are bounded by their TTL alone",
                sheet=state,
                reason=reason,
                exception=exception,
            )
        current = self._back_off_seconds or self._interval_seconds
        longer = max(_FIRST_BACK_OFF_SECONDS, current * 2)
        longest = max(LONGEST_INTERVAL_SECONDS, self._interval_seconds)
        return min(longest, longer)

    def _back_off(self, seconds: float) -> None:
        if 0.0 < seconds < _FIRST_BACK_OFF_SECONDS:
            seconds = 0.0
        self._back_off_seconds = seconds
        self._current_interval_seconds = self._jittered(
            seconds or self._interval_seconds
        )

    def _jittered(self, seconds: float) -> float:
        """Shorter by up to a fifth, so that environments drift apart."""
        return seconds * (1.0 - _JITTER * self._random())

    def _becomes(self, state: str) -> bool:
        """Whether the sheet's state changes by this."""
        changed = state != self._state
        self._state = state
        return changed
