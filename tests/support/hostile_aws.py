"""A local AWS that misbehaves on cue.

A script says what becomes of each request in turn; when it has run out, a responder
does, or every request is answered with an empty JSON object. What arrived is kept for
the test to look at.
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


def say_and_stay_silent(data: bytes) -> Step:
    """Just these bytes, and nothing more until the test ends."""

    def step(peer: Peer) -> bool:
        return say(data)(peer) and silence()(peer)

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
        certificate: ``LOCALHOST`` or another for https; None for http.
        directory: Where the certificate's file can lie; for https.
        respond: What becomes of requests that the script says nothing about.

    Attributes:
        requests: What arrived.
        connections: How many were opened.
        respond: What becomes of requests that the script says nothing about.
        greets: Whether it takes part in TLS handshakes.
    """

    def __init__(
        self,
        *script: Step,
        certificate: str | None = None,
        directory: Path | None = None,
        respond: Callable[[Received], Step] = lambda _: answer({}),
    ) -> None:
        self.greets = True
        self.respond = respond
        self._directory = directory
        self.script = list(script)
        self.requests: list[Received] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self.present(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"

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

    def present(self, certificate: str) -> None:
        """Show this certificate on new connections."""
        assert self._directory is not None
        file = self._directory / "server.pem"
        file.write_text(certificate + SERVER_KEY)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(file)
        self._tls = tls

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
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
            if not self.greets:
                silence()(Peer(connection, self._closing))
                connection.close()
                return
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open.append(connection)
            with connection, connection.makefile("rb") as incoming:
                while (received := _read(incoming, number)) is not None:
                    with self._lock:
                        self.requests.append(received)
                        step = self.script.pop(0) if self.script else None
                    step = step or self.respond(received)
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
ZSB0ZXN0IGNhMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAbMRkw
FwYDVQQDDBByb3Rhd2FyZSB0ZXN0IGNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEiCQjACdpKuewka9zkizEiXu/eVnyxZ63D2TymDR7jxHW8tF+1oEkG2MQUL+g
SEtuWv0j65a4/9Si5ubD18wKS6NCMEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8B
Af8EBAMCAQYwHQYDVR0OBBYEFGJzttHKfVLvXhEkb5q72Ka0xDODMAoGCCqGSM49
BAMCA0kAMEYCIQCnqbn40z0ts91YMZoypz/YIHyIAzaEq7m8GOrfZbkDkQIhANp8
eBaCk33zEw0bhIDHpp6Lc1Gf8x2pyb75DGPlAjKi
-----END CERTIFICATE-----
"""
LOCALHOST = """\
-----BEGIN CERTIFICATE-----
MIIBxzCCAWygAwIBAgIBAzAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBByb3Rhd2Fy
ZSB0ZXN0IGNhMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAdMRsw
GQYDVQQDDBJyb3Rhd2FyZSB0ZXN0IGdvb2QwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAARHy7kGRR06XpjdnhE4ZOZdpK4mM0g3hj69CwfxgtKGk1BTSKF15do+3zt7
Ems1Nm5nGdXnMTQtwHj80XzDhmVHo4GcMIGZMAwGA1UdEwEB/wQCMAAwDgYDVR0P
AQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQWBBQu9Q2x/6QT
PbkQPRB/rAbZPj5gCDAfBgNVHSMEGDAWgBRic7bRyn1S714RJG+au9imtMQzgzAk
BgNVHREEHTAbgglsb2NhbGhvc3SCCGF3cy50ZXN0hwR/AAABMAoGCCqGSM49BAMC
A0kAMEYCIQD8VOgx1cuHH0mFsUYNGhWK08jPHvmp063ALY2djCpOzQIhAJwNomXA
VYHdh+NL3q5WghHMA8fw7p4iLdtAfXOljKJV
-----END CERTIFICATE-----
"""
# Another, that calls itself Amazon; its key is gone, too.
AMAZON = """\
-----BEGIN CERTIFICATE-----
MIIB2TCCAX+gAwIBAgIUeF6HgW/bfEn6D2tqz/l1P0lpTZEwCgYIKoZIzj0EAwIw
QTELMAkGA1UEBhMCVVMxDzANBgNVBAoMBkFtYXpvbjEhMB8GA1UEAwwYQW1hem9u
IFJvb3QgQ0Egb2YgYSB0ZXN0MCAXDTI2MTEyMDExNTI0MFoYDzIxMjYxMDI3MTE1
MjQwWjBBMQswCQYDVQQGEwJVUzEPMA0GA1UECgwGQW1hem9uMSEwHwYDVQQDDBhB
bWF6b24gUm9vdCBDQSBvZiBhIHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATt8QQxT0VGLy55QrBA7rB6StTpC9dp0UFvlfXLPS6G1QeuXAcUBukF66YXG1Hn
37hlowsAo8KaKFPAvy79hudDo1MwUTAdBgNVHQ4EFgQUI6uddVBaz5OIJDM3UUHH
aOy1YywwHwYDVR0jBBgwFoAUI6uddVBaz5OIJDM3UUHHaOy1YywwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAy6i463mKnqdiqWmLYvItYxhdLlX1
XO73y4p7JhG8gaoCIG3f88g/sEmiBmnBMLrcBpKz0NvSnCeWhKXJTbEOgJSW
-----END CERTIFICATE-----
"""
BY_AMAZON = """\
-----BEGIN CERTIFICATE-----
MIIBuDCCAV2gAwIBAgIUQ27ba3u2nuU436t2RJ8MtWMjRiQwCgYIKoZIzj0EAwIw
QTELMAkGA1UEBhMCVVMxDzANBgNVBAoMBkFtYXpvbjEhMB8GA1UEAwwYQW1hem9u
IFJvb3QgQ0Egb2YgYSB0ZXN0MCAXDTI2MTEyMDExNTMxNloYDzIxMjUwNjE0MTE1
MzE2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAARHy7kGRR06XpjdnhE4ZOZdpK4mM0g3hj69CwfxgtKGk1BTSKF15do+3zt7
Ems1Nm5nGdXnMTQtwHj80XzDhmVHo14wXDAaBgNVHREEEzARgglsb2NhbGhvc3SH
BH8AAAEwHQYDVR0OBBYEFC71DbH/pBM9uRA9EH+sBtk+PmAIMB8GA1UdIwQYMBaA
FCOrnXVQWs+TiCQzN1FBx2jstWMsMAoGCCqGSM49BAMCA0kAMEYCIQCA/HkXwc/t
w/O3ldwBssxtq39g1kV8Knt4t59GYj1E6AIhAMyGkuUJA3GY4gUee0Ua8z1dXZCe
ZOI0dF9HJZ3NaiX6
-----END CERTIFICATE-----
"""
ELSEWHERE = """\
-----BEGIN CERTIFICATE-----
MIIBuzCCAWKgAwIBAgIBBDAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBByb3Rhd2Fy
ZSB0ZXN0IGNhMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAeMRww
GgYDVQQDDBNyb3Rhd2FyZSB0ZXN0IHdyb25nMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAER8u5BkUdOl6Y3Z4ROGTmXaSuJjNIN4Y+vQsH8YLShpNQU0ihdeXaPt87
exJrNTZuZxnV5zE0LcB4/NF8w4ZlR6OBkTCBjjAMBgNVHRMBAf8EAjAAMA4GA1Ud
DwEB/wQEAwIHgDATBgNVHSUEDDAKBggrBgEFBQcDATAdBgNVHQ4EFgQULvUNsf+k
Ez25ED0Qf6wG2T4+YAgwHwYDVR0jBBgwFoAUYnO20cp9Uu9eESRvmrvYprTEM4Mw
GQYDVR0RBBIwEIIOZWxzZXdoZXJlLnRlc3QwCgYIKoZIzj0EAwIDRwAwRAIgO+eg
tAsIvDpK0/uT2Chzj+KmhU1dhwBPCwF5xde62qECIF2mTDmdIyBvD9z7ZsgtIU32
CrRvWiGFQlq51KyY6TDE
-----END CERTIFICATE-----
"""
EXPIRED = """\
-----BEGIN CERTIFICATE-----
MIIBxjCCAW2gAwIBAgIBBTAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBByb3Rhd2Fy
ZSB0ZXN0IGNhMB4XDTIwMDEwMTAwMDAwMFoXDTIwMDIwMTAwMDAwMFowIDEeMBwG
A1UEAwwVcm90YXdhcmUgdGVzdCBleHBpcmVkMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAER8u5BkUdOl6Y3Z4ROGTmXaSuJjNIN4Y+vQsH8YLShpNQU0ihdeXaPt87
exJrNTZuZxnV5zE0LcB4/NF8w4ZlR6OBnDCBmTAMBgNVHRMBAf8EAjAAMA4GA1Ud
DwEB/wQEAwIHgDATBgNVHSUEDDAKBggrBgEFBQcDATAdBgNVHQ4EFgQULvUNsf+k
Ez25ED0Qf6wG2T4+YAgwHwYDVR0jBBgwFoAUYnO20cp9Uu9eESRvmrvYprTEM4Mw
JAYDVR0RBB0wG4IJbG9jYWxob3N0gghhd3MudGVzdIcEfwAAATAKBggqhkjOPQQD
AgNHADBEAiBC1z7eDgKxkSrBlW4RyKKRJYwoEWtrsOvI7qTjtp/cIwIgQAbP7/Ty
iPhTdPj+fgpb2cG5jIBcxPRDe5y3m4eBOiM=
-----END CERTIFICATE-----
"""
# By another authority, which nobody knows.
STRANGER = """\
-----BEGIN CERTIFICATE-----
MIIBzTCCAXWgAwIBAgIBBjAKBggqhkjOPQQDAjAhMR8wHQYDVQQDDBZyb3Rhd2Fy
ZSB0ZXN0IHN0cmFuZ2VyMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAw
WjAgMR4wHAYDVQQDDBVyb3Rhd2FyZSB0ZXN0IHVua25vd24wWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAARHy7kGRR06XpjdnhE4ZOZdpK4mM0g3hj69CwfxgtKGk1BT
SKF15do+3zt7Ems1Nm5nGdXnMTQtwHj80XzDhmVHo4GcMIGZMAwGA1UdEwEB/wQC
MAAwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQW
BBQu9Q2x/6QTPbkQPRB/rAbZPj5gCDAfBgNVHSMEGDAWgBR6lgokQBBrxBQ/y11f
Ia6aHpzyyzAkBgNVHREEHTAbgglsb2NhbGhvc3SCCGF3cy50ZXN0hwR/AAABMAoG
CCqGSM49BAMCA0YAMEMCIHnfv2ufdrZqpVPapvA3cA56vTqWKbN5OLUgtbWnbPWj
Ah8eKuS/XfV++aUjXz5WSGSsUpQq5dPFMSHTmkLhMH2t
-----END CERTIFICATE-----
"""
# Their own authorities: the one names localhost in its subject alone.
BY_SUBJECT = """\
-----BEGIN CERTIFICATE-----
MIIBJDCBywIUbQw5RWMmcf+wSzLdG9GUwbZlz24wCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMDEyNTg0M1oYDzIxMjYxMDI3MTI1ODQz
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARHy7kGRR06XpjdnhE4ZOZdpK4mM0g3hj69CwfxgtKGk1BTSKF15do+3zt7Ems1
Nm5nGdXnMTQtwHj80XzDhmVHMAoGCCqGSM49BAMCA0gAMEUCIB5jgnws+na15nfW
qXW9+WlSYNCQMdodD3EwNREGRZpIAiEAw33Adm4vIbzoMA/xzGc71WYKuMQZT5nb
PPLTtNEsJk4=
-----END CERTIFICATE-----
"""
BY_ITSELF = """\
-----BEGIN CERTIFICATE-----
MIIBXTCCAQOgAwIBAgIUbb/aG6w+I5Yn+Yyq0n8a3Qj3Z1MwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGaXRzZWxmMCAXDTI2MTEyMDEyNTg0M1oYDzIxMjYxMDI3MTI1
ODQzWjARMQ8wDQYDVQQDDAZpdHNlbGYwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARHy7kGRR06XpjdnhE4ZOZdpK4mM0g3hj69CwfxgtKGk1BTSKF15do+3zt7Ems1
Nm5nGdXnMTQtwHj80XzDhmVHozcwNTAUBgNVHREEDTALgglsb2NhbGhvc3QwHQYD
VR0OBBYEFC71DbH/pBM9uRA9EH+sBtk+PmAIMAoGCCqGSM49BAMCA0gAMEUCIQD7
8Z+6RrO7WIUXfo3uBYm1H3CRm+7GqZi1Ph/hIgjHCQIgX4qNwyN9lREoXHJFxkYQ
SrW+jxdKv+erxy2EkdfBmDc=
-----END CERTIFICATE-----
"""
SERVER_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgaJoONN12tlwCRM9D
aaT2K3XcOpgNlUvEcCNk517GTjChRANCAARHy7kGRR06XpjdnhE4ZOZdpK4mM0g3
hj69CwfxgtKGk1BTSKF15do+3zt7Ems1Nm5nGdXnMTQtwHj80XzDhmVH
-----END PRIVATE KEY-----
"""
