"""How often to look at the stamp sheet. Decides only: no lock, no thread, no clock.

Rule 1. A read or an INVOKE event is content with a check that began recently enough:
        within the interval; with interval 0, since this invocation began. Once the
        extension has gone back to ``/event/next``, a read may be the first sign of the
        next invocation, so then only a check that began after the read arrived will do.
Rule 2. Which of two things came first is told by numbering the checks: clocks are for
        the interval alone.
Rule 3. A throttled check says that all who share the quota want more than there is. So
        the interval grows fast, up to a quarter of an hour, and comes back slowly, but
        the faster the longer it is: thus many environments come to have about the same.
        ``benchmarks/scale`` chose the figures.
Rule 4. However long the interval has grown, a throttled check is made again within five
        minutes, so that nobody goes without for long.
Rule 5. Being throttled once or twice may be chance: it is forgiven within minutes, but
        not again before a while without.
Rule 6. A check that fails otherwise doubles the interval, up to a minute.
Rule 7. Jitter only ever shortens an interval, so that environments drift apart; most of
        all those that were throttled together.
"""

from __future__ import annotations

from rotaware.clock import age_seconds
from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotaware.clock import Instant

CHECK_SECONDS = 5.0
"""How long a check may take. Reads wait for a part of that only."""

FOUND = "found"
THROTTLED = "throttled"
FAILED = "failed"

_FIRST_BACK_OFF_SECONDS = 1.0
_FAILED_GROWTH = 2.0
_FAILED_LONGEST_SECONDS = 60.0


class Shape(NamedTuple):
    """How the interval follows throttling.

    Attributes:
        jitter: By which share of it each interval is shortened at most.
        growth: By what a throttled check multiplies it.
        first_growth: By what it does as long as no check ever got through: then many
            environments start at once, and the first of them have taken all there is.
        first_longest_seconds: What that takes it to at most, by the first such check,
            by the second, and so on; a growth by ``growth`` is always allowed.
        longest_seconds: What it grows to.
        longest_retry_seconds: How soon a throttled check is made again at the latest.
        retry_jitter: By which share of it the time until then is shortened at most.
        forgiven: How many throttled checks are.
        forgiving: By which share a successful check then shortens the interval.
        calm_checks: After how many successful ones at the interval that was set, all in
            a row, the throttled ones before them count no more.
        recovery: By which share of what is left a successful check shortens the
            interval when more are not forgiven.
        recovery_seconds: An interval as long as this is halved by it, and a shorter one
            shortened by less.
    """

    jitter: float = 0.2
    growth: float = 2.0
    first_growth: float = 9.0
    first_longest_seconds: tuple[float, ...] = (45.0, 300.0)
    longest_seconds: float = 900.0
    longest_retry_seconds: float = 300.0
    retry_jitter: float = 0.5
    forgiven: int = 2
    forgiving: float = 0.25
    calm_checks: int = 60
    recovery: float = 0.01
    recovery_seconds: float = 10_000.0

    def longer(self, seconds: float) -> float:
        """What an interval grows to by a throttled check."""
        return min(self.longest_seconds, seconds * self.growth)

    def first_longer(self, seconds: float, throttled: int) -> float:
        """What it grows to if so many were throttled, and none got through."""
        longest = [*self.first_longest_seconds, self.longest_seconds]
        longest_seconds = longest[min(throttled, len(longest)) - 1]
        first = min(longest_seconds, seconds * self.first_growth)
        return max(self.longer(seconds), first)

    def shorter(self, seconds: float, throttled: int) -> float:
        """What it comes back to by a successful one, after so many throttled ones."""
        if throttled <= self.forgiven:
            return seconds * (1.0 - self.forgiving)
        return seconds / (1.0 + self.recovery + seconds / self.recovery_seconds)


SHAPE = Shape()


