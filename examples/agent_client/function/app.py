"""A client of the Secrets Manager Agent: the path form, dates as seconds in a text.

It answers with a digest, never with the value.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.request
from typing import Any

SECRET_ID = os.environ["SECRET_ID"]
TOKEN = os.environ["AWS_SESSION_TOKEN"]


def secret(secret_id: str, query: str = "") -> Any:
    """What the agent answers with."""
    url = f"http://localhost:2773/v1/{secret_id}{query}"
    headers = {"X-Aws-Parameters-Secrets-Token": TOKEN}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return json.load(response)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Say what the value's digest is, and when its version was made."""
    answer = secret(SECRET_ID, "?refreshNow=true" if event.get("refresh") else "")
    digest = hashlib.sha256(answer["SecretString"].encode()).hexdigest()[:8]
    return {"digest": digest, "created": float(answer["CreatedDate"])}
