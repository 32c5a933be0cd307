"""A Lambda function that reads its secrets through the layer.

It answers with digests and times, never with what it read.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import rotaware


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Read one secret as often as asked; say what its value's digest is."""
    microseconds = []
    value = ""
    for _ in range(event.get("reads", 1)):
        started_at = time.perf_counter()
        value = rotaware.get_secret(event["secret"])
        microseconds.append((time.perf_counter() - started_at) * 1e6)
    return {
        "digest": hashlib.sha256(value.encode()).hexdigest()[:8],
        "microseconds": sorted(microseconds)[len(microseconds) // 2],
    }