class Pace:
    """When the checks of one environment are due. The caller locks.

    Args:
        interval_seconds: How old a check may be; 0 for one in each invocation.
        random: Uniform in [0, 1), for jitter.
        shape: How the interval follows what becomes of the checks.

    Attributes:
        begun: How many checks have begun; the number of the latest.
        last_began: When the latest began that is done; None before that.
    """

    __slots__ = (
        "_back_off_seconds",
        "_began_at",
        "_begun_before_invocation",
        "_calm_checks",
        "_current_interval_seconds",
        "_finished",
        "_got_through",
        "_interval_seconds",
        "_random",
        "_shape",
        "_throttled",
        "_was_throttled",
        "begun",
        "last_began",
    )

    def __init__(
        self,
        interval_seconds: float,
        random: Callable[[], float],
        shape: Shape = SHAPE,
    ) -> None:
        self._interval_seconds = interval_seconds
        self._random = random
        self._shape = shape
        self._finished = 0
        self._begun_before_invocation: int | None = None
        self._began_at: Instant | None = None
        self.last_began: Instant | None = None
        self._got_through = False
        self._back_off_seconds = 0.0
        # Whether it was is forgotten when the interval is back; how often, much later.
        self._was_throttled = False
        self._throttled = 0
        self._calm_checks = 0
        self._current_interval_seconds = self._jittered(interval_seconds)
        self.begun = 0

    def invocation_began(self) -> None:
        """An INVOKE event arrived."""
        self._begun_before_invocation = self.begun

    def invocation_ended(self) -> None:
        """The extension goes back to waiting for the next event."""
        self._begun_before_invocation = None

    def is_recent_enough(self, begun_before: int, arrived: Instant) -> bool:
        """Whether a check that is done will do for a read.

        Args:
            begun_before: How many checks had begun when the read arrived.
            arrived: When that was.
        """
        if self._finished > begun_before:
            return True
        if self._current_interval_seconds == 0.0:
            return self._is_checked_in_invocation()
        return self._fresh_seconds(arrived) > 0.0

    def seconds_until_due(self, now: Instant) -> float:
        """For how long a read need not ask; 0 when it must."""
        if self._current_interval_seconds == 0.0:
            return float("inf") if self._is_checked_in_invocation() else 0.0
        return self._fresh_seconds(now)

    def is_running(self, now: Instant) -> bool:
        """Whether a check is under way that may still land.

        One that was frozen with the environment may wait for an answer in vain.
        """
        if self._began_at is None or self._finished == self.begun:
            return False
        return age_seconds(self._began_at, now) < CHECK_SECONDS

    def begin(self, now: Instant) -> int:
        """A check begins; its number."""
        self.begun += 1
        self._began_at = now
        return self.begun

    def land(self, number: int, began_at: Instant, outcome: str) -> None:
        """A check is done: it was FOUND, THROTTLED or FAILED otherwise.

        One that lands after a later one counts no more.
        """
        if number <= self._finished:
            return
        self._finished = number
        self.last_began = began_at
        if outcome == FOUND:
            self._back_off_seconds = self._after_success()
        elif outcome == THROTTLED:
            self._back_off_seconds = self._after_throttling()
        else:
            self._back_off_seconds = self._after_failure()
        self._got_through |= outcome != THROTTLED
        if outcome == THROTTLED:
            self._current_interval_seconds = self._until_retry_seconds()
        else:
            seconds = self._back_off_seconds or self._interval_seconds
            self._current_interval_seconds = self._jittered(seconds)

    def _until_retry_seconds(self) -> float:
        soon = min(self._back_off_seconds, self._shape.longest_retry_seconds)
        seconds = max(self._interval_seconds, soon)
        return seconds * (1.0 - self._shape.retry_jitter * self._random())

    def _after_throttling(self) -> float:
        self._was_throttled = True
        self._throttled += 1
        self._calm_checks = 0
        current = self._back_off_seconds or self._interval_seconds
        if self._got_through:
            longer = self._shape.longer(current)
        else:
            longer = self._shape.first_longer(current, self._throttled)
        return max(_FIRST_BACK_OFF_SECONDS, current, longer)

    def _after_failure(self) -> float:
        current = self._back_off_seconds or self._interval_seconds
        longer = max(_FIRST_BACK_OFF_SECONDS, current * _FAILED_GROWTH)
        if longer <= _FAILED_LONGEST_SECONDS:
            return longer
        # Where throttling had brought it further, it comes back: this was an answer.
        return max(
            _FAILED_LONGEST_SECONDS,
            self._interval_seconds,
            self._shape.shorter(current, self._throttled),
        )

    def _after_success(self) -> float:
        current = self._back_off_seconds
        if self._was_throttled:
            shorter = self._shape.shorter(current, self._throttled)
        else:
            shorter = current / _FAILED_GROWTH
        if shorter > self._interval_seconds and shorter >= _FIRST_BACK_OFF_SECONDS:
            return shorter
        self._was_throttled = False
        self._calm_checks += 1
        if self._calm_checks >= self._shape.calm_checks:
            self._throttled = 0
        return 0.0

    def _is_checked_in_invocation(self) -> bool:
        before = self._begun_before_invocation
        return before is not None and self._finished > before

    def _fresh_seconds(self, now: Instant) -> float:
        """For how long the last check will do, by the interval."""
        if self.last_began is None:
            return 0.0
        age = age_seconds(self.last_began, now)
        return max(0.0, self._current_interval_seconds - age)

    def _jittered(self, seconds: float) -> float:
        return seconds * (1.0 - self._shape.jitter * self._random())
