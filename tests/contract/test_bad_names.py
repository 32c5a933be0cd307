"""Names that are wrong: the answer says which one, and what to do."""

from __future__ import annotations

import pytest

from extension.http1 import Request
from extension.routes import Ask, route
from rotaware.errors import AwsError, RequestError, RotawareError
from rotaware.secret import Fetched
from rotaware.source import AwsSource
from tests.support.fake_aws import FakeAws

TOKEN = "canary-token"
HEADERS = {"host": "localhost", "x-aws-parameters-secrets-token": TOKEN}
SECRET = "/secretsmanager/get?secretId="
BY_PATH = "/v1/"
PARAMETER = "/systemsmanager/parameters/get?name="
PATH = "/systemsmanager/parameters/path?path="

# What AWS answers, as clients of it have reported; ParameterNotFound has no message.
NO_SECRET = AwsError(
    "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
)
BAD_SECRET = AwsError(
    "ValidationException",
    "Invalid name. Must be a valid name containing alphanumeric characters, or any of"
    " the following: -/_+=.@!",
)
LONG_SECRET = AwsError(
    "ValidationException",
    "1 validation error detected: Value at 'secretId' failed to satisfy constraint:"
    " Member must have length less than or equal to 2048",
)
NO_PARAMETER = AwsError("ParameterNotFound", "HTTP status 400 without a message")
NO_VERSION = AwsError(
    "ParameterVersionNotFound",
    "Systems Manager could not find version 9 of /app/key. Verify the version and try"
    " again.",
)
BAD_PARAMETER = AwsError(
    "ValidationException",
    'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a'
    " path, it can consist of sub-paths divided by slash symbol; each sub-path can be"
    " formed as a mix of letters, numbers and the following 3 symbols .-_",
)
BAD_PATH = AwsError(
    "ValidationException",
    "The parameter doesn't meet the parameter name requirements. The parameter name"
    ' must begin with a forward slash "/".',
)
NO_KEY = AwsError(
    "AccessDeniedException",
    "The ciphertext refers to a customer master key that does not exist, does not exist"
    " in this region, or you are not allowed to access. (Service: AWSKMS; Status Code:"
    " 400; Error Code: AccessDeniedException; Request ID: 5f642215)",
)
KEY_DISABLED = AwsError(
    "InvalidKeyId",
    "arn:aws:kms:eu-west-1:123456789012:key/1 is disabled. (Service: AWSKMS; Status"
    " Code: 400; Error Code: DisabledException; Request ID: 5f642215)",
)
KEY = "allow kms:Decrypt on its KMS key to the function's role, and enable the key"
LEVELS = "use at most 15 levels of letters, digits and _.-, with a slash before the"
SECRET_NAMES = "use at most 512 letters, digits and /_+=.@-, or the ARN"
ABSENT = "create it in this account and Region, or correct the name"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db"


def outcome(target: str, aws: AwsError) -> tuple[str, RotawareError]:
    """What AWS was asked for, and why the read is refused."""
    path, _, query = target.partition("?")
    request = Request("GET", path, query, HEADERS, keep_alive=True)
    ask = route(request, lambda: (TOKEN,))
    assert isinstance(ask, Ask)
    client = FakeAws(aws)
    with pytest.raises(AwsError) as refused:
        AwsSource(client, {}).fetch(ask.query)
    sent = client.calls[0].request
    asked = sent.get("SecretId") or sent.get("Name") or sent.get("Path")
    return str(asked), refused.value


