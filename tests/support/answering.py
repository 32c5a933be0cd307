"""AWS as a table: what each operation answers, raises, or makes of its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotaware.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Answering:
    """Satisfies ``rotaware.aws.Aws``.

    Args:
        answers: ``service.Operation`` to an answer, an error to raise, or a function of
            the request. A list is used up one by one.

    Attributes:
        requests: What was asked, in order.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = dict(answers)
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Look it up; what is not in the table is denied."""
        del timeout_seconds
        name = f"{service}.{operation}"
        self.requests.append((name, dict(request)))
        answer = self._answers.get(name, AwsError("AccessDeniedException", name))
        if isinstance(answer, list):
            answer = answer.pop(0)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        found: dict[str, Any] = answer
        return found
