"""What the port answers, over the real store, cache and checker."""

from __future__ import annotations

import io
import json
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extension.dialects import DIALECTS
from extension.endpoint import Endpoint
from extension.http1 import parse_head, render
from extension.routes import legacy_route, route
from rotaware.cache import Cache
from rotaware.checker import Checker
from rotaware.errors import (
    AwsError,
    AwsThrottledError,
    AwsTimeoutError,
    AwsUnavailableError,
)
from rotaware.log import Logger
from rotaware.secret import PARAMETER_STORE, SECRETS_MANAGER, Fetched, Query, Value
from rotaware.sheet import Edition, Sheet, Stamp, subject_of, version_digest
from rotaware.store import Store
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from extension.dialects import Dialect
    from extension.http1 import Request
    from extension.routes import Ask

TOKEN = "canary-token"
TTL_SECONDS = 10.0
INTERVAL_SECONDS = 5.0


def arn_of(name: str) -> str:
    """A secret's ARN."""
    return f"arn:aws:secretsmanager:eu-west-1:111122223333:secret:{name}-AbCdEf"


def read(name: str, *fields: str, query: str = "") -> bytes:
    """The bytes of a read."""
    lines = [f"GET /v1/{name}{query} HTTP/1.1", "Host: localhost", *fields]
    return "\r\n".join([*lines, f"X-Vault-Token: {TOKEN}", "", ""]).encode()


