"""Rotations by the hundred while everybody logs in: a table and a plot into docs.

Every kind of rotation runs on both databases, all at once, under Lambda's emulator with
the built layer and the deployed invalidator. The same rotations befall the controls.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from tests.databases.course import (
    CONTROLS,
    EVICTION,
    FRESH,
    POWERTOOLS,
    ROTAWARE,
    STRATEGIES,
    WORKERS,
    Course,
    Login,
    Outcome,
)
from tests.support.deployment import deploy
from tests.support.mariadb import Mariadb
from tests.support.postgres import Postgres
from tests.support.rotator import (
    PREFIX,
    Moments,
    acting_as_rotation_function,
    make_secret_in,
)
from tests.support.stand_in import StandIn, reading_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

ROTATIONS = 100
# Longer than Powertools keeps a value, so that each rotation stands by itself.
GAP_SECONDS = 5.5
PACE_SECONDS = 0.6
PAGE, PLOT = Path("docs/rotation.md"), Path("docs/rotations.svg")
RAW = Path("build/rotations.json")
START, END = "<!-- measured: make rotations -->", "<!-- end of what was measured -->"
NAMES = {"postgres": "PostgreSQL", "mariadb": "MariaDB"}
TITLES = {
    FRESH: "without a cache:\nfetched for each login",
    POWERTOOLS: "without rotaware:\nPowertools, 5 s",
    EVICTION: "eviction alone:\nrotaware.get_secret",
    ROTAWARE: "rotaware.database",
}
BEFORE_SECONDS, AFTER_SECONDS, BIN_SECONDS = 1.0, 6.0, 0.1
AT_ONCE_SECONDS = 0.5
GREY, BLUE, RED = "#bdbdbd", "#0072b2", "#d55e00"


def run(rotations: int) -> list[Outcome]:
    """Rotate all kinds of secrets so many times."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Postgres()), stack.enter_context(Mariadb())]
        stand_in = stack.enter_context(StandIn())
        sheet = deploy(stand_in).sheet
        stack.enter_context(acting_as_rotation_function(stand_in))
        credentials = stand_in.assume(reading_policy(PREFIX, sheet))
        client = boto3.client("secretsmanager")
        stack.callback(client.close)
        courses = [
            stack.enter_context(
                Course(
                    server,
                    stand_in,
                    partial(make_secret_in, stand_in),
                    client,
                    strategy,
                    credentials=credentials,
                    gap_seconds=GAP_SECONDS,
                    pace_seconds=PACE_SECONDS,
                )
            )
            for strategy in STRATEGIES
            for server in servers
        ]
        with ThreadPoolExecutor(len(courses)) as pool:
            return list(pool.map(lambda course: course.run(rotations), courses))


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Failures by way, and what the right way cost."""
    lines = [
        "| rotations | window: median, longest | "
        + " | ".join(title.replace("\n", " ") for title in TITLES.values())
        + " | refused by the server, a rotation | reads in vain, a rotation"
        " | longest login |",
        "|---|---|" + "---|" * (len(TITLES) + 3),
    ]
    for each in outcomes:
        count = len(each.rotations)
        windows = sorted(each.windows())
        cells = [
            f"{count} of {NAMES[each.engine]}, {each.strategy}",
            f"{windows[count // 2]:.1f} s, {windows[-1]:.1f} s",
            *(_share(each, way) for way in TITLES),
            _each_rotation(each.refused),
            _each_rotation([max(0, reads - 1) for reads in each.reads]),
            f"{max(login.seconds for login in each.of(ROTAWARE)):.1f} s",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _each_rotation(numbers: Sequence[int]) -> str:
    return f"{sum(numbers) / len(numbers):.1f}, at most {max(numbers)}"


def plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Logins by when they began, around all rotations laid on top of each other."""
    import matplotlib as mpl  # noqa: PLC0415  slow, and only wanted at the end

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "rotaware", "font.size": 8})
    from matplotlib import pyplot as plt  # noqa: PLC0415  after the choice above

    figure, grid = plt.subplots(
        len(TITLES), len(outcomes), figsize=(11, 7), sharex=True, sharey="row"
    )
    for column, outcome in enumerate(outcomes):
        for row, way in enumerate(TITLES):
            _panel(grid[row][column], outcome, way)
        count = len(outcome.rotations)
        grid[0][column].set_title(
            f"{NAMES[outcome.engine]}, {outcome.strategy}\n{count} rotations", size=9
        )
        grid[-1][column].set_xlabel("seconds since setSecret")
    for row, title in enumerate(TITLES.values()):
        grid[row][0].set_ylabel(title)
    swatches = [
        mpl.patches.Patch(color=GREY, label="connected at once"),
        mpl.patches.Patch(
            color=BLUE, label=f"connected, after {AT_ONCE_SECONDS:g} s or more"
        ),
        mpl.patches.Patch(color=RED, label="failed, as function code saw it"),
        mpl.patches.Patch(color="#fff3d6", label="from setSecret to finishSecret"),
    ]
    figure.legend(handles=swatches, loc="lower center", ncols=4, frameon=False)
    figure.suptitle(
        "Logins by the moment at which they began, all rotations laid on top of each"
        " other (bars: logins in a tenth of a second)",
        size=10,
    )
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(path, dpi=150, metadata={"Date": None})
    plt.close(figure)


