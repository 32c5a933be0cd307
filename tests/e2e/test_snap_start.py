"""SnapStart: what is in the snapshot, and what a restored environment does first.

The built layer, with the credentials and variables that a function with SnapStart has.
A snapshot is simulated twice. Once by freezing the one process: meanwhile keys, token
and secrets become others, connections die, and its wall clock moves on by days, its
monotonic clock not at all. And once by copying a process: two copies with the same
process id, which nothing tells that they are copies. Threads cannot be copied so; what
Lambda does to the monotonic clock is not known.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from rotaware.sheet import Sheet, encode
from tests.support.extension_process import read
from tests.support.fault_rig import (
    ARN,
    CHECK_SECONDS,
    LAYER,
    READ,
    SHEET,
    TOKEN_HEADER,
    TTL_SECONDS,
    Account,
    World,
)
from tests.support.hostile_aws import CA, HostileAws, answer, hold, refuse, silence
from tests.support.processes import Child, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from tests.support.extension_process import Read
    from tests.support.hostile_aws import Received, Step

DAY_SECONDS = 86_400.0
LIVES_APART = [CHECK_SECONDS, 5 * DAY_SECONDS]
"""Kept connections are used again after the first, not after the second."""
FAR = "2100-01-01T00:00:00Z"
AUTHORIZATION = "local-authorization"
COPIES = 3


class Role(NamedTuple):
    """The credentials of one life; what is secret in them is a canary."""

    key: str
    secret: str
    token: str


FIRST = Role("AKIDFIRST", "canary-first-secret-key", "canary-first-token")
SECOND = Role("AKIDSECOND", "canary-second-secret-key", "canary-second-token")


class Cloud:
    """The credentials endpoint of an environment, and an AWS that trusts one role.

    Attributes:
        role: Handed out, and trusted, now.
        expiration: Handed out with it.
        signed: Operation, access key and time of each call to AWS.
        dead_connections: Those to AWS that were opened before are silent.
    """

    def __init__(self) -> None:
        self.role = FIRST
        self.expiration = FAR
        self.signed: list[tuple[str, str, str]] = []
        self.dead_connections = 0
        self.provider = HostileAws(respond=self._hand_out)
        self.world: World | None = None
        self.gate: tuple[threading.Event, threading.Event] | None = None

    def environ(self) -> dict[str, str]:
        """What Lambda sets, and two secrets to prefetch."""
        without = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return dict.fromkeys(without, "") | {
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.provider.url}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": AUTHORIZATION,
            # Slow machines are no part of this.
            "ROTAWARE_CHECK_TIMEOUT": "5",
            "SECRETS_MANAGER_TIMEOUT_MILLIS": "4000",
            "SECRET_A": "a",
            "SECRET_B": "b",
        }

    def read(self, name: str, token: str | None = None) -> Read:
        """A secret, as a function reads it that has the current token."""
        assert self.world
        sent = {TOKEN_HEADER: token or self.role.token}
        return read(self.world.port, f"{READ}{name}", sent)

    def value(self, name: str) -> str:
        """Its value."""
        return str(self.read(name).document["SecretString"])

    def count(self, operation: str) -> int:
        """How often it was called."""
        return [called for called, _, _ in self.signed].count(operation)

    def respond(self, received: Received) -> Step:
        """What AWS answers."""
        operation = received.headers["x-amz-target"].rpartition(".")[2]
        key = received.headers["authorization"].partition("Credential=")[2]
        key = key.partition("/")[0]
        self.signed.append((operation, key, received.headers["x-amz-date"]))
        if received.connection <= self.dead_connections:
            return silence()
        if (key, received.headers["x-amz-security-token"]) != self.role[::2]:
            return refuse("ExpiredTokenException", "token is expired")
        step = self._answer(operation, received)
        return hold(*self.gate, step) if self.gate else step

    def _answer(self, operation: str, received: Received) -> Step:
        assert self.world
        account = self.world.account
        if operation == "GetSecretValue":
            return answer(_secret(account, received.document["SecretId"]))
        if operation == "BatchGetSecretValue":
            names = received.document["SecretIdList"]
            return answer({"SecretValues": [_secret(account, name) for name in names]})
        parameter = {"Version": account.generation, "Value": account.sheet}
        return answer({"Parameter": {"Name": SHEET, **parameter}})

    def _hand_out(self, received: Received) -> Step:
        if received.headers["authorization"] != AUTHORIZATION:
            return refuse("Forbidden", status=403)
        return answer(
            {
                "AccessKeyId": self.role.key,
                "SecretAccessKey": self.role.secret,
                "Token": self.role.token,
                "Expiration": self.expiration,
            }
        )


def _secret(account: Account, name: str) -> dict[str, object]:
    values = account.versions[name]
    return {
        "ARN": ARN.format(name),
        "Name": name,
        "VersionId": f"{len(values):08d}-0000-4000-8000-000000000000",
        "SecretString": values[-1],
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1_800_000_000,
    }


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """All that is around the environment."""
    made = Cloud()
    with made.provider:
        yield made


@pytest.fixture
def world(cloud: Cloud, tmp_path: Path) -> Iterator[World]:
    """An environment of which a snapshot could be taken now."""
    with World(tmp_path, environ=cloud.environ()) as started:
        for name in "ab":
            started.account.put(name)
        cloud.world, started.aws.respond = started, cloud.respond
        yield started


def restore(cloud: Cloud, world: World, seconds: float) -> None:
    """Freeze, and let the environment wake up in another life."""
    world.freeze()
    cloud.role = SECOND
    for name in "ab":
        world.account.rotate(name)
    world.step(wall=seconds)
    cloud.dead_connections = world.aws.connections
    cloud.signed.clear()
    world.thaw()


def in_memory(pid: int, wanted: str) -> bool:
    """Whether a process's memory holds a text anywhere."""
    place = Path(f"/proc/{pid}")
    with (place / "mem").open("rb", buffering=0) as memory:
        for line in (place / "maps").read_text().splitlines():
            span, mode, *_ = line.split()
            if not mode.startswith("r") or line.endswith(("[vvar]", "[vsyscall]")):
                continue
            start, end = (int(address, 16) for address in span.split("-"))
            try:
                memory.seek(start)
                found = wanted.encode() in memory.read(end - start)
            except OSError:  # a part of no use to anybody, such as [vvar_vclock]
                continue
            if found:
                return True
    return False