class Aws:
    """A source of secrets, each of which has the version that a test says."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.fault: Exception | None = None
        self.fetches = 0

    def fetch(self, query: Query, *, timeout_seconds: float | None = None) -> Fetched:
        assert timeout_seconds is None or timeout_seconds > 0
        self.fetches += 1
        if self.fault is not None:
            raise self.fault
        version = self.versions.get(query.id, "v1")
        arn = arn_of(query.id)
        size = 20_000 if query.id == "large" else 0
        value = Value({"SecretString": version.ljust(size, "."), "VersionId": version})
        return Fetched(value, arn, subject_of(arn), version)

    def batches(self, queries: Iterable[Query]) -> list[list[Query]]:
        raise NotImplementedError

    def fetch_many(self, batch: Sequence[Query]) -> Mapping[Query, Fetched | AwsError]:
        raise NotImplementedError


class Home:
    """A sheet that a test writes."""

    max_bytes = 4096

    def __init__(self) -> None:
        self.edition: Edition | None = Edition(1, Sheet())
        self.reads = 0

    def read(self, *, timeout_seconds: float | None = None) -> Edition | None:
        assert timeout_seconds
        self.reads += 1
        return self.edition

    def read_overwritten(self, generation: int) -> Edition | None:
        raise NotImplementedError

    def write(self, sheet: Sheet, *, over: Edition) -> int | None:
        raise NotImplementedError

    def stamp(self, name: str, version: str) -> None:
        """Say that a secret has a new current version."""
        assert self.edition is not None
        generation, sheet = self.edition
        stamp = Stamp(version_digest(version), generation)
        stamps = {**sheet.stamps, subject_of(arn_of(name)): stamp}
        self.edition = Edition(
            generation + 1, sheet._replace(base=generation, stamps=stamps)
        )


class Served(NamedTuple):
    """An answer, and how it was made: ``prepared``, ``now`` or in a ``worker``."""

    made: str
    status: int
    cache_status: str
    body: str


class World:
    """An endpoint and all that it stands on."""

    def __init__(
        self,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        cache_size: int = 1000,
        token_changes: bool = False,
        dialect: Dialect = DIALECTS["aws-extension"],
    ) -> None:
        self.clock = ManualClock()
        self.aws = Aws()
        self.home = Home()
        self.output = io.StringIO()
        self.token = TOKEN
        self.renewed_token = TOKEN
        log = Logger(service="test", level="INFO", stream=self.output, clock=self.clock)
        ttls = dict.fromkeys((SECRETS_MANAGER, PARAMETER_STORE), TTL_SECONDS)
        self.store = Store(self.aws, Cache(cache_size, 3600.0), ttls, self.clock, log)
        self.checker = Checker(
            self.home,
            self.store.apply,
            interval_seconds=interval_seconds,
            timeout_seconds=0.5,
            clock=self.clock,
            random=lambda: 0.0,
            log=log,
        )
        renewed = partial(route, tokens=lambda: (self.renewed_token,))
        self.endpoint = Endpoint(
            self.store,
            self.checker,
            partial(route, tokens=lambda: (self.token,)),
            dialect,
            self.clock,
            renewed_route=renewed if token_changes else None,
            stats=lambda: b'{"state":"well"}',
        )

    def ask(self, received: bytes) -> Served:
        """An answer, made as the server makes it."""
        prepared = self.endpoint.prepared(received)
        if prepared is not None:
            return _served("prepared", prepared)
        request = parse_head(received[:-4])
        remembered = received if request.keep_alive else None
        response = self.endpoint.answer_now(request, remembered)
        if response is not None:
            return _served("now", render(response))
        return _served("worker", render(self.endpoint.answer(request)))

    def read(self, name: str) -> str:
        """How a read is answered: made, version, Cache-Status."""
        served = self.ask(read(name))
        version = json.loads(served.body)["SecretString"]
        return f"{served.made} {version} {served.cache_status}"

    def pass_time(self, seconds: float) -> None:
        self.clock.tick(seconds)


def _served(made: str, answer: bytes) -> Served:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)

    assert str(len(body)) == fields["Content-Length"]

    return Served(made, int(status.split()[1]), fields["Cache-Status"], body.decode())


def warm(**options: float) -> World:
    """A world in which the secret ``db`` is held and prepared, fresh for 9.5 s more."""
    world = World(**options)  # type: ignore[arg-type]

    assert "worker v1 rotaware; fwd=miss" == world.read("db")

    world.pass_time(0.5)

    assert "now v1 rotaware; hit; ttl=9" == world.read("db")
    assert "prepared v1 rotaware; hit; ttl=9" == world.read("db")

    return world


# A second answer to the same bytes


def test_an_answer_is_prepared_until_its_second_is_over() -> None:
    """``ttl`` is always the whole seconds that are left."""
    world = warm()
    world.pass_time(0.25)

    assert "prepared v1 rotaware; hit; ttl=9" == world.read("db")

    world.pass_time(0.25)

    assert "now v1 rotaware; hit; ttl=9" == world.read("db")
    assert "now v1 rotaware; hit; ttl=9" == world.read("db")

    world.pass_time(0.125)

    assert "now v1 rotaware; hit; ttl=8" == world.read("db")
    assert "prepared v1 rotaware; hit; ttl=8" == world.read("db")


def test_a_prepared_answer_ends_when_a_check_is_due() -> None:
    """The interval may be over in the middle of a second."""
    world = World(interval_seconds=1.25)
    world.read("db")
    world.pass_time(1.125)
    world.read("db")

    assert "prepared v1 rotaware; hit; ttl=8" == world.read("db")

    world.pass_time(0.125)

    assert "worker v1 rotaware; hit; ttl=8" == world.read("db")
    assert 2 == world.home.reads


def test_a_prepared_answer_ends_with_its_ttl() -> None:
    """What expires within the second is asked for again."""
    world = World(interval_seconds=60.0)
    world.read("db")
    world.pass_time(TTL_SECONDS - 0.125)

    assert "now v1 rotaware; hit; ttl=0" == world.read("db")
    assert "prepared v1 rotaware; hit; ttl=0" == world.read("db")

    world.pass_time(0.125)

    assert "worker v1 rotaware; fwd=stale" == world.read("db")


def test_a_prepared_answer_ends_with_an_eviction() -> None:
    """A stamp is heeded at once."""
    world = warm()
    world.aws.versions["db"] = "v2"
    world.home.stamp("db", "v2")
    assert world.home.edition
    world.store.apply(world.home.edition)

    assert "worker v2 rotaware; fwd=stale" == world.read("db")


def test_a_prepared_answer_ends_with_an_invocation() -> None:
    """At interval 0, going back to wait and an INVOKE each ask for a new check."""
    world = World(interval_seconds=0.0)
    world.checker.invocation_began()
    world.read("db")
    world.pass_time(0.5)
    world.read("db")

    assert "prepared v1 rotaware; hit; ttl=9" == world.read("db")

    world.checker.invocation_ended()
    world.pass_time(0.001)

    assert "worker v1 rotaware; hit; ttl=9" == world.read("db")

    world.aws.versions["db"] = "v2"
    world.home.stamp("db", "v2")
    world.checker.invocation_began()

    assert "worker v2 rotaware; fwd=stale" == world.read("db")


@pytest.mark.parametrize("query", ["?refreshNow=true", "?insteadOf=v1"])
def test_a_prepared_answer_ends_with_a_refresh(query: str) -> None:
    """What somebody else asked for anew is served to all."""
    world = warm()
    world.aws.versions["db"] = "v2"

    assert "rotaware; fwd=request" == world.ask(read("db", query=query)).cache_status
    assert "now v2 rotaware; hit; ttl=10" == world.read("db")


@pytest.mark.parametrize("wall", [-0.001, -3600.0])
def test_a_prepared_answer_ends_when_the_clock_is_stepped_back(wall: float) -> None:
    """A wall clock that lies makes everything old."""
    world = World()
    world.read("db")
    world.pass_time(0.5)
    world.read("db")
    world.clock.step(wall=wall)

    assert "prepared" not in world.read("db")


@pytest.mark.parametrize(("wall", "monotonic"), [(1.0, 0.0), (0.0, 1.0)])
def test_either_clock_ends_a_prepared_answer(wall: float, monotonic: float) -> None:
    """One of them may have stood still meanwhile."""
    world = warm()
    world.clock.step(wall=wall, monotonic=monotonic)

    assert "now v1 rotaware; hit; ttl=8" == world.read("db")


def test_time_that_passes_while_an_answer_is_prepared_counts() -> None:
    """What was looked at before is not taken for younger than it is."""
    world = World()
    world.read("db")
    world.pass_time(0.5)
    peek = world.store.peek

    def slow_peek(query: Query) -> object:
        answer = peek(query)
        world.pass_time(0.25)
        return answer

    world.store.peek = slow_peek  # type: ignore[method-assign, assignment]
    world.read("db")  # fresh for 9.5 s when looked at, for 9.25 s now
    world.pass_time(0.25)

    assert "now v1 rotaware; hit; ttl=9" == world.read("db")


@pytest.mark.parametrize(
    "received",
    [
        read("db", "Connection: close"),
        read("db", query="?refreshNow=true"),
        read("large"),
        read("missing", query="?versionId=&"),
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/db HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: wrong\r\n\r\n",
    ],
)
def test_what_is_not_prepared(received: bytes) -> None:
    """Only a hit of reasonable size on a connection that is kept."""
    world = World()
    for _ in range(3):
        served = world.ask(received)
        world.pass_time(0.1)

        assert "prepared" != served.made


def test_a_refusal_that_is_remembered_is_not_prepared() -> None:
    """AWS's refusal is told again for a while, from the cache."""
    world = World()
    world.aws.fault = AwsError("ResourceNotFoundException", "no such secret")

    assert ("worker", "rotaware; fwd=miss") == world.ask(read("db"))[::2]

    for _ in range(3):
        served = world.ask(read("db"))

        assert ("now", 400, "rotaware; hit; detail=refused") == served[:3]
    assert 1 == world.aws.fetches
    assert {} == world.endpoint._prepared


