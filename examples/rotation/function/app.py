"""The rotation function: Lambda's entry point.

The variable STRATEGY says how it rotates: ``single-user`` or ``alternating-users``.
"""

from __future__ import annotations

import os
from typing import Any

import boto3

from .alternating_users import AlternatingUsers
from .secrets_manager import Strategy, rotate
from .single_user import SingleUser

STRATEGIES: dict[str, type[Strategy]] = {
    "single-user": SingleUser,
    "alternating-users": AlternatingUsers,
}
STRATEGY = STRATEGIES[os.environ.get("STRATEGY", "single-user")]()
MANAGER = boto3.client("secretsmanager")


def handler(event: dict[str, Any], _context: object) -> None:
    """Do one step; Secrets Manager calls four times."""
    rotate(event, MANAGER, STRATEGY)
