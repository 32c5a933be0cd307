"""infra/template.yaml: what it lets in, what it may do, where it agrees with code."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ministack.services.eventbridge import _test_event_pattern

from invalidator import invalidate
from invalidator.decide import TOUCHING, Touched, decide
from invalidator.invalidate import NAMESPACE
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
from tests.support.template import rendered

if TYPE_CHECKING:
    from collections.abc import Iterator

QUEUES = ("Queue", "DeadLetterQueue")
RULES = ("LabelRule", "ParameterRule", "CloudTrailRule")
SHEET = "/rotaware/default/stamps"
POLICIES = ("Deletion", "UpdateReplace")

SSM, DYNAMODB = "ssm", "dynamodb"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/2f1e"
SECRETS = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:app/*"
PARAMETERS = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/app/*"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call"
ALARMS = {
    "DeadLetterAlarm",
    "ErrorAlarm",
    "ThrottleAlarm",
    "WaitingAlarm",
    "LagAlarm",
    "SheetFullAlarm",
}
OTHERS = "111111111111,222222222222"

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
        ("ssm:GetParameter", "parameter/rotaware/default/stamps"),
        ("ssm:GetParameter", "parameter/rotaware/default/stamps:*"),
        ("ssm:PutParameter", "parameter/rotaware/default/stamps"),
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
    """The resources of a stack that only names its store, and takes all events."""
    found: dict[str, Any] = rendered(template, Stamps=stamps, CloudTrailEvents="true")[
        "Resources"
    ]
    return found


def resources_with(template: dict[str, Any], **parameters: str) -> dict[str, Any]:
    """The resources of a stack with these parameters."""
    found: dict[str, Any] = rendered(template, **parameters)["Resources"]
    return found


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
    pattern = rule["EventPattern"]
    if not isinstance(pattern, str):
        pattern = json.dumps(pattern)
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
    """cfn-lint finds no error and no warning in any template."""
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), *TEMPLATE.parent.glob("*.yaml")],
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
    dead_letters = {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    assert [dead_letters] == [each["DeadLetterConfig"]["Arn"] for each in targets]
    queues = [{"Fn::GetAtt": [queue, "Arn"]} for queue in QUEUES]
    assert queues == statement["Resource"]


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
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["default"]}
    } == statement["Condition"]


@pytest.mark.parametrize("stamps", [SSM], indirect=True)
def test_the_sheet_is_empty_at_first(template: dict[str, Any], stamps: str) -> None:
    """The stack makes the sheet that the library would make, where it looks for it."""
    resources = resources_with(template, Stamps=stamps, Namespace="blue")
    sheet = properties(resources, "Sheet")
    settings = Settings.from_environ({"ROTAWARE_NAMESPACE": "blue"})

    assert encode(Sheet()) == sheet["Value"]
    assert "String" == sheet["Type"]
    assert settings.stamps == sheet["Name"]


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
    outputs = rendered(template, Stamps=stamps)["Outputs"]
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


@pytest.mark.parametrize("name", QUEUES)
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
    assert {
        "POWERTOOLS_SERVICE_NAME": "invalidator-default",
        "ROTAWARE_NAMESPACE": "default",
        "ROTAWARE_STAMPS": sheet,
    } == variables
    assert ("python3.13", ["arm64"]) == (function["Runtime"], function["Architectures"])


FILTERED = {
    "a secret so called": (label_updated(name="app/db"), True),
    "another secret": (label_updated(name="web/db"), False),
    "the second prefix": (label_updated(name="db-1"), True),
    "a parameter so called": (parameter_changed("/app/flag"), True),
    "another parameter": (parameter_changed("/web/flag"), False),
    "a sheet, though so called": (parameter_changed("/rotaware/x/stamps"), False),
    "no sheet": (parameter_changed("/rotaware/x/flag"), True),
}


@pytest.mark.parametrize(("event", "is_taken"), FILTERED.values(), ids=FILTERED)
def test_prefixes_say_what_is_let_in(
    template: dict[str, Any], event: Event, *, is_taken: bool
) -> None:
    """Only what begins as a prefix does is stamped, and never a sheet."""
    resources = resources_with(
        template, SecretPrefixes="app/,db-", ParameterPrefixes="/app/,/rotaware/"
    )
    taken = [matches(properties(resources, name), event) for name in RULES[:2]]

    assert is_taken == any(taken)


def test_no_part_needs_a_name(template: dict[str, Any]) -> None:
    """CAPABILITY_IAM is enough for roles and policies without names of their own."""
    resources = resources_with(template)

    assert "RoleName" not in properties(resources, "Role")
    assert "ManagedPolicyName" not in properties(resources, "ReadingPolicy")


@pytest.mark.parametrize("name", ["template", "layer", "forwarding"])
def test_no_template_leans_on_yaml(name: str) -> None:
    """CloudFormation takes no aliases, and no text above 51,200 bytes."""
    path = TEMPLATE.with_name(f"{name}.yaml")
    tokens = list(yaml.scan(path.read_text()))

    assert not [each for each in tokens if isinstance(each, yaml.AliasToken)]
    assert path.stat().st_size <= 51_200


def test_a_key_of_ones_own_is_used_throughout(template: dict[str, Any]) -> None:
    """Queues, log and table lie under it, and the role may use it through these."""
    resources = resources_with(template, Stamps=DYNAMODB, KeyArn=KEY)

    for name in QUEUES:
        assert KEY == properties(resources, name)["KmsMasterKeyId"]
        assert "SqsManagedSseEnabled" not in properties(resources, name)
    assert KEY == properties(resources, "Logs")["KmsKeyId"]
    assert KEY == properties(resources, "Table")["SSESpecification"]["KMSMasterKeyId"]
    (statement,) = (
        each for each in statements(resources) if "kms:Decrypt" == each["Action"]
    )
    services = [f"{each}.{REGION}.amazonaws.com" for each in ("sqs", "dynamodb")]
    condition = {"StringEquals": {"kms:ViaService": services}}
    assert (KEY, condition) == (statement["Resource"], statement["Condition"])


def test_without_a_key_there_is_no_right_to_one(resources: dict[str, Any]) -> None:
    """AWS's own keys need neither a statement nor a setting."""
    assert "kms" not in json.dumps(resources).replace("SqsManagedSse", "").lower()