def test_only_the_same_bytes_are_answered_from_memory() -> None:
    """Another token, parameter or header is another request."""
    world = warm()

    assert "now" == world.ask(read("db", "Accept: */*")).made
    assert "now" == world.ask(read("db", query="?versionStage=AWSCURRENT")).made
    assert 403 == world.ask(read("db").replace(b"canary", b"wrong!")).status
    assert "prepared" == world.ask(read("db")).made
    assert "worker" == world.ask(read("other")).made


def test_memory_is_bounded() -> None:
    """Ever new requests for the same secret push old ones out."""
    world = warm()
    for number in range(1000):
        world.ask(read("db", f"X-Request: {number}"))

    assert len(world.endpoint._prepared) <= 128
    assert "prepared" == world.ask(read("db", "X-Request: 999")).made


STEPS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.125, 0.5, 1.0, 4.0, 12.0])),
    st.tuples(st.just("freeze"), st.sampled_from([0.25, 2.0])),
    st.tuples(st.just("step"), st.sampled_from([-20.0, -0.25, 0.5])),
    st.tuples(
        st.sampled_from(["rotate", "apply", "began", "ended", "refresh", "fail"]),
        st.just(0.0),
    ),
)


# A check in a frozen second, which the clock then steps back into.
@example(
    steps=[("pass", 0.5), ("step", 0.5), ("freeze", 0.25), ("step", -0.25)],
    interval_seconds=1.25,
)
@given(st.lists(STEPS, max_size=30), st.sampled_from([0.0, 1.25, 5.0]))
def test_memory_never_changes_an_answer(
    steps: list[tuple[str, float]], interval_seconds: float
) -> None:
    """Whatever happens, prepared bytes are those that would be made now."""
    world = World(interval_seconds=interval_seconds)
    received = read("db")
    request = parse_head(received[:-4])
    for number, (step, seconds) in enumerate(steps):
        world.ask(received)
        take_step(world, step, seconds, f"v{number}")
        world.pass_time(1e-6)  # no two events have the same time
        prepared = world.endpoint.prepared(received)
        if prepared is not None:
            answer = world.endpoint.answer_now(request, None)

            assert answer is not None
            assert render(answer) == prepared


