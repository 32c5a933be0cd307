"""The rig of the database tests: real servers, one of each, and one AWS for all.

Every password is a canary: what servers, functions and AWS have logged is searched for
it at the end. There is no invalidator, so it is the rotation functions that stamp.
"""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.mariadb import Mariadb
from tests.support.postgres import Postgres
from tests.support.redis_server import RedisServer
from tests.support.rotator import (
    PREFIX,
    SHEET,
    acting_as_rotation_function,
    lay_out_sheet,
    make_secret_in,
)
from tests.support.stand_in import StandIn, reading_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.database_server import DatabaseServer

CANARY = "canary"


def found_canaries(lines: list[str]) -> list[str]:
    """Those that hold a password, plain or in Base64."""
    encoded = base64.b64encode(CANARY.encode()).decode().rstrip("=")
    return [line for line in lines if CANARY in line or encoded in line]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL."""
    with Postgres() as running:
        yield running

        assert found_canaries(running.lines) == []


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Mariadb]:
    """MariaDB."""
    with Mariadb() as running:
        yield running

        assert found_canaries(running.lines) == []


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Redis."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """The server that the test's parameter names."""
    found: DatabaseServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def stand_in() -> Iterator[StandIn]:
    """AWS, and an empty sheet as the template makes it; no events, no invalidator."""
    with StandIn() as running:
        lay_out_sheet(running)
        yield running

        assert found_canaries(running.lines) == []


@pytest.fixture(scope="session")
def rotation_role(stand_in: StandIn) -> Iterator[None]:
    """This process has the rotation function's role, and its variables."""
    with acting_as_rotation_function(stand_in):
        yield


@pytest.fixture(scope="session")
def credentials(stand_in: StandIn) -> dict[str, str]:
    """Of the functions' role."""
    return stand_in.assume(reading_policy(PREFIX, SHEET))


@pytest.fixture(scope="session")
def make_secret(stand_in: StandIn) -> Callable[[dict[str, Any]], str]:
    """Makes a secret that no other test knows; its ARN."""
    return partial(make_secret_in, stand_in)
