"""A function that runs under the emulator: it takes events until it ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rotaware.cli.emulator import LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rotaware.clock import Clock

INVOCATIONS = "/2015-03-31/functions/function/invocations"
OK = 200
STARTS_WITHIN_SECONDS = 20.0
STOPS_WITHIN_SECONDS = 5.0
_POLL_SECONDS = 0.02


class Answer(NamedTuple):
    """What an invocation answered."""

    status: int
    body: Any

    @property
    def failed(self) -> bool:
        """Whether the function raised an error, or could not be run."""
        shape = {"errorMessage", "errorType"}
        raised = isinstance(self.body, dict) and shape <= self.body.keys()
        return raised or self.status != OK


class Running:
    """A started function, until ``stop``.

    Args:
        start: What starts it.
        variables: Its environment.
        port: Where it takes events.
        clock: Time, for waiting.
    """

    def __init__(
        self,
        start: Sequence[str],
        variables: Mapping[str, str],
        port: int,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._port = port
        # What extension and function write is for the person, not for a program.
        self._process = subprocess.Popen(  # noqa: S603  our own
            start, env=dict(variables), start_new_session=True, stdout=2
        )

    def wait_until_ready(self) -> None:
        """Return when it takes events.

        Raises:
            LocalError: It ended instead, or does not begin to listen.
        """
        for _ in range(int(STARTS_WITHIN_SECONDS / _POLL_SECONDS)):
            if self._process.poll() is not None:
                raise LocalError("the function ended at once; see above for the reason")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            self._clock.sleep(_POLL_SECONDS)
        raise LocalError(f"the emulator does not listen on port {self._port}")

    def invoke(self, event: str, timeout_seconds: float) -> Answer:
        """One invocation with an event, which is JSON.

        Raises:
            LocalError: It does not answer.
        """
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=timeout_seconds
        )
        with closing(connection):
            try:
                connection.request("POST", INVOCATIONS, event)
                response = connection.getresponse()
                raw = response.read()
            except (OSError, http.client.HTTPException) as fault:
                name = type(fault).__name__
                raise LocalError(f"the function does not answer: {name}") from None
        try:
            return Answer(response.status, json.loads(raw))
        except ValueError:
            return Answer(response.status, raw.decode(errors="replace"))

    def wait(self) -> None:
        """Return when it has ended by itself."""
        self._process.wait()

    def stop(self) -> None:
        """Deliver SHUTDOWN as Lambda does; then end what is left."""
        if self._process.poll() is None:
            os.kill(self._emulator(), signal.SIGTERM)
            try:
                self._process.wait(STOPS_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _emulator(self) -> int:
        """The process in the namespaces, whose parent does not pass signals on."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid
