"""What a start costs, every way: ``make startup``; docs/start-up.md has the story.

Rows are the ways: AWS in clear text or over TLS, with all of a core or 8 % of one, with
the layer in the page cache or, as root, on the disk alone. Columns are the bare
interpreter, the registration and the first secret served, in milliseconds, each as
least and median. AWS answers without delay, so what is left is the extension itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.extension import LAUNCHER, interpreter, running
from benchmarks.namespace import inside
from benchmarks.quota import limited
from benchmarks.stand_ins import Aws

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds: int = parser.parse_args().rounds
    if not inside(__spec__.name):
        return
    print("| AWS | processor | bare interpreter | `/register` | first secret |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory, limited() as prefix:
        for name, aws in (
            ("clear text", Aws(0.0)),
            ("TLS", Aws(0.0, Path(directory))),
        ):
            _row(name, "a core", aws, [], rounds, _nothing)
            if prefix is not None:
                _row(name, "8 % of a core", aws, prefix, rounds, _nothing)
            if os.access(_DROP_CACHES, os.W_OK):
                _row(name, "a core, cold page cache", aws, [], rounds, _drop_caches)
            aws.close()


def _row(  # noqa: PLR0913, PLR0917  one line's conditions
    name: str,
    processor: str,
    aws: Aws,
    prefix: list[str],
    rounds: int,
    prepare: Callable[[], None],
) -> None:
    bare: list[float] = []
    registered: list[float] = []
    served: list[float] = []
    for _ in range(rounds):
        prepare()
        began = time.perf_counter()
        subprocess.run([*prefix, interpreter(), "-I", "-S", "-c", "pass"], check=True)
        bare.append(time.perf_counter() - began)
        prepare()
        with running([*prefix, *LAUNCHER], aws) as extension:
            served.append(extension.first_secret_seconds())
            registered.append(extension.registered_seconds())
    cells = [name, processor, *map(_shown, (bare, registered, served))]
    print(f"| {' | '.join(cells)} |", flush=True)


def _shown(seconds: Sequence[float]) -> str:
    return f"{min(seconds) * 1e3:.1f} / {statistics.median(seconds) * 1e3:.1f}"


def _nothing() -> None:
    """The page cache stays as it is."""


def _drop_caches() -> None:
    os.sync()
    with contextlib.suppress(OSError):
        _DROP_CACHES.write_text("3", encoding="utf-8")


if __name__ == "__main__":
    main()
