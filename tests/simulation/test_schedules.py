"""Ten thousand schedules of the protocol, each decided by a seed.

``SIMULATION_SEED=n pytest tests/simulation`` plays one of them and tells what happens.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from random import SystemRandom

import pytest

from tests.simulation.play import real_code, report
from tests.simulation.run import play_all

SEED = os.environ.get("SIMULATION_SEED")
FIXED = range(9000)
FIRST_NEW = SystemRandom().randrange(1 << 48)
NEW = range(FIRST_NEW, FIRST_NEW + 1000)


@pytest.mark.skipif(SEED is not None, reason="one seed was asked for")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seeds", [FIXED, NEW], ids=str)
def test_all_laws_hold(seeds: range) -> None:
    """Whatever the seeds decide; a tenth of them are new each time."""
    failed = play_all(seeds)
    if failed is not None:
        with real_code():
            pytest.fail(report(failed))


@pytest.mark.skipif(SEED is None, reason="no seed was asked for")
def test_the_seed_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """One schedule, told line by line."""
    with real_code():
        told = report(int(SEED or ""))
    with capsys.disabled():
        sys.stdout.write(f"\n{told}\n")

    assert "\nall laws hold\n" in told


def test_a_seed_is_a_schedule() -> None:
    """Nothing but the seed decides: not the order of sets, nor another process."""
    told = []
    for salt in ("1", "2"):
        script = (
            "from tests.simulation.play import real_code, report\n"
            "with real_code():\n"
            "    for seed in range(20): print(report(seed))"
        )
        told.append(
            subprocess.run(
                [sys.executable, "-c", script],
                env={
                    "PYTHONHASHSEED": salt,
                    "PYTHONPATH": os.pathsep.join(sys.path),
                },
                capture_output=True,
                check=True,
            ).stdout
        )

    first, second = (hashlib.sha256(each).hexdigest() for each in told)
    assert first == second
