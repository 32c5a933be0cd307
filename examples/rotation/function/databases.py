"""The databases, as a rotation needs them: log in, and change a password.

Names and passwords reach the server as quoted identifiers and as values, never as text
that somebody has put together. Sessions that are open stay open in both.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pymysql
from psycopg import sql
from pymysql.constants import ER

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    Login = dict[str, Any]

SECONDS = 5
# MariaDB's ER_ACCESS_DENIED_NO_PASSWORD_ERROR.
NOBODY_BY_PASSWORD = 1698
# Amazon RDS has authorities of its own: lay its bundle into the function's folder.
CA_CERTIFICATES = os.environ.get("CA_CERTIFICATES", "/etc/pki/tls/certs/ca-bundle.crt")


class Database(Protocol):
    """What a strategy needs of a database."""

    def connect(self, login: Login) -> AbstractContextManager[Any]:
        """Log in; the session ends with the block.

        Raises:
            Exception: The driver's own.
        """
        ...

    def is_refusal(self, fault: Exception) -> bool:
        """Whether a failed login means: not with this password."""
        ...

    def set_password(self, session: Any, username: str, password: str) -> None:
        """Change a password, which takes effect at once for whoever logs in."""
        ...

    def copy_user(self, session: Any, username: str, copy: str, password: str) -> None:
        """Make a second user who may do what the first may; one who exists stays."""
        ...

    def try_out(self, session: Any) -> None:
        """Read something, as a function would."""
        ...


class PostgreSql:
    """PostgreSQL 10 or later, whose role names are case-sensitive when quoted."""

    port = 5432

    def connect(self, login: Login) -> AbstractContextManager[Any]:
        """A session that commits when its block ends without an error."""
        tls: dict[str, Any] = {"sslmode": "verify-full", "sslrootcert": CA_CERTIFICATES}
        return psycopg.connect(
            host=login["host"],
            port=int(login.get("port") or self.port),
            user=login["username"],
            password=login["password"],
            dbname=login.get("dbname") or "postgres",
            connect_timeout=SECONDS,
            **(tls if wants_tls(login) else {"sslmode": "disable"}),
        )

    def is_refusal(self, fault: Exception) -> bool:
        """There is no code for it."""
        return "authentication failed" in str(fault)

    def set_password(self, session: Any, username: str, password: str) -> None:
        """ALTER ROLE takes no parameters: psycopg itself quotes both."""
        session.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(username), sql.Literal(password)
            )
        )

    def copy_user(self, session: Any, username: str, copy: str, password: str) -> None:
        """The copy is a member of the first, so later rights are its own too."""
        known = session.execute(
            "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", [copy]
        ).fetchone()
        if known:
            return
        session.execute(
            sql.SQL("CREATE ROLE {} LOGIN INHERIT PASSWORD {} IN ROLE {}").format(
                sql.Identifier(copy), sql.Literal(password), sql.Identifier(username)
            )
        )

    def try_out(self, session: Any) -> None:
        """The least that a session can do."""
        session.execute("SELECT pg_catalog.now()").fetchone()


class MariaDb:
    """MariaDB 10.4 or later; a user is a name and a host, which is any here."""

    port = 3306

    def connect(self, login: Login) -> AbstractContextManager[Any]:
        """A session that commits each statement."""
        tls: dict[str, Any] = {"ssl_ca": CA_CERTIFICATES, "ssl_verify_identity": True}
        connection = pymysql.connect(
            host=login["host"],
            port=int(login.get("port") or self.port),
            user=login["username"],
            password=login["password"],
            database=login.get("dbname"),
            connect_timeout=SECONDS,
            autocommit=True,
            **(tls if wants_tls(login) else {"ssl_disabled": True}),
        )
        return closing(connection)

    def is_refusal(self, fault: Exception) -> bool:
        """Access denied, also to whom it does not know; but not a locked account."""
        return fault.args[:1] in {(ER.ACCESS_DENIED_ERROR,), (NOBODY_BY_PASSWORD,)}

    def set_password(self, session: Any, username: str, password: str) -> None:
        """The driver puts both in as strings; whose own it is needs no right for it."""
        _run(session, "SET PASSWORD FOR %s@'%%' = PASSWORD(%s)", username, password)

    def copy_user(self, session: Any, username: str, copy: str, password: str) -> None:
        """MariaDB has no members: the rights are copied, once, when it is made."""
        if _run(session, "SELECT 1 FROM mysql.user WHERE User = %s", copy):
            return
        _run(session, "CREATE USER %s@'%%' IDENTIFIED BY %s", copy, password)
        quoted = username.replace("`", "``")
        for (grant,) in _run(session, "SHOW GRANTS FOR %s@'%%'", username):
            # What follows its user's name may be the hash of a password.
            rights, found, _ = grant.partition(f" TO `{quoted}`@`%`")
            if found:
                _run(session, f"{rights.replace('%', '%%')} TO %s@'%%'", copy)

    def try_out(self, session: Any) -> None:
        """The least that a session can do."""
        _run(session, "SELECT NOW()")


def wants_tls(login: Login) -> bool:
    """Whether the secret asks for TLS, as most do: only ``"ssl": false`` does not."""
    return str(login.get("ssl", True)).lower() != "false"


DATABASES: dict[str, Database] = {
    "postgres": PostgreSql(),
    "mariadb": MariaDb(),
}
"""By a secret's field ``engine``."""


def _run(session: Any, statement: str, *values: object) -> Any:
    with session.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()
