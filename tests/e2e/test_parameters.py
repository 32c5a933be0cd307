"""Parameters under a path: prefetched together, and evicted one by one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.events import parameter_changed
from tests.support.stand_in import path_statement, reading_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Environment
    from tests.support.deployment import Deployment
    from tests.support.runtimes import Runtime
    from tests.support.stand_in import StandIn

    Start = Callable[..., Environment]

ONE = "/systemsmanager/parameters/get?withDecryption=true&name="
ALL = "/systemsmanager/parameters/path?withDecryption=true&path="


@pytest.fixture
def allowed(deployment: Deployment, stand_in: StandIn) -> dict[str, str]:
    """Credentials of a role that may read by path, too."""
    policy = reading_policy("e2e", deployment.sheet)
    return stand_in.assume([*policy, path_statement()])


@pytest.fixture
def path(stand_in: StandIn, request: pytest.FixtureRequest) -> str:
    """A path with twelve parameters, more than a page holds."""
    path = f"/e2e/{request.node.name.translate(str.maketrans('[]', '--')).strip('-')}"
    for number in range(12):
        put(stand_in, f"{path}/level/p{number:02}", f"canary-old-{number}")
    return path


def put(stand_in: StandIn, name: str, value: str) -> str:
    """Make a parameter, or its next version; its ARN."""
    parameters = stand_in.client("ssm")
    parameters.put_parameter(
        Name=name, Value=value, Type="SecureString", Overwrite=True
    )
    return str(parameters.get_parameter(Name=name)["Parameter"]["ARN"])


def with_config(runtime: Runtime, folder: Path, text: str) -> Path:
    """The runtime's function, with a config file beside it."""
    function = folder / "function"
    shutil.copytree(runtime.function, function)
    (function / "config.yaml").write_text(text)
    return function


def values(answer: dict[str, Any]) -> dict[str, str]:
    """The values of one answer of the port, by name."""
    assert answer["status"] == 200, answer
    body = answer["body"]
    parameters = body.get("Parameters") or [body["Parameter"]]
    return {each["Name"]: each["Value"] for each in parameters}


def calls(environment: Environment) -> dict[str, int]:
    """Calls to Parameter Store but those that look at the sheet alone."""
    counts = dict(environment.calls.counts)
    counts["ssm.GetParameter"] = sum(
        call.name == "ssm.GetParameter"
        and not call.request["Name"].startswith("/rotaware/")
        for call in environment.calls.calls
    )
    return {name: count for name, count in counts.items() if count}


def test_a_parameter_that_was_prefetched_by_path_is_read_anew_after_its_event(  # noqa: PLR0913, PLR0917  the whole rig
    deployment: Deployment,
    stand_in: StandIn,
    start: Start,
    runtime: Runtime,
    allowed: dict[str, str],
    path: str,
    tmp_path: Path,
) -> None:
    """At the next invocation, by its name and under its path; the others are hits."""
    text = f"parameters:\n  - path: {path}/\n    decrypt: true\n"
    function = with_config(runtime, tmp_path, text)
    environment = start(function=function, environ=allowed)
    first, whole = environment.ask(f"{ONE}{path}/level/p03", f"{ALL}{path}")
    prefetched = calls(environment)
    arn = put(stand_in, f"{path}/level/p03", "canary-new")
    deployment.invoke(parameter_changed(f"{path}/level/p03", arn=arn))
    environment.forget_calls()
    second, changed = environment.ask(f"{ONE}{path}/level/p03", f"{ALL}{path}")

    old = {f"{path}/level/p{number:02}": f"canary-old-{number}" for number in range(12)}
    assert {"ssm.GetParametersByPath": 2} == prefetched
    assert {f"{path}/level/p03": "canary-old-3"} == values(first)
    assert old == values(whole)
    assert {f"{path}/level/p03": "canary-new"} == values(second)
    assert old | values(second) == values(changed)
    assert {"ssm.GetParameter": 1} == calls(environment)


@pytest.mark.parametrize("runtime", ["python-on-this-machine"], indirect=True)
def test_a_deleted_parameter_is_left_out_after_its_event(
    deployment: Deployment,
    stand_in: StandIn,
    start: Start,
    allowed: dict[str, str],
    path: str,
) -> None:
    """By its name it is refused then, and the answer says which and what to do."""
    environment = start(environ=allowed)
    name = f"{path}/level/p03"
    (before,) = environment.ask(f"{ALL}{path}")
    arn = put(stand_in, name, "canary-again")
    stand_in.client("ssm").delete_parameter(Name=name)
    deployment.invoke(parameter_changed(name, "Delete", arn))
    after, alone = environment.ask(f"{ALL}{path}", f"{ONE}{name}")

    assert {name} == set(values(before)) - set(values(after))
    assert (400, "ParameterNotFound") == (alone["status"], alone["body"]["__type"])
    assert name in alone["body"]["message"]
    assert "create it in this account and Region" in alone["body"]["message"]


@pytest.mark.parametrize("runtime", ["python-on-this-machine"], indirect=True)
def test_a_path_that_may_not_be_read_stops_no_function(
    start: Start, runtime: Runtime, tmp_path: Path
) -> None:
    """It starts; the log says which path, and what to allow."""
    text = "parameters:\n  - path: /other/app\n"
    environment = start(function=with_config(runtime, tmp_path, text))
    (answer,) = environment.ask(f"{ALL}/other/app")
    line = environment.sandbox.wait_for(lambda line: "/other/app" in line)

    assert 400 == answer["status"]
    assert answer["body"]["__type"].startswith("AccessDenied")
    assert "ssm:GetParametersByPath" in line
    assert "allow it to the function's role" in line
