"""A query is its own key; a value shows itself to nobody who does not ask."""

from __future__ import annotations

import copy
import io
import json
import pickle
import pprint
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.cache import Cache, Entry
from rotaware.clock import Instant
from rotaware.flight import HIT, Answer, Flight, View
from rotaware.log import Logger
from rotaware.secret import Fetched, Query, Value
from rotaware.store import Store
from tests.support.clock import ManualClock
from tests.support.fake_source import FakeSource

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "canary-5f1e7c"
PARAMETER_ARN = "arn:aws:ssm:us-east-1:123456789012:parameter/app/db"
REFERENCE = "/aws/reference/secretsmanager/db"
QUERY = Query.secret("db")
HIDDEN = "<secret value, hidden>"


def value() -> Value:
    """A value that must not be seen."""
    return Value({"SecretString": CANARY, "SecretBinary": CANARY})


def holders() -> list[Any]:
    """Everything that a value travels in."""
    payload = value()
    fetched = Fetched(payload, "arn", "subject", "v1")
    entry = Entry(fetched, Instant(0.0, 0.0), 300.0)
    cache = Cache(10, 0.0)
    cache.put(QUERY, entry, Instant(0.0, 0.0))
    clock = ManualClock()
    log = Logger(service="test", level="NONE", stream=io.StringIO(), clock=clock)
    store = Store(FakeSource(), cache, {}, clock, log)
    flight = Flight(1, View(), clock.now(), None)
    flight.outcome = fetched
    flight.answer = Answer(fetched, HIT)
    return [
        payload,
        fetched,
        entry,
        cache,
        cache._entries,
        store,
        flight,
        flight.answer,
        [payload],
        {"value": fetched},
    ]


WAYS_TO_PRINT: list[Callable[[Any], str]] = [
    str,
    repr,
    ascii,
    pprint.pformat,
    lambda it: f"{it!s:>10} {it!r:>10}",
    lambda it: f"{it}",
    lambda it: "%s %r" % (it, it),  # noqa: UP031  that is what is tried
    "{0} {0!r}".format,
    lambda it: json.dumps({"it": it}, default=str),
    lambda it: " ".join(
        str(getattr(it, name, "")) for name in dir(it) if name.startswith("__")
    ),
]


@pytest.mark.parametrize("way", range(len(WAYS_TO_PRINT)))
def test_no_way_of_printing_shows_a_value(way: int) -> None:
    """Neither a value, nor anything that holds one, turns into its payload as text."""
    printed = [WAYS_TO_PRINT[way](holder) for holder in holders()]

    assert [text for text in printed if CANARY in text] == []


def test_a_value_prints_as_hidden() -> None:
    """So that a log line tells that something was left out."""
    assert (HIDDEN, HIDDEN, HIDDEN) == (str(value()), repr(value()), f"{value()}")


def test_a_traceback_with_local_values_shows_no_value() -> None:
    """Error trackers print the locals of every frame."""

    def fail(held: list[Any]) -> None:
        payload, fetched, entry, *rest = held
        raise RuntimeError(len(rest), payload, fetched, entry)

    with pytest.raises(RuntimeError) as caught:
        fail(holders())
    trace = traceback.TracebackException.from_exception(
        caught.value, capture_locals=True
    )

    assert "payload = <secret value, hidden>" in "".join(trace.format())
    assert CANARY not in "".join(trace.format())


