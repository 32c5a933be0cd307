"""Writers and readers of one sheet, in every order in which their calls may fall.

A writer is a function of the answers that it got. So a world in which some calls were
answered is a value, and all worlds that can be reached from it are walked, each once.
Where that would be too many, threads take turns in an order that a seed picks.

Readers are judged afterwards: whoever looked at the sheet at any moments and fetched at
any other must, after a last look, hold what is current, or nothing.

All of it is done twice: for a sheet in Parameter Store, which lets a write overwrite
what nobody has read, and for one in DynamoDB, which does not.
"""

from __future__ import annotations

import io
from functools import cache
from random import Random
from threading import Semaphore, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from rotaware.clock import Instant
from rotaware.dynamodb import DynamoDbSheet
from rotaware.errors import AwsError, AwsUnavailableError
from rotaware.log import Logger
from rotaware.publish import Published, publish
from rotaware.sheet import (
    MAX_BYTES,
    Edition,
    Sheet,
    Stamp,
    decode,
    encode,
    missed,
    outdates,
    version_digest,
)
from rotaware.stamps import SsmSheet
from tests.support.clock import EPOCH, ManualClock
from tests.support.item_store import TABLE, ItemStore, is_met, item_of
from tests.support.parameter_store import DEADLINE_SECONDS, ParameterStore, throttled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rotaware.aws import Aws
    from rotaware.clock import Clock
    from rotaware.stamps import SheetHome

SSM, DYNAMODB = "ssm", "dynamodb"
NAME = "/rotaware/default/stamps"
NAMESPACE = "default"
DISTANT_SECONDS = 3600.0
BORN = int(EPOCH) - 9


class Event(NamedTuple):
    """One change of the world: a write of the sheet, a rotation, or a deletion.

    Attributes:
        what: ``write``, ``rotate``, ``return`` (to the version before) or ``delete``.
        about: The document that was written; the subjects whose version changed.
    """

    what: str
    about: str = ""


History = tuple[Event, ...]


def old_sheets(subjects: str, count: int = 1) -> History:
    """Sheets that say of each subject what was true before it all began."""
    stamps = {
        subject: Stamp(version_digest(f"{subject}0"), BORN) for subject in subjects
    }
    return tuple(
        Event("write", encode(Sheet(base=base, born=BORN, stamps=stamps)))
        for base in range(count if subjects else 0)
    )


@cache
def values(history: History) -> tuple[str, ...]:
    """All that was written since the last deletion: the first one is generation 1."""
    found: tuple[str, ...] = ()
    for event in history:
        if event.what == "write":
            found = (*found, event.about)
        elif event.what == "delete":
            found = ()
    return found


@cache
def rotations(history: History) -> int:
    """How many rotations there were, back ones too."""
    return sum(event.what in {"rotate", "return"} for event in history)


@cache
def current(history: History, subject: str) -> str:
    """The current version of a secret."""
    steps = {"rotate": 1, "return": -1}
    count = sum(steps.get(e.what, 0) for e in history if subject in e.about)
    return f"{subject}{count}"


# Readers.


@cache
def read(generation: int, value: str) -> Edition:
    """An edition as a reader sees it."""
    return Edition(generation, decode(value))


class Reader(NamedTuple):
    """What an execution environment knows of one secret.

    Attributes:
        seen: Generation and text of the sheet as last seen.
        held: The version that it holds, and the stamp remembered with it.
    """

    seen: tuple[int, str] | None = None
    held: tuple[str, Stamp | None] | None = None

    def looks(self, subject: str, versions: Sequence[str]) -> Reader:
        """After a check."""
        if not versions:
            return self
        latest = len(versions), versions[-1]
        held = self.held
        if held is not None and self.seen != latest:
            seen = read(*self.seen) if self.seen else None
            now = read(*latest)
            version, remembered = held
            stamp = now.sheet.stamps.get(subject)
            digest = version_digest(version)
            if missed(seen, now) or outdates(stamp, remembered, digest):
                held = None
        return Reader(latest, held)

    def fetches(self, subject: str, version: str) -> Reader:
        """After a miss."""
        if self.held:
            return self
        stamps = read(*self.seen).sheet.stamps if self.seen else {}
        return self._replace(held=(version, stamps.get(subject)))


