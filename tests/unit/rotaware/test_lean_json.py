"""JSON by its C half: the standard library's own answers, text by text."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware import lean_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_values_become_the_same_text_and_come_back(value: Any) -> None:
    """Text from either library reads as the same value in both."""
    text = json.dumps(value)

    assert text == lean_json.dumps(value)
    assert json.loads(text) == lean_json.loads(text)
    assert json.loads(text) == lean_json.loads(text.encode())


@given(value=VALUES, ensure_ascii=st.booleans(), sort_keys=st.booleans())
def test_every_way_of_writing_is_the_same(
    value: Any, *, ensure_ascii: bool, sort_keys: bool
) -> None:
    """Separators, order and escapes are those of ``json.dumps``."""
    options: dict[str, Any] = {
        "separators": (",", ":"),
        "ensure_ascii": ensure_ascii,
        "sort_keys": sort_keys,
    }

    assert json.dumps(value, **options) == lean_json.encoder(**options)(value)


@given(st.text(alphabet='{}[]",:0123456789.-+eE truefalsn\\u \t\n\r\x00é', max_size=12))
def test_what_is_no_json_is_refused_alike(text: str) -> None:
    """A text is good for both libraries, or a ValueError in both."""
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011  its words differ
            lean_json.loads(text)
    else:
        found = lean_json.loads(text)

        assert repr(expected) == repr(found)


@pytest.mark.parametrize(
    "text", ["", " ", "1 2", "{} x", "[1,]", '{"a"}', '"\x01"', "nul", "\ufeff1"]
)
def test_malformed_texts_are_value_errors(text: str) -> None:
    """Nothing, more than one value, and faults inside."""
    with pytest.raises(ValueError):  # noqa: PT011  its words differ
        lean_json.loads(text)


def test_the_other_half_need_not_be_there() -> None:
    """In a process that never imported ``json`` they are ValueErrors as well."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from rotaware import lean_json\n"
        "for text in ('{\"a', '[1,]', 'nul'):\n"
        "    try: lean_json.loads(text)\n"
        "    except ValueError: print('refused')\n"
    )
    shared = Path(lean_json.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(shared)],
        check=True,
        capture_output=True,
        text=True,
    )

    assert "refused\n" * 3 == done.stdout


def test_white_space_around_a_value_is_none_of_it() -> None:
    """The four characters that JSON calls so, and no others."""
    assert [1] == lean_json.loads(" \t\r\n[ 1\n]\n")
    with pytest.raises(ValueError, match="no JSON value"):
        lean_json.loads("\u00a01")


def test_bytes_that_are_no_text_are_value_errors() -> None:
    """An answer that is not UTF-8 is malformed, not a surprise."""
    with pytest.raises(ValueError, match="utf-8"):
        lean_json.loads(b'"\xff"')


def test_numbers_beyond_json_are_read_and_refused_as_json_does() -> None:
    """NaN and the infinities are read; whether they are written is an option."""
    infinity, minus, nan = lean_json.loads("[Infinity, -Infinity, NaN]")

    assert (math.inf, -math.inf) == (infinity, minus)
    assert math.isnan(nan)
    assert "[Infinity, NaN]" == lean_json.dumps([math.inf, math.nan])
    with pytest.raises(ValueError, match="not JSON compliant"):
        lean_json.encoder(allow_nan=False)([math.inf])


def test_what_json_cannot_say_is_a_type_error_or_the_default() -> None:
    """Without a default an object is refused; a cycle always is."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        lean_json.dumps(object())
    with pytest.raises(ValueError, match="Circular reference"):
        lean_json.dumps(cycle)

    assert '{"a": "(1+2j)"}' == lean_json.encoder(default=str)({"a": 1 + 2j})
