"""Parameters under a path: read together, held and evicted one by one."""

from __future__ import annotations

import io
import json
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.cache import REST_SECONDS, Cache
from rotaware.errors import AwsError, AwsUnavailableError
from rotaware.flight import (
    BYPASS,
    EXPIRED,
    HIT,
    MISS,
    REMEMBERED_REFUSAL,
    REQUESTED,
    STALE_IF_ERROR,
    Answer,
)
from rotaware.log import Logger
from rotaware.paths import PARAMETERS_LIMIT, assembled
from rotaware.secret import PARAMETER_STORE, Fetched, Prefetch, Query
from rotaware.source import AwsSource
from rotaware.store import Store
from tests.support.clock import ManualClock
from tests.support.parameters import Call, Parameters, arn_of, edition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEADLINE_SECONDS = 10.0
PATH = Query.path("/app", decrypt=True)
DENIED = AwsError("AccessDeniedException", "no", 400)
DOWN = AwsUnavailableError("ServiceUnavailable", "come back later", 503)


class Here:
    """A store before Parameter Store, and a clock in the test's hand."""

    def __init__(
        self,
        values: Mapping[str, str] | None = None,
        *,
        ttl_seconds: float = 300.0,
        stale_seconds: float = 0.0,
        max_entries: int = 1000,
    ) -> None:
        self.aws = Parameters(values or {"a": "1", "b": "2"})
        self.clock = ManualClock()
        self.lines = io.StringIO()
        self.cache = Cache(max_entries, stale_seconds)
        self.store = Store(
            AwsSource(self.aws, {}),
            self.cache,
            {PARAMETER_STORE: ttl_seconds},
            self.clock,
            Logger(service="test", level="INFO", stream=self.lines, clock=self.clock),
        )

    def read(self, query: Query = PATH, **options: Any) -> tuple[dict[str, str], str]:
        """The values by name, and how the read was answered."""
        return told(self.store.get(query, **options))

    def peek(self, query: Query = PATH) -> tuple[dict[str, str], str] | None:
        """The same, if it may be answered at once."""
        answer = self.store.peek(query)
        return None if answer is None else told(answer)

    def prefetch(self, *paths: Query) -> None:
        """Prefetch, to the end."""
        join(self.store.prefetch(paths))

    def new_calls(self) -> list[Call]:
        """What AWS was asked since this was asked last."""
        calls = list(self.aws.calls)
        self.aws.calls.clear()
        return calls

    def logged(self) -> list[tuple[str, str]]:
        """What was logged: name and reason."""
        lines = [json.loads(line) for line in self.lines.getvalue().splitlines()]
        return [(line["name"], line["reason"]) for line in lines if "name" in line]


def told(answer: Answer) -> tuple[dict[str, str], str]:
    """The values by name, and how the read was answered."""
    if not isinstance(answer.outcome, Fetched):
        return {"refused": answer.outcome.code}, answer.how
    document = answer.outcome.value.reveal()
    parameters = document.get("Parameters", [document.get("Parameter")])
    return {each["Name"]: each["Value"] for each in parameters}, answer.how


def join(threads: list[Thread]) -> None:
    """Wait for them."""
    for thread in threads:
        thread.join(DEADLINE_SECONDS)

        assert not thread.is_alive()


def one(name: str) -> Query:
    """A parameter under the path."""
    return Query.parameter(f"/app/{name}", decrypt=True)


# --- one read of a path


def test_the_answer_is_what_aws_answers() -> None:
    """Every parameter as GetParameter has it, and an empty ResultMetadata."""
    here = Here({"a": "1"})
    outcome = here.store.get(PATH).outcome

    assert isinstance(outcome, Fetched)
    body: dict[str, Any] = {
        "Parameters": [
            {
                "ARN": arn_of("/app/a"),
                "DataType": "text",
                "LastModifiedDate": "2022-11-16T08:22:40.362Z",
                "Name": "/app/a",
                "Selector": None,
                "SourceResult": None,
                "Type": "SecureString",
                "Value": "1",
                "Version": 1,
            }
        ],
        "ResultMetadata": {},
    }
    assert json.dumps(body) == json.dumps(outcome.value.reveal())


