"""Every error that rotaware raises.

    RotawareError                   status and code say how the HTTP port answers it
    ├── SettingsError               wrong settings or config file, all problems at once
    ├── RequestError                a request that the port does not answer
    ├── ExtensionError              no extension on the local port (function side)
    │   └── NobodyListensError      nor anything else: the port refuses connections
    ├── TransformError              a value that a transform cannot take (likewise)
    ├── LoginFieldError             a secret that holds no database login (likewise)
    ├── SheetError                  a stamp sheet that cannot be used
    └── AwsError                    AWS refused: its own code, message and status
        └── AwsUnavailableError     AWS did not answer, or asked to come back later
            ├── AwsThrottledError   it said so: slow down
            ├── AwsSignatureError   it did not take the caller's keys or clock
            └── AwsTimeoutError     no answer within the time allowed

Messages name ids, fields and fixes. They never hold a secret's value.
"""

from __future__ import annotations

_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TooManyUpdates",
    }
)
_SIGNATURE = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_TRANSIENT = frozenset({"RequestTimeout", "RequestTimeoutException"})
_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS, _SERVER_ERROR = 408, 429, 500


class RotawareError(Exception):
    """Base of all errors that rotaware raises on purpose."""

    status: int = 500
    code: str = "InternalFailure"

    @property
    def message(self) -> str:
        """What went wrong, in one sentence for a person."""
        return str(self.args[0]) if self.args else type(self).__name__


class SettingsError(RotawareError):
    """Settings or a config file that cannot be used.

    Attributes:
        problems: One sentence for each field: its name, the fault, the fix.
    """

    code = "Extension.ConfigInvalid"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class RequestError(RotawareError):
    """A request that the local port refuses."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ExtensionError(RotawareError):
    """No extension answers on the local port, or something else does."""

    code = "ExtensionUnusable"


class NobodyListensError(ExtensionError):
    """The local port refuses connections: this function has no extension."""


class TransformError(RotawareError):
    """A value that the transform asked for cannot take."""

    code = "TransformFailed"


class LoginFieldError(RotawareError):
    """A secret that lacks what a database login needs, or says it in another form."""

    code = "LoginFieldUnusable"


class SheetError(RotawareError):
    """A stamp sheet that is no sheet, is damaged, or is of a newer format."""

    code = "SheetUnusable"


class AwsError(RotawareError):
    """AWS refused a call, and will refuse it again.

    Attributes:
        code: AWS's error code, such as ``ResourceNotFoundException``.
        status: The HTTP status that AWS used.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class AwsUnavailableError(AwsError):
    """AWS could not be reached or failed; the same call may succeed later."""

    def __init__(self, code: str, message: str, status: int = 502) -> None:
        super().__init__(code, message, status)


class AwsThrottledError(AwsUnavailableError):
    """AWS asked for fewer calls."""


class AwsSignatureError(AwsUnavailableError):
    """AWS did not take the caller's keys or clock.

    It says nothing about what was asked for, and keys and clocks are renewed.
    """


class AwsTimeoutError(AwsUnavailableError):
    """AWS did not answer within the time allowed."""

    def __init__(self, message: str) -> None:
        super().__init__("TimeoutError", message, 504)


def aws_error(code: str, message: str, status: int) -> AwsError:
    """The error that an answer of AWS stands for: refused, or what may pass."""
    if code in _THROTTLED or status == _TOO_MANY_REQUESTS:
        return AwsThrottledError(code, message, status)
    if code in _SIGNATURE:
        return AwsSignatureError(code, message, status)
    if code in _TRANSIENT or status == _REQUEST_TIMEOUT or status >= _SERVER_ERROR:
        return AwsUnavailableError(code, message, status)
    return AwsError(code, message, status)


def is_named(name: str, message: str) -> bool:
    """Whether a message says the name; a plain word may be there by accident."""
    return f"({name}" in message or (not name.isalnum() and name in message)
