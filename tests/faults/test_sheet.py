"""The stamp sheet cannot be read or used.

One process lives through all of these. Reads go on, bounded by the TTL; what is wrong
is said once; and the first sheet that can be used again counts.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from tests.support.fault_rig import (
    CHECK_SECONDS,
    RECOVERY_SECONDS,
    THROTTLED_SECONDS,
    World,
)
from tests.support.fault_table import Row, row, rows
from tests.support.hostile_aws import answer, refuse, reset, silence

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.hostile_aws import Step

    Start = Callable[..., World]

TTL_SECONDS = 10 * THROTTLED_SECONDS
ENVIRON = {"SECRETS_MANAGER_TTL": str(TTL_SECONDS)}
BOUNDED = "cached values are bounded by their TTL alone"


class Fault(NamedTuple):
    """What is wrong with the sheet.

    Attributes:
        state: What the log calls it.
        step: How the call for it is answered, if not with the text.
        text: What stands there.
        evicts: Whether what was said before may be wrong now.
    """

    state: str
    step: Step | None = None
    text: str | None = None
    evicts: bool = False


FAULTS = {
    "it was deleted": Fault("absent", evicts=True),
    "it is no JSON": Fault("unusable", text="canary"),
    "it is no sheet": Fault("unusable", text='{"format": 1, "stamps": "canary"}'),
    "it is of a newer format": Fault("unusable", text='{"format": 2}'),
    "the answer has no sheet": Fault("unusable", answer({"Parameter": {}})),
    "permission revoked": Fault(
        "AccessDeniedException", refuse("AccessDeniedException", "not authorized")
    ),
    "throttled": Fault("ThrottlingException", refuse("ThrottlingException", "slower")),
    "credentials expired": Fault(
        "ExpiredTokenException", refuse("ExpiredTokenException")
    ),
    "500": Fault("InternalServerError", refuse("InternalServerError", status=500)),
    "403 of a proxy": Fault("403", answer(b"<html>", 403)),
    "connection reset": Fault("ConnectionError", reset()),
    "no JSON": Fault("ConnectionError", answer(b"<html>")),
    "silent": Fault("TimeoutError", silence()),
}


def row_of(name: str, fault: Fault) -> Row:
    """What a fault looks like."""
    first = "all values once from their source; then " if fault.evicts else ""
    return Row(name, f"{first}values by TTL alone", f'"sheet":"{fault.state}"')


@rows(FAULTS, row_of)
def test_reads_go_on(world: World, fault: Fault) -> None:
    """By TTL, without waiting, and until the sheet is back."""
    account, name = world.account, f"held-{len(world.account.versions)}"
    first, sheet = account.put(name), account.sheet

    assert f"{first} fwd=miss" == world.seen(name)

    second = account.put(name)
    account.write_sheet(fault.text)
    if fault.step is not None:
        account.faults["GetParameter"] = fault.step
    before = len(world.lines)
    world.tick(THROTTLED_SECONDS)
    started_at = time.monotonic()

    assert world.seen(name) == (
        f"{second} fwd=stale" if fault.evicts else f"{first} hit"
    )
    assert time.monotonic() - started_at < 3.0

    world.assert_alive()
    for _ in range(2):
        world.tick(TTL_SECONDS)

        assert world.seen(name) in {f"{second} fwd=stale", f"{second} hit"}

    world.child.wait_for(lambda line: f'"sheet":"{fault.state}"' in line)
    account.sheet = sheet
    third = account.rotate(name)
    world.lift()
    world.tick(THROTTLED_SECONDS)

    assert f"{third} fwd=stale" == world.seen(name)

    state = f'"sheet":"{fault.state}"'
    said = [line for line in world.lines[before:] if BOUNDED in line and state in line]

    assert 1 == len(said)


@row(
    "there never was one: no invalidator is deployed",
    "values by TTL alone, until there is a sheet",
    '"sheet":"absent"',
)
def test_no_sheet_at_all(start: Start) -> None:
    """It is said once, and the first sheet counts."""
    world = start(faults={"GetParameter": refuse("ParameterNotFound")})
    old = world.account.put("a")

    assert f"{old} fwd=miss" == world.seen("a")

    world.account.put("a")
    world.tick(CHECK_SECONDS)

    assert f"{old} hit" == world.seen("a")

    world.assert_alive()
    world.lift()
    new = world.account.rotate("a")
    world.tick(RECOVERY_SECONDS)

    assert f"{new} fwd=stale" == world.seen("a")
    assert 1 == sum(BOUNDED in line for line in world.lines)