def test_the_second_read_is_a_hit() -> None:
    """Fresh for as long as its first part; the body is the same."""
    here = Here()
    first = here.store.get(PATH)
    here.clock.tick(100)
    second = here.store.get(PATH)

    assert (MISS, 300.0) == (first.how, first.fresh_seconds)
    assert (HIT, 200.0) == (second.how, second.fresh_seconds)
    assert told(first)[0] == told(second)[0] == {"/app/a": "1", "/app/b": "2"}
    assert told(second) == here.peek()
    assert [Call("GetParametersByPath", "/app")] == here.new_calls()


def test_each_parameter_is_held_as_if_it_had_been_read_alone() -> None:
    """By its name and by its ARN; its document is that of GetParameter."""
    here, alone = Here(), Here()
    here.store.get(PATH)
    there = here.store.get(one("a"))
    read = alone.store.get(one("a"))

    assert isinstance(there.outcome, Fetched)
    assert isinstance(read.outcome, Fetched)
    assert HIT == there.how
    assert read.outcome.value.reveal() == there.outcome.value.reveal()
    assert read.outcome[1:] == there.outcome[1:]
    by_arn = Query.parameter(arn_of("/app/b"), decrypt=True)
    assert ({"/app/b": "2"}, HIT) == here.read(by_arn)


@pytest.mark.parametrize(
    "other",
    [Query.path("/app"), Query.path("/app", recursive=False, decrypt=True)],
)
def test_every_field_of_a_path_tells_answers_apart(other: Query) -> None:
    """Decryption and levels are part of the key."""
    here = Here()
    here.store.get(PATH)

    assert here.peek(other) is None


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (Query.path("/app"), ["/app/a", "/app/deep/b"]),
        (Query.path("/app/"), ["/app/a", "/app/deep/b"]),
        (Query.path("/app", recursive=False), ["/app/a"]),
        (Query.path("/app/deep"), ["/app/deep/b"]),
        (Query.path("/"), ["/app/a", "/app/deep/b", "/apple"]),
        (Query.path("/none"), []),
    ],
)
def test_a_path_is_whole_levels(path: Query, names: list[str]) -> None:
    """What only begins alike does not stand under it."""
    here = Here({"a": "1"})
    here.aws.put("/app/deep/b", "2")
    here.aws.put("/apple", "3")
    values, how = here.read(path)

    assert (names, MISS) == (list(values), how)
    assert names == [
        name
        for name in ("/app/a", "/app/deep/b", "/apple")
        if path.covers(Query.parameter(name))
    ]


@pytest.mark.parametrize(
    "other",
    [
        Query.parameter("/app/a", decrypt=True),
        Query.parameter("/app/a", "3"),
        Query.parameter("/app/a", label="Dev"),
        Query.parameter("app/a"),
        Query.secret("/app/a"),
        Query.path("/app/a"),
        Query.variable("/app/a"),
    ],
)
def test_a_path_brings_nothing_but_latest_versions(other: Query) -> None:
    """Of parameters, with the same decryption."""
    assert not Query.path("/app").covers(other)


def test_pages_are_read_one_after_the_other() -> None:
    """Ten on each at most; AWS may send fewer."""
    here = Here({f"p{number:02}": "x" for number in range(25)})
    values, _ = here.read()
    full = here.new_calls()
    here.aws.page_size = 4
    here.read(refresh=True)

    assert 25 == len(values)
    assert 3 == len(full)
    assert 7 == len(here.new_calls())


def test_a_refresh_asks_for_the_whole_path() -> None:
    """Its own word, and what it brings is held from then on."""
    here = Here()
    here.read()
    here.aws.put("/app/a", "new")

    assert ({"/app/a": "new", "/app/b": "2"}, REQUESTED) == here.read(refresh=True)
    assert ({"/app/a": "new"}, HIT) == here.read(one("a"))


