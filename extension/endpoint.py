"""What the port answers: at once when it is held, else after asking.

A request that was answered from the cache is remembered by its bytes, for as long as
the same answer would be given: until a second is over (the answer says how many are
left), a check is due, or anything that is cached changes. The next one costs a look-up.
"""

from __future__ import annotations

from extension.http1 import JSON, Response, error_response, render
from extension.routes import route
from rotaware import lean_json as json
from rotaware.errors import RequestError, RotawareError
from rotaware.flight import HIT
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from extension.http1 import Request
    from extension.routes import Ask
    from rotaware.checker import Checker
    from rotaware.clock import Clock, Instant
    from rotaware.flight import Answer
    from rotaware.store import Store

_FORBIDDEN = 403
_MAX_PREPARED = 128
_MAX_PREPARED_BYTES = 16384
_PONG = Response(200, b"healthy", content_type="text/plain")


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
    """Answers requests.

    Args:
        store: Where values are read.
        checker: Looks at the stamp sheet before a read.
        token: Gives the token that is valid now, None for none.
        clock: Time.
        renewed_token: Gives it after asking its provider anew, where tokens change.
            Both may block there, so each request is answered by a worker.
    """

    def __init__(
        self,
        store: Store,
        checker: Checker,
        token: Callable[[], str | None],
        clock: Clock,
        *,
        renewed_token: Callable[[], str | None] | None = None,
    ) -> None:
        self._store = store
        self._checker = checker
        self._token = token
        self._now = clock.now
        self._renewed_token = renewed_token
        self._prepared: dict[bytes, _Prepared] = {}
        self.reads = 0
        """How many requests have come."""

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
        self.reads += 1
        return prepared.answer

    def answer_now(self, request: Request, received: bytes | None) -> Response | None:
        """An answer that needs no waiting; None when there is none. Never blocks.

        Args:
            request: The request.
            received: Its bytes, if they may be remembered.
        """
        self.reads += 1
        if self._renewed_token is not None:
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
        response = _response(answer)
        if answer.how == HIT and received is not None:
            seconds = min(answer.fresh_seconds % 1.0, due_seconds)
            self._prepare(received, response, epoch, now, seconds)
        return response

    def answer(self, request: Request) -> Response:
        """An answer, after a look at the sheet and at the source. Blocks."""
        try:
            ask = self._routed(request)
            if ask is None:
                return _PONG
            self._checker.ensure_checked()
            answer = self._store.get(
                ask.query, refresh=ask.refresh, instead_of=ask.instead_of
            )
        except RotawareError as refusal:
            return error_response(refusal)
        return _response(answer)

    def _asked(self, request: Request) -> Ask | Response:
        try:
            return route(request, self._token) or _PONG
        except RotawareError as refusal:
            return error_response(refusal)

    def _routed(self, request: Request) -> Ask | None:
        try:
            return route(request, self._token)
        except RequestError as refusal:
            if refusal.status != _FORBIDDEN or self._renewed_token is None:
                raise
            # A restored snapshot may still hold the token of another life.
            return route(request, self._renewed_token)

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

    def _epoch(self) -> int:
        """No part ever shrinks, so an equal sum means that all are equal."""
        return self._store.epoch + self._checker.epoch


def _response(answer: Answer) -> Response:
    outcome = answer.outcome
    status = f"rotaware; {answer.how}"
    if isinstance(outcome, RotawareError):
        return error_response(outcome, status)
    if answer.how == HIT:
        status += f"; ttl={int(answer.fresh_seconds)}"
    body = json.dumps(outcome.value.reveal(), separators=(",", ":")).encode()
    return Response(200, body, status, JSON)
