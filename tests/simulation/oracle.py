"""What must hold, judged by one who sees everything at once.

The oracle knows all writes of the sheet in their order, what each reader was told and
when, and which version of a secret is current. It shares no code with the protocol,
merges nothing and remembers no stamps. Its laws are those of ``docs/freshness.md``:

Sheet. A written sheet is short and holds digests and times only; it says something that
       the one it was derived from did not; what it drops is oldest. Whoever looked just
       before some stamp was first written finds that stamp, or a younger one, or is
       told by horizon, gap or base that he knows too little.
Value. What is served was not outdated by a sheet that was seen before the read, unless
       its source could not be reached.
Look.  When a read is answered, a check had begun within the interval before it, and was
       done. Not so where checks fail, or the wait is over.
Thrift. One call a check, one check at a time and no sooner than due. One fetch of a
       secret at a time, and none without a cause: no herd.
End.   When the world is calm, every reader reads what is current.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.simulation import cloud

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.simulation.cloud import Cloud, SheetState
    from tests.simulation.scheduler import Scheduler

FIELDS = {"base", "born", "format", "horizon", "stamps"}
NEVER = -1


class Stamping(NamedTuple):
    """The first appearance of a stamp.

    Attributes:
        position: Of the state in which it appeared.
        generation: That state's.
        version: The digest of the version.
        since: Its date.
    """

    position: int
    generation: int
    version: str
    since: int


class Oracle:
    """Judges the sheet, and keeps what the witnesses need.

    Args:
        scheduler: Stops the world when a law is broken.
        max_bytes: How long a sheet may be.
    """

    def __init__(self, scheduler: Scheduler, max_bytes: int) -> None:
        self._scheduler = scheduler
        self._max_bytes = max_bytes
        self._documents: dict[int, Any] = {}
        self._stampings: dict[tuple[int, str], list[Stamping]] = {}
        self._doubtful: set[int] = set()
        self._moved: set[int] = set()
        self.cloud: Cloud
        self.writes = 0

    def note(self, position: int) -> None:
        """Let the current call know which state of the sheet it was answered with."""
        self._scheduler.actor.looked_at = position

    def incarnation(self, position: int) -> int:
        """Of the sheet's home."""
        return self.cloud.sheets[position].incarnation

    @property
    def has_gap(self) -> bool:
        """Whether the sheet lacks what a lagging home would not yet show."""
        last = self.cloud.sheets[-1]
        document = self._documents.get(last.position, {"base": last.generation - 1})
        return bool(document["base"] != last.generation - 1)

    def is_sheet(self, position: int) -> bool:
        """Whether a state of the home can be used, or is none."""
        return position in self._documents or not self.cloud.sheets[position].generation

    def stamp(self, position: int, subject: str) -> list[Any] | None:
        """What a state of the sheet says of a subject."""
        document = self._documents.get(position)
        return document["stamps"].get(subject) if document else None

    def loses(self, after: int, position: int) -> bool:
        """Whether anything between two states keeps something from a reader."""
        created = self.cloud.sheets[after].generation == 0 and position > after
        return (
            created
            or position < after
            or any(each in self._doubtful for each in range(after + 1, position + 1))
        )

    def outdated(self, subject: str, digest: str, after: int, position: int) -> bool:
        """Whether a version is not what a state of the sheet says, or ought to say.

        Args:
            subject: What the version is of.
            digest: The version's.
            after: Which state was seen before it was asked for; NEVER for none.
            position: Which state was seen since.
        """
        stamp = self.stamp(position, subject)
        if stamp is not None and stamp[0] == digest:
            return False
        last = self.incarnation(position)
        first = last if after == NEVER else self.incarnation(after)
        known: list[Stamping] = []
        new: list[Stamping] = []
        for incarnation in range(first, last + 1):
            for each in self._stampings.get((incarnation, subject), []):
                if each.position <= position:
                    (known if each.position <= after else new).append(each)
        # Of two stamps that crossed each other, the younger is the changed one.
        youngest = max(known + new, key=lambda each: each.since, default=None)
        if youngest is None or youngest not in new:
            return False
        return youngest.version != digest

    def vandalised(self, state: SheetState) -> None:
        """Somebody else wrote the parameter, or deleted it."""
        self._doubtful.add(state.position)

    def laid_out(self, state: SheetState) -> None:
        """A sheet was there before the world began."""
        self._documents[state.position] = json.loads(state.text or "")

    def written(self, state: SheetState) -> None:
        """Judge a write of the sheet."""
        self.writes += 1
        assert state.text is not None
        document = json.loads(state.text)
        self._documents[state.position] = document
        actor = self._scheduler.actor
        read = self._documents.get(actor.looked_at)
        known = read["stamps"] if read else {}
        self._judge_form(state.text, document)
        self._expect(
            document["base"] == self.cloud.sheets[actor.looked_at].generation,
            "a base that its writer has not read",
        )
        self._expect(document["stamps"] != known, "a write that says nothing new")
        self._expect(
            # A sheet that was deleted, or whose first stamps crossed, has two births.
            actor.wrote <= actor.looked_at
            or state.incarnation > 1
            or (read or {}).get("born") not in {0, self._born(actor.wrote)},
            "a write by one who has read less than he wrote",
        )
        actor.wrote = state.position
        self._note_stampings(state, document["stamps"])
        dropped = known.keys() - document["stamps"].keys()
        moved = document["base"] >= state.generation
        if moved:
            self._moved.add(state.position)
        overwrote = document["base"] != state.generation - 1
        if dropped or overwrote or moved or actor.looked_at in self._moved:
            self._doubtful.add(state.position)
        kept = document["stamps"].keys() - actor.subjects
        self._expect(
            max((known[each][1] for each in dropped), default=0)
            <= min((document["stamps"][each][1] for each in kept), default=1 << 60),
            "it forgets what is not oldest",
        )
        self._judge_promise(state, document)

    def _born(self, position: int) -> int | None:
        document = self._documents.get(position, {})
        born: int | None = document.get("born")
        return born

    def _judge_form(self, text: str, document: Any) -> None:
        self._expect(len(text) <= self._max_bytes, "a sheet that is too long")
        self._expect(document.keys() == FIELDS, "a field that does not belong there")
        self._expect("payload" not in text, "a value on the sheet")
        for subject, (version, since) in document["stamps"].items():
            lengths = (len(subject), len(version), type(since))
            self._expect(lengths == (11, 8, int), "a stamp that is no digest")

    def _note_stampings(self, state: SheetState, stamps: Mapping[str, Any]) -> None:
        for subject, (version, since) in stamps.items():
            listed = self._stampings.setdefault((state.incarnation, subject), [])
            if all((each.version, each.since) != (version, since) for each in listed):
                listed.append(
                    Stamping(state.position, state.generation, version, since)
                )

    def _judge_promise(self, state: SheetState, document: Any) -> None:
        """Rule by rule, what the document tells to those who looked before."""
        base = document["base"]
        for (incarnation, subject), listed in self._stampings.items():
            if incarnation != state.incarnation:
                continue
            stamping = listed[-1]
            seen = stamping.generation - 1
            stamp = document["stamps"].get(subject)
            told = (
                base >= state.generation
                or document["horizon"] > seen
                or (base < state.generation - 1 and state.generation - 1 > seen)
            )
            self._expect(
                told or (stamp is not None and stamp[1] >= stamping.since),
                f"the stamp of generation {stamping.generation} is lost in"
                f" {state.generation}, and whoever saw {seen} is not told",
            )

    def judge_end(self, announced: Iterable[str]) -> None:
        """All events are worked off: the sheet says the truth about what it names."""
        for name in announced:
            stamp = self.stamp(len(self.cloud.sheets) - 1, cloud.subject(name))
            truth = self.cloud.secret(name).version("AWSCURRENT") or ""
            self._expect(
                stamp is None or stamp[0] == cloud.digest(truth),
                f"the sheet is wrong about {name} in the end",
            )

    def _expect(self, holds: bool, law: str) -> None:  # noqa: FBT001
        if not holds:
            self._scheduler.violated(law)
