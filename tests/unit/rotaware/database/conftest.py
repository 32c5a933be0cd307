"""Real servers, where a driver's own ways are the point; each starts in a second."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.answers import Secret
from rotaware.secret import AWSCURRENT
from tests.support.postgres import Postgres
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.database_server import DatabaseServer


class Rotating:
    """A secret for a user of a real server, and the client that reads it.

    Attributes:
        reads: Instead of which version each read asked.
    """

    def __init__(self, server: DatabaseServer, user: str) -> None:
        self.server = server
        self.user = user
        self.number = 1
        self.reads: list[str | None] = []
        self.failure: Exception | None = None
        self.windows = 0
        server.make_user(user, self.password(1))

    def password(self, number: int) -> str:
        """The canary in a version."""
        return f"canary-{self.user}-{number}"

    def rotate(self, questions_in_window: int = 0) -> None:
        """A single-user rotation, whose last step waits for so many questions."""
        self.server.set_password(self.user, self.password(self.number + 1))
        if questions_in_window:
            self.windows = questions_in_window
        else:
            self.number += 1

    def read_secret(
        self,
        name: str,
        *,
        version_stage: str | None = None,
        instead_of: str | None = None,
    ) -> Secret:
        """As ``rotaware.Client`` does, with a memory that is always right."""
        self.reads.append(instead_of)
        if self.failure is not None:
            raise self.failure
        if instead_of is not None and self.windows:
            self.windows -= 1
            if not self.windows:
                self.number += 1
        fields: dict[str, Any] = self.server.secret(
            self.user, self.password(self.number)
        )
        return Secret(
            name, json.dumps(fields), f"v{self.number}", (version_stage or AWSCURRENT,)
        )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL."""
    with Postgres() as running:
        yield running


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Redis."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def rotating(postgres: Postgres, request: pytest.FixtureRequest) -> Rotating:
    """A PostgreSQL user of the test's own."""
    return Rotating(postgres, f"u{abs(hash(request.node.name)) % 10**9}")


@pytest.fixture
def rotating_redis(
    redis_server: RedisServer, request: pytest.FixtureRequest
) -> Rotating:
    """A Redis user of the test's own."""
    return Rotating(redis_server, f"u{abs(hash(request.node.name)) % 10**9}")
