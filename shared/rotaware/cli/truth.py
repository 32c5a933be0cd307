"""What is current now, as Secrets Manager and Parameter Store list it: no values.

A stamp sheet names its subjects by digests. So what a digest stands for is found by
making that of each secret and parameter which AWS lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rotaware.describe import GONE, describe
from rotaware.errors import AwsError
from rotaware.secret import AWSCURRENT, PARAMETER_STORE, SECRETS_MANAGER
from rotaware.sheet import subject_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rotaware.aws import Aws

SECRETS_PER_PAGE = 100
PARAMETERS_PER_PAGE = 50
_SHEETS = "/rotaware/"


class Current(NamedTuple):
    """A secret or parameter, and its current version.

    Attributes:
        service: ``secretsmanager`` or ``ssm``.
        name: Its name.
        arn: Its ARN; empty where nobody asked for it.
        version: The current version's id or number, or ``GONE``.
        changed_at: When it last changed in any way, in epoch seconds; 0 if unknown.
    """

    service: str
    name: str
    arn: str
    version: str
    changed_at: float


def list_current(aws: Aws) -> dict[str, Current]:
    """Everything in this account and Region, by subject.

    Raises:
        AwsError: AWS refused or could not be reached.
    """
    secrets: dict[str, Any] = {
        "IncludePlannedDeletion": True,
        "MaxResults": SECRETS_PER_PAGE,
    }
    found = {
        subject_of(each["ARN"]): _secret(each)
        for page in _pages(aws, SECRETS_MANAGER, "ListSecrets", secrets)
        for each in page["SecretList"]
    }
    return found | _parameters(aws, {"MaxResults": PARAMETERS_PER_PAGE})


def find_current(aws: Aws, names: Iterable[str]) -> dict[str, Current]:
    """The named ones only, each a secret or else a parameter.

    Raises:
        AwsError: There is none of a name, or AWS refused.
    """
    found: dict[str, Current] = {}
    for name in names:
        found |= _named(aws, name)
    return found


def _named(aws: Aws, name: str) -> dict[str, Current]:
    try:
        secret = describe(aws, name)
    except AwsError as refusal:
        if refusal.code == "ResourceNotFoundException":
            only = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
            parameter = _parameters(aws, {"ParameterFilters": only})
            if parameter:
                return parameter
        raise
    current = Current(SECRETS_MANAGER, name, "", secret.version, secret.changed_at)
    return {secret.subject: current}


def _parameters(aws: Aws, request: Mapping[str, Any]) -> dict[str, Current]:
    """Without the sheets, which are never stamped."""
    return {
        subject_of(each["ARN"]): Current(
            PARAMETER_STORE,
            each["Name"],
            each["ARN"],
            str(each["Version"]),
            each.get("LastModifiedDate") or 0.0,
        )
        for page in _pages(aws, PARAMETER_STORE, "DescribeParameters", request)
        for each in page["Parameters"]
        if not each["Name"].startswith(_SHEETS)
    }


def _pages(
    aws: Aws, service: str, operation: str, request: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    page = aws.call(service, operation, request)
    yield page
    while page.get("NextToken"):
        more = {**request, "NextToken": page["NextToken"]}
        page = aws.call(service, operation, more)
        yield page


def _secret(said: Mapping[str, Any]) -> Current:
    version = GONE
    if said.get("DeletedDate") is None:
        stages = said.get("SecretVersionsToStages") or {}
        current = (name for name, has in stages.items() if AWSCURRENT in has)
        version = next(current, GONE)
    changed_at = said.get("DeletedDate") or said.get("LastChangedDate") or 0.0
    return Current(SECRETS_MANAGER, said["Name"], said["ARN"], version, changed_at)