@pytest.mark.parametrize(
    ("target", "name", "aws", "advice"),
    [
        (f"{SECRET}app/db", "app/db", NO_SECRET, ABSENT),
        (f"{SECRET}app%2Fdb", "app/db", NO_SECRET, ABSENT),
        (f"{BY_PATH}app/db", "app/db", NO_SECRET, ABSENT),
        (f"{BY_PATH}app%2Fdb", "app/db", NO_SECRET, ABSENT),
        (f"{SECRET}{ARN}", ARN, NO_SECRET, ABSENT),
        (f"{SECRET}{ARN.replace(':', '%3A')}", ARN, NO_SECRET, ABSENT),
        (f"{SECRET}rds!db-1", "rds!db-1", NO_SECRET, ABSENT),
        (f"{SECRET}rds%21db-1", "rds!db-1", NO_SECRET, ABSENT),
        (f"{SECRET}app%252Fdb", "app%2Fdb", BAD_SECRET, SECRET_NAMES),
        (f"{SECRET}a%20b", "a b", BAD_SECRET, SECRET_NAMES),
        (f"{SECRET}%C3%A9t%C3%A9", "\u00e9t\u00e9", BAD_SECRET, SECRET_NAMES),
        (f"{SECRET}{'a' * 2048}", "a" * 2048, LONG_SECRET, SECRET_NAMES),
        (f"{PARAMETER}/app/key", "/app/key", NO_PARAMETER, ABSENT),
        (f"{PARAMETER}%2Fapp%2Fkey", "/app/key", NO_PARAMETER, ABSENT),
        (
            f"{PARAMETER}/app/key&version=9",
            "/app/key:9",
            NO_VERSION,
            "ask for a version",
        ),
        (f"{PARAMETER}/app/key:9", "/app/key:9", NO_VERSION, "ask for a version"),
        (f"{PARAMETER}app/key", "app/key", BAD_PARAMETER, LEVELS),
        (f"{PARAMETER}a%20b", "a b", BAD_PARAMETER, LEVELS),
        (f"{PARAMETER}a!b", "a!b", BAD_PARAMETER, LEVELS),
        (f"{PARAMETER}a:b:c:d", "a:b:c:d", BAD_PARAMETER, LEVELS),
        (f"{PARAMETER}%252Fapp", "%2Fapp", BAD_PARAMETER, LEVELS),
        (f"{PARAMETER}%E9%8D%B5", "\u9375", BAD_PARAMETER, LEVELS),
        (f"{PARAMETER}/a/key&withDecryption=true", "/a/key", NO_KEY, KEY),
        (f"{PARAMETER}/a/key&withDecryption=true", "/a/key", KEY_DISABLED, KEY),
        (f"{PATH}app", "app", BAD_PATH, LEVELS),
        (f"{PATH}/a%20b/", "/a b", BAD_PATH, LEVELS),
        (f"{PATH}%2Fapp%2F&withDecryption=true", "/app", NO_KEY, KEY),
    ],
    ids=range(27),
)
def test_a_refusal_names_what_was_asked_for_and_the_fix(
    target: str, name: str, aws: AwsError, advice: str
) -> None:
    """The name goes to AWS as it was meant; AWS's code and words come back with it."""
    asked, refusal = outcome(target, aws)

    assert name == asked
    assert (aws.code, aws.status) == (refusal.code, refusal.status)
    assert name.partition(":9")[0] in refusal.message
    assert advice in refusal.message
    assert aws is NO_PARAMETER or refusal.message.startswith(aws.message)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (f"{SECRET}", "empty parameter: secretId; give a value, or leave it out"),
        (f"{PARAMETER}", "empty parameter: name"),
        (f"{PATH}", "empty parameter: path"),
        ("/secretsmanager/get", "missing parameter secretId"),
        ("/systemsmanager/parameters/get", "missing parameter name"),
        ("/systemsmanager/parameters/path", "missing parameter path"),
        (f"{SECRET}{'a' * 2049}", "invalid secretId: a name or ARN has at most 2048"),
        (f"{PARAMETER}{'a' * 2049}", "invalid name: a name or ARN has at most 2048"),
        (f"{PATH}/{'a' * 2048}", "invalid path: a name or ARN has at most 2048"),
        (f"{PARAMETER}a%00b", "invalid name: a name or ARN has at most 2048 printable"),
        (f"{SECRET}a%0Ab", "invalid secretId: "),
        (f"{SECRET}a%GG", "invalid secretId: "),
        (f"{SECRET}%FF", "invalid secretId: "),
        (f"{PATH}/a&insteadOf=3", "unknown parameter: insteadOf; known here are"),
        (f"{PATH}/a&recursive=all", "invalid recursive value; give true or false"),
        (
            f"{PARAMETER}/a&version=none",
            "invalid version: 'none' is not a whole number",
        ),
    ],
    ids=range(16),
)
def test_what_could_be_no_name_is_not_sent_to_aws(target: str, said: str) -> None:
    """The answer says which field, and what is wrong with it."""
    path, _, query = target.partition("?")
    request = Request("GET", path, query, HEADERS, keep_alive=True)

    with pytest.raises(RequestError) as refused:
        route(request, lambda: (TOKEN,))

    assert 400 == refused.value.status
    assert said in refused.value.message


@pytest.mark.parametrize("value", ["", "x" * 65536, "\u00e9\u9375", "a\0b"])
def test_a_value_may_be_anything(value: str) -> None:
    """Empty, as large as a secret can be, beyond ASCII: it is passed on."""
    answer = {"ARN": f"{ARN}-a1b2c3", "VersionId": "v1", "SecretString": value}
    request = Request("GET", "/v1/app/db", "", HEADERS, keep_alive=True)
    ask = route(request, lambda: (TOKEN,))
    assert ask is not None
    fetched = AwsSource(FakeAws(answer), {}).fetch(ask.query)

    assert isinstance(fetched, Fetched)
    assert value == fetched.value.reveal()["SecretString"]
