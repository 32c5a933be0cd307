"""The doctor finds what is planted, names the fix, and finds nothing else.

The stand-in is AWS but for this: it makes no metrics, so failures of the invalidator
are in the unit tests alone; and it never retries, so a test itself puts a dead letter
there.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import SECRET, publish
from tests.support.stand_in import reading_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Made, Tool
    from tests.support.deployment import Deployment
    from tests.support.stand_in import StandIn

    MakeFunction = Callable[..., Made]

EMPTY = '{"base":0,"born":0,"format":1,"horizon":0,"stamps":{}}'
NEWER = '{"base":0,"born":0,"format":2,"horizon":0,"stamps":{}}'


def label_rule(stand_in: StandIn) -> str:
    """The name of the rule for Secrets Manager's own event."""
    rules = stand_in.client("events").list_rules()["Rules"]
    return next(
        str(rule["Name"]) for rule in rules if "Label Updated" in rule["EventPattern"]
    )


def only(found: list[dict[str, str]], about: str) -> dict[str, str]:
    """The one thing that is wrong."""
    assert [about] == [each["about"] for each in found], found

    return found[0]


def test_nothing_is_wrong_with_a_good_deployment(
    tool: Tool, make_function: MakeFunction
) -> None:
    """Neither of the stack nor of a function; the lines say what was looked at."""
    made = make_function()
    result = tool.run("doctor", made.name)

    assert 0 == result.exit_code, result.output
    assert [] == tool.findings(made.name)
    for part in ("stack:", "rule ", "event source mapping:", "dead letters:", "sheet:"):
        assert part in result.stdout
    for part in ("stamps:", "layer rotaware:1:", "settings:", "namespace:", "role "):
        assert part in result.stdout
    assert "canary" not in result.output


def test_a_disabled_rule(tool: Tool, stand_in: StandIn) -> None:
    """It names the command that enables it."""
    events, rule = stand_in.client("events"), label_rule(stand_in)
    events.disable_rule(Name=rule)
    found = tool.findings()
    events.enable_rule(Name=rule)

    fix = f"aws events enable-rule --name {rule} --event-bus-name default"
    assert fix == only(found, "rule LabelRule")["fix"]


def test_a_rule_without_its_target(tool: Tool, stand_in: StandIn) -> None:
    """It names the command that aims it at the queue again."""
    events, rule = stand_in.client("events"), label_rule(stand_in)
    targets = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.remove_targets(Rule=rule, Ids=[targets[0]["Id"]])
    found = tool.findings()
    events.put_targets(Rule=rule, Targets=targets)

    fix = only(found, "rule LabelRule")["fix"]
    assert fix.startswith(f"aws events put-targets --rule {rule}")
    assert fix.endswith(f"Arn={targets[0]['Arn']}")


def test_a_rule_that_is_gone(tool: Tool, stand_in: StandIn) -> None:
    """CloudFormation still lists it; EventBridge is asked."""
    events, rule = stand_in.client("events"), label_rule(stand_in)
    said = events.describe_rule(Name=rule)
    targets = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.remove_targets(Rule=rule, Ids=[targets[0]["Id"]])
    events.delete_rule(Name=rule)
    found = tool.findings()
    events.put_rule(Name=rule, EventPattern=said["EventPattern"])
    events.put_targets(Rule=rule, Targets=targets)

    finding = only(found, "rule LabelRule")
    assert finding["text"] == f"{rule} is gone"
    assert "deploy it again" in finding["fix"]


def test_a_disabled_mapping(
    tool: Tool, stand_in: StandIn, deployment: Deployment
) -> None:
    """The queue fills, and nobody reads it."""
    functions = stand_in.client("lambda")
    answer = functions.list_event_source_mappings(FunctionName=deployment.function_name)
    uuid = answer["EventSourceMappings"][0]["UUID"]
    functions.update_event_source_mapping(UUID=uuid, Enabled=False)
    found = tool.findings()
    functions.update_event_source_mapping(UUID=uuid, Enabled=True)

    fix = f"aws lambda update-event-source-mapping --uuid {uuid} --enabled"
    assert fix == only(found, "event source mapping")["fix"]


def test_an_invalidator_that_may_not_run(
    tool: Tool, stand_in: StandIn, deployment: Deployment
) -> None:
    """A reserved concurrency of 0 throttles it."""
    functions, name = stand_in.client("lambda"), deployment.function_name
    functions.put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=0
    )
    found = tool.findings()
    functions.delete_function_concurrency(FunctionName=name)

    fix = f"aws lambda delete-function-concurrency --function-name {name}"
    assert fix == only(found, "invalidator")["fix"]


