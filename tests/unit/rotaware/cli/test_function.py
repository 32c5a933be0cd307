"""The facts about a user's function."""

from __future__ import annotations

from typing import Any

import pytest

from rotaware.cli.function import (
    Answer,
    Layer,
    Place,
    Question,
    place_of,
    questions,
    read_function,
    read_layer,
    simulate,
)
from rotaware.errors import AwsError, AwsUnavailableError
from tests.support.answering import Answering

LAYER = "arn:aws:lambda:eu-west-1:123456789012:layer:rotaware-arm64:3"
PLACE = Place("aws", "eu-west-1", "123456789012")
SAID = {
    "FunctionName": "f",
    "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:f",
    "Role": "arn:aws:iam::123456789012:role/r",
}


def read(**said: Any) -> Any:
    """A function of which AWS says this."""
    aws = Answering({"lambda.GetFunctionConfiguration": {**SAID, **said}})
    return read_function(aws, "f")


def test_a_function() -> None:
    """With its layers, which are only named."""
    found = read(
        Runtime="python3.13",
        Architectures=["arm64"],
        PackageType="Zip",
        Environment={"Variables": {"A": "b"}},
        Layers=[{"Arn": LAYER}],
    )

    assert ("python3.13", "arm64", False) == found[3:6]
    assert {"A": "b"} == found.environ
    assert (Layer(LAYER, "rotaware-arm64", 3),) == found.layers
    assert place_of(found) == PLACE


def test_what_is_left_out() -> None:
    """Lambda leaves out what is not set."""
    found = read()

    assert ("", "x86_64", False, {}, ()) == found[3:]


def test_what_cannot_be_decrypted() -> None:
    """Then nobody knows the variables."""
    found = read(Environment={"Error": {"ErrorCode": "AccessDeniedException"}})

    assert found.environ is None


def test_an_image() -> None:
    """It has no layers."""
    assert read(PackageType="Image").is_image


KNOWN = Layer(LAYER, "rotaware-arm64", 3)
VERSIONS = {"LayerVersions": [{"LayerVersionArn": LAYER, "Version": 3}]}
OTHERS = {
    "LayerVersions": [{"LayerVersionArn": LAYER.replace("123", "999"), "Version": 9}]
}


def test_a_layer() -> None:
    """For which processors it is, and whether it is the newest."""
    newer = {"LayerVersionArn": LAYER[:-1] + "5", "Version": 5}
    listed = {"LayerVersions": [newer, *VERSIONS["LayerVersions"]]}
    shown = {"CompatibleArchitectures": ["arm64"]}
    aws = Answering(
        {"lambda.GetLayerVersionByArn": shown, "lambda.ListLayerVersions": listed}
    )

    assert KNOWN._replace(known=True, architectures=("arm64",), newest=5) == (
        read_layer(aws, KNOWN)
    )


@pytest.mark.parametrize("listed", [OTHERS, {"LayerVersions": []}])
def test_another_accounts_layer(listed: dict[str, Any]) -> None:
    """The account's own of the same name says nothing of it."""
    aws = Answering(
        {"lambda.GetLayerVersionByArn": {}, "lambda.ListLayerVersions": listed}
    )

    assert KNOWN._replace(known=True) == read_layer(aws, KNOWN)


def test_a_layer_that_is_not_shown() -> None:
    """It is unknown; where AWS does not answer at all, nothing is known."""
    assert KNOWN == read_layer(Answering({}), KNOWN)
    with pytest.raises(AwsUnavailableError):
        read_layer(
            Answering({"lambda.GetLayerVersionByArn": AwsUnavailableError("X", "x")}),
            KNOWN,
        )


def test_a_refusal_of_another_kind() -> None:
    """It says nothing about the layer."""
    aws = Answering({"lambda.GetLayerVersionByArn": AwsError("Other", "x")})
    with pytest.raises(AwsError):
        read_layer(aws, KNOWN)


def test_questions_about_a_parameter() -> None:
    """The sheet and the named secrets are to be read, and no more."""
    asked = questions(PLACE, "/rotaware/default/stamps", {"app/db": "arn-of-db"})
    sheet = "arn:aws:ssm:eu-west-1:123456789012:parameter/rotaware/default/stamps"

    assert [
        ("ssm:GetParameter", sheet, True),
        ("secretsmanager:GetSecretValue", "arn-of-db", True),
        ("secretsmanager:GetSecretValue", asked[2].resource, False),
        ("ssm:PutParameter", sheet, False),
    ] == [(each.action, each.resource, each.should) for each in asked]


def test_questions_about_a_table() -> None:
    """An item of it is read."""
    asked = questions(PLACE, "dynamodb://table/default", {})
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/table"

    assert ("dynamodb:GetItem", table) == asked[0][:2]
    assert ("dynamodb:PutItem", table) == asked[-1][:2]


def test_the_simulator_is_asked() -> None:
    """One question at a time, since each has its own resource."""
    question = Question("a:Get", "arn", "it", should=True)
    decisions = [
        {"EvaluationResults": [{"EvalDecision": word}]}
        for word in ("allowed", "explicitDeny")
    ]
    aws = Answering({"iam.SimulatePrincipalPolicy": decisions})

    assert [Answer(question, allowed=True), Answer(question, allowed=False)] == (
        simulate(aws, "role", [question, question])
    )
    assert {
        "PolicySourceArn": "role",
        "ActionNames": ["a:Get"],
        "ResourceArns": ["arn"],
    } == aws.requests[0][1]
