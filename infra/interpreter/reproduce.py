"""Build an interpreter again, from nothing and in another place: is it the same?

The place has a space in its name, which divides the arguments of some programs.

Only the downloads are shared, whose hashes are pinned. It takes as long as a first
build.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from pathlib import Path

from infra import artifacts
from infra.interpreter import recipe
from infra.interpreter.build import MACHINES, Build
from infra.interpreter.fetch import digest
from infra.interpreter.library import PROGRAM


def main() -> None:
    """Compare the second build with the first one, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "architecture",
        choices=sorted(recipe.TARGETS),
        nargs="?",
        default=MACHINES[platform.machine()],
    )
    name = parser.parse_args().architecture
    with artifacts.failing_in_one_line("make reproduce"):
        compare(name)


def compare(name: str) -> None:
    """Build an architecture's interpreter twice."""
    first = Build()
    one = artifacts.content(first.interpreter(name))
    with tempfile.TemporaryDirectory(prefix="rotaware-elsewhere-") as folder:
        second = Build(Path(folder, "another root"), first.downloads)
        program = second.interpreter(name) / PROGRAM
        other = artifacts.content(program.parents[1])
        sha256 = digest(program)
    different = sorted(x for x in {*one, *other} if one.get(x) != other.get(x))
    if different:
        sys.exit(f"{name}: not the same bytes: {', '.join(different)}")
    print(f"{name}: {len(one)} files, the same bytes; {PROGRAM}: {sha256}")


if __name__ == "__main__":
    main()