def test_other_accounts_may_send_and_be_asked(template: dict[str, Any]) -> None:
    """Accounts that are named, and no others: their events, and DescribeSecret."""
    resources = resources_with(template, OtherAccounts=OTHERS)
    bus = properties(resources, "BusPolicy")["Statement"]
    (statement,) = (each for each in statements(resources) if "Anothers" in each["Sid"])

    assert OTHERS.split(",") == bus["Principal"]["AWS"]
    assert "events:PutEvents" == bus["Action"]
    assert "rotaware-51af3dc0" == properties(resources, "BusPolicy")["StatementId"]
    assert bus["Resource"].endswith(":event-bus/default")
    assert {"StringEquals": {"events:source": "aws.secretsmanager"}} == bus["Condition"]
    assert "secretsmanager:DescribeSecret" == statement["Action"]
    accounts = {"StringEquals": {"aws:ResourceAccount": OTHERS.split(",")}}
    assert accounts == statement["Condition"]


def test_no_other_account_is_trusted_unasked(resources: dict[str, Any]) -> None:
    """By default the stack opens nothing to anybody else."""
    assert "BusPolicy" not in resources
    assert "ResourceAccount" not in json.dumps(resources)


READS: dict[str, tuple[dict[str, str], list[tuple[str, Any]]]] = {
    "the sheet": ({}, []),
    "secrets": (
        {"ReadableSecrets": SECRETS},
        [
            ("secretsmanager:GetSecretValue", SECRETS),
            ("secretsmanager:BatchGetSecretValue", "*"),
        ],
    ),
    "parameters": (
        {"ReadableParameters": PARAMETERS},
        [
            (f"ssm:{operation}", PARAMETERS)
            for operation in ("GetParameter", "GetParameters", "GetParametersByPath")
        ],
    ),
    "what a key closes": ({"ReadableKeys": KEY}, [("kms:Decrypt", KEY)]),
}


