"""examples/go_secrets: a Node.js client of GET /secrets?name= on port 4000."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.example import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.examples.conftest import Account, Running

PORT = "4000"
LISTED = "payments/api-key"


def test_it_reads_what_changed(account: Account, start: Callable[..., Running]) -> None:
    """A rotated secret of a SECRET_ variable is read by the next invocation."""
    account.put_secret(LISTED, "canary-old")
    function = start("go_secrets", PORT)

    assert {"digest": digest("canary-old")} == function.invoke()
    assert {"digest": digest("canary-old")} == function.invoke()
    assert function.fetches() == []
    assert "payments/other: 403" in function.failure({"secret": "payments/other"})

    account.rotate(LISTED, "canary-new")

    assert {"digest": digest("canary-new")} == function.invoke()
    assert function.fetches() == [f"secretsmanager.GetSecretValue {LISTED}"]
