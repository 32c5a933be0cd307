"""The facts about a stack are those that AWS says now, not those of the template."""

from __future__ import annotations

from typing import Any

import pytest

from rotaware.cli.stack import (
    Invalidator,
    Mapping,
    Queue,
    Rule,
    read_invalidator,
    read_mapping,
    read_queue,
    read_rule,
    read_stack,
)
from rotaware.errors import AwsError
from tests.support.answering import Answering

ARN = "arn:aws:sqs:eu-west-1:123456789012:events"
DEAD = "arn:aws:sqs:eu-west-1:123456789012:dead"
NOT_FOUND = AwsError("ResourceNotFoundException", "no such rule")
PATTERN = '{"detail-type":["Secret Label Updated"]}'


def resource(kind: str, logical_id: str, physical_id: str) -> dict[str, str]:
    """One row of a stack's resources."""
    return {
        "ResourceType": kind,
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": physical_id,
    }


RESOURCES = [
    resource("AWS::Events::Rule", "LabelRule", "stack-LabelRule-1"),
    resource("AWS::Events::Rule", "BusRule", "bus|stack-BusRule-1"),
    resource("AWS::Lambda::Function", "Invalidator", "stack-Invalidator-1"),
]


@pytest.mark.parametrize(
    ("outputs", "resources", "function_name"),
    [
        ([{"OutputKey": "FunctionName", "OutputValue": "other"}], RESOURCES, "other"),
        ([], RESOURCES, "stack-Invalidator-1"),
        ([], RESOURCES[:2], ""),
    ],
)
def test_a_stack(
    outputs: list[dict[str, str]], resources: list[dict[str, str]], function_name: str
) -> None:
    """Its function is the output's, or the one that there is."""
    stack = {"StackStatus": "CREATE_COMPLETE", "Outputs": outputs}
    aws = Answering(
        {
            "cloudformation.DescribeStacks": {"Stacks": [stack]},
            "cloudformation.DescribeStackResources": {"StackResources": resources},
        }
    )
    found = read_stack(aws, "stack")

    assert found is not None
    assert function_name == found.function_name
    assert (
        Rule("LabelRule", "stack-LabelRule-1", "default"),
        Rule("BusRule", "stack-BusRule-1", "bus"),
    ) == found.rules


def test_no_stack() -> None:
    """CloudFormation calls that a wrong request."""
    missing = AwsError("ValidationError", "Stack with id x does not exist")

    assert (
        read_stack(Answering({"cloudformation.DescribeStacks": missing}), "x") is None
    )
    with pytest.raises(AwsError):
        read_stack(Answering({}), "x")


def test_a_rule() -> None:
    """With its targets; one that is gone has no state, and counts for any event."""
    rule = Rule("LabelRule", "name", "default")
    answers = {
        "events.DescribeRule": {"State": "ENABLED", "EventPattern": PATTERN},
        "events.ListTargetsByRule": {"Targets": [{"Arn": ARN}]},
    }
    found = read_rule(Answering(answers), rule)
    gone = read_rule(Answering({"events.DescribeRule": NOT_FOUND}), rule)

    assert ("ENABLED", (ARN,)) == (found.state, found.targets)
    assert found.takes("Secret Label Updated")
    assert not found.takes("Parameter Store Change")
    assert gone is rule
    assert gone.takes("anything")
    with pytest.raises(AwsError):
        read_rule(Answering({}), rule)


def test_a_scheduled_rule_takes_no_event() -> None:
    """It has no pattern."""
    answers: dict[str, Any] = {
        "events.DescribeRule": {"State": "ENABLED"},
        "events.ListTargetsByRule": {"Targets": []},
    }

    assert {} == read_rule(Answering(answers), Rule("R", "n", "default")).pattern


def test_a_mapping() -> None:
    """Of a queue; a stream is something else."""
    mappings = [
        {"UUID": "1", "State": "Enabled", "EventSourceArn": "arn:aws:kinesis:x"},
        {"UUID": "2", "State": "Disabled", "EventSourceArn": ARN},
    ]
    name = "lambda.ListEventSourceMappings"
    found = read_mapping(Answering({name: {"EventSourceMappings": mappings}}), "f")

    assert Mapping("2", "Disabled", ARN) == found
    assert read_mapping(Answering({name: {"EventSourceMappings": []}}), "f") is None


def test_a_queue() -> None:
    """With its policy, and the dead letters."""
    first = {"Policy": "policy", "RedrivePolicy": f'{{"deadLetterTargetArn":"{DEAD}"}}'}
    second = {"ApproximateNumberOfMessages": "4"}
    aws = Answering(
        {
            "sqs.GetQueueUrl": {"QueueUrl": "url"},
            "sqs.GetQueueAttributes": [{"Attributes": first}, {"Attributes": second}],
        }
    )

    assert Queue(ARN, "policy", DEAD, 4) == read_queue(aws, ARN)
    assert {
        "QueueName": "dead",
        "QueueOwnerAWSAccountId": "123456789012",
    } == aws.requests[2][1]


def test_a_queue_without_dead_letters() -> None:
    """It has neither a policy."""
    aws = Answering(
        {
            "sqs.GetQueueUrl": {"QueueUrl": "url"},
            "sqs.GetQueueAttributes": {"Attributes": {}},
        }
    )

    assert Queue(ARN, "", None, 0) == read_queue(aws, ARN)


def test_an_invalidator() -> None:
    """Its failures of a day are added up."""
    said = {
        "State": "Active",
        "LoggingConfig": {"LogGroup": "logs"},
        "Environment": {"Variables": {"ROTAWARE_NAMESPACE": "team"}},
    }
    aws = Answering(
        {
            "lambda.GetFunctionConfiguration": [said, {}],
            "lambda.GetFunctionConcurrency": [{"ReservedConcurrentExecutions": 2}, {}],
            "cloudwatch.GetMetricStatistics": {"Datapoints": [{"Sum": 1.0}] * 2},
        }
    )

    assert Invalidator(
        "f", "Active", 2, 2, "logs", {"ROTAWARE_NAMESPACE": "team"}
    ) == read_invalidator(aws, "f", 100_000.0)
    assert 13_600.0 == aws.requests[2][1]["StartTime"]
    assert Invalidator("f", "Active", None, 2, "/aws/lambda/f", {}) == (
        read_invalidator(aws, "f", 100_000.0)
    )