@pytest.mark.parametrize(("parameters", "allowed"), READS.values(), ids=READS)
def test_functions_may_read_what_is_named_and_the_sheet(
    template: dict[str, Any],
    stamps: str,
    parameters: dict[str, str],
    allowed: list[tuple[str, Any]],
) -> None:
    """The managed policy is the statement for the sheet, and what was asked for."""
    stack = rendered(template, Stamps=stamps, **parameters)
    policy = properties(stack["Resources"], "ReadingPolicy")
    sheet, *others = policy["PolicyDocument"]["Statement"]
    statement = json.loads(substituted(stack["Outputs"]["ReadingStatement"]["Value"]))

    found = [
        (action, resource)
        for each in others
        for action in listed(each["Action"])
        for resource in listed(each["Resource"])
    ]
    assert allowed == found
    assert statement["Action"] == [sheet["Action"]]
    assert statement.get("Condition") == sheet.get("Condition")
    if stamps == SSM:
        assert statement["Resource"] == [sheet["Resource"]]


def test_a_keyed_table_is_opened_to_its_readers(template: dict[str, Any]) -> None:
    """Reading the item needs its key, through DynamoDB alone; a parameter has none."""
    policies = [
        properties(
            resources_with(template, Stamps=stamps, KeyArn=KEY), "ReadingPolicy"
        )["PolicyDocument"]["Statement"][1:]
        for stamps in (SSM, DYNAMODB)
    ]

    service = f"dynamodb.{REGION}.amazonaws.com"
    assert policies[0] == []
    (statement,) = policies[1]
    assert ("kms:Decrypt", KEY) == (statement["Action"], statement["Resource"])
    assert {"StringEquals": {"kms:ViaService": service}} == statement["Condition"]


def emitted() -> set[str]:
    """The metrics that the invalidator's code names."""
    source = inspect.getsource(invalidate)
    return set(re.findall(r'(?:name=|add_metric\(\s*)"([A-Za-z]+)"', source))


def test_alarms_watch_what_there_is(template: dict[str, Any]) -> None:
    """Each alarm says what to do, and looks at a metric that somebody emits."""
    resources = resources_with(template)
    alarms = {
        name: each["Properties"]
        for name, each in resources.items()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    }

    assert ALARMS == alarms.keys()
    service = properties(resources, "Invalidator")["Environment"]["Variables"][
        "POWERTOOLS_SERVICE_NAME"
    ]
    for alarm in alarms.values():
        assert 60 < len(alarm["AlarmDescription"]) < 1024
        assert [] == alarm["AlarmActions"]
        if alarm["Namespace"] == NAMESPACE:
            assert alarm["MetricName"] in emitted()
            assert [{"Name": "service", "Value": service}] == alarm["Dimensions"]


def test_the_lag_is_compared_in_its_own_unit(template: dict[str, Any]) -> None:
    """The parameter is in seconds, the metric in milliseconds."""
    resources = resources_with(template, LagAlarmSeconds="90")

    assert "90000" == properties(resources, "LagAlarm")["Threshold"]
    assert "90" == properties(resources, "WaitingAlarm")["Threshold"]


def test_alarms_tell_whom_they_shall(template: dict[str, Any]) -> None:
    """An address, a topic, or both hear of each alarm."""
    told = resources_with(
        template, AlarmEmail="on-call@example.com", AlarmTopicArn=TOPIC
    )

    subscription = {"Protocol": "email", "Endpoint": "on-call@example.com"}
    assert [subscription] == properties(told, "AlarmTopic")["Subscription"]
    for name in ALARMS:
        assert [{"Ref": "AlarmTopic"}, TOPIC] == properties(told, name)["AlarmActions"]


def dashboard(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The widgets."""
    body = properties(resources_with(template), "Dashboard")["DashboardBody"]
    found: list[dict[str, Any]] = json.loads(body["Fn::Sub"])["widgets"]
    return found


def test_the_dashboard_is_laid_out(template: dict[str, Any]) -> None:
    """Widgets fill the page's 24 columns, row by row, and none covers another."""
    cells = [
        (x, y)
        for each in dashboard(template)
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    ]

    assert len(cells) == len(set(cells))
    assert {(x, y) for x in range(24) for y in range(23)} == set(cells)


def test_the_dashboard_shows_all_that_is_counted(template: dict[str, Any]) -> None:
    """Every metric of the invalidator and every alarm is on it."""
    text = json.dumps(dashboard(template))

    assert 5 == len(emitted())
    assert all(name in text for name in emitted())
    assert all(f"${{{name}.Arn}}" in text for name in ALARMS)
