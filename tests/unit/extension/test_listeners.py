"""Listening sockets, each with its handler."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

import pytest

from extension.listeners import DEAF_SECONDS, Listeners
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extension.connection import Handler

PATIENCE_SECONDS = 10.0
HANDLERS = [cast("Handler", object()), cast("Handler", object())]


class World:
    """Two listeners and what the loop would wait on."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.clock = ManualClock()
        self.poll = stack.enter_context(select.epoll())
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in HANDLERS]
        ports = list(zip(self.sockets, HANDLERS, strict=True))
        self.listeners = Listeners(ports, self.poll, self.clock)
        stack.callback(self.listeners.close)
        self.listeners.open()

    def connect(self, number: int) -> None:
        """A newcomer."""
        address = self.sockets[number].getsockname()
        client = socket.create_connection(address, PATIENCE_SECONDS)
        self.stack.callback(client.close)

    def is_deaf(self) -> bool:
        """Whether the loop has to look at the time."""
        return self.listeners.deaf is not None

    def ready(self, seconds: float = PATIENCE_SECONDS) -> list[int]:
        """The numbers of those who have newcomers."""
        filenos = [fileno for fileno, _ in self.poll.poll(seconds)]
        own = [listener.fileno() for listener in self.sockets]
        return sorted(own.index(each) for each in self.listeners.among(filenos))


@pytest.fixture
def world() -> Iterator[World]:
    """Both are open."""
    with ExitStack() as stack:
        yield World(stack)


@pytest.mark.parametrize("number", [0, 1])
def test_who_comes_is_given_the_handler_of_the_port(world: World, number: int) -> None:
    """Which answers all that is asked on that connection."""
    world.connect(number)

    assert [number] == world.ready()

    connection = world.listeners.accept(world.sockets[number].fileno())

    assert connection is not None
    assert connection.handler is HANDLERS[number]

    connection.socket.close()


def test_who_has_gone_is_nobody(world: World) -> None:
    """There is nothing to accept, and nothing to say."""
    assert world.listeners.accept(world.sockets[0].fileno()) is None


def test_other_descriptors_are_none_of_them(world: World) -> None:
    """They are connections, or the loop's own."""
    assert [] == world.listeners.among([world.poll.fileno()])


def test_newcomers_wait_for_a_while(world: World) -> None:
    """At all the ports, and not for ever."""
    world.listeners.turn_away()
    for number in (0, 1):
        world.connect(number)

    assert [] == world.ready(0)

    world.clock.tick(DEAF_SECONDS - 0.001)
    world.listeners.expire()

    assert [] == world.ready(0)
    assert world.is_deaf()

    world.clock.tick(0.001)
    world.listeners.expire()

    assert [0, 1] == world.ready()
    assert not world.is_deaf()

    world.listeners.expire()

    assert [0, 1] == world.ready()


def test_closing_closes_all(world: World) -> None:
    """No port is left open."""
    world.listeners.close()

    assert [-1, -1] == [listener.fileno() for listener in world.sockets]
