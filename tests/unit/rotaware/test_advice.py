"""What AWS refuses: its own words first, then the name and what to do."""

from __future__ import annotations

import pytest

from rotaware.advice import advised
from rotaware.errors import AwsError
from rotaware.secret import Query

PARAMETER = Query.parameter("/app/key", decrypt=True)
SECRET = Query.secret("app/db")
PATH = Query.path("/app")
ABSENT = "create it in this account and Region, or correct the name"
KEY = "allow kms:Decrypt on its KMS key to the function's role, and enable the key"
DENIED = (
    "User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to perform:"
    " ssm:GetParameter on resource: arn:aws:ssm:eu-west-1:1234:parameter/app/key"
    " because no identity-based policy allows the ssm:GetParameter action"
)
KMS_DENIED = (
    "The ciphertext refers to a customer master key that does not exist, does not exist"
    " in this region, or you are not allowed to access. (Service: AWSKMS; Status Code:"
    " 400; Error Code: AccessDeniedException)"
)
NO_PATH = (
    "The parameter doesn't meet the parameter name requirements. The parameter name"
    ' must begin with a forward slash "/".'
)
LEVELS = "use at most 15 levels of letters, digits and _.-, with a slash before the"


@pytest.mark.parametrize(
    ("query", "code", "said", "advice"),
    [
        (
            PARAMETER,
            "ParameterNotFound",
            "HTTP status 400 without a message",
            f"AWS gives no reason (/app/key: {ABSENT})",
        ),
        (
            Query.parameter("/app/key", "9"),
            "ParameterVersionNotFound",
            "Systems Manager could not find version 9 of /app/key.",
            "/app/key. (ask for a version or a label that it has)",
        ),
        (
            SECRET,
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.",
            f"secret. (app/db: {ABSENT}, version or stage)",
        ),
        (
            SECRET,
            "InvalidRequestException",
            "The secret was marked for deletion.",
            "deletion. (app/db: restore it if it is being deleted; else put a value)",
        ),
        (
            PARAMETER,
            "AccessDeniedException",
            DENIED,
            "(allow it to the function's role)",
        ),
        (
            PATH,
            "AccessDeniedException",
            "User is not authorized to perform: ssm:GetParametersByPath",
            "(/app: allow it to the function's role)",
        ),
        (PARAMETER, "AccessDeniedException", KMS_DENIED, f"(/app/key: {KEY})"),
        (
            SECRET,
            "AccessDeniedException",
            "Access to KMS is not allowed",
            f"allowed (app/db: {KEY})",
        ),
        (
            SECRET,
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text",
            f"(app/db: {KEY})",
        ),
        (PARAMETER, "InvalidKeyId", "key/1 is disabled.", f"(/app/key: {KEY})"),
        (
            Query.parameter("a b"),
            "ValidationException",
            "Parameter name: can't be prefixed with",
            f"with (a b: {LEVELS} first)",
        ),
        (
            Query.path("app"),
            "ValidationException",
            NO_PATH,
            f'slash "/". (app: {LEVELS} first)',
        ),
        (
            Query.secret("\u00e9"),
            "ValidationException",
            "Invalid name. Must be a valid name",
            "(\u00e9: use at most 512 letters, digits and /_+=.@-, or the ARN)",
        ),
        (
            SECRET,
            "InvalidParameterException",
            "The parameter name is invalid",
            "(app/db: use at most 512 letters, digits and /_+=.@-, or the ARN)",
        ),
        (
            PATH,
            "TooManyParameters",
            "more than 1000",
            "(/app: ask for longer paths, or",
        ),
        (SECRET, "SomethingElse", "Strange", "Strange (app/db)"),
        (SECRET, "SomethingElse", "Strange app/db", "Strange app/db"),
    ],
)
def test_a_refusal_says_which_name_and_what_to_do(
    query: Query, code: str, said: str, advice: str
) -> None:
    """The name once, and AWS's own words in front; code and status as they are."""
    refusal = advised(AwsError(code, said, 400), query)

    assert (code, 400) == (refusal.code, refusal.status)
    assert advice in refusal.message
    assert 1 == refusal.message.count(query.id)
    silent = said.startswith("HTTP status")
    assert refusal.message.startswith("AWS gives no reason" if silent else said)
