"""The main job with the sheet in a table: the stack and the layer, set as one another.

It has an AWS of its own, so that no other test's events end in its table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import found_canaries
from tests.support.deployment import Deployment, deploy
from tests.support.stand_in import StandIn, reading_policy, table_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Environment

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

pytestmark = pytest.mark.parametrize(
    "runtime", ["python-on-this-machine"], indirect=True
)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """AWS."""
    with StandIn() as running:
        yield running


@pytest.fixture(scope="module")
def deployed(stand_in: StandIn) -> Iterator[Deployment]:
    """The invalidator, from the template, with a table."""
    deployment = deploy(stand_in, stamps="dynamodb")
    yield deployment
    items = stand_in.client("dynamodb").scan(TableName=deployment.table)["Items"]

    assert found_canaries(deployment.log_lines()) == []
    assert found_canaries([str(items)]) == []


@pytest.fixture(scope="module")
def credentials(stand_in: StandIn, deployed: Deployment) -> dict[str, str]:
    """Of a role that may read the table in place of the parameter."""
    secrets = reading_policy("e2e", "/none")[:2]
    table = table_statement(str(deployed.table), deployed.sheet)
    return stand_in.assume([*secrets, table])


@pytest.fixture
def environ(deployed: Deployment) -> dict[str, dict[str, str]]:
    """What the functions are set to."""
    return {"environ": {"ROTAWARE_STAMPS": f"dynamodb://{deployed.table}"}}


def test_next_invoke_reads_the_new_value(
    deployment: Deployment,
    start: Start,
    make_secrets: MakeSecrets,
    environ: dict[str, Any],
) -> None:
    """From an empty table on, each rotation is read by the invocation after it."""
    changed, same = make_secrets("canary-old", "canary-unchanged")
    environment = start(changed, same, **environ)
    assert deployment.sheet_version() == 0
    assert environment.read(changed, same) == ["canary-old", "canary-unchanged"]

    for number in (1, 2):
        deployment.rotate(changed, f"canary-new-{number}")
        assert deployment.sheet_version() == number
        environment.forget_calls()

        values = environment.read(changed, same)

        assert values == [f"canary-new-{number}", "canary-unchanged"]

    calls = environment.calls.counts
    assert calls.keys() == {"dynamodb.GetItem", "secretsmanager.GetSecretValue"}
    assert calls["secretsmanager.GetSecretValue"] == 1
    assert not any("TTL alone" in line for line in environment.sandbox.lines)
    assert deployment.recorder.counts == {
        "secretsmanager.DescribeSecret": 4,
        "dynamodb.GetItem": 2,
        "dynamodb.PutItem": 2,
    }
