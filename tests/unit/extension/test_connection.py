"""Which connections may be closed for a newcomer."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, cast

import pytest

from extension.connection import Connection
from rotaware.clock import Deadline
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extension.connection import Handler

PATIENCE_SECONDS = 5.0
NOBODY = cast("Handler", None)


class Pair:
    """A connection that was used once, and its client."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client = socket.create_connection(listener.getsockname(), 10)
            accepted, _ = listener.accept()
        self.connection = Connection(accepted.detach(), NOBODY)
        self.connection.heard = 1

    def close(self) -> None:
        self.client.close()
        self.connection.socket.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected sockets."""
    made = Pair()
    yield made
    made.close()


def test_a_connection_that_waits_for_its_client_is_idle(pair: Pair) -> None:
    """It was used, and nothing has come since."""
    assert pair.connection.is_idle()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("waiting", True),
        ("closing", True),
        ("outgoing", b"half an answer"),
        ("received", b"GET"),
    ],
)
def test_a_connection_with_something_under_way_is_not_idle(
    pair: Pair, field: str, value: object
) -> None:
    """Neither a request, nor an answer, nor a refusal is cut off."""
    setattr(pair.connection, field, value)

    assert not pair.connection.is_idle()


def test_a_request_that_nobody_has_looked_at_is_under_way(pair: Pair) -> None:
    """What lies in the socket counts, and stays there."""
    pair.client.sendall(b"GET")
    pair.connection.socket.setblocking(True)  # noqa: FBT003  the standard signature

    assert b"GET" == pair.connection.socket.recv(3, socket.MSG_PEEK)
    assert not pair.connection.is_idle()
    assert b"GET" == pair.connection.socket.recv(3)


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)])
def test_a_client_that_has_gone_is_not_waited_for(
    pair: Pair, linger: bytes | None
) -> None:
    """Whether it left in order or by a reset."""
    if linger is not None:
        pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    pair.client.close()

    assert pair.connection.is_idle()


def test_a_newcomer_is_given_time_to_ask(pair: Pair) -> None:
    """It is about to send its first request."""
    pair.connection.heard = 0

    assert not pair.connection.is_idle()

    pair.connection.patience = Deadline(pair.clock, PATIENCE_SECONDS)
    pair.clock.tick(PATIENCE_SECONDS - 1)

    assert not pair.connection.is_idle()

    pair.clock.tick(1)

    assert pair.connection.is_idle()


def test_who_was_heard_last_comes_last(pair: Pair) -> None:
    """The order in which connections are closed."""
    other = Pair()
    other.connection.heard = 2
    both = [other.connection, pair.connection]

    assert both[::-1] == sorted(both, key=Connection.last_heard)

    other.close()
