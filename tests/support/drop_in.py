"""The extension as clients of others meet it: started, and read byte by byte."""

from __future__ import annotations

import contextlib
import http.client
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rotaware.sheet import Sheet, encode
from tests.support.extension_process import (
    SHEET,
    TOKEN,
    ExtensionProcess,
    ScriptedAws,
    source_launcher,
)
from tests.support.extensions_api import FakeExtensionsApi

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GOLDEN = Path(__file__).parents[1] / "contract" / "golden"
WITH_TOKEN = {"X-Aws-Parameters-Secrets-Token": TOKEN}


class Golden(NamedTuple):
    """A body that is known to the byte.

    Attributes:
        name: What is read.
        target: The request to the local port.
        operation: What AWS is asked.
        request: Likewise.
        answer: What AWS says.
        body: What the local port says.
    """

    name: str
    target: str
    operation: str
    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    body: str


def golden(name: str) -> list[Golden]:
    """The bodies in a file."""
    text = (GOLDEN / f"{name}.json").read_text(encoding="utf-8")
    return [Golden(**fields) for fields in json.loads(text)]


class RecordedAws(ScriptedAws):
    """AWS that also knows what some requests were answered."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[Golden] = []
        self.parameters[SHEET] = encode(Sheet())

    def answer(self, operation: str, request: Mapping[str, Any]) -> tuple[int, Any]:
        for each in self.recorded:
            if (operation, request) == (each.operation, each.request):
                self.calls.append(operation)
                return 200, each.answer
        return super().answer(operation, request)


class Answer(NamedTuple):
    """One answer, as it is."""

    status: int
    content_type: str
    body: bytes


def ask(
    port: int,
    target: str,
    headers: Mapping[str, str] = WITH_TOKEN,
    method: str = "GET",
) -> Answer:
    """Read from a local port, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, target, headers=dict(headers))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    return Answer(response.status, response.headers["Content-Type"], body)


@contextlib.contextmanager
def started(
    aws: RecordedAws, directory: Path, **environ: str
) -> Iterator[ExtensionProcess]:
    """The extension, before the first invocation."""
    variables = {"ROTAWARE_CHECK_INTERVAL": "600", **environ}
    with FakeExtensionsApi() as api:
        process = ExtensionProcess(
            source_launcher(directory), api, aws, directory, environ=variables
        )
        try:
            api.wait_for_next()
            yield process
        finally:
            process.child.stop()


def refusal_to_start(aws: RecordedAws, directory: Path, **environ: str) -> str:
    """Why it does not start."""
    with FakeExtensionsApi() as api:
        process = ExtensionProcess(
            source_launcher(directory), api, aws, directory, environ=environ
        )
        try:
            message: str = api.wait_for_call("/init/error").document["errorMessage"]
        finally:
            process.child.stop()
    return message
