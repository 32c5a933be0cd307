"""JSON by the C half of the standard library's ``json``, under the same names.

The other half compiles regular expressions when it is imported, and ``re`` brings in
``enum``: together as long as all of rotaware's own modules. It is still loaded when a
text is malformed, because the error is raised from there.
"""

from __future__ import annotations

from _json import (
    encode_basestring,
    encode_basestring_ascii,
    make_encoder,
    make_scanner,
)

from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Defaults:
    """What the scanner asks a decoder for."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float  # NaN and the infinities, by their names


_scan = make_scanner(_Defaults)  # type: ignore[arg-type]  # it only reads attributes


def loads(text: str | bytes) -> Any:
    """The value that a text holds; ValueError where it holds none, or more."""
    if not isinstance(text, str):
        text = text.decode()
    text = text.strip(" \t\n\r")
    try:
        value, end = _scan(text, 0)
    except (StopIteration, SystemError):
        # Up to 3.11 the C half cannot raise its own error without the other half.
        raise ValueError("no JSON value") from None
    if end != len(text):
        raise ValueError("more than a JSON value")
    return value


def encoder(
    *,
    default: Callable[[Any], Any] | None = None,
    separators: tuple[str, str] = (", ", ": "),
    sort_keys: bool = False,
    ensure_ascii: bool = True,
    allow_nan: bool = True,
) -> Callable[[Any], str]:
    """A function from values to text; the arguments are those of ``json.dumps``."""
    between_items, after_key = separators
    quoted = encode_basestring_ascii if ensure_ascii else encode_basestring

    def encode(value: Any) -> str:
        pieces = make_encoder(
            {},  # what is being encoded: a cycle is a ValueError
            default or _refuse,
            quoted,
            None,
            after_key,
            between_items,
            sort_keys,
            False,  # noqa: FBT003  keys that are no text are not skipped
            allow_nan,
        )
        return "".join(pieces(value, 0))

    return encode


def dumps(
    value: Any,
    *,
    separators: tuple[str, str] = (", ", ": "),
    sort_keys: bool = False,
) -> str:
    """A value as text."""
    return encoder(separators=separators, sort_keys=sort_keys)(value)


def _refuse(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} is not JSON serializable")