def test_dead_letters(tool: Tool, stand_in: StandIn, deployment: Deployment) -> None:
    """How many there are, and how they are handed over again."""
    queues = stand_in.client("sqs")
    said = queues.get_queue_attributes(
        QueueUrl=deployment.queue_url, AttributeNames=["RedrivePolicy"]
    )["Attributes"]["RedrivePolicy"]
    arn = json.loads(said)["deadLetterTargetArn"]
    url = queues.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    queues.send_message(QueueUrl=url, MessageBody="{}")
    found = tool.findings()
    queues.purge_queue(QueueUrl=url)

    finding = only(found, "dead letters")
    assert finding["text"] == "1 events could not be stamped"
    assert f"start-message-move-task --source-arn {arn}" in finding["fix"]


@pytest.fixture
def sheet(stand_in: StandIn, deployment: Deployment) -> Iterator[Callable[[str], None]]:
    """Writes another text into the sheet, for as long as the test lasts."""
    parameters, name = stand_in.client("ssm"), deployment.sheet
    good = parameters.get_parameter(Name=name)["Parameter"]["Value"]

    def write(text: str) -> None:
        parameters.put_parameter(Name=name, Value=text, Type="String", Overwrite=True)

    yield write
    write(good)


@pytest.mark.usefixtures("sheet")
def test_a_deleted_sheet(tool: Tool, stand_in: StandIn, deployment: Deployment) -> None:
    """The fix is a command that makes an empty one."""
    stand_in.client("ssm").delete_parameter(Name=deployment.sheet)
    finding = only(tool.findings(), "sheet")

    assert finding["text"] == f"{deployment.sheet} is not there"
    assert f"aws ssm put-parameter --name {deployment.sheet}" in finding["fix"]
    assert EMPTY in finding["fix"]


def test_a_sheet_of_a_newer_format(tool: Tool, sheet: Callable[[str], None]) -> None:
    """This version of rotaware is too old."""
    sheet(NEWER)
    finding = only(tool.findings(), "sheet")

    assert "has format 2" in finding["text"]
    assert "update the layer" == finding["fix"]


def test_something_else_in_the_sheets_place(
    tool: Tool, sheet: Callable[[str], None]
) -> None:
    """It is not shown, whatever it is."""
    sheet("canary")
    finding = only(tool.findings(), "sheet")

    assert "no stamp sheet" in finding["text"]
    assert "delete it" in finding["fix"]
    assert "canary" not in str(finding)


