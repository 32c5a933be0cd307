"""The extension's life after registering: serve, follow the events, drain.

Whatever goes wrong here is logged and survived, because an extension that exits fails
its function. Only SHUTDOWN ends the loop, or a Runtime API that is gone for good: then
the environment has died without a word.
"""

from __future__ import annotations

from extension.extensions_api import ExtensionsApiGoneError, Invoke, Shutdown
from rotaware.clock import Deadline
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from extension.extensions_api import ExtensionsApi, UnknownEvent
    from extension.http_server import HttpServer
    from rotaware.checker import Checker
    from rotaware.clock import Clock
    from rotaware.log import Logger

MAX_REFUSALS = 40
"""How often, in a row, nobody listens where ``/event/next`` was: half a minute."""

LINGER_SECONDS = 0.01
LONGEST_LINGER_SECONDS = 0.1
"""Whatever a function's own threads read: lingering is billed."""

SHORTEST_TICK_SECONDS = 0.5
"""Between two looks at whether there were reads, on Managed Instances."""

_LONGEST_PAUSE_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.05
_DRAIN_MARGIN_SECONDS = 0.2
_LONGEST_DRAIN_SECONDS = 1.8
_TERMINATION_SECONDS = 2.0


class Terminated(BaseException):
    """SIGTERM or SIGINT came.

    It interrupts whatever waits, and no ``except`` may swallow it.
    """


def follow_events(  # noqa: PLR0913  the life has as many parts
    api: ExtensionsApi,
    checker: Checker,
    clock: Clock,
    log: Logger,
    *,
    begin: Callable[[], None],
    linger: Callable[[], None],
) -> Shutdown:
    """Check the sheet at each INVOKE, until SHUTDOWN or SIGTERM comes.

    Args:
        api: Registered.
        checker: Looks at the sheet.
        clock: Time.
        log: Told about what goes wrong.
        begin: Called at the first INVOKE, before its check. With SnapStart this is the
            first sign of life after a restore.
        linger: Called after each check, before the next event is asked for.
    """
    invocations = 0
    try:
        while True:
            checker.invocation_ended()
            match _next_event(api, clock, log):
                case Invoke() as invoke:
                    log.cold_start = invocations == 0
                    log.xray_trace_id = invoke.trace
                    log.function_request_id = invoke.request_id
                    if invocations == 0:
                        _guarded(begin, log)
                    invocations += 1
                    _guarded(checker.invocation_began, log)
                    linger()
                case Shutdown() as shutdown:
                    log.xray_trace_id = log.function_request_id = None
                    return shutdown
                case unknown:
                    log.warning("an unknown event", event_type=unknown.event_type)
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


def keep_checked(
    checker: Checker, count_reads: Callable[[], int], clock: Clock, log: Logger
) -> NoReturn:
    """Look at the sheet as it falls due, for as long as there are reads.

    For Managed Instances, which are never frozen and announce no invocations. So reads
    seldom wait for a check; and an environment that is idle asks for nothing.
    """
    before = count_reads()
    while True:
        clock.sleep(max(SHORTEST_TICK_SECONDS, checker.seconds_until_due()))
        reads = count_reads()
        if reads != before:
            before = reads
            _guarded(checker.ensure_checked, log)


def drain(server: HttpServer, shutdown: Shutdown, clock: Clock, log: Logger) -> None:
    """Answer what is under way, within the time that Lambda grants."""
    left_seconds = shutdown.deadline_ms / 1000 - clock.now().wall
    seconds = min(_LONGEST_DRAIN_SECONDS, left_seconds - _DRAIN_MARGIN_SECONDS)
    server.stop(max(0.0, seconds))
    log.info("shut down", reason=shutdown.reason)


def _next_event(
    api: ExtensionsApi, clock: Clock, log: Logger
) -> Invoke | Shutdown | UnknownEvent:
    """Wait for it, however often that fails for a while."""
    failures = refusals = 0
    while refusals < MAX_REFUSALS:
        try:
            return api.next_event()
        except Exception as fault:  # noqa: BLE001, PERF203  an exit fails the function
            failures += 1
            gone = isinstance(fault, ExtensionsApiGoneError)
            refusals = refusals + 1 if gone else 0
            if failures & (failures - 1) == 0:  # the 1st, 2nd, 4th, 8th: it may last
                reason = str(fault) or repr(fault)
                log.error("no next event", reason=reason, failures=failures)
            pause_seconds = _SHORTEST_PAUSE_SECONDS * 2 ** min(failures, 10)
            clock.sleep(min(_LONGEST_PAUSE_SECONDS, pause_seconds))
    return Shutdown(0, "the Extensions API is gone")


def _guarded(step: Callable[[], None], log: Logger) -> None:
    try:
        step()
    except Exception as fault:  # noqa: BLE001  whoever calls this must go on
        log.error("a check, or what comes before it, failed", exception=fault)
