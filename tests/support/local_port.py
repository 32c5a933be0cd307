"""A real server on a loopback port that answers as a test says.

It speaks HTTP/1.1 with kept connections, one thread each, and can hang up on all of
them, as happens to an idle connection over a freeze.
"""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        path: Its path, without the query.
        fields: Its query, decoded.
        headers: Its headers, names in lower case.
        connection: The number of the connection that it came on, from 1.
    """

    path: str
    fields: dict[str, str]
    headers: dict[str, str]
    connection: int


@dataclass(frozen=True)
class Answer:
    """One answer; None as status hangs up instead."""

    status: int | None
    document: Any = None
    cache_status: str = "hit; ttl=300"

    def encoded(self, connection: str) -> bytes:
        """The whole answer, for one write."""
        body = (
            self.document
            if isinstance(self.document, bytes)
            else json.dumps(self.document).encode()
        )
        return (
            f"HTTP/1.1 {self.status} X\r\nContent-Type: application/json\r\n"
            f"Cache-Status: rotaware; {self.cache_status}\r\n"
            f"Connection: {connection}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


@dataclass
class LocalPort:
    """Listens on a free port of 127.0.0.1 while it is entered."""

    respond: Callable[[Asked], Answer]
    asked: list[Asked] = field(default_factory=list)
    _open: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.number: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(10)

    def hang_up(self) -> None:
        """End every open connection."""
        while self._open:
            connection = self._open.pop()
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                connection.close()

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            number += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as lines:
            while asked := _read(lines, number):
                self.asked.append(asked)
                answer = self.respond(asked)
                if answer.status is None:
                    return
                last = asked.headers.get("connection", "keep-alive")
                try:
                    connection.sendall(answer.encoded(last))
                except OSError:
                    return
                if last == "close":
                    return


def _read(lines: Any, number: int) -> Asked | None:
    """The next request; None when the peer has hung up."""
    try:
        start = lines.readline().decode()
        headers = {}
        while line := lines.readline().decode().rstrip("\r\n"):
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
    except OSError:
        return None
    if not start:
        return None
    method, target, version = start.split()
    assert (method, version) == ("GET", "HTTP/1.1")
    parts = urlsplit(target)
    query = parse_qs(
        parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)
    )
    assert all(len(values) == 1 for values in query.values())
    fields = {name: values[0] for name, values in query.items()}
    return Asked(parts.path, fields, headers, number)
