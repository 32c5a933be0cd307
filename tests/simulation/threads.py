"""Locks, events, conditions and threads of the scheduler's, for the real code.

Each of them does what the real code asks of its namesake. ``simulated_threads`` puts
them in place of the interpreter's, by the names under which modules imported those.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.simulation.scheduler import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from tests.simulation.scheduler import Actor


class Lock:
    """Satisfies what the real code asks of ``threading.Lock``."""

    __slots__ = ("_held", "_waiting")

    def __init__(self) -> None:
        self._held = False
        self._waiting: list[Actor] = []

    def __enter__(self) -> None:
        scheduler = running()
        scheduler.point()
        while self._held:
            self._waiting.append(scheduler.actor)
            scheduler.give_way()
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False
        scheduler = running()
        if self._waiting:
            index = int(scheduler.random.random() * len(self._waiting))
            scheduler.wake(self._waiting.pop(index))
        scheduler.point()


class Condition(Lock):
    """Satisfies what the real code asks of ``threading.Condition``."""

    __slots__ = ("_listening",)

    def __init__(self) -> None:
        super().__init__()
        self._listening: list[Actor] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of the lock until somebody notifies."""
        woken = _wait(self._listening, timeout, self.__exit__)
        self.__enter__()
        return woken

    def notify_all(self) -> None:
        """Wake all who wait."""
        assert self._held
        _wake_all(self._listening)


class Event:
    """Satisfies what the real code asks of ``threading.Event``."""

    __slots__ = ("_happened", "_listening")

    def __init__(self) -> None:
        self._happened = False
        self._listening: list[Actor] = []

    def is_set(self) -> bool:
        return self._happened

    def set(self) -> None:
        """Wake all who wait."""
        self._happened = True
        _wake_all(self._listening)

    def wait(self, timeout: float | None = None) -> bool:
        """Return once it is set."""
        running().point()
        return self._happened or _wait(self._listening, timeout)


def _wake_all(listening: list[Actor]) -> None:
    scheduler = running()
    for actor in listening:
        scheduler.wake(actor)
    listening.clear()


def _wait(
    listening: list[Actor],
    timeout: float | None,
    let_go: Callable[[], None] | None = None,
) -> bool:
    """Whether somebody took the current actor off the list before time was over."""
    scheduler = running()
    actor = scheduler.actor
    listening.append(actor)
    due = None if timeout is None else scheduler.now + timeout
    if let_go is not None:
        let_go()
    if actor in listening:
        if due is not None:
            scheduler.put(actor, max(due, scheduler.now))
        scheduler.give_way()
    if actor in listening:
        listening.remove(actor)
        return False
    return True


class Thread:
    """Satisfies what the real code asks of ``threading.Thread``."""

    def __init__(
        self, *, target: Callable[..., object], args: Any = (), daemon: bool = True
    ) -> None:
        self._target = target
        self._args = args
        self._actor: Actor | None = None
        self.daemon = daemon

    def start(self) -> None:
        """Begin, on the host of whoever starts it."""
        scheduler = running()
        starter = scheduler.actor
        self._actor = scheduler.spawn(
            f"{starter.label}/{self._target.__name__.strip('_')}",
            lambda: self._target(*self._args),
            starter.host,
        )
        scheduler.point()

    def join(self, timeout: float | None = None) -> None:
        """Return when it has ended, or time is over."""
        assert self._actor is not None
        if not self._actor.ended:
            _wait(self._actor.joiners, timeout)


_SIMULATED = (
    (threading.Condition, Condition),
    (threading.Event, Event),
    (threading.Lock, Lock),
    (threading.Thread, Thread),
)


@contextmanager
def simulated_threads(*modules: ModuleType) -> Iterator[None]:
    """Run modules of the real code on simulated threads."""
    replaced = [
        (module, name, real, simulated)
        for module in modules
        for name, real in vars(module).items()
        for theirs, simulated in _SIMULATED
        if real is theirs
    ]
    for module, name, _, simulated in replaced:
        setattr(module, name, simulated)
    try:
        yield
    finally:
        for module, name, real, _ in replaced:
            setattr(module, name, real)
