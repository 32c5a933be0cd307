"""A pass-through in front of the AWS stand-in that remembers every call.

Calls are named as the AWS JSON protocols name them: `ssm.GetParameter`. Each client
gets a recorder of its own, so that tests can say exactly what that client asked for.
Rules change what happens to chosen calls: refuse, or hold at a gate.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The prefixes of X-Amz-Target, in the words of boto3's client names.
SERVICES = {
    "AmazonSSM": "ssm",
    "TrentService": "kms",
    "AmazonSQS": "sqs",
    "DynamoDB_20120810": "dynamodb",
}
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request to AWS, as it went by."""

    name: str
    request: dict[str, Any]
    status: int
    response: bytes = field(repr=False)


@dataclass(slots=True)
class Gate:
    """Where held calls wait, until the test lets them go on."""

    arrived: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def wait_for_arrival(self) -> None:
        """Return when a call stands at the gate."""
        if not self.arrived.wait(DEADLINE_SECONDS):
            raise TimeoutError("no call came to the gate")

    def open(self) -> None:
        """Let everyone through, from now on."""
        self.opened.set()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer that AWS shall give instead of its own."""

    status: int
    code: str
    message: str = "refused by the recorder"

    def body(self) -> bytes:
        return json.dumps({"__type": self.code, "message": self.message}).encode()


class Recorder:
    """Listens on a loopback port of its own and forwards to the stand-in."""

    def __init__(self, upstream_url: str) -> None:
        self.upstream = urlsplit(upstream_url).netloc
        self._changed = threading.Condition()
        self._calls: list[Call] = []
        self._gates: dict[str, Gate] = {}
        self._refusals: dict[str, Refusal] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.recorder = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.daemon = True
        thread.start()

    @property
    def calls(self) -> list[Call]:
        """All calls until now, in the order in which they were answered."""
        with self._changed:
            return list(self._calls)

    @property
    def counts(self) -> Counter[str]:
        """How often each operation was called."""
        return Counter(call.name for call in self.calls)

    def clear(self) -> None:
        """Forget the calls until now."""
        with self._changed:
            self._calls.clear()

    def wait_for(
        self,
        predicate: Callable[[list[Call]], bool],
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Return as soon as the calls satisfy the predicate."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: predicate(self._calls), deadline_seconds
            ):
                names = [call.name for call in self._calls]
                raise TimeoutError(f"not seen among {names}")

    @contextlib.contextmanager
    def holding(self, name: str) -> Iterator[Gate]:
        """Hold calls of one operation at a gate while the block runs."""
        gate = self._gates[name] = Gate()
        try:
            yield gate
        finally:
            del self._gates[name]
            gate.open()

    @contextlib.contextmanager
    def refusing(self, name: str, refusal: Refusal) -> Iterator[None]:
        """Answer calls of one operation in the stand-in's place."""
        self._refusals[name] = refusal
        try:
            yield
        finally:
            del self._refusals[name]

    def cut_connections(self) -> None:
        """End every connection that is open now, as a peer that was restarted does."""
        for connection in tuple(self._server.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening, and end what is open; harmless when repeated."""
        self.cut_connections()
        self._server.shutdown()
        self._server.server_close()

    def pass_through(self, name: str) -> Refusal | None:
        """Apply the rules to one call; say what to answer, if not the stand-in."""
        gate = self._gates.get(name)
        if gate is not None:
            gate.arrived.set()
            gate.opened.wait(DEADLINE_SECONDS)
        return self._refusals.get(name)

    def remember(self, call: Call) -> None:
        """Add one answered call."""
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    recorder: Recorder

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connections: set[socket.socket] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed in the middle of a call are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)
        self._upstream = http.client.HTTPConnection(self.server.recorder.upstream)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()
        self._upstream.close()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = self._name()
        recorder = self.server.recorder
        refusal = recorder.pass_through(name)
        if refusal is None:
            status, headers, answer = self._forward(body)
        else:
            status, headers, answer = refusal.status, dict[str, str](), refusal.body()
        request = json.loads(body) if body.startswith(b"{") else {}
        # Remembered before it is answered: who has the answer finds the call.
        recorder.remember(Call(name, request, status, answer))
        self.send_response_only(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815  http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing: the calls are remembered instead."""

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        self._upstream.request(self.command, self.path, body, dict(self.headers))
        response = self._upstream.getresponse()
        answer = response.read()
        dropped = HOP_BY_HOP | {"content-length"}
        headers = {k: v for k, v in response.getheaders() if k.lower() not in dropped}
        return response.status, headers, answer

    def _name(self) -> str:
        prefix, _, operation = self.headers.get("X-Amz-Target", "").partition(".")
        if not operation:
            return f"{self.command} {self.path}"
        return f"{SERVICES.get(prefix, prefix)}.{operation}"
