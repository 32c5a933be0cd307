"""An artifact is replaced whole or not at all, by one build at a time."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from infra import artifacts
from infra.layer.build import publish
from tests.support.sandbox import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOWHERE = {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
FULL = OSError(errno.ENOSPC, "No space left on device", "build/layer")


def writes(text: str) -> Callable[[Path], None]:
    """What fills a folder with one file."""

    def fill(folder: Path) -> None:
        (folder / "file").write_text(text)

    return fill


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


def raising(error: Exception) -> Callable[..., None]:
    """What fails after half of its work."""

    def fail(*_: object) -> None:
        raise error

    return fail


PUBLISHED = ["layer", "layer.cdx.json", "layer.zip"]


def test_two_builds_take_turns(tmp_path: Path) -> None:
    """The second one begins when the first one's folder, zip and SBOM are in place."""
    entered, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def slowly(folder: Path) -> None:
        entered.set()
        assert go_on.wait(10)
        writes("first")(folder)
        order.append("first")

    def soon(folder: Path) -> None:
        order.append("second")
        assert names(tmp_path) == sorted([".layer", *PUBLISHED])
        writes("second")(folder)

    fills = (slowly, soon)
    threads = [
        threading.Thread(target=publish, args=(tmp_path, "layer", fill))
        for fill in fills
    ]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    threads[1].join(0.1)  # time for it to come too early, if it could
    go_on.set()
    for thread in threads:
        thread.join(10)

    assert order == ["first", "second"]
    assert (tmp_path / "layer" / "file").read_text() == "second"
    assert names(tmp_path) == PUBLISHED


def test_what_is_equal_is_left_alone(tmp_path: Path) -> None:
    """The folder may be in use: the same content is not put in its place."""
    publish(tmp_path, "layer", writes("same"))
    inode = (tmp_path / "layer").stat().st_ino
    publish(tmp_path, "layer", writes("same"))

    assert (tmp_path / "layer").stat().st_ino == inode
    assert names(tmp_path) == PUBLISHED


@pytest.mark.parametrize("step", ["fill", "zip", "text"])
def test_a_failed_build_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Neither half a file nor a hidden one; the last good zip stays."""
    publish(tmp_path, "layer", writes("good"))
    good = (tmp_path / "layer.zip").read_bytes()
    if step == "zip":
        monkeypatch.setattr("zipfile.ZipFile.writestr", raising(FULL))
    if step == "text":
        monkeypatch.setattr("pathlib.Path.write_text", raising(FULL))
    fill = raising(FULL) if step == "fill" else lambda folder: (folder / "f").touch()
    with pytest.raises(OSError, match="No space left"):
        publish(tmp_path, "layer", fill)

    assert names(tmp_path) == PUBLISHED
    assert ((tmp_path / "layer.zip").read_bytes() == good) == (step != "text")


def test_what_a_killed_build_left_goes(tmp_path: Path) -> None:
    """It had no chance to remove it; the next one does."""
    for name in (".layer", ".layer.zip", ".layer.cdx.json"):
        left = tmp_path / name
        if name == ".layer":
            (left / "layer").mkdir(parents=True)
            left = left / "layer" / "half"
        left.write_text("half")
    publish(tmp_path, "layer", writes("whole"))

    assert names(tmp_path) == PUBLISHED
    assert names(tmp_path / "layer") == ["file"]


@pytest.mark.parametrize("module", ["infra.layer.build", "infra.invalidator.build"])
def test_a_date_that_is_none_says_so(tmp_path: Path, module: str) -> None:
    """SOURCE_DATE_EPOCH is a number; nothing is built by another."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--output", tmp_path],
        cwd=ROOT,
        env={**os.environ, "SOURCE_DATE_EPOCH": "abc"},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "SOURCE_DATE_EPOCH is 'abc': it must be a number" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize("date", ["0", "-5", "315532800", "9999999999999"])
def test_any_number_is_a_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    """A zip's dates begin with 1980 and end with 2107: it takes the nearest."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", date)
    publish(tmp_path, "layer", writes("one"))

    assert (tmp_path / "layer.zip").exists()


def test_packages_that_cannot_be_had_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without network pip's reason is told, and nothing is left."""
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(artifacts, "BUILD", tmp_path / "build")
    wanted = tmp_path / "wanted.txt"
    wanted.write_text(f"cachetools==0.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(artifacts.ArtifactError, match="cachetools==0") as error:
        artifacts.vendor(wanted)

    assert str(error.value).startswith(f"{wanted} could not be installed: ERROR: ")
    assert len(str(error.value).splitlines()) == 1
    assert names(tmp_path / "build" / "vendor") == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (artifacts.ArtifactError("no such thing"), "no such thing"),
        (FULL, "[Errno 28] No space left on device: 'build/layer'"),
        (shutil.Error([("a", "b", "no space"), ("c", "d", "no space")]), "no space"),
        (
            subprocess.CalledProcessError(1, "python", stderr="Traceback\n E: full\n"),
            "E: full",
        ),
    ],
)
def test_a_failure_is_one_line(error: Exception, said: str) -> None:
    """Its reason, and no traceback of the build's own."""
    with (
        pytest.raises(SystemExit) as end,
        artifacts.failing_in_one_line("make it"),
    ):
        raise error

    assert end.value.code == f"make it: {said}"
