"""An execution environment: the real reading side on a simulated machine.

Store, cache, checker, sheet, source and endpoint are the real ones, put together as the
extension does. What a function and Lambda would do to them is played here: cold start,
invocations that reach function and extension at once, reads in parallel, freezes, and a
wall clock that is set.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from extension.dialects import AwsExtension
from extension.endpoint import Endpoint
from extension.http1 import parse_head
from extension.routes import route
from rotaware.cache import Cache
from rotaware.checker import Checker
from rotaware.clock import Deadline
from rotaware.secret import PARAMETER_STORE, SECRETS_MANAGER, Query
from rotaware.source import AwsSource
from rotaware.stamps import sheet_home
from rotaware.store import Store
from tests.simulation.line import Line
from tests.simulation.records import Read
from tests.simulation.scheduler import Host
from tests.simulation.threads import Lock
from tests.simulation.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extension.http1 import Request
    from rotaware.flight import Answer
    from rotaware.log import Logger
    from rotaware.sheet import Edition
    from tests.simulation.cloud import Cloud
    from tests.simulation.oracle import Oracle
    from tests.simulation.records import Terms
    from tests.simulation.scheduler import Scheduler

TOKEN = "canary-token"
PREFETCH_SECONDS = 5.0
ROUTE = partial(route, tokens=lambda: (TOKEN,))


class Prepared(NamedTuple):
    """A request as bytes, parsed, and what it asks for."""

    received: bytes
    request: Request
    query: Query
    refresh: bool
    instead_of: str | None


_requests: dict[str, Prepared] = {}


def request(target: str) -> Prepared:
    """A request of a function."""
    if target not in _requests:
        head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {TOKEN}"
        parsed = parse_head(head.encode())
        ask = ROUTE(parsed)
        assert ask is not None
        _requests[target] = Prepared(
            head.encode(), parsed, ask.query, ask.refresh, ask.instead_of
        )
    return _requests[target]


class TraceLog:
    """Stands in for rotaware's Logger, and for Powertools'."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def info(self, message: str, /, **fields: object) -> None:
        """Into the trace."""
        if self._scheduler.traced:
            self._scheduler.tell(f"says {message!r}", fields)

    warning = error = info


class Environment(Host):
    """One execution environment.

    Args:
        scheduler: Time and chance.
        name: For the trace.
        cloud: Where AWS is.
        oracle: Who judges.
        terms: The configuration.
        sheet: The address of the sheet.
        managed: Whether no invocation is announced, as on Managed Instances.
    """

    def __init__(  # noqa: PLR0913  each is a choice of the world
        self,
        scheduler: Scheduler,
        name: str,
        *,
        cloud: Cloud,
        oracle: Oracle,
        terms: Terms,
        sheet: str,
        managed: bool,
    ) -> None:
        super().__init__(scheduler, name)
        self.terms = terms
        self.witness = Witness(oracle, scheduler, self, terms)
        self._managed = managed
        self._loop = Lock()
        line = Line(cloud, scheduler, self, self.witness)
        log = cast("Logger", TraceLog(scheduler))
        self.store = Store(
            AwsSource(line, {}),
            Cache(terms.max_entries, terms.stale_seconds),
            {SECRETS_MANAGER: terms.ttl_seconds, PARAMETER_STORE: terms.ttl_seconds},
            self,
            log,
        )
        self.checker = Checker(
            sheet_home(line, sheet),
            self._apply,
            interval_seconds=terms.interval_seconds,
            timeout_seconds=terms.timeout_seconds,
            clock=self,
            random=scheduler.random.random,
            log=log,
        )
        self._endpoint = Endpoint(
            cast("Store", _Observed(self.store, self.witness, scheduler)),
            self.checker,
            ROUTE,
            AwsExtension(),
            self,
        )

    def prefetch(self, names: Iterable[str]) -> None:
        """A cold start that prefetches."""
        self.witness.occasions += 1
        self.witness.began = self.now()
        threads = self.store.prefetch([Query.secret(name) for name in names])
        patience = Deadline(self, PREFETCH_SECONDS)
        self.checker.ensure_checked(patience.remaining_seconds())
        for thread in threads:
            thread.join(patience.remaining_seconds())
        for thread in self.store.prefetch_doubted():
            thread.join(patience.remaining_seconds())

    def follow(self) -> None:
        """The extension's side of an invocation."""
        if self._managed:
            return
        self.witness.occasions += 1
        self.checker.invocation_began()
        if self.terms.interval_seconds == 0:
            self.sleep(0.01)
        self.checker.invocation_ended()

    def read(self, target: str, invoked_at: float) -> str:
        """One read, as the extension's port answers it: a version, or an error."""
        asked = request(target)
        actor = self.scheduler.actor
        self.witness.occasions += 1
        settled = self.witness.settled
        read = actor.read = Read(
            self.now(),
            self.scheduler.now,
            invoked_at,
            asked.refresh,
            asked.instead_of,
            settled,
        )
        self.scheduler.tell("reads", target)
        with self._loop:
            settled = self.witness.settled
            prepared = self._endpoint.prepared(asked.received)
            if prepared is not None:
                answer = _version(prepared.partition(b"\r\n\r\n")[2])
                read = read._replace(settled=settled)
                self.witness.judge_look(read)
                self.witness.judge_prepared(asked.query, answer, read)
                self.scheduler.tell("is answered from memory", answer)
                return answer
            response = self._endpoint.answer_now(asked.request, asked.received)
        if response is None:
            response = self._endpoint.answer(asked.request)
        actor.read = None
        answer = _version(response.body)
        self.scheduler.tell("is answered", f"{answer} ({response.cache_status})")
        return answer

    def _apply(self, edition: Edition) -> None:
        self.witness.apply(lambda: self.store.apply(edition))


class _Observed:
    """The store, with a witness at its door."""

    def __init__(self, store: Store, witness: Witness, scheduler: Scheduler) -> None:
        self._store = store
        self._witness = witness
        self._scheduler = scheduler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def peek(self, query: Query) -> Answer | None:
        read = self._enters()
        answer = self._store.peek(query)
        # Who was failed by this very version asks on.
        if answer is not None and answer.satisfies(read.instead_of):
            self._witness.judge_look(read)
            self._witness.judge_answer(query, answer, read)
        return answer

    def get(self, query: Query, **options: Any) -> Answer:
        read = self._enters()
        self._witness.judge_look(read)
        answer = self._store.get(query, **options)
        self._witness.judge_answer(query, answer, read)
        return answer

    def _enters(self) -> Read:
        actor = self._scheduler.actor
        assert actor.read is not None
        actor.read = actor.read._replace(settled=self._witness.settled)
        return actor.read


def _version(body: bytes) -> str:
    """What an answer tells of itself: its version, or the error's code."""
    document = json.loads(body)
    return str(document.get("VersionId") or document.get("__type"))
