"""Lets through the requests whose link is signed, at CloudFront's edge.

A link is ``/path?signature=...``: the hexadecimal HMAC-SHA256 of its path, by a key
that Secrets Manager rotates. What is to be set stands in ``settings.json``, beside this
file: at the edge there are no environment variables.
"""

from __future__ import annotations

import hmac
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import rotaware

SETTINGS = json.loads(Path(__file__).with_name("settings.json").read_text())
(KEY_NAME,) = SETTINGS["secrets"]

# Here, so that the key is fetched while the environment starts, before any request.
client = rotaware.in_process(**SETTINGS)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a viewer request: with the request itself, or with a refusal."""
    request: dict[str, Any] = event["Records"][0]["cf"]["request"]
    try:
        key: str = client.get_secret(KEY_NAME)
    except rotaware.AwsError as error:
        logging.getLogger().error("no key to check links with: %s", error)
        return refusal("503", "Service Unavailable")
    wanted = hmac.new(key.encode(), request["uri"].encode(), "sha256").hexdigest()
    given = parse_qs(request["querystring"]).get("signature", [""])[0]
    if hmac.compare_digest(wanted.encode(), given.encode()):
        return request
    return refusal("403", "Forbidden")


def refusal(status: str, description: str) -> dict[str, Any]:
    """What CloudFront answers in the origin's place."""
    return {"status": status, "statusDescription": description, "body": description}
