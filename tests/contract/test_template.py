"""infra/template.yaml: what it lets in, what it may do, where it agrees with code."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ministack.services.eventbridge import _test_event_pattern

from invalidator.decide import TOUCHING, Touched, decide
from rotaware.publish import MAX_BATCH
from rotaware.settings import Settings
from rotaware.sheet import Sheet, encode
from tests.support.deployment import TEMPLATE, transformed
from tests.support.events import (
    Event,
    label_updated,
    parameter_changed,
    put_secret_value,
    recorded,
    rotation,
)
from tests.support.item_store import item_of
from tests.support.stand_in import ACCOUNT, REGION, table_statement

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = ("LabelRule", "ParameterRule", "CloudTrailRule")
SHEET = "/rotaware/default/stamps"
POLICIES = ("Deletion", "UpdateReplace")

SSM, DYNAMODB = "ssm", "dynamodb"
CHOICES = {"InParameterStore": SSM, "InTable": DYNAMODB}
NO_VALUE = {"Ref": "AWS::NoValue"}

# What may read no value, and write but the sheet. To add to it is to give that away.
ALLOWED = [
    ("logs:CreateLogStream", "Logs.Arn"),
    ("logs:PutLogEvents", "Logs.Arn"),
    ("secretsmanager:DescribeSecret", "secret:*"),
    ("sqs:DeleteMessage", "Queue.Arn"),
    ("sqs:GetQueueAttributes", "Queue.Arn"),
    ("sqs:ReceiveMessage", "Queue.Arn"),
    ("ssm:DescribeParameters", "*"),
]
ALLOWED_OF_THE_SHEET = {
    SSM: [
        ("ssm:GetParameter", "parameter/rotaware/${Namespace}/stamps"),
        ("ssm:GetParameter", "parameter/rotaware/${Namespace}/stamps:*"),
        ("ssm:PutParameter", "parameter/rotaware/${Namespace}/stamps"),
    ],
    DYNAMODB: [
        ("dynamodb:GetItem", "Table.Arn"),
        ("dynamodb:PutItem", "Table.Arn"),
    ],
}

EVENTS: dict[str, tuple[Event, set[str]]] = {
    "current version moved": (label_updated(), {"LabelRule"}),
    "another label moved": (label_updated(label="BLUE"), set()),
    "parameter changed": (parameter_changed(), {"ParameterRule"}),
    "parameter without levels": (parameter_changed("flag"), {"ParameterRule"}),
    "the sheet changed": (parameter_changed(SHEET), set()),
    "another sheet changed": (parameter_changed("/rotaware/other/stamps"), set()),
    "value put": (put_secret_value(), {"CloudTrailRule"}),
    "rotated": (rotation("RotationSucceeded"), {"CloudTrailRule"}),
    "rotation started": (rotation("RotationStarted"), set()),
    "secret read": (recorded("GetSecretValue"), set()),
    "key disabled": ({**recorded("PutSecretValue"), "source": "aws.kms"}, set()),
}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The plain template that AWS's own translator makes, offline."""
    return transformed()


@pytest.fixture(params=[SSM, DYNAMODB])
def stamps(request: pytest.FixtureRequest) -> str:
    """Where the sheet is to be kept."""
    return str(request.param)


@pytest.fixture
def resources(template: dict[str, Any], stamps: str) -> dict[str, Any]:
    """The resources that come of it."""
    found: dict[str, Any] = chosen(template, stamps)["Resources"]
    return found


def chosen(part: Any, stamps: str) -> Any:
    """A part of the template, once CloudFormation knows where the sheet is kept."""
    match part:
        case {"Fn::If": [str(condition), then, otherwise]} if condition in CHOICES:
            return chosen(then if CHOICES[condition] == stamps else otherwise, stamps)
        case dict():
            return {
                name: chosen(value, stamps)
                for name, value in part.items()
                if not isinstance(value, dict)
                or CHOICES.get(value.get("Condition", ""), stamps) == stamps
            }
        case list():
            values = [chosen(value, stamps) for value in part]
            return [value for value in values if value != NO_VALUE]
        case _:
            return part


def properties(resources: dict[str, Any], name: str) -> dict[str, Any]:
    """What the template says about one resource."""
    found: dict[str, Any] = resources[name]["Properties"]
    return found


def mapping(resources: dict[str, Any]) -> dict[str, Any]:
    """The one event source mapping."""
    (found,) = (
        each["Properties"]
        for each in resources.values()
        if each["Type"] == "AWS::Lambda::EventSourceMapping"
    )
    return dict(found)


