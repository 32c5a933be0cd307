"""redis-py's clients go on through rotations: each connection logs in by the rule."""

from __future__ import annotations

import asyncio
import time
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio

from rotaware import database
from rotaware.answers import Secret
from rotaware.database.ledger import LEASE_SECONDS
from rotaware.database.redis_py import Credentials
from rotaware.database.secrets import Budget, Logins

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer
    from tests.unit.rotaware.database.conftest import Rotating


def open_client(rotating: Rotating, **options: Any) -> redis.Redis:
    """A client by the account."""
    client: Any = rotating
    return database.connect(redis.Redis, "db", client=client, **options)


def refused(rotating: Rotating) -> int:
    """How many of the user's logins the server has refused."""
    server: Any = rotating.server
    return int(server.refused_logins(rotating.user))


def shown(error: BaseException) -> str:
    """All that a curious error reporter prints of the frames below a test's own."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    del trace.stack[0]
    return "".join(trace.format()) + repr(vars(error))


def test_a_client_works_through_rotations(rotating_redis: Rotating) -> None:
    """New connections log in by the current version, old ones go on."""
    with open_client(rotating_redis, decode_responses=True) as client:
        assert client.set("a", "1")
        rotating_redis.rotate()
        assert "1" == client.get("a")
        client.connection_pool.disconnect()
        assert "1" == client.get("a")

    assert 0 == refused(rotating_redis)


def test_a_window_is_waited_out(rotating_redis: Rotating) -> None:
    """At the first connection, and at any later one; one login each is refused."""
    rotating_redis.rotate(questions_in_window=1)
    with open_client(rotating_redis) as client:
        assert 1 == refused(rotating_redis)
        rotating_redis.rotate(questions_in_window=2)
        client.connection_pool.disconnect()
        assert client.ping()

    assert 2 == refused(rotating_redis)


def test_a_refused_login(rotating_redis: Rotating) -> None:
    """It is not repeated, neither by redis-py nor by the next call."""
    rotating_redis.server.set_password(rotating_redis.user, "canary-other")
    for _ in range(3):
        with pytest.raises(redis.AuthenticationError, match="pair") as failed:
            open_client(rotating_redis, budget_seconds=0)

        assert "canary" not in shown(failed.value)
    assert 1 == refused(rotating_redis)


def test_a_command_under_way_waits_too(rotating_redis: Rotating) -> None:
    """One that finds its connection lost inside of a rotation."""
    with open_client(rotating_redis, single_connection_client=True) as client:
        rotating_redis.rotate(questions_in_window=1)
        server: Any = rotating_redis.server
        with server.client() as admin:
            admin.client_kill_filter(user=rotating_redis.user)
        assert client.ping()


def test_a_login_of_the_rule_s_that_is_refused(rotating_redis: Rotating) -> None:
    """It goes back to the rule, which asks again and waits for nobody."""
    plain_read = rotating_redis.read_secret
    with open_client(rotating_redis, single_connection_client=True) as client:
        rotating_redis.server.set_password(
            rotating_redis.user, rotating_redis.password(3)
        )

        def read_secret(name: str, **asked: Any) -> Secret:
            rotating_redis.number += asked.get("instead_of") is not None
            return plain_read(name, **asked)

        rotating_redis.read_secret = read_secret  # type: ignore[method-assign]
        server: Any = rotating_redis.server
        with server.client() as admin:
            admin.client_kill_filter(user=rotating_redis.user)
        began = time.monotonic()
        assert client.ping()

    assert LEASE_SECONDS > time.monotonic() - began
    assert [None, None, None, "v1", "v2"] == rotating_redis.reads[-5:]
    assert 2 == refused(rotating_redis)


def test_logins_of_ones_own(redis_server: RedisServer) -> None:
    """A pool has its own; a user without a name is Redis' default one."""
    with pytest.raises(TypeError, match="a connection_pool has logins of its own"):
        database.connect(redis.Redis, "db", client=Unnamed(), connection_pool=None)  # type: ignore[arg-type]
    logins = Logins(Unnamed(), "db", Budget())  # type: ignore[arg-type]

    assert ("canary",) == Credentials(logins).get_credentials()
    assert redis_server.port


class Unnamed:
    """A client whose secret names no user."""

    def read_secret(self, name: str, **_: Any) -> Secret:
        return Secret(name, '{"password": "canary", "host": "h"}', "v1")


def test_a_server_that_is_down(rotating_redis: Rotating) -> None:
    """It is no refused login, and nobody is asked."""
    with pytest.raises(redis.ConnectionError):
        open_client(rotating_redis, port=1, retry=None)

    assert [None] == rotating_redis.reads


def test_async_clients(rotating_redis: Rotating) -> None:
    """The same on an event loop."""
    account: Any = rotating_redis

    async def main() -> None:
        rotating_redis.rotate(questions_in_window=1)
        client = await database.connect(redis.asyncio.Redis, "db", client=account)
        assert await client.ping()
        rotating_redis.rotate(questions_in_window=2)
        await client.connection_pool.disconnect()
        assert await client.ping()
        rotating_redis.rotate(questions_in_window=1)
        server: Any = rotating_redis.server
        with server.client() as admin:
            admin.client_kill_filter(user=rotating_redis.user)
        assert await client.ping()
        await client.aclose()

    asyncio.run(main())
    assert 3 == refused(rotating_redis)


def test_an_async_refusal(rotating_redis: Rotating) -> None:
    """Neither repeated nor told with the password."""
    account: Any = rotating_redis
    rotating_redis.server.set_password(rotating_redis.user, "canary-other")

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(redis.AuthenticationError) as failed:
                await database.connect(
                    redis.asyncio.Redis, "db", client=account, budget_seconds=0
                )
            assert "canary" not in shown(failed.value)

    asyncio.run(main())
    assert 1 == refused(rotating_redis)
