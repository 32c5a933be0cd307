"""The whole invalidator in this process: real boto3 against the AWS stand-in.

Events are handed to the handler by the test, with what AWS would put in them. Rules,
queue and Lambda are the end-to-end tests' part.
"""

from __future__ import annotations

import importlib
import json
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.sheet import decode, subject_of, version_digest
from tests.support.events import (
    Context,
    label_updated,
    parameter_changed,
    put_secret_value,
    recorded,
    sqs_batch,
)
from tests.support.recorder import Refusal
from tests.support.stand_in import ACCOUNT, CREDENTIALS, REGION, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.recorder import Recorder

CANARY = "canary-of-the-invalidator"


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """AWS."""
    with StandIn() as running:
        yield running


class Rig:
    """The handler, a namespace and secrets of this test alone."""

    def __init__(self, stand_in: StandIn, namespace: str) -> None:
        self.calls: Recorder = stand_in.recorder()
        self.name = f"{namespace}/secret"
        self._sheet = f"/rotaware/{namespace}/stamps"
        self._namespace = namespace
        self._stand_in = stand_in
        self._handler: Callable[[object, object], Any] | None = None

    def environ(self) -> dict[str, str]:
        """What Lambda and the template would set."""
        return {
            "AWS_ENDPOINT_URL": self.calls.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "POWERTOOLS_SERVICE_NAME": f"invalidator-{self._namespace}",
            "ROTAWARE_NAMESPACE": self._namespace,
            **{name.upper(): value for name, value in CREDENTIALS.items()},
        }

    def invoke(self, event: object) -> Any:
        """One invocation of one execution environment."""
        if self._handler is None:
            sys.modules.pop("invalidator.handler", None)
            self._handler = importlib.import_module("invalidator.handler").handler
        return self._handler(event, Context())

    def client(self, service: str) -> Any:
        """AWS, as an operator has it."""
        return self._stand_in.client(service)

    def create(self) -> str:
        """Make the secret; its ARN."""
        answer = self.client("secretsmanager").create_secret(
            Name=self.name, SecretString=CANARY
        )
        return str(answer["ARN"])

    def put(self, *stages: str) -> str:
        """Put a value under some labels; its version id."""
        answer = self.client("secretsmanager").put_secret_value(
            SecretId=self.name,
            SecretString=f"{CANARY}-{uuid.uuid4()}",
            VersionStages=list(stages),
        )
        return str(answer["VersionId"])

    def sheet(self) -> tuple[int, dict[str, str]]:
        """The parameter's version, and each subject's version digest."""
        ssm = self.client("ssm")
        try:
            parameter = ssm.get_parameter(Name=self._sheet)["Parameter"]
        except ssm.exceptions.ParameterNotFound:
            return 0, {}
        stamps = decode(parameter["Value"]).stamps
        return parameter["Version"], {name: s.version for name, s in stamps.items()}


