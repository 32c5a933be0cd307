"""Which secret is read by whom, and who shares what is known of its logins.

One ledger for a client, a secret and a place: all threads and tasks that log in there
by it find each other. A forked process begins with none.
"""

from __future__ import annotations

import os
from threading import Lock
from weakref import WeakKeyDictionary

from rotaware import parameters
from rotaware.clock import SystemClock
from rotaware.database.ledger import Ledger
from rotaware.database.login import login_of
from rotaware.database.rule import Caller, Read
from rotaware.database.threads import Blocking
from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from rotaware.answers import Secret
    from rotaware.client import Client
    from rotaware.clock import Clock
    from rotaware.database.calls import Attempt
    from rotaware.database.rule import Failed, Opened, Refused

BUDGET_SECONDS = 10.0
RESERVE_SECONDS = 1.5
"""What is left of a function's time for it to tell that it could not connect."""


class Budget(NamedTuple):
    """For how long refused logins are waited out.

    Attributes:
        seconds: What the caller allows; None for the default.
        remaining_ms: How long the function may still run; None where nobody knows.
    """

    seconds: float | None = None
    remaining_ms: Callable[[], float] | None = None

    def now(self) -> float:
        """The seconds from now on, not below zero."""
        if self.remaining_ms is None:
            return BUDGET_SECONDS if self.seconds is None else max(0.0, self.seconds)
        left = max(0.0, self.remaining_ms() / 1000.0 - RESERVE_SECONDS)
        return left if self.seconds is None else min(left, self.seconds)


class _Ledgers:
    """The ledgers of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process_id = os.getpid()
        self._by_client: WeakKeyDictionary[Any, dict[Any, Ledger]] = WeakKeyDictionary()

    def of(self, client: object, secret_id: str, place: int) -> Ledger:
        """The one for a client, a secret and a place."""
        with self._lock:
            if self._process_id != os.getpid():
                # Whoever led in the parent does not lead here.
                self._by_client.clear()
                self._process_id = os.getpid()
            own = self._by_client.setdefault(client, {})
            key = (secret_id, place)
            if key not in own:
                own[key] = Ledger(_random)
            return own[key]


def _random() -> float:
    from random import random  # noqa: PLC0415  when a login was refused

    return random()  # noqa: S311  for jitter


_ledgers = _Ledgers()


class Logins:
    """Logs in by one secret.

    Args:
        client: Whom to read by; None: by whom ``rotaware.get_secret`` reads.
        secret_id: Name or ARN.
        budget: For how long refused logins are waited out.
        pending: Whether AWSPENDING may be tried.
        clock: The source of time.
    """

    def __init__(
        self,
        client: Client | None,
        secret_id: str,
        budget: Budget,
        pending: bool = False,  # noqa: FBT001, FBT002  as the caller said it
        clock: Clock | None = None,
    ) -> None:
        self._client = client or parameters
        self.secret_id = secret_id
        self._budget = budget
        self._pending = pending
        self.clock = clock or SystemClock()

    def enter(
        self, call: Attempt, *, awaited: bool, refused: Refused | None = None
    ) -> Any:
        """A connection; where it is awaited, so is this.

        Args:
            call: Connects.
            awaited: Whether that is awaited.
            refused: A login that failed already.
        """
        steps = self.steps(call, refused)
        if not awaited:
            return Blocking(self.read, call, self.clock).run(steps)
        from rotaware.database.tasks import run  # noqa: PLC0415  asyncio is not free

        return run(steps, self.read, call)

    def steps(
        self, call: Attempt, refused: Refused | None = None
    ) -> Generator[Any, Any, Opened | Failed]:
        """The rule's steps for one call."""
        caller = Caller(
            self.ledger(call.place),
            self.now,
            self._budget.now(),
            pending=self._pending,
            username_of=_username_of,
        )
        return caller.steps(refused)

    def ledger(self, place: int = 0) -> Ledger:
        """What is known about the logins."""
        return _ledgers.of(self._client, self.secret_id, place)

    def now(self) -> float:
        """The rule's clock."""
        return self.clock.now().monotonic

    def read(self, step: Read) -> Secret:
        """The secret, as the rule asks for it."""
        return self._client.read_secret(
            self.secret_id, version_stage=step.stage, instead_of=step.instead_of
        )


def _username_of(secret: Secret) -> str | None:
    return login_of(secret.id, secret.version_id, secret.value).username
