"""Values for function code: secrets, parameters and variables, by a ``Reader``.

Nothing is held here: the reader's store does that, and it knows about rotation. Only
when a value was last known to come from AWS is noted, for those who give a ``max_age``.
No value stands in a local variable while an error is raised, because error reporters
print those.
"""
# ruff: noqa: FBT001, FBT002, PLR0913, PLR0917  the signatures are Powertools'

from __future__ import annotations

from rotaware.answers import (
    about,
    changed,
    parameter_value,
    parameter_values,
    secret_of,
    transformation,
    variable_value,
)
from rotaware.clock import SystemClock, age_seconds
from rotaware.errors import AwsError, RotawareError, TransformError
from rotaware.lean import TYPE_CHECKING
from rotaware.secret import Query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rotaware.answers import Secret, Transform
    from rotaware.clock import Clock, Instant
    from rotaware.reader import Reader

DECRYPT_VARIABLE = "POWERTOOLS_PARAMETERS_SSM_DECRYPT"
ERRORS_KEY = "_errors"
TRUE_WORDS = frozenset({"y", "yes", "t", "true", "on", "1"})  # as Powertools has them


class Client:
    """Reads by a reader; safe to use from many threads.

    Args:
        reader: Whom to ask.
        clock: The source of time.
        decrypt: Whether a SecureString comes back decrypted where a call does not say.
    """

    def __init__(
        self, reader: Reader, *, clock: Clock | None = None, decrypt: bool = False
    ) -> None:
        self._reader = reader
        self._clock = clock or SystemClock()
        self._decrypt = decrypt
        self._fresh_at: dict[Query, Instant] = {}

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Client:
        """A client of the extension, as a function's environment describes it.

        Raises:
            SettingsError: The port is none, or the fallback.
        """
        from rotaware.port_reader import PortReader  # noqa: PLC0415  not needed in process

        reader: Reader = PortReader(environ)
        if "ROTAWARE_FALLBACK" in environ:
            from rotaware.fallback import with_fallback  # noqa: PLC0415  most functions need none

            reader = with_fallback(reader, environ)
        decrypt = environ.get(DECRYPT_VARIABLE, "").lower() in TRUE_WORDS
        return cls(reader, decrypt=decrypt)

    def read_secret(
        self,
        name: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        force_fetch: bool = False,
        instead_of: str | None = None,
    ) -> Secret:
        """A secret with its version; see ``rotaware.read_secret``."""
        _require_text(name)
        query = Query.secret(name, version_id, version_stage)
        return secret_of(
            name,
            self._read(query, None, force_fetch=force_fetch, instead_of=instead_of),
        )

    def get_secret(
        self,
        name: str,
        transform: Transform | None = None,
        force_fetch: bool = False,
        max_age: float | None = None,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        **sdk_options: str,
    ) -> Any:
        """What ``parameters.get_secret`` returns."""
        _require_text(name)
        options = _known(sdk_options, "VersionId", "VersionStage")
        change = transformation(name, transform)
        query = Query.secret(
            name,
            version_id or options.get("VersionId"),
            version_stage or options.get("VersionStage"),
        )
        secret = secret_of(name, self._read(query, max_age, force_fetch=force_fetch))
        return changed(name, secret.value, change)

    def get_secrets_by_name(
        self,
        names: Sequence[str],
        transform: Transform | None = None,
        force_fetch: bool = False,
        max_age: float | None = None,
        *,
        raise_on_transform_error: bool = False,
        **sdk_options: int,
    ) -> dict[str, Any]:
        """What ``parameters.get_secrets_by_name`` returns."""
        _known(sdk_options, "MaxResults")  # without effect here
        if not names or isinstance(names, str):
            raise ValueError("give a list of at least one secret's name")
        values: dict[str, Any] = {}
        for name in names:
            try:
                values[name] = self.get_secret(name, transform, force_fetch, max_age)
            except RotawareError as error:  # noqa: PERF203  each one fails by itself
                if raise_on_transform_error or not isinstance(error, TransformError):
                    values.clear()
                    raise
                values[name] = None  # as Powertools has it
        return values

    def get_parameter(
        self,
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
        """What ``parameters.get_parameter`` returns."""
        _require_text(name)
        options = _known(sdk_options, "WithDecryption")
        if decrypt is None:
            decrypt = options.get("WithDecryption", self._decrypt)
        change = transformation(name, transform)
        query = Query.parameter(
            name,
            None if version is None else str(version),
            label,
            decrypt=decrypt,
        )
        value = [
            parameter_value(name, self._read(query, max_age, force_fetch=force_fetch))
        ]
        return changed(name, value.pop(), change)

    def get_parameters(
        self,
        path: str,
        transform: Transform | None = None,
        recursive: bool = True,
        decrypt: bool | None = None,
        force_fetch: bool = False,
        max_age: float | None = None,
        raise_on_transform_error: bool = False,
        **sdk_options: int,
    ) -> dict[str, Any]:
        """What ``parameters.get_parameters`` returns."""
        _require_text(path)
        _known(sdk_options, "MaxResults")  # without effect here
        if decrypt is None:
            decrypt = self._decrypt
        transformation(path, transform)
        query = Query.path(path, recursive=recursive, decrypt=decrypt)
        values: dict[str, Any] = parameter_values(
            path, self._read(query, max_age, force_fetch=force_fetch)
        )
        for name in values:  # noqa: PLC0206  no value in a local variable
            change = transformation(name, transform)
            try:
                values[name] = changed(f"{path}: {name}", values[name], change)
            except TransformError:
                if raise_on_transform_error:
                    values.clear()
                    raise
                values[name] = None
        return values

    def get_parameters_by_name(
        self,
        parameters: Mapping[str, Mapping[str, Any] | None],
        transform: Transform | None = None,
        decrypt: bool | None = None,
        max_age: float | None = None,
        raise_on_error: bool = True,
    ) -> dict[str, Any]:
        """What ``parameters.get_parameters_by_name`` returns."""
        if not raise_on_error and ERRORS_KEY in parameters:
            raise ValueError(
                f"a parameter named {ERRORS_KEY} needs raise_on_error=True"
            )
        shared = {"decrypt": decrypt, "max_age": max_age}
        failed: list[str] = []
        values: dict[str, Any] = {} if raise_on_error else {ERRORS_KEY: failed}
        for name, own in parameters.items():
            options = {**shared, **(own or {})}
            options["transform"] = options.get("transform") or transform
            try:
                values[name] = self.get_parameter(name, **options)
            except RotawareError as error:
                if raise_on_error:
                    values.clear()
                    raise
                if isinstance(error, TransformError):
                    values[name] = None  # as Powertools has it
                else:
                    failed.append(name)
        return values

    def get_variable(self, name: str, transform: Transform | None = None) -> Any:
        """What ``parameters.get_variable`` returns."""
        _require_text(name)
        change = transformation(name, transform)
        value = [variable_value(name, self._read(Query.variable(name), None))]
        return changed(name, value.pop(), change)

    def close(self) -> None:
        """Let go of connections; a later read makes new ones."""
        self._reader.close()

    def _read(
        self,
        query: Query,
        max_age: float | None,
        *,
        force_fetch: bool = False,
        instead_of: str | None = None,
    ) -> Any:
        """The document that the reader answers with."""
        began = self._clock.now()
        refresh = force_fetch or self._is_too_old(query, max_age, began)
        try:
            reading = self._reader.read(query, refresh=refresh, instead_of=instead_of)
        except AwsError as error:
            raise about(query.id, error) from None
        if reading.from_source:
            self._fresh_at[query] = began
        return reading.document

    def _is_too_old(self, query: Query, max_age: float | None, now: Instant) -> bool:
        """Whether a value from memory might be older than the caller allows."""
        if max_age is None:
            return False
        fresh_at = self._fresh_at.get(query)
        # With 0, Powertools holds nothing, so that the next call asks AWS again.
        return max_age <= 0 or fresh_at is None or age_seconds(fresh_at, now) > max_age


def _require_text(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(
            f"the name is {type(name).__name__}, not text; was it to come from an"
            " environment variable that is not set?"
        )


def _known(options: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for option in options:
        if option not in names:
            raise TypeError(
                f"there is no option {option!r} here;"
                f" of the SDK's options there are {' and '.join(names)}"
            )
    return options
