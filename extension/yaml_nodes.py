"""The config file's YAML as plain nodes, each with its line.

The parser's events are read, not its objects. So a value is the text that was written
(``on``, ``007`` and ``1e3`` stay what they are), and an alias, a tag, a second document
or deep nesting is refused before it can do anything. The text is never quoted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 8
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    try:
        events = yaml.parse(text, Loader=LOADER)
        return _first_of(events)
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark)
        raise YamlError(f"is not valid YAML{place}; correct it there") from None
    except (yaml.YAMLError, UnicodeError):
        raise YamlError(
            "holds characters that YAML does not allow; remove them"
        ) from None


def _place(mark: Any) -> str:
    return f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _first_of(events: Iterator[Any]) -> Node:
    root = Node(1, None)
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
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
    if isinstance(event, yaml.AliasEvent):
        raise YamlError(f"has an alias{where}; write the thing out")
    if event.tag is not None and event.tag != "!":
        raise YamlError(f"has a tag{where}; remove it")
    if depth > MAX_DEPTH:
        raise YamlError(f"is nested too deeply{where}; keep to the documented form")
    line = event.start_mark.line + 1
    if isinstance(event, yaml.ScalarEvent):
        plain_null = event.implicit[0] and event.value in ("", "~", "null")
        return Node(line, None if plain_null else event.value)
    if isinstance(event, yaml.SequenceStartEvent):
        return Node(line, list(_until(yaml.SequenceEndEvent, events, depth)))
    parts = list(_until(yaml.MappingEndEvent, events, depth))
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
