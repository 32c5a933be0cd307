"""The sheet beside what AWS says now: one row for each stamp and each secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rotaware.sheet import encode, version_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotaware.cli.truth import Current
    from rotaware.sheet import Sheet, Stamp

SAME, DIFFERS, UNSTAMPED, UNKNOWN = "same", "differs", "no stamp", "unknown"


class Row(NamedTuple):
    """One subject.

    Attributes:
        state: ``SAME``; ``DIFFERS``: the stamp names another version than AWS;
            ``UNSTAMPED``: it has not changed since the sheet was made, or its stamp was
            forgotten; ``UNKNOWN``: a stamp of what AWS does not list here.
        name: Its name, or its digest where that is all there is.
        service: ``secretsmanager`` or ``ssm``; empty if unknown.
        version: The version that AWS says is current; empty for none.
        since: The stamp's time in epoch seconds; None without a stamp.
        changed_at: When AWS says that it last changed, in epoch seconds.
    """

    state: str
    name: str
    service: str
    version: str
    since: int | None
    changed_at: float

    @property
    def differs(self) -> bool:
        """Whether the stamp is not of the current version."""
        return self.state == DIFFERS


def compare(stamps: Mapping[str, Stamp], current: Mapping[str, Current]) -> list[Row]:
    """What differs first, then by name."""
    rows = [_known(now, stamps.get(subject)) for subject, now in current.items()]
    rows += [
        Row(UNKNOWN, subject, "", "", stamp.since, 0.0)
        for subject, stamp in stamps.items()
        if subject not in current
    ]
    order = (DIFFERS, SAME, UNSTAMPED, UNKNOWN)
    return sorted(rows, key=lambda row: (order.index(row.state), row.name))


def _known(now: Current, stamp: Stamp | None) -> Row:
    if stamp is None:
        state = UNSTAMPED
    else:
        same = stamp.version == version_digest(now.version)
        state = SAME if same else DIFFERS
    since = stamp.since if stamp else None
    return Row(state, now.name, now.service, now.version, since, now.changed_at)


def fullness(sheet: Sheet, max_bytes: int) -> float:
    """How much of the room that a sheet has is taken, from 0 to 1."""
    return len(encode(sheet)) / max_bytes