@cache
def readers(subject: str, history: History) -> frozenset[Reader]:
    """Everything that a reader may be, after looking and fetching at any moments.

    A deletion takes stamps along that somebody may never have seen. Who has ever looked
    notices that; who held something without having looked is left to his TTL.
    """
    found = readers(subject, history[:-1]) if history else frozenset({Reader()})
    if history and history[-1].what == "delete":
        found = frozenset(each for each in found if each.seen or not each.held)
    versions, version = values(history), current(history, subject)
    found |= {each.looks(subject, versions) for each in found}
    return found | {each.fetches(subject, version) for each in found}


def check(history: History, subjects: str, *, forgetful: bool = False) -> None:
    """The sheet says the truth and has lost nothing, and no reader is deceived."""
    versions = values(history)
    stamps = read(len(versions), versions[-1]).sheet.stamps
    if not forgetful:
        assert set(subjects) <= stamps.keys()
    for subject in stamps.keys() & set(subjects):
        truth = current(history, subject)
        assert version_digest(truth) == stamps[subject].version
    check_readers(history, subjects)


def check_readers(history: History, subjects: str) -> None:
    """After a last look, readers hold what is current, or nothing."""
    for subject in subjects:
        for reader in readers(subject, history):
            held = reader.looks(subject, values(history)).held
            assert held is None or held[0] == current(history, subject)


# The sheet's homes.


@pytest.fixture(params=[SSM, DYNAMODB])
def kind(request: pytest.FixtureRequest) -> str:
    """Where the sheet is."""
    return str(request.param)


def home_of(kind: str, aws: Aws, max_bytes: int) -> SheetHome:
    """The sheet as a writer has it."""
    if kind == SSM:
        return SsmSheet(aws, NAME, max_bytes)
    return DynamoDbSheet(aws, TABLE, NAMESPACE, consistent=True, max_bytes=max_bytes)


def written_by(operation: str, request: Mapping[str, Any]) -> str | None:
    """The document that a call writes, if it writes."""
    match operation:
        case "PutParameter":
            return str(request["Value"])
        case "PutItem":
            return str(request["Item"]["sheet"]["S"])
        case _:
            return None


# All worlds.

Answer = tuple[str, Any]
"""What a writer was answered: a kind, and a value that can be hashed."""


class Writer(NamedTuple):
    """What one delivery of an event, or of a batch of them, has to stamp.

    Attributes:
        subjects: What it judges.
        rotations: How many rotations precede its event.
        skew_seconds: How wrong its clock is.
        max_bytes: What the sheet may hold.
        kind: Where the sheet is.
    """

    subjects: str
    rotations: int = 1
    skew_seconds: float = 0.0
    max_bytes: int = MAX_BYTES
    kind: str = SSM


class World(NamedTuple):
    """Everything that the next call depends on.

    Attributes:
        history: What has happened.
        answers: What each writer was answered.
        to_come: What will happen at some time, in this order: a rotation, a deletion.
        mishaps: What may happen at any time, each once: a writer crashes and its
            event is delivered again, a call is throttled, a read lags.
    """

    history: History
    answers: tuple[tuple[Answer, ...], ...]
    to_come: tuple[Event, ...] = ()
    mishaps: tuple[str, ...] = ()

    def answering(self, index: int, answers: tuple[Answer, ...]) -> World:
        """With other answers to one writer."""
        others = list(self.answers)
        others[index] = answers
        return self._replace(answers=tuple(others))

    def after(self, mishap: str) -> World:
        """With a mishap less to come."""
        left = list(self.mishaps)
        left.remove(mishap)
        return self._replace(mishaps=tuple(left))


