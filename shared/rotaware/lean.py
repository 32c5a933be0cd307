"""What ``typing`` does for a running program, at a fraction of its price.

Importing ``typing`` and defining twenty named tuples by it takes as long as starting
the interpreter: it compiles code for each of them. A cold start pays for that. Here is
the little that is used of it; type checkers see the real things.
"""

from __future__ import annotations

# Type checkers take this name for true, wherever it comes from.
TYPE_CHECKING = False

__all__ = ["TYPE_CHECKING", "NamedTuple", "Protocol"]

if TYPE_CHECKING:
    from typing import Any, NamedTuple, Protocol, Self
else:
    from _collections import _tuplegetter

    class Protocol:
        """A port that others fill; nothing is checked at run time."""

        __slots__ = ()

    class _Fields(type):
        """Makes a class's annotations the fields of its tuples."""

        def __new__(
            cls, name: str, bases: tuple[type, ...], body: dict[str, Any]
        ) -> type:
            fields = tuple(body.get("__annotations__", ()))
            body["_fields"] = body["__match_args__"] = fields
            body["_field_defaults"] = {key: body[key] for key in fields if key in body}
            for index, key in enumerate(fields):
                body[key] = _tuplegetter(index, None)
            body["__slots__"] = ()
            return super().__new__(cls, name, bases or (tuple,), body)

    class NamedTuple(metaclass=_Fields):
        """``typing.NamedTuple``, as far as it is used here."""

        def __new__(cls, *values: Any, **named: Any) -> Self:
            """By place or by name; what has a default may be left out."""
            fields = cls._fields
            if named or len(values) != len(fields):
                given = dict(zip(fields, values, strict=False))
                filled = {**cls._field_defaults, **given, **named}
                twice = given.keys() & named.keys()
                if len(values) > len(fields) or twice or filled.keys() != set(fields):
                    raise TypeError(f"{cls.__name__} takes {', '.join(fields)}")
                values = [filled[field] for field in fields]
            return tuple.__new__(cls, values)

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)  # for copies

        def __repr__(self) -> str:
            shown = (f"{key}={value!r}" for key, value in self._asdict().items())
            return f"{type(self).__name__}({', '.join(shown)})"

        def _asdict(self) -> dict[str, Any]:
            """The values by their names."""
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **changed: Any) -> Self:
            """The same with other values in some fields."""
            return type(self)(**{**self._asdict(), **changed})