def test_a_snapshot_is_taken_of_a_process_that_has_asked_for_nothing(
    cloud: Cloud, world: World
) -> None:
    """Neither AWS nor the credentials endpoint has seen a connection."""
    assert (0, 0) == (world.aws.connections, cloud.provider.connections)
    assert world.child.running


@pytest.mark.skipif(os.geteuid() != 0, reason="the process is closed to all but root")
def test_no_secret_is_in_the_memory_of_which_a_snapshot_is_taken(
    cloud: Cloud, world: World
) -> None:
    """After the restore it is there: the search would have found it."""
    secrets = ("canary-a-2", "canary-b-2", SECOND.secret, SECOND.token)
    restore(cloud, world, 0.0)

    assert in_memory(world.child.pid, AUTHORIZATION)
    assert [] == [text for text in secrets if in_memory(world.child.pid, text)]

    world.api.invoke()
    values = [cloud.value(name) for name in "ab"]

    assert ["canary-a-2", "canary-b-2"] == values
    assert all(in_memory(world.child.pid, text) for text in secrets)


@pytest.mark.usefixtures("world")
def test_what_is_read_before_the_snapshot_is_passed_on_and_not_held(
    cloud: Cloud, events: tuple[threading.Event, threading.Event]
) -> None:
    """Each read is a fetch, but for those that come together."""
    for number in (1, 2):
        got = cloud.read("a")

        assert "canary-a-1" == got.document["SecretString"]
        assert "hit" not in got.cache_status
        assert number == cloud.count("GetSecretValue")

    arrived, released = cloud.gate = events
    before = cloud.count("GetSecretValue")
    with ThreadPoolExecutor(8) as function:
        reads = [function.submit(cloud.value, "a") for _ in range(8)]

        assert arrived.wait(10)

        # All but the one that asks have joined it, or else there would be more calls.
        released.set()

        assert {"canary-a-1"} == {each.result(10) for each in reads}
    assert cloud.count("GetSecretValue") - before < len(reads)
    assert 0 == cloud.count("BatchGetSecretValue")


