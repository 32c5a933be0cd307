"""Bugs of the protocol, planted into the real code: each must be found.

A mutant replaces one name of one module or class while it is planted. Most wrap what is
there, so that they break one rule and no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import rotaware.cache
import rotaware.holdings
import rotaware.publish
from extension.endpoint import Endpoint
from invalidator.judge import Judge
from rotaware.cache import Entry
from rotaware.holdings import Holdings
from rotaware.pace import Pace
from rotaware.publish import _Writer
from rotaware.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable


class Mutant(NamedTuple):
    """A bug.

    Attributes:
        name: What it does wrong.
        owner: The module or class whose attribute is replaced.
        attribute: Its name.
        replace: From the real one to the broken one.
    """

    name: str
    owner: Any
    attribute: str
    replace: Callable[[Any], Any]


def _no_merge(_: Any) -> Any:
    return lambda _, edition: (edition.sheet.stamps, False)


def _remembers_too_late(real: Any) -> Any:
    def commit(self: Any, query: Any, flight: Any, *brought: Any) -> Any:
        flight.view = self.view
        return real(self, query, flight, *brought)

    return commit


def _no_horizon(real: Any) -> Any:
    def derive(edition: Any, *arguments: Any, **options: Any) -> Any:
        sheet = real(edition, *arguments, **options)
        return sheet._replace(horizon=edition.sheet.horizon)

    return derive


def _horizon_of_the_write(real: Any) -> Any:
    """As if what was dropped had been unknown since it was last written only."""

    def derive(edition: Any, *arguments: Any, **options: Any) -> Any:
        sheet = real(edition, *arguments, **options)
        return sheet._replace(horizon=max(0, sheet.horizon - 1))

    return derive


def _never_says(reason: str) -> Callable[[Any], Any]:
    def replace(real: Any) -> Any:
        def missed(seen: Any, now: Any) -> Any:
            found = real(seen, now)
            return None if found == reason else found

        return missed

    return replace


def _judges_once(real: Any) -> Any:
    def call(self: Any) -> Any:
        if not hasattr(self, "once"):
            self.once = real(self)
        return self.once

    return call


def _since_by_the_clock(real: Any) -> Any:
    def derive(edition: Any, stamps: Any, truth: Any, **options: Any) -> Any:
        sheet = real(edition, stamps, truth, **options)
        now = int(options["now_seconds"])
        return sheet._replace(
            stamps={
                subject: stamp
                if stamps.get(subject) == stamp
                else stamp._replace(since=now)
                for subject, stamp in sheet.stamps.items()
            }
        )

    return derive


def _never(_: Any) -> Any:
    return lambda *_, **__: False


def _holds_what_was_outdated_on_its_way(real: Any) -> Any:
    def commit(self: Any, query: Any, flight: Any, *brought: Any) -> Any:
        view, flight.view = self.view, flight.view
        self.view = flight.view
        try:
            return real(self, query, flight, *brought)
        finally:
            self.view = view

    return commit


def _believes_the_source(_: Any) -> Any:
    return lambda entry, *_: entry


def _dates_believed_too_far(_: Any) -> Any:
    return lambda stamp, created: stamp.since < created + 3600.0


def _any_check_will_do(real: Any) -> Any:
    def is_recent_enough(self: Any, begun_before: int, arrived: Any) -> Any:
        return real(self, begun_before - 1, arrived)

    return is_recent_enough


def _keeps_what_it_prepared(real: Any) -> Any:
    def prepared(self: Any, received: bytes) -> Any:
        known = self._prepared.get(received)
        if known is not None:
            known.epoch = self._epoch()
        return real(self, received)

    return prepared


class _Unseen(dict[Any, Any]):
    """Flights that nobody finds."""

    def get(self, *_: Any) -> None:
        """None, whatever is there."""

    def __delitem__(self, key: Any) -> None:
        self.pop(key, None)


def _hides_its_flights(real: Any) -> Any:
    def leave(self: Any, *arguments: Any, **options: Any) -> Any:
        self._flights = _Unseen(self._flights)
        return real(self, *arguments, **options)

    return leave


def _writes_anyway(real: Any) -> Any:
    def derive(edition: Any, stamps: Any, truth: Any, **options: Any) -> Any:
        sheet = real(edition, stamps, truth, **options)
        known = {name: sheet.stamps[name] for name in truth}
        later = {name: s._replace(since=s.since + 1) for name, s in known.items()}
        return sheet._replace(stamps={**sheet.stamps, **later})

    return derive


def _no_back_off(_: Any) -> Any:
    return lambda _: 0.0


def _evicts_all(_: Any) -> Any:
    return lambda *_: "stamped"


def _looks_every_time(_: Any) -> Any:
    return lambda pace, begun_before, _: pace._finished > begun_before


def _any_other_stamp_evicts(_: Any) -> Any:
    return lambda stamp, remembered, _: stamp is not None and stamp != remembered


PLANTED = (
    Mutant(
        "no merge of an overwritten version", _Writer, "_all_that_is_said", _no_merge
    ),
    Mutant(
        "the stamp remembered after the fetch", Holdings, "commit", _remembers_too_late
    ),
    Mutant("forgetting without a horizon", rotaware.publish, "derive", _no_horizon),
    Mutant("a horizon too low", rotaware.publish, "derive", _horizon_of_the_write),
    Mutant(
        "a gap unnoticed by readers",
        rotaware.holdings,
        "missed",
        _never_says("overwritten"),
    ),
    Mutant(
        "a horizon unnoticed by readers",
        rotaware.holdings,
        "missed",
        _never_says("forgotten"),
    ),
    Mutant(
        "a sheet made anew unnoticed",
        rotaware.holdings,
        "missed",
        _never_says("recreated"),
    ),
    Mutant("the judge asked once", Judge, "__call__", _judges_once),
    Mutant(
        "stamps dated by the clock alone",
        rotaware.publish,
        "derive",
        _since_by_the_clock,
    ),
    Mutant("writing what is said already", rotaware.publish, "derive", _writes_anyway),
    Mutant("old copies taken for new ones", _Writer, "_is_old_copy", _never),
    Mutant("nothing provisional", Entry, "weighed", _believes_the_source),
    Mutant(
        "versions believed for their dates",
        rotaware.cache,
        "predates",
        _dates_believed_too_far,
    ),
    Mutant(
        "a check from before is enough", Pace, "is_recent_enough", _any_check_will_do
    ),
    Mutant("checks side by side", Pace, "is_running", _never),
    Mutant("a check for each read", Pace, "is_recent_enough", _looks_every_time),
    Mutant("no back-off after a failure", Pace, "_after_failure", _no_back_off),
    Mutant("no back-off after throttling", Pace, "_after_throttling", _no_back_off),
    Mutant("answers prepared for ever", Endpoint, "prepared", _keeps_what_it_prepared),
    Mutant("a flight for each reader", Store, "_leave", _hides_its_flights),
    Mutant(
        "stamps that evict what they name",
        rotaware.cache,
        "outdates",
        _any_other_stamp_evicts,
    ),
    Mutant("each sheet evicts all", rotaware.holdings, "missed", _evicts_all),
)
