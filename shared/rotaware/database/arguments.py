"""Pure: what each driver calls the parts of a login.

A driver is known by the module that its connect function comes from; one that is not
listed gets the names that PEP 249 gives them.
"""

from __future__ import annotations

from rotaware.errors import LoginFieldError
from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from rotaware.database.login import Login


class Names(NamedTuple):
    """What a driver calls the parts of a login, its favourite name first.

    Attributes:
        places: Arguments that say in another way where the server is. Who gives one
            takes nothing but username and password from the secret.
        needs_username: Whether nobody can log in without a name.
    """

    username: tuple[str, ...] = ("user",)
    password: tuple[str, ...] = ("password",)
    host: tuple[str, ...] = ("host",)
    port: tuple[str, ...] = ("port",)
    dbname: tuple[str, ...] = ("database",)
    places: tuple[str, ...] = ("dsn",)
    needs_username: bool = True


_MYSQL = Names(
    username=("user", "username"),
    password=("password", "passwd"),
    dbname=("database", "db"),
    places=("unix_socket", "read_default_file", "option_files"),
)
_NAMES = {
    "asyncpg": Names(places=("dsn", "service")),
    "mysql": _MYSQL,
    "psycopg": Names(dbname=("dbname",), places=("conninfo", "hostaddr", "service")),
    "psycopg2": Names(
        dbname=("dbname", "database"), places=("dsn", "hostaddr", "service")
    ),
    "pymysql": _MYSQL,
    "redis": Names(
        username=("username",),
        dbname=("db",),
        places=("unix_socket_path", "connection_pool"),
        needs_username=False,
    ),
}
DRIVERS = frozenset(_NAMES)
"""The names of the modules whose drivers are known."""
_OTHERS = Names()


def driver_of(connect: Any) -> str:
    """The name of the driver's top module; empty where none is known."""
    return next((name for name in _homes(connect) if name in _NAMES), "")


def _homes(connect: Any) -> Iterator[str]:
    while hasattr(connect, "func"):  # functools.partial
        connect = connect.func
    for home in (connect, *getattr(connect, "__mro__", ())):
        yield str(getattr(home, "__module__", "")).partition(".")[0]


def arguments_of(
    secret_id: str, login: Login, driver: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """What to call the driver with: the login's parts, unless the caller gave them.

    Raises:
        LoginFieldError: Something is missing that the driver cannot do without.
    """
    names = _NAMES.get(driver, _OTHERS)
    parts: dict[tuple[str, ...], str | int | None]
    parts = {names.username: login.username, names.password: login.password}
    if not any(place in given for place in names.places):
        parts[names.host] = login.host
        parts[names.port] = login.port
        parts[names.dbname] = login.dbname
    added: dict[str, Any] = {}
    for (name, *others), part in parts.items():
        if name in given or any(other in given for other in others):
            continue
        if part is not None:
            added[name] = part
        elif name == names.host[0]:
            raise _missing(secret_id, "host", name)
        elif name == names.username[0] and names.needs_username:
            raise _missing(secret_id, "username", name)
    if driver == "redis" and "db" in added:
        added["db"] = _number(secret_id, added["db"])
    return {**added, **given}


def password_in(driver: str, arguments: Mapping[str, Any]) -> str | None:
    """The password that the driver is called with."""
    names = _NAMES.get(driver, _OTHERS).password
    return next((arguments[name] for name in names if name in arguments), None)


def another_place(driver: str, given: Mapping[str, Any]) -> int:
    """A number for what the caller gave instead of the secret's fields; 0 for nothing.

    Logins count as the same as far as they are to the same server as the same user.
    """
    names = _NAMES.get(driver, _OTHERS)
    own = {*names.username, *names.password, *names.host, *names.port, *names.places}
    found = sorted((name, repr(given[name])) for name in own if name in given)
    return hash(tuple(found)) if found else 0


def _missing(secret_id: str, field: str, argument: str) -> LoginFieldError:
    return LoginFieldError(
        f"secret {secret_id!r} has no field {field!r}: add it, or give {argument}="
    )


def _number(secret_id: str, dbname: str) -> int:
    if dbname.isascii() and dbname.isdigit():
        return int(dbname[:9])
    raise LoginFieldError(
        f"secret {secret_id!r} has no number in the field 'dbname', by which Redis"
        " knows its databases: make it one, or give db="
    )
