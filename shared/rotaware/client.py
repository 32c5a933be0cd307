"""Reads secrets and parameters from the extension's local port.

Nothing is held here: the extension does, and it knows about rotation. Only when a value
was last known to come from AWS is noted, for those who give a ``max_age``. A
connection that died over a freeze is replaced.
"""
# ruff: noqa: FBT001, FBT002, PLR0913  the signatures are Powertools'

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rotaware import parsers
from rotaware.answers import (
    PORT_VARIABLE,
    changed,
    document_of,
    parameter_value,
    refusal,
    secret_value,
    transformation,
)
from rotaware.clock import Deadline, SystemClock, age_seconds
from rotaware.connection import Connections, Limits
from rotaware.endpoints import Endpoint
from rotaware.errors import (
    AwsTimeoutError,
    AwsUnavailableError,
    ExtensionError,
    RotawareError,
    SettingsError,
)
from rotaware.http1 import encode_request, percent_encoded
from rotaware.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotaware.answers import Transform
    from rotaware.clock import Clock, Instant
    from rotaware.http1 import Response

DECRYPT_VARIABLE = "POWERTOOLS_PARAMETERS_SSM_DECRYPT"
TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"  # noqa: S105  a header's name
TIMEOUT_SECONDS = 30.0
MAX_CONNECTIONS = 16
ERRORS_KEY = "_errors"
TRUE_WORDS = frozenset({"y", "yes", "t", "true", "on", "1"})  # as Powertools has them

_OK, _BAD_TOKEN = 200, 403


class Client:
    """Reads from one extension; safe to use from many threads.

    Args:
        environ: Where port and token are found.
        clock: The source of time.
        timeout_seconds: For one read, waiting for AWS included.

    Raises:
        SettingsError: The port is none.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._environ = environ
        self._clock = clock or SystemClock()
        self._timeout_seconds = timeout_seconds
        self._endpoint = Endpoint("http", "127.0.0.1", _port(environ), "")
        self._tokens = Tokens(environ, self._clock)
        self._fresh_at: dict[str, Instant] = {}
        self._process_id = os.getpid()
        self._connections = self._new_connections()

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
        options = _known(sdk_options, "VersionId", "VersionStage")
        fields = {
            "secretId": name,
            "versionId": version_id or options.get("VersionId"),
            "versionStage": version_stage or options.get("VersionStage"),
        }
        change = transformation(name, transform)
        document = self._read(
            "/secretsmanager/get", fields, max_age, force_fetch=force_fetch
        )
        value = [secret_value(name, document)]
        del document  # a traceback shows the locals of frames to those who collect them
        return changed(name, value.pop(), change)

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
        options = _known(sdk_options, "WithDecryption")
        if decrypt is None:
            decrypt = options.get("WithDecryption", self._decrypts())
        fields = {
            "name": name,
            "version": None if version is None else str(version),
            "label": label,
            "withDecryption": "true" if decrypt else None,
        }
        change = transformation(name, transform)
        document = self._read(
            "/systemsmanager/parameters/get", fields, max_age, force_fetch=force_fetch
        )
        value = [parameter_value(name, document)]
        del document  # as above
        return changed(name, value.pop(), change)

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
        shared = {"transform": transform, "decrypt": decrypt, "max_age": max_age}
        values: dict[str, Any] = {}
        failed: list[str] = []
        for name, own in parameters.items():
            try:
                values[name] = self.get_parameter(name, **{**shared, **(own or {})})
            except RotawareError:  # noqa: PERF203  each one fails by itself
                if raise_on_error:
                    raise
                failed.append(name)
        if failed:
            values[ERRORS_KEY] = failed
        return values

    def close(self) -> None:
        """Hang up; a later read connects anew."""
        self._own_connections().close_idle()

    def _decrypts(self) -> bool:
        return self._environ.get(DECRYPT_VARIABLE, "").lower() in TRUE_WORDS

    def _read(
        self,
        path: str,
        fields: Mapping[str, str | None],
        max_age: float | None,
        *,
        force_fetch: bool,
    ) -> Any:
        """The JSON document that the port answers with."""
        target = f"{path}?{_encoded(fields)}"
        began = self._clock.now()
        if force_fetch or self._is_too_old(target, max_age, began):
            response = self._asked(target + "&refreshNow=true")
        else:
            response = self._asked(target)
        if response.status != _OK:
            raise refusal(response, self._endpoint.port)
        if "fwd=" in response.headers.get("cache-status", ""):
            self._fresh_at[target] = began
        return document_of(response.body)

    def _is_too_old(self, target: str, max_age: float | None, now: Instant) -> bool:
        """Whether a value from memory might be older than the caller allows."""
        if max_age is None:
            return False
        fresh_at = self._fresh_at.get(target)
        # With 0, Powertools holds nothing, so that the next call asks AWS again.
        return max_age <= 0 or fresh_at is None or age_seconds(fresh_at, now) > max_age

    def _asked(self, target: str) -> Response:
        deadline = Deadline(self._clock, self._timeout_seconds)
        token = self._tokens.current(deadline)
        response = self._sent(target, token, deadline)
        if response.status == _BAD_TOKEN:
            # Container credentials change; the extension knows the newer ones already.
            renewed = self._tokens.renewed(deadline)
            if renewed != token:
                response = self._sent(target, renewed, deadline)
        return response

    def _sent(self, target: str, token: str, deadline: Deadline) -> Response:
        port = self._endpoint.port
        headers = (("Host", f"127.0.0.1:{port}"), (TOKEN_HEADER, token))
        request = encode_request("GET", target, headers)
        try:
            return self._own_connections().send(self._endpoint, request, deadline)
        except AwsTimeoutError:
            raise
        except AwsUnavailableError as error:
            raise ExtensionError(
                f"no rotaware extension answers ({error.message}, port {port}); add its"
                f" layer to the function, or set {PORT_VARIABLE} to its port"
            ) from None

    def _own_connections(self) -> Connections:
        # After a fork two processes would read each other's answers off one socket.
        if self._process_id != os.getpid():
            self._connections = self._new_connections()
            self._process_id = os.getpid()
        return self._connections

    def _new_connections(self) -> Connections:
        return Connections(
            clock=self._clock,
            max_connections=MAX_CONNECTIONS,
            limits=Limits(read_seconds=self._timeout_seconds),
        )


def _port(environ: Mapping[str, str]) -> int:
    try:
        return parsers.port(environ.get(PORT_VARIABLE, "2773"))
    except ValueError as error:
        raise SettingsError([f"{PORT_VARIABLE}: {error}"]) from None


def _encoded(fields: Mapping[str, str | None]) -> str:
    """The fields that are given, as a query."""
    return "&".join(
        f"{key}={percent_encoded(text)}"
        for key, text in fields.items()
        if text is not None
    )


def _known(options: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for option in options:
        if option not in names:
            raise TypeError(
                f"the extension's port has no option {option!r};"
                f" of the SDK's options it has {' and '.join(names)}"
            )
    return options
