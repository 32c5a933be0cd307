"""A request's query, and the names in it: known, given once, decoded. Pure.

A refusal says the fault and then, after a semicolon, what to do about it.
"""

from __future__ import annotations

from extension.http1 import unquote
from rotaware import parsers
from rotaware.errors import RequestError
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_SHOWN_CHARACTERS = 100
_NONE: dict[str, str] = {}


class Fields:
    """The query's fields.

    Args:
        query: As sent, still percent-encoded.
        known: Those that may be there.
        refused: Those that another server takes, and what to do instead.

    Attributes:
        order: Their names, in the order in which they came.
    """

    __slots__ = ("_values", "order")

    def __init__(
        self, query: str, known: frozenset[str], refused: Mapping[str, str] = _NONE
    ) -> None:
        self._values: dict[str, str] = {}
        for field in filter(None, query.split("&")):
            name, _, value = field.partition("=")
            name = decoded("the query", name)
            if name not in known:
                raise _unknown(name, known, refused)
            if name in self._values:
                raise bad_request(f"parameter given twice: {name}; give it once")
            self._values[name] = decoded(name, value)
        self.order = list(self._values)

    def get(self, name: str) -> str | None:
        """The value; None when it is absent."""
        text = self._values.get(name)
        if text == "":
            raise bad_request(f"empty parameter: {name}; give a value, or leave it out")
        return text

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean; the default when it is absent."""
        text = self._values.get(name)
        if text is None:
            return default
        if text.lower() not in _BOOLEANS:
            raise bad_request(f"invalid {name} value; give true or false")
        return _BOOLEANS[text.lower()]

    def name(self, field: str) -> str:
        """The name of what is asked for."""
        text = self.get(field)
        if text is None:
            raise bad_request(f"missing parameter {field}; give a name")
        return named(field, text)


def named(field: str, name: str) -> str:
    """A name that AWS could know."""
    if len(name) > parsers.ID_LENGTH or not name.isprintable():
        raise bad_request(
            f"invalid {field}: a name or ARN has at most {parsers.ID_LENGTH}"
            " printable characters"
        )
    return name


def decoded(field: str, text: str) -> str:
    """Without percent-encoding."""
    try:
        return unquote(text)
    except ValueError as fault:
        raise bad_request(f"invalid {field}: {fault}") from fault


def bad_request(message: str) -> RequestError:
    """A request that means nothing here."""
    return RequestError(400, "InvalidRequest", message)


def _unknown(
    name: str, known: frozenset[str], refused: Mapping[str, str]
) -> RequestError:
    if name in refused:
        return bad_request(f"{name} is not offered; {refused[name]}")
    return bad_request(
        f"unknown parameter: {name[:_SHOWN_CHARACTERS]}; known here are"
        f" {', '.join(sorted(known)) or 'none'}"
    )
