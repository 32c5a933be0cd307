"""What the real port refuses, and that nothing behind it is taken for a request.

Each row is one in ``docs/port.md``, under the same name.
"""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, NamedTuple

import h11
import pytest

from extension.http_server import HEAD_SECONDS, MAX_CONNECTIONS
from rotaware.sheet import Sheet, encode
from tests.support.extension_process import (
    ROOT,
    SHEET,
    TOKEN,
    ExtensionProcess,
    ScriptedAws,
    source_launcher,
)
from tests.support.extensions_api import FakeExtensionsApi

if TYPE_CHECKING:
    from collections.abc import Iterator

READ = "GET /secretsmanager/get?secretId=db HTTP/1.1"
SMUGGLED = (
    f"GET /v1/db HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {TOKEN}\r\n\r\n"
).encode()


class Hostile(NamedTuple):
    """A request and its refusal.

    Attributes:
        name: As in the docs.
        line: Its first line.
        fields: Its headers, besides a valid token.
        status: What it is answered with.
        code: Likewise.
        ends: Whether the connection ends there.
    """

    name: str
    line: str
    fields: str
    status: int
    code: str
    ends: bool = True

    @property
    def data(self) -> bytes:
        """All of it, as it is sent."""
        if not self.fields:
            return self.line.encode("latin-1")
        fields = f"X-Vault-Token: {TOKEN}\r\n{self.fields}"
        return f"{self.line}\r\n{fields}\r\n\r\n".encode("latin-1")


LOCAL = "Host: localhost"
MALFORMED, TOO_LARGE = "MalformedRequest", "ContentTooLarge"
HOSTILE = [
    Hostile(
        "a rebound name as Host",
        READ,
        "Host: rebound.example",
        400,
        "InvalidHost",
        ends=False,
    ),
    Hostile(
        "a name that begins like loopback",
        READ,
        "Host: 127.0.0.1.rebound.example",
        400,
        "InvalidHost",
        ends=False,
    ),
    Hostile("an empty Host", READ, "Host:", 400, "InvalidHost", ends=False),
    Hostile("no Host", READ, "Accept: */*", 400, MALFORMED),
    Hostile("two Hosts", READ, f"{LOCAL}\r\nhost: localhost", 400, MALFORMED),
    Hostile(
        "X-Forwarded-For",
        READ,
        f"{LOCAL}\r\nX-Forwarded-For: 127.0.0.1",
        400,
        "Forwarded",
        ends=False,
    ),
    Hostile(
        "Forwarded", READ, f"{LOCAL}\r\nForwarded: for=a", 400, "Forwarded", ends=False
    ),
    Hostile("two tokens", READ, f"{LOCAL}\r\nX-Vault-Token: x", 400, MALFORMED),
    Hostile(
        "an absolute target",
        "GET http://localhost/ping HTTP/1.1",
        LOCAL,
        400,
        MALFORMED,
    ),
    Hostile("CONNECT", "CONNECT localhost:443 HTTP/1.1", LOCAL, 400, MALFORMED),
    Hostile("OPTIONS *", "OPTIONS * HTTP/1.1", LOCAL, 400, MALFORMED),
    Hostile("OPTIONS", "OPTIONS /ping HTTP/1.1", LOCAL, 405, "MethodNotAllowed"),
    Hostile("TRACE", "TRACE /ping HTTP/1.1", LOCAL, 405, "MethodNotAllowed"),
    Hostile("POST", "POST /ping HTTP/1.1", LOCAL, 405, "MethodNotAllowed"),
    Hostile(
        "the preface of HTTP/2",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "",
        505,
        "HttpVersionNotSupported",
    ),
    Hostile("a TLS handshake", "\x16\x03\x01\x02\0\x01\0\x01\xfc", "", 400, MALFORMED),
    Hostile("HTTP/0.9", "GET /ping\r\n\r\n", "", 400, MALFORMED),
    Hostile("a folded header", READ, f"{LOCAL}\r\nX: a\r\n b", 400, MALFORMED),
    Hostile("LF alone", "GET /ping HTTP/1.1\nHost: localhost\n\n", "", 400, MALFORMED),
    Hostile("LF inside of a header", READ, f"{LOCAL}\r\nX: a\nY: b", 400, MALFORMED),
    Hostile("CR inside of a header", READ, f"{LOCAL}\r\nX: a\rY: b", 400, MALFORMED),
    Hostile("NUL in the target", "GET /v1/d\0b HTTP/1.1", LOCAL, 400, MALFORMED),
    Hostile("NUL in a header", READ, f"{LOCAL}\r\nX: \0", 400, MALFORMED),
    Hostile(
        "a space before the colon",
        READ,
        f"{LOCAL}\r\nTransfer-Encoding : chunked",
        400,
        MALFORMED,
    ),
    Hostile("Content-Length", READ, f"{LOCAL}\r\nContent-Length: 5", 413, TOO_LARGE),
    Hostile(
        "a huge Content-Length",
        READ,
        f"{LOCAL}\r\nContent-Length: {'9' * 5000}",
        413,
        TOO_LARGE,
    ),
    Hostile(
        "two Content-Lengths",
        READ,
        f"{LOCAL}\r\nContent-Length: 0\r\nContent-Length: 5",
        400,
        MALFORMED,
    ),
    Hostile(
        "a chunked body", READ, f"{LOCAL}\r\nTransfer-Encoding: chunked", 413, TOO_LARGE
    ),
    Hostile(
        "both kinds of length",
        READ,
        f"{LOCAL}\r\nContent-Length: 0\r\nTransfer-Encoding: chunked",
        413,
        TOO_LARGE,
    ),
    Hostile(
        "a head over 16 KiB",
        READ,
        f"{LOCAL}\r\nX: {'x' * 16384}",
        431,
        "HeaderTooLarge",
    ),
    Hostile(
        "a huge version number",
        f"GET /systemsmanager/parameters/get?name=a&version={'9' * 5000} HTTP/1.1",
        LOCAL,
        400,
        "InvalidRequest",
        ends=False,
    ),
    Hostile(
        "a parameter given twice",
        "GET /secretsmanager/get?secretId=a&secretId=b HTTP/1.1",
        LOCAL,
        400,
        "InvalidRequest",
        ends=False,
    ),
]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExtensionProcess]:
    """The extension, serving a secret."""
    directory = tmp_path_factory.mktemp("port")
    with FakeExtensionsApi() as api, ScriptedAws() as aws:
        aws.secrets["db"] = "s3cret"
        aws.parameters[SHEET] = encode(Sheet())
        process = ExtensionProcess(source_launcher(directory), api, aws, directory)
        api.wait_for_next()
        yield process
        process.child.stop()


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda each: each.name)
def test_hostile_requests(port: ExtensionProcess, hostile: Hostile) -> None:
    """One answer, readable by any client; behind it only a good request is served."""
    (status, body), *behind = exchange(port, hostile.data + SMUGGLED)
    served = [] if hostile.ends else [200]

    assert (hostile.status, hostile.code) == (status, json.loads(body)["__type"])
    assert served == [status for status, _ in behind]