def test_all_who_ask_meanwhile_share_one_call() -> None:
    """Single flight."""
    here = Here()
    answers: list[Any] = []
    with here.aws.gate("/app") as gate:
        readers = [
            Thread(target=lambda: answers.append(here.read()), daemon=True)
            for _ in range(4)
        ]
        for reader in readers:
            reader.start()
        gate.wait_for_arrival()
    join(readers)

    assert [{"/app/a": "1", "/app/b": "2"}] * 4 == [values for values, _ in answers]
    assert [Call("GetParametersByPath", "/app")] == here.new_calls()


# --- freshness


def test_a_stamp_evicts_one_parameter_and_that_alone_is_read_anew() -> None:
    """No stale value by the back door; the list and the others stay."""
    here = Here()
    here.store.apply(edition(1))
    here.read()
    here.aws.put("/app/a", "new")
    here.new_calls()
    here.store.apply(edition(2, a=("2", 5)))

    assert here.peek() is None
    assert ({"/app/a": "new", "/app/b": "2"}, EXPIRED) == here.read()
    assert [Call("GetParameter", "/app/a")] == here.new_calls()
    assert HIT == here.read()[1]


def test_many_that_were_evicted_are_read_by_tens() -> None:
    """One GetParameters for each ten, not a call for each."""
    here = Here({f"p{number}": "x" for number in range(12)})
    here.store.apply(edition(1))
    here.read()
    here.new_calls()
    here.store.apply(edition(2, **{f"p{number}": ("2", 5) for number in range(12)}))
    read = here.read()

    assert (12, EXPIRED) == (len(read[0]), read[1])
    assert ["GetParameters"] * 2 == [call.operation for call in here.new_calls()]


def test_what_a_sheet_outdates_on_its_way_is_not_held() -> None:
    """Who asked before it gets it; who asks after it does not."""
    here = Here()
    here.store.apply(edition(1))
    answers: list[Any] = []
    reader = Thread(target=lambda: answers.append(here.read()), daemon=True)
    with here.aws.gate("/app") as gate:
        reader.start()
        gate.wait_for_arrival()
        here.aws.put("/app/a", "new")
        here.store.apply(edition(2, a=("2", 5)))
    join([reader])

    assert [({"/app/a": "1", "/app/b": "2"}, MISS)] == answers
    assert here.peek(one("a")) is None
    assert ({"/app/b": "2"}, HIT) == here.peek(one("b"))
    assert {"/app/a": "new", "/app/b": "2"} == here.read()[0]


def test_who_asks_after_a_sheet_does_not_share_what_it_outdated() -> None:
    """They go on to a path's next flight."""
    here = Here()
    here.store.apply(edition(1))
    answers: list[Any] = []
    early = Thread(target=here.read, daemon=True)
    late = Thread(target=lambda: answers.append(here.read()), daemon=True)
    with here.aws.gate("/app") as gate:
        early.start()
        gate.wait_for_arrival()
        here.aws.put("/app/a", "new")
        here.store.apply(edition(2, a=("2", 5)))
        late.start()
    join([early, late])

    assert {"/app/a": "new", "/app/b": "2"} == answers[0][0]


def test_what_was_read_since_is_not_replaced_by_what_left_before() -> None:
    """The younger of two answers is held."""
    here = Here()
    reader = Thread(target=here.read, daemon=True)
    with here.aws.gate("/app") as gate:
        reader.start()
        gate.wait_for_arrival()
        here.clock.tick(1)
        here.aws.put("/app/a", "new")
        here.read(one("a"))
    join([reader])

    assert ({"/app/a": "new"}, HIT) == here.peek(one("a"))


def test_new_names_are_seen_when_the_list_expires() -> None:
    """Its TTL bounds that."""
    here = Here({"a": "1"})
    here.read()
    here.aws.put("/app/b", "2")
    here.clock.tick(299)
    before = here.read()
    here.clock.tick(1)

    assert ({"/app/a": "1"}, HIT) == before
    assert ({"/app/a": "1", "/app/b": "2"}, MISS) == here.read()


