"""Measure rotaware beside its peers, in one run: ``make bench``.

The built layer is bound on /opt in a mount namespace of this run, so what is measured
is what is shipped. Exits with 1 when a budget is missed.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import library, reads, start
from benchmarks.namespace import ROOT, inside
from benchmarks.report import PLOT, README, plot, table, write_into_readme


def main() -> int:
    """Measure everything, write the results, say what was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="samples of each start")
    arguments = parser.parse_args()
    if not inside(__spec__.name):
        return 0

    rows, counts = start.measure(arguments.rounds)
    print("reads ...", flush=True)
    more_rows, more_counts = reads.measure(arguments.rounds)
    print("first reads of function code ...", flush=True)
    rows += more_rows + library.measure(arguments.rounds)
    counts += more_counts

    text = table(rows, counts)
    plot(rows)
    write_into_readme(text)
    print(text)
    print(f"written to {README.relative_to(ROOT)} and {PLOT.relative_to(ROOT)}")
    met = [row.met for row in rows] + [one.met for one in counts]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
