"""What one caller does until it is connected, as steps that somebody else carries out.

1. Log in by the version that is current as far as is known.
2. If that fails, ask for another version instead. If there is one, log in by it.
3. If there is none, and the login was refused, let time pass and ask again, as long as
   the budget lasts and one at a time (see ``ledger``): between the rotation's steps
   setSecret and finishSecret no current version is right.
4. Else it fails as the driver said.

A user that the server has locked out is not tried again.
"""

from __future__ import annotations

from rotaware.database.refusals import LOCKED, REFUSED
from rotaware.database.scrub import copied
from rotaware.database.turns import GiveUp, Limits, Pause, Wait
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.secret import AWSPENDING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from rotaware.answers import Secret
    from rotaware.database.ledger import Ledger


class Read(NamedTuple):
    """Read the secret; its outcome is a Secret, or Failed."""

    instead_of: str | None = None
    stage: str | None = None


class Connect(NamedTuple):
    """Log in by this; its outcome is Opened or Failed."""

    secret: Secret


class Opened(NamedTuple):
    """The connection."""

    connection: Any


class Failed(NamedTuple):
    """What was raised, with no password in it.

    Attributes:
        error: The exception.
        kind: See ``refusals``; empty where it was the secret that could not be read.
    """

    error: BaseException
    kind: str = ""


class Refused(NamedTuple):
    """A login that was refused outside of the rule.

    Attributes:
        version: Of the secret.
        error: What the driver raised.
        began: When the attempt began, by the rule's clock.
    """

    version: str
    error: BaseException
    began: float


GRACE_SECONDS = 1.0
"""For how long a caller waits at least for a question that is being asked."""


class Caller:
    """One call's way to a connection.

    Args:
        ledger: What the process knows of this secret's logins.
        now: A monotonic clock.
        budget_seconds: For how long refused logins are waited out.
        pending: Whether AWSPENDING may be tried as a last resort.
        username_of: Whose login a secret holds.
    """

    def __init__(
        self,
        ledger: Ledger,
        now: Callable[[], float],
        budget_seconds: float,
        *,
        pending: bool,
        username_of: Callable[[Secret], str | None],
    ) -> None:
        self._ledger = ledger
        self._now = now
        self._deadline = now() + budget_seconds
        self._pending = pending
        self._username_of = username_of
        self._own_error: BaseException | None = None
        self._excused = False
        self._tried: set[str] = set()

    def steps(
        self, refused: Refused | None = None
    ) -> Generator[Any, Any, Opened | Failed]:
        """Yields Read, Connect, Pause and Wait; is sent the outcomes of the former two.

        Args:
            refused: A login that failed already, outside.
        """
        try:
            if refused is not None:
                self._note_refused(*refused)
            secret = yield Read()
            while not isinstance(secret, Failed):
                if not self._ledger.is_refused(secret.version_id):
                    result = yield from self._login(secret)
                    if isinstance(result, Opened):
                        return result
                    if result.kind != REFUSED:
                        secret = yield from self._another(secret, result)
                        continue
                ended = yield from self._through_trouble()
                if ended is not None:
                    return ended
                secret = yield Read()
            return secret
        finally:
            self._ledger.leave(self)

    def _login(self, secret: Secret) -> Generator[Any, Any, Opened | Failed]:
        began = self._now()
        result: Opened | Failed = yield Connect(secret)
        if isinstance(result, Opened):
            self._ledger.accept(secret.version_id, began, self._now())
            return result
        if result.kind == REFUSED:
            self._note_refused(secret.version_id, result.error, began)
        return result

    def _note_refused(self, version: str, error: BaseException, began: float) -> None:
        self._own_error = error
        news = self._ledger.refuse(
            version, error, began, self._now(), excused=self._excused
        )
        self._excused = self._excused or not news

    def _another(self, secret: Secret, failed: Failed) -> Generator[Any, Any, Any]:
        """Another version, after what was no refused login; else the failure itself."""
        self._tried.add(secret.version_id)
        while isinstance(turn := self._ledger.question(self, self._now()), Wait):
            yield turn
        # Who may not ask may still profit by what somebody else's question brought.
        newer = yield Read(secret.version_id if turn else None)
        self._ledger.leave(self)
        if isinstance(newer, Failed) or newer.version_id in self._tried:
            return failed
        if failed.kind == LOCKED:
            same = self._username_of(newer) == self._username_of(secret)
            return failed if same else newer
        return newer

    def _through_trouble(self) -> Generator[Any, Any, Opened | Failed | None]:
        """A result; None when others ended the trouble."""
        patience = max(self._deadline, self._now() + GRACE_SECONDS)
        limits = Limits(self._deadline, patience)
        while True:
            if self._pending:
                opened = yield from self._by_pending(proven=True)
                if opened is not None:
                    return opened
            turn = self._ledger.turn(self, self._now(), limits)
            if turn is None:
                return None
            if isinstance(turn, GiveUp):
                return (yield from self._last_resort(turn))
            if isinstance(turn, Wait):
                yield turn
                continue
            result = yield from self._lead(turn)
            if result is not None:
                return result

    def _lead(self, pause: Pause) -> Generator[Any, Any, Opened | Failed | None]:
        """Ask once, and try what comes; None when that did not help."""
        if pause.seconds:
            yield pause
        version = self._ledger.ask(self, self._now())
        if version is None:
            return None
        secret = yield Read(version)
        if isinstance(secret, Failed):
            self._ledger.try_next(version, self._now())
            return None
        if not self._ledger.try_next(secret.version_id, self._now()):
            return None
        result = yield from self._login(secret)
        if isinstance(result, Failed):
            if result.kind == REFUSED:
                return None
            if result.kind == LOCKED:
                self._ledger.lock(secret.version_id, result.error, self._now())
            elif secret.version_id != version:
                self._ledger.end_trouble()
        return result

    def _last_resort(self, end: GiveUp) -> Generator[Any, Any, Opened | Failed]:
        if self._pending:
            result = yield from self._by_pending(proven=False)
            if result is not None:
                return result
        return Failed(self._own_error or copied(end.error), REFUSED)

    def _by_pending(self, *, proven: bool) -> Generator[Any, Any, Opened | None]:
        """A connection by AWSPENDING, where there is one that works."""
        version = self._ledger.pending_instead_of(self._now(), proven=proven)
        if version is None:
            return None
        secret = yield Read(version, AWSPENDING)
        result: Opened | Failed = Failed(RuntimeError())
        if not isinstance(secret, Failed) and secret.version_id != version:
            result = yield Connect(secret)
        self._ledger.note_pending(works=isinstance(result, Opened))
        return result if isinstance(result, Opened) else None
