"""From decisions to stamps, with real log lines and real metrics."""

from __future__ import annotations

import io
import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from invalidator.decide import Ignored, Touched
from invalidator.invalidate import NAMESPACE, Invalidator
from rotaware.clock import Instant
from rotaware.errors import AwsError, AwsThrottledError, SheetError
from rotaware.sheet import MAX_BYTES, decode, subject_of, version_digest
from tests.support.account import Account
from tests.support.events import OCCURRED_AT, REGION

if TYPE_CHECKING:
    from invalidator.decide import Decision

SHEET = "/rotaware/default/stamps"


class StillClock:
    """Two seconds after the events; pauses take no time."""

    def now(self) -> Instant:
        return Instant(OCCURRED_AT + 2.0, 0.0)

    def sleep(self, seconds: float) -> None:
        """Come back at once."""


class Rig:
    """An invalidator in front of an account, and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.account = Account()
        self.log = io.StringIO()
        self._capsys = capsys
        # Powertools keeps one logger for each service name.
        service = f"rotaware-invalidator-{uuid.uuid4()}"
        self.invalidator = Invalidator(
            self.account,
            SHEET,
            region=REGION,
            clock=StillClock(),
            random=lambda: 0.5,
            logger=Logger(service=service, stream=self.log),
            metrics=Metrics(service="invalidator", namespace=NAMESPACE),
        )

    def touched(self, name: str = "a", version: str = "v1") -> Touched:
        """A secret that exists, touched by its ARN."""
        arn = self.account.put_secret(name, version)
        return Touched("secretsmanager", arn, arn, OCCURRED_AT)

    def stamps(self) -> dict[str, str]:
        """Subject to version digest, as the sheet says now."""
        stamps = decode(self.account.versions(SHEET)[-1]).stamps
        return {subject: stamp.version for subject, stamp in stamps.items()}

    def lines(self) -> list[dict[str, Any]]:
        """What was logged."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def metrics(self) -> list[dict[str, Any]]:
        """What CloudWatch would take for metrics, without time and units."""
        out = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        for blob in out:
            (rules,) = blob.pop("_aws")["CloudWatchMetrics"]
            assert NAMESPACE == rules["Namespace"]
            named = {*rules["Dimensions"][0], *(m["Name"] for m in rules["Metrics"])}
            assert named == blob.keys()
        return out


@pytest.fixture
def rig(capsys: pytest.CaptureFixture[str]) -> Rig:
    """A new account, and an invalidator for it."""
    return Rig(capsys)


def test_what_was_touched_is_stamped(rig: Rig) -> None:
    """The sheet says afterwards which version of each touched secret is current."""
    first, second = rig.touched("a", "v1"), rig.touched("b", "v2")

    assert {} == rig.invalidator.stamp([first, second])
    expected = {
        subject_of(first.arn): version_digest("v1"),
        subject_of(second.arn): version_digest("v2"),
    }
    assert expected == rig.stamps()


def test_a_batch_is_one_publish(rig: Rig) -> None:
    """However many events name a secret, it is judged once, and verified once."""
    touched = rig.touched()

    rig.invalidator.stamp([touched] * 3)

    judged_then_verified = [touched.arn] * 2
    assert judged_then_verified == rig.account.names("DescribeSecret")
    assert 1 == len(rig.account.versions(SHEET))


def test_a_change_after_its_stamp_is_stamped(rig: Rig) -> None:
    """The latest event of a batch counts, though the version is the stamped one."""
    touched = rig.touched()
    later = replace(touched, occurred_at=OCCURRED_AT + 3.0)
    rig.invalidator.stamp([touched])

    rig.invalidator.stamp([later, touched])
    assert 2 == len(rig.account.versions(SHEET))
    rig.invalidator.stamp([touched, later])
    assert 2 == len(rig.account.versions(SHEET))


def test_a_duplicate_writes_nothing(rig: Rig) -> None:
    """An event that tells nothing new leaves the sheet's version alone."""
    touched = rig.touched()
    rig.invalidator.stamp([touched])
    rig.metrics()

    assert {} == rig.invalidator.stamp([touched])
    assert 1 == len(rig.account.versions(SHEET))
    (blob,) = rig.metrics()
    assert {"service", "StampsWritten", "SheetFullness"} == blob.keys()
    assert [0.0] == blob["StampsWritten"]


def test_stamps_and_lag_are_counted(rig: Rig) -> None:
    """Each event's age when its stamp stands is a value of the lag, in milliseconds."""
    early = rig.touched("a")
    late = rig.touched("b")
    future = Touched("ssm", "/p", "arn:aws:ssm:r:1:parameter/p", OCCURRED_AT + 9)

    rig.invalidator.stamp([early, early, late, future])

    size = len(rig.account.versions(SHEET)[-1])
    expected = {
        "service": "invalidator",
        "StampsWritten": [3.0],
        "SheetFullness": [round(100 * size / MAX_BYTES, 1)],
        "EventToStampLag": [2000.0, 2000.0, 2000.0, 0.0],
    }
    assert [expected] == rig.metrics()


