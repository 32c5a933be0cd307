"""The standard library: all of it for the build, the listed modules for the layer.

Bytecode is never checked against sources, and is the same whenever it is compiled.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import tomllib

from infra.interpreter import recipe

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTENTS: dict[str, list[str]] = tomllib.loads(
    Path(__file__).with_name("contents.toml").read_text()
)
PROGRAM = "bin/python3.13"
LIBRARY = "lib/python3.13"
# What no program runs with.
NOT_LIBRARY = ("test", "idlelib", "tkinter", "turtledemo", "ensurepip", "__pycache__")
COMPILE_ALL = """
import compileall, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
sys.exit(not compileall.compile_dir(
    sys.argv[1], stripdir=sys.argv[1], prependdir="/lib/python3.13", quiet=1,
    workers=2, invalidation_mode=mode))
"""
COMPILE_FILES = """
import json, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for source, target, shown, level in json.load(sys.stdin):
    py_compile.compile(
        source, target, shown, doraise=True, optimize=level, invalidation_mode=mode)
"""


def install(source: Path, target: Path) -> None:
    """The program with the whole library, as bytecode beside the sources."""
    library = target / LIBRARY
    shutil.copytree(
        source / "Lib", library, ignore=shutil.ignore_patterns(*NOT_LIBRARY)
    )
    for data in source.glob("build/lib.*/_sysconfigdata_*.py"):
        shutil.copy(data, library)
    (library / "lib-dynload").mkdir()
    (target / PROGRAM).parent.mkdir()
    shutil.copy(source / "python", target / PROGRAM)
    command = [str(target / PROGRAM), "-s", "-S", "-c", COMPILE_ALL, str(library)]
    _run(command, "")


def compile_files(
    python: Path, files: Iterable[tuple[Path, Path, str]], optimise: int
) -> None:
    """Compile each source into a file, by the name that tracebacks show.

    Args:
        python: The program whose bytecode is wanted.
        files: Source, target, and shown name.
        optimise: As python -O: 2 leaves out asserts and docstrings.
    """
    jobs = [(*map(str, job), optimise) for job in files]
    _run([str(python), "-s", "-S", "-c", COMPILE_FILES], json.dumps(jobs))


def _run(command: list[str], said: str) -> None:
    # Not -I: it would ignore the seed, which fixes the order of constant sets.
    environ = {"PYTHONHASHSEED": "0"}
    subprocess.run(
        command, input=said, text=True, check=True, env=environ, capture_output=True
    )


def install_listed(python: Path, target: Path) -> None:
    """The listed library modules, as bytecode without sources.

    Args:
        python: What ``install`` has filled.
        target: Beside its ``bin``, the program will find its library.
    """
    library = target / LIBRARY
    files = []
    for name in CONTENTS["library"]:
        path = name.replace(".", "/")
        if (python / LIBRARY / path).is_dir():
            path += "/__init__"
        source = python / LIBRARY / f"{path}.py"
        shown = f"{recipe.PREFIX}/{LIBRARY}/{path}.py"
        files.append((source, library / f"{path}.pyc", shown))
    compile_files(python / PROGRAM, files, optimise=2)
    # Python looks for this folder when it starts, and complains when it is missing.
    (library / "lib-dynload").mkdir()
    (library / "lib-dynload" / "nothing").touch()