@pytest.mark.parametrize("seconds", LIVES_APART, ids=["seconds", "days"])
@pytest.mark.parametrize("expiration", [FAR, "soon"])
@pytest.mark.parametrize("read_at_init", [False, True])
def test_the_first_invocation_after_a_restore(
    cloud: Cloud, world: World, expiration: str, seconds: float, *, read_at_init: bool
) -> None:
    """Values, keys and token are those of this life; old connections are not used."""
    if expiration == "soon":
        soon = time.gmtime(time.time() + DAY_SECONDS)
        cloud.expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", soon)
    if read_at_init:
        assert "canary-a-1" == cloud.value("a")
    restore(cloud, world, seconds)
    cloud.expiration = FAR
    world.api.send_invoke()
    wait_until(lambda: cloud.count("BatchGetSecretValue") > 0, "the prefetch")

    assert ["canary-a-2", "canary-b-2"] == [cloud.value(name) for name in "ab"]
    assert all("; hit;" in cloud.read(name).cache_status for name in "ab")
    assert 403 == cloud.read("a", FIRST.token).status
    assert 403 == cloud.read("a", "neither").status
    assert 0 == cloud.count("GetSecretValue")

    by_second = [called for called, key, _ in cloud.signed if key == SECOND.key]
    dates = {date[:8] for _, _, date in cloud.signed}

    assert ["BatchGetSecretValue", "GetParameter"] == sorted(by_second)
    assert {_date(seconds)} == dates
    # Keys that were held and have not expired are tried, and then taken from AWS's no.
    tried = read_at_init and not (expiration == "soon" and seconds > DAY_SECONDS)
    assert tried == (len(by_second) < len(cloud.signed))

    # Later ones fetch nothing by themselves.
    world.step(wall=2 * TTL_SECONDS)
    world.api.invoke()

    assert "fwd=stale" in cloud.read("a").cache_status
    assert 1 == cloud.count("GetSecretValue")


@pytest.mark.parametrize("seconds", LIVES_APART, ids=["seconds", "days"])
def test_a_read_that_overtakes_the_first_invocation(
    cloud: Cloud, world: World, seconds: float
) -> None:
    """It is answered rightly, as before the snapshot; what it brings is not held."""
    assert "canary-a-1" == cloud.value("a")

    restore(cloud, world, seconds)
    cloud.dead_connections = 0
    world.aws.drop_connections()

    for _ in range(2):
        assert "canary-a-2" == cloud.value("a")
    signers = [key for called, key, _ in cloud.signed if called == "GetSecretValue"]

    assert SECOND.key == signers[-1]
    assert len(signers) >= 2

    world.api.invoke()
    wait_until(lambda: "; hit;" in cloud.read("b").cache_status, "the prefetch")


def test_what_the_first_look_after_a_restore_doubts_is_fetched_by_one_call(
    cloud: Cloud, world: World
) -> None:
    """A sheet that forgets leaves no prefetched value to be fetched one by one."""
    world.account.write_sheet(encode(Sheet(horizon=1, base=world.account.generation)))
    world.api.invoke()
    wait_until(lambda: cloud.count("BatchGetSecretValue") == 2, "a second prefetch")

    assert ["canary-a-1", "canary-b-1"] == [cloud.value(name) for name in "ab"]
    assert 0 == cloud.count("GetSecretValue")


@pytest.fixture
def events() -> Iterator[tuple[threading.Event, threading.Event]]:
    """That something arrived, and that it may go on."""
    made = threading.Event(), threading.Event()
    yield made
    made[1].set()


def _date(seconds: float) -> str:
    return time.strftime("%Y%m%d", time.gmtime(time.time() + seconds))


# Copies

