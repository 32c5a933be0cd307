"""The client of the Extensions API, against a server that says exactly what it is told.

Each test scripts the bytes of an answer; the whole protocol is in the process tests.
"""

from __future__ import annotations

import errno
import json
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension.extensions_api import (
    ExtensionsApi,
    ExtensionsApiError,
    ExtensionsApiGoneError,
    Invoke,
    Shutdown,
    UnknownEvent,
    _event,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATIENCE_SECONDS = 10.0
REGISTERED = b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: id-1\r\n\r\n"
INVOKE = {
    "eventType": "INVOKE",
    "deadlineMs": 1_800_000_000_123,
    "requestId": "r-1",
    "invokedFunctionArn": "arn:aws:lambda:eu-west-1:1122:function:f",
    "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1-a"},
}
SHUTDOWN = {"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 7}


class Lambda:
    """Answers connections one after the other, each with the next pieces."""

    def __init__(self, answers: Sequence[Sequence[bytes]]) -> None:
        self.received: list[bytes] = []
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._thread.join(PATIENCE_SECONDS)
        self._listener.close()

    def _serve(self) -> None:
        for pieces in self._answers:
            connection, _ = self._listener.accept()
            connection.settimeout(PATIENCE_SECONDS)
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.received.append(connection.recv(1 << 16))
                with suppress(ConnectionError):  # who has read enough leaves
                    for piece in pieces:
                        connection.sendall(piece)


@contextmanager
def scripted(*answers: Sequence[bytes]) -> Iterator[tuple[ExtensionsApi, Lambda]]:
    """A client, and the server that it talks to."""
    server = Lambda(answers)
    try:
        yield ExtensionsApi(server.address), server
    finally:
        server.close()


def ok(body: object) -> bytes:
    """A whole answer."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text


def chunked(body: bytes, size: int) -> bytes:
    """A whole answer, as Go's server sends what it does not know the length of."""
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    encoded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
    return head + encoded + b"0\r\n\r\n"


def described(event: Invoke | Shutdown | UnknownEvent) -> tuple[object, ...]:
    """An event's parts."""
    match event:
        case Invoke():
            return "INVOKE", event.trace, event.request_id
        case Shutdown():
            return "SHUTDOWN", event.deadline_ms, event.reason
        case UnknownEvent():
            return (event.event_type,)


@pytest.mark.parametrize(
    ("invoke", "events"), [(True, b'"INVOKE","SHUTDOWN"'), (False, b'"SHUTDOWN"')]
)
def test_register(events: bytes, *, invoke: bool) -> None:
    """The name, and the events that are wanted; what comes back is shown later."""
    with scripted([REGISTERED], [ok(SHUTDOWN)]) as (api, server):
        api.register("rotaware", invoke=invoke)
        api.next_event()
    body = b'{"events":[%s]}' % events
    host = server.address.encode()

    assert [
        b"POST /2020-01-01/extension/register HTTP/1.1\r\nHost: %s\r\n"
        b"Connection: close\r\nLambda-Extension-Name: rotaware\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (host, len(body), body),
        b"GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: %s\r\n"
        b"Connection: close\r\nLambda-Extension-Identifier: id-1\r\n"
        b"Content-Length: 0\r\n\r\n" % host,
    ] == server.received


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (INVOKE, ("INVOKE", "Root=1-a", "r-1")),
        ({**INVOKE, "tracing": None}, ("INVOKE", None, "r-1")),
        (
            {**INVOKE, "tracing": {"value": 5}, "requestId": 5},
            ("INVOKE", None, None),
        ),
        ({"eventType": "INVOKE"}, ("INVOKE", None, None)),
        (SHUTDOWN, ("SHUTDOWN", 7, "spindown")),
        ({"eventType": "SHUTDOWN", "deadlineMs": None}, ("SHUTDOWN", 0, "None")),
        ({"eventType": "RESTORE"}, ("RESTORE",)),
        ({"eventType": "shutdown"}, ("shutdown",)),
        ({"eventType": None}, ("None",)),
    ],
)
def test_events(document: object, expected: tuple[object, ...]) -> None:
    """What Lambda says; only what it calls SHUTDOWN is one, details or not."""
    with scripted([ok(document)]) as (api, _):
        assert expected == described(api.next_event())


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("in_chunks", [False, True])
def test_answers_in_pieces(size: int, *, in_chunks: bool) -> None:
    """Segments and chunks may end anywhere."""
    body = json.dumps({**INVOKE, "filler": "x" * 300}).encode()
    answer = chunked(body, size) if in_chunks else ok(body)
    pieces = [answer[start : start + size] for start in range(0, len(answer), size)]
    with scripted(pieces) as (api, _):
        assert "INVOKE" == described(api.next_event())[0]


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (b"", 0, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", 0, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", 0, "broke off"),
        (chunked(b"{}", 2)[:-3], 0, "broke off"),
        (chunked(b"{}", 2)[:-9], 0, "broke off"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * (3 << 20), 0, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", 0, "many"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
            0,
            "ValueError",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n", 0, "JSON"),
        (b"\r\n\r\n", 0, "IndexError"),
        (b"HTTP/1.1 OK\r\n\r\n", 0, "ValueError"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", 100, ""),
        (b"HTTP/1.1 301 Moved\r\n\r\n", 301, ""),
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nwhy?",
            403,
            "why?",
        ),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\n\xff", 500, "\ufffd"),
        (ok(b"not JSON"), 0, "JSON"),
        (ok(b"{}"), 0, "eventType"),
        (ok([INVOKE]), 0, "TypeError"),
        (ok({"eventType": "SHUTDOWN", "deadlineMs": "soon"}), 0, "soon"),
        (ok({"eventType": "INVOKE", "tracing": "Root"}), 0, "AttributeError"),
        (ok(b'{"eventType":"SHUTDOWN","deadlineMs":Infinity}'), 0, "Overflow"),
        (ok(b"[" * 100_000), 0, "RecursionError"),
    ],
)
def test_what_is_no_event(answer: bytes, status: int, reason: str) -> None:
    """Whatever else comes is one kind of error, and the next call goes on."""
    with scripted([answer], [ok(SHUTDOWN)]) as (api, _):
        with pytest.raises(ExtensionsApiError) as refusal:
            api.next_event()

        assert status == refusal.value.status
        assert str(refusal.value).startswith(f"/event/next: {status}")
        assert reason in str(refusal.value)
        assert "SHUTDOWN" == described(api.next_event())[0]


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from([*INVOKE, *SHUTDOWN, "value"]), inner
        ),
    ).map(lambda document: json.dumps(document).encode())
)
def test_any_body_is_an_event_or_an_error(body: bytes) -> None:
    """Nothing but an event or an ExtensionsApiError ever comes out."""
    try:
        event = _event(body)
    except ExtensionsApiError as fault:
        status = fault.status
    else:
        status = 0

        assert described(event)
    assert 0 == status


