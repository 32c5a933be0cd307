"""An examination goes on past what may not be looked at, and ends without AWS."""

from __future__ import annotations

from typing import Any

import pytest

from rotaware.cli.doctor import diagnose
from rotaware.errors import AwsError, AwsUnavailableError
from rotaware.sheet import Sheet, Stamp, encode, subject_of
from tests.support.answering import Answering

HERE = "eu-west-1:123456789012"
SECRET = f"arn:aws:secretsmanager:{HERE}:secret:app/db-AbCdEf"
QUEUE = f"arn:aws:sqs:{HERE}:events"
LAYER = f"arn:aws:lambda:{HERE}:layer:rotaware-arm64:3"
PATTERN = '{"detail-type":["Secret Label Updated"]}'
SHEET = Sheet(stamps={subject_of(SECRET): Stamp("another", 1)})
OUTPUT = {"OutputKey": "FunctionName", "OutputValue": "invalidator"}
RULE = {
    "ResourceType": "AWS::Events::Rule",
    "LogicalResourceId": "LabelRule",
    "PhysicalResourceId": "rule",
}


def configuration(request: dict[str, Any]) -> dict[str, Any]:
    """Of the invalidator, and of the function."""
    name = request["FunctionName"]
    return {
        "FunctionName": name,
        "FunctionArn": f"arn:aws:lambda:{HERE}:function:{name}",
        "Role": "arn:aws:iam::123456789012:role/r",
        "Runtime": "python3.13",
        "Architectures": ["arm64"],
        "Layers": [{"Arn": LAYER}],
        "Environment": {"Variables": {"SECRET_DB": "app/db"} if name == "f" else {}},
    }


ANSWERS: dict[str, Any] = {
    "cloudformation.DescribeStacks": {
        "Stacks": [{"StackStatus": "CREATE_COMPLETE", "Outputs": [OUTPUT]}]
    },
    "cloudformation.DescribeStackResources": {"StackResources": [RULE]},
    "events.DescribeRule": {"State": "ENABLED", "EventPattern": PATTERN},
    "events.ListTargetsByRule": {"Targets": [{"Arn": QUEUE}]},
    "lambda.ListEventSourceMappings": {
        "EventSourceMappings": [
            {"UUID": "u", "State": "Enabled", "EventSourceArn": QUEUE}
        ]
    },
    "sqs.GetQueueUrl": {"QueueUrl": "url"},
    "sqs.GetQueueAttributes": {
        "Attributes": {
            "Policy": "events.amazonaws.com",
            "RedrivePolicy": f'{{"deadLetterTargetArn":"{QUEUE}"}}',
        }
    },
    "lambda.GetFunctionConfiguration": configuration,
    "lambda.GetFunctionConcurrency": {},
    "lambda.GetLayerVersionByArn": {"CompatibleArchitectures": ["arm64"]},
    "lambda.ListLayerVersions": {"LayerVersions": []},
    "cloudwatch.GetMetricStatistics": {"Datapoints": []},
    "ssm.GetParameter": {
        "Parameter": {"Version": 2, "Value": encode(SHEET._replace(stamps={}))}
    },
    "ssm.DescribeParameters": {"Parameters": []},
    "secretsmanager.ListSecrets": {
        "SecretList": [
            {
                "ARN": SECRET,
                "Name": "app/db",
                "SecretVersionsToStages": {"v": ["AWSCURRENT"]},
                "LastChangedDate": 1.0,
            }
        ]
    },
    "iam.SimulatePrincipalPolicy": lambda request: {
        "EvaluationResults": [
            {
                "EvalDecision": "implicitDeny"
                if "Put" in request["ActionNames"][0]
                or "no-secret" in request["ResourceArns"][0]
                else "allowed"
            }
        ]
    },
}


def wrong(function: str | None = None, **changes: Any) -> dict[str, str]:
    """What is not in order, with its state, where these answers are others."""
    changed = {name.replace("__", "."): answer for name, answer in changes.items()}
    found = diagnose(Answering({**ANSWERS, **changed}), "rotaware", function, 1000.0)
    return {each.about: each.state for each in found if each.state != "ok"}


def test_all_is_well() -> None:
    """Of the stack, and of a function."""
    assert {} == wrong()
    assert {} == wrong("f")


def test_old_stamps() -> None:
    """They are compared with what is current."""
    sheet = {"Parameter": {"Version": 2, "Value": encode(SHEET)}}

    assert {"stamps": "error"} == wrong(ssm__GetParameter=sheet)


