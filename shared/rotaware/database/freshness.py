"""Whether a pooled connection was made by the version that is current.

A session outlives its password, so after a rotation a pool would hold old logins for as
long as it likes. Here is who tells: the secret's version, looked at once a second at
most, which costs one read from memory.
"""

from __future__ import annotations

from rotaware.database.ledger import NEVER
from rotaware.database.rule import Read
from rotaware.errors import RotawareError
from rotaware.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotaware.answers import Secret
    from rotaware.database.secrets import Logins

LOOK_SECONDS = 1.0


class Freshness:
    """Which version is current.

    Args:
        logins: Of the pool.
    """

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._looked_at = NEVER
        self._version: str | None = None

    def is_due(self) -> bool:
        """Whether to look again; says so once."""
        now = self._logins.now()
        if now < self._looked_at + LOOK_SECONDS:
            return False
        self._looked_at = now
        return True

    def look(self, read: Callable[[Read], Secret] | None = None) -> bool:
        """Whether another version is current than at the last look.

        What cannot be read changes nothing.
        """
        try:
            version = (read or self._logins.read)(Read()).version_id
        except RotawareError:
            return False
        before, self._version = self._version, version
        return before not in (None, version)

    def is_old(self, version: str | None) -> bool:
        """Whether a connection by this version should go."""
        return None not in (version, self._version) and version != self._version
