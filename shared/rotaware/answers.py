"""Pure: what the extension's port answered, as a value or an error.

What cannot be used is refused with an error that never quotes it, nor keeps it as a
cause: it may hold the value.
"""

from __future__ import annotations

from rotaware import lean_json as json
from rotaware.errors import (
    AwsError,
    AwsTimeoutError,
    ExtensionError,
    RotawareError,
    TransformError,
    aws_error,
    is_named,
)
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, NoReturn, TypeAlias

    from rotaware.http1 import Response

    Transform: TypeAlias = Literal["json", "binary", "auto"] | Callable[[str], Any]

PORT_VARIABLE = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"


def _from_base64(text: str) -> bytes:
    from binascii import a2b_base64  # noqa: PLC0415  few secrets need it

    return a2b_base64(text)


TRANSFORMATIONS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "binary": _from_base64,
}
_FORBIDDEN, _TIMEOUT = 403, 504


class Secret:
    """One version of a secret; its value cannot be printed or pickled by accident.

    Attributes:
        id: The name or ARN by which it was asked for.
        value: Its text, or its bytes if it is binary.
        version_id: The version that this is.
        version_stages: The labels on that version, such as AWSCURRENT.
    """

    __slots__ = ("id", "value", "version_id", "version_stages")

    def __init__(
        self,
        id: str,  # noqa: A002  as AWS calls it
        value: str | bytes,
        version_id: str,
        version_stages: tuple[str, ...] = (),
    ) -> None:
        self.id = id
        self.value = value
        self.version_id = version_id
        self.version_stages = version_stages

    def __repr__(self) -> str:
        return f"<Secret {self.id}, version {self.version_id}, value hidden>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


def refusal(response: Response, port: int) -> RotawareError:
    """The error that an answer other than 200 stands for."""
    document = document_of(response.body)
    code = document.get("__type") if isinstance(document, dict) else None
    if not isinstance(code, str):
        if response.headers.get("cache-status", "").startswith("rotaware"):
            return _told(response)
        return ExtensionError(
            f"port {port} answers with status {response.status} and no error document;"
            f" set {PORT_VARIABLE} to the port of the rotaware extension"
        )
    message = str(document.get("message", ""))
    if response.status == _TIMEOUT:
        return AwsTimeoutError(message)
    return aws_error(code, message, response.status)


def _told(response: Response) -> AwsError:
    """A refusal of the extension itself, in the words of the Secrets Manager Agent."""
    code = "AccessDenied" if response.status == _FORBIDDEN else "InvalidRequest"
    return AwsError(code, response.body.decode(errors="replace"), response.status)


def about(name: str, error: AwsError) -> AwsError:
    """The same error, with a message that names what was read."""
    message = error.message
    if not is_named(name, message):
        # AWS's words stay in front, where programs look for them.
        message = f"{message} ({name})".lstrip()
    kind = type(error)
    told = kind.__new__(kind, message)
    told.code, told.status = error.code, error.status
    return told


def document_of(body: bytes) -> Any:
    """The JSON in an answer; None where there is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def text_of(body: bytes) -> str | bytes:
    """The text in an answer; its bytes where it is none."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def secret_of(name: str, document: Any) -> Secret:
    """What an answer about a secret holds."""
    if isinstance(document, dict):
        text, blob = document.get("SecretString"), document.get("SecretBinary")
        value = text if isinstance(text, str) else _decoded(blob)
        if value is not None:
            version, stages = document.get("VersionId"), document.get("VersionStages")
            return Secret(
                name,
                value,
                version if isinstance(version, str) else "",
                tuple(stages) if isinstance(stages, list) else (),
            )
        del text, blob, value
    del document  # a traceback shows the locals of frames to those who collect them
    raise _not_understood(name)


def parameter_value(name: str, document: Any) -> str:
    """The payload in an answer about a parameter."""
    parameter = document.get("Parameter") if isinstance(document, dict) else None
    value = parameter.get("Value") if isinstance(parameter, dict) else None
    if isinstance(value, str):
        return value
    del document, parameter, value  # as above
    raise _not_understood(name)


def parameter_values(path: str, document: Any) -> dict[str, str]:
    """The payloads in an answer about a path, by their names without the path."""
    parameters = document.get("Parameters") if isinstance(document, dict) else None
    if isinstance(parameters, list):
        try:
            return {
                _below(path, found["Name"]): _text(found["Value"])
                for found in parameters
            }
        except (TypeError, LookupError, AttributeError):
            pass
    del document, parameters  # as above
    raise _not_understood(path)


def _below(path: str, name: str) -> str:
    return name.removeprefix(path).lstrip("/")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def variable_value(name: str, document: Any) -> str | bytes:
    """The payload in an answer about a variable."""
    if isinstance(document, (str, bytes)):
        return document
    del document  # as above
    raise _not_understood(name)


def _decoded(blob: object) -> bytes | None:
    try:
        return _from_base64(blob) if isinstance(blob, str) else None
    except ValueError:
        return None


def _not_understood(name: str) -> ExtensionError:
    return ExtensionError(
        f"{name}: the answer is not understood; does another program listen on the"
        f" port? set {PORT_VARIABLE} to the port of the rotaware extension"
    )


def transformation(
    name: str, transform: Transform | None
) -> Callable[[str], Any] | None:
    """The function to apply; ValueError for an unknown word."""
    if transform is None or callable(transform):
        return transform
    word = name.rpartition(".")[2] if transform == "auto" else transform
    if word in TRANSFORMATIONS or transform == "auto":
        return TRANSFORMATIONS.get(word)
    raise ValueError(
        f"{name}: {transform!r} is no transform; use 'json', 'binary', 'auto' or a"
        " function"
    )


def changed(name: str, value: str | bytes, change: Callable[[str], Any] | None) -> Any:
    """The value, transformed; bytes are taken as UTF-8 text."""
    if change is None:
        return value
    try:
        return change(value.decode() if isinstance(value, bytes) else value)
    except Exception as error:  # noqa: BLE001  the caller's function may raise anything
        fault = _fault(value, change, error)
    # Outside the except clause: a JSONDecodeError as context would hold the value. So
    # would this frame, which the traceback keeps and error reporters print.
    del value
    raise TransformError(f"{name}: the value {fault}")


def _fault(value: str | bytes, change: Callable[[str], Any], error: Exception) -> str:
    """What is wrong with a value, and what to do."""
    if isinstance(value, bytes) and isinstance(error, UnicodeDecodeError):
        return "is binary, not text; leave the transform out to get its bytes"
    if change is TRANSFORMATIONS["json"]:
        return "is not JSON; store JSON, or leave the transform out to get its text"
    if change is TRANSFORMATIONS["binary"]:
        return "is not base64; store base64, or leave the transform out"
    kind = type(error).__name__
    return f"cannot be transformed: the function that was given raised {kind}"
