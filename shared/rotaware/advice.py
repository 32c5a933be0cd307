"""AWS's refusals, with the name and the fix that AWS leaves out.

Its own words stay in front, for programs that look for them.
"""

from __future__ import annotations

from rotaware.errors import AwsError, is_named
from rotaware.lean import TYPE_CHECKING
from rotaware.secret import PARAMETER_STORE

if TYPE_CHECKING:
    from rotaware.secret import Query

_SILENT = "HTTP status {} without a message"
_KEY = "allow kms:Decrypt on its KMS key to the function's role, and enable the key"
_ABSENT = "create it in this account and Region, or correct the name"
_FIXES = {
    "DecryptionFailure": _KEY,
    "InvalidKeyId": _KEY,
    "InvalidRequestException": "restore it if it is being deleted; else put a value",
    "ParameterNotFound": _ABSENT,
    "ParameterVersionNotFound": "ask for a version or a label that it has",
    "ResourceNotFoundException": f"{_ABSENT}, version or stage",
    "TooManyParameters": "ask for longer paths, or without the levels below this one",
}
_MALFORMED = frozenset({"InvalidParameterException", "ValidationException"})
_NAMES_OF_SECRETS = "use at most 512 letters, digits and /_+=.@-, or the ARN"
_NAMES_OF_PARAMETERS = (
    "use at most 15 levels of letters, digits and _.-, with a slash before the first"
)
_DENIED = "allow it to the function's role"


def advised(refusal: AwsError, query: Query) -> AwsError:
    """The refusal of a query, with its name and what to do about it."""
    said = refusal.message
    if said == _SILENT.format(refusal.status):
        said = "AWS gives no reason"
    name = "" if is_named(query.id, said) else query.id
    more = ": ".join(filter(None, (name, _fix(refusal, query))))
    return AwsError(refusal.code, f"{said} ({more})" if more else said, refusal.status)


def _fix(refusal: AwsError, query: Query) -> str | None:
    code, said = refusal.code, refusal.message
    if code == "AccessDeniedException":
        # KMS's refusals come under this name too, and name no action.
        return _KEY if "KMS" in said or "ciphertext" in said else _DENIED
    if code in _MALFORMED:
        parameter = query.service == PARAMETER_STORE
        return _NAMES_OF_PARAMETERS if parameter else _NAMES_OF_SECRETS
    return _FIXES.get(code)
