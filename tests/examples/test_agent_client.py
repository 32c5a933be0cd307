"""examples/agent_client: code written for the Secrets Manager Agent, unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.example import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.examples.conftest import Account, Running

SECRET = "billing/api-key"


def test_it_reads_what_changed(account: Account, start: Callable[..., Running]) -> None:
    """A rotated secret is read by the next invocation, with a date as the agent's."""
    account.put_secret(SECRET, "canary-old")
    function = start("agent_client")
    first = function.invoke()

    assert digest("canary-old") == first["digest"]
    assert first == function.invoke()
    assert function.fetches() == []

    account.rotate(SECRET, "canary-new")
    second = function.invoke()

    assert digest("canary-new") == second["digest"]
    assert second["created"] >= first["created"]
    assert function.fetches() == [f"secretsmanager.GetSecretValue {SECRET}"]


def test_refresh_now_asks_aws(account: Account, start: Callable[..., Running]) -> None:
    """``refreshNow`` is a call to AWS, though nothing has changed."""
    account.put_secret(SECRET, "canary-old")
    function = start("agent_client")
    function.invoke()
    function.invoke({"refresh": True})

    assert function.fetches() == [f"secretsmanager.GetSecretValue {SECRET}"]
