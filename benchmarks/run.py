"""Measure rotaware beside its peers, in one run: ``make bench``.

The built layer is bound on /opt in a mount namespace of this run, so what is measured
is what is shipped. Exits with 1 when a budget is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import reads, start
from benchmarks.report import PLOT, README, plot, table, write_into_readme

ROOT = Path(__file__).resolve().parents[1]
INSIDE = "ROTAWARE_BENCH_INSIDE"


def main() -> int:
    """Measure everything, write the results, say what was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="samples of each start")
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        return _enter_namespace()

    print(f"cold starts, {arguments.rounds} of each ...", flush=True)
    rows, counts = start.measure(arguments.rounds)
    print("reads ...", flush=True)
    more_rows, more_counts = reads.measure(arguments.rounds)
    rows, counts = rows + more_rows, counts + more_counts

    text = table(rows, counts)
    plot(rows)
    write_into_readme(text)
    print(text)
    print(f"written to {README.relative_to(ROOT)} and {PLOT.relative_to(ROOT)}")
    met = [row.met for row in rows] + [one.met for one in counts]
    return 0 if all(met) else 1


def _enter_namespace() -> int:
    """Run this again where /opt is the built layer; nobody else sees that."""
    layer = ROOT / "build" / "layer"
    if not layer.is_dir():
        sys.exit("there is no build/layer: run `make layer` first")
    namespace = ["--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        namespace = ["--user", "--map-root-user", *namespace]
    script = 'mount --bind "$0" /opt && exec "$@"'
    again = ["sh", "-c", script, str(layer), sys.executable, "-m", __spec__.name]
    again += sys.argv[1:]
    return subprocess.run(
        ["unshare", *namespace, *again], env={**os.environ, INSIDE: "1"}, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
