"""Stamping from the rotation function, alone and beside the event's own stamp."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

import rotaware.boto
from invalidator.decide import decide
from invalidator.judge import Judge
from rotaware.cache import PROVISIONAL_SECONDS, Entry
from rotaware.dynamodb import DynamoDbSheet
from rotaware.errors import AwsError, AwsThrottledError, AwsTimeoutError
from rotaware.publish import publish
from rotaware.rotation import CALL_SECONDS, PATIENCE_SECONDS, publish_stamp, stamp
from rotaware.secret import Fetched, Value
from rotaware.sheet import (
    Sheet,
    Stamp,
    decode,
    encode,
    outdates,
    subject_of,
    version_digest,
)
from rotaware.stamps import SsmSheet
from tests.support.account import Account
from tests.support.clock import EPOCH, ManualClock
from tests.support.events import REGION, label_updated

if TYPE_CHECKING:
    from collections.abc import Mapping

SHEET = "/rotaware/default/stamps"
NOW = int(EPOCH)
DENIED = AwsError("AccessDeniedException", "not you")
OLD = Stamp(version_digest("v1"), NOW - 1000)


@pytest.fixture
def account() -> Account:
    """An account in which the secret ``db`` has just become ``v2``."""
    account = Account()
    account.put_secret("db", "v2")
    account.change_secret("db", LastChangedDate=EPOCH)
    return account


@pytest.fixture
def boto(account: Account, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The account where boto3 is; what each client was made with."""
    made: list[dict[str, Any]] = []

    def make(**options: Any) -> Account:
        made.append(options)
        return account

    monkeypatch.setattr(rotaware.boto, "BotoAws", make)
    return made


def subject(name: str = "db") -> str:
    """Under which the sheet knows a secret."""
    arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf"
    return subject_of(arn)


def sheet_of(account: Account, name: str = SHEET) -> Sheet:
    """What the sheet says now."""
    return decode(account.versions(name)[-1])


def put_pending(account: Account, current: str = "v2") -> None:
    """Let a rotation be under way."""
    stages = {current: ["AWSCURRENT"], "next": ["AWSPENDING"]}
    account.change_secret("db", VersionIdsToStages=stages)


def stamp_once(
    account: Account, *, pending: bool = False, clock: ManualClock | None = None
) -> None:
    """A stamp of the secret, by a clock in hand."""
    publish_stamp(
        account,
        SHEET,
        "db",
        pending=pending,
        clock=clock or ManualClock(),
        random=lambda: 1.0,
    )


def hear_event(account: Account) -> None:
    """The invalidator works off the event of the same change."""
    arn = subject_arn()
    event = label_updated(arn, "db")
    event["time"] = "2027-01-15T08:00:00Z"
    touched = decide(event, sheet=SHEET)
    assert EPOCH == touched.occurred_at  # type: ignore[union-attr]
    publish(
        SsmSheet(account, SHEET),
        Judge(account, [touched], region=REGION),  # type: ignore[list-item]
        clock=ManualClock(EPOCH + 60),
        random=lambda: 1.0,
        log=Silence(),
        changed={subject(): EPOCH},
    )


def subject_arn() -> str:
    """The secret's ARN."""
    return "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf"


class Silence:
    """A log for what nobody wants to know."""

    def info(self, *_: object, **__: object) -> None:
        """Take a line."""


def test_one_line_stamps_what_is_current(
    account: Account, boto: list[dict[str, Any]]
) -> None:
    """The sheet says at once what DescribeSecret says; nothing but the id is needed."""
    assert stamp("db")
    assert version_digest("v2") == sheet_of(account).stamps[subject()].version
    assert [{"session": None, "region": None, "attempts": 2}] == boto


def test_a_session_and_a_region_are_used(boto: list[dict[str, Any]]) -> None:
    """The caller's own session and Region take the place of boto3's defaults."""
    session: Any = object()

    assert stamp("db", session=session, region="eu-west-3")
    assert [{"session": session, "region": "eu-west-3", "attempts": 2}] == boto


