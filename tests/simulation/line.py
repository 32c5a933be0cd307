"""The way from a host to AWS, and back: it takes its time, and calls get lost on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotaware.errors import AwsError, AwsTimeoutError, AwsUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.cloud import Cloud
    from tests.simulation.scheduler import Host, Scheduler
    from tests.simulation.witness import Witness

    Answer = dict[str, Any]

TIMEOUT_SECONDS = 5.0


class Crash(BaseException):
    """The end of a process, between two calls."""


class Line:
    """Satisfies ``rotaware.aws.Aws``: the way from one host to AWS, and back.

    Args:
        cloud: The other end.
        scheduler: Time and chance.
        host: Who calls.
        witness: Told about each call, where a reader makes it.
    """

    def __init__(
        self,
        cloud: Cloud,
        scheduler: Scheduler,
        host: Host,
        witness: Witness | None = None,
    ) -> None:
        self.cloud = cloud
        self._scheduler = scheduler
        self._random = scheduler.random.random
        self._host = host
        self._witness = witness

    def call(
        self,
        service: str,  # noqa: ARG002  operations have names of their own here
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> Answer:
        about = request.get("SecretId") or request.get("SecretIdList") or ""
        self._scheduler.tell(operation, about)
        outcome: Answer | AwsError
        if self._witness is None:
            outcome = self._travel(operation, request, timeout_seconds)
        else:
            land = self._witness.calls(operation, request)
            outcome = self._travel(operation, request, timeout_seconds)
            land(outcome)
        self._scheduler.tell(f"{operation} brought", outcome)
        if isinstance(outcome, AwsError):
            raise outcome
        return outcome

    def _travel(
        self, operation: str, request: Mapping[str, Any], timeout_seconds: float | None
    ) -> Answer | AwsError:
        faults, scheduler = self.cloud.faults, self._scheduler
        allowed = TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds
        left_at, thaws = scheduler.now, self._host.thaws
        there, back = self._way(), self._way()
        if operation == "GetSecretValue":
            there += self._random() ** 2 * faults.source_seconds
            back += self._random() ** 2 * faults.source_seconds
        lost = faults.lost and self._random() < faults.lost
        on_the_way_back = lost and self._random() < 0.5
        self._crash()
        if lost and not on_the_way_back:
            there = float("inf")
        scheduler.sleep(min(there, allowed))
        if there >= allowed:
            return AwsTimeoutError("no answer")
        outcome: Answer | AwsError
        try:
            outcome = self.cloud.answer(operation, request)
        except AwsError as refusal:
            outcome = refusal
        left_seconds = allowed - there
        if on_the_way_back:
            back = float("inf")
        scheduler.sleep(min(back, left_seconds))
        self._crash()
        if self._host.thaws != thaws and self._random() < 0.5:
            return AwsUnavailableError("ConnectionError", "it died in the frost")
        late = scheduler.now - left_at > allowed
        return AwsTimeoutError("no answer") if late or back >= left_seconds else outcome

    def _way(self) -> float:
        mean = self.cloud.faults.latency_seconds
        # Now and then a call takes much longer.
        return mean * self._random() * (20.0 if self._random() < 0.05 else 1.0)

    def _crash(self) -> None:
        crash = self.cloud.faults.crash
        if crash and self._witness is None and self._random() < crash:
            raise Crash
