"""The same licence key, kept in three ways and read side by side.

It answers with digests, never with what it read.
"""

from __future__ import annotations

import hashlib

import rotaware


def handler(_event: object, _context: object) -> dict[str, str]:
    """Read all three, at each invocation: what changed meanwhile is read anew."""
    licences = {
        "secret": rotaware.get_secret("ways/licence"),
        "parameter": rotaware.get_parameter("/ways/licence", decrypt=True),
        "variable": rotaware.get_variable("LICENCE"),
    }
    return {
        way: hashlib.sha256(licence.encode()).hexdigest()[:8]
        for way, licence in licences.items()
    }
