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
from rotaware.aws import AwsClient
from rotaware.cache import Cache
from rotaware.checker import Checker
from rotaware.clock import Deadline, SystemClock
from rotaware.errors import RotawareError, SettingsError
from rotaware.lean import TYPE_CHECKING
from rotaware.log import Logger
from rotaware.secret import PARAMETER_STORE, SECRETS_MANAGER
from rotaware.source import AwsSource
from rotaware.stamps import sheet_home
from rotaware.store import Store

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Mapping

    from extension.config import Config
    from extension.endpoint import Endpoint
    from extension.extensions_api import ExtensionsApi
    from extension.http_server import HttpServer
    from rotaware.clock import Clock
    from rotaware.secret import Query
    from rotaware.settings import Settings

MAX_WORKERS = 128
"""Threads, started only when so many reads wait at once."""
PREFETCH_SECONDS = 5.0
"""How long the first event is put off for a prefetch. It goes on after that."""

_TOKEN_SECONDS = 2.0


def run(
    environ: Mapping[str, str],
    api: ExtensionsApi,
    listener: _socket.socket,
    bind_fault: str | None,
) -> int:
    """Serve until SHUTDOWN.

    Args:
        environ: The environment variables.
        api: Registered.
        listener: Bound, unless ``bind_fault`` says why not.
        bind_fault: Why the port could not be bound.

    Returns:
        The process's exit code.
    """
    clock = SystemClock()
    try:
        config, aws = _configured(environ, bind_fault, clock)
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
    store, checker = _cache(settings, aws, clock, log)
    store.expect(config.prefetch)
    if settings.snap_start:
        store.hold_nothing()
    wanted = [entry.query for entry in config.prefetch if settings.prefetch]
    threads = store.prefetch(wanted)
    patience = Deadline(clock, PREFETCH_SECONDS)
    if threads:
        checker.begin()
    endpoint = _endpoint(environ, store, checker, clock)
    server = _server(listener, endpoint, clock, log)
    server.start()
    _settle(store, checker, threads, patience)
    gc.freeze()  # what was built stays: no collection need look at it again
    gc.enable()
    log.info("ready", port=settings.port, sheet=settings.stamps)
    _signal.signal(_signal.SIGTERM, _terminate)
    _signal.signal(_signal.SIGINT, _terminate)
    begin = linger = _nothing
    if settings.snap_start:
        begin = partial(_begin_to_hold, store, checker, aws, wanted, clock)
    if settings.stamps and settings.check_interval_seconds == 0:
        linger = partial(linger_over_reads, lambda: endpoint.reads, clock)
    elif settings.stamps and settings.managed_instances:
        arguments = (checker, lambda: endpoint.reads, clock, log)
        Thread(target=keep_checked, args=arguments, daemon=True).start()
    shutdown = follow_events(api, checker, clock, log, begin=begin, linger=linger)
    drain(server, shutdown, clock, log)
    aws.close_idle()
    return 0


def _nothing() -> None:
    """Most functions need no more at an invocation than a check."""


def _begin_to_hold(
    store: Store, checker: Checker, aws: AwsClient, wanted: list[Query], clock: Clock
) -> None:
    """The snapshot is behind us: its connections are dead, and values may be held.

    The invocation's check begins meanwhile; nothing here waits for AWS.
    """
    aws.close_idle()
    store.hold_from_now()
    threads = store.prefetch(wanted)
    arguments = (store, checker, threads, Deadline(clock, PREFETCH_SECONDS))
    Thread(target=_settle, args=arguments, daemon=True).start()


def _settle(
    store: Store, checker: Checker, threads: list[Thread], patience: Deadline
) -> None:
    """Wait for a prefetch, and for the first look at the sheet.

    What that look put in doubt is fetched again, by batches.
    """
    _join(threads, patience)
    if threads:
        checker.ensure_checked(patience.remaining_seconds())
    _join(store.prefetch_doubted(), patience)


def _join(threads: list[Thread], patience: Deadline) -> None:
    for thread in threads:
        thread.join(patience.remaining_seconds())


def _terminate(_number: int, _frame: object) -> None:
    _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)  # once is enough
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    raise Terminated


def _configured(
    environ: Mapping[str, str], bind_fault: str | None, clock: Clock
) -> tuple[Config, AwsClient]:
    """The configuration and the client; SettingsError has the problems of all parts."""
    problems = []
    if bind_fault is not None:
        problems.append(
            f"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT: {bind_fault}; choose a free port"
        )
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


def _cache(
    settings: Settings, aws: AwsClient, clock: Clock, log: Logger
) -> tuple[Store, Checker]:
    """The store, and what tells it about stamps."""
    source = AwsSource(
        aws,
        {
            SECRETS_MANAGER: settings.secrets_timeout_seconds,
            PARAMETER_STORE: settings.parameters_timeout_seconds,
        },
    )
    cache = Cache(
        settings.cache_size if settings.cache_enabled else 0,
        settings.stale_if_error_seconds,
    )
    ttls = {
        SECRETS_MANAGER: settings.secrets_ttl_seconds,
        PARAMETER_STORE: settings.parameters_ttl_seconds,
    }
    store = Store(source, cache, ttls, clock, log)
    # The checker backs off by itself: one attempt a check.
    home = None
    if settings.stamps:
        home = sheet_home(aws.with_attempts(1), settings.stamps)
    checker = Checker(
        home,
        store.apply,
        interval_seconds=settings.check_interval_seconds,
        timeout_seconds=settings.check_timeout_seconds,
        clock=clock,
        random=_random,
        log=log,
    )
    return store, checker


def _endpoint(
    environ: Mapping[str, str], store: Store, checker: Checker, clock: Clock
) -> Endpoint:
    """What answers, to those who have the token of this environment."""
    from extension.endpoint import Endpoint  # noqa: PLC0415  see above
    from rotaware.tokens import Tokens  # noqa: PLC0415  likewise

    tokens = Tokens(environ, clock)
    # Only this variable stays what it is.
    changes = not environ.get("AWS_SESSION_TOKEN")
    return Endpoint(
        store,
        checker,
        partial(_token, tokens.current, clock),
        clock,
        renewed_token=partial(_token, tokens.renewed, clock) if changes else None,
    )


def _server(
    listener: _socket.socket, endpoint: Endpoint, clock: Clock, log: Logger
) -> HttpServer:
    """What listens, and what waits for AWS on its behalf."""
    from extension.http_server import HttpServer  # noqa: PLC0415  see above
    from extension.workers import Workers  # noqa: PLC0415  likewise

    workers = Workers(MAX_WORKERS, log)
    return HttpServer(listener, endpoint, workers, clock=clock, log=log)


def _token(look_up: Callable[[Deadline], str], clock: Clock) -> str | None:
    try:
        return look_up(Deadline(clock, _TOKEN_SECONDS))
    except RotawareError:
        return None


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
