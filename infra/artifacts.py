"""What both artifact builds share: pinned dependencies, fixed zips, safe replacement.

Rules:
1. Two builds of the same sources are equal byte by byte: files are packed in sorted
   order with one fixed date and fixed modes.
2. A build that fails says why in one line and leaves the last good one alone. One that
   changes nothing leaves the folder itself alone, since it may be in use.
3. Whoever puts something into a folder does so in ``alone(folder)``: so what lies there
   under a hidden name is left from a run that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = Path("build")
# 1980 is the oldest date that a zip can hold.
OLDEST_DATE = 315_532_800
# A zip's dates end with 2107.
NEWEST_DATE = 4_354_819_198
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.so", "*.pyi")


class ArtifactError(Exception):
    """What keeps something from being built, and what to do about it."""


@contextlib.contextmanager
def failing_in_one_line(name: str) -> Iterator[None]:
    """End the program with a reason rather than with a traceback."""
    try:
        yield
    except (ArtifactError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"{name}: {_reason(error)}")


def _reason(error: Exception) -> str:
    if isinstance(error, shutil.Error):  # it holds one for each file
        return str(error.args[0][0][2])
    said = str(getattr(error, "stderr", None) or error).strip()
    # Of a traceback its last line tells.
    return said if isinstance(error, ArtifactError) else said.splitlines()[-1].strip()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else puts something into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("  another build is under way: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def vendor(requirements: Path) -> Path:
    """Install pinned requirements into a folder of their own, once for each pin."""
    key = f"{requirements.read_text()}{sys.version_info[:2]}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    target = BUILD / "vendor" / f"{requirements.stem}-{digest}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"downloading what {requirements} pins ...", flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as fresh:
        options = ["--quiet", "--require-hashes", "--only-binary=:all:", "--no-compile"]
        command = [sys.executable, "-m", "pip", "install", *options]
        done = subprocess.run(
            [*command, "-r", requirements, "--target", fresh],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise ArtifactError(f"{requirements} could not be installed: {said}")
        Path(fresh).chmod(0o755)
        try:
            Path(fresh).rename(target)
        except OSError:  # another build was first; its result is the same
            if not target.exists():
                raise
        Path(fresh).mkdir(exist_ok=True)
    return target


def copy_package(source: Path, target: Path) -> None:
    """Copy a package's Python files, or any other folder as it is."""
    shutil.copytree(source, target, ignore=_not_shipped)


def _not_shipped(folder: str, names: list[str]) -> set[str]:
    ignored = NOT_SHIPPED(folder, names)
    # The command-line tool is installed by pip, where a person works.
    return ignored | ({"cli"} if Path(folder).name == "rotaware" else set())


def copy_licences(vendored: Path, target: Path) -> None:
    """Copy the licence texts of the vendored packages."""
    for info in sorted(vendored.glob("*.dist-info")):
        for text in sorted(info.rglob("*")):
            if text.is_file() and text.name.upper().startswith(("LICEN", "NOTICE")):
                place = target / info.name.removesuffix(".dist-info") / text.name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(text, place)


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below the folder: its mode and its bytes."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Fill a fresh folder in the block; afterwards it stands in the target's place."""
    work = target.with_name(f".{target.name}")
    shutil.rmtree(work, ignore_errors=True)
    fresh = work / target.name
    fresh.mkdir(parents=True)
    try:
        yield fresh
        _fix_modes(fresh)
        if target.exists() and content(target) == content(fresh):
            return
        if target.exists():
            target.rename(work / "old")
        fresh.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def pack(folder: Path, archive: Path) -> None:
    """Zip a folder's content, the same bytes for the same content."""
    date = time.gmtime(zip_date())[:6]
    packing = zipfile.ZIP_DEFLATED
    with (
        _whole(archive) as fresh,
        zipfile.ZipFile(fresh, "w", packing, compresslevel=9) as packed,
    ):
        for name, (mode, data) in sorted(content(folder).items()):
            entry = zipfile.ZipInfo(name, date)
            entry.external_attr = mode << 16
            entry.compress_type = packing
            entry.create_system = 3  # Unix, so that the modes count
            packed.writestr(entry, data)


def write(path: Path, text: str) -> None:
    """Put a text into place."""
    with _whole(path) as fresh:
        fresh.write_text(text)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Where to write a file, which is then put into place whole, or not at all."""
    fresh = path.with_name(f".{path.name}")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def zip_date() -> int:
    """SOURCE_DATE_EPOCH, where it is set, within the years that a zip can hold."""
    said = os.environ.get("SOURCE_DATE_EPOCH", str(OLDEST_DATE))
    try:
        return min(max(int(said), OLDEST_DATE), NEWEST_DATE)
    except ValueError:
        message = f"SOURCE_DATE_EPOCH is {said!r}: it must be a number of seconds"
        raise ArtifactError(message) from None


def report(folder: Path, archive: Path) -> None:
    """Say how large the artifact is."""
    files = content(folder)
    total = sum(len(data) for _, data in files.values())
    print(
        f"{folder}: {len(files)} files, {total / 1000:,.0f} kB; "
        f"{archive}: {archive.stat().st_size / 1000:,.0f} kB"
    )


def _fix_modes(folder: Path) -> None:
    """Readable for the uid that Lambda runs as, whatever umask the builder has."""
    for path in [folder, *folder.rglob("*")]:
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
