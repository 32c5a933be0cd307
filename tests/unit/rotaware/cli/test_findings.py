"""Each fact that is not right is a finding with its fix."""

from __future__ import annotations

import pytest

from rotaware.cli import findings
from rotaware.cli.comparison import DIFFERS, SAME, Row
from rotaware.cli.findings import ERROR, OK, WARNING, Finding
from rotaware.cli.stack import Invalidator, Mapping, Queue, Rule, Stack
from rotaware.sheet import Edition, Sheet, Stamp

ARN = "arn:aws:sqs:eu-west-1:123456789012:events"
DEAD = f"{ARN}-dead"
NATIVE = {"detail-type": ["Secret Label Updated"]}
GOOD_RULE = Rule("LabelRule", "rule", "default", "ENABLED", NATIVE, (ARN,))
OTHER_RULE = GOOD_RULE._replace(
    logical_id="ParameterRule", pattern={"detail-type": ["Parameter Store Change"]}
)
GOOD_FUNCTION = Invalidator("f", "Active", None, 0, "logs", {})
GOOD_STACK = Stack("s", "UPDATE_COMPLETE", "f", (GOOD_RULE,))


@pytest.mark.parametrize(
    ("stack", "state", "words"),
    [
        (None, ERROR, "infra/template.yaml"),
        (GOOD_STACK._replace(function_name=""), ERROR, "--stack"),
        (GOOD_STACK._replace(status="UPDATE_ROLLBACK_FAILED"), WARNING, "events"),
        (GOOD_STACK._replace(status="CREATE_FAILED"), ERROR, "delete the stack"),
        (
            GOOD_STACK._replace(status="ROLLBACK_COMPLETE", function_name=""),
            ERROR,
            "delete the stack",
        ),
        (GOOD_STACK._replace(status="UPDATE_ROLLBACK_COMPLETE"), WARNING, "again"),
        (GOOD_STACK, OK, ""),
    ],
)
def test_stacks(stack: Stack | None, state: str, words: str) -> None:
    """Missing, half-made, rolled back, or good."""
    (finding,) = findings.of_stack("s", stack)

    assert state == finding.state
    assert words in finding.fix


@pytest.mark.parametrize(
    ("rule", "queue_arn", "state", "fix"),
    [
        (GOOD_RULE, ARN, OK, ""),
        (GOOD_RULE, None, OK, ""),
        (OTHER_RULE._replace(targets=("bus",)), ARN, OK, ""),
        (GOOD_RULE._replace(state=None), ARN, ERROR, "delete the stack"),
        (GOOD_RULE._replace(state="DISABLED"), ARN, ERROR, "aws events enable-rule"),
        (GOOD_RULE._replace(targets=("other",)), ARN, ERROR, f"Arn={ARN}"),
        (GOOD_RULE._replace(targets=()), None, ERROR, "Arn=<the queue>"),
        (OTHER_RULE._replace(targets=()), ARN, ERROR, "aws events put-targets"),
    ],
)
def test_rules(rule: Rule, queue_arn: str | None, state: str, fix: str) -> None:
    """Gone, disabled, aimed elsewhere, or good."""
    first, *_ = findings.of_rules([rule], queue_arn)

    assert state == first.state
    assert fix in first.fix


def test_a_rule_for_secrets_is_needed() -> None:
    """Rules for other events do not replace it."""
    _, last = findings.of_rules([OTHER_RULE], ARN)

    assert (ERROR, "rules") == (last.state, last.about)
    assert 1 == len(findings.of_rules([GOOD_RULE], ARN))


