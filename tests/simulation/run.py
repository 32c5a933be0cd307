"""Play many schedules, on all processors: ``make schedules COUNT=100000``.

The first one that breaks a law is played again and told line by line.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from random import SystemRandom

from tests.simulation.play import first_failure, real_code, report

BLOCK = 250


def play(seeds: range) -> int | None:
    """Play a block of schedules."""
    with real_code():
        return first_failure(seeds)


def play_all(seeds: range) -> int | None:
    """Play many schedules on all processors; a seed that breaks a law, or None."""
    blocks = [seeds[start : start + BLOCK] for start in range(0, len(seeds), BLOCK)]
    with multiprocessing.get_context("spawn").Pool() as pool:
        played = pool.imap_unordered(play, blocks)
        return next((failed for failed in played if failed is not None), None)


def tell(text: str) -> None:
    """One or more lines, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Parse, play, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, help="the first seed; random if left out")
    arguments = parser.parse_args()
    first = arguments.first
    if first is None:
        first = SystemRandom().randrange(1 << 48)
    began = time.perf_counter()
    tell(f"{arguments.count} schedules from seed {first}")
    failed = play_all(range(first, first + arguments.count))
    if failed is not None:
        with real_code():
            tell(report(failed))
        return 1
    tell(f"all laws hold; {time.perf_counter() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
