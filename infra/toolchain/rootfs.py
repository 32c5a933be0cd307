"""Make the Debian 11 roots in which the layer must run, under build/rootfs.

    bullseye          debootstrap's smallest system: glibc 2.31, and no Python
    bullseye-arm64    glibc 2.31 for arm64 and nothing else, for qemu-user

Rules:
1. The mirror's signature is checked before anything of it runs. Debian 11 has had its
   last point release, so its list of packages, with a checksum for each of them, is
   pinned in rootfs.txt: another list is refused.
2. A root has its name only when it is complete, and says by which pins it was made.
   One run makes roots at a time; the others wait, and then find them.
3. DEBIAN_MIRROR names another place than http://deb.debian.org.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from infra.artifacts import ArtifactError, failing_in_one_line
from infra.interpreter.fetch import digest, fetch, mirror
from infra.interpreter.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

SUITE = "bullseye"
EMULATOR = "qemu-aarch64-static"
ROOTS = Path("build/rootfs")
PINS = Path(__file__).with_name("rootfs.txt")
TOOLS = Path(__file__).with_name("debian.sh")
NEEDED = ("debootstrap", "gpgv", "dpkg-deb:dpkg", f"{EMULATOR}:qemu-user-static")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# What the sandbox lays something over; the root is read-only by then.
PLACES = ("dev", "opt", "proc", "tmp", "var")


class RootError(ArtifactError):
    """Why a root cannot be made."""


def pinned() -> dict[str, str]:
    """The checksums, by path on the mirror."""
    rows = map(str.split, PINS.read_text().splitlines())
    return {path: checksum for checksum, path in rows}


def bootstrap(root: Path) -> None:
    """Debian's own way, with its signature and our pins checked."""
    if not KEYRING.exists():
        raise RootError(f"{KEYRING} is missing: install debian-archive-keyring")
    options = ["--variant=minbase", f"--keyring={KEYRING}", "--force-check-gpg"]
    # What it mounts is gone with its namespace, however it ends.
    private = ["unshare", "--mount", "--propagation", "private"]
    source = f"{mirror()}/debian"
    _run_showing([*private, "debootstrap", *options, SUITE, str(root), source])
    for found in (root / "var/lib/apt/lists").glob("*_Packages"):
        architecture = found.name.removesuffix("_Packages").rpartition("-")[2]
        path = f"dists/{SUITE}/main/binary-{architecture}/Packages"
        if digest(found) != pinned().get(path):
            raise RootError(
                f"{source}/{path} is not the list that {PINS} names: set DEBIAN_MIRROR"
                " to a mirror that has it"
            )
    for heap in ("cache/apt", "lib/apt/lists", "log"):
        shutil.rmtree(root / "var" / heap)


def unpack_libc(root: Path) -> None:
    """The C library alone: what a foreign program needs from its system."""
    (path,) = (path for path in pinned() if path.endswith(".deb"))
    folder, _, name = path.rpartition("/")
    with tempfile.TemporaryDirectory() as work:
        places = [f"{mirror()}/debian/{folder}"]
        package = fetch(name, pinned()[path], places, Path(work))
        subprocess.run(["/usr/bin/dpkg-deb", "-x", package, root], check=True)


def make(name: str, fill: Callable[[Path], None]) -> None:
    """Make a root, unless it stands there as the pins want it."""
    target = ROOTS / name
    marker = target / "pins"
    if marker.exists() and marker.read_text() == PINS.read_text():
        return
    print(f"making {target} from {mirror()} ...", flush=True)
    ROOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOTS, prefix=f".{name}-") as work:
        fresh = Path(work, name)
        fresh.mkdir()
        fill(fresh)
        for place in PLACES:
            (fresh / place).mkdir(exist_ok=True)
        (fresh / marker.name).write_text(PINS.read_text())
        if target.exists():
            target.rename(Path(work, "old"))
        fresh.rename(target)


def main() -> None:
    """Make both roots; without root, say that the tests in them are left out."""
    if os.geteuid() != 0:
        print(f"{ROOTS} needs root to be made: the tests in Debian 11 will be skipped")
        return
    subprocess.run(["/bin/sh", TOOLS, *NEEDED], check=True)
    ROOTS.mkdir(parents=True, exist_ok=True)
    with (ROOTS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in ROOTS.glob(".*"):  # by a run that was killed
            shutil.rmtree(left)
        make(SUITE, bootstrap)
        make(f"{SUITE}-arm64", unpack_libc)


def _run_showing(command: list[str]) -> None:
    """Run it; show where it is now and then, and its last words if it fails."""
    said = [""]
    progress = Progress(f"Debian {SUITE}, about 30 s")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            said.append(line.strip().removeprefix("I: "))
            progress.show(said[-1])
    if process.returncode != 0:
        raise RootError("\n".join(["debootstrap failed:", *said[-12:]]))
    progress.done()


if __name__ == "__main__":
    with failing_in_one_line(str(ROOTS)):
        main()
