"""Fuzz one target: python -m tests.fuzz.guided TARGET --bytes N [--seed S].

With atheris, new inputs are bred from those that reached new branches; where there is
no atheris for this Python, they are accidents that happen to the seeds. Ends with 0
when so many bytes were taken without a fault; else prints how to repeat the fault.
"""

from __future__ import annotations

import argparse
import base64
import functools
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz.mutations import mutated

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

MOST_BYTES = 2048
HANG_SECONDS = 10
TARGETS = ("head", "grammar", "config", "sheet", "answer")


class Fuzzing:
    """Counts what a target takes, and ends this process when it is enough."""

    def __init__(self, name: str, target: Target, wanted_bytes: int) -> None:
        self._name = name
        self._take = target.take
        self._wanted_bytes = wanted_bytes
        self._bytes = self._runs = 0
        self._began = time.monotonic()

    def take(self, data: bytes) -> None:
        """One input."""
        try:
            self._take(data)
        except BaseException:  # noqa: BLE001  whatever it is, it is the finding
            traceback.print_exc()
            self._end(1, f"--replay {base64.b64encode(data).decode()}")
        self._bytes += len(data)
        self._runs += 1
        if self._bytes >= self._wanted_bytes:
            seconds = time.monotonic() - self._began
            self._end(0, f"{self._bytes} bytes, {self._runs} runs, {seconds:.1f} s")

    def _end(self, status: int, message: str) -> None:
        say(f"{self._name}: {message}")
        os._exit(status)  # atheris knows no other way out


def say(line: str) -> None:
    """Print at once: this process ends without ado."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def guided(fuzzing: Fuzzing, target: Target, seed: int) -> None:
    """Fuzz by coverage; does not return."""
    import atheris  # noqa: PLC0415  not on every Python

    with tempfile.TemporaryDirectory() as name:
        corpus, words = Path(name) / "corpus", Path(name) / "words"
        corpus.mkdir()
        for number, data in enumerate(target.seeds):
            (corpus / str(number)).write_bytes(data)
        words.write_text("".join(map(_dictionary_line, target.words)))
        options = [
            f"-seed={seed}",
            f"-max_len={MOST_BYTES}",
            f"-timeout={HANG_SECONDS}",
        ]
        options += [f"-dict={words}", f"-artifact_prefix={name}/", "-len_control=0"]
        atheris.Setup(
            [sys.argv[0], *options, "-verbosity=0", str(corpus)], fuzzing.take
        )
        atheris.Fuzz()


def _dictionary_line(word: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word[:60]) + '"\n'


def unguided(fuzzing: Fuzzing, target: Target, seed: int) -> None:
    """Fuzz by accident; does not return."""
    random = Random(seed)  # noqa: S311  repeatable is what it should be
    while True:
        data = random.choice(target.seeds)
        for _ in range(random.randint(0, 3)):
            data = mutated(random, data, target.words)
        fuzzing.take(data[:MOST_BYTES])


def load(name: str) -> tuple[Target, bool]:
    """A target, and whether its branches are watched."""
    try:
        import atheris  # noqa: PLC0415  not on every Python
    except ImportError:
        from tests.fuzz.targets import TARGETS as targets  # noqa: N811, PLC0415

        return targets[name], False
    watched = ["extension", "rotaware"]
    with atheris.instrument_imports(include=watched, enable_loader_override=False):
        from tests.fuzz.targets import TARGETS as targets  # noqa: N811, PLC0415
    return targets[name], True


def main() -> None:
    """Fuzz, or replay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--replay", type=base64.b64decode)
    options = parser.parse_args()
    target, watched = load(options.target)
    if options.replay is not None:
        target.take(options.replay)
        return
    say(f"{options.target}: --bytes {options.bytes} --seed {options.seed}")
    fuzzing = Fuzzing(options.target, target, options.bytes)
    fuzz = functools.partial(guided if watched else unguided, fuzzing, target)
    fuzz(options.seed)


if __name__ == "__main__":
    main()
