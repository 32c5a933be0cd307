"""A started function takes events until it ends, however it does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from rotaware.cli import emulator, running
from rotaware.cli.emulator import LocalError
from rotaware.cli.running import Answer, Running
from rotaware.clock import SystemClock
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = """
import http.server, signal, sys, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        if sent == b"hang up":
            os._exit(1)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_):
        pass

signal.signal(signal.SIGTERM, {handler})
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
ENDS = "lambda *_: os._exit(7)"
CHILD = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"


@pytest.fixture
def port() -> int:
    """Where nobody listens."""
    return emulator.free_port()


def server(port: int, handler: str = ENDS) -> list[str]:
    """A program that answers each event with itself."""
    text = SERVER.replace("{handler}", handler)
    return [sys.executable, "-c", text, str(port)]


@pytest.fixture
def program(port: int) -> Iterator[Running]:
    """It takes events."""
    program = Running(server(port), {}, port, SystemClock())
    program.wait_until_ready()
    yield program
    program.stop()


def test_events_are_answered(program: Running) -> None:
    """With JSON, or with text that is none."""
    assert Answer(200, {"a": 1}) == program.invoke('{"a": 1}', 10)
    assert Answer(200, "no json") == program.invoke("no json", 10)


def test_no_answer(program: Running) -> None:
    """The function's process is gone; then it need not be stopped."""
    with pytest.raises(LocalError, match="does not answer"):
        program.invoke("hang up", 10)
    program.wait()


def test_it_is_told_to_end(port: int) -> None:
    """The emulator is a child of what was started, if that has one."""
    program = Running(
        [sys.executable, "-c", CHILD, *server(port)[1:]], {}, port, SystemClock()
    )
    program.wait_until_ready()
    program.stop()
    with pytest.raises(LocalError):
        program.invoke("{}", 1)


def test_what_does_not_end_is_killed(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Lambda's own time."""
    monkeypatch.setattr(running, "STOPS_WITHIN_SECONDS", 0.05)
    program = Running(server(port, "signal.SIG_IGN"), {}, port, SystemClock())
    program.wait_until_ready()
    program.stop()
    with pytest.raises(LocalError):
        program.invoke("{}", 1)


def test_what_ends_at_once(port: int) -> None:
    """The reason stands above, where it has written it."""
    program = Running([sys.executable, "-c", ""], {}, port, SystemClock())
    program.wait()
    with pytest.raises(LocalError, match="ended at once"):
        program.wait_until_ready()
    program.stop()


def test_what_never_listens(port: int) -> None:
    """It is not waited for longer than a start may take."""
    program = Running(["sleep", "60"], {}, port, ManualClock())
    try:
        with pytest.raises(LocalError, match="does not listen"):
            program.wait_until_ready()
    finally:
        program.stop()
