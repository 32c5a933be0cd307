"""What a start costs, every way: ``make startup``; docs/start-up.md has the story.

Rows are the ways: AWS in clear text or over TLS, secrets named by variables or by a
config file, with all of a core or 8 % of one, with the layer in the page cache or, as
root, on the disk alone. Columns are the bare
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
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.extension import LAUNCHER, SECRETS, interpreter, running
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
        config = Path(directory, "config.yaml")
        config.write_text("secrets:" + "".join(f"\n  - {name}" for name in SECRETS))
        from_file = {"ROTAWARE_CONFIG": str(config)}
        clear, tls = Aws(0.0), Aws(0.0, Path(directory))
        for name, aws, settings in (
            ("clear text", clear, {}),
            ("clear text, with `config.yaml`", clear, from_file),
            ("TLS", tls, {}),
            ("TLS, with `config.yaml`", tls, from_file),
        ):
            start = _Start(name, aws, settings)
            _row(start, "a core", [], rounds, _nothing)
            if prefix is not None:
                _row(start, "8 % of a core", prefix, rounds, _nothing)
            if os.access(_DROP_CACHES, os.W_OK):
                _row(start, "a core, cold page cache", [], rounds, _drop_caches)
        clear.close()
        tls.close()


class _Start(NamedTuple):
    """A kind of start: its name, AWS, and further settings.

    Where they name a config file, that lists the secrets, and variables do not.
    """

    name: str
    aws: Aws
    settings: dict[str, str]


def _row(
    start: _Start,
    processor: str,
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
        with running(
            [*prefix, *LAUNCHER],
            start.aws,
            [] if start.settings else SECRETS,
            **start.settings,
        ) as extension:
            served.append(extension.first_secret_seconds())
            registered.append(extension.registered_seconds())
    cells = [start.name, processor, *map(_shown, (bare, registered, served))]
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
