"""What ends a command: one line for a person, with what to do about it.

AWS's own words stay, but only their first line: what follows it may repeat the request.
"""

from __future__ import annotations

from rotaware.errors import AwsError, AwsThrottledError, RotawareError

_EXPIRED = "renew the credentials, for example with `aws sso login`"
_UNKNOWN_KEYS = (
    "AWS does not take these credentials here: correct them, set this machine's clock,"
    " or enable the Region for the account"
)
_DENIED = "allow this to yourself, or use another --profile; a policy of your "
_ADVICE = {
    "AccessDenied": f"{_DENIED}organisation may also close the Region",
    "AccessDeniedException": f"{_DENIED}organisation may also close the Region",
    "AuthFailure": _UNKNOWN_KEYS,
    "ConnectTimeoutError": "check the network",
    "EndpointConnectionError": "check the network, and the Region's name",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidClientTokenId": _UNKNOWN_KEYS,
    "InvalidRegionError": "correct the Region's name",
    "InvalidSignatureException": _UNKNOWN_KEYS,
    "ParameterNotFound": "correct the name, or use another --region",
    "RequestExpired": _EXPIRED,
    "ResourceNotFoundException": "correct the name, or use another --region",
    "SSOTokenLoadError": _EXPIRED,
    "SignatureDoesNotMatch": _UNKNOWN_KEYS,
    "TimeoutError": "check the network, and try again",
    "TokenRetrievalError": _EXPIRED,
    "UnauthorizedSSOTokenError": _EXPIRED,
    "UnrecognizedClientException": _UNKNOWN_KEYS,
}
_NO_CREDENTIALS = "there are no credentials; use --profile, or see `aws configure`"


def line(error: RotawareError) -> str:
    """What went wrong and what to do, without a line end."""
    if not isinstance(error, AwsError):
        return _one_line(error.message)
    if error.code in {"NoCredentialsError", "PartialCredentialsError"}:
        return _NO_CREDENTIALS
    said = _one_line(error.message)
    if error.code not in said:
        said = f"{error.code}: {said}"
    if isinstance(error, AwsThrottledError):
        return f"{said}; AWS asks for fewer calls: try again in a minute"
    advice = _ADVICE.get(error.code)
    return f"{said}; {advice}" if advice else said


def _one_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(" ;.")
