"""Simulate rotaware at scale: tables and plots for docs/scale.md.

    .venv/bin/python -m benchmarks.scale

Same seeds, same figures. ``make simulate`` runs it.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.scale import plots, study, tables
from benchmarks.scale.account import DYNAMODB
from benchmarks.scale.simulation import simulate

if TYPE_CHECKING:
    from benchmarks.scale.simulation import Result, Scenario

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def main() -> None:
    """Run all scenarios, write all figures."""
    results = _simulate_all()
    page = PAGE.read_text(encoding="utf-8")
    for name, make in tables.TABLES.items():
        page = filled(page, name, markdown(make(results)))
    PAGE.write_text(page, encoding="utf-8")
    for path in plots.write_all(results, PAGE.parent):
        print(f"wrote docs/{path.name}")
    print("wrote docs/scale.md")


def _simulate_all() -> dict[Scenario, Result]:
    # The long ones first, so that no core is idle in the end.
    scenarios = sorted(study.scenarios(), key=_weight, reverse=True)
    results = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done in as_completed([pool.submit(simulate, each) for each in scenarios]):
            result = done.result()
            results[result.scenario] = result
            print(
                f"\r{len(results)} of {len(scenarios)} simulations", end="", flush=True
            )
    print()
    return results


def _weight(scenario: Scenario) -> tuple[int, float, str]:
    fast = scenario.limits == DYNAMODB or scenario.shape == study.NO_BACK_OFF
    return scenario.environments * (10 if fast else 1), scenario.seconds, repr(scenario)


def markdown(rows: list[list[str]]) -> str:
    """A table, its head first."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def filled(page: str, name: str, text: str) -> str:
    """A page with something in the place of this name."""
    before, begin, rest = page.partition(
        f"<!-- make simulate writes this: {name} -->\n"
    )
    if not begin:
        raise ValueError(f"docs/scale.md has no place for the table {name!r}")
    _, end, after = rest.partition("<!-- up to here -->\n")
    return before + begin + text + end + after


if __name__ == "__main__":
    main()
