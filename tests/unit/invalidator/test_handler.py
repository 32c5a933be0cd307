"""The Lambda's entry point: real Powertools, and an account in AWS's place."""

from __future__ import annotations

import importlib
import json
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.boto import BotoAws
from rotaware.errors import AwsError, SettingsError
from rotaware.sheet import decode, subject_of, version_digest
from tests.support.account import Account
from tests.support.events import (
    REGION,
    Context,
    label_updated,
    parameter_changed,
    put_secret_value,
    sqs_batch,
)
from tests.support.item_store import TABLE

if TYPE_CHECKING:
    from types import ModuleType

SHEET = "/rotaware/default/stamps"
DENIED = AwsError("AccessDeniedException", "no right to describe")


def fresh_module() -> ModuleType:
    """The handler as a new execution environment imports it."""
    sys.modules.pop("invalidator.handler", None)
    return importlib.import_module("invalidator.handler")


class Lambda:
    """A new execution environment, whose AWS is an account in memory."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        **environ: str,
    ) -> None:
        self.account = Account()
        self._capsys = capsys
        self.service = f"invalidator-{uuid.uuid4()}"
        environ = {
            "AWS_REGION": REGION,
            "POWERTOOLS_SERVICE_NAME": self.service,
            **environ,
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(BotoAws, "call", staticmethod(self.account.call))
        self._module: ModuleType | None = None

    def __call__(self, event: object) -> Any:
        """One invocation; the first one imports."""
        # Not before: Powertools keeps one logger for each service name, and with it
        # the standard output of that moment.
        self._module = self._module or fresh_module()
        return self._module.handler(event, Context())

    def stamps(self, sheet: str = SHEET) -> dict[str, str]:
        """Subject to version digest, as the sheet says now."""
        stamps = decode(self.account.versions(sheet)[-1]).stamps
        return {subject: stamp.version for subject, stamp in stamps.items()}

    def output(self) -> list[dict[str, Any]]:
        """Log lines and metrics, as CloudWatch Logs would get them."""
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]


@pytest.fixture
def function(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Lambda:
    """The function with no settings of its own."""
    return Lambda(monkeypatch, capsys)


def failed(*messages: str) -> dict[str, Any]:
    """The answer that has SQS deliver these messages again."""
    return {"batchItemFailures": [{"itemIdentifier": name} for name in messages]}


def test_one_event_is_stamped(function: Lambda) -> None:
    """An event straight from EventBridge stamps its secret, and answers nothing."""
    arn = function.account.put_secret("a", "v1")

    assert function(label_updated(arn)) is None
    assert {subject_of(arn): version_digest("v1")} == function.stamps()


def test_a_batch_of_a_queue_is_stamped_at_once(function: Lambda) -> None:
    """All messages of a batch become one write, and none is delivered again."""
    arns = [function.account.put_secret(name, "v1") for name in "ab"]
    events = [label_updated(arns[0]), label_updated(arns[1]), label_updated(arns[0])]

    assert failed() == function(sqs_batch(*map(json.dumps, events)))
    assert {subject_of(arn) for arn in arns} == function.stamps().keys()
    assert 1 == len(function.account.versions(SHEET))


def test_only_what_was_refused_is_delivered_again(function: Lambda) -> None:
    """Every message about a refused secret fails; stamped and ignored ones do not."""
    good, bad = (function.account.put_secret(name, "v1") for name in ("good", "bad"))
    function.account.refusals["DescribeSecret", bad] = DENIED
    bodies = [
        json.dumps(label_updated(bad)),
        json.dumps(label_updated(good)),
        json.dumps(put_secret_value(["AWSPENDING"], bad)),
        json.dumps(put_secret_value(arn=bad)),
        "no JSON",
    ]

    assert failed("m0", "m3") == function(sqs_batch(*bodies))
    assert {subject_of(good)} == function.stamps().keys()


def test_a_batch_may_fail_as_a_whole(function: Lambda) -> None:
    """When nothing could be stamped the answer says so, message by message."""
    arn = function.account.put_secret("a", "v1")
    function.account.refusals["GetParameter", SHEET] = DENIED
    body = json.dumps(label_updated(arn))

    assert failed("m0", "m1") == function(sqs_batch(body, body))


def test_a_refused_event_is_raised(function: Lambda) -> None:
    """Lambda tries a single event again when its invocation fails."""
    arn = function.account.put_secret("a", "v1")
    function.account.refusals["DescribeSecret", arn] = DENIED

    with pytest.raises(AwsError) as caught:
        function(label_updated(arn))

    assert DENIED is caught.value


DROPPED: dict[str, object] = {
    "empty": {},
    "null": None,
    "list": [],
    "no records": {"Records": []},
    "records of another source": {"Records": [{"eventSource": "aws:s3"}]},
    "rotation under way": put_secret_value(["AWSPENDING"]),
    "sheet": parameter_changed(SHEET),
    "malformed": {**label_updated(), "detail": {}},
}


@pytest.mark.parametrize("event", DROPPED.values(), ids=DROPPED)
def test_what_no_retry_could_mend_is_dropped(function: Lambda, event: object) -> None:
    """Malformed, unknown and harmless events are counted, and AWS is not asked."""
    assert function(event) is None
    assert [] == function.account.calls
    line, metric = function.output()
    assert line["reason"] == metric["reason"]
    assert [1.0] == metric["EventsIgnored"]


def test_log_lines_are_powertools_own(function: Lambda) -> None:
    """Each line names the service, the function, the request and the cold start."""
    function({})
    function({})

    first, second = [line for line in function.output() if "message" in line]
    assert {
        "service": function.service,
        "function_name": "invalidator",
        "function_request_id": "6a7e8feb",
    }.items() <= first.items()
    # Powertools knows one cold start for each process, not for each of our imports.
    assert "cold_start" in first
    assert second["cold_start"] is False


def test_sessions_are_made_once_and_late(
    function: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing needs no AWS; the first event makes a session, later ones use it."""
    made: list[str] = []
    monkeypatch.setattr("boto3.Session", lambda: made.append("session"))

    fresh_module()
    assert [] == made
    function({})
    function({})
    assert ["session"] == made


