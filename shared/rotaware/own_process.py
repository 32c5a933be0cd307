"""The cache in the function's own process, over boto3, where no extension can run.

That is at the edge, which has neither layers nor environment variables, on a
developer's machine, and in tests. This is the composition root of that mode: it alone
looks at the environment. Nothing is written to standard output, which is the program's
own: what an operator may want to see goes to ``logging``.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from random import SystemRandom
from typing import TYPE_CHECKING, NamedTuple

from rotaware import parsers
from rotaware.arguments import configured
from rotaware.client import DECRYPT_VARIABLE, TRUE_WORDS, Client
from rotaware.clock import Deadline, SystemClock
from rotaware.endpoints import Endpoint
from rotaware.errors import SettingsError
from rotaware.library_log import LibraryLog
from rotaware.store_reader import Parts, StoreReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import boto3

    from rotaware.arguments import Config, Listed
    from rotaware.reader import Reader

_FUNCTION_NAME = "AWS_LAMBDA_FUNCTION_NAME"
_PACKAGES = ("boto3", "cachetools")
_REGION_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def in_process(  # noqa: PLR0913  each can be set by itself
    *,
    region: str | None = None,
    session: boto3.Session | None = None,
    endpoint_url: str | None = None,
    secrets: Listed = (),
    parameters: Listed = (),
    variables: Mapping[str, str] | None = None,
    decrypt: bool | None = None,
    namespace: str | None = None,
    stamps: str | None = None,
    check_interval_seconds: float | None = None,
    check_timeout_seconds: float | None = None,
    secrets_ttl_seconds: float | None = None,
    parameters_ttl_seconds: float | None = None,
    stale_if_error_seconds: float | None = None,
    secrets_timeout_seconds: float | None = None,
    parameters_timeout_seconds: float | None = None,
    max_connections: int | None = None,
    cache_enabled: bool | None = None,
    cache_size: int | None = None,
    prefetch: bool | None = None,
    environ: Mapping[str, str] | None = None,
) -> Client:
    """A client that holds secrets in this process, and knows about rotation.

    Make one, when the module is loaded, and keep it. What is to be prefetched is here
    when this returns, or after 5 seconds still under way.

    Args:
        region: Whose secrets and sheet are read; None for the session's, or that of the
            environment.
        session: Where boto3 finds credentials; None for a new one.
        endpoint_url: Where all services answer, instead of AWS.
        secrets: Names or ARNs to prefetch. A mapping gives each its options, or None:
            ``ttl_seconds`` and ``version_stage``.
        parameters: Likewise, with ``ttl_seconds`` and ``decrypt``.
        variables: KMS ciphertext in base64 by name, for ``get_variable``; None for what
            ``ROTAWARE_KMS_ENV`` lists.
        decrypt: Whether a SecureString comes back decrypted where a read does not say;
            None leaves it to ``POWERTOOLS_PARAMETERS_SSM_DECRYPT``, else False.
        namespace: As ``ROTAWARE_NAMESPACE``.
        stamps: As ``ROTAWARE_STAMPS``.
        check_interval_seconds: As ``ROTAWARE_CHECK_INTERVAL``; 0: a look at the sheet
            before each read.
        check_timeout_seconds: As ``ROTAWARE_CHECK_TIMEOUT``.
        secrets_ttl_seconds: As ``SECRETS_MANAGER_TTL``.
        parameters_ttl_seconds: As ``SSM_PARAMETER_STORE_TTL``.
        stale_if_error_seconds: As ``ROTAWARE_STALE_IF_ERROR``.
        secrets_timeout_seconds: As ``SECRETS_MANAGER_TIMEOUT_MILLIS``, in seconds.
        parameters_timeout_seconds: As ``SSM_PARAMETER_STORE_TIMEOUT_MILLIS``, likewise.
        max_connections: As ``PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS``.
        cache_enabled: As ``PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED``.
        cache_size: As ``PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE``.
        prefetch: As ``ROTAWARE_PREFETCH``, True or False.
        environ: Where settings are that are no arguments; None for the environment.

    Raises:
        SettingsError: With every problem of arguments and environment.
    """
    settings = {
        "namespace": namespace,
        "stamps": stamps,
        "check_interval_seconds": check_interval_seconds,
        "check_timeout_seconds": check_timeout_seconds,
        "secrets_ttl_seconds": secrets_ttl_seconds,
        "parameters_ttl_seconds": parameters_ttl_seconds,
        "stale_if_error_seconds": stale_if_error_seconds,
        "secrets_timeout_seconds": secrets_timeout_seconds,
        "parameters_timeout_seconds": parameters_timeout_seconds,
        "max_connections": max_connections,
        "cache_enabled": cache_enabled,
        "cache_size": cache_size,
        "prefetch": prefetch,
    }
    if environ is None:
        environ = os.environ  # noqa: TID251  function code's own door
    if decrypt is None:
        decrypt = environ.get(DECRYPT_VARIABLE, "").lower() in TRUE_WORDS
    reader = _reader(
        environ,
        lambda: configured(
            environ,
            settings,
            secrets=secrets,
            parameters=parameters,
            variables=variables,
        ),
        lambda: _place(environ, region, session, endpoint_url),
    )
    return Client(reader, decrypt=decrypt)


def reader_from_environ(environ: Mapping[str, str]) -> Reader:
    """What reads in this process, as the environment alone describes it.

    Raises:
        SettingsError: With every problem of the environment.
    """
    return _reader(environ, lambda: configured(environ, {}), lambda: _place(environ))


class _Place(NamedTuple):
    """Where AWS is called, and as whom."""

    session: boto3.Session
    region: str
    endpoint_url: str | None


def _place(
    environ: Mapping[str, str],
    region: str | None = None,
    session: boto3.Session | None = None,
    endpoint_url: str | None = None,
) -> _Place:
    """Where AWS is called; SettingsError has every problem."""
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        fault = f"needs {' and '.join(missing)}, which cannot be imported"
        raise SettingsError([f"in_process: {fault}; add that to the function's bundle"])
    from rotaware.boto import new_session  # noqa: PLC0415  boto3 is there

    problems: list[str] = []
    if session is None:
        try:
            session = new_session()
        except SettingsError as error:
            problems += error.problems
    elif not callable(getattr(session, "client", None)):
        problems.append("session: is no boto3.Session; give one, or leave it out")
        session = None
    if endpoint_url is not None:
        try:
            Endpoint.parse(endpoint_url)
        except ValueError as error:
            problems.append(f"endpoint_url: {error}; use http://host:port")
    if region is None:
        region = _region_around(environ, session)
    if not region or not _REGION_CHARACTERS.issuperset(region):
        fault = "is not known" if not region else f"{parsers.quote(region)} is none"
        problems.append(f"region: {fault}; give one such as eu-west-1")
    if session is None or region is None or problems:
        raise SettingsError(problems)
    return _Place(session, region, endpoint_url)


def _region_around(
    environ: Mapping[str, str], session: boto3.Session | None
) -> str | None:
    """The Region that is meant where none is given."""
    if "." in environ.get(_FUNCTION_NAME, ""):
        # At the edge its name has a Region before it, and AWS_REGION is any.
        return None
    named = environ.get("AWS_REGION")
    return named or (None if session is None else session.region_name)


def _reader(
    environ: Mapping[str, str],
    configure: Callable[[], Config],
    find_place: Callable[[], _Place],
) -> StoreReader:
    """Reads as configured; what is to be prefetched is there, or under way.

    SettingsError has the problems of all parts.
    """
    problems: list[str] = []
    config = place = None
    try:
        place = find_place()
    except SettingsError as error:
        problems += error.problems
    try:
        config = configure()
    except SettingsError as error:
        problems += error.problems
    if config is None or place is None:
        raise SettingsError(problems)
    return _started(environ.get(_FUNCTION_NAME), config, place)


def _started(function_name: str | None, config: Config, place: _Place) -> StoreReader:
    from rotaware.assembly import (  # noqa: PLC0415  needs cachetools
        PREFETCH_SECONDS,
        settle,
        store_and_checker,
    )
    from rotaware.boto import BotoAws  # noqa: PLC0415  needs boto3

    clock = SystemClock()

    def parts() -> Parts:
        aws = BotoAws(
            session=place.session,
            region=place.region,
            endpoint_url=place.endpoint_url,
            max_connections=config.settings.max_connections,
        )
        store, checker = store_and_checker(
            config.settings,
            config.ciphertexts,
            aws,
            function_name=function_name,
            clock=clock,
            random=SystemRandom().random,  # a restored snapshot must not repeat it
            log=LibraryLog(),
        )
        store.expect(config.prefetch)
        return Parts(store, checker, aws.close_idle)

    reader = StoreReader(parts)
    store, checker, _ = reader.parts
    threads = store.prefetch(config.queries)
    if threads:
        checker.begin()
    settle(store, checker, threads, Deadline(clock, PREFETCH_SECONDS))
    return reader
