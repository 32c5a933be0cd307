"""infra/forwarding.yaml: which events it sends on, where to, and by which right.

That EventBridge delivers to another account's or Region's bus is assumed of AWS: the
stand-in has one of each.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ministack.services.eventbridge import _test_event_pattern
from samtranslator.yaml_helper import yaml_parse

from invalidator.decide import Touched, decide
from tests.support.deployment import TEMPLATE
from tests.support.events import (
    Event,
    label_updated,
    parameter_changed,
    put_secret_value,
)
from tests.support.stand_in import ACCOUNT, REGION
from tests.support.template import rendered

BUS = "arn:aws:events:us-east-1:111111111111:event-bus/default"
SHEET = "/rotaware/default/stamps"
FORWARDING = yaml_parse(TEMPLATE.with_name("forwarding.yaml").read_text())


def resources(prefixes: str = "*") -> dict[str, Any]:
    """What the stack is made of."""
    found: dict[str, Any] = rendered(
        FORWARDING, EventBusArn=BUS, SecretPrefixes=prefixes
    )["Resources"]
    return found


def from_here(event: Event) -> Event:
    """An event of the account and Region where the stack is."""
    return event | {"account": ACCOUNT, "region": REGION}


EVENTS: dict[str, tuple[Event, str, bool]] = {
    "a rotation": (from_here(label_updated()), "*", True),
    "a secret so called": (from_here(label_updated()), "web/,prod/", True),
    "another secret": (from_here(label_updated()), "web/,app/", False),
    "another label": (from_here(label_updated(label="BLUE")), "*", False),
    "a parameter": (from_here(parameter_changed()), "*", False),
    "a call": (from_here(put_secret_value()), "*", False),
    "forwarded by another account": (
        from_here(label_updated()) | {"account": "111111111111"},
        "*",
        False,
    ),
    "forwarded by another Region": (
        from_here(label_updated()) | {"region": "us-east-1"},
        "*",
        False,
    ),
}


@pytest.mark.parametrize(("event", "prefixes", "is_sent"), EVENTS.values(), ids=EVENTS)
def test_what_is_sent_on(event: Event, prefixes: str, *, is_sent: bool) -> None:
    """Rotations of this place; what came from elsewhere goes no further."""
    pattern = resources(prefixes)["Rule"]["Properties"]["EventPattern"]
    answer = _test_event_pattern({"EventPattern": pattern, "Event": json.dumps(event)})

    assert is_sent == json.loads(answer[2])["Result"]
    assert isinstance(decide(event, sheet=SHEET), Touched) or not is_sent


def test_it_is_sent_to_the_bus_and_may_be() -> None:
    """One target, by a role that may do just this and that EventBridge alone takes."""
    rule, role = (resources()[name]["Properties"] for name in ("Rule", "Role"))
    (target,) = rule["Targets"]
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]

    assert (BUS, {"Fn::GetAtt": ["Role", "Arn"]}) == (target["Arn"], target["RoleArn"])
    assert ("events:PutEvents", BUS) == (statement["Action"], statement["Resource"])
    assert {"Service": "events.amazonaws.com"} == trust["Principal"]


def test_both_stacks_name_secrets_alike() -> None:
    """A list of prefixes that one takes is one for the other."""
    invalidator = yaml_parse(TEMPLATE.read_text())["Parameters"]["SecretPrefixes"]
    ours = FORWARDING["Parameters"]["SecretPrefixes"]

    for part in ("Type", "Default", "AllowedPattern", "ConstraintDescription"):
        assert invalidator[part] == ours[part]


def test_it_takes_what_the_other_stack_puts_out() -> None:
    """The output EventBusArn of the invalidator's stack is a right value."""
    outputs = rendered(yaml_parse(TEMPLATE.read_text()))["Outputs"]
    pattern = FORWARDING["Parameters"]["EventBusArn"]["AllowedPattern"]

    assert re.fullmatch(pattern, outputs["EventBusArn"]["Value"])
    assert not re.fullmatch(pattern, f"arn:aws:events:{REGION}:{ACCOUNT}:rule/x")
