"""The token that the extension's port asks for, wherever this environment has it.

It is read anew for each request: container credentials are renewed, and the variables
of a function that was restored from a snapshot are not those of its start.
"""

from __future__ import annotations

from rotaware.connection import Connections
from rotaware.errors import SettingsError
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotaware.clock import Clock, Deadline
    from rotaware.credentials import ContainerCredentials, Credentials


class Tokens:
    """Reads the token anew at each call."""

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._environ = environ
        self._clock = clock
        self._provider: ContainerCredentials | None = None
        self._used: Credentials | None = None

    def current(self, deadline: Deadline) -> str:
        """The token to send."""
        return _header_value(
            self._environ.get("AWS_SESSION_TOKEN")
            or self._of_container(deadline)
            or self._of_file()
        )

    def renewed(self, deadline: Deadline) -> str:
        """The token to send after one was refused."""
        if self._provider is not None and self._used is not None:
            self._used = self._provider.refresh(self._used, deadline)
        return self.current(deadline)

    def _of_container(self, deadline: Deadline) -> str | None:
        if not (
            self._environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
            or self._environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        ):
            return None
        if self._provider is None:
            from rotaware.credentials import ContainerCredentials  # noqa: PLC0415  most functions need none of it

            self._provider = ContainerCredentials(
                self._environ,
                clock=self._clock,
                connections=Connections(clock=self._clock, max_connections=1),
            )
        self._used = self._provider.current(deadline)
        return self._used.session_token

    def _of_file(self) -> str | None:
        path = self._environ.get("ROTAWARE_TOKEN_FILE")
        if not path:
            return None
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123  pathlib costs start-up time
                return file.read().strip()
        except (OSError, UnicodeError):
            pass
        raise SettingsError(
            ["ROTAWARE_TOKEN_FILE: the file cannot be read; make it readable text"]
        )


def _header_value(token: str | None) -> str:
    if not token:
        problem = (
            "AWS_SESSION_TOKEN: is not set, nor are container credentials; outside"
            " Lambda set it, or ROTAWARE_TOKEN_FILE, to the extension's token"
        )
        raise SettingsError([problem])
    if not token.isascii() or not token.isprintable():
        raise SettingsError(
            ["the extension's token: is not printable ASCII; use the one it was given"]
        )
    return token
