"""Every parser of foreign bytes under guided fuzzing, in a process of its own.

What was found is kept as rows in the parsers' unit tests. ``make fuzz`` does more, from
a new seed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.fuzz import guided
from tests.support.extension_process import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BYTES = int(os.environ.get("FUZZ_BYTES", "2_000_000"))
SEED = os.environ.get("FUZZ_SEED", "1")
# Another server that everything is compared with: it takes nothing for a request.
BLIND_H11 = """\
SERVER = CLIENT = DONE = None
class RemoteProtocolError(Exception): pass
class Request: pass
class EndOfMessage: pass
class Connection:
    def __init__(self, *_, **__): pass
    def receive_data(self, data): pass
    def next_event(self): raise RemoteProtocolError("no")
"""


def fuzz(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run the fuzzer to its end; ``before`` it, a path to import from."""
    paths = [before, str(ROOT / "shared"), str(ROOT)]
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("target", guided.TARGETS)
def test_no_bytes_surprise_a_parser(target: str) -> None:
    """No crash, no hang, and nothing that another implementation reads differently."""
    done = fuzz(target, "--bytes", str(BYTES), "--seed", SEED)
    sys.stdout.write(done.stdout)

    assert 0 == done.returncode, done.stdout + done.stderr

    taken = re.search(r"(\d+) bytes", done.stdout.splitlines()[-1])

    assert taken
    assert BYTES <= int(taken[1])


@pytest.mark.parametrize("target", guided.TARGETS)
def test_without_atheris_bytes_are_mutated_at_random(
    target: str, tmp_path: Path
) -> None:
    """On a Python that it is not made for, less is found, but something is done."""
    (tmp_path / "atheris.py").write_text("raise ImportError")
    done = fuzz(target, "--bytes", "50000", "--seed", SEED, before=str(tmp_path))

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "Instrumenting" not in done.stderr


def test_a_fault_is_found_and_can_be_repeated(tmp_path: Path) -> None:
    """A parser that is broken is told by name, with the bytes that show it."""
    (tmp_path / "h11.py").write_text(BLIND_H11)
    found = fuzz("head", "--bytes", "1000000", "--seed", SEED, before=str(tmp_path))
    replay = re.search(r"^head: --replay (\S+)$", found.stdout, re.MULTILINE)

    assert 1 == found.returncode
    assert replay

    arguments = ("head", "--replay", replay[1])

    assert 0 == fuzz(*arguments).returncode
    assert "AssertionError" in fuzz(*arguments, before=str(tmp_path)).stderr
