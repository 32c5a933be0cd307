"""What pip installs: the library with its command line, which no layer has."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra import artifacts

ROOT = Path(__file__).parents[2]
BUILD = "import sys, uv_build; uv_build.build_wheel(sys.argv[1])"
START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from rotaware.cli import main; main()"
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        [sys.executable, "-c", BUILD, folder],
        cwd=ROOT,
        env={"PATH": path},
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("rotaware-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def start(package: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program with ``--version``."""
    return subprocess.run(
        [sys.executable, *options, "-c", START, package, "--version"],
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_is_the_library(package: Path) -> None:
    """All of it, with its types, and nothing else of this repository."""
    names = sorted(path.name for path in package.iterdir())
    sources = {path.relative_to(ROOT / "shared") for path in modules(ROOT / "shared")}

    assert ["rotaware", names[1]] == names
    assert sources == {path.relative_to(package) for path in modules(package)}
    assert (package / "rotaware" / "py.typed").exists()


def modules(folder: Path) -> list[Path]:
    """The package's sources below a folder."""
    return list((folder / "rotaware").rglob("*.py"))


def test_the_program_is_installed(package: Path) -> None:
    """It knows its version."""
    (points,) = package.glob("*.dist-info/entry_points.txt")
    ran = start(package)

    assert "rotaware = rotaware.cli:main" in points.read_text()
    assert (0, "0.1.0\n") == (ran.returncode, ran.stdout), ran.stderr


def test_without_its_extra_it_names_it(package: Path) -> None:
    """A Python without site-packages has neither click nor boto3."""
    ran = start(package, "-I", "-S")

    assert (1, "") == (ran.returncode, ran.stdout)
    assert "rotaware: click is missing: pip install 'rotaware[cli]'\n" == ran.stderr


def test_no_artifact_has_the_command_line(tmp_path: Path) -> None:
    """Another package's folder of that name is copied."""
    artifacts.copy_package(ROOT / "shared" / "rotaware", tmp_path / "ours")
    other = tmp_path / "other"
    (other / "cli").mkdir(parents=True)
    (other / "cli" / "a.py").write_text("")
    artifacts.copy_package(other, tmp_path / "copy")

    assert not (tmp_path / "ours" / "cli").exists()
    assert (tmp_path / "ours" / "database" / "__init__.py").exists()
    assert (tmp_path / "copy" / "cli" / "a.py").exists()