def test_the_units_are_declared(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """CloudWatch is told what a value means."""
    rig.invalidator.stamp([rig.touched()])

    blob = json.loads(capsys.readouterr().out)
    expected = [
        {"Name": "StampsWritten", "Unit": "Count"},
        {"Name": "SheetFullness", "Unit": "Percent"},
        {"Name": "EventToStampLag", "Unit": "Milliseconds"},
    ]
    assert expected == blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]


def test_ignored_events_are_counted_by_reason(rig: Rig) -> None:
    """Each reason is a metric of its own, and one log line; AWS is not asked."""
    decisions: list[Decision] = [Ignored("one"), Ignored("other"), Ignored("one")]

    assert {} == rig.invalidator.stamp(decisions)
    expected = [
        {"service": "invalidator", "reason": "one", "EventsIgnored": [2.0]},
        {"service": "invalidator", "reason": "other", "EventsIgnored": [1.0]},
    ]
    assert expected == rig.metrics()
    logged = [(line["reason"], line["events"]) for line in rig.lines()]
    assert [("one", 2), ("other", 1)] == logged
    assert [] == rig.account.calls


def test_nothing_touched_is_nothing_done(rig: Rig) -> None:
    """An empty batch asks nothing and says nothing."""
    assert {} == rig.invalidator.stamp([])
    assert ([], [], []) == (rig.account.calls, rig.lines(), rig.metrics())


def test_a_refused_secret_is_handed_back(rig: Rig) -> None:
    """What AWS refuses for now fails alone, and is logged, not counted as stamped."""
    good, bad = rig.touched("good"), rig.touched("bad")
    denied = AwsError("AccessDeniedException", "no right to describe")
    rig.account.refusals["DescribeSecret", bad.id] = denied

    assert {bad.key: denied} == rig.invalidator.stamp([good, bad, Ignored("one")])
    assert {subject_of(good.arn)} == rig.stamps().keys()
    _, stamped, failed = rig.metrics()
    assert ([1.0], [2000.0]) == (stamped["StampsWritten"], stamped["EventToStampLag"])
    assert {"service": "invalidator", "EventsFailed": [1.0]} == failed
    (line,) = [each for each in rig.lines() if each["level"] == "WARNING"]
    assert bad.id == line["id"]
    assert "AccessDeniedException: no right to describe" == line["problem"]


def test_a_fault_of_ours_fails_its_event_alone(rig: Rig) -> None:
    """An exception that nobody foresaw hands its event back, and the rest stands."""
    good = rig.touched("good")
    odd = Touched("secretsmanager", "gone", "no ARN", OCCURRED_AT)

    failures = rig.invalidator.stamp([odd, good])

    assert [odd.key] == list(failures)
    assert {subject_of(good.arn)} == rig.stamps().keys()
    (line,) = [each for each in rig.lines() if each["level"] == "WARNING"]
    assert ("gone", "unforeseen: ValueError") == (line["id"], line["problem"])


@pytest.mark.parametrize(
    "sheet",
    ["no JSON", json.dumps({"format": 99})],
    ids=["damaged", "of a newer format"],
)
def test_an_unusable_sheet_fails_all_that_was_touched(rig: Rig, sheet: str) -> None:
    """A sheet that cannot be read is not overwritten; the events come again."""
    rig.account.put_parameter(SHEET, sheet)
    touched = [rig.touched("a"), rig.touched("b")]

    failures = rig.invalidator.stamp([*touched, Ignored("one")])

    assert {each.key for each in touched} == failures.keys()
    assert {SheetError} == {type(failure) for failure in failures.values()}
    assert [sheet] == rig.account.versions(SHEET)
    assert "ERROR" == rig.lines()[-1]["level"]
    ignored, failed = rig.metrics()
    assert [1.0] == ignored["EventsIgnored"]
    assert {"service": "invalidator", "EventsFailed": [2.0]} == failed


def test_a_refused_sheet_fails_all_that_was_touched(rig: Rig) -> None:
    """What Parameter Store refuses is handed back for every event."""
    touched = rig.touched()
    denied = AwsError("AccessDeniedException", "no right to write")
    rig.account.refusals["PutParameter", SHEET] = denied

    assert {touched.key: denied} == rig.invalidator.stamp([touched])


def test_a_throttled_verification_leaves_the_stamp_and_fails_the_event(
    rig: Rig,
) -> None:
    """A stamp that could not be verified stands, and its event comes again."""
    touched = rig.touched()
    throttled = AwsThrottledError("ThrottlingException", "slow down")

    def throttle_after_writing(operation: str) -> None:
        if operation == "PutParameter":
            rig.account.refusals["DescribeSecret", touched.id] = throttled

    rig.account.before = throttle_after_writing

    assert {touched.key: throttled} == rig.invalidator.stamp([touched])
    assert {subject_of(touched.arn): version_digest("v1")} == rig.stamps()
