"""What both artifact builds share: pinned dependencies, fixed zips, safe replacement.

Two builds of the same sources are equal byte by byte: files are packed in sorted order
with one fixed date and fixed modes. A build that fails leaves the last good one alone,
and one that changes nothing leaves the folder itself alone, since it may be in use.
"""

from __future__ import annotations

import contextlib
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
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.so", "*.pyi")


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
        subprocess.run([*command, "-r", requirements, "--target", fresh], check=True)
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
    shutil.copytree(source, target, ignore=NOT_SHIPPED)


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
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=f".{target.name}-", ignore_cleanup_errors=True
    ) as work:
        fresh = Path(work, target.name)
        fresh.mkdir()
        yield fresh
        _fix_modes(fresh)
        if target.exists() and content(target) == content(fresh):
            return
        if target.exists():
            target.rename(Path(work, "old"))
        fresh.rename(target)


def pack(folder: Path, archive: Path) -> None:
    """Zip a folder's content, the same bytes for the same content."""
    date = max(int(os.environ.get("SOURCE_DATE_EPOCH", OLDEST_DATE)), OLDEST_DATE)
    fresh = archive.with_name(f".{archive.name}.{os.getpid()}")
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, (mode, data) in sorted(content(folder).items()):
            entry = zipfile.ZipInfo(name, time.gmtime(date)[:6])
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, so that the modes count
            packed.writestr(entry, data)
    fresh.replace(archive)


def write(path: Path, text: str) -> None:
    """Put a file into place, whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)


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
