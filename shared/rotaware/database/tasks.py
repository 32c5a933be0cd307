"""Carries out the rule's steps on an event loop, which never blocks."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from rotaware.database.calls import attempt_async
from rotaware.database.rule import Connect, Failed, Read
from rotaware.database.scrub import forget_locals
from rotaware.database.turns import Pause, Wait
from rotaware.errors import RotawareError
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from rotaware.answers import Secret
    from rotaware.database.calls import Attempt
    from rotaware.database.rule import Opened


async def run(
    steps: Generator[Any, Any, Opened | Failed],
    read: Callable[[Read], Secret],
    call: Attempt,
) -> Any:
    """The connection that the steps lead to, or what they fail with.

    Args:
        steps: The rule's.
        read: Reads the secret; called in a thread, because it blocks.
        call: Connects, and is awaited.
    """
    try:
        result = await _last(steps, read, call)
    except BaseException as error:
        forget_locals(error)
        raise
    finally:
        steps.close()
    if isinstance(result, Failed):
        forget_locals(result.error)
        raise result.error
    return result.connection


async def _last(
    steps: Generator[Any, Any, Opened | Failed],
    read: Callable[[Read], Secret],
    call: Attempt,
) -> Opened | Failed:
    outcome: Any = None
    while True:
        try:
            step = steps.send(outcome)
        except StopIteration as end:
            result: Opened | Failed = end.value
            return result
        outcome = await _outcome(step, read, call)


async def _outcome(
    step: Read | Connect | Pause | Wait,
    read: Callable[[Read], Secret],
    call: Attempt,
) -> Any:
    if isinstance(step, Connect):
        return await attempt_async(call, step.secret)
    if isinstance(step, Read):
        try:
            return await asyncio.to_thread(read, step)
        except RotawareError as error:
            return Failed(error)
    if isinstance(step, Pause):
        return await asyncio.sleep(step.seconds)
    return await wait(step)


async def wait(step: Wait) -> None:
    """Let others do it; the bell may ring in another thread."""
    loop = asyncio.get_running_loop()
    rung = asyncio.Event()

    def hear() -> None:
        with suppress(RuntimeError):  # the loop is closed, so nobody waits
            loop.call_soon_threadsafe(rung.set)

    step.bell.hear(hear)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(rung.wait(), step.seconds)
