"""Connections: kept, replaced, bounded, secured, and every way they can fail."""

from __future__ import annotations

import _socket
import select
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.clock import Deadline
from rotaware.connection import Connections, Limits, _addresses
from rotaware.endpoints import Endpoint
from rotaware.errors import AwsTimeoutError, AwsUnavailableError
from rotaware.http1 import encode_request
from tests.support.clock import ManualClock
from tests.support.hostile_aws import (
    AMAZON,
    CA,
    ELSEWHERE,
    LOCALHOST,
    PATIENCE_SECONDS,
    HostileAws,
    answer,
    hang_up,
    hold,
    reset,
    say,
    say_and_hang_up,
    silence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rotaware.http1 import Response
    from tests.support.hostile_aws import Peer, Step

REQUEST = encode_request("POST", "/", [("Content-Length", "0")])


class Caller:
    """A pool of connections, and who uses it."""

    def __init__(
        self,
        *,
        max_connections: int = 2,
        ca_file: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.connections = Connections(
            clock=self.clock,
            max_connections=max_connections,
            ca_file=ca_file,
            limits=limits or Limits(),
        )

    def send(self, url: str, seconds: float = 5.0) -> Response:
        return self.connections.send(
            Endpoint.parse(url), REQUEST, Deadline(self.clock, seconds)
        )


@pytest.fixture
def make() -> Iterator[Callable[..., Caller]]:
    """Makes callers whose connections are closed at the end."""
    made: list[Caller] = []

    def make_one(**arguments: Any) -> Caller:
        made.append(Caller(**arguments))
        return made[-1]

    yield make_one
    for caller in made:
        caller.connections.close_idle()


@pytest.fixture
def caller(make: Callable[..., Caller]) -> Caller:
    """A caller with two connections."""
    return make()


@pytest.fixture
def server() -> Iterator[HostileAws]:
    """A server over http."""
    with HostileAws() as running:
        yield running


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    """The certificate of the tests' own authority."""
    file = tmp_path / "ca.pem"
    file.write_text(CA)
    return str(file)


def test_a_connection_serves_one_request_after_the_other(
    caller: Caller, server: HostileAws
) -> None:
    """A kept connection is used again."""
    server.script = [answer({"n": 1}), answer({"n": 2})]

    assert caller.send(server.url).body == b'{"n": 1}'
    assert caller.send(server.url).body == b'{"n": 2}'
    assert [request.connection for request in server.requests] == [1, 1]


def test_a_request_leaves_at_once(server: HostileAws) -> None:
    """Nagle's algorithm is off: it would hold small packets back."""
    caller = Caller()
    caller.send(server.url)
    (place,) = caller.connections._places.values()

    option = place.idle[0]._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    caller.connections.close_idle()

    assert option != 0


@pytest.mark.parametrize(
    "farewell",
    [
        pytest.param(
            answer({}, headers={"Connection": "close"}), id="closed by header"
        ),
        pytest.param(say_and_hang_up(b"HTTP/1.1 200 OK\r\n\r\n{}"), id="no length"),
        pytest.param(
            say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}!"), id="more bytes"
        ),
    ],
)
def test_a_connection_that_ends_with_its_answer_is_not_kept(
    caller: Caller, server: HostileAws, farewell: Step
) -> None:
    """The next request opens another."""
    server.script = [farewell]

    assert caller.send(server.url).body == b"{}"
    caller.send(server.url)

    assert [request.connection for request in server.requests] == [1, 2]


def _wait_for_news(caller: Caller) -> None:
    """Until the one kept connection has something to read."""
    (place,) = caller.connections._places.values()
    kept = place.idle[0]._raw

    assert select.select([kept], [], [], PATIENCE_SECONDS)[0] == [kept]


def test_a_restarted_server_goes_unnoticed(caller: Caller, server: HostileAws) -> None:
    """Kept connections that the peer has ended meanwhile are not used."""
    caller.send(server.url)
    server.drop_connections()
    _wait_for_news(caller)

    caller.send(server.url)

    assert [request.connection for request in server.requests] == [1, 2]


def test_a_reset_connection_goes_unnoticed(caller: Caller, server: HostileAws) -> None:
    """Nor those that were reset while nobody looked."""
    answered = threading.Event()

    def answer_then_reset(peer: Peer) -> bool:
        answer({})(peer)
        answered.wait(PATIENCE_SECONDS)
        return reset()(peer)

    server.script = [answer_then_reset]
    caller.send(server.url)
    answered.set()
    _wait_for_news(caller)

    caller.send(server.url)

    assert [request.connection for request in server.requests] == [1, 2]


def test_what_a_peer_says_unasked_is_no_answer(
    caller: Caller, server: HostileAws
) -> None:
    """Some servers send a time-out before they hang up an idle connection."""
    answered = threading.Event()

    def answer_then_time_out(peer: Peer) -> bool:
        answer({})(peer)
        answered.wait(PATIENCE_SECONDS)
        answer({}, 408)(peer)
        return True

    server.script = [answer_then_time_out]
    caller.send(server.url)
    answered.set()
    _wait_for_news(caller)

    assert caller.send(server.url).status == 200
    assert [1, 2] == [request.connection for request in server.requests]


@pytest.mark.parametrize(
    "death", [pytest.param(reset(), id="reset"), pytest.param(hang_up(), id="ended")]
)
def test_a_connection_that_died_idle_is_replaced_once(
    caller: Caller, server: HostileAws, death: Step
) -> None:
    """It looked alive, took the request and gave nothing: the caller sees no error."""
    server.script = [answer({}), death, answer({"again": True})]
    caller.send(server.url)

    assert caller.send(server.url).body == b'{"again": true}'
    assert [request.connection for request in server.requests] == [1, 1, 2]


def test_the_replacement_is_not_replaced(caller: Caller, server: HostileAws) -> None:
    """A new connection that dies is an error."""
    server.script = [answer({}), reset(), reset(), answer({})]
    caller.send(server.url)

    with pytest.raises(AwsUnavailableError) as caught:
        caller.send(server.url)

    assert caught.value.code == "ConnectionError"
    assert len(server.requests) == 3


def test_an_answer_that_began_is_not_asked_for_again(
    caller: Caller, server: HostileAws
) -> None:
    """Once a byte has come the request has been seen; repeating it is the caller's."""
    server.script = [answer({}), say_and_hang_up(b"HTTP/1.1 200")]
    caller.send(server.url)

    with pytest.raises(AwsUnavailableError, match="ended before the answer did"):
        caller.send(server.url)

    assert len(server.requests) == 2


def _fill(caller: Caller, server: HostileAws) -> None:
    """Leave two idle connections behind."""
    gates = [(threading.Event(), threading.Event()) for _ in range(2)]
    server.script = [hold(*gate, answer({})) for gate in gates]
    threads = []
    for arrived, _ in gates:
        threads.append(threading.Thread(target=caller.send, args=(server.url,)))
        threads[-1].start()
        assert arrived.wait(PATIENCE_SECONDS)
    for _, released in gates:
        released.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)


