"""What a process knows about one secret's logins; all its threads and tasks share it.

Rules:
1. While a version is known to be refused, nobody tries it on the chance; whoever reads
   another version does.
2. One caller leads: it asks for another version when that is due, tries what comes,
   and the others wait for what becomes of it. Who takes too long is waited for no more.
3. Questions are due at once, then after half a second, one, two, and so on; a login
   that passes begins anew, and so does a version that nobody knew. Before each that is
   due one may be asked early, by a caller whose time ends before. After a question in
   vain the version itself is tried again, if its refusal is old: a rotation may have
   been taken back.
4. What began before the news is no news: an old login that still passed, or failed,
   after others learned better changes nothing.
"""

from __future__ import annotations

from threading import Lock

from rotaware.database.turns import Bell, GiveUp, Pause, Wait, ring
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotaware.database.turns import Limits, Turn

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
JITTER = 0.25
"""By which part of itself a pause may become longer."""
LAST_SECONDS = 0.5
"""How long before a caller's time ends it asks for the last time."""
PROBE_SECONDS = 3.0
"""How old a refusal must be for its version to be tried again."""
LEASE_SECONDS = 5.0
"""For how long a leader is waited for beyond its pause."""
QUESTION_SECONDS = 60.0
"""How far apart questions are when something else than the login fails."""
NEVER = float("-inf")


class _Trouble:
    """Since the first refused login, until one passes.

    Attributes:
        version: The version to ask for another one instead of.
        refused: Refused versions, each with the time when that was learned.
        error: The last refusal.
        asked: How many questions were in vain.
        due: When the next one may be asked.
        regular: When it is due without hurry; None where somebody may still hurry.
        leader: Who is at it; until ``lease``.
        pending_due: When AWSPENDING may be tried again.
        pending_works: Whether the last login by it passed.
    """

    __slots__ = (
        "asked",
        "due",
        "error",
        "leader",
        "lease",
        "pending_due",
        "pending_works",
        "refused",
        "regular",
        "version",
    )

    def __init__(self, due: float) -> None:
        self.version = ""
        self.refused: dict[str, float] = {}
        self.error: BaseException = RuntimeError()
        self.asked = 0
        self.due = due
        self.regular: float | None = None
        self.leader: object = None
        self.lease = NEVER
        self.pending_due = NEVER
        self.pending_works = False


