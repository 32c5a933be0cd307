"""Pure: what a secret says of a login, as AWS lays its fields out.

A field of a wrong kind is refused in one line that names the secret, the field and the
fix, never the value. Fields that AWS's rotation functions keep for themselves, such as
``masterarn`` and ``dbClusterIdentifier``, are left alone.
"""

from __future__ import annotations

import json

from rotaware.errors import LoginFieldError
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

_LARGEST_PORT = 65_535
# Amazon Redshift speaks PostgreSQL's protocol, but listens elsewhere.
_PORTS = {"redshift": 5439}


class Login:
    """Who logs in, and where: what one version of a secret holds.

    Attributes:
        username: None where the secret names nobody, as Redis allows.
        password: Never shown in ``repr``.
        host: None where the secret does not say.
        port: Likewise.
        dbname: Likewise.
        engine: As AWS writes it, such as ``postgres``; None likewise.
        ssl: Whether the secret asks for TLS, as those of Amazon DocumentDB may; None
            where it does not say.
        version_id: The version of the secret that says all this.
    """

    __slots__ = (
        "dbname",
        "engine",
        "host",
        "password",
        "port",
        "ssl",
        "username",
        "version_id",
    )

    def __init__(
        self, secret_id: str, version_id: str, fields: Mapping[str, Any]
    ) -> None:
        self.version_id = version_id
        self.engine = _text(secret_id, fields, "engine")
        self.host = _text(secret_id, fields, "host")
        self.username = _text(secret_id, fields, "username")
        self.dbname = _text(secret_id, fields, "dbname")
        self.port = _port(secret_id, fields.get("port"))
        if self.port is None:
            self.port = _PORTS.get(self.engine or "")
        self.ssl = _flag(secret_id, fields.get("ssl"))
        password = _text(secret_id, fields, "password")
        if password is None:
            raise _wrong(secret_id, "has no field 'password': add it")
        self.password = password

    def __repr__(self) -> str:
        shown = (self.engine, self.username, self.host, self.port, self.dbname)
        return "Login({}, {} at {}:{}/{}, password hidden)".format(*shown)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a login cannot be pickled or copied")


def login_of(secret_id: str, version_id: str, value: str | bytes) -> Login:
    """The login that a secret's value holds.

    Raises:
        LoginFieldError: It holds none.
    """
    fields = _parsed(value)
    if not isinstance(fields, dict):
        raise _wrong(
            secret_id,
            "is no JSON object: store the login as"
            ' {"username": ..., "password": ..., "host": ...}',
        )
    return Login(secret_id, version_id, fields)


def _parsed(value: str | bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _text(secret_id: str, fields: Mapping[str, Any], field: str) -> str | None:
    text = fields.get(field)
    if text is None or text == "":
        return None
    if isinstance(text, str):
        return text
    kind = type(text).__name__
    raise _wrong(secret_id, f"has a {kind} in the field {field!r}: make it a string")


def _port(secret_id: str, port: Any) -> int | None:
    """The port; AWS's console writes it as text."""
    if port is None or port == "":
        return None
    text = str(port)
    if not isinstance(port, bool) and text.isascii() and text.isdigit():
        number = int(text[:6])
        if 0 < number <= _LARGEST_PORT:
            return number
    raise _wrong(
        secret_id,
        f"has no port in the field 'port': make it a number to {_LARGEST_PORT}",
    )


def _flag(secret_id: str, flag: Any) -> bool | None:
    words = {"true": True, "false": False, "none": None, "": None}
    if flag is None or isinstance(flag, (bool, str)):
        word = str(flag).lower()
        if word in words:
            return words[word]
    raise _wrong(
        secret_id, "has neither true nor false in the field 'ssl': make it one"
    )


def _wrong(secret_id: str, problem: str) -> LoginFieldError:
    return LoginFieldError(f"secret {secret_id!r} {problem}")
