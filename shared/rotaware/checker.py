"""Looking at the stamp sheet, as ``pace`` says.

At most one check at a time, in a thread of its own; INVOKE events and reads that it is
for wait for it, but not for long. What fails, fails open: reads go on by TTL, the pace
slackens, and it is said once.
"""

from __future__ import annotations

from threading import Condition, Lock, Thread

from rotaware.clock import Deadline
from rotaware.errors import AwsError, AwsThrottledError, SheetError
from rotaware.lean import TYPE_CHECKING
from rotaware.pace import CHECK_SECONDS, FAILED, FOUND, THROTTLED, Pace
from rotaware.sheet import UNWRITTEN
from rotaware.tally import (
    CHECK_LATENCY,
    CHECKS,
    CHECKS_FAILED,
    CHECKS_THROTTLED,
    Tally,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotaware.clock import Clock, Instant
    from rotaware.log import Log
    from rotaware.sheet import Edition
    from rotaware.stamps import SheetHome


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
        tally: Counts checks, and how long they take.

    Attributes:
        state: ``found``, or what the last check failed with; ``unknown`` before it.
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
        log: Log,
        tally: Tally | None = None,
    ) -> None:
        self._home = home
        self._apply = apply
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._log = log
        self._done = Condition()
        self._applying = Lock()
        self._pace = Pace(interval_seconds, random)
        self._tally = tally or Tally()
        self.state = "unknown"
        self.epoch = 0
        self.failed_checks = 0
        self.waits_given_up = 0

    def invocation_began(self) -> None:
        """An INVOKE event arrived."""
        with self._done:
            self._pace.invocation_began()
            self.epoch += 1
        self.ensure_checked()

    def invocation_ended(self) -> None:
        """The extension goes back to waiting for the next event."""
        with self._done:
            self._pace.invocation_ended()
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
            begun_before, arrived = self._pace.begun, self._clock.now()
            while not self._pace.is_recent_enough(begun_before, arrived):
                if not self._pace.is_running(self._clock.now()):
                    self._begin(self._home)
                elif not self._done.wait(deadline.remaining_seconds()):
                    self.waits_given_up += 1
                    return

    def begin(self) -> None:
        """Begin the first check, and do not wait for it."""
        if self._home is not None:
            with self._done:
                self._begin(self._home)

    def seconds_until_due(self) -> float:
        """For how long a read need not ask; 0 when it must."""
        if self._home is None:
            return float("inf")
        with self._done:
            return self._pace.seconds_until_due(self._clock.now())

    def last_began(self) -> Instant | None:
        """When the last check began that is done; None before that."""
        with self._done:
            return self._pace.last_began

    def _begin(self, home: SheetHome) -> None:
        """Start a check. The caller holds the lock.

        It has a thread and a time of its own: who waits may give up before it lands,
        and what it brings counts all the same.
        """
        began_at = self._clock.now()
        number = self._pace.begin(began_at)
        self.epoch += 1
        check = Thread(target=self._check, args=(home, number, began_at), daemon=True)
        try:
            check.start()
        except RuntimeError as fault:  # the environment has no thread left
            reason = "no thread can be started for a check"
            self._failed(number, "broken", reason, fault)
            self._land(number, began_at, FAILED)

    def _check(self, home: SheetHome, number: int, began_at: Instant) -> None:
        outcome = FAILED
        try:
            outcome = self._read(home, number)
        finally:
            self._land(number, began_at, outcome)

    def _land(self, number: int, began_at: Instant, outcome: str) -> None:
        """Count a check as done, and wake who waits for it."""
        with self._done:
            self._count(began_at, outcome)
            self._pace.land(number, began_at, outcome)
            self._done.notify_all()

    def _count(self, began_at: Instant, outcome: str) -> None:
        self._tally.count(CHECKS)
        if outcome != FOUND:
            throttled = outcome == THROTTLED
            self._tally.count(CHECKS_THROTTLED if throttled else CHECKS_FAILED)
        took_seconds = self._clock.now().monotonic - began_at.monotonic
        self._tally.measure(CHECK_LATENCY, took_seconds)

    def _read(self, home: SheetHome, number: int) -> str:
        """Read the sheet and pass it on; what became of it."""
        try:
            edition = home.read(timeout_seconds=CHECK_SECONDS)
            with self._applying:  # a later check must not come in between
                if number == self._pace.begun:  # else given up: that one knows better
                    self._apply(edition or UNWRITTEN)
            if edition is None:
                self._failed(number, "absent", "no sheet: is the invalidator deployed?")
                return FAILED
        except SheetError as fault:
            self._failed(number, "unusable", fault.message)
            return FAILED
        except AwsError as refusal:
            self._failed(number, refusal.code, refusal.message)
            return THROTTLED if isinstance(refusal, AwsThrottledError) else FAILED
        except Exception as fault:  # noqa: BLE001  no read may fail because of a check
            self._failed(number, "broken", "an unforeseen error", fault)
            return FAILED
        if self._becomes(number, "found"):
            self._log.info("checking the stamp sheet")
        return FOUND

    def _failed(
        self,
        number: int,
        state: str,
        reason: str,
        exception: Exception | None = None,
    ) -> None:
        """Count it, and say it if it is new."""
        self.failed_checks += 1
        if self._becomes(number, state):
            self._log.warning(
                "cached values are bounded by their TTL alone",
                sheet=state,
                reason=reason,
                exception=exception,
            )

    def _becomes(self, number: int, state: str) -> bool:
        """Whether the state changes by this check; what is given up changes nothing."""
        changed = number == self._pace.begun and state != self.state
        if changed:
            self.state = state
        return changed
