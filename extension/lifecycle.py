"""The extension's life after registering: serve, follow the events, drain.

Whatever goes wrong here is logged and survived, because an extension that exits fails
its function. Only SHUTDOWN ends the loop, or a Runtime API that is gone for good: then
the environment has died without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extension.extensions_api import ExtensionsApiError, Invoke, Shutdown

if TYPE_CHECKING:
    from extension.extensions_api import ExtensionsApi
    from extension.http_server import HttpServer
    from rotaware.checker import Checker
    from rotaware.clock import Clock
    from rotaware.log import Logger

MAX_FAILURES = 40
"""In a row, of ``/event/next``: about half a minute."""

_LONGEST_PAUSE_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.05
_DRAIN_MARGIN_SECONDS = 0.2
_LONGEST_DRAIN_SECONDS = 1.8
_TERMINATION_SECONDS = 2.0


class Terminated(BaseException):
    """SIGTERM came. It interrupts whatever waits, and no ``except`` may swallow it."""


def follow_events(
    api: ExtensionsApi, checker: Checker, clock: Clock, log: Logger
) -> Shutdown:
    """Check the sheet at each INVOKE, until SHUTDOWN or SIGTERM comes."""
    try:
        return _follow_events(api, checker, clock, log)
    except Terminated:
        deadline_seconds = clock.now().wall + _TERMINATION_SECONDS
        return Shutdown(int(deadline_seconds * 1000), "SIGTERM")


def drain(server: HttpServer, shutdown: Shutdown, clock: Clock, log: Logger) -> None:
    """Answer what is under way, within the time that Lambda grants."""
    left_seconds = shutdown.deadline_ms / 1000 - clock.now().wall
    seconds = min(_LONGEST_DRAIN_SECONDS, left_seconds - _DRAIN_MARGIN_SECONDS)
    server.stop(max(0.0, seconds))
    log.info("shut down", reason=shutdown.reason)


def _follow_events(
    api: ExtensionsApi, checker: Checker, clock: Clock, log: Logger
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
