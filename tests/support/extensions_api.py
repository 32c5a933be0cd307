"""Lambda's Extensions API for one extension, with a test in Lambda's place.

Events are handed out in the order in which the test sends them; the call for the next
event waits until there is one. What the extension registered and reported is kept.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

DEADLINE_SECONDS = 30.0
IDENTIFIER = "3d2b9f3c-0000-4000-8000-5a0c1f8f1f3e"
TRACE = "Root=1-5f35ae12-0c0fec141ab77a00bc047aa2;Sampled=1"


class Call(NamedTuple):
    """One call but those for the next event; header names in lower case."""

    path: str
    headers: dict[str, str]
    document: Any


class Misbehaviour(NamedTuple):
    """What becomes of one call instead of an answer.

    Attributes:
        said: The bytes that are sent.
        hangs: Whether nothing follows them, instead of the connection's end.
        resets: Whether that end is a reset.
    """

    said: bytes = b""
    hangs: bool = False
    resets: bool = False


class FakeExtensionsApi:
    """Listens on a loopback port.

    Attributes:
        address: As in AWS_LAMBDA_RUNTIME_API.
        calls: All calls but those for the next event.
        managed: Whether INVOKE cannot be registered for.
        statuses: With what the next calls of a path are refused, in order.
        misbehaviours: What becomes of the next calls of a path, before that.
        asked: How often the next event was asked for.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.managed = False
        self.statuses: defaultdict[str, deque[int]] = defaultdict(deque)
        self.misbehaviours: defaultdict[str, deque[Misbehaviour]] = defaultdict(deque)
        self.asked = 0
        self._events: deque[bytes] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._closed = False
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Be gone, as when the environment has died. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_SECONDS)

    def wait_for_call(self, path: str) -> Call:
        """The first call of a path, as soon as it was made."""

        def found() -> list[Call]:
            return [call for call in self.calls if call.path == path]

        with self._changed:
            assert self._changed.wait_for(found, DEADLINE_SECONDS), path
            return found()[0]

    def wait_for_next(self) -> None:
        """Return once the extension waits for an event that was not sent yet."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self._waiting > 0 and not self._events, DEADLINE_SECONDS
            ), "the extension does not ask for the next event"

    def invoke(self) -> None:
        """Begin an invocation, and return once the extension waits again."""
        self.send_invoke()
        self.wait_for_next()

    def send_invoke(self) -> None:
        """Begin an invocation."""
        self.send(
            {
                "eventType": "INVOKE",
                "deadlineMs": int((time.time() + 3) * 1000),
                "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                "invokedFunctionArn": "arn:aws:lambda:eu-west-1:1122:function:f",
                "tracing": {"type": "X-Amzn-Trace-Id", "value": TRACE},
            }
        )

    def shut_down(self, reason: str = "SPINDOWN", seconds: float = 2.0) -> None:
        """Say that the environment ends."""
        self.send(
            {
                "eventType": "SHUTDOWN",
                "shutdownReason": reason,
                "deadlineMs": int((time.time() + seconds) * 1000),
            }
        )

    def send(self, event: dict[str, Any] | bytes) -> None:
        """Any event, or bytes that are none."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        with self._changed:
            self._events.append(body)
            self._changed.notify_all()

    def misbehaviour(self, call: Call) -> Misbehaviour | None:
        """What becomes of a call instead of an answer; counts it."""
        with self._changed:
            self.asked += call.path == "/event/next"
            scripted = self.misbehaviours[call.path]
            misbehaviour = scripted.popleft() if scripted else None
            self._changed.notify_all()
        return misbehaviour

    def wait_until_asked(self, times: int) -> None:
        """Return once the next event was asked for so often."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.asked >= times, DEADLINE_SECONDS
            ), f"asked for the next event {self.asked} times"

    def wait_for_the_end(self) -> None:
        """Return when this is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, DEADLINE_SECONDS)

    def answer(self, call: Call) -> tuple[int, bytes]:
        """Status and body."""
        with self._changed:
            if call.path != "/event/next":
                self.calls.append(call)
                self._changed.notify_all()
            if self.statuses[call.path]:
                return self.statuses[call.path].popleft(), b'{"errorType":"Scripted"}'
            if call.path == "/register":
                events = call.document["events"]
                refused = self.managed and "INVOKE" in events
                return (403 if refused else 200), b'{"functionName":"f"}'
            assert call.headers["lambda-extension-identifier"] == IDENTIFIER
            if call.path != "/event/next":
                return 202, b'{"status":"OK"}'
            return 200, self._next_event()

    def _next_event(self) -> bytes:
        self._waiting += 1
        self._changed.notify_all()
        self._changed.wait_for(lambda: self._events or self._closed)
        self._waiting -= 1
        if self._closed:
            raise ConnectionAbortedError
        return self._events.popleft()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    api: FakeExtensionsApi

    def handle_error(self, *_: object) -> None:
        """The client sees it; the test's output need not."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path = self.path.removeprefix("/2020-01-01/extension")
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(path, headers, json.loads(body) if body else None)
        misbehaviour = self.server.api.misbehaviour(call)
        if misbehaviour is not None:
            self._misbehave(misbehaviour)
            return
        status, answer = self.server.api.answer(call)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        if path == "/register":
            self.send_header("Lambda-Extension-Identifier", IDENTIFIER)
        self.end_headers()
        self.wfile.write(answer)

    def _misbehave(self, misbehaviour: Misbehaviour) -> None:
        self.close_connection = True
        self.wfile.write(misbehaviour.said)
        if misbehaviour.hangs:
            self.server.api.wait_for_the_end()
        if misbehaviour.resets:
            at_once = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            os.close(self.connection.detach())

    do_POST = do_GET  # noqa: N815  http.server's name

    def log_message(self, *_: object) -> None:
        """Requests are kept by the fake."""