def test_metrics_name_the_service(function: Lambda) -> None:
    """Every metric has the service as a dimension, in the namespace rotaware."""
    arn = function.account.put_secret("a", "v1")
    function(sqs_batch(json.dumps(label_updated(arn)), "{}"))

    blobs = [line for line in function.output() if "_aws" in line]
    expected = [
        ("rotaware", [["service", "reason"]]),
        ("rotaware", [["service"]]),
    ]
    assert expected == [
        (rules["Namespace"], rules["Dimensions"])
        for blob in blobs
        for rules in blob["_aws"]["CloudWatchMetrics"]
    ]
    assert {function.service} == {blob["service"] for blob in blobs}


def test_an_event_is_never_logged_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an event holds beside ids stays out, even if Powertools is told to log."""
    function = Lambda(monkeypatch, capsys, POWERTOOLS_LOGGER_LOG_EVENT="true")
    arn = function.account.put_secret("a", "v1")
    function.account.refusals["DescribeSecret", arn] = DENIED
    for event in (label_updated(arn), put_secret_value(arn=arn), parameter_changed()):
        event["detail"]["canary"] = "canary-value"
        function(sqs_batch(json.dumps(event), json.dumps(event) + "}"))

    lines = function.output()
    assert len(lines) >= 3
    assert "canary-value" not in json.dumps(lines)


def test_the_sheet_is_the_namespaces(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ROTAWARE_NAMESPACE chooses the sheet as it does for the extension."""
    function = Lambda(monkeypatch, capsys, ROTAWARE_NAMESPACE="blue")
    arn = function.account.put_secret("a", "v1")
    function(label_updated(arn))

    assert {subject_of(arn)} == function.stamps("/rotaware/blue/stamps").keys()


def test_a_sheet_of_any_name_is_never_its_own_trigger(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a sheet elsewhere, its changes are ignored, alone and in a batch."""
    function = Lambda(monkeypatch, capsys, ROTAWARE_STAMPS="ssm:///team/stamps")
    event = parameter_changed("/team/stamps")

    assert function(event) is None
    assert failed() == function(sqs_batch(json.dumps(event)))
    assert [] == function.account.calls


def test_a_sheet_in_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ROTAWARE_STAMPS may name a table; the namespace's item in it is written."""
    function = Lambda(
        monkeypatch,
        capsys,
        ROTAWARE_NAMESPACE="blue",
        ROTAWARE_STAMPS=f"dynamodb://{TABLE}",
    )
    arn = function.account.put_secret("a", "v1")
    function(label_updated(arn))

    document = function.account.items.document("blue")
    assert {subject_of(arn)} == decode(document).stamps.keys()
    assert [True] == function.account.consistent_reads


def test_an_invalidator_needs_a_sheet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the stamps off there is nothing that it could do: it says so."""
    function = Lambda(monkeypatch, capsys, ROTAWARE_STAMPS="off")

    with pytest.raises(SettingsError, match=r"ROTAWARE_STAMPS: .* use ssm"):
        function(label_updated())


def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings are checked as the extension's are."""
    function = Lambda(monkeypatch, capsys, ROTAWARE_NAMESPACE="a b")

    with pytest.raises(SettingsError, match="ROTAWARE_NAMESPACE"):
        function(label_updated())


def test_the_default_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without POWERTOOLS_SERVICE_NAME the invalidator has a name of its own."""
    monkeypatch.delenv("POWERTOOLS_SERVICE_NAME", raising=False)
    assert "rotaware-invalidator" == fresh_module().SERVICE