def test_a_deleted_parameter_fails_nobody() -> None:
    """It is left out as soon as its stamp evicts it, and asked for once."""
    here = Here()
    here.store.apply(edition(1))
    here.read()
    here.aws.delete("/app/a")
    here.store.apply(edition(2, a=("", 5)))
    here.new_calls()

    assert {"/app/b": "2"} == here.read()[0]
    assert [Call("GetParameter", "/app/a")] == here.new_calls()
    here.clock.tick(60)
    assert ({"/app/b": "2"}, HIT) == here.read()
    assert [] == here.new_calls()


def test_the_last_one_deleted_leaves_an_empty_list() -> None:
    """That is an answer too."""
    here = Here({"a": "1"})
    here.store.apply(edition(1))
    here.read()
    here.aws.delete("/app/a")
    here.store.apply(edition(2, a=("", 5)))

    assert {} == here.read()[0]
    assert ({}, HIT) == here.read()


def test_a_list_that_went_meanwhile_is_no_matter() -> None:
    """Its names were read; one is gone, and so is the list."""
    here = Here()
    here.store.apply(edition(1))
    here.read()
    here.aws.delete("/app/a")
    here.store.apply(edition(2, a=("", 5), b=("7", 5)))
    answers: list[Any] = []
    reader = Thread(target=lambda: answers.append(here.read()), daemon=True)
    with here.aws.gate("/app/a,/app/b") as gate:
        here.aws.refusals["/app"] = DENIED
        reader.start()
        gate.wait_for_arrival()
        here.read(refresh=True)
    join([reader])

    assert [{"/app/b": "2"}] == [answer[0] for answer in answers]


# --- refusals and failures


def test_a_refusal_of_the_path_is_remembered() -> None:
    """As that of any other query."""
    here = Here()
    here.aws.refusals["/app"] = DENIED
    refused = {"refused": "AccessDeniedException"}

    assert [(refused, MISS), (refused, REMEMBERED_REFUSAL)] == [
        here.read(),
        here.read(),
    ]
    assert (refused, REMEMBERED_REFUSAL) == here.peek()
    assert 1 == len(here.new_calls())
    (line,) = here.logged()
    assert ("/app", "no (/app: allow it to the function's role)") == line


def test_a_refusal_of_one_parameter_is_that_of_the_path() -> None:
    """An answer without it would be wrong: it exists."""
    here = Here()
    here.store.apply(edition(1))
    here.read()
    here.store.apply(edition(2, a=("2", 5)))
    here.aws.refusals["/app/a"] = DENIED

    assert {"refused": "AccessDeniedException"} == here.read()[0]
    assert ({"refused": "AccessDeniedException"}, REMEMBERED_REFUSAL) == here.peek()


def test_a_failing_source_is_covered_by_what_is_held() -> None:
    """The list and all values, by one failing call; then it rests for a moment."""
    here = Here(stale_seconds=60.0)
    here.read()
    here.clock.tick(300)
    here.aws.refusals["/app"] = DOWN
    here.new_calls()
    stale = ({"/app/a": "1", "/app/b": "2"}, STALE_IF_ERROR)

    assert stale == here.read()
    assert stale == here.peek()
    assert [Call("GetParametersByPath", "/app")] == here.new_calls()
    here.clock.tick(REST_SECONDS)
    assert here.peek() is None


def test_a_failing_path_leaves_fresh_values_alone() -> None:
    """They need no cover; the answer as a whole is stale."""
    here = Here(stale_seconds=60.0)
    here.read()
    here.clock.tick(299)
    here.read(one("a"), refresh=True)
    here.clock.tick(1)
    here.aws.refusals["/app"] = DOWN

    assert STALE_IF_ERROR == here.read()[1]
    assert ({"/app/a": "1"}, HIT) == here.peek(one("a"))


