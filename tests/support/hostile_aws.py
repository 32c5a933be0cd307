"""A local AWS that misbehaves on cue.

A script says what becomes of each request in turn; when it has run out, every request
is answered with an empty JSON object. What arrived is kept for the test to look at.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Step = Callable[["Peer"], bool]

PATIENCE_SECONDS = 10.0


class Received(NamedTuple):
    """One request as it arrived; header names in lower case."""

    connection: int
    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Peer(NamedTuple):
    """What a step works with: the client's socket, and the end of the test."""

    socket: socket.socket
    closing: threading.Event


def answer(
    document: Mapping[str, Any] | bytes,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Step:
    """A whole answer; the connection stays open."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    lines = {"Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return say(f"HTTP/1.1 {status} Hostile\r\n{head}\r\n".encode() + body)


def refuse(code: str, message: str = "no", status: int = 400, **headers: str) -> Step:
    """An error as the JSON services send it."""
    return answer({"__type": code, "message": message}, status, headers)


def say(data: bytes) -> Step:
    """Just these bytes; the connection stays open."""

    def step(peer: Peer) -> bool:
        peer.socket.sendall(data)
        return True

    return step


def say_and_hang_up(data: bytes) -> Step:
    """Just these bytes, and the end of the connection."""

    def step(peer: Peer) -> bool:
        peer.socket.sendall(data)
        return False

    return step


def hang_up() -> Step:
    """No answer, an orderly end."""
    return say_and_hang_up(b"")


def reset() -> Step:
    """No answer, a connection reset."""

    def step(peer: Peer) -> bool:
        peer.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        return False

    return step


def silence() -> Step:
    """No answer until the test ends."""

    def step(peer: Peer) -> bool:
        peer.closing.wait(PATIENCE_SECONDS)
        return False

    return step


def hold(arrived: threading.Event, released: threading.Event, then: Step) -> Step:
    """Tell that the request arrived, and go on when released."""

    def step(peer: Peer) -> bool:
        arrived.set()
        released.wait(PATIENCE_SECONDS)
        return then(peer)

    return step


class HostileAws:
    """The server, as a context manager.

    Args:
        script: What becomes of the first, second, ... request.
        certificate: ``LOCALHOST`` or ``ELSEWHERE`` for https; None for http.
        directory: Where the certificate's file can lie; for https.

    Attributes:
        requests: What arrived.
        connections: How many were opened.
    """

    def __init__(
        self,
        *script: Step,
        certificate: str | None = None,
        directory: Path | None = None,
    ) -> None:
        self.script = list(script)
        self.requests: list[Received] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            assert directory is not None
            file = directory / "server.pem"
            file.write_text(certificate + SERVER_KEY)
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(file)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()

    def environ(self, **more: str) -> dict[str, str]:
        """An environment in which every service is this server."""
        return {
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "canary-secret-key",
            "AWS_SESSION_TOKEN": "canary-session-token",
            "AWS_ENDPOINT_URL": self.url,
            **more,
        }

    def drop_connections(self) -> None:
        """End every connection, as a restart of the server would."""
        with self._lock:
            dropped, self._open = self._open, []
        for connection in dropped:
            with contextlib.suppress(OSError):  # the client may have been faster
                connection.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._closing.is_set():
                    connection.close()
                    return
                self.connections += 1
                number = self.connections
                self._open.append(connection)
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open.append(connection)
            with connection, connection.makefile("rb") as incoming:
                while (received := _read(incoming, number)) is not None:
                    with self._lock:
                        self.requests.append(received)
                        step = self.script.pop(0) if self.script else answer({})
                    if not step(Peer(connection, self._closing)):
                        return
        except OSError:
            connection.close()


def _read(incoming: Any, connection: int) -> Received | None:
    line = incoming.readline().decode().strip()
    if not line:
        return None
    headers: dict[str, str] = {}
    while header := incoming.readline().decode().strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    body = incoming.read(int(headers.get("content-length", "0")))
    return Received(connection, line, headers, body)


# A private authority of the tests. Its key is gone; the server's key guards nothing.
CA = """\
-----BEGIN CERTIFICATE-----
MIIBajCCAQ+gAwIBAgIBATAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBByb3Rhd2Fy
ZSB0ZXN0IENBMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAbMRkw
FwYDVQQDDBByb3Rhd2FyZSB0ZXN0IENBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEnXmYIWgY+VDSNvtM/pfrX/AGVZayt7jMJyqGoTzfjKzX4KFfAGJClqUfn7Gx
aH8QMOUARX88g1E8ZB2VUopotaNCMEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8B
Af8EBAMCAQYwHQYDVR0OBBYEFLfj40F1zrYhFR+ZyEeHRsjOCQX0MAoGCCqGSM49
BAMCA0kAMEYCIQDaRv2Q/YIeuaGO3w8rteWnkaFGICA6ecvsgcM4TRIr6gIhALNg
thZlcGazL7GUrLjqUOjFysewjcAenHm5cxTU/GeZ
-----END CERTIFICATE-----
"""
LOCALHOST = """\
-----BEGIN CERTIFICATE-----
MIIBvDCCAWKgAwIBAgIBAjAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBByb3Rhd2Fy
ZSB0ZXN0IENBMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAdMRsw
GQYDVQQDDBJyb3Rhd2FyZSB0ZXN0IGdvb2QwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAASaZeluzQ/P56bzle9URclbwECbsPa9wWlPBPF3wK1wYnpfxnGEXPwHvbSQ
/eXVs0PedtPyfE9qIau9ZapMVKhmo4GSMIGPMAwGA1UdEwEB/wQCMAAwGgYDVR0R
BBMwEYIJbG9jYWxob3N0hwR/AAABMBMGA1UdJQQMMAoGCCsGAQUFBwMBMA4GA1Ud
DwEB/wQEAwIHgDAdBgNVHQ4EFgQUzxutKGHPr9xGv/nK4RjTXBRcfAwwHwYDVR0j
BBgwFoAUt+PjQXXOtiEVH5nIR4dGyM4JBfQwCgYIKoZIzj0EAwIDSAAwRQIgJo9l
JuVjUup+72Ey4WMqzPjHR6u3SMkJ146JdTLFvY0CIQDNsiLJ5fxVnPGY3i+JDqo0
3tQ4sbPtjjQ9GDKYhxHDoQ==
-----END CERTIFICATE-----
"""
ELSEWHERE = """\
-----BEGIN CERTIFICATE-----
MIIBvDCCAWKgAwIBAgIBAzAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBByb3Rhd2Fy
ZSB0ZXN0IENBMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAeMRww
GgYDVQQDDBNyb3Rhd2FyZSB0ZXN0IHdyb25nMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEmmXpbs0Pz+em85XvVEXJW8BAm7D2vcFpTwTxd8CtcGJ6X8ZxhFz8B720
kP3l1bND3nbT8nxPaiGrvWWqTFSoZqOBkTCBjjAMBgNVHRMBAf8EAjAAMBkGA1Ud
EQQSMBCCDmVsc2V3aGVyZS50ZXN0MBMGA1UdJQQMMAoGCCsGAQUFBwMBMA4GA1Ud
DwEB/wQEAwIHgDAdBgNVHQ4EFgQUzxutKGHPr9xGv/nK4RjTXBRcfAwwHwYDVR0j
BBgwFoAUt+PjQXXOtiEVH5nIR4dGyM4JBfQwCgYIKoZIzj0EAwIDSAAwRQIhAPyx
TDieavoZ28VSCVndyXUmGSACZH45aT6/HLty74zsAiBg/azEiVNxBCTA9mygupVd
EEPZ9AKtsmS1ksmHlqktBA==
-----END CERTIFICATE-----
"""
SERVER_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgeEmFKNaqbZZrqV7p
yl7RGyqi9rLHJWw3V8nocvO2KROhRANCAASaZeluzQ/P56bzle9URclbwECbsPa9
wWlPBPF3wK1wYnpfxnGEXPwHvbSQ/eXVs0PedtPyfE9qIau9ZapMVKhm
-----END PRIVATE KEY-----
"""
