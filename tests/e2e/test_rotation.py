"""The main job: what a function reads after its secret has changed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.support.events import label_updated, parameter_changed, put_secret_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Environment
    from tests.support.deployment import Deployment
    from tests.support.stand_in import StandIn

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]


def test_next_invoke_reads_the_new_value(
    deployment: Deployment, start: Start, make_secrets: MakeSecrets
) -> None:
    """The invocation after the event reads the new value and fetches nothing else."""
    changed, same = make_secrets("canary-old", "canary-unchanged")
    environment = start(changed, same)

    assert environment.read(changed, same) == ["canary-old", "canary-unchanged"]

    deployment.rotate(changed, "canary-new")
    environment.forget_calls()

    assert environment.read(changed, same) == ["canary-new", "canary-unchanged"]
    assert environment.fetches() == [f"secretsmanager.GetSecretValue {changed}"]
    assert environment.checks() > 0


def test_rotation_while_frozen(
    deployment: Deployment, start: Start, make_secrets: MakeSecrets
) -> None:
    """A rotation that an environment sleeps through is noticed when it wakes up."""
    (name,) = make_secrets("canary-old")
    environment = start(name)

    assert environment.read(name) == ["canary-old"]

    environment.sandbox.freeze()
    deployment.rotate(name, "canary-new")
    environment.sandbox.thaw()

    assert environment.read(name) == ["canary-new"]


def test_connections_that_died_while_frozen(
    start: Start, make_secrets: MakeSecrets, deployment: Deployment
) -> None:
    """Connections that were cut during the freeze are replaced, and nobody notices."""
    (name,) = make_secrets("canary-old")
    environment = start(name)
    environment.read(name)
    environment.sandbox.freeze()
    deployment.rotate(name, "canary-new")
    environment.calls.cut_connections()
    environment.sandbox.thaw()

    assert environment.read(name) == ["canary-new"]


def test_a_read_waits_for_the_check(
    deployment: Deployment, start: Start, make_secrets: MakeSecrets
) -> None:
    """A read that comes while the invocation's check is under way waits for it."""
    (name,) = make_secrets("canary-old")
    environment = start(name)
    environment.read(name)
    deployment.rotate(name, "canary-new")
    answers: list[list[str]] = []
    with environment.calls.holding("ssm.GetParameter") as gate:
        reader = threading.Thread(target=lambda: answers.append(environment.read(name)))
        reader.start()
        gate.wait_for_arrival()

        assert answers == []

        gate.open()
        reader.join(10)

    assert answers == [["canary-new"]]


def test_pending_version_evicts_nothing(
    deployment: Deployment,
    stand_in: StandIn,
    start: Start,
    make_secrets: MakeSecrets,
) -> None:
    """PutSecretValue of AWSPENDING, natively or by CloudTrail, stamps nothing."""
    (name,) = make_secrets("canary-old")
    environment = start(name)
    environment.read(name)
    pending = stand_in.client("secretsmanager").put_secret_value(
        SecretId=name, SecretString="canary-new", VersionStages=["AWSPENDING"]
    )
    before = deployment.sheet_version()
    deployment.invoke(put_secret_value(["AWSPENDING"], pending["ARN"]))
    deployment.settle()
    environment.forget_calls()

    assert deployment.sheet_version() == before
    assert environment.read(name) == ["canary-old"]
    assert environment.fetches() == []
    assert environment.checks() > 0


def test_duplicate_event_writes_nothing(
    deployment: Deployment, stand_in: StandIn, make_secrets: MakeSecrets
) -> None:
    """The second delivery of an event finds the sheet as it should be."""
    (name,) = make_secrets("canary-old")
    deployment.rotate(name, "canary-new")
    arn = stand_in.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    before = deployment.sheet_version()
    deployment.recorder.clear()
    deployment.invoke(label_updated(arn, name))

    assert deployment.sheet_version() == before
    assert "ssm.PutParameter" not in deployment.recorder.counts
    assert deployment.recorder.counts["secretsmanager.DescribeSecret"] > 0


def test_late_event_does_not_turn_back(
    deployment: Deployment,
    stand_in: StandIn,
    start: Start,
    make_secrets: MakeSecrets,
) -> None:
    """An event that tells of some earlier version leaves the newest value in place."""
    (name,) = make_secrets("canary-first")
    environment = start(name)
    deployment.rotate(name, "canary-second")
    deployment.rotate(name, "canary-third")
    arn = stand_in.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    before = deployment.sheet_version()
    deployment.invoke(label_updated(arn, name))

    assert deployment.sheet_version() == before
    assert environment.read(name) == ["canary-third"]


def test_parameters_are_read_and_evicted_too(
    deployment: Deployment, stand_in: StandIn, start: Start
) -> None:
    """A changed parameter is read anew after its event, as a secret is."""
    parameters = stand_in.client("ssm")
    environment = start()
    name = f"/e2e/colour-of-{environment.sandbox.name}"
    parameters.put_parameter(Name=name, Value="red", Type="String")
    path = f"/systemsmanager/parameters/get?name={name}"
    (first,) = environment.ask(path)
    parameters.put_parameter(Name=name, Value="blue", Overwrite=True)
    arn = parameters.get_parameter(Name=name)["Parameter"]["ARN"]
    before = deployment.sheet_version()
    deployment.invoke(parameter_changed(name, arn=arn))
    (second,) = environment.ask(path)

    assert first["body"]["Parameter"]["Value"] == "red"
    assert deployment.sheet_version() == before + 1
    assert second["body"]["Parameter"]["Value"] == "blue"
