"""``rotaware.stamp`` through boto3, with just the rights that docs/rotation.md has."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rotaware
from rotaware.sheet import decode, subject_of, version_digest
from tests.support.stand_in import ACCOUNT, REGION, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "rotation.md"
TABLE = "stamps"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """AWS, and an empty table for sheets."""
    with StandIn() as running:
        running.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "namespace", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "namespace", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield running


@pytest.fixture
def secret(stand_in: StandIn) -> tuple[str, str]:
    """A secret of its own: ARN and current version."""
    answer = stand_in.client("secretsmanager").create_secret(
        Name=f"prod/db-{next(_numbers)}", SecretString="canary"
    )
    return answer["ARN"], answer["VersionId"]


def documented(heading: str) -> list[dict[str, Any]]:
    """The policy that the page shows under a heading, for this account."""
    section = PAGE.read_text().split(f"### {heading}\n")[1]
    text = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert text is not None
    here = text[1].replace("eu-west-1:123456789012", f"{REGION}:{ACCOUNT}")
    statements: list[dict[str, Any]] = json.loads(here)["Statement"]
    return statements


def act_as(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, statements: list[dict[str, Any]]
) -> None:
    """Give this process a role that allows just this."""
    environ = {"AWS_ENDPOINT_URL": stand_in.url, "AWS_DEFAULT_REGION": REGION}
    for name, value in (environ | stand_in.assume(statements)).items():
        monkeypatch.setenv(name, value)


def test_the_documented_rights_are_enough(
    stand_in: StandIn, secret: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With them the sheet says what is current, though it did not exist before."""
    act_as(stand_in, monkeypatch, documented("A sheet in Parameter Store"))
    arn, version = secret

    assert rotaware.stamp(arn)
    assert version_digest(version) == stamps(stand_in)[subject_of(arn)]

    stand_in.client("secretsmanager").put_secret_value(
        SecretId=arn, SecretString="canary", VersionStages=["AWSPENDING"]
    )

    assert rotaware.stamp(arn, pending=True)
    assert version_digest("") == stamps(stand_in)[subject_of(arn)]

    assert rotaware.stamp(arn)
    assert version_digest(version) == stamps(stand_in)[subject_of(arn)]


def test_the_documented_rights_for_a_table(
    stand_in: StandIn, secret: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sheet in DynamoDB needs others."""
    act_as(stand_in, monkeypatch, documented("A sheet in DynamoDB"))
    arn, version = secret

    assert rotaware.stamp(arn, stamps=f"dynamodb://{TABLE}")

    item = stand_in.client("dynamodb").get_item(
        TableName=TABLE, Key={"namespace": {"S": "default"}}
    )["Item"]

    assert version_digest(version) in json.dumps(item)
    assert "canary" not in json.dumps(item)


@pytest.mark.parametrize(
    "action",
    ["secretsmanager:DescribeSecret", "ssm:GetParameter", "ssm:PutParameter"],
)
def test_none_of_them_is_one_too_many(
    stand_in: StandIn,
    secret: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    action: str,
) -> None:
    """Without any one of them nothing is stamped; the log names what AWS refused."""
    statements = documented("A sheet in Parameter Store")
    for statement in statements:
        statement["Action"] = [
            each for each in statement["Action"] if each != action
        ] or ["sts:GetCallerIdentity"]
    act_as(stand_in, monkeypatch, statements)
    arn, _ = secret

    assert not rotaware.stamp(arn)
    assert subject_of(arn) not in stamps(stand_in)
    assert f"did not stamp {arn}: " in caplog.text
    assert "AccessDenied" in caplog.text


def test_another_secret_than_the_policys(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rights end with the secrets that the policy names."""
    answer = stand_in.client("secretsmanager").create_secret(
        Name="staging/db", SecretString="canary"
    )
    act_as(stand_in, monkeypatch, documented("A sheet in Parameter Store"))

    assert not rotaware.stamp(answer["ARN"])


def stamps(stand_in: StandIn) -> dict[str, str]:
    """Subject to version, as the sheet says now."""
    client = stand_in.client("ssm")
    try:
        answer = client.get_parameter(Name="/rotaware/default/stamps")
    except client.exceptions.ParameterNotFound:
        return {}
    sheet = decode(answer["Parameter"]["Value"])
    return {subject: stamp.version for subject, stamp in sheet.stamps.items()}
