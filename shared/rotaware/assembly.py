"""The store with its sources, and what tells it about stamps, put together.

The extension does it with a client of its own, the function's process with boto3. What
they hold and when they let go of it is the same because it is this.
"""

from __future__ import annotations

from rotaware.aws import Aws
from rotaware.cache import Cache
from rotaware.checker import Checker
from rotaware.kms import TTL_SECONDS, KmsSource
from rotaware.lean import TYPE_CHECKING, Protocol
from rotaware.secret import KMS, PARAMETER_STORE, SECRETS_MANAGER
from rotaware.source import AwsSource
from rotaware.sources import Sources
from rotaware.stamps import sheet_home
from rotaware.store import Store
from rotaware.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from threading import Thread

    from rotaware.clock import Clock, Deadline
    from rotaware.log import Log
    from rotaware.settings import Settings

PREFETCH_SECONDS = 5.0
"""How long a start waits for a prefetch. That goes on then."""


class Client(Aws, Protocol):
    """A client of AWS, which another number of attempts can be asked of."""

    def with_attempts(self, attempts: int) -> Aws:
        """The same client; 1 for who retries itself."""
        ...


def store_and_checker(  # noqa: PLR0913  each is a part that tests replace
    settings: Settings,
    ciphertexts: Mapping[str, str],
    aws: Client,
    *,
    function_name: str | None,
    clock: Clock,
    random: Callable[[], float],
    log: Log,
) -> tuple[Store, Checker]:
    """The store, and what tells it about stamps.

    Args:
        settings: All that can be set.
        ciphertexts: What encrypted variables hold, by name.
        aws: Calls AWS.
        function_name: In whose name variables may be encrypted.
        clock: Time.
        random: Uniform in [0, 1), for jitter; not the same after a restore.
        log: Told what happens, never a value.
    """
    # Variables take no place from secrets and parameters.
    size = settings.cache_size + len(ciphertexts) if settings.cache_enabled else 0
    tally = Tally()
    store = Store(
        _source(settings, ciphertexts, aws, function_name, clock, tally),
        Cache(size, settings.stale_if_error_seconds),
        {
            SECRETS_MANAGER: settings.secrets_ttl_seconds,
            PARAMETER_STORE: settings.parameters_ttl_seconds,
            KMS: TTL_SECONDS,
        },
        clock,
        log,
        tally,
    )
    home = None
    if settings.stamps:
        # The checker backs off by itself: one attempt a check.
        home = sheet_home(aws.with_attempts(1), settings.stamps)
    checker = Checker(
        home,
        store.apply,
        interval_seconds=settings.check_interval_seconds,
        timeout_seconds=settings.check_timeout_seconds,
        clock=clock,
        random=random,
        log=log,
        tally=tally,
    )
    return store, checker


def settle(
    store: Store, checker: Checker, threads: Iterable[Thread], patience: Deadline
) -> None:
    """Wait for a prefetch, and for the first look at the sheet.

    What that look put in doubt is fetched again, by batches.
    """
    threads = list(threads)
    _join(threads, patience)
    if threads:
        checker.ensure_checked(patience.remaining_seconds())
    _join(store.prefetch_doubted(), patience)


def _join(threads: Iterable[Thread], patience: Deadline) -> None:
    for thread in threads:
        thread.join(patience.remaining_seconds())


def _source(  # noqa: PLR0913, PLR0917  likewise
    settings: Settings,
    ciphertexts: Mapping[str, str],
    aws: Client,
    function_name: str | None,
    clock: Clock,
    tally: Tally,
) -> Sources:
    """What asks AWS, by service."""
    named = AwsSource(
        aws,
        {
            SECRETS_MANAGER: settings.secrets_timeout_seconds,
            PARAMETER_STORE: settings.parameters_timeout_seconds,
        },
    )
    encrypted = KmsSource(aws, ciphertexts, function_name)
    return Sources(
        {SECRETS_MANAGER: named, PARAMETER_STORE: named, KMS: encrypted}, clock, tally
    )
