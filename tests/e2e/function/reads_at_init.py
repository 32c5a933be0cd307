"""A function that reads a secret when its module is imported, during INIT."""

from __future__ import annotations

import os

import rotaware

VALUE = rotaware.get_secret(os.environ["READ_AT_INIT"])


def handler(_event: object, _context: object) -> str:
    """Answer with what INIT has read."""
    return VALUE
