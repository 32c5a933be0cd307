"""What stands in for ``typing`` at run time behaves as the real thing."""

from __future__ import annotations

import copy
import pickle
import typing
from typing import Any

import pytest

from rotaware.lean import TYPE_CHECKING, NamedTuple, Protocol, overload


class Place(NamedTuple):
    """Where something is."""

    host: str
    port: int = 443
    path: str = "/"

    @property
    def shown(self) -> str:
        """For a person."""
        return f"{self.host}:{self.port}"


class Reference(typing.NamedTuple):
    """The same by the real thing."""

    host: str
    port: int = 443
    path: str = "/"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (("a",), {}),
        (("a", 1), {}),
        (("a", 1, "/p"), {}),
        ((), {"host": "a"}),
        (("a",), {"path": "/p"}),
        ((), {"path": "/p", "host": "a", "port": 1}),
    ],
)
def test_fields_are_filled_by_place_by_name_and_by_default(
    values: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Whatever way a tuple is made, it holds what typing's would."""
    place: Any = Place(*values, **named)
    reference: Any = Reference(*values, **named)

    assert reference == place
    assert (reference.host, reference.port, reference.path) == (
        place.host,
        place.port,
        place.path,
    )
    assert repr(reference).replace("Reference", "Place") == repr(place)
    assert reference._asdict() == place._asdict()
    assert reference._fields == place._fields


@pytest.mark.parametrize(
    ("values", "named", "at_fault"),
    [
        ((), {}, "host"),
        ((), {"path": "/"}, "host"),
        (("a", 1, "/", "more"), {}, "the number of values"),
        (("a", 1, "/", "more"), {"host": "a"}, "host"),
        (("a",), {"host": "a"}, "host"),
        (("a", 1, "/"), {"unknown": 1}, "unknown"),
        (("a",), {"unknown": 1, "host": "b"}, "host, unknown"),
    ],
)
def test_what_does_not_fit_is_refused(
    values: tuple[Any, ...], named: dict[str, Any], at_fault: str
) -> None:
    """A field that is missing, unknown or given twice is a TypeError, as there."""
    with pytest.raises(TypeError):
        Reference(*values, **named)
    with pytest.raises(TypeError) as raised:
        Place(*values, **named)

    assert f"Place takes host, port, path: look at {at_fault}" == str(raised.value)


def test_a_field_without_default_comes_first() -> None:
    """One after a field that has a default is a TypeError, as there."""
    with pytest.raises(TypeError, match="Wrong: port needs a default"):

        class Wrong(NamedTuple):
            """Never made."""

            host: str = "a"
            port: int  # type: ignore[misc]  # that is the point


def test_a_tuple_is_not_extended() -> None:
    """Fields that a subclass would lose without a word are refused."""
    with pytest.raises(TypeError, match="Further: a named tuple cannot be extended"):

        class Further(Place):
            """Never made."""

            more: str = ""


def test_a_changed_copy_leaves_the_original_alone() -> None:
    """``_replace`` makes another tuple, of the same class."""
    place = Place("a", 1)

    changed = place._replace(port=2)

    assert (Place("a", 2), Place) == (changed, type(changed))
    assert Place("a", 1) == place
    assert place == copy.deepcopy(place)
    assert place == pickle.loads(pickle.dumps(place))  # noqa: S301  it is our own
    with pytest.raises(TypeError, match="Place takes"):
        place._replace(unknown=1)  # type: ignore[call-arg]


def test_a_tuple_holds_its_fields_and_nothing_else() -> None:
    """It is a plain tuple: immutable, unpacked, hashed, matched, with methods."""
    place = Place("a", 1)
    match place:
        case Place(host, port, path):
            assert ("a", 1, "/") == (host, port, path)
    assert {("a", 1, "/")} == {place}
    assert "a:1" == place.shown
    assert not hasattr(place, "__dict__")
    with pytest.raises(AttributeError):
        place.host = "b"  # type: ignore[misc]


def test_a_port_costs_its_implementations_nothing() -> None:
    """A class that names its port has no more in its instances than its slots."""

    class Port(Protocol):
        """Anything."""

        __slots__ = ()

    class Part(Port):
        """An implementation."""

        __slots__ = ()

    assert not hasattr(Part(), "__dict__")
    assert not TYPE_CHECKING


def test_a_signature_for_checkers_is_left_as_it_is() -> None:
    """What is overloaded costs nothing, and the last definition counts."""

    @overload
    def double(value: int) -> int: ...
    @overload
    def double(value: str) -> str: ...
    def double(value: int | str) -> int | str:
        return value * 2

    assert (2, "aa") == (double(1), double("a"))
