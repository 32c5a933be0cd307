"""Two ways of running the cache, started alike: in its own process, or in this one.

Both are given the same settings, by the names that ``rotaware.in_process`` has for
them, and are read through the same ``Client``.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import boto3

import rotaware
from rotaware.arguments import SETTINGS
from rotaware.client import Client
from tests.support.extension_process import interpreter, source_launcher
from tests.support.extensions_api import FakeExtensionsApi
from tests.support.processes import Child, free_port
from tests.support.stand_in import CREDENTIALS, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

FUNCTION = "function"


class ExtensionMode:
    """The extension of the source tree, between a fake Lambda and an AWS.

    Args:
        directory: Where it may write.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open = ExitStack()

    def start(
        self,
        url: str,
        *,
        secrets: tuple[str, ...] = (),
        variables: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Client:
        """Start it, and wait until it is through with its own start."""
        api = self._open.enter_context(FakeExtensionsApi())
        port = str(free_port())
        own = {
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": port,
            "AWS_SESSION_TOKEN": CREDENTIALS["aws_session_token"],
        }
        environ = {
            **own,
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_FUNCTION_NAME": FUNCTION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
            "AWS_ENDPOINT_URL": url,
            "ROTAWARE_CONFIG": str(self._directory / "none.yaml"),
            "TMPDIR": str(self._directory),
            **{SETTINGS[name].name: str(value) for name, value in settings.items()},
            **{f"SECRET_{number}": name for number, name in enumerate(secrets)},
        }
        if variables:
            environ |= {**variables, "ROTAWARE_KMS_ENV": ",".join(variables)}
        launcher = source_launcher(self._directory)
        command = [interpreter(launcher), "-I", "-B", "-S", str(launcher)]
        child = Child(command, environ, cwd=self._directory)
        self._open.callback(child.stop)
        api.wait_for_next()
        client = Client.from_environ(own)
        self._open.callback(client.close)
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


class InProcessMode:
    """The cache in this process; explicit arguments, and no environment at all."""

    def __init__(self, directory: Path) -> None:
        del directory
        self._open = ExitStack()

    def start(self, url: str, **settings: Any) -> Client:
        """Make it."""
        # boto3's stubs do not take arguments by a mapping.
        session: Any = boto3.Session
        client = rotaware.in_process(
            region=REGION,
            session=session(**CREDENTIALS),
            endpoint_url=url,
            environ={"AWS_LAMBDA_FUNCTION_NAME": FUNCTION},
            **settings,
        )
        self._open.callback(client.close)
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


MODES: dict[str, type[ExtensionMode | InProcessMode]] = {
    "extension": ExtensionMode,
    "in-process": InProcessMode,
}
