"""YAML becomes plain nodes with their lines, or is refused unquoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from extension.yaml_nodes import Node, YamlError, _events, _is_allowed, document_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("", Node(1, None)),
        ("# nothing", Node(1, None)),
        ("---\n...\n", Node(2, None)),
        ("~", Node(1, None)),
        ("null", Node(1, None)),
        ("'null'", Node(1, "null")),
        ("''", Node(1, "")),
        ("|\n  two\n  lines\n", Node(1, "two\nlines\n")),
        ("\na:\n- b\n-", Node(2, {"a": Node(3, [Node(3, "b"), Node(4, None)])})),
        ("{a: [], b: {}}", Node(1, {"a": Node(1, []), "b": Node(1, {})})),
    ],
)
def test_it_reads(text: str, node: Node) -> None:
    """Texts, lists and mappings come with the line that they begin in."""
    assert node == document_of(text)


@pytest.mark.parametrize("text", ["on", "007", "1e3", "2026-01-01", "0x1F", "1_000"])
def test_a_text_is_what_is_written(text: str) -> None:
    """YAML's guesses at numbers, dates and switches are not made."""
    assert Node(1, text) == document_of(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("secrets: [a", "is not valid YAML at line "),
        ("secrets:\n\t- a", "is not valid YAML at line 2, column 1; correct it there"),
        ("secrets: [*x]", "has an alias at line 1, column 11; write the thing out"),
        ("a: &a [*a]", "has an alias at line 1, column 8"),
        ("!!python/object:os.x 1", "has a tag at line 1, column 1; remove it"),
        ("secrets: [!!str a]", "has a tag at line 1, column 11"),
        ("[" * 60_000, "is nested too deeply at line 1, column 10"),
        ("- " * 30_000, "is nested too deeply at line 1"),
        ("--- a\n--- b", "has a second document at line 2, column 1; keep one"),
        ("secrets: []\nsecrets: []", "has a key for the second time at line 2"),
        ("? [a]\n: b", "has a key that is no word at line 1; use a word"),
        ("~: b", "has a key that is no word at line 1; use a word"),
        ("\x01", "holds characters that YAML does not allow; remove them"),
        ("secrets: ['\ud800']", "holds characters that YAML does not allow"),
    ],
    ids=range(14),
)
def test_it_refuses(text: str, fault: str) -> None:
    """What is no plain document is refused, with the place and the fix."""
    with pytest.raises(YamlError) as raised:
        document_of(text)

    assert fault in str(raised.value)


def test_nesting_ends_at_a_bound() -> None:
    """Eight levels are read, nine are not."""
    assert document_of("[" * 8 + "a" + "]" * 8)
    with pytest.raises(YamlError, match=r"nested too deeply at line 1, column 10"):
        document_of("[" * 9 + "a" + "]" * 9)


@pytest.mark.parametrize(
    "laughs",
    [
        "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: &d [*c,*c]\ne: [*d,*d]",
        "a: &a {x: 1}\nb: &b {<<: [*a, *a]}\nc: {<<: [*b, *b]}",
    ],
    ids=["lists", "merges"],
)
def test_aliases_do_not_multiply(laughs: str) -> None:
    """A file that grows by repeating itself is refused at its first alias."""
    with pytest.raises(YamlError, match=r"^has an alias at line 2, column "):
        document_of(laughs)


def outcome(text: str) -> Node | str:
    """The document, or why there is none."""
    try:
        return document_of(text)
    except YamlError as error:
        return str(error)


@given(st.text() | st.text("[]{}:-,&*!|>'\"%#?@ \n\tab~01", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, there is a document or a YamlError."""
    assert outcome(text)


def told(text: str, events: Callable[[str], Iterable[Any]]) -> list[str]:
    """Each event of a text with its places, and at last the error, if there is one."""
    lines = []
    try:
        for event in events(text):
            ends = (event.start_mark, event.end_mark)
            places = [(mark.line, mark.column, mark.index) for mark in ends]
            lines.append(f"{event} {places}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        lines.append(f"{error.problem} {mark and (mark.line, mark.column)}")
    return lines


def by_pyyaml(text: str) -> Iterable[Any]:
    """The whole package's events."""
    return yaml.parse(text, Loader=yaml.SafeLoader)


@given(
    st.text().filter(lambda text: all(map(_is_allowed, text)))
    | st.text("[]{}:-,&*!|>'\"%#?@ \n\r\tab~01\x85\u2028\ufeff", max_size=60)
)
def test_the_parts_of_pyyaml_read_as_the_whole(text: str) -> None:
    """Our reader beneath its scanner and parser changes no event and no place."""
    assert told(text, by_pyyaml) == told(text, _events)


@pytest.mark.parametrize(
    "text",
    [
        "a:\r\n- b\r- c\n- d\x85- e\r\r\n- [f, g]",
        "- 'b\u2028 c\u2029 d' \n- [f, g]",
        "\ufeffa: \ufeffb\n\ufeff[c]: d",
    ],
)
def test_lines_end_and_columns_count_as_in_pyyaml(text: str) -> None:
    """All of Unicode's ends of lines are some, and its mark of order is nothing."""
    assert told(text, by_pyyaml) == told(text, _events)


def test_the_characters_that_it_allows_are_pyyaml_s() -> None:
    """No more and no less, on either side of each bound."""
    forbidden = yaml.reader.Reader.NON_PRINTABLE.search
    for character in map(chr, (*range(0x1_0100), 0x10_FFFF)):
        assert _is_allowed(character) == (forbidden(character) is None)
