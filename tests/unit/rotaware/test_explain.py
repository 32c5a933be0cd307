"""The debug level tells why each read got what it got, and never a value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rotaware.cache import REST_SECONDS
from rotaware.errors import AwsError, AwsUnavailableError
from rotaware.secret import Prefetch, Query
from tests.support.fake_source import World, edition

DB = Query.secret("db")
DENIED = AwsError("AccessDeniedException", "no", 400)
DOWN = AwsUnavailableError("ServiceUnavailable", "come back later", 503)


def explained(**options: Any) -> World:
    """A world in which ``db`` is at v1, and which explains itself."""
    made = World(**options)
    made.source.now["db"] = "v1"
    made.store.explain(_debug(made))
    return made


def _debug(made: World) -> Any:
    def debug(message: str, **fields: object) -> None:
        made.lines.write(json.dumps({"message": message, **fields}) + "\n")

    return debug


def told(made: World) -> list[str]:
    """What was explained since this was last asked."""
    documents = [json.loads(line) for line in made.lines.getvalue().splitlines()]
    made.lines.seek(0)
    made.lines.truncate()

    assert not any("payload" in json.dumps(each) for each in documents)

    return [
        f"{each['message']}: {each['because']}"
        for each in documents
        if "because" in each
    ]


def test_a_miss_and_a_hit() -> None:
    """Nothing was held, then it was held for its TTL."""
    here = explained()
    here.store.get(DB)

    assert [
        "asking the source: nothing is held",
        "the source answered: held for 300 s",
    ] == told(here)

    here.clock.tick(0.5)
    here.store.get(DB)
    here.store.peek(DB)

    assert ["found in memory: it is fresh for 299.500 s"] * 2 == told(here)

    here.clock.tick(300)
    here.store.get(DB)

    assert "asking the source: nothing is held" == told(here)[0]


def test_a_line_names_the_secret_and_its_version() -> None:
    """Or the variable that named it, which may hold a misplaced password."""
    here = explained()
    here.store.expect([Prefetch(DB, None, "SECRET_DB")])
    here.store.get(DB)
    *_, line = (json.loads(text) for text in here.lines.getvalue().splitlines())

    assert ("SECRET_DB", "v1", "fwd=miss") == (
        line["name"],
        line["version"],
        line["served"],
    )


def test_after_its_ttl() -> None:
    """A stale value is kept for errors alone."""
    here = explained(stale_seconds=60.0)
    here.store.get(DB)
    here.clock.tick(301)
    told(here)
    here.store.get(DB)

    assert "asking the source: its TTL has been over for 1.000 s" == told(here)[0]


def test_an_eviction() -> None:
    """The sheet has changed, or has not; then the value is outdated."""
    here = explained(stale_seconds=60.0)
    here.store.get(DB)
    told(here)
    for _ in range(2):
        here.store.apply(edition(1, {"db": ("v2", 5)}))

    assert [
        "looked at the stamp sheet: it has changed",
        "looked at the stamp sheet: it says what it said before",
    ] == told(here)

    here.source.now["db"] = "v2"
    here.store.get(DB)

    assert (
        "asking the source: the stamp sheet has evicted what is held" == told(here)[0]
    )


def test_an_answer_in_doubt() -> None:
    """The source may not know yet what the sheet says."""
    here = explained()
    here.store.apply(edition(1, {"db": ("v2", 5)}))
    told(here)
    for _ in range(2):
        here.store.get(DB)
    doubt = "the source contradicts the stamp, answer 1 of 8 that may"

    assert [
        "asking the source: nothing is held",
        f"the source answered: held for 0 s: {doubt}",
        f"asking the source: {doubt}",
    ] == told(here)[:3]


@pytest.mark.parametrize(
    ("options", "because"),
    [
        ({"refresh": True}, "the caller wants the source's own word"),
        ({"instead_of": "v1"}, "the caller wants another version than is held"),
    ],
)
def test_a_forced_read(options: dict[str, Any], because: str) -> None:
    """It is the caller who does not want what is held."""
    here = explained()
    here.store.get(DB)
    told(here)
    here.store.get(DB, **options)

    assert f"asking the source: {because}" == told(here)[0]


def test_what_is_never_held() -> None:
    """A TTL of 0 is the reason, not that nothing is there."""
    here = explained(ttl_seconds=0.0)
    here.store.get(DB)

    assert [
        "asking the source: it is never held",
        "the source answered: not held",
    ] == told(here)


def test_a_refusal() -> None:
    """It is held for a moment."""
    here = explained()
    here.source.now["db"] = DENIED
    for _ in range(2):
        here.store.get(DB)

    assert [
        "asking the source: nothing is held",
        "the source answered: the refusal is held for a moment",
        "found in memory: its source refused a moment ago",
    ] == told(here)


def test_a_stale_value() -> None:
    """Its source rests after a failure."""
    here = explained(stale_seconds=3600.0)
    here.store.get(DB)
    here.clock.tick(300)
    here.source.now["db"] = DOWN
    here.store.get(DB)

    assert "the source answered: no value came: what is held stays" in told(here)

    here.clock.tick(REST_SECONDS / 2)
    here.store.get(DB)

    assert ["found in memory: it is stale, and its source failed a moment ago"] == told(
        here
    )


def test_who_waits_for_another() -> None:
    """A read joins a flight; one that came too late for it goes on to the next."""
    here = explained()
    with here.source.gate("db") as first, here.source.gate("db") as second:
        leader = here.start(DB)
        first.wait_for_arrival()
        follower = here.start(DB)
        late = here.start(DB, refresh=True)
        first.open()
        second.wait_for_arrival()
        second.open()
        for reader in (leader, follower, late):
            reader.answer()
    lines = told(here)

    assert 2 == lines.count("waiting for the source: it has been asked already")
    assert "asking the source: the caller wants the source's own word" in lines


def test_who_waits_twice() -> None:
    """Those who came too late for one flight share the next."""
    here = explained()
    with here.source.gate("db") as first, here.source.gate("db") as second:
        leader = here.start(DB)
        first.wait_for_arrival()
        late = [here.start(DB, refresh=True) for _ in range(2)]
        first.open()
        second.wait_for_arrival()
        second.open()
        for reader in (leader, *late):
            reader.answer()
    again = "it had been asked too early, and now is asked once more"

    assert f"waiting for the source: {again}" in told(here)


def test_what_was_overtaken() -> None:
    """The sheet changed while the question was under way."""
    here = explained()
    with here.source.gate("db") as gate:
        reader = here.start(DB)
        gate.wait_for_arrival()
        here.store.apply(edition(1, {"db": ("v2", 5)}))
        gate.open()
        reader.answer()

    assert (
        "the source answered: not held: the stamp sheet has changed meanwhile"
        in told(here)
    )


def test_a_prefetch() -> None:
    """Nobody waits for it."""
    here = explained()
    for thread in here.store.prefetch([DB]):
        thread.join(10)

    assert "asking the source: it is listed" == told(here)[0]
