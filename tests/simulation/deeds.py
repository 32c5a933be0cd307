"""What people and rotations do to secrets, and now and then to the sheet.

Each change of a secret is announced as AWS announces it: by one event or two, on a bus
that may lose them.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.simulation.cloud import SecretState, SheetState, arn_of
from tests.support.events import label_updated, put_secret_value, recorded, rotation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulation.cloud import Cloud
    from tests.simulation.oracle import Oracle
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.writers import Queue

YOUNG = 20
"""A sheet of fewer generations is not deleted: made anew, it might come to the same one
while somebody still writes on top of the old (see ``docs/freshness.md``)."""


class Operator:
    """Whoever changes things.

    Args:
        scheduler: Time and chance.
        cloud: What is changed.
        oracle: Told of what is done to the sheet.
        queue: Where changes are announced.
        names: Of the secrets.
        table: Whether the sheet is in a table, where nothing else writes.

    Attributes:
        changes: How often each secret was changed.
        deletions: How often the sheet was deleted.
    """

    def __init__(  # noqa: PLR0913  each is a part of the world
        self,
        scheduler: Scheduler,
        cloud: Cloud,
        oracle: Oracle,
        queue: Queue,
        names: Sequence[str],
        *,
        table: bool,
    ) -> None:
        self._scheduler = scheduler
        self._random = scheduler.random
        self._happens = scheduler.happens
        self._table = table
        self._cloud = cloud
        self._oracle = oracle
        self._queue = queue
        self._names = names
        self.changes = dict.fromkeys(names, 0)
        self.deletions = 0

    def lay_out_sheet(self) -> None:
        """A sheet without stamps: an old one, or a new one as the template makes it."""
        generation = self._random.choice((1, 20, 300))
        sheet = {"format": 1, "base": generation - 1, "horizon": 0, "stamps": {}}
        born = 0 if generation == 1 else 1_790_000_000_000
        state = SheetState(
            -1e6,
            1,
            1,
            generation,
            json.dumps({**sheet, "born": born}),
            f"{born}.{generation}",
        )
        self._cloud.sheets.append(state)
        self._oracle.laid_out(state)

    def operate(self, seconds: float) -> None:
        """Somebody changes secrets, and now and then the sheet."""
        deeds: list[Callable[[str], None]] = [self.rotate] * 3
        deeds.append(self._put_by_hand)
        if self._happens(0.4):
            deeds += [self._roll_back, self._take_back, self._take_back]
        if self._happens(0.2):
            deeds += [self._delete_and_restore, self._make_anew]
        if self._happens(0.15):
            deeds.append(self._delete_sheet)
        if self._happens(0.1) and not self._table:
            deeds.append(self._vandalise_sheet)
        at_once = self._scheduler.some(0.6, 1.0)
        for _ in range(self._random.randint(1, 6)):
            if not self._happens(at_once):
                self._scheduler.sleep(self._random.random() * seconds / 2)
            name = self._random.choice(self._names)
            deed = self._random.choice(deeds)
            if self._happens(at_once):
                self._scheduler.spawn("operator", partial(deed, name))
            else:
                deed(name)
        # Whoever was spawned is done by now.
        self._scheduler.sleep(8.0)

    def restore(self, name: str) -> None:
        """Take back the deletion of a secret, if there was one."""
        if self._cloud.secret(name).deleted:
            self._set(name, deleted=False)

    def _set(self, name: str, **changes: Any) -> SecretState:
        state = self._cloud.secret(name)._replace(at=self._scheduler.now, **changes)
        self._cloud.change(name, state)
        self._scheduler.tell("changes", f"{name}: {state}")
        return state

    def _announce(self, name: str, *events: Any) -> None:
        self.changes[name] += 1
        for event in events:
            self._queue.send(name, event, self.changes[name])

    def _next_version(self, name: str) -> str:
        numbers = [
            int(version.rpartition("-")[2])
            for state in self._cloud.secrets[name]
            for version in state.stages
        ]
        return f"{name}-{max(numbers) + 1}"

    def _promote(self, name: str, version: str) -> None:
        """Move AWSCURRENT, as the end of a rotation does."""
        state = self._cloud.secret(name)
        current = state.version("AWSCURRENT")
        stages = {
            each: [
                label
                for label, on in (
                    ("AWSCURRENT", each == version),
                    ("AWSPREVIOUS", each == current),
                )
                if on
            ]
            for each in {**state.stages, version: []}
        }
        arn = self._set(name, stages=stages).arn
        events = [label_updated(arn, name)]
        if self._happens(0.5):
            events.append(rotation("RotationSucceeded", arn))
        self._announce(name, *events)

    def rotate(self, name: str) -> None:
        """A rotation, if there is something to rotate."""
        if self._cloud.secret(name).version("AWSCURRENT") is None:
            return
        state = self._cloud.secret(name)
        version = self._next_version(name)
        self._set(name, stages={**state.stages, version: ["AWSPENDING"]})
        self._scheduler.sleep(self._random.random())
        if self._happens(0.2):
            # It fails, and is repaired later: by trying again, or by hand.
            self._scheduler.sleep(self._random.random() * 2)
            if self._happens(0.5):
                self._put_by_hand(name)
                return
        self._promote(name, version)

    def _put_by_hand(self, name: str) -> None:
        if self._cloud.secret(name).version("AWSCURRENT") is None:
            return
        version = self._next_version(name)
        self._promote(name, version)
        self._queue.send(
            name,
            put_secret_value(None, self._cloud.secret(name).arn),
            self.changes[name],
        )

    def _roll_back(self, name: str) -> None:
        version = self._cloud.secret(name).version("AWSPREVIOUS")
        if version is not None:
            self._promote(name, version)

    def _take_back(self, name: str) -> None:
        """A new version does not work, and is taken back at once."""
        self._put_by_hand(name)
        self._scheduler.sleep(self._random.random() * 2)
        self._roll_back(name)

    def _delete_and_restore(self, name: str) -> None:
        if self._cloud.secret(name).deleted:
            return
        arn = self._set(name, deleted=True).arn
        self._announce(name, self._recorded("DeleteSecret", arn))
        self._scheduler.sleep(self._random.random() * 3)
        if self._happens(0.7):
            self._set(name, deleted=False)
            self._announce(name, self._recorded("RestoreSecret", arn))

    def _make_anew(self, name: str) -> None:
        if self._cloud.secret(name).deleted:
            return
        arn = self._set(name, exists=False).arn
        self._announce(name, self._recorded("DeleteSecret", arn))
        self._scheduler.sleep(self._random.random() * 3)
        version = self._next_version(name)
        arn = arn_of(name, f"{self._random.randrange(10**6):06}")
        self._set(name, arn=arn, exists=True, stages={version: ["AWSCURRENT"]})
        self._announce(name, self._recorded("CreateSecret", arn))

    def _recorded(self, what: str, arn: str) -> Any:
        return recorded(
            what, requestParameters={"secretId": arn}, responseElements={"arn": arn}
        )

    def _delete_sheet(self, _: str) -> None:
        if self._cloud.sheets[-1].generation < YOUNG or self.deletions:
            return
        self._scheduler.tell("deletes the sheet")
        self.deletions += 1
        self._cloud.delete_sheet()
        self._oracle.vandalised(self._cloud.sheets[-1])

    def _vandalise_sheet(self, _: str) -> None:
        """Something else writes the parameter; then somebody deletes it."""
        if self._cloud.sheets[-1].generation < YOUNG or self.deletions:
            return
        self._scheduler.tell("spoils the sheet")
        text = self._random.choice(('{"format": 2}', "not a sheet"))
        self._oracle.vandalised(self._cloud.write(text))
        self._scheduler.sleep(self._random.random() * 3)
        self._delete_sheet("")