def exchange(port: ExtensionProcess, data: bytes) -> list[tuple[int, bytes]]:
    """Send it at once, and read status and body of each answer, up to the end."""
    client = h11.Connection(h11.CLIENT)
    with socket.create_connection(("127.0.0.1", port.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while received := connection.recv(1 << 16):
            client.receive_data(received)
    answers: list[tuple[int, bytes]] = []
    while client.trailing_data[0]:
        client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        response, body = client.next_event(), b""

        assert isinstance(response, h11.Response)

        while isinstance(event := client.next_event(), h11.Data):
            body += event.data

        assert isinstance(event, h11.EndOfMessage)

        answers.append((response.status_code, body))
        if client.their_state is h11.DONE:
            client.start_next_cycle()
    return answers


def test_idle_connections_make_room(port: ExtensionProcess) -> None:
    """More clients than there are places are served, one after the other."""
    ping = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(MAX_CONNECTIONS + 20):
            address = ("127.0.0.1", port.port)
            client = stack.enter_context(socket.create_connection(address, timeout=10))
            client.sendall(ping)

            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")

            clients.append(client)

        assert [b""] * 20 == [client.recv(1) for client in clients[:20]]

        clients[20].sendall(ping)

        assert clients[20].recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")


def test_half_a_request_is_given_up(port: ExtensionProcess) -> None:
    """After a few seconds, by an answer that says why; nobody else notices."""
    address = ("127.0.0.1", port.port)
    with socket.create_connection(address, timeout=HEAD_SECONDS * 3) as client:
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n")

        assert "healthy" == port.read("/ping").document
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_the_docs_list_the_same() -> None:
    """Row by row, in this order: answer, and what becomes of the connection."""
    text = (ROOT / "docs" / "port.md").read_text(encoding="utf-8")
    table = text[text.index("| what comes") :].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]

    assert [
        [each.name, f"{each.status} `{each.code}`", "ends" if each.ends else "goes on"]
        for each in HOSTILE
    ] == rows
