"""A function that reads a secret which rotates."""

from __future__ import annotations

from rotaware import get_secret


def handler(event: object, context: object) -> dict[str, str]:  # noqa: ARG001  Lambda's
    """Log in with what is current, whenever that was rotated."""
    login = get_secret("app/db", transform="json")
    return {"user": login["username"]}
