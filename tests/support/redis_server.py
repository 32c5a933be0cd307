"""A Redis server for tests: users by ACL, nothing written to disk.

A Redis user may have several passwords at once, so a rotation here can overlap.
"""

from __future__ import annotations

import signal

import redis

from tests.support.database_server import ADMIN_PASSWORD, HOST, DatabaseServer, program


class RedisServer(DatabaseServer):
    """A running Redis; its administrator is the user ``default``."""

    engine = "redis"
    stop_signal = signal.SIGKILL
    ready = "Ready to accept connections"

    def command(self) -> list[str]:
        """The server; its only settings are on the command line."""
        return [
            program("redis-server", "redis-server"), "--bind", HOST,
            "--port", str(self.port), "--save", "", "--appendonly", "no",
            "--dir", str(self.folder), "--requirepass", ADMIN_PASSWORD,
            "--acllog-max-len", "100000",
        ]  # fmt: skip

    def client(self) -> redis.Redis:
        """A client of the administrator's."""
        return redis.Redis(
            host=self.host,
            port=self.port,
            username="default",
            password=ADMIN_PASSWORD,
            decode_responses=True,
        )

    def make_user(self, name: str, password: str) -> None:
        """A user with all rights and one password."""
        self._set(name, passwords=[f"+{password}"], keys=["*"], categories=["+@all"])

    def set_password(self, name: str, password: str) -> None:
        """Change a user's password; sessions that are open stay open."""
        self._set(name, passwords=[f"+{password}"], reset_passwords=True)

    def refused_logins(self, username: str = "") -> int:
        """How many logins it has refused, by its ACL log: it has no lines for them."""
        with self.client() as client:
            log = client.acl_log()
        return sum(
            int(each["count"])
            for each in log
            if each["reason"] == "auth" and username in each["username"]
        )

    def _set(self, name: str, **changes: object) -> None:
        with self.client() as client:
            # redis-py disables the user unless it is told otherwise.
            client.acl_setuser(name, enabled=True, **changes)
