"""examples/node_cache: a Node.js client of GET /cache/<name> on port 8080."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.example import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.examples.conftest import Account, Running

PORT = "8080"
LISTED, MISSING = "partner_key", "partner/signing-key"


def test_it_reads_what_changed(account: Account, start: Callable[..., Running]) -> None:
    """A rotated secret of config.yaml is read by the next invocation."""
    account.put_secret(LISTED, "canary-old")
    function = start("node_cache", PORT)

    assert {"digest": digest("canary-old")} == function.invoke()
    assert {"digest": digest("canary-old")} == function.invoke()
    assert function.fetches() == []

    account.rotate(LISTED, "canary-new")

    assert {"digest": digest("canary-new")} == function.invoke()
    assert function.fetches() == [f"secretsmanager.GetSecretValue {LISTED}"]


def test_what_cannot_be_read_is_refused(
    account: Account, start: Callable[..., Running]
) -> None:
    """A listed secret that does not exist is a 404, and one not listed a 403."""
    account.put_secret(LISTED, "canary-old")
    function = start("node_cache", PORT)

    assert f"{MISSING}: 404" in function.failure({"secret": MISSING})
    assert "ResourceNotFoundException" in function.failure({"secret": MISSING})
    assert "partner/other: 403" in function.failure({"secret": "partner/other"})
