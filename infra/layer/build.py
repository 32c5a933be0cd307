"""Build the layer for one architecture, and for Python functions without interpreter.

    extensions/rotaware   the launcher, the only file that Lambda starts
    rotaware/bin, lib     the interpreter (infra/interpreter); not in layer-python
    rotaware/             the extension's code, which nothing else ever imports; with
                          the interpreter also as one file, which a start reads
    python/rotaware/      what function code imports, as sources and bytecode

build/layer is for this machine's own architecture, build/layer-arm64 for a foreign
one, and build/layer-python for functions on Python 3.12 or newer. Each folder is what
lies on /opt; its zip and its SBOM lie beside it. Bytecode is never checked against
sources: /opt is read-only, and the dates of a layer's files mean nothing.
"""

from __future__ import annotations

import argparse
import marshal
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra import artifacts
from infra.interpreter.build import BUILD_PYTHON, MACHINES, PINS, Build
from infra.interpreter.library import LIBRARY as STANDARD_LIBRARY
from infra.interpreter.library import PROGRAM, compile_files
from infra.interpreter.sbom import sbom
from infra.layer.strip import strip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REQUIREMENTS = Path("requirements/extension.txt")
CACHETOOLS_PARTS = ("__init__", "keys")
"""The rest of it are decorators, which it imports when they are used."""
YAML = Path("infra/layer/yaml/__init__.py")
YAML_PARTS = ("error", "events", "parser", "scanner", "tokens")
"""What of PyYAML the extension imports; importing the whole takes 15 ms."""
LIBRARY = Path("shared/rotaware")
IN_PROCESS = ("arguments", "library_log", "own_process", "store_reader")
"""What reads without an extension, for which a function brings other packages too: it
can bring these with them, so the flavour without interpreter, which has to be small,
leaves them out."""
FUNCTION_SIDE = (
    *IN_PROCESS,
    *("answers", "boto", "client", "describe", "fallback", "parameters"),
    *("port_reader", "powertools", "publish", "reader", "rotation"),
)
"""What the extension imports nothing of."""
LOADER = Path("infra/layer/one_file.py")
START = """
import sys
sys.path[:] = sys.argv[1:]
import extension.application, extension.endpoint, extension.http_server
import extension.routes, extension.workers, rotaware.tls, rotaware.tokens
import extension.config_file
for name, module in sys.modules.items():
    place = getattr(module, "__file__", None) or ""
    if place.startswith(sys.argv[1]):
        print(name, place)
"""
"""Tells the files from which a start imports, one with a config file too."""
PYC_HEADER_BYTES = 16
MARSHAL_VERSION = 2
"""Later ones write the same values differently, by how often they are referred to."""
# Linux passes one argument. UTF-8, because a function's LC_ALL may ask for an encoding
# that this interpreter does not have.
LAUNCHER = """\
#!{python}
import sys
{search}
from extension.__main__ import main
main()
"""


def assemble(layer: Path, build: Build, architecture: str) -> None:
    """Lay out the layer with its interpreter in an empty folder."""
    private = layer / "rotaware"
    shutil.copytree(build.root / architecture, private)
    packages = [Path("extension"), LIBRARY]
    modules = [path for package in packages for path in sorted(package.glob("*.py"))]
    modules = [path for path in modules if path.stem not in FUNCTION_SIDE]
    modules += _dependencies()
    compiler = build.root / BUILD_PYTHON / PROGRAM
    compile_files(
        compiler,
        [_compiled(path, private, "{0}.pyc") for path in modules],
        optimise=2,
    )
    shown = f"/opt/rotaware/{LOADER.name}"
    compile_files(
        compiler, [(LOADER, private / f"{LOADER.stem}.pyc", shown)], optimise=2
    )
    (private / f"{LOADER.stem}.bin").write_bytes(_one_file(compiler, private))
    library = layer / "python" / LIBRARY.name
    artifacts.copy_package(LIBRARY, library)
    compile_files(
        compiler,
        [
            _compiled(
                path,
                library.parent,
                "__pycache__/{0}.cpython-313.pyc",
                path.parent.relative_to(library.parent),
            )
            for path in sorted(library.rglob("*.py"))
        ],
        optimise=0,
    )
    search = 'sys.path.insert(0, "/opt/rotaware")'
    _finish(layer, f"/opt/rotaware/{PROGRAM} -ISXutf8", search)


