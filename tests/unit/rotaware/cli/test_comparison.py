"""The sheet beside what is current."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rotaware.cli.comparison import (
    DIFFERS,
    SAME,
    UNKNOWN,
    UNSTAMPED,
    compare,
    fullness,
)
from rotaware.cli.truth import Current
from rotaware.sheet import MAX_BYTES, Sheet, Stamp, encode, version_digest

versions = st.sampled_from(["v1", "v2", ""])
subjects = st.sampled_from("abcdef")


def current(name: str, version: str) -> Current:
    """A secret."""
    return Current("secretsmanager", name, "", version, 7.0)


def test_each_state() -> None:
    """What differs is first, then by name; what is unknown is last."""
    stamps = {
        "b": Stamp(version_digest("v1"), 10),
        "a": Stamp(version_digest("v1"), 11),
        "gone": Stamp(version_digest("v1"), 12),
    }
    rows = compare(
        stamps,
        {"a": current("A", "v1"), "b": current("B", "v2"), "c": current("C", "")},
    )

    assert [
        (DIFFERS, "B", 10),
        (SAME, "A", 11),
        (UNSTAMPED, "C", None),
        (UNKNOWN, "gone", 12),
    ] == [(row.state, row.name, row.since) for row in rows]
    assert [True, False, False, False] == [row.differs for row in rows]


@given(st.dictionaries(subjects, versions), st.dictionaries(subjects, versions))
def test_nothing_is_left_out(stamped: dict[str, str], now: dict[str, str]) -> None:
    """There is one row for each subject, and it differs if and only if versions do."""
    stamps = {name: Stamp(version_digest(text), 1) for name, text in stamped.items()}
    rows = compare(stamps, {name: current(name, text) for name, text in now.items()})

    assert sorted(stamped.keys() | now.keys()) == sorted(row.name for row in rows)
    assert {
        name for name in stamped.keys() & now.keys() if stamped[name] != now[name]
    } == {row.name for row in rows if row.differs}


def test_fullness() -> None:
    """Of the bytes that fit."""
    sheet = Sheet(stamps={"a": Stamp("v", 1)})

    assert len(encode(sheet)) / MAX_BYTES == fullness(sheet, MAX_BYTES)