class Unanswered(BaseException):
    """The call at which a writer stands."""

    def __init__(self, operation: str, request: Mapping[str, Any]) -> None:
        super().__init__(operation)
        self.operation = operation
        self.request = request


class Replay:
    """Satisfies ``rotaware.aws.Aws`` as long as answers last."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self._answers = iter(answers)

    def call(
        self,
        service: str,  # noqa: ARG002  there is but one
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,  # noqa: ARG002  nothing here takes time
    ) -> dict[str, Any]:
        kind, value = self._next(operation, request)
        match kind:
            case "read":
                version, text = value
                return {"Parameter": {"Version": version, "Value": text}}
            case "item":
                return {"Item": item_of(NAMESPACE, value)} if value else {}
            case "written":
                return {"Version": value}
            case "throttled":
                raise throttled()
            case _:
                raise AwsError(kind, "refused")

    def judge(self) -> dict[str, str]:
        """The judge that ``publish`` asks."""
        kind, value = self._next("judge", {})
        if kind == "throttled":
            raise throttled()
        return dict(value)

    def _next(self, operation: str, request: Mapping[str, Any]) -> Answer:
        for answer in self._answers:
            return answer
        raise Unanswered(operation, request)


def silent(clock: Clock) -> Logger:
    """A logger that writes nothing."""
    return Logger(service="test", level="NONE", stream=io.StringIO(), clock=clock)


@cache
def standing(writer: Writer, answers: tuple[Answer, ...]) -> Unanswered | Published:
    """The call at which a writer stands after these answers; or what it returned."""
    aws = Replay(answers)
    clock = ManualClock(wall=EPOCH + writer.skew_seconds)
    home = home_of(writer.kind, aws, writer.max_bytes)
    try:
        return publish(
            home,
            aws.judge,
            clock=clock,
            random=lambda: 0.0,
            log=silent(clock),
            changed=dict.fromkeys(writer.subjects, EPOCH + writer.rotations),
        )
    except Unanswered as call:
        return call.with_traceback(None)


def answer(history: History, writer: Writer, call: Unanswered) -> Answer:
    """What AWS answers to a call."""
    versions = values(history)
    match call.operation:
        case "judge":
            return "judged", tuple((s, current(history, s)) for s in writer.subjects)
        case "GetParameter":
            selector = call.request["Name"].partition(":")[2]
            version = int(selector or len(versions))
            if not 0 < version <= len(versions):
                return "ParameterNotFound", None
            return "read", (version, versions[version - 1])
        case "PutParameter":
            if versions and not call.request["Overwrite"]:
                return "ParameterAlreadyExists", None
            return "written", len(versions) + 1
        case _:
            return answer_of_a_table(versions, call)


def answer_of_a_table(versions: Sequence[str], call: Unanswered) -> Answer:
    """What DynamoDB answers to a call."""
    latest = versions[-1] if versions else None
    if call.operation == "GetItem":
        return "item", latest
    if not is_met(call.request, item_of(NAMESPACE, latest) if latest else None):
        return "ConditionalCheckFailedException", None
    return "written", len(versions) + 1


def before_the_last_write(history: History) -> History:
    """What a replica knows that has not heard of the last write."""
    changes = {"write", "delete"}
    last = max((i for i, e in enumerate(history) if e.what in changes), default=0)
    return history[:last]


def steps(world: World, writers: Sequence[Writer]) -> Iterator[World]:
    """All worlds that are one step away."""
    if world.to_come:
        event, *rest = world.to_come
        yield world._replace(history=(*world.history, event), to_come=tuple(rest))
    for index, writer in enumerate(writers):
        if writer.rotations > rotations(world.history):
            continue
        call = standing(writer, world.answers[index])
        if isinstance(call, Published):
            continue
        yield from _steps_of(world, index, writer, call)


def _steps_of(
    world: World, index: int, writer: Writer, call: Unanswered
) -> Iterator[World]:
    answers = world.answers[index]
    got = answer(world.history, writer, call)
    after = world
    document = written_by(call.operation, call.request)
    if got[0] == "written" and document:
        event = Event("write", document)
        after = world._replace(history=(*world.history, event))
    yield after.answering(index, (*answers, got))
    for mishap in set(world.mishaps):
        match mishap, call.operation:
            case "crash", _:
                # The write may have got through.
                yield after.after(mishap).answering(index, ())
            case "throttle", _:
                refused = (*answers, ("throttled", None))
                yield world.after(mishap).answering(index, refused)
            case "lag", "GetItem" if call.request["ConsistentRead"]:
                pass  # that one knows it all
            case "lag", "GetParameter" | "GetItem":
                behind = answer(before_the_last_write(world.history), writer, call)
                yield world.after(mishap).answering(index, (*answers, behind))
            case _:
                pass


def ends(start: World, writers: Sequence[Writer]) -> list[World]:
    """All worlds in which nothing is left to do, each once."""
    seen, stack, found = {start}, [start], []
    while stack:
        world = stack.pop()
        following = set(steps(world, writers))
        if not following:
            found.append(world)
        stack += following - seen
        seen |= following
    return found


ROTATIONS = [
    pytest.param(("S", "T"), "", id="two secrets"),
    pytest.param(("S", "S"), "", id="one secret"),
    pytest.param(("S", "S"), "S", id="one secret, twice"),
    pytest.param(("ST", "S"), "S", id="a batch, then one of it"),
    pytest.param(("S", "ST"), "S", id="one, then a batch"),
    pytest.param(("ST", "ST"), "ST", id="two batches"),
]
MISHAPS = [
    ((), -DISTANT_SECONDS),
    ((), 0.0),
    ((), DISTANT_SECONDS),
    (("crash",), -DISTANT_SECONDS),
    (("crash",), DISTANT_SECONDS),
    (("throttle",), 0.0),
    (("lag", "lag"), 0.0),
]


def stamps_of(writers: Sequence[Writer]) -> str:
    """All subjects that some writer stamps."""
    return "".join(sorted({s for writer in writers for s in writer.subjects}))


@pytest.mark.parametrize(("mishaps", "skew_seconds"), MISHAPS)
@pytest.mark.parametrize("old", ["", "STU"], ids=["new sheet", "old sheet"])
@pytest.mark.parametrize(("subjects", "rotating"), ROTATIONS)
def test_two_writers(  # noqa: PLR0913, PLR0917  drawn
    kind: str,
    subjects: tuple[str, str],
    rotating: str,
    old: str,
    skew_seconds: float,
    mishaps: tuple[str, ...],
) -> None:
    """In every order of their calls, crashes included, the sheet ends up true."""
    to_come = (Event("rotate", rotating),) if rotating else ()
    writers = (
        Writer(subjects[0], kind=kind),
        Writer(
            subjects[1],
            rotations=1 + len(to_come),
            skew_seconds=skew_seconds,
            kind=kind,
        ),
    )
    stamped = stamps_of(writers)
    history = (*old_sheets(old), Event("rotate", stamped))
    for world in ends(World(history, ((), ()), to_come, mishaps), writers):
        check(world.history, "".join({*stamped, *old}))


@pytest.mark.parametrize(
    ("kind", "mishaps"),
    [
        (SSM, ("crash",)),
        (SSM, ("throttle",)),
        (DYNAMODB, ("crash",)),
        (DYNAMODB, ("throttle",)),
        # To whoever reads an old copy, all seems to be said.
        (DYNAMODB, ("lag", "lag")),
    ],
)
@pytest.mark.parametrize("subjects", [("S", "T"), ("S", "S"), ("ST", "S")])
def test_a_stamped_version_that_goes(
    kind: str, mishaps: tuple[str, ...], subjects: tuple[str, str]
) -> None:
    """A rotation that was stamped and is then taken back is stamped like any other."""
    writers = (Writer(subjects[0], kind=kind), Writer(subjects[1], kind=kind))
    old = old_sheets("STU")
    stamps = dict(read(1, old[0].about).sheet.stamps)
    stamps["S"] = Stamp(version_digest("S1"), BORN + 1)
    stamped = Event("write", encode(Sheet(base=1, born=BORN, stamps=stamps)))
    history = (*old, Event("rotate", "S"), stamped, Event("return", "S"))
    for world in ends(World(history, ((), ()), (), mishaps), writers):
        check(world.history, "STU")


@pytest.mark.parametrize("mishaps", [(), ("crash",), ("throttle",)])
@pytest.mark.parametrize("skew_seconds", [-DISTANT_SECONDS, 0.0])
@pytest.mark.parametrize("subjects", [("S", "S"), ("ST", "S"), ("S", "ST")])
def test_a_version_that_nobody_stamped(
    kind: str,
    subjects: tuple[str, str],
    skew_seconds: float,
    mishaps: tuple[str, ...],
) -> None:
    """A rotation may be taken back before its event is heard: who fetched it learns."""
    writers = (
        Writer(subjects[0], skew_seconds=skew_seconds, kind=kind),
        Writer(subjects[1], 2, skew_seconds=skew_seconds, kind=kind),
    )
    history = (*old_sheets("STU"), Event("rotate", stamps_of(writers)))
    start = World(history, ((), ()), (Event("return", "S"),), mishaps)
    for world in ends(start, writers):
        check(world.history, "STU")


@pytest.mark.parametrize(
    ("subjects", "old"), [("STV", "STU"), ("SST", "STU"), ("STS", "")]
)
def test_three_writers(kind: str, subjects: str, old: str) -> None:
    """The same for three, the last of them about a later rotation."""
    writers = (
        Writer(subjects[0], kind=kind),
        Writer(subjects[1], kind=kind),
        Writer(subjects[2], 2, kind=kind),
    )
    history = (*old_sheets(old), Event("rotate", subjects))
    start = World(history, ((), (), ()), (Event("rotate", subjects[2]),))
    for world in ends(start, writers):
        check(world.history, "".join({*subjects, *old}))


@pytest.mark.parametrize("capacity", [1, 2, 3])
@pytest.mark.parametrize("mishaps", [(), ("crash",)])
@pytest.mark.parametrize(("subjects", "rotating"), ROTATIONS)
def test_a_full_sheet(
    kind: str,
    subjects: tuple[str, str],
    rotating: str,
    mishaps: tuple[str, ...],
    capacity: int,
) -> None:
    """Writers that push out each other's stamps come to an end, and deceive nobody."""
    capacity = max(capacity, *map(len, subjects))
    full = Sheet(9, 9, BORN, {s * 11: Stamp("v" * 8, BORN) for s in "STUV"[:capacity]})
    max_bytes = len(encode(full))
    to_come = (Event("rotate", rotating),) if rotating else ()
    writers = (
        Writer(subjects[0], max_bytes=max_bytes, kind=kind),
        Writer(subjects[1], rotations=1 + len(to_come), max_bytes=max_bytes, kind=kind),
    )
    stamped = stamps_of(writers)
    history = (*old_sheets("STU"), Event("rotate", stamped))
    for world in ends(World(history, ((), ()), to_come, mishaps), writers):
        check(world.history, stamped, forgetful=True)


