"""The extension's life after registering: serve, follow the events, drain.

Whatever goes wrong here is logged and survived, because an extension that exits fails
its function. Only SHUTDOWN ends the loop, or a Runtime API that is gone for good: then
the environment has died without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extension.extensions_api import ExtensionsApiError, Invoke, Shutdown
from rotaware.clock import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from extension.extensions_api import ExtensionsApi
    from extension.http_server import HttpServer
    from rotaware.checker import Checker
    from rotaware.clock import Clock
    from rotaware.log import Logger

MAX_FAILURES = 40
"""In a row, of ``/event/next``: about half a minute."""

LINGER_SECONDS = 0.01
LONGEST_LINGER_SECONDS = 0.1
"""Whatever a function's own threads read: lingering is billed."""

_LONGEST_PAUSE_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.05
_DRAIN_MARGIN_SECONDS = 0.2
_LONGEST_DRAIN_SECONDS = 1.8
_TERMINATION_SECONDS = 2.0


class Terminated(BaseException):
    """SIGTERM came. It interrupts whatever waits, and no ``except`` may swallow it."""


def follow_events(
    api: ExtensionsApi,
    checker: Checker,
    clock: Clock,
    log: Logger,
    *,
    linger: Callable[[], None],
) -> Shutdown:
    """Check the sheet at each INVOKE, until SHUTDOWN or SIGTERM comes.

    Args:
        api: Registered.
        checker: Looks at the sheet.
        clock: Time.
        log: Told about what goes wrong.
        linger: Called after each check, before the next event is asked for.
    """
    try:
        return _follow_events(api, checker, clock, log, linger)
    except Terminated:
        deadline_seconds = clock.now().wall + _TERMINATION_SECONDS
        return Shutdown(int(deadline_seconds * 1000), "SIGTERM")


def linger_over_reads(count_reads: Callable[[], int], clock: Clock) -> None:
    """Wait until the function has read its secrets, for an interval of 0.

    Until the next event is asked for, a read belongs to this invocation, and the check
    made at its beginning will do. Afterwards a read might be the next one's first, and
    costs a check of its own. Most functions read at once; so this waits until no read
    has come for ``LINGER_SECONDS``.
    """
    patience = Deadline(clock, LONGEST_LINGER_SECONDS)
    before = -1
    while (reads := count_reads()) != before and patience.remaining_seconds() > 0.0:
        before = reads
        clock.sleep(LINGER_SECONDS)


def drain(server: HttpServer, shutdown: Shutdown, clock: Clock, log: Logger) -> None:
    """Answer what is under way, within the time that Lambda grants."""
    left_seconds = shutdown.deadline_ms / 1000 - clock.now().wall
    seconds = min(_LONGEST_DRAIN_SECONDS, left_seconds - _DRAIN_MARGIN_SECONDS)
    server.stop(max(0.0, seconds))
    log.info("shut down", reason=shutdown.reason)


def _follow_events(
    api: ExtensionsApi,
    checker: Checker,
    clock: Clock,
    log: Logger,
    linger: Callable[[], None],
) -> Shutdown:
    invocations = failures = 0
    while failures < MAX_FAILURES:
        checker.invocation_ended()
        try:
            event = api.next_event()
        except ExtensionsApiError as fault:
            failures += 1
            log.error("no next event", reason=str(fault), failures=failures)
            pause_seconds = _SHORTEST_PAUSE_SECONDS * 2 ** min(failures, 10)
            clock.sleep(min(_LONGEST_PAUSE_SECONDS, pause_seconds))
            continue
        failures = 0
        match event:
            case Invoke():
                log.cold_start = invocations == 0
                log.xray_trace_id = event.trace
                invocations += 1
                _check(checker, log)
                linger()
            case Shutdown():
                return event
            case unknown:
                log.warning("an unknown event", event_type=unknown.event_type)
    return Shutdown(0, "the Extensions API is gone")


def _check(checker: Checker, log: Logger) -> None:
    try:
        checker.invocation_began()
    except Exception as fault:  # noqa: BLE001  the next event must be asked for
        log.error("a check failed", exception=fault)
