"""A build is done once, and a stage of it is complete or not there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from infra.interpreter import recipe
from infra.interpreter.build import PINS, Build, BuildError
from tests.support.sandbox import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = {
    "PIP_CONFIG_FILE": "/dev/null",
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "",
    "DEBIAN_MIRROR": "http://127.0.0.1:1",
}


def stages(root: Path) -> list[str]:
    """The finished stages, without the digests in their names."""
    folders = [path.name for path in root.iterdir() if path.is_dir()]
    return sorted(name.rpartition("-")[0] for name in folders if "-" in name)


def fill(fresh: Path) -> None:
    """A stage's work."""
    (fresh / "result").touch()


def test_a_stage_is_done_once(tmp_path: Path) -> None:
    """The same inputs find what is there; others make another folder."""
    build = Build(tmp_path)
    first = build.stage("compile", ["one"], fill)
    (first / "mark").touch()

    assert (build.stage("compile", ["one"], fill) / "mark").exists()
    assert not (build.stage("compile", ["two"], fill) / "mark").exists()
    assert stages(tmp_path) == ["compile", "compile"]


def test_a_failed_stage_is_not_there(tmp_path: Path) -> None:
    """Half of it is in nobody's way, and is gone after the next run."""
    build = Build(tmp_path)

    def fail(fresh: Path) -> None:
        fill(fresh)
        build.run("linking", [["sh", "-c", "echo because; exit 3"]], fresh, {})

    with pytest.raises(BuildError, match="linking failed:\nbecause"):
        build.stage("compile", ["one"], fail)

    assert stages(tmp_path) == []

    done = build.stage("compile", ["one"], lambda fresh: (fresh / "other").touch())

    assert [path.name for path in done.iterdir()] == ["other"]
    assert stages(tmp_path) == ["compile"]
    assert not (tmp_path / "work").exists()


def test_two_builds_do_not_meet(tmp_path: Path) -> None:
    """The second one waits for the first, and then has nothing to do."""
    entered, go_on = threading.Event(), threading.Event()
    filled: list[Path] = []

    def slowly(fresh: Path) -> None:
        filled.append(fresh)
        entered.set()
        assert go_on.wait(10)

    def work() -> None:
        Build(tmp_path).stage("compile", ["one"], slowly)

    threads = [threading.Thread(target=work) for _ in range(2)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)

    assert len(filled) == 1


@pytest.mark.parametrize(
    ("reached", "said"),
    [(False, "ziglang"), (True, "Is there a network?")],
    ids=["no registry", "no mirror"],
)
def test_without_network_it_says_so(tmp_path: Path, reached: bool, said: str) -> None:  # noqa: FBT001
    """One line with what to do, and no stage that is not whole."""
    if reached:
        key = [PINS["toolchain"]["sha256"][os.uname().machine]]
        Build(tmp_path).stage("toolchain", key, fill)
    command = [sys.executable, "-m", "infra.interpreter.build", "x86_64"]
    done = subprocess.run(
        [*command, "--root", tmp_path],
        cwd=ROOT,
        env={**os.environ, **NOWHERE},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert stages(tmp_path) == (["toolchain"] if reached else [])


def test_a_new_security_fix_is_never_left_out() -> None:
    """Patches are skipped by name: a CVE's would have to be named."""
    names = [name for skipped in recipe.SKIPPED_PATCHES.values() for name in skipped]

    assert [name for name in names if "CVE" in name or "ssl-" in name] == []
