"""The proof of the proof: a protocol with a bug in it does not pass."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import PLANTED, Mutant
from tests.simulation.play import first_failure, real_code

SEEDS = range(3000)


@pytest.mark.parametrize("mutant", PLANTED, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them, well within the seeds that ``test_schedules`` plays."""
    broken = mutant.replace(getattr(mutant.owner, mutant.attribute))
    monkeypatch.setattr(mutant.owner, mutant.attribute, broken)
    with real_code():
        found = first_failure(SEEDS)

    assert found is not None