@pytest.fixture
def rig(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """An execution environment of the invalidator."""
    rig = Rig(stand_in, f"n{uuid.uuid4().hex[:12]}")
    for name, value in rig.environ().items():
        monkeypatch.setenv(name, value)
    return rig


def test_a_rotation_becomes_a_stamp(rig: Rig) -> None:
    """After AWSCURRENT moved, the sheet names the version that it moved to."""
    arn = rig.create()
    first = rig.client("secretsmanager").get_secret_value(SecretId=arn)["VersionId"]
    rig.invoke(label_updated(arn, rig.name))
    second = rig.put("AWSPENDING")
    rig.client("secretsmanager").update_secret_version_stage(
        SecretId=arn,
        VersionStage="AWSCURRENT",
        MoveToVersionId=second,
        RemoveFromVersionId=first,
    )

    rig.invoke(label_updated(arn, rig.name))

    assert (2, {subject_of(arn): version_digest(second)}) == rig.sheet()


def test_a_pending_version_stamps_nothing(rig: Rig) -> None:
    """AWSPENDING changes no current value: not by its own event, nor by another."""
    arn = rig.create()
    rig.invoke(label_updated(arn, rig.name))
    before = rig.sheet()
    rig.put("AWSPENDING")

    rig.calls.clear()
    rig.invoke(put_secret_value(["AWSPENDING"], arn))
    assert [] == rig.calls.calls
    rig.invoke(put_secret_value(arn=arn))
    assert before == rig.sheet()


def test_a_duplicate_makes_no_new_version(rig: Rig) -> None:
    """Events that say nothing new cost one read of the sheet and one question."""
    arn = rig.create()
    event = json.dumps(label_updated(arn, rig.name))
    rig.invoke(sqs_batch(event))
    rig.calls.clear()

    assert {"batchItemFailures": []} == rig.invoke(sqs_batch(event, event))
    assert 1 == rig.sheet()[0]
    expected = {"ssm.GetParameter": 1, "secretsmanager.DescribeSecret": 1}
    assert expected == rig.calls.counts


def test_a_deletion_becomes_a_stamp(rig: Rig) -> None:
    """A secret in its recovery window, and one that is gone, are not retrievable."""
    arn = rig.create()
    manager = rig.client("secretsmanager")
    gone = {subject_of(arn): version_digest("")}
    event = recorded(
        "DeleteSecret",
        requestParameters={"secretId": rig.name},
        responseElements={"name": rig.name, "aRN": arn},
    )
    rig.invoke(label_updated(arn, rig.name))

    manager.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    rig.invoke(event)
    assert (2, gone) == rig.sheet()
    manager.restore_secret(SecretId=arn)
    manager.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    rig.invoke(event)
    assert (2, gone) == rig.sheet()


def test_a_secret_is_found_by_its_name(rig: Rig) -> None:
    """An event without an ARN stamps the same subject, also once the secret is gone."""
    arn = rig.create()
    event = recorded("RestoreSecret", requestParameters={"secretId": rig.name})
    event["account"] = ACCOUNT

    rig.invoke(event)
    assert {subject_of(arn)} == rig.sheet()[1].keys()
    rig.client("secretsmanager").delete_secret(
        SecretId=arn, ForceDeleteWithoutRecovery=True
    )
    rig.invoke(event)
    assert {subject_of(arn): version_digest("")} == rig.sheet()[1]


def test_parameters_are_stamped_without_being_read(rig: Rig) -> None:
    """A parameter's version comes from DescribeParameters; a deleted one has none."""
    ssm = rig.client("ssm")
    names = [f"/{rig.name}/{number}" for number in range(3)]
    for name in names:
        ssm.put_parameter(Name=name, Value=CANARY, Type="SecureString")
    ssm.put_parameter(Name=names[1], Value=CANARY, Type="SecureString", Overwrite=True)
    arns = [ssm.get_parameter(Name=name)["Parameter"]["ARN"] for name in names]
    ssm.delete_parameter(Name=names[2])
    events = [
        parameter_changed(name, arn=arn) for name, arn in zip(names, arns, strict=True)
    ]

    rig.invoke(sqs_batch(*map(json.dumps, events)))

    versions = zip(arns, ("1", "2", ""), strict=True)
    stamps = {subject_of(arn): version_digest(version) for arn, version in versions}
    assert (1, stamps) == rig.sheet()
    assert 2 == rig.calls.counts["ssm.DescribeParameters"]


def test_only_the_refused_come_again(rig: Rig) -> None:
    """While DescribeSecret is denied its messages fail; parameters are stamped."""
    arn = rig.create()
    bodies = [
        json.dumps(label_updated(arn, rig.name)),
        json.dumps(parameter_changed("/gone")),
        "{}",
    ]
    denied = Refusal(400, "AccessDeniedException")
    with rig.calls.refusing("secretsmanager.DescribeSecret", denied):
        answer = rig.invoke(sqs_batch(*bodies))

    assert {"batchItemFailures": [{"itemIdentifier": "m0"}]} == answer
    assert 1 == len(rig.sheet()[1])
    assert {"batchItemFailures": []} == rig.invoke(sqs_batch(*bodies))
    assert 2 == len(rig.sheet()[1])


def test_no_value_comes_near_the_invalidator(
    rig: Rig, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing that it asks, is told, logs, counts or writes holds a secret's value."""
    arn = rig.create()
    rig.put("AWSCURRENT")
    rig.invoke(label_updated(arn, rig.name))
    rig.invoke(put_secret_value(["AWSPENDING"], arn))
    denied = Refusal(400, "AccessDeniedException")
    with rig.calls.refusing("secretsmanager.DescribeSecret", denied):
        rig.invoke(sqs_batch(json.dumps(label_updated(arn, rig.name))))

    seen = [repr(call.request) + call.response.decode() for call in rig.calls.calls]
    captured = capfd.readouterr()
    printed = captured.out + captured.err
    assert 3 <= printed.count('"message"')
    assert CANARY not in printed + "".join(seen)