def take_step(world: World, step: str, seconds: float, version: str) -> None:
    """Let something happen."""
    match step:
        case "pass":
            world.clock.tick(seconds)
        case "freeze":
            world.clock.freeze(seconds)
        case "step":
            world.clock.step(wall=seconds)
        case "rotate":
            world.aws.versions["db"] = version
            world.home.stamp("db", version)
        case "apply":
            world.checker.ensure_checked()
        case "began":
            world.checker.invocation_began()
        case "ended":
            world.checker.invocation_ended()
        case "refresh":
            world.ask(read("db", query="?refreshNow=1"))
        case _:
            failing = world.aws.fault is None
            world.aws.fault = AwsTimeoutError("slow") if failing else None


# Tokens that change


def test_tokens_that_change_are_asked_for_by_a_worker() -> None:
    """Their provider may block, and yesterday's token is worth nothing."""
    world = World(token_changes=True)

    assert ["worker"] * 3 == [world.ask(read("db")).made for _ in range(3)]
    assert "rotaware; hit; ttl=10" == world.ask(read("db")).cache_status

    world.token = world.renewed_token = "another"

    assert 403 == world.ask(read("db")).status


def test_a_token_that_its_provider_has_changed_is_let_in() -> None:
    """The snapshot that this was restored from knew another one."""
    world = World(token_changes=True)
    world.token = "of another life"

    assert 200 == world.ask(read("db")).status

    world.renewed_token = "of another life"

    assert 403 == world.ask(read("db")).status