def test_without_anything_held_a_failure_is_told() -> None:
    """With its own code."""
    here = Here()
    here.aws.refusals["/app"] = DOWN

    assert ({"refused": "ServiceUnavailable"}, MISS) == here.read()


@pytest.mark.parametrize(
    ("hows", "whole"),
    [
        ([HIT, HIT, HIT], HIT),
        ([HIT, EXPIRED, HIT], EXPIRED),
        ([HIT, MISS, STALE_IF_ERROR], STALE_IF_ERROR),
        ([STALE_IF_ERROR, HIT, MISS], STALE_IF_ERROR),
    ],
)
def test_a_whole_is_as_good_as_its_worst_part(hows: list[str], whole: str) -> None:
    """Stale if one part is; else asked for, if one was."""
    here = Here()
    listed, *parts = (
        here.store.get(query)._replace(how=how)
        for query, how in zip((PATH, one("a"), one("b")), hows, strict=True)
    )

    assert whole == assembled(listed, parts).how


# --- what is held, and for how long


def test_without_a_ttl_every_read_asks_once() -> None:
    """For the whole path, and for no value besides."""
    here = Here(ttl_seconds=0.0)

    assert [BYPASS] * 2 == [here.read()[1] for _ in range(2)]
    assert [Call("GetParametersByPath", "/app")] * 2 == here.new_calls()
    assert 0 == len(here.cache)


def test_a_path_has_the_ttl_that_it_was_given() -> None:
    """So has what stands under it, unless it has one of its own or a closer path."""
    here = Here({"a": "1", "b": "2"})
    here.aws.put("/app/deep/c", "3")
    here.store.expect(
        [
            Prefetch(PATH, 60.0),
            Prefetch(Query.path("/app/deep", decrypt=True), 30.0),
            Prefetch(one("b"), 20.0),
            Prefetch(Query.path("/other")),
        ]
    )
    whole = here.store.get(PATH)
    single = {
        name: here.store.get(one(name)).fresh_seconds for name in ("a", "b", "deep/c")
    }

    assert 60.0 == whole.fresh_seconds
    assert {"a": 60.0, "b": 20.0, "deep/c": 30.0} == single
    assert 20.0 == here.store.get(PATH).fresh_seconds
    assert 300.0 == here.store.get(Query.parameter("/app/a")).fresh_seconds


@pytest.mark.parametrize(("room", "held"), [(2, 0), (3, 3)])
def test_what_does_not_fit_is_not_held(room: int, held: int) -> None:
    """It would push out itself and all others; the log says what to do."""
    here = Here(max_entries=room)
    read = here.read()

    assert {"/app/a": "1", "/app/b": "2"} == read[0]
    assert held == len(here.cache)
    assert (BYPASS if not held else MISS) == read[1]
    complaint = (
        f"2 parameters do not fit into a cache of {room} and are not held; raise"
        " PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE, or list longer paths"
    )
    assert here.logged() == ([] if held else [("/app", complaint)])


def test_without_a_cache_nothing_is_said_about_room() -> None:
    """Whoever turned it off knows."""
    here = Here(max_entries=0)
    here.read()

    assert [] == here.logged()


def test_an_empty_path_is_said() -> None:
    """AWS answers nothing for a mistyped one, and no error."""
    here = Here()
    here.read(Query.path("/ap"))

    assert [("/ap", "no parameter stands under it; correct the path")] == here.logged()


def test_a_path_of_too_many_is_refused() -> None:
    """Before all of them are in memory."""
    names = {f"p{number:04}": "x" for number in range(PARAMETERS_LIMIT + 1)}
    here = Here(names)
    answer = here.store.get(PATH)

    assert not isinstance(answer.outcome, Fetched)
    assert "TooManyParameters" == answer.outcome.code
    assert (
        "more than 1000 parameters in one path (/app: ask for longer paths, or without"
        " the levels below this one)"
    ) == answer.outcome.message
    here.aws.delete("/app/p0000")
    assert PARAMETERS_LIMIT == len(here.read(refresh=True)[0])


# --- prefetch