def _one_file(compiler: Path, private: Path) -> bytes:
    """What ``one_file`` loads."""
    private = private.absolute()
    search = [str(private), str(private / STANDARD_LIBRARY)]
    told = subprocess.run(
        [compiler, "-IS", "-c", START, *search],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    modules = {}
    for line in sorted(told.splitlines()):
        name, _, place = line.partition(" ")
        path = Path(place)
        is_package = path.stem == "__init__"
        package = str(path.parent.relative_to(private)) if is_package else ""
        modules[name] = (package, path.read_bytes()[PYC_HEADER_BYTES:])
    return marshal.dumps(modules, MARSHAL_VERSION)


def assemble_without_interpreter(layer: Path) -> None:
    """Lay out the flavour for Python functions in an empty folder.

    It must run on several versions of Python, so it is sources, and it must be small:
    so ``rotaware`` lies in it once, for the extension and for the function.
    """
    private = layer / "rotaware"
    for path in (*sorted(Path("extension").glob("*.py")), *_dependencies()):
        target = private / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(strip(path.read_text()))
    library = layer / "python" / LIBRARY.name
    artifacts.copy_package(LIBRARY, library)
    for name in IN_PROCESS:
        (library / f"{name}.py").unlink()
    for path in library.rglob("*.py"):
        path.write_text(strip(path.read_text()))
    # Of /opt/python we want our own package only: what else lies there comes last.
    search = 'sys.path[:] = ["/opt/rotaware", *sys.path, "/opt/python"]'
    # It cannot keep bytecode in /opt, so it need not try.
    _finish(layer, "/var/lang/bin/python3 -IBSXutf8", search)


def _dependencies() -> list[Path]:
    """The files that are needed of other packages."""
    vendored = artifacts.vendor(REQUIREMENTS)
    parts = [vendored / "yaml" / f"{name}.py" for name in YAML_PARTS]
    parts += [vendored / "cachetools" / f"{name}.py" for name in CACHETOOLS_PARTS]
    return [YAML, *parts]


def _compiled(
    source: Path, root: Path, name: str, package: Path | None = None
) -> tuple[Path, Path, str]:
    """A source, where its bytecode goes, and what tracebacks call it."""
    package = package or Path(source.parent.name)
    shown = f"/opt/{root.name}/{package}/{source.name}"
    return source, root / package / name.format(source.stem), shown


def _finish(layer: Path, python: str, search: str) -> None:
    licences = layer / "rotaware" / "licenses"
    artifacts.copy_licences(artifacts.vendor(REQUIREMENTS), licences)
    launcher = layer / "extensions" / "rotaware"
    launcher.parent.mkdir()
    launcher.write_text(LAUNCHER.format(python=python, search=search))
    launcher.chmod(0o755)


def publish(
    output: Path,
    name: str,
    fill: Callable[[Path], None],
    pins: Mapping[str, Any] | None = None,
) -> None:
    """Make one layer's folder, zip and SBOM.

    Args:
        output: Where they go.
        name: Of the folder.
        fill: Lays the layer out in an empty folder.
        pins: What its interpreter is made of, if it has one.
    """
    layer, archive = output / name, output / f"{name}.zip"
    vendored = artifacts.vendor(REQUIREMENTS)
    with artifacts.alone(output):
        with artifacts.replacing(layer) as fresh:
            fill(fresh)
        artifacts.pack(layer, archive)
        text = sbom(layer, archive, vendored, pins)
        artifacts.write(output / f"{name}.cdx.json", text)
        artifacts.report(layer, archive)


def main() -> None:
    """Build the layer as the command line says."""
    own = MACHINES[platform.machine()]
    parser = argparse.ArgumentParser(description="Build the Lambda layer.")
    parser.add_argument("--arch", choices=("x86_64", "arm64"), default=own)
    parser.add_argument("--output", type=Path, default=artifacts.BUILD)
    options = parser.parse_args()
    build = Build()
    name = "layer" if options.arch == own else f"layer-{options.arch}"
    with artifacts.failing_in_one_line("make layer"):
        artifacts.zip_date()  # a wrong one is refused before anything is done
        build.interpreter(options.arch)
        publish(
            options.output,
            name,
            lambda layer: assemble(layer, build, options.arch),
            PINS,
        )
        if options.arch == own:
            publish(options.output, "layer-python", assemble_without_interpreter)


if __name__ == "__main__":
    main()
