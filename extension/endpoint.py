"""What the port answers: at once when it is held, else after asking.

A request that was answered from the cache is remembered by its bytes, for as long as
the same answer would be given: until a second is over (the answer says how many are
left), a check is due, or anything that is cached changes. The next one costs a look-up.
"""

from __future__ import annotations

from extension.dialects import bare, missing
from extension.http1 import JSON, Response, render
from extension.routes import STATS
from rotaware.errors import RequestError, RotawareError
from rotaware.flight import HIT, REQUESTED, STALE_IF_ERROR
from rotaware.lean import TYPE_CHECKING
from rotaware.tally import FORCED, HITS, MISSES, REFUSALS, STALE_SERVED

if TYPE_CHECKING:
    from collections.abc import Callable

    from extension.dialects import Dialect
    from extension.http1 import Request
    from extension.routes import Ask
    from rotaware.checker import Checker
    from rotaware.clock import Clock, Instant
    from rotaware.flight import Answer
    from rotaware.store import Store

    Route = Callable[[Request], Ask | None]

_FORBIDDEN = 403
_MAX_PREPARED = 128
_MAX_PREPARED_BYTES = 16384
_PONG = Response(200, b"healthy", content_type="text/plain")
_COUNTED = {HIT: HITS, STALE_IF_ERROR: STALE_SERVED, REQUESTED: FORCED}
"""As what a value counts, by where it comes from; else it was missed."""


class _Prepared:
    """An answer's bytes, and while it holds."""

    __slots__ = ("answer", "epoch", "from_wall", "until_monotonic", "until_wall")

    def __init__(self, answer: bytes, epoch: int, now: Instant, seconds: float) -> None:
        self.answer = answer
        self.epoch = epoch
        self.from_wall = now.wall
        self.until_wall = now.wall + seconds
        self.until_monotonic = now.monotonic + seconds


class Endpoint:
    """Answers requests to ports of one kind: their answers are remembered together.

    Args:
        store: Where values are read.
        checker: Looks at the stamp sheet before a read.
        route: From a request to what it asks for, None for a ping; raises RequestError.
        dialect: How answers are written.
        clock: Time.
        renewed_route: The same with tokens that were asked for anew, where they change.
            Both may block there, so each request is answered by a worker.
        stats: Tells the extension's state, where ``route`` lets ask for it.

    Attributes:
        prepared_hits: How many requests were answered by what was at hand.
        asked: How many others have come.
    """

    def __init__(  # noqa: PLR0913  all of them are independent
        self,
        store: Store,
        checker: Checker,
        route: Route,
        dialect: Dialect,
        clock: Clock,
        *,
        renewed_route: Route | None = None,
        stats: Callable[[], bytes] = bytes,
    ) -> None:
        self._store = store
        self._checker = checker
        self._route = route
        self._dialect = dialect
        self._now = clock.now
        self._renewed_route = renewed_route
        self._stats = stats
        self._prepared: dict[bytes, _Prepared] = {}
        # Counted by the one thread of the server alone, so without a lock.
        self.prepared_hits = 0
        self.asked = 0

    @property
    def reads(self) -> int:
        """How many requests have come."""
        return self.prepared_hits + self.asked

    def prepared(self, received: bytes) -> bytes | None:
        """The whole answer to bytes that were answered a moment ago."""
        prepared = self._prepared.get(received)
        # Written out, and not a call more than it takes: this is the way of a hit.
        if (
            prepared is None
            or prepared.epoch != self._store.epoch + self._checker.epoch
        ):
            return None
        wall, monotonic = self._now()
        if (
            monotonic >= prepared.until_monotonic
            or wall >= prepared.until_wall
            or wall < prepared.from_wall
        ):
            return None
        self.prepared_hits += 1
        return prepared.answer

    def answer_now(self, request: Request, received: bytes | None) -> Response | None:
        """An answer that needs no waiting; None when there is none. Never blocks.

        Args:
            request: The request.
            received: Its bytes, if they may be remembered.
        """
        self.asked += 1
        if self._renewed_route is not None:
            return None
        ask = self._asked(request)
        if isinstance(ask, Response):
            return ask
        # Before anything is looked at: the answer holds no longer than what was seen.
        epoch, now = self._epoch(), self._now()
        due_seconds = self._checker.seconds_until_due()
        if due_seconds == 0.0 or ask.refresh:
            return None
        answer = self._store.peek(ask.query)
        if answer is None or not answer.satisfies(ask.instead_of):
            return None
        response = self._response(ask, answer)
        if answer.how == HIT and received is not None and not self._store.explains:
            seconds = min(answer.fresh_seconds % 1.0, due_seconds)
            self._prepare(received, response, epoch, now, seconds)
        return response

    def answer(self, request: Request) -> Response:
        """An answer, after a look at the sheet and at the source. Blocks."""
        try:
            ask = self._routed(request)
            if ask is None:
                return _PONG
            if ask is STATS:
                return Response(200, self._stats())
            self._checker.ensure_checked()
            answer = self._store.get(
                ask.query, refresh=ask.refresh, instead_of=ask.instead_of
            )
        except RotawareError as refusal:
            return self.refused(refusal)
        return self._response(ask, answer)

    def refused(self, error: RotawareError) -> Response:
        """How an error is told."""
        self._store.tally.count(REFUSALS)
        return self._dialect.refusal(error)

    def _asked(self, request: Request) -> Ask | Response:
        try:
            return self._route(request) or _PONG
        except RotawareError as refusal:
            return self.refused(refusal)

    def _routed(self, request: Request) -> Ask | None:
        try:
            return self._route(request)
        except RequestError as refusal:
            if refusal.status != _FORBIDDEN or self._renewed_route is None:
                raise
            # A restored snapshot may still hold the token of another life.
            return self._renewed_route(request)

    def _prepare(
        self,
        received: bytes,
        response: Response,
        epoch: int,
        now: Instant,
        seconds: float,
    ) -> None:
        if len(response.body) > _MAX_PREPARED_BYTES:
            return
        if len(self._prepared) >= _MAX_PREPARED:
            self._prepared.clear()
        self._prepared[received] = _Prepared(render(response), epoch, now, seconds)

    def _response(self, ask: Ask, answer: Answer) -> Response:
        outcome = answer.outcome
        status = f"rotaware; {answer.how}"
        refused = isinstance(outcome, RotawareError)
        counted = REFUSALS if refused else _COUNTED.get(answer.how, MISSES)
        self._store.tally.count(counted)
        if isinstance(outcome, RotawareError):
            refusal = self._dialect.refusal(outcome, status)
            return refusal if ask.bare is None else missing(refusal, outcome)
        if answer.how == HIT:
            status += f"; ttl={int(answer.fresh_seconds)}"
        document = outcome.value.reveal()
        if ask.bare is not None:
            return bare(document, ask.bare, status)
        return Response(200, self._dialect.document(document), status, JSON)

    def _epoch(self) -> int:
        """No part ever shrinks, so an equal sum means that all are equal."""
        return self._store.epoch + self._checker.epoch
