"""What ``typing`` does for a running program, at a fraction of its price.

Importing ``typing`` and defining twenty named tuples by it takes as long as starting
the interpreter: it compiles code for each of them. A cold start pays for that. Here is
the little that is used of it; type checkers see the real things.
"""

from __future__ import annotations

# Type checkers take this name for true, wherever it comes from.
TYPE_CHECKING = False

__all__ = ["TYPE_CHECKING", "NamedTuple", "Protocol", "overload"]

if TYPE_CHECKING:
    from typing import Any, NamedTuple, Protocol, Self, overload
else:
    from _collections import _tuplegetter

    def overload(signature: Any) -> Any:
        """One signature of several, which only type checkers look at."""
        return signature

    class Protocol:
        """A port that others fill; nothing is checked at run time."""

        __slots__ = ()

    class _Fields(type):
        """Makes a class's annotations the fields of its tuples."""

        def __new__(
            cls, name: str, bases: tuple[type, ...], body: dict[str, Any]
        ) -> type:
            fields = tuple(body.get("__annotations__", ()))
            if any(getattr(base, "_fields", ()) for base in bases):
                raise TypeError(f"{name}: a named tuple cannot be extended")
            defaults = {key: body[key] for key in fields if key in body}
            for key in fields[len(fields) - len(defaults) :]:
                if key not in defaults:
                    raise TypeError(f"{name}: {key} needs a default, as one before it")
            body["_fields"] = body["__match_args__"] = fields
            body["_field_defaults"] = defaults
            body["_defaults"] = tuple(defaults.values())
            for index, key in enumerate(fields):
                body[key] = _tuplegetter(index, None)
            body["__slots__"] = ()
            return super().__new__(cls, name, bases or (tuple,), body)

    class NamedTuple(metaclass=_Fields):
        """``typing.NamedTuple``, as far as it is used here."""

        def __new__(cls, *values: Any, **named: Any) -> Self:
            """By place or by name; what has a default may be left out."""
            missing = len(cls._fields) - len(values)
            if named or missing:
                if named or not 0 < missing <= len(cls._defaults):
                    values = cls._filled(values, named)
                else:
                    values += cls._defaults[-missing:]
            return tuple.__new__(cls, values)

        @classmethod
        def _filled(
            cls, values: tuple[Any, ...], named: dict[str, Any]
        ) -> tuple[Any, ...]:
            """All values in their order, or a TypeError that names what is wrong."""
            fields = cls._fields
            given = dict(zip(fields, values, strict=False))
            filled = {**cls._field_defaults, **given, **named}
            wrong = filled.keys() ^ set(fields) | given.keys() & named.keys()
            if wrong or len(values) > len(fields):
                at_fault = ", ".join(sorted(wrong)) or "the number of values"
                takes = ", ".join(fields)
                raise TypeError(f"{cls.__name__} takes {takes}: look at {at_fault}")
            return tuple(filled[field] for field in fields)

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
