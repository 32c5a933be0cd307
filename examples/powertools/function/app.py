"""Reads settings and a login by the parameters utility's functions.

It answers with a digest, never with the password.
"""

from __future__ import annotations

import hashlib
from typing import Any

import rotaware as parameters


def handler(_event: object, _context: object) -> dict[str, Any]:
    """Say where mail would go, and with which password's digest."""
    server = parameters.get_parameter("/mail/server", transform="json")
    account = parameters.get_secret("mail/account", transform="json")
    digest = hashlib.sha256(account["password"].encode()).hexdigest()[:8]
    return {"host": server["host"], "user": account["username"], "password": digest}