@pytest.mark.parametrize(
    ("environ", "given", "sheet"),
    [
        ({}, {}, SHEET),
        ({"ROTAWARE_NAMESPACE": "shop"}, {}, "/rotaware/shop/stamps"),
        ({"ROTAWARE_STAMPS": "ssm:///any/name"}, {}, "/any/name"),
        ({"ROTAWARE_NAMESPACE": "shop"}, {"namespace": "x"}, "/rotaware/x/stamps"),
        ({"ROTAWARE_STAMPS": "off"}, {"stamps": "ssm:///mine"}, "/mine"),
    ],
)
@pytest.mark.usefixtures("boto")
def test_which_sheet(
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    given: dict[str, Any],
    sheet: str,
) -> None:
    """The variables that the extension reads name it, and arguments go before them."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert stamp("db", **given)
    assert version_digest("v2") == sheet_of(account, sheet).stamps[subject()].version


@pytest.mark.usefixtures("boto")
def test_a_sheet_in_a_table(account: Account) -> None:
    """A sheet in DynamoDB is stamped as well."""
    assert stamp("db", stamps="dynamodb://stamps", namespace="shop")
    # An old copy of the item would be written over what it does not show.
    assert account.consistent_reads
    assert all(account.consistent_reads)

    edition = DynamoDbSheet(account, "stamps", "shop", consistent=True).read()

    assert edition is not None
    assert version_digest("v2") == edition.sheet.stamps[subject()].version


def test_it_loses_nobodys_stamps(account: Account) -> None:
    """What others have stamped stays, also what was overwritten unread."""
    mine, overwritten = {"a": OLD}, {"a": OLD, "b": OLD}
    for base, stamps in ((0, mine), (1, overwritten), (1, mine)):
        sheet = Sheet(base=base, born=1, stamps=stamps)
        account.put_parameter(SHEET, encode(sheet))
    stamp_once(account)

    assert {"a", "b", subject()} == sheet_of(account).stamps.keys()


@pytest.mark.parametrize(
    ("strikes_at", "pending"),
    [(call, pending) for call in range(5) for pending in (False, True)],
)
def test_another_writer_at_any_moment(
    account: Account, strikes_at: int, *, pending: bool
) -> None:
    """Whenever an invalidator writes in between, for this secret too, both stand."""
    account.put_secret("other", "w2")
    if pending:
        put_pending(account)
    account.put_parameter(SHEET, encode(Sheet(born=1, stamps={subject(): OLD})))
    calls = iter(range(1000))

    def strike(_: str) -> None:
        if next(calls) == strikes_at:
            account.before = lambda _: None
            publish_stamp(
                account,
                SHEET,
                "other",
                pending=False,
                clock=ManualClock(),
                random=lambda: 0.5,
            )
            hear_event(account)

    account.before = strike
    stamp_once(account, pending=pending)
    stamps = sheet_of(account).stamps
    said = {version_digest("v2"), version_digest("") if pending else ""}

    assert version_digest("w2") == stamps[subject("other")].version
    assert stamps[subject()].version in said
    # Whoever holds the old version, whatever was remembered, lets go of it.
    assert outdates(stamps[subject()], OLD, version_digest("v1"))


def test_the_event_that_follows_writes_nothing(account: Account) -> None:
    """The event's own stamp, for the same second, finds the sheet as it should be."""
    stamp_once(account)
    before = account.versions(SHEET)[:]
    hear_event(account)

    assert before == account.versions(SHEET)


def test_after_the_event_there_is_nothing_to_write(account: Account) -> None:
    """A stamp that comes after the event's, or twice, writes nothing either."""
    hear_event(account)
    before = account.versions(SHEET)[:]
    stamp_once(account)
    stamp_once(account, clock=ManualClock(EPOCH + 3600))

    assert before == account.versions(SHEET)


def test_it_believes_aws_alone(account: Account) -> None:
    """What was moved back meanwhile is stamped as it is, not as the caller hopes."""

    def take_back(operation: str) -> None:
        if operation == "PutParameter":
            account.before = lambda _: None
            account.put_secret("db", "v1")

    account.before = take_back
    stamp_once(account)

    assert version_digest("v1") == sheet_of(account).stamps[subject()].version


def test_pending_names_no_version(account: Account) -> None:
    """An announced change evicts what is held and doubts whatever comes instead."""
    put_pending(account, "v1")
    account.put_parameter(SHEET, encode(Sheet(born=1, stamps={subject(): OLD})))
    stamp_once(account, pending=True)
    announced = sheet_of(account).stamps
    held = entry("v1", OLD)
    answers = [held]
    for _ in PROVISIONAL_SECONDS:
        fetched = entry("v1", announced[subject()])
        answers.append(fetched.weighed(announced, answers[-1]))
    accepted = entry("v1", announced[subject()]).weighed(announced, answers[-1])

    assert held.is_outdated(announced, doubted=False)
    assert list(PROVISIONAL_SECONDS) == [
        each.provisional_seconds for each in answers[1:]
    ]
    # A rotation that never ends does not make anybody ask for ever.
    assert not accepted.is_doubted
    assert not accepted.is_outdated(announced, doubted=False)


def test_the_new_version_ends_the_wait(account: Account) -> None:
    """The stamp after the announcement evicts the old version, and settles the new."""
    put_pending(account, "v1")
    stamp_once(account, pending=True)
    announced = sheet_of(account).stamps[subject()]
    account.put_secret("db", "v2")
    stamp_once(account)
    stamps = sheet_of(account).stamps

    assert outdates(stamps[subject()], announced, version_digest("v1"))
    assert entry("v1", announced).is_outdated(stamps, doubted=False)
    assert not entry("v2", stamps[subject()]).weighed(stamps, None).is_doubted


