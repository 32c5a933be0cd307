"""The config file's YAML as plain nodes, each with its line.

The parser's events are read, not its objects. So a value is the text that was written
(``on``, ``007`` and ``1e3`` stay what they are), and an alias, a tag, a second document
or deep nesting is refused before it can do anything. The text is never quoted.

Of PyYAML only what makes events is imported; the layer holds no more of it. Its own
reader is left out too: it decodes streams, and compiles a regular expression.
"""

from __future__ import annotations

from yaml.error import Mark, MarkedYAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.parser import Parser
from yaml.scanner import Scanner

from rotaware.lean import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_DEPTH = 8
_LINE_ENDS = "\n\x85\u2028\u2029"
_END = "\0"


class Node(NamedTuple):
    """A piece of the file and the line that it begins in.

    ``content`` is a text, a list of nodes, a mapping of texts to nodes, or None.
    """

    line: int
    content: str | list[Node] | dict[str, Node] | None


class YamlError(Exception):
    """The text cannot be used; the message says where and why."""


def document_of(text: str) -> Node:
    """The text's one document; YamlError says why it has none."""
    if not all(map(_is_allowed, text)):
        raise YamlError("holds characters that YAML does not allow; remove them")
    try:
        return _first_of(_events(text))
    except MarkedYAMLError as error:
        place = _place(error.problem_mark)
        raise YamlError(f"is not valid YAML{place}; correct it there") from None


def _is_allowed(character: str) -> bool:
    return (
        " " <= character <= "~"
        or character in "\t\n\r\x85"
        or "\xa0" <= character <= "\ud7ff"
        or "\ue000" <= character <= "\ufffd"
        or character >= "\U00010000"
    )


class _Events(Scanner, Parser):
    """PyYAML's scanner and parser, over a text that is all there."""

    encoding = None

    def __init__(self, text: str) -> None:
        self._text = text + _END
        self.index = self.line = self.column = 0
        Scanner.__init__(self)
        Parser.__init__(self)

    def peek(self, index: int = 0) -> str:
        """The next character, or one after it."""
        return self._text[self.index + index]

    def prefix(self, length: int = 1) -> str:
        """The next characters."""
        return self._text[self.index : self.index + length]

    def forward(self, length: int = 1) -> None:
        """Go past characters; count lines and columns."""
        for _ in range(length):
            character = self._text[self.index]
            self.index += 1
            if character in _LINE_ENDS or (
                character == "\r" and self._text[self.index] != "\n"
            ):
                self.line += 1
                self.column = 0
            elif character != "\ufeff":
                self.column += 1

    def get_mark(self) -> Mark:
        """Where it is, without the text."""
        return Mark("", self.index, self.line, self.column, None, 0)


def _events(text: str) -> Iterator[Any]:
    parser = _Events(text)
    while parser.check_event():
        yield parser.get_event()  # type: ignore[no-untyped-call]


def _place(mark: Any) -> str:
    return f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _first_of(events: Iterator[Any]) -> Node:
    root = Node(1, None)
    documents = 0
    for event in events:
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise YamlError(
                    f"has a second document{_place(event.start_mark)}; keep one"
                )
            root = _node(next(events), events, 0)
    return root


def _node(event: Any, events: Iterator[Any], depth: int) -> Node:
    """The node that begins with the event; takes its other events off the iterator."""
    where = _place(event.start_mark)
    if isinstance(event, AliasEvent):
        raise YamlError(f"has an alias{where}; write the thing out")
    if event.tag is not None and event.tag != "!":
        raise YamlError(f"has a tag{where}; remove it")
    if depth > MAX_DEPTH:
        raise YamlError(f"is nested too deeply{where}; keep to the documented form")
    line = event.start_mark.line + 1
    if isinstance(event, ScalarEvent):
        plain_null = event.implicit[0] and event.value in ("", "~", "null")
        return Node(line, None if plain_null else event.value)
    if isinstance(event, SequenceStartEvent):
        return Node(line, list(_until(SequenceEndEvent, events, depth)))
    parts = list(_until(MappingEndEvent, events, depth))
    return Node(line, _mapping(parts[::2], parts[1::2]))


def _until(end: type, events: Iterator[Any], depth: int) -> Iterator[Node]:
    for event in events:
        if isinstance(event, end):
            return
        yield _node(event, events, depth + 1)


def _mapping(keys: list[Node], values: list[Node]) -> dict[str, Node]:
    mapping: dict[str, Node] = {}
    for key, value in zip(keys, values, strict=True):
        if not isinstance(key.content, str):
            raise YamlError(f"has a key that is no word at line {key.line}; use a word")
        if key.content in mapping:
            # YAML keeps the last one without a word.
            raise YamlError(
                f"has a key for the second time at line {key.line}; merge the two"
            )
        mapping[key.content] = value
    return mapping
