"""The config file's text becomes queries, or faults with their place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension.config_file import entries
from rotaware.secret import Prefetch, Query

CANARY = "canary-b7f3a1"


def ttl_seconds() -> float:
    """Of what the community forms list."""
    return 600.0


def listed(text: str) -> list[Prefetch]:
    """What a faultless file lists."""
    found, faults = entries(text, ttl_seconds)
    assert [] == faults
    return found


def faults(text: str) -> list[str]:
    """What is wrong with a file."""
    return entries(text, ttl_seconds)[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# nothing\n", []),
        ("---\n...\n", []),
        ("~", []),
        ("secrets: []", []),
        ("secrets: [a]", [Prefetch(Query.secret("a"))]),
        ("secrets:\n- id: a\n", [Prefetch(Query.secret("a"))]),
        (
            "secrets: [{id: a, ttl: 0.5, stage: AWSPREVIOUS}]",
            [Prefetch(Query.secret("a", None, "AWSPREVIOUS"), 0.5)],
        ),
        (
            "secrets: [{id: a, version: v1}]",
            [Prefetch(Query.secret("a", "v1"))],
        ),
        (
            "secrets: [a, {id: a, stage: AWSPREVIOUS}]",
            [
                Prefetch(Query.secret("a")),
                Prefetch(Query.secret("a", None, "AWSPREVIOUS")),
            ],
        ),
        (
            "parameters: [/a, {id: /b, ttl: 9, decrypt: true, version: 3}]",
            [
                Prefetch(Query.parameter("/a")),
                Prefetch(Query.parameter("/b", "3", decrypt=True), 9.0),
            ],
        ),
        (
            "parameters: [{id: /a, label: blue, decrypt: False}]",
            [Prefetch(Query.parameter("/a", None, "blue"))],
        ),
        ("parameters: [{path: /}]", [Prefetch(Query.path("/"))]),
        (
            "parameters: [{path: /app/prod/}, {path: /a, ttl: 9, decrypt: true}]",
            [
                Prefetch(Query.path("/app/prod")),
                Prefetch(Query.path("/a", decrypt=True), 9.0),
            ],
        ),
        (
            "parameters: [{path: /a, recursive: false}, {path: /a}]",
            [Prefetch(Query.path("/a", recursive=False)), Prefetch(Query.path("/a"))],
        ),
        (
            "SecretManagers:\n  - secrets:\n      - a\n      - b\n",
            [
                Prefetch(Query.secret("a"), 600.0),
                Prefetch(Query.secret("b"), 600.0),
            ],
        ),
        (
            "CacheManager:\n- secrets: [a]\n- secrets: [b]\n",
            [
                Prefetch(Query.secret("a"), 600.0),
                Prefetch(Query.secret("b"), 600.0),
            ],
        ),
        ("secrets: ['null']", [Prefetch(Query.secret("null"))]),
    ],
)
def test_it_lists(text: str, expected: list[Prefetch]) -> None:
    """Every documented form is read; what is quoted is a text."""
    assert expected == listed(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("secrets: [a", "is not valid YAML at line "),
        ("text", "top level (line 1): has no keys; use secrets, parameters, Secret"),
        ("other: 1", "top level (line 1): has the unknown key 'other'; use secrets,"),
        ("secrets: a", "secrets (line 1): is not a list; begin each item with a dash"),
        ("secrets:", "secrets (line 1): is not a list"),
        ("secrets: {a: 1}", "secrets (line 1): is not a list"),
        ("secrets:\n- a\n-", "secrets[1] (line 3): is empty; give it a value"),
        ("secrets: ['']", "secrets[0] (line 1): is empty"),
        ("secrets: [null]", "secrets[0] (line 1): is empty"),
        ("secrets: [[a]]", "secrets[0] (line 1): is not a single value; write one"),
        ("secrets: [a b]", "secrets[0] (line 1): is no name or ARN; use letters"),
        ("secrets: [{ttl: 3}]", "secrets[0] (line 1): has no id; name what to fetch"),
        ("secrets: [{id: {b: 1}}]", "secrets[0].id (line 1): is not a single value"),
        ("secrets: [{id: a, ttl: -1}]", "secrets[0].ttl (line 1): '-1' is not a num"),
        ("secrets: [{id: a, ttl: }]", "secrets[0].ttl (line 1): '' is not a number"),
        ("secrets: [{id: a, name: b}]", "has the unknown key 'name'; use id, ttl, st"),
        ("secrets: [{id: a, decrypt: true}]", "has the unknown key 'decrypt'"),
        (
            "secrets: [{id: a, stage: AWSPENDING}]",
            "secrets[0].stage (line 1): is never held in memory; remove the entry",
        ),
        ("secrets: [{id: a, stage: ''}]", "secrets[0].stage (line 1): is empty"),
        (
            "secrets: [a, b, a]",
            "secrets[2] (line 1): lists a again, as secrets[0] does",
        ),
        (
            "secrets: [a]\nCacheManager: [{secrets: [a]}]",
            "CacheManager[0].secrets[0] (line 2): lists a again, as secrets[0] does",
        ),
        (
            "parameters: [{id: a, version: 1, label: b}]",
            "parameters[0] (line 1): has both version and label; keep one",
        ),
        (
            "parameters: [{id: a, version: 0}]",
            "parameters[0].version (line 1): '0' is not a whole number from 1",
        ),
        (
            "parameters: [{id: a, decrypt: yes}]",
            "parameters[0].decrypt (line 1): 'yes' is neither; use true or false",
        ),
        (
            "parameters: [{ttl: 3}]",
            "parameters[0] (line 1): has no id and no path; name what to fetch",
        ),
        (
            "parameters: [{id: a, path: /a}]",
            "unknown key 'id'; use path, ttl, recursive, decrypt",
        ),
        ("parameters: [{path: /a, label: b}]", "has the unknown key 'label'; use path"),
        ("parameters: [{path: }]", "parameters[0].path (line 1): is empty"),
        (
            "parameters: [{path: a/b}]",
            "parameters[0].path (line 1): is no path of parameters; begin it with /",
        ),
        ("parameters: [{path: /a b}]", "is no path of parameters"),
        ("parameters: [{path: /a//b}]", "is no path of parameters"),
        (f"parameters: [{{path: {'/a' * 16}}}]", "is no path of parameters"),
        (f"parameters: [{{path: /{'a' * 1011}}}]", "is no path of parameters"),
        ("parameters: [{path: [/a]}]", "path (line 1): is not a single value"),
        (
            "parameters: [{path: /a}, {path: /a/}]",
            "parameters[1] (line 1): lists /a again, as parameters[0] does; remove one",
        ),
        ("secrets: [{id: a, path: /a}]", "has the unknown key 'path'; use id, ttl, st"),
        ("CacheManager: [a]", "CacheManager[0] (line 1): has no keys; use secrets"),
        ("CacheManager: [{secrets: [{}]}]", "[0].secrets[0] (line 1): is not a single"),
        ("CacheManager: [{prefix: a}]", "has the unknown key 'prefix'; use secrets"),
    ],
    ids=range(39),
)
def test_it_refuses(text: str, fault: str) -> None:
    """Each mistake gives one fault: its place, what is wrong, what to do."""
    (found,) = faults(text)

    assert fault in found


def test_every_fault_is_reported() -> None:
    """One wrong item hides neither the next one nor a sound one."""
    found, wrong = entries("secrets: [a b, c, {id: d, ttl: x, y: 1}]", ttl_seconds)

    assert [Query.secret("c")] == [entry.query for entry in found]
    assert 3 == len(wrong)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("", 0),
        ("secrets: [a]", 0),
        ("CacheManager: [{secrets: [a]}]", 1),
        ("SecretManagers: [{secrets: [a]}]\nCacheManager: [{secrets: [b]}]", 1),
    ],
)
def test_the_ttl_of_the_community_forms_is_asked_for_once(
    text: str, asked: int
) -> None:
    """Only where there is such a form: the variable may be the function's own."""
    asking: list[None] = []

    entries(text, lambda: asking.append(None))

    assert asked == len(asking)


