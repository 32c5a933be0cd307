"""The same with Powertools' providers, whose errors are Powertools' as well."""

from __future__ import annotations

import hashlib
from typing import Any

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from rotaware.powertools import SecretsProvider, SSMProvider

settings = SSMProvider()
secrets = SecretsProvider()


def handler(_event: object, _context: object) -> dict[str, Any]:
    """As the other one; without an account, mail would go without login."""
    server = settings.get("/mail/server", transform="json")
    try:
        account = secrets.get("mail/account", transform="json")
    except GetParameterError:
        return {"host": server["host"], "user": None}
    digest = hashlib.sha256(account["password"].encode()).hexdigest()[:8]
    return {"host": server["host"], "user": account["username"], "password": digest}
