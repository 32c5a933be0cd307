"""The functions that function code calls, with the signatures of Powertools'.

They share one client, made at the first call. Errors are ``RotawareError``: AWS's own
refusals as ``AwsError`` with AWS's code.
"""
# ruff: noqa: FBT001, FBT002, PLR0913  the signatures are Powertools'

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, Any, overload

from rotaware.client import Client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotaware.answers import Transform

_lock = Lock()
_clients: list[Client] = []


def _client() -> Client:
    with _lock:
        if not _clients:
            _clients.append(Client(os.environ))  # noqa: TID251  function code's own door
        return _clients[0]


@overload
def get_secret(
    name: str,
    transform: None = None,
    force_fetch: bool = False,
    max_age: float | None = None,
    *,
    version_id: str | None = None,
    version_stage: str | None = None,
    **sdk_options: str,
) -> str: ...
@overload
def get_secret(
    name: str,
    transform: Transform,
    force_fetch: bool = False,
    max_age: float | None = None,
    *,
    version_id: str | None = None,
    version_stage: str | None = None,
    **sdk_options: str,
) -> Any: ...
def get_secret(
    name: str,
    transform: Transform | None = None,
    force_fetch: bool = False,
    max_age: float | None = None,
    *,
    version_id: str | None = None,
    version_stage: str | None = None,
    **sdk_options: str,
) -> Any:
    """Read a secret: its text, or its bytes if it is binary.

    Args:
        name: Name or ARN.
        transform: ``json``, ``binary`` (base64), ``auto`` (by the name's ending), or a
            function of the text.
        force_fetch: Ask AWS, past the extension's memory.
        max_age: The seconds that may have passed since this process last saw the value
            come from AWS; 0 is ``force_fetch``. Best left out: what the extension
            holds is as fresh as its checks for rotation make it.
        version_id: A certain version.
        version_stage: The version with this label, instead of AWSCURRENT.
        sdk_options: ``VersionId`` and ``VersionStage`` do the same.

    Raises:
        AwsError: AWS refused, or could not be reached.
        TransformError: The value is not what the transform takes.
        ExtensionError: No extension answers.
        SettingsError: The port or the token in the environment cannot be used.
    """
    return _client().get_secret(
        name,
        transform,
        force_fetch,
        max_age,
        version_id=version_id,
        version_stage=version_stage,
        **sdk_options,
    )


@overload
def get_parameter(
    name: str,
    transform: None = None,
    decrypt: bool | None = None,
    force_fetch: bool = False,
    max_age: float | None = None,
    *,
    version: int | None = None,
    label: str | None = None,
    **sdk_options: bool,
) -> str: ...
@overload
def get_parameter(
    name: str,
    transform: Transform,
    decrypt: bool | None = None,
    force_fetch: bool = False,
    max_age: float | None = None,
    *,
    version: int | None = None,
    label: str | None = None,
    **sdk_options: bool,
) -> Any: ...
def get_parameter(
    name: str,
    transform: Transform | None = None,
    decrypt: bool | None = None,
    force_fetch: bool = False,
    max_age: float | None = None,
    *,
    version: int | None = None,
    label: str | None = None,
    **sdk_options: bool,
) -> Any:
    """Read a parameter's text; errors are those of ``get_secret``.

    Args:
        name: Name or ARN.
        transform: See ``get_secret``.
        decrypt: Whether a SecureString comes back decrypted; None leaves it to the
            variable ``POWERTOOLS_PARAMETERS_SSM_DECRYPT``, else False.
        force_fetch: See ``get_secret``.
        max_age: See ``get_secret``.
        version: A certain version.
        label: The version with this label.
        sdk_options: ``WithDecryption`` does what ``decrypt`` does.
    """
    return _client().get_parameter(
        name,
        transform,
        decrypt,
        force_fetch,
        max_age,
        version=version,
        label=label,
        **sdk_options,
    )


def get_parameters_by_name(
    parameters: Mapping[str, Mapping[str, Any] | None],
    transform: Transform | None = None,
    decrypt: bool | None = None,
    max_age: float | None = None,
    raise_on_error: bool = True,
) -> dict[str, Any]:
    """Read parameters, one after another.

    Args:
        parameters: Names, each with the options of ``get_parameter`` that are its own.
        transform: For those without their own.
        decrypt: Likewise.
        max_age: Likewise.
        raise_on_error: False reads on after an error, and lists the names of those
            that failed under ``_errors``.
    """
    return _client().get_parameters_by_name(
        parameters, transform, decrypt, max_age, raise_on_error
    )