COPIER = """\
import json, posix, sys
CLONE_NEWPID = 0x20000000
layer, copies = sys.argv[1], int(sys.argv[2])
sys.path.insert(0, layer)
from extension import application
from extension.application import _random as random
from rotaware.assembly import store_and_checker
from rotaware.clock import Instant, SystemClock
from rotaware.log import Logger

environ = {key.decode(): value.decode() for key, value in posix.environ.items()}
clock = SystemClock()
config, aws = application._configured(environ, (), clock)
log = Logger(service="x", level="ERROR", stream=open("/dev/null", "w"), clock=clock)
store, checker = store_and_checker(
    config.settings, {}, aws, function_name=None, clock=clock, random=random, log=log
)
store.hold_nothing()
endpoint = application._endpoints(environ, config, store, checker, clock)[0]
wanted = [entry.query for entry in config.prefetch]

def state():
    checker.ensure_checked()
    number = posix.getpid()
    token = endpoint._route.keywords["tokens"]()[-1]
    return [number, token, checker._pace._current_interval_seconds]

store.get(wanted[0])
print(json.dumps(state()), flush=True)
own = posix.open("/proc/self/ns/pid", posix.O_RDONLY)
machines = SystemClock.now
for copy in range(1, copies + 1):
    # Each is the first process of a namespace, as this one is of its own: OpenSSL tells
    # a copy by the process id, and so cannot.
    posix.setns(own, CLONE_NEWPID)
    posix.unshare(CLONE_NEWPID)
    if child := posix.fork():
        posix.waitpid(child, 0)
        continue
    def now(self, days=copy):
        wall, monotonic = machines(self)
        return Instant(wall + days * 86400.0, monotonic)
    SystemClock.now = now
    application._begin_to_hold(store, checker, aws, wanted, clock)
    checker.invocation_began()
    print(json.dumps(state()), flush=True)
    posix._exit(0)
"""
CLIENT_RANDOM = slice(11, 43)
"""Where in the first bytes of a TLS connection the client's random number is."""


class Greetings:
    """A place that listens to the first bytes of each connection, and hangs up."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard: list[bytes] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                self.heard.append(connection.recv(4096)[CLIENT_RANDOM])


def _in_namespace_of_processes() -> list[str]:
    flags = ["--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        flags = ["--user", "--map-root-user", *flags]
    return ["unshare", *flags]


def test_environments_that_were_restored_from_one_snapshot_share_nothing(
    cloud: Cloud, tmp_path: Path
) -> None:
    """Neither token, nor jitter, nor the random numbers in their TLS handshakes."""
    copier, ca = tmp_path / "copier.py", tmp_path / "ca.pem"
    copier.write_text(COPIER)
    ca.write_text(CA)
    cloud.provider.respond = _a_role_for_each(itertools.count(1))
    with Greetings() as aws:
        environ = {
            **cloud.environ(),
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_CA_BUNDLE": str(ca),
            "SECRETS_MANAGER_TIMEOUT_MILLIS": "500",
        }
        command = [
            *_in_namespace_of_processes(),
            *(str(LAYER / "rotaware/bin/python3.13"), "-I", "-S", str(copier)),
            *(str(LAYER / "rotaware"), str(COPIES)),
        ]
        child = Child(command, {k: v for k, v in environ.items() if v}, tmp_path)
        try:
            assert 0 == child.wait(30), child.transcript()
        finally:
            child.stop()
        numbers, tokens, jitters = zip(*map(json.loads, child.lines), strict=True)

    assert [1] * (1 + COPIES) == list(numbers)
    assert 1 + COPIES == len(set(tokens))
    assert 1 + COPIES == len(set(jitters))
    assert len(aws.heard) >= 2 * (1 + COPIES)
    assert len(aws.heard) == len(set(aws.heard))


def _a_role_for_each(numbers: itertools.count[int]) -> Callable[[Received], Step]:
    """Hands out other credentials each time, good for an hour."""

    def respond(_: Received) -> Step:
        number = next(numbers)
        until = time.gmtime(time.time() + 3600)
        return answer(
            {
                "AccessKeyId": f"AKID{number}",
                "SecretAccessKey": "canary",
                "Token": f"canary-token-{number}",
                "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", until),
            }
        )

    return respond
