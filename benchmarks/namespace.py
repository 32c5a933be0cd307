"""A mount namespace of a benchmark's own, where the built layer lies on /opt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSIDE = "ROTAWARE_BENCH_INSIDE"


def inside(module: str) -> bool:
    """Whether this runs there already; if not, it is run again there, to its end.

    Exits with its status when that is not 0.
    """
    if INSIDE in os.environ:
        return True
    layer = ROOT / "build" / "layer"
    if not layer.is_dir():
        sys.exit("there is no build/layer: run `make layer` first")
    options = ["--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        options = ["--user", "--map-root-user", *options]
    script = 'mount --bind "$0" /opt && exec "$@"'
    again = ["sh", "-c", script, str(layer), sys.executable, "-m", module]
    status = subprocess.run(
        ["unshare", *options, *again, *sys.argv[1:]],
        env={**os.environ, INSIDE: "1"},
        check=False,
    ).returncode
    if status:
        sys.exit(status)
    return False