@pytest.mark.parametrize("moved", ["before", "while it is written"])
def test_an_announcement_that_comes_too_late(account: Account, moved: str) -> None:
    """After the rotation there is nothing to announce: the current one stands."""
    if moved != "before":
        put_pending(account, "v1")

        def finish(operation: str) -> None:
            if operation == "PutParameter":
                account.before = lambda _: None
                account.put_secret("db", "v2")

        account.before = finish
    stamp_once(account, pending=True)

    assert version_digest("v2") == sheet_of(account).stamps[subject()].version


def test_an_announcement_is_renewed_by_the_next_rotation(account: Account) -> None:
    """A second rotation announces itself though the first one never ended."""
    put_pending(account)
    stamp_once(account, pending=True)
    first = sheet_of(account).stamps[subject()]
    stamp_once(account, pending=True, clock=ManualClock(EPOCH + 10))
    again = sheet_of(account).stamps[subject()]
    account.change_secret("db", LastChangedDate=EPOCH + 3600)
    stamp_once(account, pending=True, clock=ManualClock(EPOCH + 3600))

    assert first == again
    assert outdates(sheet_of(account).stamps[subject()], first, version_digest("v2"))


def test_an_event_amid_the_rotation_takes_the_announcement_back(
    account: Account,
) -> None:
    """Somebody else's stamp of what is still current settles that, and harms nobody."""
    put_pending(account)
    stamp_once(account, pending=True)
    hear_event(account)
    stamps = sheet_of(account).stamps
    held = entry("v2", None)

    assert not held.is_outdated(stamps, doubted=False)
    assert not held.weighed(stamps, None).is_doubted


@pytest.mark.parametrize(
    ("refused", "error", "said"),
    [
        (
            ("DescribeSecret", "db"),
            AwsError("AccessDeniedException", "not you"),
            "not you",
        ),
        (("GetParameter", SHEET), AwsTimeoutError("no answer in time"), "no answer"),
        (
            ("PutParameter", SHEET),
            AwsError("AccessDeniedException", "nor you"),
            "nor you",
        ),
    ],
)
@pytest.mark.usefixtures("boto")
def test_a_rotation_does_not_fail(
    account: Account,
    caplog: pytest.LogCaptureFixture,
    refused: tuple[str, Any],
    error: AwsError,
    said: str,
) -> None:
    """What keeps it from stamping is logged, and told by what it returns."""
    account.refusals[refused] = error

    assert not stamp("db")
    assert [("rotaware", logging.ERROR)] == [row[:2] for row in caplog.record_tuples]
    assert "did not stamp db: " in caplog.text
    assert said in caplog.text


@pytest.mark.usefixtures("boto")
def test_settings_that_cannot_be_used_do_not_fail_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a wrong variable, or one that leaves no sheet."""
    assert not stamp("db", stamps="off")

    monkeypatch.setenv("ROTAWARE_NAMESPACE", "no name!")

    assert not stamp("db")
    assert "ROTAWARE_STAMPS: off leaves no sheet" in caplog.text
    assert "ROTAWARE_NAMESPACE" in caplog.text


@pytest.mark.usefixtures("boto")
def test_what_nobody_foresaw_is_told_by_its_kind(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of our own is no reason to fail, nor is its text for a log."""

    def surprise(_: str) -> None:
        raise KeyError("canary")

    account.before = surprise

    assert not stamp("db")
    assert "did not stamp db: unforeseen: KeyError" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("throttled", ["GetParameter", "PutParameter"])
def test_its_patience_ends(account: Account, throttled: str) -> None:
    """A sheet that is throttled all the time holds a rotation up for seconds only."""
    clock = ManualClock()
    account.refusals[throttled, SHEET] = AwsThrottledError("Throttling", "slow down")
    with pytest.raises(AwsTimeoutError, match="throttled or overwritten"):
        stamp_once(account, clock=clock)

    assert PATIENCE_SECONDS / 2 < sum(clock.naps) <= PATIENCE_SECONDS


def test_every_call_is_bounded(account: Account) -> None:
    """No call may take longer than a rotation has time for."""
    bounds = []

    class Bounded(Account):
        def call(
            self,
            service: str,
            operation: str,
            request: Mapping[str, Any],
            *,
            timeout_seconds: float | None = None,
        ) -> dict[str, Any]:
            bounds.append(timeout_seconds)
            return account.call(service, operation, request)

    stamp_once(Bounded())

    assert [CALL_SECONDS] * len(account.calls) == bounds
    assert bounds


@pytest.mark.usefixtures("boto")
def test_a_write_is_logged(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    """Who turns the log up sees each write."""
    with caplog.at_level(logging.INFO, "rotaware"):
        assert stamp("db")
        assert stamp("db")

    assert ["wrote the stamp sheet: generation 1, base 0, stamps 1"] == caplog.messages
    assert 1 == len(account.versions(SHEET))


def entry(version: str, remembered: Stamp | None) -> Entry:
    """What an environment holds."""
    fetched = Fetched(Value({}), subject_arn(), subject(), version)
    return Entry(fetched, ManualClock().now(), 300.0, remembered)
