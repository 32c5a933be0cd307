"""Pure: whether a failed connect was a refused login, by driver.

A number or an SQLSTATE decides where the driver gives one. libpq gives neither for what
happens before the login is through, and its server's words may be in any language: so
what an English server says of other failures is known, and all else counts as a refusal
once the server has asked for the password.
"""

from __future__ import annotations

from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED = "refused"
"""The server took neither name nor password; another version may pass."""
LOCKED = "locked"
"""The server lets this user in with no password: trying again may make it worse."""
OTHER = "other"
"""Anything else: the server is down, the database is missing, a bug."""

_INVALID_PASSWORD = "28P01"  # noqa: S105  an SQLSTATE
_WRONG_WORDS = (
    "password authentication failed for user",
    "PAM authentication failed for user",
    "LDAP authentication failed for user",
    "RADIUS authentication failed for user",
    "SASL authentication failed",  # as PgBouncer says it
)
_LOCKED_WORDS = ("is not permitted to log in",)
# What else ends a connection for which the server has asked for a password.
_OTHER_WORDS = (
    "does not exist",
    "permission denied",
    "too many",
    "connection slots",
    "not currently accepting connections",
    "the database system is",
    "closed the connection",
    "timeout",
    "parameter",
)
# MariaDB says 1698 where another of its users logs in without a password, by socket.
# The last two of MySQL are from its documentation; MariaDB has its own.
_MYSQL = {
    1045: REFUSED,
    1698: REFUSED,
    4150: LOCKED,
    4151: LOCKED,
    3118: LOCKED,
    3955: LOCKED,
}
_NUMBERED = frozenset({"pymysql", "mysql"})
_LIBPQ = frozenset({"psycopg", "psycopg2"})


def kind_of(error: BaseException) -> str:
    """``REFUSED``, ``LOCKED`` or ``OTHER``; what it was raised from counts too."""
    kinds = {_own_kind(part) for part in parts_of(error)}
    return next((kind for kind in (LOCKED, REFUSED) if kind in kinds), OTHER)


def parts_of(error: BaseException) -> Iterator[BaseException]:
    """An exception, and all that it was raised from or is made of."""
    ahead, known = [error], {id(error)}
    while ahead:
        part = ahead.pop()
        yield part
        others = (
            part.__cause__,
            part.__context__,
            getattr(part, "orig", None),  # as SQLAlchemy wraps it
            *getattr(part, "exceptions", ()),
        )
        for other in others:
            if isinstance(other, BaseException) and id(other) not in known:
                known.add(id(other))
                ahead.append(other)


def _own_kind(error: BaseException) -> str:
    homes = {home.__module__.partition(".")[0] for home in type(error).__mro__}
    if homes & _NUMBERED:
        return _MYSQL.get(_number(error), OTHER)
    if homes & _LIBPQ:
        return _kind_by_words(error)
    if "redis" in homes:
        names = {home.__name__ for home in type(error).__mro__}
        return REFUSED if "AuthenticationError" in names else OTHER
    if getattr(error, "sqlstate", None) == _INVALID_PASSWORD:
        return REFUSED
    return _kind_in(str(error))


def _number(error: BaseException) -> int:
    number = getattr(error, "errno", None) or (error.args[0] if error.args else None)
    return number if isinstance(number, int) else 0


def _kind_by_words(error: BaseException) -> str:
    said = str(error)
    kind = _kind_in(said)
    if kind != OTHER or any(words in said for words in _OTHER_WORDS):
        return kind
    # In psycopg 3 the failed connection tells whether its server asked for a password.
    asked = getattr(getattr(error, "pgconn", None), "used_password", False)
    return REFUSED if asked is True else OTHER


def _kind_in(said: str) -> str:
    if any(words in said for words in _LOCKED_WORDS):
        return LOCKED
    return REFUSED if any(words in said for words in _WRONG_WORDS) else OTHER
