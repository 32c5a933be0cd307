"""redis-py's clients, sync and async, with logins from a secret.

A client is a pool: each of its connections logs in by itself, whenever one is needed.
So what the client gets is not a password but who knows it, and a way to retry: redis-py
alone repeats a refused login ten times. Here it goes by the rule.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from rotaware.database.arguments import arguments_of
from rotaware.database.login import login_of
from rotaware.database.rule import Read, Refused
from rotaware.database.scrub import scrub

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rotaware.answers import Secret
    from rotaware.database.login import Login
    from rotaware.database.secrets import Logins

_chosen: ContextVar[Login | None] = ContextVar("chosen", default=None)
"""By the rule, for the login that is about to be tried."""
_used: ContextVar[tuple[Login, float] | None] = ContextVar("used", default=None)
"""The login that was told last, and when."""
_busy: ContextVar[bool] = ContextVar("busy", default=False)
"""Whether a refused login is already being cared for further out."""

RETRIES = 3
"""How often a command is repeated when the connection is lost, as redis-py did."""


def client_of(
    connect: Callable[..., Any], logins: Logins, given: Mapping[str, Any]
) -> Any:
    """A client that has logged in once."""
    client = connect(**_arguments(logins, logins.read(Read()), given, Retry))
    try:
        client.ping()
    except BaseException:
        client.close()
        raise
    return client


async def async_client_of(
    connect: Callable[..., Any], logins: Logins, given: Mapping[str, Any]
) -> Any:
    """The same on an event loop."""
    read = asyncio.to_thread(logins.read, Read())
    client = connect(**_arguments(logins, await read, given, AsyncRetry))
    try:
        await client.ping()
    except BaseException:
        await client.aclose()
        raise
    return client


def _arguments(
    logins: Logins, secret: Secret, given: Mapping[str, Any], kind: type[Any]
) -> dict[str, Any]:
    if "connection_pool" in given:
        raise TypeError("a connection_pool has logins of its own: leave it out")
    credentials = Credentials(logins)
    login = login_of(secret.id, secret.version_id, secret.value)
    arguments = arguments_of(secret.id, login, "redis", given)
    for name in {"username", "password"} - given.keys():
        arguments.pop(name, None)
    own = _LoginRetry if kind is Retry else _AsyncLoginRetry
    backoff = ExponentialWithJitterBackoff(base=1, cap=10)
    retry = own(backoff, RETRIES)
    retry.credentials = credentials
    return {"credential_provider": credentials, "retry": retry, **arguments}


class Credentials(CredentialProvider):
    """Tells each connection the login of the current version."""

    def __init__(self, logins: Logins) -> None:
        self.logins = logins

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """What redis-py asks for in a thread."""
        login = _chosen.get() or self._current(self.logins.read(Read()))
        return self._told(login)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """What redis-py asks for on an event loop."""
        login = _chosen.get()
        if login is None:
            login = self._current(await asyncio.to_thread(self.logins.read, Read()))
        return self._told(login)

    def _current(self, secret: Secret) -> Login:
        _used.set(None)
        if self.logins.ledger().is_refused(secret.version_id):
            raise AuthenticationError("this version's login is known to be refused")
        return login_of(secret.id, secret.version_id, secret.value)

    def _told(self, login: Login) -> tuple[str] | tuple[str, str]:
        _used.set((login, self.logins.now()))
        if login.username is None:
            return (login.password,)
        return (login.username, login.password)

    def refused(self, error: BaseException) -> Refused | None:
        """Which login just failed, if one was told."""
        used = _used.get()
        if used is None:
            return None
        login, began = used
        scrub(error, login.password)
        return Refused(login.version_id, error, began)


class _Again:
    """Does what failed once more, with a login that the rule has chosen."""

    place: int = 0

    def __init__(self, do: Callable[[], Any]) -> None:
        self._do = do

    def __call__(self, login: Login) -> Any:
        """What the command answers, or nothing."""
        _chosen.set(login)  # no token: it would hold all that is set
        try:
            return self._do()
        finally:
            _chosen.set(None)

    def password(self, login: Login) -> str:
        """What must be in no exception."""
        return login.password


class _AgainAsync(_Again):
    async def __call__(self, login: Login) -> Any:
        _chosen.set(login)  # no token: it would hold all that is set
        try:
            return await self._do()
        finally:
            _chosen.set(None)


class _NotAgain(Exception):  # noqa: N818  it carries one
    """Carries a refused login past redis-py's own repetition."""


class _LoginRetry(Retry):
    """Repeats as redis-py does, but a refused login by the rule."""

    credentials: Credentials

    def __deepcopy__(self, memo: dict[int, Any]) -> _LoginRetry:
        made = type(self)(deepcopy(self._backoff, memo), self._retries)
        made._supported_errors = self._supported_errors  # noqa: SLF001  a copy of itself
        made.credentials = self.credentials
        return made

    def call_with_retry(self, do: Any, fail: Any, *rest: Any, **named: Any) -> Any:
        """See redis-py."""

        def once() -> Any:
            try:
                return do()
            except AuthenticationError as error:
                raise _NotAgain(error) from None

        def usual() -> Any:
            try:
                return super(_LoginRetry, self).call_with_retry(
                    once, fail, *rest, **named
                )
            except _NotAgain as carrier:
                error = carrier.args[0]
            raise error

        if _busy.get():
            return usual()
        _busy.set(True)
        try:
            try:
                return usual()
            except AuthenticationError as error:
                refused = self.credentials.refused(error)
            again = _Again(usual)
            logins = self.credentials.logins
            return logins.enter(again, awaited=False, refused=refused)
        finally:
            _busy.set(False)
            _used.set(None)


class _AsyncLoginRetry(AsyncRetry):
    """The same on an event loop."""

    credentials: Credentials

    def __deepcopy__(self, memo: dict[int, Any]) -> _AsyncLoginRetry:
        made = type(self)(deepcopy(self._backoff, memo), self._retries)
        made._supported_errors = self._supported_errors  # noqa: SLF001  a copy of itself
        made.credentials = self.credentials
        return made

    async def call_with_retry(
        self, do: Any, fail: Any, *rest: Any, **named: Any
    ) -> Any:
        """See redis-py."""

        async def once() -> Any:
            try:
                return await do()
            except AuthenticationError as error:
                raise _NotAgain(error) from None

        async def usual() -> Any:
            try:
                return await super(_AsyncLoginRetry, self).call_with_retry(
                    once, fail, *rest, **named
                )
            except _NotAgain as carrier:
                error = carrier.args[0]
            raise error

        if _busy.get():
            return await usual()
        _busy.set(True)
        try:
            try:
                return await usual()
            except AuthenticationError as error:
                refused = self.credentials.refused(error)
            again = _AgainAsync(usual)
            logins = self.credentials.logins
            return await logins.enter(again, awaited=True, refused=refused)
        finally:
            _busy.set(False)
            _used.set(None)