# What is answered


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (AwsError("ResourceNotFoundException", "no"), 400, "ResourceNotFoundException"),
        (AwsError("AccessDeniedException", "no"), 400, "AccessDeniedException"),
        (AwsError("ExpiredToken", "no", 403), 403, "ExpiredToken"),
        (AwsUnavailableError("ConnectionError", "no"), 502, "ConnectionError"),
        (
            AwsThrottledError("ThrottlingException", "no", 400),
            400,
            "ThrottlingException",
        ),
        (AwsTimeoutError("no"), 504, "TimeoutError"),
    ],
)
def test_what_aws_refuses(fault: AwsError, status: int, code: str) -> None:
    """AWS's own code, message and status are passed on."""
    world = World()
    world.aws.fault = fault
    served = world.ask(read("db"))

    assert (status, "rotaware; fwd=miss") == (served.status, served.cache_status)
    assert {"__type": code, "message": "no"} == json.loads(served.body)


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (read("db", query="?secretid=x"), 400),
        (b"GET /v1/db HTTP/1.1\r\nHost: localhost\r\n\r\n", 403),
        (read("db").replace(b"/v1/", b"/v9/"), 404),
        (read("db").replace(b"GET", b"PUT"), 405),
        (read("db").replace(b"localhost", b"evil"), 400),
    ],
)
@pytest.mark.parametrize("token_changes", [False, True])
def test_what_the_port_refuses(
    received: bytes, status: int, *, token_changes: bool
) -> None:
    """Refusals are JSON, too, whichever thread makes them."""
    world = World(token_changes=token_changes)
    served = world.ask(received)

    assert (status, "rotaware") == (served.status, served.cache_status)
    assert {"__type", "message"} == json.loads(served.body).keys()
    assert 0 == world.aws.fetches


