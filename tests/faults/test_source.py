"""Secrets Manager does not answer, or not as it should.

One process lives through all of these. Each fault meets three readers: one whose secret
is not held, one whose held value the sheet has outdated, and that one again when the
value is older than may be served on error.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from tests.support.fault_rig import (
    CHECK_SECONDS,
    NOBODY,
    RECOVERY_SECONDS,
    STALE_SECONDS,
    TOKEN,
    TTL_SECONDS,
    World,
    black_hole,
    silent_name_server,
)
from tests.support.fault_table import Row, row, rows
from tests.support.hostile_aws import (
    ELSEWHERE,
    EXPIRED,
    STRANGER,
    answer,
    hang_up,
    refuse,
    reset,
    say,
    say_and_hang_up,
    say_and_stay_silent,
    silence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.support.hostile_aws import Step

    Start = Callable[..., World]
    Injection = Callable[[World], AbstractContextManager[None]]

STALE = "hit; detail=stale-if-error"
CUT = '"code":"ConnectionError"'
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"


class Fault(NamedTuple):
    """One way of not answering.

    Attributes:
        inject: Brings it about, for as long as it is entered.
        error: What a reader sees who has nothing to fall back on.
        reason: What the log says.
        passes: Whether it may pass by itself; else AWS refused.
    """

    inject: Injection
    error: str
    reason: str
    passes: bool = True


def answered(step: Step) -> Injection:
    """Every GetSecretValue is answered so."""

    @contextlib.contextmanager
    def inject(world: World) -> Iterator[None]:
        world.account.faults["GetSecretValue"] = step
        yield

    return inject


def certified(certificate: str) -> Injection:
    """New connections are shown this certificate."""

    @contextlib.contextmanager
    def inject(world: World) -> Iterator[None]:
        world.aws.present(certificate)
        world.aws.drop_connections()
        yield

    return inject


def found_at(address: str | None) -> Injection:
    """The host's name leads there."""

    @contextlib.contextmanager
    def inject(world: World) -> Iterator[None]:
        world.resolve_to(address)
        world.aws.drop_connections()
        yield

    return inject


@contextlib.contextmanager
def no_handshake(world: World) -> Iterator[None]:
    """Connections are accepted, and that is all."""
    world.aws.greets = False
    world.aws.drop_connections()
    yield


@contextlib.contextmanager
def vanishing_packets(world: World) -> Iterator[None]:
    """Nothing ever comes back, not even a refusal to connect."""
    with black_hole(world.aws.port) as address, found_at(address)(world):
        yield


@contextlib.contextmanager
def silent_resolver(world: World) -> Iterator[None]:
    """The host's name is asked for in vain, for longer than anybody waits."""
    with silent_name_server(), found_at(None)(world):
        yield


