"""A share of one core, as Lambda gives to a function with little memory.

The kernel's CPU controller deals it out in periods of 20 ms, in a cgroup of either
version. That takes root; without it, nothing is measured under a quota.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARE = 0.08
"""About what 128 MB are given."""
PERIOD_MICROSECONDS = 20_000
_JOIN = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


@contextlib.contextmanager
def limited(share: float = SHARE) -> Iterator[list[str] | None]:
    """What to put before a command so that it has no more; None where it cannot be."""
    group = _new_group()
    if group is None:
        yield None
        return
    quota = int(PERIOD_MICROSECONDS * share)
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    try:
        yield ["sh", "-c", _JOIN, str(group)]
    finally:
        group.rmdir()


def _new_group() -> Path | None:
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, options, *_ = line.split()
        of_old = kind == "cgroup" and "cpu" in options.split(",")
        if not of_old and kind != "cgroup2":
            continue
        group = Path(place, f"rotaware-bench-{os.getpid()}")
        with contextlib.suppress(OSError):
            group.mkdir()
            if any((group / name).exists() for name in ("cpu.max", "cpu.cfs_quota_us")):
                return group
            group.rmdir()
    return None
