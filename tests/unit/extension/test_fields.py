"""The query's fields, and the names in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension.fields import Fields, decoded, named
from rotaware.errors import RequestError

KNOWN = frozenset({"name", "flag"})


def read(query: str) -> None:
    """Read all that may be there."""
    fields = Fields(query, KNOWN, {"role": "do without"})
    fields.flag("flag")
    fields.get("name")


def refused(query: str) -> str:
    """Why a query is refused."""
    with pytest.raises(RequestError) as refusal:
        read(query)

    assert (400, "InvalidRequest") == (refusal.value.status, refusal.value.code)

    return refusal.value.message


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", []),
        ("&&", []),
        ("name=a", ["name"]),
        ("flag=1&name=a", ["flag", "name"]),
        ("&%6Eame=a&", ["name"]),
    ],
)
def test_the_order_is_kept(query: str, order: list[str]) -> None:
    """Some of them mean something else when they come first."""
    assert order == Fields(query, KNOWN).order


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("other=a", "unknown parameter: other; known here are flag, name"),
        (
            f"{'x' * 200}=a",
            f"unknown parameter: {'x' * 100}; known here are flag, name",
        ),
        ("=a", "unknown parameter: ; known here are flag, name"),
        ("role=a", "role is not offered; do without"),
        ("name=a&name=a", "parameter given twice: name; give it once"),
        ("name=", "empty parameter: name; give a value, or leave it out"),
        ("name", "empty parameter: name; give a value, or leave it out"),
        ("name=%zz", "invalid name: malformed percent-encoding"),
        ("flag=maybe", "invalid flag value; give true or false"),
        ("flag=", "invalid flag value; give true or false"),
    ],
)
def test_refusals(query: str, message: str) -> None:
    """The fault, and what to do about it."""
    assert message == refused(query)


def test_where_nothing_is_known() -> None:
    """The message says so."""
    with pytest.raises(RequestError, match="known here are none"):
        Fields("a=b", frozenset())


def test_absent_fields() -> None:
    """A flag is false then, and a name is missed."""
    fields = Fields("", KNOWN)

    assert fields.get("name") is None
    assert not fields.flag("flag")
    assert fields.flag("flag", default=True)
    assert not Fields("flag=0", KNOWN).flag("flag", default=True)

    with pytest.raises(RequestError, match="missing parameter name; give a name"):
        fields.name("name")
    with pytest.raises(RequestError, match="empty parameter: name; give a value"):
        Fields("name=", KNOWN).name("name")


@pytest.mark.parametrize("name", ["a\nb", "a" * 2049, "\x7f"])
def test_what_is_no_name(name: str) -> None:
    """A name is printable, and no longer than an ARN."""
    with pytest.raises(RequestError, match="invalid x: a name or ARN has at most 2048"):
        named("x", name)


@given(st.text(min_size=1, max_size=2048).filter(str.isprintable))
def test_any_name_survives(name: str) -> None:
    """Encoded by a client or not."""
    encoded = "".join(f"%{byte:02x}" for byte in name.encode())

    assert name == named("x", decoded("x", encoded))
    assert name == Fields(f"name={encoded}", KNOWN).name("name")