def test_nobody_listens() -> None:
    """A server that is gone can be told from one that fails."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ExtensionsApiGoneError, match="ConnectionRefusedError"):
        ExtensionsApi(f"127.0.0.1:{port}").register("rotaware", invoke=True)


def test_registering_brings_an_identifier() -> None:
    """Without one no event could be asked for."""
    with (
        scripted([ok({})]) as (api, _),
        pytest.raises(ExtensionsApiError, match="no identifier"),
    ):
        api.register("rotaware", invoke=True)


def test_an_answer_that_stops_coming_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To wait for an event is right, to wait for the rest of one is not."""
    monkeypatch.setattr("extension.extensions_api._ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        api = ExtensionsApi(f"127.0.0.1:{listener.getsockname()[1]}")
        accepted: list[socket.socket] = []

        def half_an_answer() -> None:
            accepted.append(listener.accept()[0])
            accepted[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")

        thread = threading.Thread(target=half_an_answer)
        thread.start()
        with pytest.raises(ExtensionsApiError, match="TimeoutError"):
            api.next_event()
        thread.join(PATIENCE_SECONDS)
        accepted[0].close()


def test_without_a_descriptor_for_it_a_call_fails_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process has used up its descriptors, and may have some again later."""

    def exhausted(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("extension.extensions_api._socket.socket", exhausted)
    with pytest.raises(ExtensionsApiError, match="Too many open files"):
        ExtensionsApi("127.0.0.1:9").next_event()


def test_the_default_port() -> None:
    """An address without port means HTTP's."""
    assert ("127.0.0.1", 80) == ExtensionsApi("127.0.0.1")._address


@pytest.mark.parametrize("initialized", [False, True])
def test_failures_are_reported_where_they_belong(*, initialized: bool) -> None:
    """Before the first event they are the initialization's, after it the exit's."""
    answers = [[REGISTERED], *([[ok(INVOKE)]] if initialized else []), [ok({})]]
    with scripted(*answers) as (api, server):
        api.register("rotaware", invoke=True)
        if initialized:
            api.next_event()
        api.report_failure("Extension.ConfigInvalid", "TTL: “soon” is no number")
    head, _, body = server.received[-1].partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")

    assert ("exit" if initialized else "init") + "/error" in line
    assert "Lambda-Extension-Identifier: id-1" in fields
    assert "Lambda-Extension-Function-Error-Type: Extension.ConfigInvalid" in fields
    assert {
        "errorMessage": "TTL: “soon” is no number",
        "errorType": "Extension.ConfigInvalid",
        "stackTrace": [],
    } == json.loads(body)