def matches(rule: dict[str, Any], event: Event) -> bool:
    """Whether a rule lets an event in, as a real matcher says."""
    pattern = json.dumps(rule["EventPattern"])
    answer = _test_event_pattern({"EventPattern": pattern, "Event": json.dumps(event)})
    result: bool = json.loads(answer[2])["Result"]
    return result


def statements(resources: dict[str, Any]) -> list[dict[str, Any]]:
    """What the role allows."""
    (policy,) = properties(resources, "Role")["Policies"]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def permissions(resources: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each action that the role allows, and on what."""
    for statement in statements(resources):
        assert "Allow" == statement["Effect"]
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                yield action, named(resource)


def listed(value: Any) -> list[Any]:
    """IAM takes one thing or a list of them."""
    return value if isinstance(value, list) else [value]


def named(resource: Any) -> str:
    """A resource's ARN, or what CloudFormation makes it from."""
    if isinstance(resource, str):
        return resource
    (source,) = resource.values()
    return ".".join(listed(source))


def test_the_linter_has_nothing_to_say() -> None:
    """cfn-lint finds no error and no warning."""
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), TEMPLATE],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stdout)


@pytest.mark.parametrize(("event", "rules"), EVENTS.values(), ids=EVENTS)
def test_rules_let_in_what_may_need_a_stamp(
    resources: dict[str, Any], event: Event, rules: set[str]
) -> None:
    """What may have moved a current version matches one rule; a sheet's change none."""
    let_in = {name for name in RULES if matches(properties(resources, name), event)}

    assert rules == let_in


@pytest.mark.parametrize("event", [event for event, rules in EVENTS.values() if rules])
def test_what_a_rule_lets_in_touches(event: Event) -> None:
    """The rules and the code agree on which events matter."""
    assert isinstance(decide(event, sheet=SHEET), Touched)


def test_the_rule_names_each_call_that_touches(resources: dict[str, Any]) -> None:
    """No API call that the code acts upon is kept away from it, and no other let in."""
    rule = properties(resources, "CloudTrailRule")

    assert sorted(TOUCHING) == rule["EventPattern"]["detail"]["eventName"]


@pytest.mark.parametrize("name", RULES)
def test_rules_send_to_the_queue_and_may(resources: dict[str, Any], name: str) -> None:
    """Each rule's target is the queue, and the queue takes from just these rules."""
    targets = properties(resources, name)["Targets"]
    (statement,) = properties(resources, "QueuePolicy")["PolicyDocument"]["Statement"]
    senders = statement["Condition"]["ArnEquals"]["aws:SourceArn"]

    assert [{"Fn::GetAtt": ["Queue", "Arn"]}] == [each["Arn"] for each in targets]
    assert "events.amazonaws.com" == statement["Principal"]["Service"]
    assert "sqs:SendMessage" == statement["Action"]
    assert len(RULES) == len(senders)
    assert 1 == sum(f'"{name}"' in json.dumps(sender) for sender in senders)


def test_the_role_may_do_no_more_than_it_must(
    resources: dict[str, Any], stamps: str
) -> None:
    """The role can ask which version is current, write its sheet, and read no value."""
    allowed = sorted(permissions(resources))
    expected = sorted([*ALLOWED, *ALLOWED_OF_THE_SHEET[stamps]])

    assert [action for action, _ in expected] == [action for action, _ in allowed]
    for (_, ending), (_, resource) in zip(expected, allowed, strict=True):
        assert resource.endswith(ending)
        assert (resource == "*") == (ending == "*")


@pytest.mark.parametrize("stamps", [DYNAMODB], indirect=True)
def test_the_role_has_one_item_of_the_table(resources: dict[str, Any]) -> None:
    """Other namespaces' items are not its business, should they share the table."""
    (statement,) = (
        each for each in statements(resources) if "dynamodb:GetItem" in each["Action"]
    )

    assert {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [{"Ref": "Namespace"}]}
    } == statement["Condition"]


@pytest.mark.parametrize("stamps", [SSM], indirect=True)
def test_the_sheet_is_empty_at_first(resources: dict[str, Any]) -> None:
    """The stack makes the sheet that the library would make, where it looks for it."""
    sheet = properties(resources, "Sheet")
    settings = Settings.from_environ({"ROTAWARE_NAMESPACE": "blue"})

    assert encode(Sheet()) == sheet["Value"]
    assert "String" == sheet["Type"]
    assert settings.stamps == sheet["Name"]["Fn::Sub"].replace("${Namespace}", "blue")


