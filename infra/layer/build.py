"""Build the layer: build/layer (what lies on /opt) and build/layer.zip.

    extensions/rotaware   the launcher, the only file that Lambda starts
    rotaware/             the extension's code; nothing else ever imports it
    python/rotaware/      what function code imports

Bytecode lies beside the sources and is never checked against them: /opt is read-only,
and the dates of a layer's files mean nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from infra import artifacts

REQUIREMENTS = Path("requirements/extension.txt")
DEPENDENCIES = ("cachetools", "yaml")
# The kernel cuts the first line of a script here.
LONGEST_SHEBANG = 127
LAUNCHER = """\
#!{interpreter} -IS
import sys
sys.path.insert(0, "/opt/rotaware")
from extension.__main__ import main
main()
"""
COMPILE = """
import py_compile, sys
from pathlib import Path
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
root = Path(sys.argv[1])
for path in sorted(root.rglob("*.py")):
    name = "/opt/" + str(path.relative_to(root))
    py_compile.compile(str(path), dfile=name, doraise=True, invalidation_mode=mode)
"""


def assemble(layer: Path, interpreter: str) -> None:
    """Lay out the layer in an empty folder."""
    vendored = artifacts.vendor(REQUIREMENTS)
    private = layer / "rotaware"
    artifacts.copy_package(Path("extension"), private / "extension")
    artifacts.copy_package(Path("shared/rotaware"), private / "rotaware")
    for name in DEPENDENCIES:
        artifacts.copy_package(vendored / name, private / name)
    artifacts.copy_licences(vendored, private / "licenses")
    artifacts.copy_package(Path("shared/rotaware"), layer / "python" / "rotaware")
    compile_all(layer, interpreter)
    launcher = layer / "extensions" / "rotaware"
    launcher.parent.mkdir()
    launcher.write_text(LAUNCHER.format(interpreter=interpreter))
    launcher.chmod(0o755)


def compile_all(layer: Path, interpreter: str) -> None:
    """Compile with the interpreter that will run the code, if it is on this machine."""
    compiler = interpreter if Path(interpreter).exists() else sys.executable
    if compiler != interpreter:
        version = "{}.{}".format(*sys.version_info)
        print(f"{interpreter} is not here: bytecode is for Python {version} only")
    # A fixed hash seed fixes the order of constant sets, and so the bytes.
    environ = {"PYTHONHASHSEED": "0", "PATH": os.defpath}
    command = [compiler, "-s", "-S", "-c", COMPILE, str(layer)]
    subprocess.run(command, check=True, env=environ)


def base_interpreter() -> str:
    """The real interpreter under the virtual environment that runs this build."""
    return str(Path(sys._base_executable).resolve())  # type: ignore[attr-defined]  # noqa: SLF001


def main() -> None:
    """Build the layer as the command line says."""
    parser = argparse.ArgumentParser(description="Build the Lambda layer.")
    parser.add_argument("--interpreter", help="default: this Python's real path")
    parser.add_argument("--output", type=Path, default=artifacts.BUILD)
    options = parser.parse_args()
    interpreter = options.interpreter or base_interpreter()
    shebang = LAUNCHER.format(interpreter=interpreter).splitlines()[0]
    if not interpreter.startswith("/") or len(shebang) > LONGEST_SHEBANG:
        parser.error(f"--interpreter {interpreter}: a short absolute path is needed")
    layer, archive = options.output / "layer", options.output / "layer.zip"
    with artifacts.replacing(layer) as fresh:
        assemble(fresh, interpreter)
    artifacts.pack(layer, archive)
    artifacts.report(layer, archive)


if __name__ == "__main__":
    main()
