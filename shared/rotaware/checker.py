"""When to look at the stamp sheet.

One rule: a read or an INVOKE event is content with a check that began recently enough;
else it makes one, or waits for the one under way. Recently enough means within the
interval; with interval 0, since this invocation began. Once the extension has gone back
to ``/event/next``, a read may be the first sign of the next invocation, so then only a
check that began after the read arrived will do.

What fails, fails open: reads go on by TTL, the interval doubles, and it is said once.
"""

from __future__ import annotations

from threading import Condition
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
        self._running = False
        self._last_began: Instant | None = None
        self._invocation_began: Instant | None = None
        self._back_off_seconds = 0.0
        self._current_interval_seconds = self._jittered(interval_seconds)
        self._state = "unknown"
        self.epoch = 0
        """Grows whenever what ``seconds_until_due`` said before may be wrong."""
        self.checks = 0
        self.failed_checks = 0
        self.waits_given_up = 0

    def invocation_began(self) -> None:
        """An INVOKE event arrived."""
        with self._done:
            self._invocation_began = self._clock.now()
            self.epoch += 1
        self.ensure_checked()

    def invocation_ended(self) -> None:
        """The extension goes back to waiting for the next event."""
        with self._done:
            self._invocation_began = None
            self.epoch += 1

    def ensure_checked(self) -> None:
        """Return once a recent enough check is done, or the time-out is over."""
        if self._home is None:
            return
        arrived = self._clock.now()
        deadline = Deadline(self._clock, self._timeout_seconds)
        with self._done:
            while self._running:
                if self._is_content(arrived):
                    return
                if not self._done.wait(deadline.remaining_seconds()):
                    self.waits_given_up += 1
                    return
            if self._is_content(arrived):
                return
            self._running = True
            began = self._clock.now()
        try:
            self._check(self._home)
        finally:
            with self._done:
                self._running = False
                self._last_began = began
                self._done.notify_all()

    def seconds_until_due(self) -> float:
        """For how long a read need not ask; 0 when it must."""
        if self._home is None:
            return float("inf")
        with self._done:
            last, now = self._last_began, self._clock.now()
            if last is None:
                return 0.0
            limit = self._current_interval_seconds
            if limit == 0.0:
                return float("inf") if self._is_content(now) else 0.0
            return max(0.0, limit - age_seconds(last, now))

    def _is_content(self, arrived: Instant) -> bool:
        """Whether the last check began recently enough for a read."""
        last = self._last_began
        if last is None:
            return False
        if self._current_interval_seconds:
            return age_seconds(last, arrived) < self._current_interval_seconds
        needed = self._invocation_began or arrived
        return last.wall >= needed.wall and last.monotonic >= needed.monotonic

    def _check(self, home: SheetHome) -> None:
        self.checks += 1
        try:
            edition = home.read(timeout_seconds=self._timeout_seconds)
        except SheetError as fault:
            self._failed("unusable", fault.message)
        except AwsError as refusal:
            self._failed(refusal.code, refusal.message)
        else:
            if edition is None:
                self._failed("absent", "no stamp sheet: is the invalidator deployed?")
            else:
                self._succeeded(edition)

    def _succeeded(self, edition: Edition) -> None:
        self._apply(edition)
        self._become("found", "checking the stamp sheet")
        slower = self._back_off_seconds / 2
        self._back_off(0.0 if slower <= self._interval_seconds else slower)

    def _failed(self, state: str, reason: str) -> None:
        self.failed_checks += 1
        self._become(state, "cached values are bounded by their TTL alone", reason)
        current = self._back_off_seconds or self._interval_seconds
        longer = max(_FIRST_BACK_OFF_SECONDS, current * 2)
        self._back_off(min(LONGEST_INTERVAL_SECONDS, longer))

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

    def _become(self, state: str, message: str, reason: str | None = None) -> None:
        if state == self._state:
            return
        self._state = state
        if reason is None:
            self._log.info(message)
        else:
            self._log.warning(message, sheet=state, reason=reason)