def test_a_prefetch_by_path_makes_hits_of_all_that_it_found() -> None:
    """Several paths at once, each with its own call."""
    here = Here()
    here.aws.put("/other/c", "3")
    here.prefetch(PATH, Query.path("/other"))

    assert {Call("GetParametersByPath", path) for path in ("/app", "/other")} == set(
        here.new_calls()
    )
    assert ({"/app/b": "2"}, HIT) == here.read(one("b"))
    assert ({"/other/c": "sealed 3"}, HIT) == here.read(Query.parameter("/other/c"))
    assert HIT == here.read()[1]
    assert [] == here.new_calls()


def during_prefetch(here: Here, read: Callable[[], object]) -> list[Call]:
    """Read while a prefetch is under way; what AWS was asked besides."""
    with here.aws.gate("/app") as gate:
        threads = here.store.prefetch([PATH])
        gate.wait_for_arrival()
        here.new_calls()
        reader = Thread(target=read, daemon=True)
        reader.start()
        gate.open()
        join([*threads, reader])
    return here.new_calls()


def test_a_read_waits_for_the_prefetch_of_its_path() -> None:
    """It saves a call."""
    here = Here()

    assert [] == during_prefetch(here, lambda: here.read(one("a")))


def test_a_read_beside_the_path_does_not_wait() -> None:
    """Nor one that asks for the source's own word."""
    here = Here()
    here.aws.put("/other", "3")
    with here.aws.gate("/app") as gate:
        threads = here.store.prefetch([PATH])
        gate.wait_for_arrival()
        beside = here.read(Query.parameter("/other"))
        forced = here.read(one("a"), refresh=True)
        failed = here.read(one("b"), instead_of="0")
    join(threads)

    assert ({"/other": "sealed 3"}, MISS) == beside
    assert ({"/app/a": "1"}, REQUESTED) == forced
    assert ({"/app/b": "2"}, REQUESTED) == failed
    assert [] == here.logged()  # the prefetch stood at its gate until now


def test_a_read_that_the_path_does_not_bring_asks_by_itself() -> None:
    """The path was refused, or the name is not there."""
    refused, absent = Here(), Here()
    refused.aws.refusals["/app"] = DENIED
    refused.prefetch(PATH)
    refused.new_calls()
    refused.read(one("a"))

    assert [Call("GetParameter", "/app/a")] == refused.new_calls()
    assert [Call("GetParameter", "/app/c")] == during_prefetch(
        absent, lambda: absent.read(one("c"))
    )


def test_what_a_sheet_doubts_after_a_prefetch_is_fetched_again_alone() -> None:
    """By its name; the rest of the path is not."""
    here = Here({"a": "1", "b": "2", "c": "3"})
    here.prefetch(PATH)
    here.aws.put("/app/a", "new")
    here.new_calls()
    here.store.apply(edition(1, a=("2", 5), b=("1", 5)))
    join(here.store.prefetch_doubted())

    assert [Call("GetParameter", "/app/a")] == here.new_calls()
    assert ({"/app/a": "new"}, HIT) == here.read(one("a"))


def test_a_path_that_a_sheet_outdates_on_its_way_is_fetched_again() -> None:
    """As a whole, once."""
    here = Here()
    here.store.apply(edition(1))
    with here.aws.gate("/app") as gate:
        threads = here.store.prefetch([PATH])
        gate.wait_for_arrival()
        here.aws.put("/app/a", "new")
        here.store.apply(edition(2, a=("2", 5)))
    join(threads)
    here.new_calls()
    join(here.store.prefetch_doubted())

    assert [Call("GetParametersByPath", "/app")] == here.new_calls()
    assert ({"/app/a": "new"}, HIT) == here.read(one("a"))


def test_what_left_before_a_restore_is_not_held() -> None:
    """It may be of another life."""
    here = Here()
    with here.aws.gate("/app") as gate:
        threads = here.store.prefetch([PATH])
        gate.wait_for_arrival()
        here.store.hold_from_now()
    join(threads)

    assert 0 == len(here.cache)
