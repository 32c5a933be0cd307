"""The functions that function code calls, with the signatures of Powertools'.

They share one client: the one given to ``use``, else one that is made of the
environment at the first call. Errors are ``RotawareError``: AWS's own refusals as
``AwsError`` with AWS's code.
"""
# ruff: noqa: FBT001, FBT002, PLR0913, PLR0917  the signatures are Powertools'

from __future__ import annotations

import os
from _thread import allocate_lock

from rotaware.client import Client
from rotaware.lean import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rotaware.answers import Secret, Transform

_lock = allocate_lock()
_clients: list[Client] = []


def use(client: Client | None) -> None:
    """Let the functions here read by this client; None: by one of the environment.

    The client before is not closed: other threads may be reading by it.
    """
    with _lock:
        _clients[:] = [] if client is None else [client]


def _client() -> Client:
    with _lock:
        if not _clients:
            _clients.append(Client.from_environ(os.environ))  # noqa: TID251  function code's own door
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


def read_secret(
    name: str,
    *,
    version_id: str | None = None,
    version_stage: str | None = None,
    force_fetch: bool = False,
    instead_of: str | None = None,
) -> Secret:
    """Read a secret together with its version; errors are those of ``get_secret``.

    Args:
        name: Name or ARN.
        version_id: A certain version.
        version_stage: The version with this label, instead of AWSCURRENT.
        force_fetch: Ask AWS, past the extension's memory.
        instead_of: The version id that just failed, at a log-in say: another version if
            one is held, else AWS is asked, once for all who ask at the same time.
    """
    return _client().read_secret(
        name,
        version_id=version_id,
        version_stage=version_stage,
        force_fetch=force_fetch,
        instead_of=instead_of,
    )


def get_secrets_by_name(
    names: Sequence[str],
    transform: Transform | None = None,
    force_fetch: bool = False,
    max_age: float | None = None,
    *,
    raise_on_transform_error: bool = False,
    **sdk_options: int,
) -> dict[str, Any]:
    """Read secrets, one after another; the first that cannot be read is an error.

    Args:
        names: Names or ARNs.
        transform: See ``get_secret``.
        force_fetch: See ``get_secret``.
        max_age: See ``get_secret``.
        raise_on_transform_error: False gives None for a value that cannot be
            transformed.
        sdk_options: ``MaxResults`` is taken, and makes no difference.
    """
    return _client().get_secrets_by_name(
        names,
        transform,
        force_fetch,
        max_age,
        raise_on_transform_error=raise_on_transform_error,
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


def get_parameters(
    path: str,
    transform: Transform | None = None,
    recursive: bool = True,
    decrypt: bool | None = None,
    force_fetch: bool = False,
    max_age: float | None = None,
    raise_on_transform_error: bool = False,
    **sdk_options: int,
) -> dict[str, Any]:
    """Read all parameters under a path, by their names without it.

    Args:
        path: Where they stand, such as ``/app/prod``.
        transform: See ``get_secret``; ``auto`` looks at each name's ending.
        recursive: Whether those on levels further below are read too.
        decrypt: See ``get_parameter``.
        force_fetch: See ``get_secret``.
        max_age: See ``get_secret``.
        raise_on_transform_error: False gives None for a value that cannot be
            transformed.
        sdk_options: ``MaxResults`` is taken, and makes no difference.
    """
    return _client().get_parameters(
        path,
        transform,
        recursive,
        decrypt,
        force_fetch,
        max_age,
        raise_on_transform_error,
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
            that failed under ``_errors``; what cannot be transformed is None.
    """
    return _client().get_parameters_by_name(
        parameters, transform, decrypt, max_age, raise_on_error
    )


def get_variable(name: str, transform: Transform | None = None) -> Any:
    """Read an environment variable that holds KMS ciphertext: its plaintext.

    Its name must be listed in ``ROTAWARE_KMS_ENV``; errors are those of ``get_secret``.

    Args:
        name: The variable's name.
        transform: See ``get_secret``.
    """
    return _client().get_variable(name, transform)