def test_a_failed_connection_takes_the_idle_ones_along(
    caller: Caller, server: HostileAws
) -> None:
    """What killed one has likely killed all: the next request gets a new one."""
    _fill(caller, server)
    server.script = [say(b"garbage\r\n")]

    with pytest.raises(AwsUnavailableError, match="is not HTTP"):
        caller.send(server.url)
    caller.send(server.url)

    assert server.requests[-1].connection == 3


@pytest.mark.parametrize(
    ("wall", "monotonic", "connections"),
    [
        pytest.param(60, 60, 1, id="young"),
        pytest.param(61, 0, 2, id="frozen"),
        pytest.param(0, 61, 2, id="old"),
        pytest.param(-1, 1, 2, id="stepped back"),
    ],
)
def test_a_connection_is_kept_for_a_minute(
    caller: Caller, server: HostileAws, wall: float, monotonic: float, connections: int
) -> None:
    """By the clock that saw more time pass: networks forget idle connections."""
    caller.send(server.url)
    caller.clock.step(wall=wall, monotonic=monotonic)

    caller.send(server.url)

    assert connections == server.connections


def test_idle_connections_can_be_closed(caller: Caller, server: HostileAws) -> None:
    """Afterwards a request opens a new one."""
    caller.send(server.url)
    caller.connections.close_idle()
    caller.send(server.url)

    assert server.connections == 2


