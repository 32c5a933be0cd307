"""Reads through a store in this very process.

Rules:
1. There are no INVOKE events here: each read looks at the sheet if a look is due; with
   interval 0, each read that no look has begun since.
2. After a fork each process has a store of its own: a lock, a flight or a connection
   may have been in the hands of a thread that the child does not have.
3. An error is raised anew for each who reads, for the store may hold it for others.
"""

from __future__ import annotations

import os
from binascii import a2b_base64

from rotaware.errors import RotawareError
from rotaware.lean import TYPE_CHECKING, NamedTuple
from rotaware.reader import Reading
from rotaware.secret import KMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rotaware.checker import Checker
    from rotaware.secret import Query
    from rotaware.store import Store


class Parts(NamedTuple):
    """What one process reads through.

    Attributes:
        store: Holds values.
        checker: Looks at the sheet.
        close_idle: Closes the connections that no call uses.
    """

    store: Store
    checker: Checker
    close_idle: Callable[[], None]


class StoreReader:
    """Satisfies ``rotaware.reader.Reader``.

    Args:
        make: Makes the parts; called once in each process.
    """

    def __init__(self, make: Callable[[], Parts]) -> None:
        self._make = make
        self._process_id = os.getpid()
        self._parts = make()

    @property
    def parts(self) -> Parts:
        """What this process reads through."""
        if self._process_id != os.getpid():
            # Two threads may both come here; then one of two caches is soon forgotten.
            self._parts = self._make()
            self._process_id = os.getpid()
        return self._parts

    def read(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Reading:
        """See ``Reader``."""
        store, checker, _ = self.parts
        checker.ensure_checked()
        answer = store.get(query, refresh=refresh, instead_of=instead_of)
        outcome = answer.outcome
        if isinstance(outcome, RotawareError):
            raise _anew(outcome)
        document: Any = outcome.value.reveal()
        if query.service == KMS:
            document = _plaintext(document)
        return Reading(document, "fwd=" in answer.how)

    def close(self) -> None:
        """See ``Reader``."""
        self.parts.close_idle()


def _anew(error: RotawareError) -> RotawareError:
    """The same error, without a past."""
    kind = type(error)
    fresh = kind.__new__(kind, *error.args)
    fresh.__dict__.update(error.__dict__)
    return fresh


def _plaintext(document: Mapping[str, Any]) -> str | bytes:
    """A variable's value; bytes where it is no text."""
    text = document["Value"]
    return a2b_base64(document["Blob"]) if text is None else text
