"""Pools in an execution environment, on real servers: they outlive rotations.

All kinds of pools work in one environment with the layer; their secrets rotate twice,
single-user, with a window of a second. Who logs in then has nothing else than the
rotation function's stamp, or its own refused login, to learn it from.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest

from examples.rotation.function.single_user import SingleUser
from tests.databases.conftest import found_canaries
from tests.databases.course import make_login, make_user
from tests.databases.pools.app import ASYNC, SYNC
from tests.support.rotator import Rotator
from tests.support.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.mariadb import Mariadb
    from tests.support.postgres import Postgres
    from tests.support.stand_in import StandIn

FUNCTION = Path(__file__).with_name("pools")
KINDS = [*SYNC, *ASYNC]
ROTATIONS = 2
DRAIN_SECONDS = 1.5
"""A pool looks once a second; what was in use then is closed when it comes back."""

pytestmark = pytest.mark.timeout(120)


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        problems: What function code has seen fail, by kind of pool.
        used: The sessions that were used, by kind: first those before all rotations,
            then, for each, those from its beginning to the end of its drain time.
        alive: The sessions that the servers had at the end of each drain time.
    """

    problems: dict[str, list[str]]
    used: dict[str, list[set[int]]]
    alive: list[set[int]]


@pytest.fixture(scope="module")
def outcome(  # noqa: PLR0913, PLR0917  all parts of the rig
    postgres: Postgres,
    mariadb: Mariadb,
    stand_in: StandIn,
    make_secret: Callable[[dict[str, Any]], str],
    rotation_role: None,  # noqa: ARG001  what it does is wanted
    credentials: dict[str, str],
) -> Iterator[Outcome]:
    """Two rotations of both secrets, while all pools are at work."""
    client = boto3.client("secretsmanager")
    servers = (postgres, mariadb)
    users = {each.engine: make_user(each, "single user") for each in servers}
    secrets = {
        each.engine: make_login(each, make_secret, users[each.engine])
        for each in servers
    }
    found = Outcome({kind: [] for kind in KINDS}, {kind: [set()] for kind in KINDS}, [])
    sandbox = Sandbox(
        FUNCTION,
        environ={"ROTAWARE_CHECK_INTERVAL": "0", **credentials},
        endpoint_url=stand_in.url,
        timeout_seconds=60,
    )

    def work(seconds: float) -> None:
        body = sandbox.invoke({"secrets": secrets, "seconds": seconds}).body
        assert isinstance(body, dict), body
        assert set(KINDS) == body.keys(), body
        for kind, each in body.items():
            found.problems[kind].extend(each["problems"])
            found.used[kind][-1].update(each["sessions"])

    def rotate(secret: str) -> None:
        Rotator(client, secret, SingleUser(), lambda: time.sleep(1.0)).rotate()

    try:
        with ThreadPoolExecutor() as threads:
            work(0.5)
            for _ in range(ROTATIONS):
                for used in found.used.values():
                    used.append(set())
                rotating = [threads.submit(rotate, each) for each in secrets.values()]
                while not all(each.done() for each in rotating):
                    work(0.5)
                for each in rotating:
                    each.result()
                work(DRAIN_SECONDS)
                found.alive.append(sessions(postgres, mariadb, users))
        yield found
    finally:
        sandbox.stop()
        client.close()

    assert found_canaries(sandbox.lines) == []


def sessions(postgres: Postgres, mariadb: Mariadb, users: dict[str, str]) -> set[int]:
    """Of the pools' users, on both servers."""
    with postgres.connect() as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE usename = %s", [users["postgres"]]
        ).fetchall()
    with mariadb.connect() as other, other.cursor() as cursor:
        cursor.execute(
            "SELECT -ID FROM information_schema.PROCESSLIST WHERE USER = %s",
            [users["mariadb"]],
        )
        return {int(number) for (number,) in (*rows, *cursor.fetchall())}


@pytest.mark.parametrize("kind", KINDS)
def test_pools_work_through_rotations(outcome: Outcome, kind: str) -> None:
    """Every turn gets a connection, without a restart, and never a dead one."""
    assert [] == outcome.problems[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_old_connections_drain(outcome: Outcome, kind: str) -> None:
    """After the drain time none is left that logged in before the rotation."""
    used = outcome.used[kind]
    for before, since, alive in zip(used, used[1:], outcome.alive, strict=False):
        assert before.isdisjoint(alive)
        assert not since.isdisjoint(alive)