@pytest.mark.parametrize(
    "text",
    [
        f"secrets: [a\n{CANARY}: [",
        f"{CANARY}\n\t- x",
        f"secrets: ['{CANARY}",
        f"secrets: [{CANARY} x]",
        f"secrets: [{{id: [{CANARY}]}}]",
        f"secrets: &{CANARY} [*{CANARY}]",
        f"secrets: !{CANARY} [a]",
        f"%{CANARY}\n---\na",
        f"'\\x{CANARY}'",
        f'"\\x{CANARY}"',
        f"{CANARY}: 1\n{CANARY}: 2",
    ],
    ids=range(11),
)
def test_the_text_is_not_quoted(text: str) -> None:
    """A file with a password in the wrong place is refused without showing it."""
    (fault,) = faults(text)

    assert CANARY not in fault


@given(st.text() | st.text("[]{}:-,&*!|>'\"%#?@ \n\tab~01", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, there are entries or faults, and no other exception."""
    found, wrong = entries(text, ttl_seconds)

    assert all(isinstance(fault, str) for fault in wrong)
    assert all(entry.query.id for entry in found)


KEYS = ["secrets", "parameters", "SecretManagers", "id", "ttl", "stage", "version", "x"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
        ),
    )
)
def test_any_structure_is_read_or_refused(structure: object) -> None:
    """Whatever a well-formed file holds, there are entries or faults."""
    found, wrong = entries(json.dumps(structure), ttl_seconds)

    assert len({entry.query for entry in found}) == len(found)
    assert all(isinstance(fault, str) for fault in wrong)
