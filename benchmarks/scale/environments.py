"""Execution environments, each with one secret.

The real ``pace`` says when they look at the sheet, the real ``sheet`` what that evicts.
Of all invocations only those are simulated at which something is due: a check, or a
fetch because the TTL is over. A check takes no time: it is a few milliseconds long, and
what is measured are seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotaware.clock import Instant
from rotaware.pace import FOUND, THROTTLED
from rotaware.sheet import missed, outdates, version_digest

if TYPE_CHECKING:
    from benchmarks.scale.account import Tally, TokenBucket
    from benchmarks.scale.arrivals import Arrivals
    from benchmarks.scale.sheets import SheetStore
    from benchmarks.scale.world import World
    from rotaware.pace import Pace
    from rotaware.sheet import Edition, Stamp

LONG_AGO = float("-inf")
NEVER = float("inf")


class Secret:
    """A secret of two versions; the second becomes current at ``rotated_at``."""

    __slots__ = ("_digests", "rotated_at", "subject", "versions")

    def __init__(self, number: int, rotated_at: float) -> None:
        self.subject = f"subject-{number}"
        self.versions = (f"{number}-old", f"{number}-new")
        self.rotated_at = rotated_at
        self._digests = tuple(map(version_digest, self.versions))

    def is_rotated(self, now: float) -> bool:
        """Whether its new version is the current one."""
        return now >= self.rotated_at

    def digest(self, now: float) -> str:
        """What a stamp of the version that is current now says."""
        return self._digests[self.is_rotated(now)]


class Shared:
    """What all environments of a simulation have in common.

    Attributes:
        checks: All checks that were sent.
        fetches: All calls to Secrets Manager.
        measured_from: Since when it is measured how old a granted check becomes.
    """

    def __init__(  # noqa: PLR0913  each is a part of the world
        self,
        world: World,
        quota: TokenBucket,
        sheets: SheetStore,
        *,
        checks: Tally,
        fetches: Tally,
        ttl_seconds: float,
        measured_from: float,
    ) -> None:
        self.world = world
        self.quota = quota
        self.sheets = sheets
        self.checks = checks
        self.fetches = fetches
        self.ttl_seconds = ttl_seconds
        self.measured_from = measured_from


class Environment:
    """One execution environment with one cached secret.

    Args:
        shared: What it has in common with others.
        arrivals: Its invocations.
        pace: When its checks are due; None where there are only TTLs.
        secret: What it reads in each invocation.

    Attributes:
        was_invoked: Whether it was, after its secret was rotated.
        has_looked: Whether a check of it was ever granted.
    """

    __slots__ = (
        "_arrivals",
        "_digest",
        "_due_at",
        "_expires_at",
        "_invoked_at",
        "_looked_at",
        "_oldest_seconds",
        "_pace",
        "_remembered",
        "_secret",
        "_seen",
        "_served_old_at",
        "_shared",
        "has_looked",
        "was_invoked",
    )

    def __init__(
        self, shared: Shared, arrivals: Arrivals, pace: Pace | None, secret: Secret
    ) -> None:
        self._shared = shared
        self._arrivals = arrivals
        self._pace = pace
        self._secret = secret
        self._seen: Edition | None = None
        self._remembered: Stamp | None = None
        self._digest = ""
        self._due_at = NEVER
        self._expires_at = 0.0
        self._invoked_at = self._served_old_at = LONG_AGO
        self._looked_at: float | None = None
        self._oldest_seconds = 0.0
        self.was_invoked = self.has_looked = False

    @property
    def stale_seconds(self) -> float:
        """For how long after the rotation its invocations read the old version."""
        return max(0.0, self._served_old_at - self._secret.rotated_at)

    def oldest_look_seconds(self, now: float) -> float:
        """How old the last granted check was at most, when an invocation began.

        Where none is granted yet: how long ago the first one was wanted.
        """
        self._note_age(now)
        return self._oldest_seconds

    def is_stale(self, now: float) -> bool:
        """Whether it holds the old version of a secret that was rotated."""
        secret = self._secret
        return secret.is_rotated(now) and self._digest != secret.digest(now)

    def invoke(self, now: float) -> None:
        """An invocation: the first one, or the first after something was due."""
        self._look_back(now)
        if now >= self._expires_at:
            self._fetch(now)
        if self._pace is not None:
            self._look(self._pace, now)
        if self._secret.is_rotated(now):
            self.was_invoked = True
            if self.is_stale(now):
                self._served_old_at = now
        self._invoked_at = now
        due_at = min(self._due_at, self._expires_at)
        self._shared.world.at(self._arrivals.after(due_at), self.invoke)

    def _look_back(self, now: float) -> None:
        """What the invocations before this one have read, while nothing was due."""
        if self.is_stale(now):
            before = self._arrivals.before(min(self._due_at, self._expires_at))
            if before > max(self._invoked_at, self._secret.rotated_at):
                self._served_old_at = before

    def _look(self, pace: Pace, now: float) -> None:
        instant = Instant(now, now)
        pace.invocation_began()
        if not pace.is_recent_enough(pace.begun, instant):
            self._check(pace, instant)
        pace.invocation_ended()
        self._due_at = now + pace.seconds_until_due(instant)

    def _check(self, pace: Pace, instant: Instant) -> None:
        now, shared = instant.monotonic, self._shared
        number = pace.begin(instant)
        granted = shared.quota.take(now)
        shared.checks.add(now, granted=granted)
        pace.land(number, instant, FOUND if granted else THROTTLED)
        self._note_age(now)
        if granted:
            self._looked_at = now
            self.has_looked = True
            self._apply(shared.sheets.edition, now)

    def _note_age(self, now: float) -> None:
        """How old the last granted check was, when the last invocation began."""
        if self._looked_at is None:
            self._looked_at = now
        if now >= self._shared.measured_from:
            latest = self._arrivals.before(min(now, self._due_at, self._expires_at))
            age = max(latest, self._invoked_at) - self._looked_at
            self._oldest_seconds = max(self._oldest_seconds, age)

    def _apply(self, edition: Edition, now: float) -> None:
        seen = self._seen
        if edition is seen:
            return
        self._seen = edition
        stamp = edition.sheet.stamps.get(self._secret.subject)
        if missed(seen, edition) or outdates(stamp, self._remembered, self._digest):
            self._fetch(now)

    def _fetch(self, now: float) -> None:
        self._shared.fetches.add(now, granted=True)
        self._digest = self._secret.digest(now)
        if self._seen is not None:
            self._remembered = self._seen.sheet.stamps.get(self._secret.subject)
        self._expires_at = now + self._shared.ttl_seconds
