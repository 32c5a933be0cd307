"""The plots beside the tables, in Okabe and Ito's colours: all can tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.scale.account import BIN_SECONDS, PARAMETER_STORE
from benchmarks.scale.study import (
    DOUBLING,
    NO_BACK_OFF,
    SIZES,
    always_busy,
    by_ttl,
    deployed,
    on_dynamodb,
)
from benchmarks.scale.tables import quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.scale.account import Tally
    from benchmarks.scale.simulation import Result, Scenario

_STEPS = 400
GREEN, BLUE, ORANGE, RED, GREY = "#009e73", "#0072b2", "#e69f00", "#d55e00", "#555555"
RULES = (
    ("every 5 s, no back-off", NO_BACK_OFF, RED, ":"),
    ("doubling up to 60 s", DOUBLING, ORANGE, "--"),
    ("rotaware", None, GREEN, "-"),
)


def write_all(results: Mapping[Scenario, Result], folder: Path) -> list[Path]:
    """Write every plot as SVG; where they are."""
    import matplotlib as mpl  # noqa: PLC0415  slow, and only wanted at the end

    mpl.use("svg")
    mpl.rcParams.update(
        {
            "svg.hashsalt": "rotaware",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e3e3e3",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        }
    )
    from matplotlib import pyplot as plt  # noqa: PLC0415  after the choice above

    plots: dict[str, Callable[[Any, Mapping[Scenario, Result]], None]] = {
        "scale-calls.svg": _calls,
        "scale-sizes.svg": _sizes,
        "scale-stale.svg": _stale,
    }
    paths = []
    for name, draw in plots.items():
        figure = plt.figure(figsize=(9, 4.2), facecolor="white", layout="constrained")
        draw(figure, results)
        paths.append(folder / name)
        figure.savefig(paths[-1], metadata={"Date": None})
        plt.close(figure)
    return paths


def _calls(figure: Any, results: Mapping[Scenario, Result]) -> None:
    """10,000 environments are deployed: what comes in, and what others feel of it."""
    left, right = figure.subplots(1, 2)
    for name, shape, colour, line in RULES:
        result = results[deployed(10_000, shape) if shape else deployed(10_000)]
        minutes, rates = _over_time(result.checks, lambda tally: tally.total)
        left.plot(
            minutes,
            [each / BIN_SECONDS for each in rates],
            line,
            color=colour,
            label=name,
        )
        minutes, total = _over_time(result.attempts, lambda tally: tally.total)
        _, throttled = _over_time(result.attempts, lambda tally: tally.throttled)
        shares = [100 * a / max(1, b) for a, b in zip(throttled, total, strict=True)]
        right.plot(minutes, shares, line, color=colour, label=name)
    left.axhline(PARAMETER_STORE.reads, color=GREY, lw=1, ls="-.")
    left.text(
        0.0,
        PARAMETER_STORE.reads * 0.97,
        "40 a second",
        ha="left",
        va="top",
        color=GREY,
        size=8,
    )
    left.set(yscale="log", ylim=(8, 4000), ylabel="checks a second")
    left.set_title("Checks that 10,000 new environments send", size=10)
    right.set(ylim=(0, 102), ylabel="throttled, % of the others' attempts")
    right.set_title("What other users of Parameter Store feel", size=10)
    for axes in (left, right):
        axes.set_xlabel("minutes since the deployment")
    left.legend(loc="upper right", bbox_to_anchor=(1.0, 0.82))


def _sizes(figure: Any, results: Mapping[Scenario, Result]) -> None:
    """How freshness and the others fare by number of environments."""
    left, right = figure.subplots(1, 2)
    for name, make, colour, line in (
        ("TTL alone", by_ttl, GREY, ":"),
        ("sheet in SSM", always_busy, GREEN, "-"),
        ("sheet in DynamoDB", on_dynamodb, BLUE, "--"),
    ):
        for share, marker in ((0.5, "o"), (0.99, "^")):
            seconds = [quantile(results[make(n)].stale_seconds, share) for n in SIZES]
            left.plot(SIZES, seconds, line, marker=marker, ms=5, color=colour)
        left.plot([], [], line, color=colour, label=name)
        shares = [
            100
            * result.attempts.share(result.scenario.rotates_at, result.scenario.seconds)
            for result in (results[make(size)] for size in SIZES)
        ]
        if make is not by_ttl:
            right.plot(SIZES, shares, line, marker="o", ms=5, color=colour, label=name)
    left.set(
        xscale="log", yscale="log", ylim=(0.7, 2000), ylabel="seconds after a rotation"
    )
    left.set_title("How long the old version is served", size=10)
    right.set(
        xscale="log", ylim=(-0.5, 10), ylabel="throttled, % of the others' attempts"
    )
    right.set_title("What other users of Parameter Store feel", size=10)
    for axes in (left, right):
        axes.set_xlabel("environments, always busy")
        axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
        axes.minorticks_off()
    ticks = (1, 3, 10, 30, 100, 300, 1000)
    left.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    left.plot([], [], "ko", ms=5, label="p50")
    left.plot([], [], "k^", ms=5, label="p99")
    left.legend(loc="lower right", fontsize=8, ncols=2)
    right.legend(loc="upper left")


def _stale(figure: Any, results: Mapping[Scenario, Result]) -> None:
    """The share of environments that still serve the old version, over time."""
    axes = figure.subplots()
    for name, scenario, colour, line in (
        ("TTL alone", by_ttl(10_000), GREY, ":"),
        ("SSM, 10,000 environments", always_busy(10_000), RED, "-"),
        ("SSM, 1,000 environments", always_busy(1_000), ORANGE, "-"),
        ("SSM, 300 environments", always_busy(300), GREEN, "-"),
        ("DynamoDB, 10,000 environments", on_dynamodb(10_000), BLUE, "--"),
    ):
        ordered = results[scenario].stale_seconds
        seconds = [quantile(ordered, rank / _STEPS) for rank in range(_STEPS + 1)]
        shares = [100 * (1 - rank / _STEPS) for rank in range(_STEPS + 1)]
        axes.step(
            [1, *seconds], [100, *shares], line, color=colour, label=name, where="post"
        )
    axes.set(xscale="log", xlim=(1, 2000), ylim=(0, 101))
    ticks = (1, 3, 10, 30, 100, 300, 1000)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("seconds after a rotation")
    axes.set_ylabel("environments that serve the old version, %")
    axes.set_title(
        "Until all are fresh: environments with two requests a second", size=10
    )
    axes.legend(loc="upper right")


def _over_time(
    tally: Tally, part: Callable[[Tally], Sequence[int]]
) -> tuple[list[float], list[int]]:
    values = list(part(tally))[:-1]
    return [(place + 0.5) * BIN_SECONDS / 60 for place in range(len(values))], values
