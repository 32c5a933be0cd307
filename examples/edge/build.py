"""Build the edge function: build/edge and build/edge.zip, for Lambda@Edge.

It holds what Lambda's Python does not: the function with its settings, the library
and the cache that it uses. boto3 is in the runtime. Settings are checked here: at the
edge, viewers would be the first to see that one is wrong.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import rotaware
from infra import artifacts

HERE = Path(__file__).parent
FUNCTION = HERE / "function"
SETTINGS = FUNCTION / "settings.json"
LIBRARY = Path("shared/rotaware")
REQUIREMENTS = Path("requirements/extension.txt")
CACHE = "cachetools"


def assemble(folder: Path, settings: Path = SETTINGS) -> None:
    """Lay out the function's code in an empty folder."""
    shutil.copyfile(FUNCTION / "app.py", folder / "app.py")
    (folder / SETTINGS.name).write_text(checked(settings), encoding="utf-8")
    vendored = artifacts.vendor(REQUIREMENTS)
    artifacts.copy_package(vendored / CACHE, folder / CACHE)
    artifacts.copy_package(LIBRARY, folder / LIBRARY.name)
    for part in (folder / LIBRARY.name).iterdir():
        if part.is_dir():  # databases, commands: a viewer's request needs none
            shutil.rmtree(part)
    artifacts.copy_licences(vendored, folder / "licenses")
    for other in (folder / "licenses").iterdir():
        if not other.name.startswith(CACHE):
            shutil.rmtree(other)


def checked(settings: Path) -> str:
    """The settings' text, if ``in_process`` takes them."""
    try:
        text = settings.read_text(encoding="utf-8")
        arguments = json.loads(text)
        rotaware.in_process(**{**arguments, "prefetch": False, "environ": {}})
    except (TypeError, ValueError, rotaware.SettingsError) as fault:
        raise artifacts.ArtifactError(f"{settings}: {fault}") from None
    return text


def main() -> None:
    """Build it into build/, or elsewhere."""
    parser = argparse.ArgumentParser(description="Build the edge function.")
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    parser.add_argument("--output", type=Path, default=artifacts.BUILD)
    options = parser.parse_args()
    folder, archive = options.output / "edge", options.output / "edge.zip"
    with artifacts.failing_in_one_line("make edge"), artifacts.alone(options.output):
        with artifacts.replacing(folder) as fresh:
            assemble(fresh, options.settings)
        artifacts.pack(folder, archive)
        artifacts.report(folder, archive)


if __name__ == "__main__":
    main()