@pytest.mark.parametrize("token_changes", [False, True])
def test_ping(*, token_changes: bool) -> None:
    """A ping is answered without token, whatever the state of the rest."""
    world = World(token_changes=token_changes)
    served = world.ask(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert (200, "rotaware", "healthy") == served[1:]
    assert 0 == world.home.reads


def test_a_stale_value_is_marked() -> None:
    """While its source is away, a value is served past its TTL."""
    world = warm()
    world.pass_time(TTL_SECONDS)
    world.aws.fault = AwsUnavailableError("ConnectionError", "away")

    assert "worker v1 rotaware; hit; detail=stale-if-error" == world.read("db")
    assert "now v1 rotaware; hit; detail=stale-if-error" == world.read("db")
    assert "now v1 rotaware; hit; detail=stale-if-error" == world.read("db")


def test_instead_of_another_version_is_a_hit() -> None:
    """The version that failed the caller is already replaced."""
    world = warm()
    served = world.ask(read("db", query="?insteadOf=v0"))

    assert ("now", "rotaware; hit; ttl=9") == (served.made, served.cache_status)


def test_without_a_cache_each_read_is_a_miss() -> None:
    """Nothing is held, so nothing is prepared."""
    world = World(cache_size=0)

    assert ["worker v1 rotaware; fwd=miss"] * 2 == [world.read("db") for _ in range(2)]


def test_an_unforeseen_error_is_left_to_the_server() -> None:
    """It alone answers and logs it, in one place for all."""

    def broken(_: Request) -> Ask | None:
        raise ZeroDivisionError

    world = World()
    dialect = DIALECTS["aws-extension"]
    endpoint = Endpoint(world.store, world.checker, broken, dialect, world.clock)
    with pytest.raises(ZeroDivisionError):
        endpoint.answer(parse_head(read("db")[:-4]))


# Ports without token, bare values, and the other dialect


def without_token(target: str) -> bytes:
    """The bytes of a read to a port that asks for no token."""
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def test_what_one_port_remembers_opens_no_other() -> None:
    """The same bytes are another request there."""
    main, other = World(), World()
    listed = partial(legacy_route, listed=frozenset({"db"}))
    dialect = DIALECTS["aws-extension"]
    other.endpoint = Endpoint(main.store, main.checker, listed, dialect, main.clock)
    received = without_token("/cache/db")

    assert ["worker", "now"] == [other.ask(received).made for _ in range(2)]

    main.pass_time(0.5)

    assert ["now", "prepared"] == [other.ask(received).made for _ in range(2)]
    assert ("now", 403) == main.ask(received)[:2]
    assert (1, 4) == (main.endpoint.reads, other.endpoint.reads)


@pytest.mark.parametrize("target", ["/cache/db", "/secrets?name=db", "/?name=db"])
def test_a_bare_value(target: str) -> None:
    """It is remembered, refreshed and stale as the document is."""
    world = warm()
    received = read("db").replace(b"/v1/db", target.encode())

    assert ("now", 200, "rotaware; hit; ttl=9", "v1") == world.ask(received)
    assert ("prepared", 200, "rotaware; hit; ttl=9", "v1") == world.ask(received)


@pytest.mark.parametrize(
    ("code", "status"), [("ResourceNotFoundException", 404), ("DecryptionFailure", 400)]
)
def test_a_bare_value_that_is_missing(code: str, status: int) -> None:
    """Who looks for it alone learns from the status that there is none."""
    world = World()
    world.aws.fault = AwsError(code, "no")
    served = world.ask(read("db").replace(b"/v1/", b"/cache/"))

    assert (status, "rotaware; fwd=miss") == (served.status, served.cache_status)
    assert {"__type": code, "message": "no"} == json.loads(served.body)


def test_the_agents_dialect() -> None:
    """What it refuses is a text."""
    world = World(dialect=DIALECTS["agent"])

    assert (403, "Bad Token") == world.ask(without_token("/v1/db"))[1::2]
    assert (404, "Not found") == world.ask(read("db").replace(b"/v1/", b"/v9/"))[1::2]


# What is counted, explained and told


def counted(world: World) -> dict[str, int]:
    """What was counted; hits whose answers were at hand among them."""
    return {**world.store.tally.counts(), "prepared": world.endpoint.prepared_hits}


def test_each_read_is_counted_by_what_it_got() -> None:
    """A hit is the cheapest to count: by its own thread, without a lock."""
    world = warm()

    assert {"Misses": 1, "Hits": 1, "prepared": 1} == counted(world)
    assert (1, 2) == (world.endpoint.prepared_hits, world.endpoint.asked)
    assert 3 == world.endpoint.reads

    world.ask(read("db", query="?refreshNow=true"))

    assert {"Misses": 1, "Hits": 1, "Forced": 1, "prepared": 1} == counted(world)


def test_what_is_stale_or_refused_is_counted() -> None:
    """A refusal of the source, and one of the port itself."""
    world = warm()
    world.pass_time(TTL_SECONDS)
    world.aws.fault = AwsUnavailableError("ConnectionError", "away")
    for _ in range(2):
        world.read("db")

    assert 2 == counted(world)["StaleServed"]

    world.ask(read("none"))
    world.ask(without_token("/v1/db"))
    world.ask(without_token("/ping"))

    assert 2 == counted(world)["Refusals"]


def test_stats_are_told_by_a_worker() -> None:
    """They may be long, and nobody else's read is to wait; none is remembered."""
    world = World()
    head = read("db").replace(b"/v1/db", b"/stats")
    for _ in range(2):
        served = world.ask(head)

        assert ("worker", 200, '{"state":"well"}') == (
            served.made,
            served.status,
            served.body,
        )
    assert 0 == world.home.reads
    assert {"prepared": 0} == counted(world)


def test_what_is_to_be_explained_is_not_prepared() -> None:
    """Each read comes by the store, which explains it."""
    told: list[str] = []
    world = World()
    world.store.explain(lambda message, **_: told.append(message))
    world.read("db")
    world.pass_time(0.5)
    told.clear()

    assert ["now v1 rotaware; hit; ttl=9"] * 2 == [world.read("db") for _ in range(2)]
    assert ["found in memory"] * 2 == told