FAULTS = {
    "silent": Fault(answered(silence()), "504 TimeoutError", "no answer in time"),
    "half an answer, then silent": Fault(
        answered(say_and_stay_silent(HALF)), "504 TimeoutError", "no answer in time"
    ),
    "half an answer, then the end": Fault(
        answered(say_and_hang_up(HALF)), "502 ConnectionError", CUT
    ),
    "connection ended": Fault(answered(hang_up()), "502 ConnectionError", CUT),
    "connection reset": Fault(answered(reset()), "502 ConnectionError", CUT),
    "no HTTP": Fault(
        answered(say(b"\x00\x01\xff\r\n" * 9)), "502 ConnectionError", "is not HTTP"
    ),
    "answer too large": Fault(
        answered(say(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")),
        "502 ConnectionError",
        "too large",
    ),
    "no JSON": Fault(
        answered(answer(b"<html>canary</html>")), "502 ConnectionError", "no JSON"
    ),
    "JSON without the fields": Fault(
        answered(answer({"Name": "canary"})), "502 MalformedResponse", "as documented"
    ),
    "an error as a 200": Fault(
        answered(refuse("InternalServiceError", "canary", 200)),
        "502 MalformedResponse",
        "as documented",
    ),
    "500": Fault(
        answered(refuse("InternalServiceError", "oops", 500)),
        "500 InternalServiceError",
        "oops",
    ),
    "503 of a proxy": Fault(
        answered(answer(b"<html>", 503)), "503 503", "status 503 without a message"
    ),
    "403 of a proxy": Fault(
        answered(answer(b"<html>", 403)), "502 403", "status 403 without a message"
    ),
    "redirect": Fault(
        answered(answer(b"", 302, {"Location": "https://elsewhere.test"})),
        "502 302",
        "status 302 without a message",
    ),
    "throttled": Fault(
        answered(refuse("ThrottlingException", "Rate exceeded")),
        "400 ThrottlingException",
        "Rate exceeded",
    ),
    "credentials expired": Fault(
        answered(refuse("ExpiredTokenException", "token is expired")),
        "400 ExpiredTokenException",
        "token is expired",
    ),
    "credentials unknown": Fault(
        answered(refuse("UnrecognizedClientException", "token is invalid", 403)),
        "403 UnrecognizedClientException",
        "token is invalid",
    ),
    "signature refused": Fault(
        answered(refuse("InvalidSignatureException", f"no match\n\n{TOKEN}")),
        "400 InvalidSignatureException",
        "no match",
    ),
    "no TLS handshake": Fault(no_handshake, "504 TimeoutError", "no connection in"),
    "expired certificate": Fault(
        certified(EXPIRED), "502 ConnectionError", "certificate has expired"
    ),
    "another host's certificate": Fault(
        certified(ELSEWHERE), "502 ConnectionError", "not valid for 'aws.test'"
    ),
    "unknown authority": Fault(
        certified(STRANGER), "502 ConnectionError", "unable to get local issuer"
    ),
    "unknown host name": Fault(
        found_at(None), "502 ConnectionError", "in name resolution"
    ),
    "silent name server": Fault(
        silent_resolver, "504 TimeoutError", "no connection in time"
    ),
    "nobody listens": Fault(
        found_at(NOBODY), "502 ConnectionError", "Connection refused"
    ),
    "packets vanish": Fault(
        vanishing_packets, "504 TimeoutError", "no connection in time"
    ),
    "permission revoked": Fault(
        answered(refuse("AccessDeniedException", "not authorized")),
        "400 AccessDeniedException",
        "not authorized",
        passes=False,
    ),
    "secret deleted": Fault(
        answered(refuse("ResourceNotFoundException", "can't find")),
        "400 ResourceNotFoundException",
        "can't find",
        passes=False,
    ),
    "secret being deleted": Fault(
        answered(refuse("InvalidRequestException", "marked for deletion")),
        "400 InvalidRequestException",
        "marked for deletion",
        passes=False,
    ),
    "KMS key disabled": Fault(
        answered(refuse("DecryptionFailure", "can't decrypt")),
        "400 DecryptionFailure",
        "can't decrypt",
        passes=False,
    ),
}


def row_of(name: str, fault: Fault) -> Row:
    """What a fault looks like."""
    held = "the held value, `stale-if-error`; without one " if fault.passes else ""
    return Row(name, f"{held}{fault.error}", fault.reason)


@rows(FAULTS, row_of)
def test_failing(world: World, fault: Fault) -> None:
    """What may pass is bridged with the held value, within its bound; a refusal not."""
    account, name = world.account, f"held-{len(world.account.versions)}"
    absent = f"absent-{len(account.versions)}"
    old, new = account.put(name), account.rotate(name)
    other = account.put(absent)
    account.versions[name].remove(new)

    assert f"{old} fwd=miss" == world.seen(name)

    account.versions[name].append(new)
    world.tick(CHECK_SECONDS)
    world.assert_alive()
    with fault.inject(world), ThreadPoolExecutor(2) as readers:
        seen = list(readers.map(world.seen, [absent, name]))

        assert [fault.error, f"{old} {STALE}" if fault.passes else fault.error] == seen

        world.tick(TTL_SECONDS + STALE_SECONDS)

        assert fault.error == world.seen(name)

        world.assert_alive()
    world.lift()
    world.tick(RECOVERY_SECONDS)

    assert f"{new} fwd=miss" == world.seen(name)
    assert f"{other} fwd=miss" == world.seen(absent)


@row(
    "Secrets Manager fails while the prefetch is under way",
    "its error; the function starts, and the next read asks again",
    '"name":"SECRET_A","code":"InternalServiceError"',
)
def test_failing_at_start(start: Start) -> None:
    """A prefetch that brings nothing is none."""
    step = refuse("InternalServiceError", "oops", 500)
    world = start(environ={"SECRET_A": "a"}, faults={"GetSecretValue": step})
    value = world.account.put("a")

    assert "GetSecretValue" in world.account.calls
    assert "500 InternalServiceError" == world.seen("a")

    world.assert_alive()
    world.lift()

    assert f"{value} fwd=miss" == world.seen("a")


@row(
    "Secrets Manager is eventually consistent: after a stamp it answers with the old"
    " version",
    "the old value, asked for again by the next reads until the new one comes",
    "evicted",
)
def test_replication_lag(world: World) -> None:
    """An answer that contradicts its stamp is not held for its TTL."""
    account = world.account
    old = account.put("lagging")

    assert f"{old} fwd=miss" == world.seen("lagging")

    new = account.rotate("lagging")
    account.lagging.add("lagging")
    world.tick(CHECK_SECONDS)

    assert [f"{old} fwd=stale"] * 3 == [world.seen("lagging") for _ in range(3)]

    account.lagging.clear()
    world.tick(1.0)

    assert f"{new} fwd=stale" == world.seen("lagging")
    assert f"{new} hit" == world.seen("lagging")
