"""A MariaDB server for tests: passwords alone, no socket, no anonymous user."""

from __future__ import annotations

import signal

import pymysql
import pytest

from tests.support.database_server import (
    ADMIN_PASSWORD,
    HOST,
    LoggingServer,
    program,
)

ADMIN = "administrator"
DATABASE = "app"
PACKAGE = "mariadb-server-core"
# Nothing here has to survive a power cut.
FAST = (
    "--innodb-flush-method=nosync",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-data-file-path=ibdata1:4M:autoextend",
    "--innodb-log-file-size=4M",
    "--innodb-buffer-pool-size=8M",
    "--skip-name-resolve",
)
OPTIONS = (
    f"--bind-address={HOST}",
    "--max-connections=200",
    "--skip-log-bin",
    # From 2 on, each refused login is a line of the log; from 4 on, it says more.
    "--log-warnings=2",
)


class Mariadb(LoggingServer):
    """A running MariaDB; its administrator is ``administrator``."""

    engine = "mariadb"
    stop_signal = signal.SIGKILL
    ready = "ready for connections"
    refusal = ("[Warning] Access denied for user",)

    def lay_out(self) -> None:
        """The system's tables, and the administrator."""
        first = self.folder / "first.sql"
        first.write_text(
            "FLUSH PRIVILEGES;\n"
            f"CREATE USER {ADMIN}@'%' IDENTIFIED BY '{ADMIN_PASSWORD}';\n"
            f"GRANT ALL ON *.* TO {ADMIN}@'%' WITH GRANT OPTION;\n"
            f"CREATE DATABASE {DATABASE};\n"
        )
        first.chmod(0o644)
        self.run(
            [
                program("mariadb-install-db", PACKAGE), "--no-defaults",
                f"--datadir={self.data}", "--skip-test-db",
                "--auth-root-authentication-method=socket", f"--extra-file={first}",
                *FAST,
            ]
        )  # fmt: skip
        first.unlink()

    def prepare(self) -> None:
        """No user by socket: MariaDB takes one for a model of whom it does not know."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT User, Host FROM mysql.global_priv"
                " WHERE JSON_VALUE(Priv, '$.plugin') != 'mysql_native_password'"
                " OR JSON_EXISTS(Priv, '$.auth_or')"
            )
            for user, host in cursor.fetchall():
                cursor.execute("DROP USER %s@%s", (user, host))

    def command(self) -> list[str]:
        """The server itself, without ``mariadbd-safe``."""
        return [
            program("mariadbd", PACKAGE), "--no-defaults", f"--datadir={self.data}",
            f"--port={self.port}", f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}", *FAST, *OPTIONS,
        ]  # fmt: skip

    def connect(self) -> pymysql.Connection:
        """A connection of the administrator's, which commits at once."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=ADMIN,
            password=ADMIN_PASSWORD,
            database=DATABASE,
            autocommit=True,
        )

    def execute(self, statement: str, *values: object) -> None:
        """Run a statement as the administrator."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)

    def fail_to_log_in(self, username: str) -> None:
        """A user who does not exist is refused as a wrong password is."""
        with pytest.raises(pymysql.OperationalError):
            pymysql.connect(
                host=self.host, port=self.port, user=username, password=ADMIN_PASSWORD
            )

    def make_user(self, name: str, password: str) -> None:
        """A user who may log in from anywhere, and use the database."""
        self.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", name, password)
        self.execute(f"GRANT ALL ON {DATABASE}.* TO %s@'%%'", name)

    def set_password(self, name: str, password: str) -> None:
        """Change a user's password; sessions that are open stay open."""
        self.execute("ALTER USER %s@'%%' IDENTIFIED BY %s", name, password)

    def secret(
        self, username: str, password: str, **fields: object
    ) -> dict[str, object]:
        """As the base's, with the database."""
        return super().secret(username, password, **{"dbname": DATABASE, **fields})