def _panel(axes: Any, outcome: Outcome, way: str) -> None:
    edges = [
        -BEFORE_SECONDS + BIN_SECONDS * number
        for number in range(round((BEFORE_SECONDS + AFTER_SECONDS) / BIN_SECONDS) + 1)
    ]
    piles: dict[str, list[float]] = {GREY: [], BLUE: [], RED: []}
    for login in outcome.of(way):
        since = _since_set(login, outcome.rotations)
        if since is not None:
            piles[_colour(login)].append(since)
    axes.hist(
        list(piles.values()),
        bins=edges,
        stacked=True,
        histtype="stepfilled",
        color=list(piles),
        linewidth=0,
        rasterized=True,  # thousands of steps are no outline that anybody scales
    )
    window = sorted(outcome.windows())
    axes.axvspan(0, window[len(window) // 2], color="#fff3d6", zorder=0)
    axes.margins(y=0.35)
    axes.text(
        0.98, 0.97, f"{_share(outcome, way)} failed", transform=axes.transAxes,
        ha="right", va="top", weight="bold",
        color=RED if outcome.failed(way) else "#222222",
    )  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)


def _since_set(login: Login, rotations: Sequence[Moments]) -> float | None:
    """When it began, by the rotation that it belongs to."""
    for moment in rotations:
        since = login.at - moment.set_at
        if -BEFORE_SECONDS <= since < AFTER_SECONDS:
            return since
    return None


def _colour(login: Login) -> str:
    if login.problem is not None:
        return RED
    return BLUE if login.seconds >= AT_ONCE_SECONDS else GREY


def _share(outcome: Outcome, way: str) -> str:
    return f"{len(outcome.failed(way)):,} of {len(outcome.of(way)):,}"


def _write(outcomes: Sequence[Outcome]) -> None:
    head, _, rest = PAGE.read_text().partition(START)
    _, _, tail = rest.partition(END)
    rows = "\n".join(table(outcomes))
    PAGE.write_text(f"{head}{START}\n\n{rows}\n\n{END}{tail}")
    plot(outcomes, PLOT)


def _restored(raw: dict[str, Any]) -> Outcome:
    rotations = [Moments(*each) for each in raw.pop("rotations")]
    logins = [Login(*each) for each in raw.pop("logins")]
    return Outcome(**raw, rotations=rotations, logins=logins)


def main() -> int:
    """Measure, or draw again what was measured last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rotations", type=int, default=ROTATIONS)
    parser.add_argument("--draw", action="store_true", help="what was measured last")
    options = parser.parse_args()
    if options.draw:
        outcomes = [_restored(each) for each in json.loads(RAW.read_text())]
    else:
        workers = sum((WORKERS | CONTROLS).values())
        print(f"{options.rotations} rotations of 4 kinds, {workers} workers each ...")
        outcomes = run(options.rotations)
        RAW.write_text(json.dumps([each._asdict() for each in outcomes]))
    _write(outcomes)
    print("\n".join(table(outcomes)))
    return 1 if any(each.failed(ROTAWARE) for each in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
