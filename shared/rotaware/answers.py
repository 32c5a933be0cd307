"""Pure: what the extension's port answered, as a value or an error.

What cannot be used is refused with an error that never quotes it, nor keeps it as a
cause: it may hold the value.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any

from rotaware.errors import (
    AwsTimeoutError,
    ExtensionError,
    RotawareError,
    TransformError,
    aws_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, TypeAlias

    from rotaware.http1 import Response

    Transform: TypeAlias = Literal["json", "binary", "auto"] | Callable[[str], Any]

PORT_VARIABLE = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"

TRANSFORMATIONS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "binary": a2b_base64,
}
_TIMEOUT = 504


def refusal(response: Response, port: int) -> RotawareError:
    """The error that an answer other than 200 stands for."""
    document = document_of(response.body)
    code = document.get("__type") if isinstance(document, dict) else None
    if not isinstance(code, str):
        return ExtensionError(
            f"port {port} answers with status {response.status} and no error document;"
            f" set {PORT_VARIABLE} to the port of the rotaware extension"
        )
    message = str(document.get("message", ""))
    if response.status == _TIMEOUT:
        return AwsTimeoutError(message)
    return aws_error(code, message, response.status)


def document_of(body: bytes) -> Any:
    """The JSON in an answer; None where there is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def secret_value(name: str, document: Any) -> str | bytes:
    """The payload in an answer about a secret."""
    if isinstance(document, dict):
        text, blob = document.get("SecretString"), document.get("SecretBinary")
        if isinstance(text, str):
            return text
        if isinstance(blob, str) and (payload := _decoded(blob)) is not None:
            return payload
    raise _not_understood(name)


def parameter_value(name: str, document: Any) -> str:
    """The payload in an answer about a parameter."""
    parameter = document.get("Parameter") if isinstance(document, dict) else None
    value = parameter.get("Value") if isinstance(parameter, dict) else None
    if isinstance(value, str):
        return value
    raise _not_understood(name)


def _decoded(blob: str) -> bytes | None:
    try:
        return a2b_base64(blob)
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
        fault = type(error).__name__
    # Outside the except clause: a JSONDecodeError as context would hold the value. So
    # would this frame, which the traceback keeps and error reporters print.
    del value
    raise TransformError(f"{name}: the value cannot be transformed ({fault})")