@pytest.mark.parametrize("stamps", [DYNAMODB], indirect=True)
def test_the_table_is_the_one_that_is_looked_for(resources: dict[str, Any]) -> None:
    """Its key is the one of the library's items; it is paid by use and easily lost."""
    table = properties(resources, "Table")
    key = item_of("blue", encode(Sheet())).keys() - {"edition", "sheet"}

    assert [{"AttributeName": key.pop(), "KeyType": "HASH"}] == table["KeySchema"]
    assert "PAY_PER_REQUEST" == table["BillingMode"]
    policies = [resources["Table"][f"{name}Policy"] for name in POLICIES]
    assert ["Delete", "Delete"] == policies


def test_there_is_one_sheet(resources: dict[str, Any], stamps: str) -> None:
    """A parameter or a table, never both."""
    assert {SSM: "Sheet", DYNAMODB: "Table"}[stamps] in resources
    assert 1 == len({"Sheet", "Table"} & resources.keys())


def test_outputs_say_what_functions_need(template: dict[str, Any], stamps: str) -> None:
    """The setting, which rotaware accepts, and the statement that lets it be read."""
    outputs = chosen(template, stamps)["Outputs"]
    setting = substituted(outputs["Stamps"]["Value"])
    statement = json.loads(substituted(outputs["ReadingStatement"]["Value"]))
    settings = Settings.from_environ({"ROTAWARE_STAMPS": setting})
    expected: dict[str, Any] = {
        "Effect": "Allow",
        "Action": ["ssm:GetParameter"],
        "Resource": [f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{SHEET}"],
    }
    if stamps == DYNAMODB:
        expected = table_statement("rotaware-default", "default")

    assert expected == statement
    address = {SSM: SHEET, DYNAMODB: "dynamodb://rotaware-default/default"}[stamps]
    assert address == settings.stamps


def substituted(value: Any) -> str:
    """What CloudFormation makes of a text."""
    text = str(value["Fn::Sub"] if isinstance(value, dict) else value)
    table = "rotaware-default"
    for name, replacement in {
        "${Table.Arn}": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}",
        "${Table}": table,
        "${Namespace}": "default",
        "${AWS::Partition}": "aws",
        "${AWS::Region}": REGION,
        "${AWS::AccountId}": ACCOUNT,
    }.items():
        text = text.replace(name, replacement)
    assert "${" not in text
    return text


def test_few_writers_take_batches_that_one_write_can_stamp(
    resources: dict[str, Any],
) -> None:
    """At most two at once, a batch that fits into one write, failures one by one."""
    source = mapping(resources)

    assert {"MaximumConcurrency": 2} == source["ScalingConfig"]
    assert ["ReportBatchItemFailures"] == source["FunctionResponseTypes"]
    assert MAX_BATCH >= source["BatchSize"]


def test_events_are_not_lost_and_not_tried_for_ever(resources: dict[str, Any]) -> None:
    """A batch is not given to a second reader too early, nor for ever."""
    queue = properties(resources, "Queue")
    timeout_seconds = properties(resources, "Invalidator")["Timeout"]

    assert 6 * timeout_seconds <= queue["VisibilityTimeout"]
    assert 5 == queue["RedrivePolicy"]["maxReceiveCount"]
    target = queue["RedrivePolicy"]["deadLetterTargetArn"]
    assert {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]} == target


@pytest.mark.parametrize("name", ["Queue", "DeadLetterQueue"])
def test_queues_are_encrypted(resources: dict[str, Any], name: str) -> None:
    """Events rest encrypted, with keys that EventBridge may use."""
    assert properties(resources, name)["SqsManagedSseEnabled"] is True


def test_the_function_is_the_code(resources: dict[str, Any], stamps: str) -> None:
    """The handler that Lambda imports exists, and gets the stack's namespace."""
    function = properties(resources, "Invalidator")
    module, _, name = function["Handler"].rpartition(".")

    assert callable(getattr(importlib.import_module(module), name))
    variables = function["Environment"]["Variables"]
    sheet = {SSM: "ssm", DYNAMODB: {"Fn::Sub": "dynamodb://${Table}"}}[stamps]
    expected = {"ROTAWARE_NAMESPACE": {"Ref": "Namespace"}, "ROTAWARE_STAMPS": sheet}
    assert expected == variables
    assert ("python3.13", ["arm64"]) == (function["Runtime"], function["Architectures"])