WAYS_TO_COPY: list[Callable[[Any], object]] = [
    copy.copy,
    copy.deepcopy,
    *(
        lambda it, protocol=protocol: pickle.dumps(it, protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ),
]


@pytest.mark.parametrize("way", range(len(WAYS_TO_COPY)))
def test_a_value_cannot_be_copied_or_pickled(way: int) -> None:
    """A copy in a file or a queue would be out of the cache's hands."""
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        WAYS_TO_COPY[way](value())


def test_nothing_that_holds_a_value_can_be_pickled() -> None:
    """The refusal goes through tuples and lists."""
    fetched = Fetched(value(), "arn", "subject", "v1")
    for holder in (fetched, Answer(fetched, HIT), [fetched]):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            pickle.dumps(holder)


def test_a_value_cannot_be_written_as_json() -> None:
    """``json`` refuses it, and its complaint does not quote it."""
    with pytest.raises(TypeError) as refused:
        json.dumps({"value": value()})

    assert CANARY not in str(refused.value)


def test_a_value_cannot_be_formatted_to_a_width() -> None:
    """A format code is refused, without the payload."""
    with pytest.raises(TypeError) as refused:
        f"{value():>10}"

    assert CANARY not in str(refused.value)


def test_a_value_cannot_be_guessed_by_comparing() -> None:
    """It equals itself alone, whatever it holds, and has no order or length."""
    one: Any = value()

    assert one == one  # noqa: PLR0124  identity is the law
    assert one not in (value(), CANARY, value().reveal())
    for guess in (lambda: one < value(), lambda: len(one), lambda: CANARY in one):
        with pytest.raises(TypeError):
            guess()


def test_a_value_has_no_namespace_to_look_into() -> None:
    """``vars`` is what debuggers and serialisers ask for."""
    with pytest.raises(TypeError):
        vars(value())


def test_only_reveal_gives_a_value_away() -> None:
    """Whoever needs it says so."""
    assert value().reveal() == {"SecretString": CANARY, "SecretBinary": CANARY}


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (Query.secret("a"), ("secretsmanager", "a", None, "AWSCURRENT", True)),
        (Query.secret("a", "v1"), ("secretsmanager", "a", "v1", None, True)),
        (Query.secret("a", None, "S"), ("secretsmanager", "a", None, "S", True)),
        (Query.secret("a", "v1", "S"), ("secretsmanager", "a", "v1", "S", True)),
        (Query.parameter("a"), ("ssm", "a", None, None, False)),
        (Query.parameter("a", "3"), ("ssm", "a", "3", None, False)),
        (Query.parameter("a", None, "l"), ("ssm", "a", None, "l", False)),
        (Query.parameter("a", decrypt=True), ("ssm", "a", None, None, True)),
    ],
)
def test_a_query_says_all_that_makes_answers_differ(
    query: Query, fields: tuple[object, ...]
) -> None:
    """Version, label and decryption are part of the key; AWSCURRENT is the default."""
    assert (*fields, None) == tuple(query)


def test_a_variable_is_a_query_of_kms() -> None:
    """Its name says all: it has one version, and no label."""
    assert ("kms", "DB_PASSWORD", None, None, True, None) == tuple(
        Query.variable("DB_PASSWORD")
    )


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (Query.path("/a"), ("/a", False, True)),
        (Query.path("/a/b/"), ("/a/b", False, True)),
        (Query.path("/"), ("/", False, True)),
        (Query.path("/a", recursive=False), ("/a", False, False)),
        (Query.path("/a", decrypt=True), ("/a", True, True)),
    ],
)
def test_a_path_is_a_query_of_its_own(query: Query, fields: tuple[object, ...]) -> None:
    """With or without a slash behind it, it is the same."""
    path, decrypt, recursive = fields

    assert ("ssm", path, None, None, decrypt, recursive) == tuple(query)
    assert query.is_path
    assert not Query.parameter("/a").is_path


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("/app/db:3", ("/app/db", "3", None)),
        ("db:Dev", ("db", None, "Dev")),
        (f"{REFERENCE}:AWSPENDING", (REFERENCE, None, "AWSPENDING")),
        (f"{REFERENCE}:11111-aaa", (REFERENCE, None, "11111-aaa")),
        (f"{PARAMETER_ARN}:3", (PARAMETER_ARN, "3", None)),
        (f"{PARAMETER_ARN}:Dev", (PARAMETER_ARN, None, "Dev")),
        ("arn:3", ("arn", "3", None)),
        (PARAMETER_ARN, (PARAMETER_ARN, None, None)),
        ("/app/db", ("/app/db", None, None)),
        ("db:", ("db:", None, None)),
        (":3", (":3", None, None)),
        ("db:3:4", ("db:3:4", None, None)),
        (f"{PARAMETER_ARN}:3:4", (f"{PARAMETER_ARN}:3:4", None, None)),
        (
            PARAMETER_ARN.rpartition(":")[0],
            (PARAMETER_ARN.rpartition(":")[0], None, None),
        ),
    ],
)
def test_a_selector_in_a_parameters_name_is_its_version_or_label(
    name: str, split: tuple[str, str | None, str | None]
) -> None:
    """One question has one key; what AWS would refuse stays as it is."""
    assert split == Query.parameter(name)[1:4]


@pytest.mark.parametrize("given", [("4", None), (None, "Dev"), ("4", "Dev")])
def test_a_selector_besides_a_version_or_label_stays_in_the_name(
    given: tuple[str | None, str | None],
) -> None:
    """AWS refuses that: nobody here decides which one was meant."""
    assert ("/app/db:3", *given) == Query.parameter("/app/db:3", *given)[1:4]


def test_current_by_default_and_by_name_are_one_query() -> None:
    """Two spellings of one question share an answer."""
    assert Query.secret("a") == Query.secret("a", stage="AWSCURRENT")
