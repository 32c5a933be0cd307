"""Figures side by side: medians, ratios to a peer, budgets; a table and a plot."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.extension import interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

README = Path(__file__).parents[1] / "README.md"
_WHOLE = 1000
"""Larger figures are shown without decimals."""
PLOT = Path(__file__).parent / "ratios.svg"


@dataclass(frozen=True, slots=True)
class Row:
    """One budget, measured.

    Attributes:
        name: What is measured.
        unit: Of both samples.
        ours: Samples of rotaware.
        peer: Samples of the peer, taken in turn with ours.
        peer_name: Who the peer is.
        limit: What our median may be, as a multiple of the peer's.
        at_least: Whether the limit is a floor instead.
    """

    name: str
    unit: str
    ours: Sequence[float] = field(repr=False)
    peer: Sequence[float] = field(repr=False)
    peer_name: str
    limit: float
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """Our median as a multiple of the peer's."""
        return statistics.median(self.ours) / statistics.median(self.peer)

    @property
    def met(self) -> bool:
        """Whether the budget is kept."""
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit


@dataclass(frozen=True, slots=True)
class Count:
    """A budget that is a difference or a count, not a ratio."""

    name: str
    measured: str
    budget: str
    met: bool


def table(rows: Sequence[Row], counts: Sequence[Count]) -> str:
    """A Markdown table of everything, with the machine's kind."""
    lines = [
        "| what | rotaware | peer | ratio | budget | |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours, peer = statistics.median(row.ours), statistics.median(row.peer)
        sign = "≥" if row.at_least else "≤"
        lines.append(
            f"| {row.name} | {_shown(ours)} {row.unit} | {_shown(peer)} {row.unit},"
            f" {row.peer_name} | **{row.ratio:.2f}x** | {sign} {row.limit:.2f}x"
            f" | {_verdict(row.met)} |"
        )
    lines += [
        f"| {one.name} | {one.measured} | | | {one.budget} | {_verdict(one.met)} |"
        for one in counts
    ]
    return "\n".join([*lines, "", machine()]) + "\n"


def write_into_readme(text: str) -> None:
    """Put a table where the README shows the figures."""
    page = README.read_text(encoding="utf-8")
    before, begin, rest = page.partition("<!-- make bench writes this -->\n")
    _, end, after = rest.partition("<!-- up to here -->\n")
    README.write_text(before + begin + text + end + after, encoding="utf-8")


def layers_python() -> str:
    """The version of the layer's interpreter."""
    command = [interpreter(), "-IS", "-c", "import sys; print(sys.version.split()[0])"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout[
        :-1
    ]


def machine() -> str:
    """What was measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    cores = os.cpu_count()
    return (
        f"Medians of interleaved samples, one run, on {cores} cores of {model},"
        f" Linux {platform.release().split('-')[0]}. rotaware, the bare interpreter and"
        f" the echo servers run on the layer's own CPython {layers_python()}, boto3 and"
        f" the clients on CPython {platform.python_version()}."
    )


def plot(rows: Sequence[Row]) -> None:
    """A bar for each ratio, with its budget marked, as SVG."""
    import matplotlib as mpl  # noqa: PLC0415  slow, and only wanted at the end

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "rotaware"
    from matplotlib import pyplot as plt  # noqa: PLC0415  after the choice above

    figure, axes = plt.subplots(figsize=(8, 0.55 * len(rows) + 1.2))
    names = [f"{row.name.replace('`', '')}\n({row.peer_name})" for row in rows]
    colours = ["#2a7f62" if row.met else "#b3261e" for row in rows]
    places = range(len(rows))
    axes.barh(places, [row.ratio for row in rows], color=colours, height=0.55)
    for place, row in zip(places, rows, strict=True):
        axes.plot([row.limit] * 2, [place - 0.38, place + 0.38], color="#222", lw=2)
        label = f"{row.ratio:.2f}x"
        axes.text(0.02, place, label, va="center", size=8, color="white", weight="bold")
        budget = f"{'at least' if row.at_least else 'at most'} {row.limit:g}"
        axes.text(row.limit + 0.02, place - 0.34, budget, va="center", size=7)
    axes.axvline(1.0, color="#999", lw=0.8, ls=":")
    axes.set_yticks(list(places), names, size=8)
    axes.invert_yaxis()
    axes.set_xlabel("as a multiple of the peer in brackets; black: the budget")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(PLOT, metadata={"Date": None})
    plt.close(figure)


def _shown(median: float) -> str:
    return f"{median:,.0f}" if median >= _WHOLE else f"{median:.1f}"


def _verdict(met: bool) -> str:  # noqa: FBT001  one flag, one word
    return "met" if met else "**missed**"
