"""A secret's value is nowhere but in the memory of those who asked for it.

The fixtures search all that the other tests leave behind; here it is provoked.
"""

from __future__ import annotations

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
    """Errors, refreshes and evictions, told at level DEBUG, tell no value."""
    (name,) = make_secrets(OLD)
    environment = start(name, environ={"AWS_LAMBDA_LOG_LEVEL": "DEBUG"})

    assert environment.read(name) == [OLD]

    deployment.rotate(name, NEW)

    assert environment.read(name) == [NEW]

    refusal = Refusal(500, "InternalServiceError")
    with environment.calls.refusing("secretsmanager.GetSecretValue", refusal):
        environment.ask(f"/secretsmanager/get?secretId={name}&refreshNow=true")
    environment.ask(f"/secretsmanager/get?secretId={name}&surplus={NEW}")
    environment.sandbox.shut_down()
    leaks = found_canaries(environment.sandbox.lines + deployment.log_lines())

    assert any('"evicted"' in line for line in environment.sandbox.lines)
    assert leaks == []
