"""Build the invalidator: build/invalidator and build/invalidator.zip.

boto3 is not in it: Lambda's Python runtimes bring it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from infra import artifacts

REQUIREMENTS = Path("requirements/invalidator.txt")
# What pip writes beside the packages that it installs.
NOT_CODE = {"bin"}


def assemble(folder: Path) -> None:
    """Lay out the function's code in an empty folder."""
    for part in sorted(artifacts.vendor(REQUIREMENTS).iterdir()):
        if part.is_file():
            shutil.copyfile(part, folder / part.name)
        elif part.name not in NOT_CODE:
            artifacts.copy_package(part, folder / part.name)
    artifacts.copy_package(Path("shared/rotaware"), folder / "rotaware")
    artifacts.copy_package(Path("invalidator"), folder / "invalidator")


def main() -> None:
    """Build the invalidator into build/, or elsewhere."""
    parser = argparse.ArgumentParser(description="Build the invalidator Lambda.")
    parser.add_argument("--output", type=Path, default=artifacts.BUILD)
    output = parser.parse_args().output
    folder, archive = output / "invalidator", output / "invalidator.zip"
    with artifacts.failing_in_one_line("make invalidator"), artifacts.alone(output):
        artifacts.zip_date()  # a wrong one is refused before anything is done
        with artifacts.replacing(folder) as fresh:
            assemble(fresh)
        artifacts.pack(folder, archive)
        artifacts.report(folder, archive)


if __name__ == "__main__":
    main()
