"""What the built layer tells of itself: metrics, lines of an invocation, its state."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Environment
    from tests.support.deployment import Deployment

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

ONE_RUNTIME = pytest.mark.parametrize("runtime", ["python-in-debian-11"], indirect=True)
TRACE = "Root=1-5f35ae12-0c0fec141ab77a00bc047aa2;Parent=53995c3f42cd8ad8;Sampled=1"
TALKATIVE = {"ROTAWARE_METRICS": "on", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"}


def documents(environment: Environment) -> list[dict[str, Any]]:
    """The lines of JSON in the function's log."""
    found = []
    for line in environment.sandbox.lines:
        _, brace, rest = line.partition("{")
        with contextlib.suppress(ValueError):
            found.append(json.loads(brace + rest))
    return found


def metrics(environment: Environment) -> list[dict[str, Any]]:
    """Those that CloudWatch makes metrics of."""
    return [each for each in documents(environment) if "_aws" in each]


def test_a_rotation_shows_in_the_metrics(
    deployment: Deployment, start: Start, make_secrets: MakeSecrets
) -> None:
    """One line after the first invocation, one at the end; together they tell all."""
    (name,) = make_secrets("canary-first")
    environment = start(name, environ=TALKATIVE | {"POWERTOOLS_SERVICE_NAME": "shop"})
    environment.read(name)
    deployment.rotate(name, "canary-second")

    assert ["canary-second"] == environment.read(name)

    environment.sandbox.shut_down()
    first, last = metrics(environment)
    (about,) = last["_aws"]["CloudWatchMetrics"]

    assert ("shop", [["service"]]) == (last["service"], about["Dimensions"])
    assert "rotaware" == about["Namespace"]
    assert 1 == len(first["PrefetchTime"])
    assert [1] == last["EvictionsStamped"]
    assert 0 <= last["EvictionDelay"][0] < 60_000
    named = {metric["Name"] for line in (first, last) for metric in _metrics(line)}
    assert {"Checks", "CheckLatency", "Fetches", "FetchLatency", "Hits"} <= named
    assert not any(name in json.dumps(line) for line in (first, last))


def _metrics(line: dict[str, Any]) -> list[dict[str, str]]:
    (about,) = line["_aws"]["CloudWatchMetrics"]
    return list(about["Metrics"])


@ONE_RUNTIME
def test_lines_belong_to_their_invocation(
    start: Start, make_secrets: MakeSecrets
) -> None:
    """They have its id, and its trace where there is one."""
    (name,) = make_secrets("canary-value")
    environment = start(name, environ=TALKATIVE)
    environment.sandbox.invoke({"secrets": [name]}, trace=TRACE)
    environment.sandbox.shut_down()
    lines = [each for each in documents(environment) if "message" in each]
    log = "\n".join(environment.sandbox.lines)
    (invocation,) = set(re.findall(r"START RequestId: (\S+)", log))
    (end,) = (each for each in lines if each["message"] == "shut down")
    told = [each for each in lines if "function_request_id" in each]

    assert told
    assert {(invocation, "1-5f35ae12-0c0fec141ab77a00bc047aa2")} == {
        (each["function_request_id"], each["xray_trace_id"]) for each in told
    }
    assert end not in told
    assert "xray_trace_id" not in end


@ONE_RUNTIME
def test_the_state_is_told(start: Start, make_secrets: MakeSecrets) -> None:
    """What is held, since when, and what the sheet said."""
    (name,) = make_secrets("canary-value")
    environment = start(name)
    (answer,) = environment.ask("/stats")
    stats = answer["body"]

    assert 200 == answer["status"]
    assert stats["sheet"]["state"] in {"found", "absent"}
    assert ["SECRET_0"] == [entry["name"] for entry in stats["entries"]]
    assert 1 == stats["counters"]["Fetches"]
    assert "canary-" not in json.dumps(stats)
