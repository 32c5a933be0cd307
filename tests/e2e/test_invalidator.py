"""The deployed invalidator, as the events reach it: many at once, foreign, broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Environment
    from tests.support.deployment import Deployment
    from tests.support.stand_in import StandIn

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]


@pytest.mark.parametrize("runtime", ["python-on-this-machine"], indirect=True)
def test_many_rotations_at_once(
    deployment: Deployment,
    stand_in: StandIn,
    start: Start,
    make_secrets: MakeSecrets,
) -> None:
    """Invalidators that run side by side lose no stamp."""
    names = make_secrets(*["canary-old"] * 24)
    environment = start(*names)
    environment.read(*names)
    for name in names:
        stand_in.client("secretsmanager").put_secret_value(
            SecretId=name, SecretString=f"canary-new-{name}"
        )
    deployment.settle()

    assert environment.read(*names) == [f"canary-new-{name}" for name in names]


def test_other_labels_are_nobody_s_business(
    deployment: Deployment, stand_in: StandIn, make_secrets: MakeSecrets
) -> None:
    """The rule lets no event through that tells of another label than AWSCURRENT."""
    (name,) = make_secrets("canary-value")
    manager = stand_in.client("secretsmanager")
    version = manager.get_secret_value(SecretId=name)["VersionId"]
    manager.update_secret_version_stage(
        SecretId=name, VersionStage="CANDIDATE", MoveToVersionId=version
    )
    deployment.settle()

    assert deployment.recorder.counts == {}


@pytest.mark.parametrize("body", ["", "no JSON", "[]", '{"detail-type": "Unheard of"}'])
def test_what_is_no_event_is_dropped(
    deployment: Deployment, stand_in: StandIn, body: str
) -> None:
    """A message that can never be understood leaves the queue, and touches no sheet."""
    before = deployment.sheet_version()
    stand_in.client("sqs").send_message(
        QueueUrl=deployment.queue_url, MessageBody=body or " "
    )
    deployment.settle()

    assert deployment.sheet_version() == before
    assert "ssm.PutParameter" not in deployment.recorder.counts
