"""AWS at our own port: scripted answers, recorded calls."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Call(NamedTuple):
    """One call, as it was made."""

    service: str
    operation: str
    request: Mapping[str, Any]
    timeout_seconds: float | None = None


class FakeAws:
    """Satisfies ``rotaware.aws.Aws``.

    Args:
        answers: What it answers, one after the other; errors are raised. Too many
            calls are an ``IndexError``.

    Attributes:
        calls: Every call, in order.
    """

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.calls: list[Call] = []

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        self.calls.append(
            Call(service, operation, deepcopy(dict(request)), timeout_seconds)
        )
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        document: dict[str, Any] = answer
        return document