@pytest.mark.parametrize(
    ("mapping", "state", "fix"),
    [
        (None, ERROR, "deploy the stack again"),
        (Mapping("u", "Disabled", ARN), ERROR, "--uuid u --enabled"),
        (Mapping("u", "Enabled", ARN), OK, ""),
    ],
)
def test_mappings(mapping: Mapping | None, state: str, fix: str) -> None:
    """Missing, disabled, or good."""
    finding = findings.of_mapping(mapping)

    assert state == finding.state
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        (Queue(ARN, "events.amazonaws.com", DEAD, 0), [(OK, "dead letters")]),
        (Queue(ARN, "events.amazonaws.com", DEAD, 2), [(ERROR, "dead letters")]),
        (Queue(ARN, "events.amazonaws.com", None, 0), [(WARNING, "queue")]),
        (Queue(ARN, "", DEAD, 0), [(ERROR, "queue"), (OK, "dead letters")]),
    ],
)
def test_queues(queue: Queue, expected: list[tuple[str, str]]) -> None:
    """Closed to EventBridge, without dead letters, with some, or good."""
    found = findings.of_queue(queue)

    assert expected == [(each.state, each.about) for each in found]


@pytest.mark.parametrize(
    ("invalidator", "state", "fix"),
    [
        (GOOD_FUNCTION, OK, ""),
        (GOOD_FUNCTION._replace(state="Failed"), ERROR, "deploy the stack again"),
        (
            GOOD_FUNCTION._replace(reserved_concurrency=0),
            ERROR,
            "delete-function-concurrency --function-name f",
        ),
        (GOOD_FUNCTION._replace(errors=3), WARNING, "aws logs tail logs"),
    ],
)
def test_invalidators(invalidator: Invalidator, state: str, fix: str) -> None:
    """Broken, throttled, failing, or good."""
    finding = findings.of_invalidator(invalidator)

    assert state == finding.state
    assert fix in finding.fix


def test_a_setting_of_the_invalidator() -> None:
    """It comes from the stack, so the stack mends it."""
    assert ERROR == findings.of_problem("ROTAWARE_STAMPS: wrong").state


@pytest.mark.parametrize(
    ("said", "problem", "fix"),
    [
        ("it has format 2: update the layer", "it has format 2", "update the layer"),
        ("this is none: damaged; delete it", "this is none: damaged", "delete it"),
    ],
)
def test_unusable_sheets(said: str, problem: str, fix: str) -> None:
    """What the sheet's reader said, divided."""
    finding = findings.of_unusable_sheet("/s", said)

    assert Finding(ERROR, "sheet", f"/s: {problem}", fix) == finding


EDITION = Edition(5, Sheet(stamps={"subject": Stamp("v", 1)}))


@pytest.mark.parametrize(
    ("address", "edition", "max_bytes", "state", "fix"),
    [
        ("/s", None, 4096, ERROR, "aws ssm put-parameter --name /s"),
        ("dynamodb://t/default", None, 4096, ERROR, "create the table t"),
        ("/s", EDITION, 60, WARNING, "divide"),
        ("/s", EDITION, 4096, OK, ""),
    ],
)
def test_sheets(
    address: str, edition: Edition | None, max_bytes: int, state: str, fix: str
) -> None:
    """Missing, nearly full, or good."""
    finding = findings.of_sheet(address, edition, max_bytes)

    assert state == finding.state
    assert fix in finding.fix


def row(state: str, name: str, changed_at: float) -> Row:
    """A row of the comparison."""
    return Row(state, name, "secretsmanager", "v", 1, changed_at)


def test_stamps() -> None:
    """A change may be on its way for a while; then its stamp is missing."""
    rows = [
        row(DIFFERS, "late", 100.0),
        row(DIFFERS, "fresh", 181.0),
        row(SAME, "same", 100.0),
    ]
    late, fresh = findings.of_stamps(rows, 300.0)

    assert (ERROR, WARNING) == (late.state, fresh.state)
    assert late.fix.startswith("rotaware stamp late; ")
    assert "fresh" in fresh.text
    assert [OK] == [each.state for each in findings.of_stamps(rows[2:], 300.0)]


def test_stamps_of_parameters() -> None:
    """A hand cannot stamp them."""
    secret = row(DIFFERS, "app/db", 1.0)
    parameter = secret._replace(name="/app/flag", service="ssm")
    (both,) = findings.of_stamps([secret, parameter], 300.0)
    (one,) = findings.of_stamps([parameter], 300.0)

    assert both.fix.startswith("rotaware stamp app/db, and put the parameters anew; ")
    assert one.fix.startswith("put the parameters anew; ")