class Ledger:
    """What is known about one secret's logins.

    Every ``now`` is a reading of one monotonic clock.

    Args:
        random: Uniform in [0, 1), for jitter.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._lock = Lock()
        self._trouble: _Trouble | None = None
        self._accepted_at = NEVER
        self._asked_at = NEVER
        self._questioned_at = NEVER
        self._questioner: object = None
        self._bells: list[Bell] = []

    def is_refused(self, version: str) -> bool:
        """Whether logging in by this version is known to fail."""
        with self._lock:
            trouble = self._trouble
            return trouble is not None and version in trouble.refused

    def accept(self, version: str, began: float, now: float) -> None:
        """A login passed."""
        with self._lock:
            trouble = self._trouble
            if trouble is None or began > trouble.refused.get(version, NEVER):
                self._trouble = None
                self._accepted_at = now
                bells = self._taken_bells()
            else:
                bells = []
        ring(bells)

    def refuse(
        self,
        version: str,
        error: BaseException,
        began: float,
        now: float,
        *,
        excused: bool,
    ) -> bool:
        """A login was refused; False where others learned better meanwhile.

        Args:
            version: Of the secret.
            error: What the driver raised.
            began: When the attempt began.
            now: When it ended.
            excused: Whether the caller heard before that others had learned better.
        """
        with self._lock:
            trouble = self._trouble
            if trouble is None:
                if self._accepted_at > began and not excused:
                    return False
                due = max(now, self._asked_at + FIRST_PAUSE_SECONDS)
                trouble = self._trouble = _Trouble(due)
            if version not in trouble.refused or trouble.version == version:
                trouble.version, trouble.error = version, error
                trouble.refused[version] = now
            return True

    def turn(self, caller: object, now: float, limits: Limits) -> Turn:
        """What a caller does next; None when the trouble is over."""
        with self._lock:
            trouble = self._trouble
            if trouble is None:
                return None
            leads = trouble.leader in (None, caller) or now >= trouble.lease
            # A question that is due is asked, however late it is for the caller.
            if trouble.due > max(now, limits.deadline) and not (
                leads and self._hurry(trouble, now, limits.deadline)
            ):
                return GiveUp(trouble.error)
            if leads:
                trouble.leader = caller
                trouble.lease = max(now, trouble.due) + LEASE_SECONDS
                return Pause(max(0.0, trouble.due - now))
            if now >= limits.patience:
                return GiveUp(trouble.error)
            return Wait(min(limits.patience, trouble.lease) - now, self._new_bell())

    def ask(self, caller: object, now: float) -> str | None:
        """The version to ask for another one instead of; None when there is no need."""
        with self._lock:
            trouble = self._trouble
            if trouble is None or trouble.leader is not caller:
                return None
            self._asked_at = now
            trouble.lease = now + LEASE_SECONDS
            return trouble.version

    def try_next(self, version: str, now: float) -> bool:
        """Whether the leader tries what its question brought, and when the next is due.

        Args:
            version: What came; that which was refused, if nothing else did.
            now: The current time.
        """
        with self._lock:
            trouble = self._trouble
            if trouble is None:
                return True
            changed = version != trouble.version
            self._schedule(trouble, now, anew=version not in trouble.refused)
            if changed:
                # It may be one that was refused before: a rotation was taken back.
                trouble.refused.pop(version, None)
            return changed or now - trouble.refused[version] >= PROBE_SECONDS

    def _hurry(self, trouble: _Trouble, now: float, deadline: float) -> bool:
        """Have a question asked shortly before the deadline; whether there is one."""
        early = deadline - LAST_SECONDS
        if trouble.regular is not None or early < self._asked_at + LAST_SECONDS:
            return False
        trouble.regular, trouble.due = trouble.due, max(now, early)
        return True

    def _schedule(self, trouble: _Trouble, now: float, *, anew: bool) -> None:
        """Say when the question after this one is due."""
        regular, trouble.regular = trouble.regular, None
        if regular is not None and regular > now and not anew:
            trouble.due = trouble.regular = regular
            return
        trouble.asked = 1 if anew else trouble.asked + 1
        pause = FIRST_PAUSE_SECONDS * 2.0 ** min(trouble.asked - 1, 10)
        pause = min(pause, LONGEST_PAUSE_SECONDS)
        trouble.due = now + pause * (1.0 + JITTER * self._random())
        if pause == LONGEST_PAUSE_SECONDS:
            trouble.regular = trouble.due  # nobody hurries any more

    def lock(self, version: str, error: BaseException, now: float) -> None:
        """The server lets this user in no more: all who wait shall leave it alone."""
        with self._lock:
            if self._trouble is not None:
                self._trouble.refused[version] = now
                self._trouble.version, self._trouble.error = version, error
                self._trouble.due = now + LONGEST_PAUSE_SECONDS
                self._trouble.regular = self._trouble.due

    def end_trouble(self) -> None:
        """What fails now is not the login."""
        with self._lock:
            self._trouble = None
            bells = self._taken_bells()
        ring(bells)

    def pending_instead_of(self, now: float, *, proven: bool) -> str | None:
        """The version that AWSPENDING may stand in for; None when it may not.

        Args:
            now: The current time.
            proven: Only where AWSPENDING has let somebody in already.
        """
        with self._lock:
            trouble = self._trouble
            if trouble is None or (proven and not trouble.pending_works):
                return None
            if not trouble.pending_works:
                if now < trouble.pending_due:
                    return None
                trouble.pending_due = max(trouble.due, now + FIRST_PAUSE_SECONDS)
            return trouble.version

    def note_pending(self, *, works: bool) -> None:
        """AWSPENDING let somebody in, or not."""
        with self._lock:
            if self._trouble is not None:
                self._trouble.pending_works = works

    def question(self, caller: object, now: float) -> Wait | bool:
        """Whether to ask once, though no login was refused; or wait for who does."""
        with self._lock:
            if (
                self._questioner is not None
                and now < self._questioned_at + LEASE_SECONDS
            ):
                seconds = self._questioned_at + LEASE_SECONDS - now
                return Wait(seconds, self._new_bell())
            if now < self._questioned_at + QUESTION_SECONDS:
                return False
            self._questioned_at = self._asked_at = now
            self._questioner = caller
            return True

    def leave(self, caller: object) -> None:
        """A caller is done, in whatever way: others may take its place."""
        bells: list[Bell] = []
        with self._lock:
            trouble = self._trouble
            if trouble is not None and trouble.leader is caller:
                trouble.leader = None
                bells = self._taken_bells()
            if self._questioner is caller:
                self._questioner = None
                bells += self._taken_bells()
        ring(bells)

    def _new_bell(self) -> Bell:
        bell = Bell()
        self._bells.append(bell)
        return bell

    def _taken_bells(self) -> list[Bell]:
        bells, self._bells = self._bells, []
        return bells
