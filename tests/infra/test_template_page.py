"""docs/deploy.md says what the templates do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.support.deployment import ROOT, TEMPLATE
from tests.support.template import rendered

PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
HEAD = "| parameter | default | meaning |"


def template(name: str) -> dict[str, Any]:
    """One of the templates."""
    found: dict[str, Any] = yaml_parse(TEMPLATE.with_name(f"{name}.yaml").read_text())
    return found


def table(name: str) -> str:
    """A template's parameters as the page has to show them."""
    rows = [HEAD, "|---|---|---|"]
    for parameter, declared in template(name)["Parameters"].items():
        default = f"`{declared['Default']}`" if "Default" in declared else ""
        meaning = declared["Description"].strip()
        rows.append(f"| `{parameter}` | {default} | {meaning} |")
    return "\n".join([*rows, ""])


@pytest.mark.parametrize("name", ["template", "forwarding"])
def test_every_parameter_is_explained(name: str) -> None:
    """The page has each parameter, its default and its meaning, as the template has."""
    assert f"\n{table(name)}\n" in PAGE


def test_every_alarm_and_metric_is_explained() -> None:
    """The page's tables name the template's alarms, and what the code counts."""
    alarms = [
        name
        for name, each in template("template")["Resources"].items()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    ]
    dashboard = rendered(template("template"))["Resources"]["Dashboard"]
    body = json.dumps(dashboard["Properties"]["DashboardBody"])
    metrics = re.findall(
        r"^\| `(\w+)` \| (?:count|milliseconds|percent)", PAGE, re.MULTILINE
    )

    assert alarms == re.findall(r"^\| `(\w+Alarm)` \|", PAGE, re.MULTILINE)
    assert 5 == len(metrics)
    assert all(metric in body for metric in metrics)


def test_outputs_that_are_named_exist() -> None:
    """Who follows the page finds each output that it speaks of."""
    outputs = template("template")["Outputs"].keys()
    named = {"ReadingPolicyArn", "ReadingStatement", "DashboardUrl", "EventBusArn"}

    assert named <= outputs
    assert all(f"`{name}`" in PAGE for name in named)


def test_policies_on_the_page_are_json() -> None:
    """Whoever copies one has a policy, or a list of statements for one."""
    blocks = [part.partition("```")[0] for part in PAGE.split("```json\n")[1:]]
    documents = [json.loads(block) for block in blocks]
    statements = [
        statement
        for each in documents
        for statement in (each if isinstance(each, list) else [each])
    ]

    assert 3 == len(statements)
    assert all(statement["Effect"] == "Allow" for statement in statements)