@pytest.mark.parametrize("subjects", [("S", "T"), ("S", "S"), ("ST", "S")])
def test_a_deleted_sheet(kind: str, subjects: tuple[str, str]) -> None:
    """Who saw a sheet that was deleted at any moment trusts nothing he held."""
    writers = (Writer(subjects[0], kind=kind), Writer(subjects[1], kind=kind))
    stamped = stamps_of(writers)
    history = (*old_sheets("STU", 4), Event("rotate", stamped))
    for world in ends(World(history, ((), ()), (Event("delete"),)), writers):
        if values(world.history):
            check_readers(world.history, stamped)


# Threads that take turns.


class Crash(BaseException):
    """The end of a Lambda function's process."""


class Rates(NamedTuple):
    """How often, of all calls, something goes wrong."""

    crash: float = 0.0
    throttle: float = 0.0
    lag: float = 0.0


class Turns:
    """A world in which threads go one at a time, whoever is ready first.

    Attributes:
        random: Picks everything.
        history: What has happened.
        rates: What goes wrong.
        max_bytes: What the sheet may hold.
        kind: Where the sheet is.
        seconds: The time.
        store: Where the sheet is.
        arrived: Released when the thread whose turn it was has come to its next call.
        most_rounds: How often the least lucky of all publishes had to begin.
    """

    def __init__(
        self,
        kind: str,
        seed: int,
        history: History = (),
        rates: Rates = Rates(),  # noqa: B008  immutable
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.random = Random(seed)  # noqa: S311  no secret
        self.history = history
        self.rates = rates
        self.max_bytes = max_bytes
        self.kind = kind
        self.seconds = 0.0
        self.store: ParameterStore | ItemStore
        self.store = ParameterStore() if kind == SSM else ItemStore()
        self.store.lag = lambda: self.random.randint(1, 2) * self.happens(rates.lag)
        for value in values(history):
            self.store.put(NAME if kind == SSM else NAMESPACE, value)
        self.arrived = Semaphore(0)
        self.most_rounds = 0

    @property
    def writes(self) -> int:
        """How often a writer tried to write."""
        return self.store.count("PutParameter") + self.store.count("PutItem")

    def happens(self, rate: float) -> bool:
        """Throw the dice."""
        return self.random.random() < rate

    def run(self, deliveries: Sequence[str]) -> None:
        """Rotate each of these, and deliver the event to an invalidator of its own."""
        actors = [Actor(self, subjects) for subjects in deliveries]
        while waiting := [actor for actor in actors if not actor.done]:
            actor = min(waiting, key=lambda each: each.ready_at)
            self.seconds = max(self.seconds, actor.ready_at)
            actor.gate.release()
            assert self.arrived.acquire(timeout=DEADLINE_SECONDS)


class Actor:
    """A rotation and its invalidator: a thread that waits at each call for its turn.

    Satisfies ``rotaware.aws.Aws`` and ``rotaware.clock.Clock``.
    """

    def __init__(self, turns: Turns, subjects: str) -> None:
        self._turns = turns
        self._subjects = subjects
        self._skew_seconds = turns.random.uniform(-DISTANT_SECONDS, DISTANT_SECONDS)
        self.gate = Semaphore(0)
        self.ready_at = turns.random.expovariate(2.0)
        self.done = False
        self._rounds = 0
        self._changed: dict[str, float] = {}
        Thread(target=self._play, daemon=True).start()

    def now(self) -> Instant:
        seconds = self._turns.seconds
        return Instant(EPOCH + self._skew_seconds + seconds, seconds)

    def sleep(self, seconds: float) -> None:
        self.ready_at = self._turns.seconds + seconds

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        self._come_to_a_call()
        reads = operation, request.get("Name", NAME)
        if reads in {("GetItem", NAME), ("GetParameter", NAME)}:
            # Each round begins with it; a gap is read by its generations.
            self._rounds += 1
            self._turns.most_rounds = max(self._turns.most_rounds, self._rounds)
        if self._turns.happens(self._turns.rates.throttle):
            raise throttled("TooManyUpdates")
        found = self._turns.store.call(
            service, operation, request, timeout_seconds=timeout_seconds
        )
        document = written_by(operation, request)
        if document:
            self._turns.history += (Event("write", document),)
        return found

    def judge(self) -> dict[str, str]:
        """The judge that ``publish`` asks."""
        self._come_to_a_call()
        return {each: current(self._turns.history, each) for each in self._subjects}

    def _come_to_a_call(self) -> None:
        self.ready_at = max(self.ready_at, self._turns.seconds)
        self.ready_at += self._turns.random.expovariate(20.0)
        self._turns.arrived.release()
        assert self.gate.acquire(timeout=DEADLINE_SECONDS)
        if self._turns.happens(self._turns.rates.crash):
            raise Crash

    def _play(self) -> None:
        self.gate.acquire()
        self._turns.history += (Event("rotate", self._subjects),)
        self._changed = dict.fromkeys(self._subjects, EPOCH + self._turns.seconds)
        while not self._publishes():
            # The event is delivered once more.
            self.sleep(self._turns.random.expovariate(0.1))
        self.done = True
        self._turns.arrived.release()

    def _publishes(self) -> bool:
        self._rounds = 0
        home = home_of(self._turns.kind, self, self._turns.max_bytes)
        random = self._turns.random.random
        try:
            publish(
                home,
                self.judge,
                clock=self,
                random=random,
                log=silent(self),
                changed=self._changed,
            )
        except (Crash, AwsUnavailableError):
            return False
        return True


MANY_SUBJECTS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ*"


@pytest.mark.parametrize("seed", range(25))
def test_writers_in_a_random_order(kind: str, seed: int) -> None:
    """Three to five writers, with crashes and throttling, end up with the truth."""
    turns = Turns(kind, seed, old_sheets("STU"), Rates(crash=0.05, throttle=0.1))
    turns.run(turns.random.choices(["S", "T", "ST"], k=3 + seed % 3))

    check(turns.history, "STU")


@pytest.mark.parametrize("crash", [0.0, 0.05])
@pytest.mark.parametrize("seed", range(25))
def test_writers_of_a_lagging_store(kind: str, seed: int, crash: float) -> None:
    """A store that often answers with what was true before deceives no reader.

    What a writer cannot read yet is left in the gap, or forgotten by the rules.
    """
    turns = Turns(kind, seed, old_sheets("STU"), Rates(crash, lag=0.3))
    turns.run(turns.random.choices(["S", "T", "ST"], k=3 + seed % 3))

    check_readers(turns.history, "STU")
    if kind == DYNAMODB:
        # A writer can ask for what is there now, and does.
        check(turns.history, "STU")


@pytest.mark.parametrize("seed", range(25))
def test_writers_of_a_small_sheet(kind: str, seed: int) -> None:
    """Five writers with room for three stamps settle, and deceive nobody."""
    room = Sheet(99, 99, BORN, {s * 11: Stamp("v" * 8, BORN) for s in "STU"})
    rates = Rates(0.02, 0.05)
    turns = Turns(kind, seed, old_sheets("STU"), rates, len(encode(room)))
    turns.run("STVWX")

    check(turns.history, "STVWX", forgetful=True)
    assert turns.writes < 30


@pytest.mark.parametrize("seed", range(2))
def test_twenty_seven_writers_settle(kind: str, seed: int) -> None:
    """All at once, far more than the queue allows: they end soon, and all is said.

    A gap may grow too long to be read. What it held is forgotten by the rules then.
    Where there are no gaps, nothing is forgotten.
    """
    turns = Turns(kind, seed)
    turns.run(MANY_SUBJECTS)

    check(turns.history, MANY_SUBJECTS, forgetful=kind == SSM)
    assert turns.writes < 4 * len(MANY_SUBJECTS)


@pytest.mark.parametrize("seed", range(25))
def test_a_crowd_needs_few_rounds(kind: str, seed: int) -> None:
    """None of 27 writers begins more than nine times: no event has to come again."""
    turns = Turns(kind, seed)
    turns.run(MANY_SUBJECTS)

    assert turns.most_rounds <= 9
