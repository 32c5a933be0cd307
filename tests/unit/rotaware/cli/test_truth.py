"""What is current, as AWS lists it."""

from __future__ import annotations

import pytest

from rotaware.cli.truth import Current, find_current, list_current
from rotaware.errors import AwsError
from rotaware.sheet import subject_of
from tests.support.answering import Answering

HERE = "eu-west-1:123456789012"
SECRET = f"arn:aws:secretsmanager:{HERE}:secret:app/db-AbCdEf"
GONE = f"arn:aws:secretsmanager:{HERE}:secret:app/gone-AbCdEf"
EMPTY = f"arn:aws:secretsmanager:{HERE}:secret:app/empty-AbCdEf"
PARAMETER = f"arn:aws:ssm:{HERE}:parameter/app/flag"
STAGES = {"old": ["AWSPREVIOUS"], "new": ["AWSCURRENT"]}
DESCRIBED = {
    "Name": "/app/flag",
    "ARN": PARAMETER,
    "Version": 3,
    "LastModifiedDate": 8.0,
}
SHEET = {
    "Name": "/rotaware/default/stamps",
    "ARN": f"arn:aws:ssm:{HERE}:parameter/rotaware/default/stamps",
    "Version": 9,
}


def test_all_pages_are_read() -> None:
    """Secrets, also those to be deleted, and parameters but for the sheets."""
    deleted = {"ARN": GONE, "Name": "app/gone", "DeletedDate": 9.0}
    aws = Answering(
        {
            "secretsmanager.ListSecrets": [
                {
                    "SecretList": [
                        {
                            "ARN": SECRET,
                            "Name": "app/db",
                            "SecretVersionsToStages": STAGES,
                            "LastChangedDate": 7.0,
                        }
                    ],
                    "NextToken": "more",
                },
                {"SecretList": [deleted, {"ARN": EMPTY, "Name": "app/empty"}]},
            ],
            "ssm.DescribeParameters": {"Parameters": [DESCRIBED, SHEET]},
        }
    )
    found = list_current(aws)

    assert {
        subject_of(SECRET): Current("secretsmanager", "app/db", SECRET, "new", 7.0),
        subject_of(GONE): Current("secretsmanager", "app/gone", GONE, "", 9.0),
        subject_of(EMPTY): Current("secretsmanager", "app/empty", EMPTY, "", 0.0),
        subject_of(PARAMETER): Current("ssm", "/app/flag", PARAMETER, "3", 8.0),
    } == found
    assert {
        "IncludePlannedDeletion": True,
        "MaxResults": 100,
        "NextToken": "more",
    } == aws.requests[1][1]


NOT_FOUND = AwsError("ResourceNotFoundException", "no such secret")


def test_named_ones() -> None:
    """A name is a secret's, or else a parameter's."""
    secret = {"ARN": SECRET, "VersionIdsToStages": STAGES, "LastChangedDate": 7.0}
    aws = Answering(
        {
            "secretsmanager.DescribeSecret": [secret, NOT_FOUND],
            "ssm.DescribeParameters": {"Parameters": [DESCRIBED]},
        }
    )
    found = find_current(aws, ["app/db", "/app/flag"])

    assert ["app/db", "/app/flag"] == [each.name for each in found.values()]
    assert ["new", "3"] == [each.version for each in found.values()]


@pytest.mark.parametrize(
    "refusal", [NOT_FOUND, AwsError("AccessDeniedException", "no")]
)
def test_a_name_of_nothing(refusal: AwsError) -> None:
    """What Secrets Manager said of it is raised."""
    aws = Answering(
        {
            "secretsmanager.DescribeSecret": refusal,
            "ssm.DescribeParameters": {"Parameters": []},
        }
    )
    with pytest.raises(AwsError) as raised:
        find_current(aws, ["nope"])

    assert raised.value is refusal