def test_stamps_that_are_older_than_the_truth(
    tool: Tool,
    stand_in: StandIn,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A change that nobody was told of: at first on its way, then an error."""
    events, rule = stand_in.client("events"), label_rule(stand_in)
    events.disable_rule(Name=rule)
    manager = stand_in.client("secretsmanager")
    manager.put_secret_value(SecretId=SECRET, SecretString="canary-third")
    events.enable_rule(Name=rule)
    early = only(tool.findings(), "stamps")
    monkeypatch.setattr("rotaware.cli.findings.ON_ITS_WAY_SECONDS", -60)
    late = only(tool.findings(), "stamps")
    mended = tool.run("stamp", SECRET)

    assert ("warning", "error") == (early["state"], late["state"])
    assert late["fix"].startswith(f"rotaware stamp {SECRET};")
    assert 0 == mended.exit_code, mended.output
    assert [] == tool.findings()
    assert deployment.sheet_version() > 1


def test_no_stack(tool: Tool) -> None:
    """Of another name, or in another Region."""
    found = tool.findings("--stack", "another")

    assert "infra/template.yaml" in only(found, "stack")["fix"]


def without(sheet: str, action: str) -> list[dict[str, Any]]:
    """The policy of a good role, but for one action."""
    policy = reading_policy("cli", sheet)
    for statement in policy:
        statement["Action"] = [each for each in statement["Action"] if each != action]
    return [statement for statement in policy if statement["Action"]]


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("ssm:GetParameter", "parameter/rotaware/default/stamps"),
        ("secretsmanager:GetSecretValue", f"secret:{SECRET}-"),
    ],
)
def test_a_role_that_may_not_read(
    tool: Tool,
    deployment: Deployment,
    make_function: MakeFunction,
    action: str,
    resource: str,
) -> None:
    """The fix names the action and the resource."""
    made = make_function(policy=without(deployment.sheet, action))
    finding = only(tool.findings(made.name), f"role {made.name}")

    assert "error" == finding["state"]
    assert f"allow {action} on arn:aws:" in finding["fix"]
    assert resource in finding["fix"]


def test_a_role_that_may_do_more(tool: Tool, make_function: MakeFunction) -> None:
    """Every secret, and writing the sheet: that works, so it is a warning."""
    made = make_function(
        policy=[{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]
    )
    found = tool.findings(made.name)

    assert ["warning", "warning"] == [each["state"] for each in found]
    assert [
        "may read every secret of the account",
        "may write the sheet",
    ] == [each["text"] for each in found]


def test_no_layer(tool: Tool, make_function: MakeFunction) -> None:
    """The fix is the command that adds one."""
    made = make_function(layers=[])
    finding = only(tool.findings(made.name), "layer")

    assert f"--function-name {made.name} --layers" in finding["fix"]


def test_a_layer_for_the_other_processor(
    tool: Tool, stand_in: StandIn, make_function: MakeFunction
) -> None:
    """The function would not start."""
    made = make_function(layers=[publish(stand_in, "rotaware-arm64", ["arm64"])])
    finding = only(tool.findings(made.name), "layer rotaware-arm64:1")

    assert "error" == finding["state"]
    assert "is for arm64, the function runs on x86_64" == finding["text"]
    assert "make publish REGIONS=eu-west-1 ARCH=x86_64" in finding["fix"]


def test_a_layer_that_nobody_knows(
    tool: Tool, stand_in: StandIn, make_function: MakeFunction
) -> None:
    """It was deleted, or another account has it; the function keeps it."""
    arn = publish(stand_in, "rotaware-old", ["x86_64"])
    made = make_function(layers=[arn])
    stand_in.client("lambda").delete_layer_version(
        LayerName="rotaware-old", VersionNumber=1
    )
    finding = only(tool.findings(made.name), "layer rotaware-old:1")

    assert finding["fix"].startswith("publish the layer")


def test_an_old_layer(
    tool: Tool, stand_in: StandIn, make_function: MakeFunction
) -> None:
    """The newest is named."""
    old = publish(stand_in, "rotaware-two", ["x86_64"])
    new = publish(stand_in, "rotaware-two", ["x86_64"])
    made = make_function(layers=[old])

    assert f"use {new}" == only(tool.findings(made.name), "layer rotaware-two:1")["fix"]


def test_another_namespace(tool: Tool, make_function: MakeFunction) -> None:
    """The function looks at a sheet that this invalidator does not write."""
    made = make_function(ROTAWARE_NAMESPACE="team")
    finding = only(tool.findings(made.name), "namespace")

    assert finding["fix"].startswith("set ROTAWARE_NAMESPACE=default")


def test_a_wrong_setting(tool: Tool, make_function: MakeFunction) -> None:
    """With the words in which the extension would refuse it."""
    made = make_function(ROTAWARE_CHECK_INTERVAL="5s")
    finding = only(tool.findings(made.name), "settings")

    assert "ROTAWARE_CHECK_INTERVAL: '5s' is not a number" == finding["text"]
    assert finding["fix"].startswith("use seconds")


def test_a_secret_that_is_not_there(tool: Tool, make_function: MakeFunction) -> None:
    """Most often a typo, or another Region."""
    made = make_function(SECRET_OTHER="cli/datbase")
    finding = only(tool.findings(made.name), "variable SECRET_OTHER")

    assert "cli/datbase" in finding["text"]


def test_who_may_not_look_is_told_so(
    tool: Tool, stand_in: StandIn, make_function: MakeFunction
) -> None:
    """What may not be looked at is named; the rest is examined all the same."""
    made = make_function()
    role = stand_in.assume(
        [
            {
                "Effect": "Allow",
                "Action": ["lambda:*", "cloudformation:*", "ssm:*", "sqs:*"],
                "Resource": ["*"],
            }
        ]
    )
    result = tool.run("doctor", "--json", made.name, **role)
    found = {each["about"]: each for each in json.loads(result.stdout)}

    assert 0 == result.exit_code, result.output
    for about in ("queue", "invalidator", "stamps", "role"):
        assert "warning" == found[about]["state"], about
        assert "AccessDenied" in found[about]["text"]
    assert "ok" == found["sheet"]["state"]


def test_no_such_function(tool: Tool) -> None:
    """One line, and status 1."""
    result = tool.run("doctor", "nope")

    assert 1 == result.exit_code
    assert "" == result.stdout
    assert 1 == result.stderr.count("\n")
    assert "ResourceNotFoundException" in result.stderr
    with contextlib.suppress(ValueError):
        assert not json.loads(result.stderr)
