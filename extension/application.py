"""The composition root's second half: build the parts, prefetch, follow the events.

What serves is imported when AWS has been asked: it loads while the answers are on their
way.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal defines enums
import gc
import posix
from functools import partial
from threading import Thread

from extension.config import MAX_CONFIG_CHARACTERS, load
from extension.hardening import refuse_dumps
from extension.lifecycle import (
    Terminated,
    drain,
    follow_events,
    keep_checked,
    linger_over_reads,
)
from extension.output import standard_output
from rotaware.assembly import PREFETCH_SECONDS, settle, store_and_checker
from rotaware.aws import AwsClient
from rotaware.clock import Deadline, SystemClock
from rotaware.errors import SettingsError
from rotaware.lean import TYPE_CHECKING
from rotaware.log import Logger
from rotaware.secret import PARAMETER_STORE, SECRETS_MANAGER
from rotaware.tally import PREFETCH_TIME

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Mapping, Sequence

    from extension.config import Config
    from extension.endpoint import Endpoint
    from extension.extensions_api import ExtensionsApi
    from extension.http_server import HttpServer
    from rotaware.checker import Checker
    from rotaware.clock import Clock, Instant
    from rotaware.secret import Query
    from rotaware.settings import Settings
    from rotaware.store import Store

MAX_WORKERS = 128
"""Threads, started only when so many reads wait at once."""

_TOKEN_SECONDS = 2.0


def run(
    environ: Mapping[str, str],
    api: ExtensionsApi,
    listeners: Sequence[_socket.socket],
    bind_faults: Sequence[str],
) -> int:
    """Serve until SHUTDOWN.

    Args:
        environ: The environment variables.
        api: Registered.
        listeners: Of the main port and of those in ROTAWARE_LEGACY_PORTS, bound.
        bind_faults: Why one could not be bound, each with its variable.

    Returns:
        The process's exit code.
    """
    clock = SystemClock()
    try:
        config, aws = _configured(environ, bind_faults, clock)
    except SettingsError as error:
        return _refuse_to_start(api, error, clock)
    settings = config.settings
    log = Logger(
        service=settings.service,
        level=settings.log_level,
        stream=standard_output(),
        clock=clock,
        function_name=environ.get("AWS_LAMBDA_FUNCTION_NAME"),
    )
    log.cold_start = True
    refuse_dumps(log)
    store, checker = store_and_checker(
        settings,
        config.ciphertexts,
        aws,
        function_name=environ.get("AWS_LAMBDA_FUNCTION_NAME"),
        clock=clock,
        random=_random,
        log=log,
    )
    if settings.log_level == "DEBUG":
        store.explain(log.debug)
    store.expect(config.prefetch)
    if settings.snap_start:
        store.hold_nothing()
    began = clock.now()
    threads = store.prefetch(config.queries)
    patience = Deadline(clock, PREFETCH_SECONDS)
    if threads:
        checker.begin()
    endpoints = _endpoints(environ, config, store, checker, clock)
    server = _server(listeners, endpoints, clock, log)
    server.start()
    _settle(store, checker, threads, patience, clock, began)
    gc.freeze()  # what was built stays: no collection need look at it again
    gc.enable()
    log.info("ready", port=settings.port, sheet=settings.stamps)
    _signal.signal(_signal.SIGTERM, _terminate)
    _signal.signal(_signal.SIGINT, _terminate)
    begin = linger = _nothing
    if settings.snap_start:
        begin = partial(_begin_to_hold, store, checker, aws, config.queries, clock)
    if settings.stamps and settings.check_interval_seconds == 0:
        linger = partial(linger_over_reads, partial(_reads, endpoints), clock)
    elif settings.stamps and settings.managed_instances:
        arguments = (checker, partial(_reads, endpoints), clock, log)
        Thread(target=keep_checked, args=arguments, daemon=True).start()
    tell, tell_all = _metrics(environ, settings, store, checker, endpoints, clock, log)
    linger = partial(_one_after_another, linger, tell)
    shutdown = follow_events(api, checker, clock, log, begin=begin, linger=linger)
    drain(server, shutdown, clock, log)
    tell_all()
    aws.close_idle()
    return 0


def _nothing() -> None:
    """Most functions need no more at an invocation than a check."""


def _one_after_another(*steps: Callable[[], None]) -> None:
    for step in steps:
        step()


def _begin_to_hold(
    store: Store, checker: Checker, aws: AwsClient, wanted: list[Query], clock: Clock
) -> None:
    """The snapshot is behind us: its connections are dead, and values may be held.

    The invocation's check begins meanwhile; nothing here waits for AWS.
    """
    aws.close_idle()
    store.hold_from_now()
    began = clock.now()
    threads = store.prefetch(wanted)
    patience = Deadline(clock, PREFETCH_SECONDS)
    arguments = (store, checker, threads, patience, clock, began)
    Thread(target=_settle, args=arguments, daemon=True).start()


def _settle(  # noqa: PLR0913, PLR0917  the parts, and the time
    store: Store,
    checker: Checker,
    threads: list[Thread],
    patience: Deadline,
    clock: Clock,
    began: Instant,
) -> None:
    """Wait for a prefetch, and note how long it took."""
    settle(store, checker, threads, patience)
    if threads:
        took_seconds = clock.now().monotonic - began.monotonic
        store.tally.measure(PREFETCH_TIME, took_seconds)


def _terminate(_number: int, _frame: object) -> None:
    _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)  # once is enough
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    raise Terminated


def _configured(
    environ: Mapping[str, str], bind_faults: Sequence[str], clock: Clock
) -> tuple[Config, AwsClient]:
    """The configuration and the client; SettingsError has the problems of all parts."""
    problems = list(bind_faults)
    config = aws = None
    try:
        config = load(environ, _read_text)
    except SettingsError as error:
        problems += error.problems
    max_connections = 1
    services: tuple[str, ...] = (SECRETS_MANAGER, PARAMETER_STORE)
    if config is not None:
        max_connections = config.settings.max_connections
        services = config.settings.services
    try:
        aws = AwsClient.from_environ(
            environ,
            clock=clock,
            random=_random,
            max_connections=max_connections,
            services=services,
        )
    except SettingsError as error:
        problems += error.problems
    if config is None or aws is None or problems:
        raise SettingsError(problems)
    return config, aws


def _endpoints(
    environ: Mapping[str, str],
    config: Config,
    store: Store,
    checker: Checker,
    clock: Clock,
) -> list[Endpoint]:
    """What answers at the main port to who has a token, and at the others to all.

    Two, as an answer to the latter's requests must not be remembered for the former.
    """
    from extension.dialects import DIALECTS  # noqa: PLC0415  see above
    from extension.endpoint import Endpoint  # noqa: PLC0415  likewise
    from extension.routes import legacy_route, route  # noqa: PLC0415  likewise
    from rotaware.tokens import Tokens  # noqa: PLC0415  likewise

    endpoints: list[Endpoint] = []
    stats = partial(_stats, config.settings, store, checker, endpoints, clock.now())
    tokens = Tokens(environ, clock)
    dialect = DIALECTS[config.settings.dialect]
    current, anew = (
        partial(route, tokens=partial(_tokens, look_up, clock))
        for look_up in (tokens.accepted, tokens.accepted_anew)
    )
    renewed = None if tokens.are_fixed else anew
    endpoints.append(
        Endpoint(
            store,
            checker,
            current,
            dialect,
            clock,
            renewed_route=renewed,
            stats=partial(stats, clock),
        )
    )
    if config.settings.legacy_ports:
        without_token = partial(legacy_route, listed=config.listed_secrets)
        endpoints.append(Endpoint(store, checker, without_token, dialect, clock))
    return endpoints


def _stats(  # noqa: PLR0913, PLR0917  all that is to be told of
    settings: Settings,
    store: Store,
    checker: Checker,
    endpoints: Sequence[Endpoint],
    started: Instant,
    clock: Clock,
) -> bytes:
    from extension.counters import totals  # noqa: PLC0415  a person asks, if anybody
    from extension.stats import stats  # noqa: PLC0415  likewise

    counts = totals(store, checker, endpoints)
    return stats(settings, store, checker, counts, started, clock.now())


def _metrics(  # noqa: PLR0913, PLR0917  likewise
    environ: Mapping[str, str],
    settings: Settings,
    store: Store,
    checker: Checker,
    endpoints: Sequence[Endpoint],
    clock: Clock,
    log: Logger,
) -> tuple[Callable[[], None], Callable[[], None]]:
    """What tells CloudWatch all counts: when that is due, and at the end."""
    if not settings.metrics:
        return _nothing, _nothing
    from extension.counters import totals  # noqa: PLC0415  it costs money: few want it
    from extension.metrics import Metrics  # noqa: PLC0415  likewise

    metrics = Metrics(
        partial(totals, store, checker, endpoints),
        store.tally,
        log.write,
        clock,
        namespace=settings.metrics_namespace,
        service=settings.service,
        function_name=environ.get("AWS_LAMBDA_FUNCTION_NAME"),
    )
    if settings.managed_instances:
        Thread(target=metrics.keep_flushing, daemon=True).start()
    return metrics.flush_if_due, metrics.flush


def _reads(endpoints: Sequence[Endpoint]) -> int:
    return sum(endpoint.reads for endpoint in endpoints)


def _server(
    listeners: Sequence[_socket.socket],
    endpoints: Sequence[Endpoint],
    clock: Clock,
    log: Logger,
) -> HttpServer:
    """What listens, and what waits for AWS on its behalf."""
    from extension.http_server import HttpServer  # noqa: PLC0415  see above
    from extension.workers import Workers  # noqa: PLC0415  likewise

    main, *others = listeners
    ports = [(main, endpoints[0]), *((each, endpoints[-1]) for each in others)]
    return HttpServer(ports, Workers(MAX_WORKERS, log), clock=clock, log=log)


def _tokens(
    look_up: Callable[[Deadline], tuple[str, ...]], clock: Clock
) -> tuple[str, ...]:
    return look_up(Deadline(clock, _TOKEN_SECONDS))


def _refuse_to_start(api: ExtensionsApi, error: SettingsError, clock: Clock) -> int:
    """Say what is wrong, to the log and to Lambda; the exit code."""
    stream = standard_output()
    log = Logger(service="rotaware", level="INFO", stream=stream, clock=clock)
    log.error("rotaware cannot start", problems=error.problems)
    api.report_failure(error.code, error.message)
    return 1


def _read_text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  pathlib costs start-up
            return file.read(MAX_CONFIG_CHARACTERS + 1)
    except FileNotFoundError:
        return None


def _random() -> float:
    """Uniform in [0, 1), from the kernel: a restored snapshot must not repeat it."""
    return int.from_bytes(posix.urandom(6), "big") / (1 << 48)
