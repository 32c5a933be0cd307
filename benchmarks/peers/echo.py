"""The peers for reads: servers that answer anything with the same bytes.

    echo.py blocking|selectors|asyncio PORT FILE

They parse nothing, so each shows what its way of serving costs at the least. FILE holds
the answer.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import sys
from pathlib import Path

CHUNK = 65536


def blocking(port: int, answer: bytes) -> None:
    """One connection at a time, blocking calls."""
    listener = _listener(port)
    while True:
        client, _ = listener.accept()
        with client:
            while client.recv(CHUNK):
                client.sendall(answer)


def on_selectors(port: int, answer: bytes) -> None:
    """All connections on one selectors loop."""
    listener = _listener(port)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            client = key.fileobj
            assert isinstance(client, socket.socket)  # noqa: S101  for the types
            if client is listener:
                accepted, _ = listener.accept()
                accepted.setblocking(False)  # noqa: FBT003  the standard signature
                selector.register(accepted, selectors.EVENT_READ)
            elif client.recv(CHUNK):
                client.send(answer)
            else:
                selector.unregister(client)
                client.close()


def on_asyncio(port: int, answer: bytes) -> None:
    """All connections on asyncio's streams, as its manual shows an echo server."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(CHUNK):
            writer.write(answer)
            await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(echo, sock=_listener(port))
        await server.serve_forever()

    asyncio.run(serve())


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    return listener


if __name__ == "__main__":
    serve = {"blocking": blocking, "selectors": on_selectors, "asyncio": on_asyncio}
    serve[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]).read_bytes())
