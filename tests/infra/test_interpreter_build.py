"""A build is done once, and a stage of it is complete or not there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple

import pytest

from infra.interpreter import recipe
from infra.interpreter.build import PINS, Build, BuildError
from infra.interpreter.fetch import digest
from infra.interpreter.library import CONTENTS, PROGRAM
from tests.support.sandbox import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = {
    "PIP_CONFIG_FILE": "/dev/null",
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "",
    "DEBIAN_MIRROR": "http://127.0.0.1:1",
}


class DiskUsage(NamedTuple):
    """What is asked of a file system."""

    free: int


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
    assert not (tmp_path / "work").exists()

    done = build.stage("compile", ["one"], lambda fresh: (fresh / "other").touch())

    assert [path.name for path in done.iterdir()] == ["other"]
    assert stages(tmp_path) == ["compile"]
    assert not (tmp_path / "work").exists()


def test_what_a_killed_run_left_is_in_nobody_s_way(tmp_path: Path) -> None:
    """It could clear nothing: the next run does."""
    left = tmp_path / "work" / "fresh" / "half"
    left.parent.mkdir(parents=True)
    left.touch()
    done = Build(tmp_path).stage("compile", ["one"], fill)

    assert [path.name for path in done.iterdir()] == ["result"]
    assert not (tmp_path / "work").exists()


def test_older_stages_go(tmp_path: Path) -> None:
    """What older inputs gave is removed; other stages, and what is no stage, stay."""
    Build(tmp_path).stage("compile", ["old"], fill)
    Build(tmp_path).stage("compile-other", ["old"], fill)
    (tmp_path / "compile-by-hand").mkdir()
    build = Build(tmp_path)
    used = build.stage("compile", ["new"], fill)
    build.remove_older()

    assert (used / "result").exists()
    assert stages(tmp_path) == ["compile", "compile-by", "compile-other"]
    assert not (tmp_path / "work").exists()


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that finds no room may not find any to say so either."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: DiskUsage(free=4096))
    with pytest.raises(BuildError, match="linking failed:\nno space left in "):
        Build(tmp_path).run("linking", [["false"]], tmp_path, {})


@pytest.mark.parametrize("lacking", ["_ssl", "_hashlib", "_hardening"])
def test_a_python_without_a_module_is_refused(tmp_path: Path, lacking: str) -> None:
    """What configure cannot compile it leaves out, and says so in its log alone."""
    source = tmp_path / "Python"
    (source / "Modules").mkdir(parents=True)
    names = [*CONTENTS["compiled"], "_hardening"]
    (source / "config.log").write_text("no OpenSSL")
    build = Build(tmp_path)
    inside = source / "Modules" / "config.c"
    inside.write_text("".join(f'{{"{name}", PyInit_{name}}},\n' for name in names))
    build.require_modules(source)
    inside.write_text(inside.read_text().replace(f'{{"{lacking}"', '{"other"'))
    with pytest.raises(BuildError, match=f"without {lacking}: see .*config.log"):
        build.require_modules(source)

    assert (tmp_path / "config.log").read_text() == "no OpenSSL"


@pytest.mark.parametrize("target", recipe.TARGETS.values())
def test_configure_sees_no_place(target: recipe.Target) -> None:
    """It divides its arguments where a path has a space, and then does without."""
    for machine in recipe.TARGETS.values():
        _, *words = recipe.configure_python(target, machine)
        paths = [word for word in words if "/" in word and recipe.PREFIX not in word]
        helper = ["--with-build-python=./build-python/bin/python3.13"]

        assert "--with-openssl=compiled-openssl" in words
        assert paths == ([] if target == machine else helper)


def test_a_python_that_cannot_unpack_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are compiled without lzma: that is said before anything is downloaded."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BuildError, match=r"has no lzma module: .*make PYTHON="):
        Build(tmp_path).interpreter("x86_64")

    assert stages(tmp_path) == []
    assert not (tmp_path / "downloads").exists()


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
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("architecture", PINS["programs"])
def test_everybody_compiles_the_same(architecture: str) -> None:
    """The program is the pinned one, wherever and whenever it was compiled."""
    program = ROOT / "build" / "interpreter" / architecture / PROGRAM
    if not program.exists():
        pytest.skip(f"{program} is missing: run `make layer ARCH={architecture}`")

    assert digest(program) == PINS["programs"][architecture]


def test_a_new_security_fix_is_never_left_out() -> None:
    """Patches are skipped by name: a CVE's would have to be named."""
    names = [name for skipped in recipe.SKIPPED_PATCHES.values() for name in skipped]

    assert [name for name in names if "CVE" in name or "ssl-" in name] == []
