"""A secret and a server that takes its logins, for tests of ``rotaware.database``.

``Account`` stands for the client that reads the secret, and its ``connect`` functions
for a driver's: they take the password that a test says the server takes.
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any

from rotaware.answers import Secret
from rotaware.secret import AWSCURRENT, AWSPENDING

if TYPE_CHECKING:
    from rotaware.errors import RotawareError


class AccessError(Exception):
    """What the server says, as a PostgreSQL driver tells it."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def password_of(version: str) -> str:
    """The password in a version."""
    return f"canary-{version}"


class Account:
    """One secret, and the server that it is for.

    Attributes:
        labels: Which version each label is on.
        taken: The versions whose password the server takes.
        fault: What the server says instead, if it says something else.
        fields: What else is in the secret.
        reads: What was asked: the label, and instead of which version.
        answers: Versions, or errors, that the next reads bring, whatever is current.
        logins: With what the server was called.
    """

    def __init__(self) -> None:
        self.labels = {AWSCURRENT: "v1", AWSPENDING: "v1"}
        self.taken = {"v1"}
        self.fault: BaseException | None = None
        self.fields: dict[str, Any] = {"username": "app", "host": "db.internal"}
        self.reads: list[tuple[str | None, str | None]] = []
        self.answers: deque[str | RotawareError] = deque()
        self.logins: list[dict[str, Any]] = []

    def rotate(self, version: str) -> None:
        """Both steps of a rotation, with nothing in between."""
        self.labels = {AWSCURRENT: version, AWSPENDING: version}
        self.taken = {version}

    def read_secret(
        self,
        name: str,
        *,
        version_stage: str | None = None,
        instead_of: str | None = None,
    ) -> Secret:
        """As ``rotaware.Client`` does."""
        self.reads.append((version_stage, instead_of))
        answer = self.answers.popleft() if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        version = answer or self.labels[version_stage or AWSCURRENT]
        value = json.dumps({**self.fields, "password": password_of(version)})
        return Secret(name, value, version)

    def connect(self, **options: Any) -> str:
        """As a driver does; keeps the password in its frame, as they do."""
        password = options["password"]
        self.logins.append(options)
        if self.fault is not None:
            raise self.fault
        if password not in map(password_of, self.taken):
            raise AccessError(f"no entry with {password}", "28P01")
        return f"connection as {options['user']} to {options['host']}"

    async def connect_async(self, **options: Any) -> str:
        """The same for an event loop."""
        return self.connect(**options)
