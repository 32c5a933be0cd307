"""Reads over one kept-alive connection: each answer is one segment, so none waits.

An answer in two segments waits for the client's delayed acknowledgement: 40 ms each.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Environment

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

READS = 100
# A hit takes well under a millisecond; eight that wait for their acknowledgement, this.
STALLED_SECONDS = 0.3
# Where struct tcp_info has tcpi_data_segs_in.
DATA_SEGMENTS_IN = 152
LARGEST_ANSWER = 65_536


@pytest.mark.parametrize("runtime", ["node-in-debian-11"], indirect=True)
def test_node_never_waits_for_an_acknowledgement(
    start: Start, make_secrets: MakeSecrets
) -> None:
    """Node's reads over its one connection take less than a few stalls would."""
    (name,) = make_secrets("canary-value")
    environment = start(name, environ={"ROTAWARE_CHECK_INTERVAL": "300"})
    environment.read(name)
    response = environment.sandbox.invoke({"secrets": [name] * READS})

    assert response.body["values"] == ["canary-value"] * READS
    assert response.seconds < STALLED_SECONDS


@pytest.mark.parametrize("runtime", ["go-in-debian-11"], indirect=True)
def test_an_answer_is_one_segment(
    start: Start, make_secrets: MakeSecrets, credentials: dict[str, str]
) -> None:
    """Head and body leave in one write, hit or error alike."""
    (name,) = make_secrets("canary-value")
    environment = start(name, environ={"ROTAWARE_CHECK_INTERVAL": "300"})
    environment.read(name)
    paths = [f"/secretsmanager/get?secretId={name}", "/ping", "/no/such/path"]
    address = ("127.0.0.1", environment.sandbox.extension_port)
    with socket.create_connection(address, timeout=10) as client:
        for count, path in enumerate(paths * (READS // 10), start=1):
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Aws-Parameters-Secrets"
            token = credentials["AWS_SESSION_TOKEN"]
            client.sendall(f"{head}-Token: {token}\r\n\r\n".encode())
            answer = client.recv(LARGEST_ANSWER)
            head, _, body = answer.decode().partition("\r\n\r\n")

            assert f"Content-Length: {len(body)}\r\n" in f"{head}\r\n"
            assert segments_in(client) == count


def segments_in(client: socket.socket) -> int:
    """How many segments with data have arrived."""
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int(struct.unpack_from("I", info, DATA_SEGMENTS_IN)[0])
