"""The token that the extension's port asks for, wherever this environment has it.

It is read anew for each request: container credentials are renewed, files are written
again, and the variables of a function that was restored from a snapshot are not those
of its start. A reader sends one token. The port takes each that clients of the AWS
extension or of the Secrets Manager Agent would send here: the latter look into three
variables, where ``file://`` and a path may stand for the token.
"""

from __future__ import annotations

from rotaware.connection import Connections
from rotaware.errors import RotawareError, SettingsError
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rotaware.clock import Clock, Deadline
    from rotaware.credentials import ContainerCredentials, Credentials


_SESSION = "AWS_SESSION_TOKEN"
_AGENTS = "AWS_TOKEN"
_VARIABLES = (_SESSION, _AGENTS, "AWS_CONTAINER_AUTHORIZATION_TOKEN")
_FILE_SCHEME = "file://"


class Tokens:
    """Reads the token anew at each call."""

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._environ = environ
        self._clock = clock
        self._provider: ContainerCredentials | None = None
        self._used: Credentials | None = None

    @property
    def are_fixed(self) -> bool:
        """Whether they stay as they are, and are found without waiting."""
        values = [self._environ.get(name) or "" for name in _VARIABLES]
        in_files = any(value.startswith(_FILE_SCHEME) for value in values)
        return bool(values[0]) and not in_files

    def current(self, deadline: Deadline) -> str:
        """The token to send."""
        return _header_value(
            self._of_variable(_SESSION)
            or self._of_container(deadline)
            or self._of_file()
            or self._of_variable(_AGENTS)
        )

    def renewed(self, deadline: Deadline) -> str:
        """The token to send after one was refused."""
        self._renew(deadline)
        return self.current(deadline)

    def accepted(self, deadline: Deadline) -> tuple[str, ...]:
        """Every token that opens the port."""
        tokens = []
        for look_up in self._places(deadline):
            try:
                tokens.append(_header_value(look_up()))
            except RotawareError:  # noqa: PERF203  there may be another
                continue
        return tuple(tokens)

    def accepted_anew(self, deadline: Deadline) -> tuple[str, ...]:
        """The same after one was not among them."""
        try:  # noqa: SIM105  contextlib costs start-up time
            self._renew(deadline)
        except RotawareError:
            pass
        return self.accepted(deadline)

    def _places(self, deadline: Deadline) -> Iterator[Callable[[], str | None]]:
        for name in _VARIABLES:
            if self._environ.get(name):
                yield lambda name=name: self._of_variable(name)  # type: ignore[misc]
        if not self._environ.get(_SESSION):
            yield lambda: self._of_container(deadline) or self._of_file()

    def _renew(self, deadline: Deadline) -> None:
        if self._provider is not None and self._used is not None:
            self._used = self._provider.refresh(self._used, deadline)

    def _of_variable(self, name: str) -> str | None:
        value = self._environ.get(name)
        if value is None or not value.startswith(_FILE_SCHEME):
            return value
        return _read(name, value[len(_FILE_SCHEME) :])

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
        return _read("ROTAWARE_TOKEN_FILE", path) if path else None


def _read(variable: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  pathlib costs start-up time
            return file.read().strip()
    except (OSError, UnicodeError, ValueError):
        pass
    raise SettingsError([f"{variable}: the file cannot be read; make it readable text"])


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
