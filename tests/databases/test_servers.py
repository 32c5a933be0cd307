"""The rig itself: what servers leave behind when their tests are killed."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.database_server import remove_orphans

FIRST_IMPOSSIBLE = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1


def test_orphans_go(tmp_path: Path) -> None:
    """The next server removes the data of those whose process is gone, and no other."""
    names = [
        f"rotaware-postgres-{FIRST_IMPOSSIBLE}-abcd",
        f"rotaware-postgres-{os.getpid()}-abcd",
        "rotaware-stand-in-abcd",
        "somebody-elses-1-folder",
    ]
    for name in names:
        (tmp_path / name / "data").mkdir(parents=True)
    remove_orphans(tmp_path)

    assert sorted(names[1:]) == sorted(each.name for each in tmp_path.iterdir())
