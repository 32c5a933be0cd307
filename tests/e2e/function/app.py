"""The function under test: it reads what the event names and answers with it."""

from __future__ import annotations

import http.client
import json
import os
from typing import Any

import rotaware

EARLY = os.environ.get("READ_AT_INIT")
AT_INIT = rotaware.get_secret(EARLY) if EARLY else None


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Read secrets through the library, or any path of the local port as it is."""
    values = [rotaware.get_secret(name) for name in event.get("secrets", [])]
    answers = [ask(path) for path in event.get("paths", [])]
    return {"values": values, "answers": answers, "at_init": AT_INIT}


def ask(path: str) -> dict[str, Any]:
    """One GET of the extension's port, as any language's HTTP client would send it."""
    port = int(os.environ["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"])
    token = os.environ["AWS_SESSION_TOKEN"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"X-Aws-Parameters-Secrets-Token": token})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return {
        "status": response.status,
        "cache_status": response.getheader("Cache-Status"),
        "body": json.loads(text) if text.startswith("{") else text,
    }
