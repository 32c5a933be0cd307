"""A secret's value is nowhere but in the memory of those who asked for it.

The fixtures search all that the other tests leave behind; here it is provoked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.e2e.conftest import found_canaries
from tests.support.recorder import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Environment
    from tests.support.deployment import Deployment

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

OLD = "canary-Jx7-first-value"
NEW = "canary-Kq4-second-value"


def test_the_most_talkative_log_tells_no_value(
    deployment: Deployment, start: Start, make_secrets: MakeSecrets
) -> None:
    """Errors, evictions and what explains them, metrics, statistics: no value."""
    (name,) = make_secrets(OLD)
    environment = start(
        name, environ={"AWS_LAMBDA_LOG_LEVEL": "DEBUG", "ROTAWARE_METRICS": "on"}
    )

    assert environment.read(name) == [OLD]

    deployment.rotate(name, NEW)

    assert environment.read(name) == [NEW]

    refusal = Refusal(500, "InternalServiceError")
    with environment.calls.refusing("secretsmanager.GetSecretValue", refusal):
        environment.ask(f"/secretsmanager/get?secretId={name}&refreshNow=true")
    environment.ask(f"/secretsmanager/get?secretId={name}&surplus={NEW}")
    (stats,) = environment.ask("/stats")
    environment.sandbox.shut_down()
    lines = environment.sandbox.lines
    leaks = found_canaries([*lines, *deployment.log_lines(), json.dumps(stats)])

    assert stats["body"]["entries"]
    for told in ('"evicted"', '"found in memory"', '"EvictionsStamped"'):
        assert any(told in line for line in lines)
    assert leaks == []
