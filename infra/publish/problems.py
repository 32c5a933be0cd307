"""What keeps a layer from being published, in one line that says what to do.

Foreign exceptions are translated here, and nowhere else. A message names a Region, a
layer, a bucket or an operation; never a credential.
"""

from __future__ import annotations

from botocore import exceptions as botocore

PERMISSIONS = "docs/publish.md lists what it must allow"
NO_CREDENTIALS = (
    "no credentials: run `aws configure` or `aws sso login`, or set AWS_PROFILE, or "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
_EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "TokenRefreshRequired",
}
_UNKNOWN = {
    "AuthFailure",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_REFUSED = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "Forbidden",
    "UnauthorizedOperation",
}
_THROTTLED = {
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}


class PublishError(Exception):
    """Why it cannot be done, and what to do about it."""


def from_aws(error: Exception, doing: str) -> PublishError:
    """What to say about an exception that boto3 raised.

    Args:
        error: boto3's.
        doing: Where and what, for example ``eu-west-1: PublishLayerVersion``.
    """
    if isinstance(error, botocore.ClientError):
        return PublishError(f"{doing}: {_answer(error)}")
    return PublishError(f"{doing}: {_failure(error)}")


def code(error: botocore.ClientError) -> str:
    """AWS's name for what went wrong."""
    return str(error.response.get("Error", {}).get("Code", "unknown error"))


def _answer(error: botocore.ClientError) -> str:
    """What is to be done about an answer of AWS."""
    name = code(error)
    said = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
    if name in _EXPIRED:
        return "the credentials have expired: sign in again, as by `aws sso login`"
    if name in _UNKNOWN:
        return (
            "AWS does not take the credentials there: either they are wrong (see "
            "`aws sts get-caller-identity`), or the account has not enabled this Region"
        )
    if name in _REFUSED:
        return f"not allowed: {said or name}; {PERMISSIONS}"
    if name in _THROTTLED:
        return "AWS throttles the calls: run it again in a minute"
    if name == "CodeStorageExceededException":
        return "the Region's storage for code is full: delete old layer versions"
    return f"{name}: {said}"


def _failure(error: Exception) -> str:
    """What is to be done where no answer came."""
    match error:
        case botocore.NoCredentialsError():
            return NO_CREDENTIALS
        case botocore.SSOError() | botocore.TokenRetrievalError():
            return "the sign-in has ended: run `aws sso login`"
        case (
            botocore.EndpointConnectionError()
            | botocore.ConnectTimeoutError()
            | botocore.ReadTimeoutError()
            | botocore.ConnectionClosedError()
        ):
            return (
                "AWS cannot be reached: is there a Region of this name, "
                "and is this machine online?"
            )
        case _:
            return " ".join(str(error).split())
