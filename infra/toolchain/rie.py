"""Fetch the Lambda Runtime Interface Emulator into build/tools.

Wheel and program are pinned by their SHA-256 in rie.txt. Nothing of the wheel is
installed or run, except the one program that is taken out of it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PINS = Path(__file__).with_name("rie.txt")
TARGET = Path("build/tools/aws-lambda-rie")
ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def pinned_sha256(architecture: str) -> str:
    """The program's checksum, as rie.txt states it."""
    marker = f"#   {architecture} sha256:"
    lines = PINS.read_text().splitlines()
    return next(x.removeprefix(marker) for x in lines if x.startswith(marker))


def program_in_wheel(architecture: str) -> bytes:
    """Download the pinned wheel and read the program out of it."""
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", *options]
        subprocess.run([*command, "-r", PINS, "-d", folder], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(f"samcli/local/rapid/aws-lambda-rie-{architecture}")


def main() -> None:
    """Put the emulator for this machine where the sandbox looks for it."""
    architecture = ARCHITECTURES[platform.machine()]
    program = program_in_wheel(architecture)
    if hashlib.sha256(program).hexdigest() != pinned_sha256(architecture):
        sys.exit(f"aws-lambda-rie-{architecture} is not the one pinned in {PINS}")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    fresh = TARGET.with_name(f"{TARGET.name}.{os.getpid()}")
    fresh.write_bytes(program)
    fresh.chmod(0o755)
    fresh.replace(TARGET)
    print(f"{TARGET}: {len(program):,} bytes, checksum as pinned")


if __name__ == "__main__":
    main()