@pytest.mark.parametrize(
    "stack",
    [
        AwsError("ValidationError", "none"),
        {"Stacks": [{"StackStatus": "X"}]},
        {"Stacks": [{"StackStatus": "ROLLBACK_COMPLETE", "Outputs": [OUTPUT]}]},
    ],
)
def test_no_stack(stack: Any) -> None:
    """The default sheet is looked at, and a function's own is not compared."""
    answers = {
        "cloudformation__DescribeStacks": stack,
        "cloudformation__DescribeStackResources": {"StackResources": []},
    }

    assert {"stack": "error"} == wrong("f", **answers)


def test_no_mapping() -> None:
    """So there is no queue to look at."""
    mappings: dict[str, Any] = {"EventSourceMappings": []}

    assert {"event source mapping": "error"} == wrong(
        lambda__ListEventSourceMappings=mappings
    )


def test_no_sheet() -> None:
    """There are no stamps to compare then; nor in what is no sheet."""
    absent = AwsError("ParameterNotFound", "none")
    other = {"Parameter": {"Version": 2, "Value": "else"}}

    assert {"sheet": "error"} == wrong(ssm__GetParameter=absent)
    assert {"sheet": "error"} == wrong(ssm__GetParameter=other)


def test_a_wrong_setting_of_the_invalidator() -> None:
    """The default sheet is looked at."""

    def wrong_one(request: dict[str, Any]) -> dict[str, Any]:
        said = configuration(request)
        return said | {"Environment": {"Variables": {"ROTAWARE_STAMPS": "nowhere"}}}

    assert {"invalidator": "error"} == wrong(lambda__GetFunctionConfiguration=wrong_one)


def test_what_may_not_be_looked_at() -> None:
    """It is a warning, and the secrets that a function names are taken as they are."""

    def by_arn(request: dict[str, Any]) -> dict[str, Any]:
        said = configuration(request)
        variables = {"SECRET_DB": "app/db", "SECRET_B": SECRET}
        return said | {"Environment": {"Variables": variables}}

    denied = AwsError("AccessDeniedException", "no")
    found = wrong(
        "f",
        secretsmanager__ListSecrets=denied,
        iam__SimulatePrincipalPolicy=denied,
        events__DescribeRule=denied,
        lambda__GetFunctionConfiguration=by_arn,
    )

    assert dict.fromkeys(("queue", "stamps", "role"), "warning") == found


def test_what_was_deleted_by_hand() -> None:
    """It is gone, and not forbidden; only a new stack brings it back."""
    absent = AwsError("ResourceNotFoundException", "none")
    no_queue = AwsError("AWS.SimpleQueueService.NonExistentQueue", "none")
    no_role = AwsError("NoSuchEntity", "none")

    def invalidator_is_gone(request: dict[str, Any]) -> Any:
        if request["FunctionName"] == "invalidator":
            raise absent
        return configuration(request)

    found = wrong(
        "f",
        lambda__GetFunctionConfiguration=invalidator_is_gone,
        sqs__GetQueueUrl=no_queue,
        iam__SimulatePrincipalPolicy=no_role,
    )

    assert dict.fromkeys(("queue", "invalidator", "role"), "error") == found


def test_without_aws_there_is_no_diagnosis() -> None:
    """What it would say would be wrong."""
    with pytest.raises(AwsUnavailableError):
        wrong(events__DescribeRule=AwsUnavailableError("Timeout", "no answer"))


def test_a_setting_that_a_function_does_not_start_with() -> None:
    """Which sheet it would look at is not known then."""

    def wrong_one(request: dict[str, Any]) -> dict[str, Any]:
        said = configuration(request)
        bad = {"ROTAWARE_NAMESPACE": "a b"}
        return said | (
            {"Environment": {"Variables": bad}} if said["FunctionName"] == "f" else {}
        )

    assert {"settings": "error"} == wrong(
        "f", lambda__GetFunctionConfiguration=wrong_one
    )


def test_a_stack_that_may_not_be_looked_at() -> None:
    """Nothing is known of the deployment then: that must not look like health."""
    with pytest.raises(AwsError):
        wrong(cloudformation__DescribeStacks=AwsError("AccessDenied", "no"))


@pytest.mark.parametrize("name", ["app/db", SECRET, SECRET.removesuffix("-AbCdEf")])
def test_all_names_of_a_secret(name: str) -> None:
    """By name, by ARN, or by an ARN without its ending."""

    def named(request: dict[str, Any]) -> dict[str, Any]:
        said = configuration(request)
        own = said["FunctionName"] == "f"
        return said | {"Environment": {"Variables": {"SECRET_A": name} if own else {}}}

    assert {} == wrong("f", lambda__GetFunctionConfiguration=named)