def test_connections_are_bounded_and_lent_in_turn(
    caller: Caller, server: HostileAws
) -> None:
    """Who finds all of them busy waits, within its deadline."""
    gates = [(threading.Event(), threading.Event()) for _ in range(2)]
    server.script = [hold(*gate, answer({})) for gate in gates]
    threads = [
        threading.Thread(target=caller.send, args=(server.url,)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for arrived, _ in gates:
        assert arrived.wait(PATIENCE_SECONDS)

    with pytest.raises(AwsTimeoutError, match=r"127\.0\.0\.1: all connections"):
        caller.send(server.url, 0.01)
    for _, released in gates:
        released.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()

    assert server.connections == 2
    assert len(server.requests) == 3


def test_a_failed_request_gives_its_place_back(
    make: Callable[..., Caller], server: HostileAws
) -> None:
    """Failures do not use the bound up."""
    caller = make(max_connections=1)
    server.script = [reset(), reset()]
    for _ in range(2):
        with pytest.raises(AwsUnavailableError):
            caller.send(server.url)

    assert caller.send(server.url, 1).status == 200


def test_each_place_has_its_own_connections(
    make: Callable[..., Caller], server: HostileAws
) -> None:
    """A busy service does not block another one."""
    caller = make(max_connections=1)
    arrived, released = threading.Event(), threading.Event()
    server.script = [hold(arrived, released, answer({}))]
    thread = threading.Thread(target=caller.send, args=(server.url,))
    thread.start()
    assert arrived.wait(PATIENCE_SECONDS)

    with HostileAws() as other:
        assert caller.send(other.url).status == 200
        caller.connections.close_idle()
    released.set()
    thread.join(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        pytest.param(reset(), "reset", id="reset"),
        pytest.param(hang_up(), "ended before the answer did", id="ended"),
        pytest.param(
            say_and_hang_up(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
            "ended before the answer did",
            id="half",
        ),
        pytest.param(say(b"SSH-2.0-OpenSSH\r\n"), "is not HTTP", id="garbage"),
    ],
)
def test_an_answer_that_fails_is_a_connection_error(
    caller: Caller, server: HostileAws, step: Step, reason: str
) -> None:
    """It names the host and the reason."""
    server.script = [step]

    with pytest.raises(AwsUnavailableError, match=rf"127\.0\.0\.1: .*{reason}") as got:
        caller.send(server.url)

    assert got.value.code == "ConnectionError"
    assert got.value.status == 502
    assert len(server.requests) == 1


@pytest.mark.parametrize("begun", [False, True])
def test_silence_is_a_time_out(
    caller: Caller,
    server: HostileAws,
    begun: bool,  # noqa: FBT001  a table's column
) -> None:
    """The deadline ends the wait, whether or not the answer has begun."""

    def step(peer: Peer) -> bool:
        if begun:
            peer.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-")
        return silence()(peer)

    server.script = [step]

    with pytest.raises(AwsTimeoutError, match="no answer in time"):
        caller.send(server.url, 0.05)


def test_an_answer_that_trickles_is_a_time_out(
    make: Callable[..., Caller], server: HostileAws
) -> None:
    """The read limit bounds the whole answer, not each piece of it."""
    caller = make(limits=Limits(read_seconds=2))

    def trickle(peer: Peer) -> bool:
        caller.clock.tick(2)
        peer.socket.sendall(b"HTTP/1.1 200 OK\r\n")
        return False

    server.script = [trickle]

    with pytest.raises(AwsTimeoutError, match="no answer in time"):
        caller.send(server.url, 60)


def test_a_spent_deadline_sends_nothing(caller: Caller, server: HostileAws) -> None:
    """Neither on a new connection nor on a kept one."""
    with pytest.raises(AwsTimeoutError, match="no connection in time"):
        caller.send(server.url, 0)
    caller.send(server.url)
    with pytest.raises(AwsTimeoutError, match="no answer in time"):
        caller.send(server.url, 0)

    assert len(server.requests) == 1


def test_a_refused_connection_is_an_error(caller: Caller) -> None:
    """Nobody listens: the reason says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(AwsUnavailableError, match=r"127\.0\.0\.1: Connection refused"):
        caller.send(f"http://127.0.0.1:{port}")


def test_a_connection_that_is_not_accepted_is_a_time_out(
    make: Callable[..., Caller],
) -> None:
    """The connect limit ends the wait for a peer that is not there."""
    caller = make(limits=Limits(connect_seconds=0.05))
    waiting = []
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        for _ in range(4):  # nobody accepts: the queue is soon full
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)  # noqa: FBT003  the socket's own
            waiting[-1].connect_ex(address)

        with pytest.raises(AwsTimeoutError, match="no connection in time"):
            caller.send(f"http://127.0.0.1:{address[1]}")
        for each in waiting:
            each.close()


def test_every_address_of_a_host_is_tried(
    caller: Caller, server: HostileAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that answers is taken."""
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    asked: list[tuple[object, ...]] = []

    def resolve(*arguments: object, **_: object) -> list[tuple[object, ...]]:
        asked.append(arguments)
        return [
            (*kind, ("127.0.0.2", 1)),
            (*kind, ("127.0.0.1", server.port)),
        ]

    monkeypatch.setattr(_socket, "getaddrinfo", resolve)

    assert caller.send("http://service.test:8000").status == 200
    assert asked == [(b"service.test", 8000)]


def test_a_host_without_addresses_is_an_error(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some resolvers answer with nothing instead of an error."""
    monkeypatch.setattr(_socket, "getaddrinfo", lambda *_, **__: [])

    with pytest.raises(AwsUnavailableError, match=r"service\.test: .* no address"):
        caller.send("http://service.test")


def test_an_unknown_host_is_an_error(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the host that the resolver cannot find."""

    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(_socket, "getaddrinfo", resolve)

    with pytest.raises(AwsUnavailableError) as caught:
        caller.send("http://no.test")

    assert str(caught.value) == "ConnectionError: no.test: Name or service not known"


def test_a_silent_resolver_is_waited_for_no_longer_than_allowed(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes no time-out of its own."""
    answered = threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        answered.wait(10)
        return []

    monkeypatch.setattr(_socket, "getaddrinfo", resolve)

    with pytest.raises(AwsTimeoutError, match=r"slow\.test: no connection in time"):
        caller.send("http://slow.test", seconds=0.05)
    answered.set()


def test_without_a_thread_for_it_a_name_is_found_all_the_same(
    caller: Caller, server: HostileAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the bound on the resolver's time is lost."""

    def cannot_start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        found = _addresses(Endpoint.parse(server.url), Deadline(caller.clock, 5.0))

    assert ("127.0.0.1", server.port) == found[0][4]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_https_is_checked_and_kept(
    make: Callable[..., Caller], ca_file: str, tmp_path: Path, host: str
) -> None:
    """Name and certificate are right: the connection serves again and again."""
    caller = make(ca_file=ca_file)
    with HostileAws(certificate=LOCALHOST, directory=tmp_path) as server:
        for _ in range(2):
            assert caller.send(f"https://{host}:{server.port}").status == 200
        (place,) = caller.connections._places.values()
        secured: Any = place.idle[0]._stream
        version = secured._layer.version()
        caller.connections.close_idle()

    assert server.connections == 1
    assert version in {"TLSv1.2", "TLSv1.3"}


def test_the_name_that_was_asked_for_is_checked(
    make: Callable[..., Caller],
    ca_file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The certificate is for the host's name, not for the address that it has."""
    caller = make(ca_file=ca_file)
    with HostileAws(certificate=ELSEWHERE, directory=tmp_path) as server:
        place = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.port))
        monkeypatch.setattr(_socket, "getaddrinfo", lambda *_, **__: [place])

        assert caller.send(f"https://elsewhere.test:{server.port}").status == 200
        with pytest.raises(
            AwsUnavailableError, match=r"service\.test: .*Hostname mismatch"
        ):
            caller.send(f"https://service.test:{server.port}")
        caller.connections.close_idle()


def test_one_tls_context_serves_all_connections(
    make: Callable[..., Caller], ca_file: str, tmp_path: Path
) -> None:
    """Reading the CA file is the dearest step: it happens once."""
    caller = make(ca_file=ca_file)
    with HostileAws(certificate=LOCALHOST, directory=tmp_path) as server:
        caller.send(server.url)
        first = caller.connections._tls
        caller.connections.close_idle()
        caller.send(server.url)
        caller.connections.close_idle()

    assert first is caller.connections._tls
    assert first is not None
    assert first._context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert server.connections == 2


def test_a_secured_connection_that_died_idle_is_replaced(
    make: Callable[..., Caller], ca_file: str, tmp_path: Path
) -> None:
    """What holds for plain connections holds for https."""
    caller = make(ca_file=ca_file)
    with HostileAws(
        answer({}),
        reset(),
        answer({}),
        hang_up(),
        certificate=LOCALHOST,
        directory=tmp_path,
    ) as server:
        for _ in range(3):
            assert caller.send(server.url).status == 200
        caller.connections.close_idle()

    assert [request.connection for request in server.requests] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("certificate", "trusted"),
    [
        pytest.param(ELSEWHERE, CA, id="another host's certificate"),
        pytest.param(LOCALHOST, ELSEWHERE, id="an unknown authority"),
    ],
)
def test_a_certificate_that_is_not_the_hosts_is_refused(
    make: Callable[..., Caller], tmp_path: Path, certificate: str, trusted: str
) -> None:
    """No request is sent to whom the certificate does not name."""
    ca_file = tmp_path / "trusted.pem"
    ca_file.write_text(trusted)
    caller = make(ca_file=str(ca_file))
    with HostileAws(certificate=certificate, directory=tmp_path) as server:
        with pytest.raises(AwsUnavailableError, match="certificate verify failed"):
            caller.send(server.url)

        assert server.requests == []


def test_a_host_that_amazon_does_not_vouch_for_is_tried_once_more(
    make: Callable[..., Caller], tmp_path: Path
) -> None:
    """The other authorities are read when they are needed, and from then on trusted."""
    ca_file = tmp_path / "trusted.pem"
    ca_file.write_text(AMAZON + CA)
    caller = make(ca_file=str(ca_file))
    with HostileAws(certificate=LOCALHOST, directory=tmp_path) as server:
        assert caller.send(server.url).status == 200
        assert server.connections == 2
        caller.connections.close_idle()
        assert caller.send(server.url).status == 200
        caller.connections.close_idle()

        assert server.connections == 3


def test_a_server_that_speaks_no_tls_is_an_error(
    make: Callable[..., Caller], ca_file: str
) -> None:
    """What is no handshake ends the connection."""
    caller = make(ca_file=ca_file)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            with listener.accept()[0] as peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.recv(65536)

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(AwsUnavailableError, match=r"127\.0\.0\.1: .*SSL"):
            caller.send(f"https://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(PATIENCE_SECONDS)


def test_a_handshake_has_a_time_limit(
    make: Callable[..., Caller], ca_file: str
) -> None:
    """A peer that accepts and says nothing is given up."""
    caller = make(ca_file=ca_file, limits=Limits(read_seconds=0.05))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(AwsTimeoutError, match="no connection in time"),
    ):
        caller.send(f"https://127.0.0.1:{listener.getsockname()[1]}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "set AWS_CA_BUNDLE", id="none"),
        pytest.param("no certificate", "holds no usable CA certificates", id="garbage"),
    ],
)
def test_https_needs_certificates(
    make: Callable[..., Caller],
    server: HostileAws,
    tmp_path: Path,
    content: str | None,
    reason: str,
) -> None:
    """Without an authority to trust there is no connection, and the reason says so."""
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    caller = make(ca_file=None if content is None else str(ca_file))

    with pytest.raises(AwsUnavailableError, match=reason):
        caller.send(server.url.replace("http:", "https:"))
