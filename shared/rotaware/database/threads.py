"""Carries out the rule's steps in a thread, which blocks."""

from __future__ import annotations

from threading import Event

from rotaware.database.calls import attempt
from rotaware.database.rule import Connect, Failed, Read
from rotaware.database.scrub import forget_locals
from rotaware.database.turns import Pause, Wait
from rotaware.errors import RotawareError
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from rotaware.answers import Secret
    from rotaware.clock import Clock
    from rotaware.database.calls import Attempt
    from rotaware.database.rule import Opened


class Blocking:
    """How a thread carries out each step.

    Args:
        read: Reads the secret, as ``rotaware.read_secret`` does.
        call: Connects.
        clock: The source of time.
    """

    def __init__(
        self, read: Callable[[Read], Secret], call: Attempt, clock: Clock
    ) -> None:
        self._read = read
        self._call = call
        self._clock = clock

    def run(self, steps: Generator[Any, Any, Opened | Failed]) -> Any:
        """The connection that the steps lead to, or what they fail with."""
        try:
            result = self._last(steps)
        except BaseException as error:
            forget_locals(error)
            raise
        finally:
            steps.close()
        if isinstance(result, Failed):
            forget_locals(result.error)
            raise result.error
        return result.connection

    def _last(self, steps: Generator[Any, Any, Opened | Failed]) -> Opened | Failed:
        outcome: Any = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: Opened | Failed = end.value
                return result
            outcome = self._outcome(step)

    def _outcome(self, step: Read | Connect | Pause | Wait) -> Any:
        if isinstance(step, Connect):
            return self.connect(step)
        if isinstance(step, Read):
            try:
                return self.read(step)
            except RotawareError as error:
                return Failed(error)
        if isinstance(step, Pause):
            return self.pause(step.seconds)
        return self.wait(step)

    def read(self, step: Read) -> Secret:
        """The secret."""
        return self._read(step)

    def connect(self, step: Connect) -> Opened | Failed:
        """What became of a login."""
        return attempt(self._call, step.secret)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self._clock.sleep(seconds)

    def wait(self, step: Wait) -> None:
        """Let others do it."""
        rung = Event()
        step.bell.hear(rung.set)
        rung.wait(step.seconds)
