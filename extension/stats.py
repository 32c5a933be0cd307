"""What ``GET /stats`` tells a person: the state of this process, and no value."""

from __future__ import annotations

from rotaware import lean_json as json
from rotaware.aws import USER_AGENT
from rotaware.clock import age_seconds
from rotaware.lean import TYPE_CHECKING
from rotaware.secret import AWSCURRENT, PARAMETER_STORE, Fetched

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rotaware.cache import Entry
    from rotaware.checker import Checker
    from rotaware.clock import Instant
    from rotaware.secret import Query
    from rotaware.settings import Settings
    from rotaware.store import Store
    from rotaware.tally import Measured

_DIGITS = 3


def stats(  # noqa: PLR0913, PLR0917  each is a fact of its own
    settings: Settings,
    store: Store,
    checker: Checker,
    totals: Mapping[str, int],
    started: Instant,
    now: Instant,
) -> bytes:
    """The document, as JSON."""
    document = {
        "version": USER_AGENT.rpartition("/")[2],
        "uptime_seconds": _rounded(age_seconds(started, now)),
        "sheet": _sheet(settings, store, checker, now),
        "entries": [_entry(*each, now) for each in store.entries()],
        "counters": totals,
        "latencies": {
            what: _latency(each) for what, each in store.tally.measured().items()
        },
        "settings": settings._asdict(),
    }
    return json.dumps(document).encode()


def _sheet(
    settings: Settings, store: Store, checker: Checker, now: Instant
) -> dict[str, Any] | None:
    if settings.stamps is None:
        return None
    edition, last_began = store.view.edition, checker.last_began()
    due_seconds = checker.seconds_until_due()
    return {
        "name": settings.stamps,
        "state": checker.state,
        "generation": None if edition is None else edition.generation,
        "stamps": len(store.view.stamps),
        "last_check_seconds_ago": (
            None if last_began is None else _rounded(age_seconds(last_began, now))
        ),
        # Where a check is made once in an invocation, the next one has no time.
        "next_check_in_seconds": (
            None if due_seconds == float("inf") else _rounded(due_seconds)
        ),
    }


def _entry(name: str, query: Query, entry: Entry, now: Instant) -> dict[str, Any]:
    outcome = entry.outcome
    asked = {
        "name": name,
        "service": query.service,
        "asked_version": query.version,
        "asked_label": None if query.label == AWSCURRENT else query.label,
        "decrypted": query.decrypt if query.service == PARAMETER_STORE else None,
        "recursive": query.recursive,
    }
    return {
        **{key: value for key, value in asked.items() if value is not None},
        "state": _state(entry, now),
        "version_id": outcome.version or None if isinstance(outcome, Fetched) else None,
        "age_seconds": _rounded(age_seconds(entry.asked_at, now)),
        "ttl_seconds": entry.ttl_seconds,
        "fresh_seconds": _rounded(entry.fresh_seconds(now)),
    }


def _state(entry: Entry, now: Instant) -> str:
    if not isinstance(entry.outcome, Fetched):
        return "refused"
    if entry.evicted:
        return "evicted"
    if entry.fresh_seconds(now) == 0:
        return "stale"
    return "fresh" if entry.provisional_seconds is None else "provisional"


def _latency(measured: Measured) -> dict[str, float]:
    return {
        "times": measured.times,
        "mean_ms": _rounded(measured.seconds / measured.times * 1000),
        "longest_ms": _rounded(measured.longest_seconds * 1000),
    }


def _rounded(number: float) -> float:
    return round(number, _DIGITS)
