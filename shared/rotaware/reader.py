"""Where function code's reads go: the extension's port, or this very process."""

from __future__ import annotations

from rotaware.lean import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from typing import Any

    from rotaware.secret import Query


class Reading(NamedTuple):
    """What a read brought.

    Attributes:
        document: The answer, in the shape that the local port serves: a JSON document,
            or a variable's plaintext, as bytes where it is no text.
        from_source: Whether AWS was asked for it, rather than a memory.
    """

    document: Any
    from_source: bool


class Reader(Protocol):
    """Answers reads; safe to use from many threads."""

    def read(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Reading:
        """One secret, parameter or variable.

        Args:
            query: What to read.
            refresh: Ask AWS, whatever is held.
            instead_of: The version that just failed the caller: ask AWS unless another
                one is held.

        Raises:
            RotawareError: AWS refused, or could not be reached; or nobody answers.
        """
        ...

    def close(self) -> None:
        """Let go of connections; a later read makes new ones."""
        ...
