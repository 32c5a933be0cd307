"""Writing stamps: the loop of an invalidator, which the extension never loads.

The loop reads, merges what the gap holds, writes only if the sheet lacks something that
it should say, and asks the judge again until all is stable. Where the sheet's home
cannot be told to write only if nobody else did, it shows afterwards whether a write has
overwritten another: that makes the gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from rotaware.errors import AwsThrottledError, AwsUnavailableError, SheetError
from rotaware.sheet import (
    UNWRITTEN,
    Edition,
    derive,
    encode,
    merge,
    version_digest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rotaware.clock import Clock
    from rotaware.sheet import Sheet, Stamp
    from rotaware.stamps import SheetHome

MAX_ROUNDS = 16
"""With their pauses some 18 seconds, less than an invalidator has. Of 27 writers that
begin almost at once none needs more than 9 (``test_a_crowd_needs_few_rounds``)."""
MAX_GAP = 16
"""A gap of more generations than this is given up as forgotten."""
MAX_LATE = 5
"""How often a generation of the gap may not be found, as where the store shows it late,
until it counts as forgotten: some three seconds."""
MAX_BATCH = 40
"""Subjects stamped by one write: well below what a sheet holds."""

_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 3.0


class _LateError(Exception):
    """A generation of the gap is not shown yet."""


class WriteLog(Protocol):
    """What the loop logs to; rotaware's Logger is one, and so is Powertools'."""

    def info(self, message: str, /, *, generation: int, base: int, stamps: int) -> None:
        """One write."""
        ...


class Published(NamedTuple):
    """What a publish did.

    Attributes:
        written: How many stamps it changed.
        generation: The sheet's generation when it ended.
        fullness: Which part of its room the sheet takes then, 0 to 1.
    """

    written: int
    generation: int
    fullness: float


def publish(  # noqa: PLR0913  each is a part that tests replace, or the event's
    home: SheetHome,
    judge: Callable[[], Mapping[str, str]],
    *,
    clock: Clock,
    random: Callable[[], float],
    log: WriteLog,
    changed: Mapping[str, float] = {},
) -> Published:
    """Make the sheet say what the judge says, and lose nobody else's stamps.

    Args:
        home: Where the sheet is.
        judge: Asks AWS anew, each time it is called, which version of each subject to
            be stamped is current: subject to version id, at most ``MAX_BATCH`` of them;
            an empty version id for what can no longer be read.
        clock: Time, for ``since`` and for pauses.
        random: Uniform in [0, 1), for jitter.
        log: Told about each write.
        changed: When subjects are said to have changed, in epoch seconds; see
            ``derive``. What the sheet has stamped since then is not written again.

    Raises:
        AwsError: AWS refused, or other writers never let this one finish.
        SheetError: The home holds something else, or a newer format.
    """
    return _Writer(home, judge, clock, random, log, changed).publish()


class _Writer:
    """One publish call's state: what it wrote, and what it saw standing."""

    __slots__ = (
        "_changed",
        "_clock",
        "_home",
        "_judge",
        "_known",
        "_late",
        "_log",
        "_newest",
        "_random",
        "_stood",
        "_written",
    )

    def __init__(  # noqa: PLR0913, PLR0917  those of ``publish``, which names them
        self,
        home: SheetHome,
        judge: Callable[[], Mapping[str, str]],
        clock: Clock,
        random: Callable[[], float],
        log: WriteLog,
        changed: Mapping[str, float],
    ) -> None:
        self._changed = changed
        self._home = home
        self._judge = judge
        self._clock = clock
        self._random = random
        self._log = log
        self._newest: Edition | None = None
        self._written: set[str] = set()
        self._stood: dict[str, Edition] = {}
        self._known: dict[tuple[int, int], Sheet | None] = {}
        self._late = 0

    def publish(self) -> Published:
        for attempt in range(MAX_ROUNDS):
            if attempt:
                self._pause(attempt)
            try:
                edition = self._round()
            except (AwsThrottledError, _LateError):
                continue
            if edition is not None:
                size = len(encode(edition.sheet))
                return Published(
                    len(self._written), edition.generation, size / self._home.max_bytes
                )
        raise AwsUnavailableError(
            "SheetContended",
            f"the stamp sheet was overwritten or throttled {MAX_ROUNDS} times in a row:"
            " too many invalidators write it at once",
        )

    def _round(self) -> Edition | None:
        """Read, judge, write if something is lacking: the edition, once stable."""
        edition = self._home.read() or UNWRITTEN
        if self._is_old_copy(edition):
            return None
        truth = self._judge()
        stamps, lost = self._all_that_is_said(edition)
        wanted = {
            subject: version
            for subject, version in truth.items()
            if not self._has_stood(subject, version, edition)
        }
        sheet = derive(
            edition,
            stamps,
            wanted,
            now_seconds=self._clock.now().wall,
            changed=self._changed,
            lost=lost,
            max_bytes=self._home.max_bytes,
        )
        if sheet.stamps == edition.sheet.stamps:
            return edition
        generation = self._home.write(sheet, over=edition)
        if generation is None:
            return None
        self._newest = Edition(generation, sheet)
        self._note_written(edition, sheet, wanted, generation)
        clean = generation == sheet.base + 1
        return self._newest if clean and self._judge() == truth else None

    def _is_old_copy(self, edition: Edition) -> bool:
        """Whether the store answered with less than what this writer has written.

        It may be eventually consistent. A sheet that was deleted and made anew has
        another birth, or a base that tells. But one that was laid out empty has none,
        and who writes on top of it at the same time gives it each another.
        """
        newest = self._newest
        if newest is None or edition.is_moved:
            return False
        is_of_the_same_birth = edition.sheet.born in (0, newest.sheet.born)
        return 0 < edition.generation < newest.generation and (
            is_of_the_same_birth or edition.generation in newest.gap
        )

    def _note_written(
        self,
        edition: Edition,
        sheet: Sheet,
        wanted: Mapping[str, str],
        generation: int,
    ) -> None:
        old = edition.sheet.stamps
        stamped = {name for name in wanted if old.get(name) != sheet.stamps[name]}
        self._written |= stamped
        self._log.info(
            "wrote the stamp sheet",
            generation=generation,
            base=sheet.base,
            stamps=len(stamped),
        )

    def _all_that_is_said(self, edition: Edition) -> tuple[Mapping[str, Stamp], bool]:
        """The stamps of an edition and its gap; whether a part of it is lost."""
        if not edition.gap:
            return edition.sheet.stamps, False
        if len(edition.gap) > MAX_GAP:
            return edition.sheet.stamps, True
        born = edition.sheet.born
        read = [self._overwritten(born, generation) for generation in edition.gap]
        sheets = [sheet for sheet in read if sheet is not None]
        return merge([*sheets, edition.sheet]), len(sheets) < len(read)

    def _overwritten(self, born: int, generation: int) -> Sheet | None:
        """What a generation of the gap said; asked for once, though rounds break off.

        Where reads are throttled, nobody would ever read all of a long gap at once.
        """
        known = born, generation
        if known not in self._known:
            self._known[known] = self._read_overwritten(generation)
        return self._known[known]

    def _read_overwritten(self, generation: int) -> Sheet | None:
        try:
            edition = self._home.read_overwritten(generation)
        except SheetError:
            return None
        if edition is None and self._late < MAX_LATE:
            self._late += 1
            raise _LateError
        return edition.sheet if edition else None

    def _has_stood(self, subject: str, version: str, edition: Edition) -> bool:
        """Whether a stamp was seen standing, and was then forgotten by the rules.

        Whoever looked while it stood has seen it, and the horizon tells the others. To
        write it again would push out another one, and so on for ever.
        """
        if subject in edition.sheet.stamps:
            if not edition.gap:
                self._stood[subject] = edition
            return False
        stood = self._stood.get(subject)
        return (
            stood is not None
            and stood.sheet.stamps[subject].version == version_digest(version)
            and stood.sheet.born == edition.sheet.born
            and stood.generation <= edition.sheet.horizon
        )

    def _pause(self, attempt: int) -> None:
        longest = min(_LONGEST_PAUSE_SECONDS, _PAUSE_SECONDS * 2**attempt)
        self._clock.sleep(self._random() * longest)
