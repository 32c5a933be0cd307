"""What one reader does, and whether it may: those laws of ``oracle`` that are for him.

A witness is told of every call that its reader makes and of every answer that it gives.
Times are taken a little early or late, so that whoever dawdles is given the benefit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotaware.clock import age_seconds
from rotaware.errors import AwsError, AwsThrottledError, AwsUnavailableError
from rotaware.flight import STALE_IF_ERROR
from rotaware.secret import Fetched
from tests.simulation import cloud
from tests.simulation.oracle import NEVER
from tests.simulation.records import Check, Fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rotaware.clock import Instant
    from rotaware.flight import Answer
    from rotaware.secret import Query
    from tests.simulation.oracle import Oracle
    from tests.simulation.records import Read, Terms
    from tests.simulation.scheduler import Host, Scheduler

    Land = Callable[[Any], None]
    Key = tuple[str, str | None, str | None]

CHECK_SECONDS = 5.0
REFUSAL_SECONDS = 5.0
REST_SECONDS = 1.0
JITTER = 0.2
RETRY_JITTER = 0.5
STEADY_CHECKS = 40
"""How many checks in a row succeed before an interval is surely the usual one."""
SLACK_CHECKS = 2000
"""The same, where one was throttled: no schedule has as many."""


class Witness:
    """Sees all that one reader does, and judges it.

    Args:
        oracle: Who knows the rest.
        scheduler: Time, and whom to tell.
        host: The reader's machine.
        terms: How it is configured.

    Attributes:
        began: When its prefetch began, by its clocks.
        occasions: How many reads and invocations there were.
        fetches: How many questions to the source.
    """

    def __init__(
        self, oracle: Oracle, scheduler: Scheduler, host: Host, terms: Terms
    ) -> None:
        self._oracle = oracle
        self._scheduler = scheduler
        self._host = host
        self._terms = terms
        self._told: list[int] = []
        self._settled: list[bool] = []
        self._checks: list[Check] = []
        self._steady_from = 0
        self._fetches: dict[Key, list[Fetch]] = {}
        self.began = host.now()
        self.occasions = 0
        self.fetches = 0

    @property
    def settled(self) -> int:
        """How many sheets were taken note of, for sure."""
        for number in range(len(self._settled), 0, -1):
            if all(self._settled[:number]):
                return number
        return 0

    def apply(self, take_note: Callable[[], None]) -> None:
        """A sheet is passed on to the store."""
        actor = self._scheduler.actor
        assert actor.check is not None
        number = len(self._told)
        self._told.append(actor.looked_at)
        self._settled.append(False)
        take_note()
        self._settled[number] = True
        actor.check.done = True

    def calls(self, operation: str, request: Mapping[str, Any]) -> Land:
        """A call leaves; whom to tell when it is answered."""
        if operation in ("GetParameter", "GetItem"):
            return self._looks(request)
        if operation == "BatchGetSecretValue":
            return self._asks_for_many(request["SecretIdList"])
        fetch = self._asks(
            (
                request["SecretId"],
                request.get("VersionId"),
                request.get("VersionStage"),
            )
        )

        def land(outcome: Any) -> None:
            refused = isinstance(outcome, AwsError)
            self._lands(fetch, outcome if refused else outcome["VersionId"])

        return land

    def knew_sheet(self, name: str) -> bool:
        """Whether the last value was asked for after a look at the sheet."""
        fetches = self._fetches.get((name, None, "AWSCURRENT"), [])
        return bool(fetches) and fetches[-1].told > 0

    def asked_at(self, name: str, outcome: str) -> float:
        """When the last question that brought a version left, in the world's time."""
        fetches = self._fetches[name, None, "AWSCURRENT"]
        left = (each.left_at for each in fetches if each.outcome == outcome)
        return max(left, default=float("-inf"))

    # The look.

    def _looks(self, request: Mapping[str, Any]) -> Land:
        actor = self._scheduler.actor
        check = actor.check
        if check is None:
            check = Check(actor, self._host.now(), self._scheduler.now)
            self._judge_need(check)
            self._checks.append(check)
            actor.check = check
        else:
            self._expect("Key" in request, "a check of more than one call")
        self._expect(":" not in request.get("Name", ""), "a check that digs")

        def land(outcome: Any) -> None:
            failed = isinstance(outcome, AwsError)
            if failed or not self._oracle.is_sheet(actor.looked_at):
                check.failed = check.done = True
                slack = isinstance(outcome, AwsThrottledError)
                following = SLACK_CHECKS if slack else STEADY_CHECKS
                steady_from = len(self._checks) + following
                self._steady_from = max(self._steady_from, steady_from)

        return land

    def _judge_need(self, check: Check) -> None:
        """Whether there was need for a check when it began: it may leave later."""
        self._expect(
            len(self._checks) < self.occasions, "more checks than reads and invocations"
        )
        before = [each for each in self._checks if each.begun_at <= check.begun_at]
        if not before:
            return
        last = max(before, key=lambda each: each.begun_at)
        age = age_seconds(last.begun, check.begun)
        self._expect(last.done or age >= CHECK_SECONDS, "two checks at once")
        soonest = self._terms.interval_seconds * (1 - JITTER)
        if last.failed:
            # Unless it was given up before it failed.
            longer = min(CHECK_SECONDS, max(1.0, 2 * self._terms.interval_seconds))
            soonest = longer * (1 - RETRY_JITTER)
        self._expect(age >= soonest, "a check long before it is due")

    def judge_look(self, read: Read) -> None:
        """A read comes to the store, or is answered from memory."""
        if len(self._checks) < self._steady_from:
            return
        waited = self._host.now().monotonic - read.arrived.monotonic
        if waited >= self._terms.timeout_seconds - 0.001:
            return
        self._expect(
            any(c.done and self._is_recent(c, read) for c in reversed(self._checks)),
            "a read that has not looked within the interval",
        )

    def _is_recent(self, check: Check, read: Read) -> bool:
        if self._terms.interval_seconds == 0.0:
            return check.left_at >= read.invoked_at
        age = age_seconds(check.left, read.arrived)
        recent = age <= self._terms.interval_seconds
        return recent or check.left_at >= read.arrived_at

    # The question.

    def _asks(self, key: Key) -> Fetch:
        before = self._fetches.setdefault(key, [])
        read = self._scheduler.actor.read
        for fetch in before:
            self._expect(fetch.outcome is not None, f"{key[0]} is asked for twice")
        now = self._host.now()
        if before and read and not read.refresh and not read.instead_of:
            self._expect(
                self._has_cause(key, before[-1], now),
                f"{key[0]} is asked for without a cause",
            )
        fetch = Fetch(
            len(self._told),
            read.settled if read else 0,
            read.arrived if read else self.began,
            now,
            self._scheduler.now,
        )
        before.append(fetch)
        self.fetches += 1
        return fetch

    def _asks_for_many(self, names: Iterable[str]) -> Land:
        leaving = {name: self._asks((name, None, "AWSCURRENT")) for name in names}

        def land(outcome: Any) -> None:
            refused = isinstance(outcome, AwsError)
            values = [] if refused else outcome["SecretValues"]
            brought = {value["Name"]: value["VersionId"] for value in values}
            failure = AwsUnavailableError("LeftOut", "to be asked for alone")
            if refused:
                failure = outcome
            for name, fetch in leaving.items():
                self._lands(fetch, brought.get(name, failure))

        return land

    def _lands(self, fetch: Fetch, outcome: str | AwsError) -> None:
        fetch.outcome = outcome
        fetch.landed = self._host.now()
        fetch.idled = self._host.idled_seconds

    def _has_cause(self, key: Key, last: Fetch, now: Instant) -> bool:
        """Whether a reader who was told this much may ask again."""
        name, version, label = key
        terms = self._terms
        if (
            isinstance(last.outcome, AwsError)
            or label == "AWSPENDING"
            # Of the two, a clock that was set back may have passed one only.
            or age_seconds(last.asked, now) >= terms.ttl_seconds
            or age_seconds(last.left, now) >= terms.ttl_seconds
            or len(self._fetches) > terms.max_entries
        ):
            return True
        if version is not None:
            return False
        told = self._told[max(0, last.settled - 1) :]
        if last.settled == 0 and told:
            return True
        digest = cloud.digest(last.outcome or "") if label == "AWSCURRENT" else ""
        subject = cloud.subject(name)
        stamps = [self._oracle.stamp(position, subject) for position in told]
        if any(stamp is not None and stamp[0] != digest for stamp in stamps):
            return True
        return any(map(self._oracle.loses, told, told[1:]))

    # The answer.

    def judge_answer(self, query: Query, answer: Answer, read: Read) -> None:
        """The store answers."""
        outcome = answer.outcome
        fetches = self._fetches.get((query.id, query.version, query.label), [])
        if not isinstance(outcome, Fetched):
            self._expect(
                any(
                    str(outcome).startswith(str(each.outcome))  # then comes advice
                    and self._age(each, read) <= REFUSAL_SECONDS
                    for each in fetches
                ),
                "a refusal that no source gave",
            )
            return
        if answer.how == STALE_IF_ERROR:
            self._judge_stale(outcome.version, fetches, read)
            return
        fetches = self._judge_version(query, outcome.version, read)
        if read.refresh or read.instead_of == outcome.version:
            self._expect(
                any(each.left_at >= read.arrived_at for each in fetches),
                "not the source's own word",
            )

    def judge_prepared(self, query: Query, version: str, read: Read) -> None:
        """A request is answered from memory, before it is even parsed."""
        self._judge_version(query, version, read)

    def _judge_version(self, query: Query, version: str, read: Read) -> list[Fetch]:
        """No sheet outdates it; the questions that brought it."""
        fetches = [
            each
            for each in self._fetches.get((query.id, query.version, query.label), [])
            if each.outcome == version
        ]
        self._expect(bool(fetches), "a value that no source gave")
        subject = cloud.subject(query.id)
        digest = cloud.digest(version) if query.label == "AWSCURRENT" else ""
        self._expect(
            query.version is not None
            or any(
                self._stands(each, subject, digest, settled)
                for each in fetches
                # A sheet that came meanwhile may know better.
                for settled in {read.settled, self.settled}
            ),
            f"{version} is served though a sheet outdated it",
        )
        return fetches

    def _stands(self, fetch: Fetch, subject: str, digest: str, settled: int) -> bool:
        """Whether no sheet outdates it of those seen since its question left.

        Args:
            fetch: The question.
            subject: What it was about.
            digest: What it brought.
            settled: How many sheets had been seen until then.
        """
        sheets = self._oracle.cloud.sheets
        path = [
            position
            for position in self._told[fetch.told : settled]
            if sheets[position].generation
        ]
        if not path:
            return True
        before = self._told[fetch.told - 1] if fetch.told else NEVER
        if before != NEVER and sheets[before].generation:
            home = sheets[before].incarnation
            # An old copy of what was deleted says nothing new.
            later = [each for each in path if each > before]
            if any(sheets[each].incarnation != home for each in later):
                return False
        return not self._oracle.outdated(subject, digest, before, max(path))

    def _judge_stale(self, version: str, fetches: list[Fetch], read: Read) -> None:
        terms = self._terms
        self._expect(
            any(
                isinstance(each.outcome, AwsUnavailableError)
                and self._age(each, read) <= REST_SECONDS
                for each in fetches
            ),
            "a stale value though its source answers",
        )
        self._expect(
            any(
                each.outcome == version
                and self._age(each, read) <= terms.ttl_seconds + terms.stale_seconds
                for each in fetches
            ),
            "a value past its last hour",
        )

    def _age(self, fetch: Fetch, read: Read) -> float:
        """The least age that an answer had while it was read."""
        if fetch.landed is None:
            return float("inf")
        idled = self._host.idled_seconds - fetch.idled
        age = min(
            age_seconds(fetch.landed, at) for at in (read.arrived, self._host.now())
        )
        return max(0.0, age - idled)

    def _expect(self, holds: bool, law: str) -> None:  # noqa: FBT001
        if not holds:
            self._scheduler.violated(f"{self._host.name}: {law}")
