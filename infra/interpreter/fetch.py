"""Download pinned files: whole and with the pinned hash, or not at all.

Rules:
1. A file has its final name only when its hash is right.
2. What an interrupted download has got stays as NAME.part; the next one goes on there.
3. Every failure is one line that says what to do: a FetchError.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from infra.artifacts import ArtifactError
from infra.interpreter.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIRROR = "http://deb.debian.org"
PINS_FILE = "infra/interpreter/pins.toml"
_CHUNK_BYTES = 256 * 1024
_SILENCE_SECONDS = 30
_NOT_FOUND = 404
_RANGE_PAST_THE_END = 416


class FetchError(ArtifactError):
    """A download that did not succeed, and what to do about it."""


def mirror(environ: Mapping[str, str] = os.environ) -> str:
    """Where the folders `debian` and `debian-security` lie."""
    return environ.get("DEBIAN_MIRROR", MIRROR).rstrip("/")


def fetch(name: str, sha256: str, folders: Sequence[str], downloads: Path) -> Path:
    """The pinned file, from the first of the addresses that has it."""
    target = downloads / name
    if target.exists() and digest(target) == sha256:
        return target
    downloads.mkdir(parents=True, exist_ok=True)
    part = downloads / f"{name}.part"
    for folder in folders:
        if _download(f"{folder}/{name}", part):
            break
    else:
        raise FetchError(
            f"{name} is at none of {', '.join(folders)}: a newer revision has"
            f" superseded it. Pin that one in {PINS_FILE}, or set DEBIAN_MIRROR to a"
            " mirror that still has this one"
        )
    found = digest(part)
    if found != sha256:
        part.unlink()
        raise FetchError(
            f"{name}: its SHA-256 is {found}, and {PINS_FILE} says {sha256}. Nothing"
            " was kept. Try again; if it happens again, do not trust the mirror"
        )
    part.replace(target)
    return target


def fetch_wheel(package: str, version: str, sha256: str, downloads: Path) -> Path:
    """The pinned wheel, by pip, so from the registry that pip is set up for."""
    kept = downloads / f"{package}-{version}-{sha256[:16]}.whl"
    if kept.exists() and digest(kept) == sha256:
        return kept
    downloads.mkdir(parents=True, exist_ok=True)
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options]
    with tempfile.TemporaryDirectory(dir=downloads) as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(f"{package}=={version} --hash=sha256:{sha256}\n")
        done = subprocess.run(
            [*command, "-r", wanted, "-d", folder],
            check=False,
            capture_output=True,
            text=True,
        )
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            said = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise FetchError(f"{package} {version} could not be downloaded: {said}")
        wheels[0].replace(kept)
    return kept


def digest(path: Path) -> str:
    """A file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url: str, part: Path) -> bool:
    """Fetch the rest of a file; False when there is no such file."""
    begun = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)  # noqa: S310  http, by the pins
    if begun:
        request.add_header("Range", f"bytes={begun}-")
    try:
        with urllib.request.urlopen(request, timeout=_SILENCE_SECONDS) as answer:  # noqa: S310
            _receive(answer, url, part)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _NOT_FOUND:
            return False
        if error.code == _RANGE_PAST_THE_END:
            return True  # it was complete already; the hash decides
        raise FetchError(f"{url}: {error}: try again later") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise FetchError(
            f"{url}: {reason}. Is there a network? DEBIAN_MIRROR names another mirror"
        ) from None
    return True


def _receive(answer: http.client.HTTPResponse, url: str, part: Path) -> None:
    resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
    length = int(answer.headers.get("Content-Length") or 0)
    with part.open("ab" if resumed else "wb") as file:
        total = file.tell() + length
        progress = Progress(url.rpartition("/")[2])
        while chunk := answer.read(_CHUNK_BYTES):
            file.write(chunk)
            progress.show(f"{file.tell() / 1e6:.0f} of {total / 1e6:.0f} MB")
        size = file.tell()
    if length and size != total:
        raise FetchError(
            f"{url}: the connection ended at {size:,} of {total:,} bytes."
            " Run the same command again: it goes on from there"
        )
