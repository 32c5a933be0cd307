"""The facts about a deployed stack: rules, queue, invalidator, and where its sheet is.

AWS is asked for each thing itself, not only CloudFormation, which does not notice when
somebody changes or deletes what it has made.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from rotaware.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping as Dictionary

    from rotaware.aws import Aws

DAY_SECONDS = 86_400
_FUNCTION, _RULE = "AWS::Lambda::Function", "AWS::Events::Rule"


class Rule(NamedTuple):
    """A rule of EventBridge; ``state`` is None where it is gone."""

    logical_id: str
    name: str
    bus: str
    state: str | None = None
    pattern: Dictionary[str, Any] = {}
    targets: tuple[str, ...] = ()

    def takes(self, detail_type: str) -> bool:
        """Whether its pattern is for events of this type; a rule that is gone is."""
        return self.state is None or detail_type in self.pattern.get("detail-type", ())


class Mapping(NamedTuple):
    """What hands a queue's messages to the invalidator."""

    uuid: str
    state: str
    queue_arn: str


class Queue(NamedTuple):
    """The queue between the rules and the invalidator."""

    arn: str
    policy: str
    dead_letter_arn: str | None
    dead_letters: int


class Invalidator(NamedTuple):
    """The function; ``errors`` are those of the last 24 hours."""

    name: str
    state: str
    reserved_concurrency: int | None
    errors: int
    log_group: str
    environ: Dictionary[str, str]


class Stack(NamedTuple):
    """What CloudFormation says: its status, and what it has made."""

    name: str
    status: str
    function_name: str
    rules: tuple[Rule, ...]


def read_stack(aws: Aws, name: str) -> Stack | None:
    """The stack of this name; None where there is none.

    Raises:
        AwsError: AWS refused or could not be reached.
    """
    request = {"StackName": name}
    try:
        (stack,) = aws.call("cloudformation", "DescribeStacks", request)["Stacks"]
    except AwsError as refusal:
        if refusal.code == "ValidationError":
            return None
        raise
    answer = aws.call("cloudformation", "DescribeStackResources", request)
    resources = answer["StackResources"]
    outputs = {
        each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())
    }
    functions = [_id(each) for each in resources if each["ResourceType"] == _FUNCTION]
    return Stack(
        name,
        stack["StackStatus"],
        outputs.get("FunctionName") or next(iter(functions), ""),
        tuple(_rule(each) for each in resources if each["ResourceType"] == _RULE),
    )


def _id(resource: Dictionary[str, Any]) -> str:
    return str(resource.get("PhysicalResourceId", ""))


def _rule(resource: Dictionary[str, Any]) -> Rule:
    """On a bus other than the default one, the id names the bus too."""
    bus, _, name = _id(resource).rpartition("|")
    return Rule(resource["LogicalResourceId"], name, bus or "default")


def read_rule(aws: Aws, rule: Rule) -> Rule:
    """The rule with its state, pattern and targets, if it is there."""
    try:
        said = aws.call(
            "events", "DescribeRule", {"Name": rule.name, "EventBusName": rule.bus}
        )
        request = {"Rule": rule.name, "EventBusName": rule.bus}
        targets = aws.call("events", "ListTargetsByRule", request)["Targets"]
    except AwsError as refusal:
        if refusal.code == "ResourceNotFoundException":
            return rule
        raise
    return rule._replace(
        state=said["State"],
        pattern=json.loads(said.get("EventPattern") or "{}"),
        targets=tuple(target["Arn"] for target in targets),
    )


def read_mapping(aws: Aws, function_name: str) -> Mapping | None:
    """What feeds the invalidator; None if nothing does."""
    request = {"FunctionName": function_name}
    answer = aws.call("lambda", "ListEventSourceMappings", request)
    for each in answer["EventSourceMappings"]:
        if ":sqs:" in each["EventSourceArn"]:
            return Mapping(each["UUID"], each["State"], each["EventSourceArn"])
    return None


def read_queue(aws: Aws, arn: str) -> Queue:
    """The queue of this ARN, and how many dead letters there are."""
    said = _attributes(aws, arn)
    redrive = json.loads(said.get("RedrivePolicy") or "{}")
    dead_letter_arn = redrive.get("deadLetterTargetArn")
    dead = _attributes(aws, dead_letter_arn) if dead_letter_arn else {}
    dead_letters = int(dead.get("ApproximateNumberOfMessages", 0))
    return Queue(arn, said.get("Policy", ""), dead_letter_arn, dead_letters)


def _attributes(aws: Aws, arn: str) -> dict[str, str]:
    *_, account, name = arn.split(":")
    url = aws.call(
        "sqs", "GetQueueUrl", {"QueueName": name, "QueueOwnerAWSAccountId": account}
    )["QueueUrl"]
    request = {"QueueUrl": url, "AttributeNames": ["All"]}
    attributes: dict[str, str] = aws.call("sqs", "GetQueueAttributes", request)[
        "Attributes"
    ]
    return attributes


def read_invalidator(aws: Aws, name: str, now_seconds: float) -> Invalidator:
    """The function, and how often it failed within a day."""
    request = {"FunctionName": name}
    said = aws.call("lambda", "GetFunctionConfiguration", request)
    reserved = aws.call("lambda", "GetFunctionConcurrency", request)
    statistics = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": name}],
        "StartTime": now_seconds - DAY_SECONDS,
        "EndTime": now_seconds,
        "Period": DAY_SECONDS,
        "Statistics": ["Sum"],
    }
    points = aws.call("cloudwatch", "GetMetricStatistics", statistics)["Datapoints"]
    log_group = said.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}"
    return Invalidator(
        name,
        said.get("State", "Active"),
        reserved.get("ReservedConcurrentExecutions"),
        int(sum(point["Sum"] for point in points)),
        log_group,
        said.get("Environment", {}).get("Variables", {}),
    )
