"""A PostgreSQL server for tests: passwords by SCRAM-SHA-256, no other way in."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from tests.support.database_server import ADMIN_PASSWORD, LoggingServer, program

if TYPE_CHECKING:
    from typing import LiteralString

ADMIN = "postgres"
DATABASE = "app"
# Debian keeps each version's programs in a folder of its own, the newest last.
PLACES = ":".join(
    str(path)
    for path in sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: path.parent.name.zfill(4),
        reverse=True,
    )
)
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "16MB",
    # Time, process, SQLSTATE, user: what a refused login is counted by.
    "log_line_prefix": "%m [%p] %e %u ",
    "log_connections": "on",
}


class Postgres(LoggingServer):
    """A running PostgreSQL; its administrator is ``postgres``."""

    engine = "postgres"
    stop_signal = signal.SIGQUIT
    ready = "database system is ready to accept connections"
    refusal = (" 28P01 ", "FATAL:")

    def lay_out(self) -> None:
        """A cluster; ``initdb`` takes most of the second that a start needs."""
        password = self.folder / "password"
        password.write_text(ADMIN_PASSWORD)
        password.chmod(0o644)
        self.run(
            [
                program("initdb", "postgresql", PLACES), "-D", str(self.data),
                "-U", ADMIN, "--auth=scram-sha-256", f"--pwfile={password}",
                "--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8",
            ]
        )  # fmt: skip
        password.unlink()

    def command(self) -> list[str]:
        """The server itself, without ``pg_ctl``."""
        options = [f"-c{name}={value}" for name, value in OPTIONS.items()]
        postgres = program("postgres", "postgresql", PLACES)
        return [postgres, "-D", str(self.data), "-p", str(self.port), *options]

    def prepare(self) -> None:
        """The database of the tests."""
        self.execute(f"CREATE DATABASE {DATABASE}", database="postgres")

    def connect(self, database: str = DATABASE) -> psycopg.Connection:
        """A connection of the administrator's, which commits at once."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=ADMIN,
            password=ADMIN_PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def execute(self, statement: LiteralString, database: str = DATABASE) -> None:
        """Run a statement as the administrator."""
        with self.connect(database) as connection:
            connection.execute(statement)

    def fail_to_log_in(self, username: str) -> None:
        """A role that does not exist is refused as a wrong password is."""
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(
                host=self.host, port=self.port, user=username, password=ADMIN_PASSWORD
            )

    def make_user(self, name: str, password: str) -> None:
        """A role that may log in."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(name), sql.Literal(password)
                )
            )

    def set_password(self, name: str, password: str) -> None:
        """Change a role's password; sessions that are open stay open."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(name), sql.Literal(password)
                )
            )

    def secret(
        self, username: str, password: str, **fields: object
    ) -> dict[str, object]:
        """As the base's, with the database."""
        return super().secret(username, password, **{"dbname": DATABASE, **fields})
