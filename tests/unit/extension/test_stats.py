"""What a person is told of the extension: its state, and never a value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomllib

from extension.stats import stats
from rotaware.checker import Checker
from rotaware.errors import AwsError
from rotaware.paths import listing
from rotaware.secret import Query
from rotaware.settings import Settings
from tests.support.fake_source import World, edition

if TYPE_CHECKING:
    from rotaware.sheet import Edition

DB = Query.secret("db")
ROOT = Path(__file__).parents[3]


class Home:
    """A sheet that a test writes."""

    max_bytes = 4096

    def __init__(self) -> None:
        self.edition: Edition | None = None

    def read(self, *, timeout_seconds: float | None = None) -> Edition | None:
        assert timeout_seconds
        return self.edition

    def read_overwritten(self, generation: int) -> Edition | None:
        raise NotImplementedError

    def write(self, sheet: object, *, over: Edition) -> int | None:
        raise NotImplementedError


class Observed:
    """A store and a checker, and what is told of them."""

    def __init__(self, environ: dict[str, str] | None = None, **options: Any) -> None:
        self.world = World(**options)
        self.world.source.now["db"] = "v1"
        self.home = Home()
        self.settings = Settings.from_environ(environ or {})
        self.checker = Checker(
            self.home,
            self.world.store.apply,
            interval_seconds=self.settings.check_interval_seconds,
            timeout_seconds=10.0,
            clock=self.world.clock,
            random=lambda: 0.0,
            log=self.world.store._log,
            tally=self.world.store.tally,
        )
        self.started = self.world.clock.now()

    def told(self) -> dict[str, Any]:
        """The document."""
        body = stats(
            self.settings,
            self.world.store,
            self.checker,
            {"Hits": 7},
            self.started,
            self.world.clock.now(),
        )

        assert b"payload" not in body

        document: dict[str, Any] = json.loads(body)
        return document

    def entry(self) -> dict[str, Any]:
        """Of the one that is held."""
        (entry,) = self.told()["entries"]
        return dict(entry)


def test_what_it_is_and_how_long_it_has_run() -> None:
    """The version is that of the project; a freeze counts."""
    here = Observed()
    here.world.clock.freeze(90.25)
    document = here.told()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == document["version"]
    assert 90.25 == document["uptime_seconds"]
    assert {"Hits": 7} == document["counters"]
    assert {} == document["latencies"]
    assert [] == document["entries"]


def test_the_settings_as_they_came_to_be() -> None:
    """With their units; what is no limit is null."""
    here = Observed({"SECRETS_MANAGER_TTL": "60", "ROTAWARE_KMS_ENV": "KEY"})
    told = here.told()["settings"]

    assert (60.0, None, ["KEY"]) == (
        told["secrets_ttl_seconds"],
        told["secrets_timeout_seconds"],
        told["kms_env"],
    )


def test_before_the_first_look_at_the_sheet() -> None:
    """Its name is known, and no more."""
    assert {
        "name": "/rotaware/default/stamps",
        "state": "unknown",
        "generation": None,
        "stamps": 0,
        "last_check_seconds_ago": None,
        "next_check_in_seconds": 0.0,
    } == Observed().told()["sheet"]


def test_after_a_look_at_the_sheet() -> None:
    """Which generation, how long ago, when next."""
    here = Observed()
    here.home.edition = edition(4, {"db": ("v1", 5), "other": ("v1", 5)})
    here.checker.ensure_checked()
    here.world.clock.tick(1.5)

    assert {
        "name": "/rotaware/default/stamps",
        "state": "found",
        "generation": 4,
        "stamps": 2,
        "last_check_seconds_ago": 1.5,
        "next_check_in_seconds": 3.5,
    } == here.told()["sheet"]


def test_with_a_check_in_each_invocation() -> None:
    """When the next one comes is the function's business."""
    here = Observed({"ROTAWARE_CHECK_INTERVAL": "0"})
    here.home.edition = edition(1, {})
    here.checker.invocation_began()

    assert here.told()["sheet"]["next_check_in_seconds"] is None


def test_without_a_sheet() -> None:
    """There is nothing to tell."""
    assert Observed({"ROTAWARE_STAMPS": "off"}).told()["sheet"] is None


def test_what_is_held() -> None:
    """Under its name, with its version, its age and what is left."""
    here = Observed()
    here.world.store.get(DB)
    here.world.clock.tick(100.5)

    assert {
        "name": "db",
        "service": "secretsmanager",
        "state": "fresh",
        "version_id": "v1",
        "age_seconds": 100.5,
        "ttl_seconds": 300.0,
        "fresh_seconds": 199.5,
    } == here.entry()


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (Query.secret("db", "v0"), {"asked_version": "v0"}),
        (Query.secret("db", None, "AWSPREVIOUS"), {"asked_label": "AWSPREVIOUS"}),
        (Query.parameter("db", decrypt=True), {"decrypted": True}),
        (Query.parameter("db"), {"decrypted": False}),
    ],
)
def test_what_was_asked_for(query: Query, asked: dict[str, Any]) -> None:
    """As far as it is not what is usual."""
    here = Observed()
    here.world.store.get(query)
    entry = here.entry()

    assert asked.items() <= entry.items()


def test_a_path_is_told_as_one() -> None:
    """Its parameters are entries of their own."""
    here = Observed()
    path = Query.path("/app", recursive=False)
    here.world.store._holdings.commit(
        path,
        here.world.store._leave(path, here.world.clock.now()),
        listing({}),
        here.world.clock.now(),
    )

    assert (False, None) == (here.entry()["recursive"], here.entry()["version_id"])


def test_the_states() -> None:
    """A value is in doubt, evicted or stale; a refusal is one."""
    here = Observed(stale_seconds=3600.0)
    here.world.store.get(DB)
    here.world.store.apply(edition(1, {"db": ("v2", 5)}))

    assert ("evicted", 0.0) == (here.entry()["state"], here.entry()["fresh_seconds"])

    for _ in range(3):
        here.world.store.get(DB)

    assert "provisional" == here.entry()["state"]

    here.world.clock.tick(301)

    assert "stale" == here.entry()["state"]

    here.world.source.now["db"] = AwsError("AccessDeniedException", "no")
    here.world.store.get(DB)

    assert ("refused", None) == (here.entry()["state"], here.entry()["version_id"])


def test_how_long_things_took() -> None:
    """How often, on average, and at most."""
    here = Observed()
    for seconds in (0.010, 0.0201):
        here.world.store.tally.measure("FetchLatency", seconds)

    assert {
        "FetchLatency": {"times": 2, "mean_ms": 15.05, "longest_ms": 20.1}
    } == here.told()["latencies"]
