"""Which version of a secret is current: asked of AWS, never believed of anyone else.

DescribeSecret tells it without giving away the value, so who stamps needs no right to
read one.
"""

from __future__ import annotations

from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.secret import AWSCURRENT, AWSPENDING, SECRETS_MANAGER
from rotaware.sheet import subject_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rotaware.aws import Aws

GONE = ""
"""Stands for the version of what cannot be read, or is not settled."""


class Described(NamedTuple):
    """What AWS says of a secret.

    Attributes:
        subject: Under which the sheet knows it.
        version: The current version's id, or ``GONE``.
        changed_at: When it last changed in any way, in epoch seconds; 0 if never.
        pending: Whether a rotation is under way: AWSPENDING is on another version.
    """

    subject: str
    version: str
    changed_at: float
    pending: bool


def describe(aws: Aws, secret_id: str) -> Described:
    """Ask about one secret, by its name or ARN.

    Raises:
        AwsError: AWS refused, or there is no such secret.
    """
    answer = aws.call(SECRETS_MANAGER, "DescribeSecret", {"SecretId": secret_id})
    return Described(
        subject_of(answer["ARN"]),
        _current_version(answer),
        answer.get("LastChangedDate") or 0.0,
        _is_pending(answer),
    )


def _current_version(answer: Mapping[str, Any]) -> str:
    if answer.get("DeletedDate") is not None:
        return GONE
    for version, stages in (answer.get("VersionIdsToStages") or {}).items():
        if AWSCURRENT in stages:
            return str(version)
    return GONE


def _is_pending(answer: Mapping[str, Any]) -> bool:
    """A rotation that is over may leave both labels on its version."""
    return any(
        AWSPENDING in stages and AWSCURRENT not in stages
        for stages in (answer.get("VersionIdsToStages") or {}).values()
    )
