"""The built layer is exactly what Lambda needs, and the same bytes each time."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from infra.artifacts import content
from tests.support.sandbox import LAYER, ROOT

if TYPE_CHECKING:
    from pathlib import Path

UNCHECKED_HASH = b"\x01\x00\x00\x00"
LARGEST_ZIP = 1_000_000


def build(module: str, output: Path, seed: str) -> Path:
    """Run a build as `make` does, elsewhere, under another hash seed."""
    subprocess.run(
        [sys.executable, "-m", module, "--output", output],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        check=True,
        capture_output=True,
    )
    return output


def test_one_file_to_start() -> None:
    """Lambda starts every file in extensions/: there is one, and it is executable."""
    (launcher,) = (LAYER / "extensions").iterdir()
    first = launcher.read_text().splitlines()[0]

    assert launcher.name == "rotaware"
    assert launcher.stat().st_mode & 0o777 == 0o755
    assert first.startswith("#!/")
    assert first.endswith(" -IS")


def test_top_folders() -> None:
    """Nothing lies on /opt beside the launcher, its code, and the library."""
    assert sorted(path.name for path in LAYER.iterdir()) == [
        "extensions",
        "python",
        "rotaware",
    ]
    assert [path.name for path in (LAYER / "python").iterdir()] == ["rotaware"]


def test_bytecode_is_never_checked() -> None:
    """Every module has bytecode that is taken without looking at its source."""
    sources = sorted(LAYER.rglob("*.py"))
    for source in sources:
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")

        assert compiled.read_bytes()[4:8] == UNCHECKED_HASH
    assert sources


def test_pure_python_and_small() -> None:
    """No compiled extension module is in it, and the archive stays small."""
    names = zipfile.ZipFile(LAYER.with_suffix(".zip")).namelist()

    assert [name for name in names if name.endswith((".so", ".pyi"))] == []
    assert LAYER.with_suffix(".zip").stat().st_size < LARGEST_ZIP
    assert set(names) == set(content(LAYER))


def test_library_is_the_source() -> None:
    """What functions import is shared/rotaware, file for file."""
    shipped = (LAYER / "python" / "rotaware").glob("*.py")
    sources = (ROOT / "shared" / "rotaware").glob("*.py")

    assert {x.name: x.read_bytes() for x in shipped} == {
        x.name: x.read_bytes() for x in sources
    }, "build/layer is older than the sources: run `make layer`"


def test_builds_are_reproducible(tmp_path: Path) -> None:
    """Two builds are equal byte by byte, whatever the hash seed."""
    for module, name in (
        ("infra.layer.build", "layer.zip"),
        ("infra.invalidator.build", "invalidator.zip"),
    ):
        first = build(module, tmp_path / "first", "1") / name
        second = build(module, tmp_path / "second", "2") / name

        assert first.read_bytes() == second.read_bytes()


def test_an_unknown_interpreter_is_refused(tmp_path: Path) -> None:
    """A relative interpreter cannot stand in a launcher: the build says so."""
    options = ("--interpreter", "python3", "--output", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "infra.layer.build", *options],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert "python3: a short absolute path is needed" in done.stderr
    assert list(tmp_path.iterdir()) == []
