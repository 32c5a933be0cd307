"""Powertools' parameter providers, reading by rotaware.

    from rotaware.powertools import SecretsProvider, SSMProvider

Rules:
1. Powertools' own cache is never used: it would hand out a dead password for up to five
   minutes after a rotation. The extension holds the values, and knows when they change.
2. So without ``max_age`` nobody else's time limit counts, not
   ``POWERTOOLS_PARAMETERS_MAX_AGE`` either. With it, and with ``force_fetch``, AWS is
   asked as by ``rotaware.get_secret``.
3. Errors are Powertools'; rotaware's own is the cause. None of them holds a value.
"""
# ruff: noqa: FBT001, FBT002, PLR0913, PLR0917  the signatures are Powertools'

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.parameters import BaseProvider
from aws_lambda_powertools.utilities.parameters.exceptions import (
    GetParameterError,
    GetSecretError,
    TransformParameterError,
)

from rotaware import parameters as functions
from rotaware.errors import RotawareError, TransformError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rotaware.answers import Transform
    from rotaware.client import Client


class SecretsProvider(BaseProvider):
    """Secrets, with the methods of Powertools' ``SecretsProvider``.

    Args:
        client: Whom to read by; None: by whom ``rotaware.get_secret`` reads.
    """

    def __init__(self, *, client: Client | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._client = client or functions

    def get(
        self,
        name: str,
        max_age: float | None = None,
        transform: Transform | None = None,
        force_fetch: bool = False,
        **sdk_options: Any,
    ) -> Any:
        """A secret's value.

        Raises:
            GetParameterError: It cannot be read.
            TransformParameterError: It cannot be transformed.
        """
        with _powertools_errors(GetParameterError):
            return self._get(
                name,
                max_age=max_age,
                transform=transform,
                force_fetch=force_fetch,
                **sdk_options,
            )

    def get_multiple(  # type: ignore[override]  # as Powertools' own
        self,
        names: list[str],
        max_age: float | None = None,
        transform: Transform | None = None,
        raise_on_transform_error: bool = False,
        force_fetch: bool = False,
        **sdk_options: Any,
    ) -> dict[str, Any]:
        """Secrets' values by the names that were given.

        Raises:
            GetSecretError: One of them cannot be read.
            TransformParameterError: One cannot be transformed, if that is an error.
        """
        if not names:
            raise GetSecretError("give at least one secret's name")
        with _powertools_errors(GetSecretError):
            return self._get_multiple(
                names,
                max_age=max_age,
                transform=transform,
                raise_on_transform_error=raise_on_transform_error,
                force_fetch=force_fetch,
                **sdk_options,
            )

    def _get(self, name: str, **options: Any) -> Any:
        return self._client.get_secret(name, **options)

    def _get_multiple(  # type: ignore[override]  # as Powertools' own
        self, names: list[str], **options: Any
    ) -> dict[str, Any]:
        return self._client.get_secrets_by_name(names, **options)


class SSMProvider(BaseProvider):
    """Parameters, with the methods of Powertools' ``SSMProvider``.

    Args:
        client: Whom to read by; None: by whom ``rotaware.get_parameter`` reads.
    """

    def __init__(self, *, client: Client | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._client = client or functions

    def get(  # type: ignore[override]  # as Powertools' own
        self,
        name: str,
        max_age: float | None = None,
        transform: Transform | None = None,
        decrypt: bool | None = None,
        force_fetch: bool = False,
        **sdk_options: Any,
    ) -> Any:
        """A parameter's value.

        Raises:
            GetParameterError: It cannot be read.
            TransformParameterError: It cannot be transformed.
        """
        with _powertools_errors(GetParameterError):
            return self._get(
                name,
                max_age=max_age,
                transform=transform,
                decrypt=decrypt,
                force_fetch=force_fetch,
                **sdk_options,
            )

    def get_multiple(  # type: ignore[override]  # as Powertools' own
        self,
        path: str,
        max_age: float | None = None,
        transform: Transform | None = None,
        raise_on_transform_error: bool = False,
        decrypt: bool | None = None,
        force_fetch: bool = False,
        recursive: bool = False,
        **sdk_options: Any,
    ) -> dict[str, Any]:
        """All parameters under a path, by their names without it.

        Raises:
            GetParameterError: They cannot be read.
            TransformParameterError: One cannot be transformed, if that is an error.
        """
        with _powertools_errors(GetParameterError):
            return self._get_multiple(
                path,
                max_age=max_age,
                transform=transform,
                raise_on_transform_error=raise_on_transform_error,
                decrypt=decrypt,
                force_fetch=force_fetch,
                recursive=recursive,
                **sdk_options,
            )

    def get_parameters_by_name(
        self,
        parameters: Mapping[str, Mapping[str, Any] | None],
        transform: Transform | None = None,
        decrypt: bool | None = None,
        max_age: float | None = None,
        raise_on_error: bool = True,
    ) -> dict[str, Any]:
        """Parameters by their names, each with its own options.

        Raises:
            GetParameterError: One cannot be read, if that is an error.
            TransformParameterError: Likewise, one cannot be transformed.
        """
        with _powertools_errors(GetParameterError):
            return self._client.get_parameters_by_name(
                parameters, transform, decrypt, max_age, raise_on_error
            )

    def _get(self, name: str, **options: Any) -> Any:
        return self._client.get_parameter(name, **options)

    def _get_multiple(self, path: str, **options: Any) -> dict[str, str]:
        return self._client.get_parameters(path, **options)


@contextmanager
def _powertools_errors(kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TransformError as error:
        raise TransformParameterError(str(error)) from error
    except RotawareError as error:
        raise kind(str(error)) from error
