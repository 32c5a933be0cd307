"""The built layer is exactly what Lambda needs, and the same bytes each time."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import grimp
import pytest

from infra.artifacts import content
from infra.interpreter.build import PINS
from infra.layer.build import IN_PROCESS
from infra.layer.strip import strip
from tests.support.extension_process import (
    ExtensionProcess,
    ScriptedAws,
    layer_launcher,
)
from tests.support.extensions_api import FakeExtensionsApi
from tests.support.sandbox import LAYER, ROOT

if TYPE_CHECKING:
    from pathlib import Path

UNCHECKED_HASH = b"\x01\x00\x00\x00"
LARGEST_ZIP = 7_000_000
LARGEST_ZIP_WITHOUT_INTERPRETER = 150_000
LAYER_PYTHON = LAYER.with_name("layer-python")
LAYERS = {
    LAYER: "#!/opt/rotaware/bin/python3.13 -ISXutf8",
    LAYER_PYTHON: "#!/var/lang/bin/python3 -IBSXutf8",
}


def build(module: str, output: Path, seed: str, umask: int) -> Path:
    """Run a build as `make` does, elsewhere, under another hash seed and umask."""
    subprocess.run(
        [sys.executable, "-m", module, "--output", output],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        umask=umask,
        check=True,
        capture_output=True,
    )
    return output


def meaning(source: Path) -> str:
    """A program's tree with the places where things begin, without docstrings."""
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        for end in ("end_lineno", "end_col_offset"):
            if hasattr(node, end):
                delattr(node, end)
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) else None
        text = first.value if isinstance(first, ast.Expr) else None
        if isinstance(body, list) and isinstance(getattr(text, "value", None), str):
            body[0] = ast.Pass()
    return ast.dump(tree, include_attributes=True)


def library(folder: Path) -> list[Path]:
    """The sources that function code may import; the command-line tool is not."""
    found = sorted(folder.rglob("*.py"))
    return [path for path in found if "cli" not in path.parts]


def sha256(data: bytes) -> dict[str, str]:
    """A hash as CycloneDX has it."""
    return {"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_one_file_to_start(layer: Path) -> None:
    """Lambda starts every file in extensions/: there is one, and it is executable."""
    (launcher,) = (layer / "extensions").iterdir()

    assert launcher.name == "rotaware"
    assert launcher.stat().st_mode & 0o777 == 0o755
    assert launcher.read_text().splitlines()[0] == LAYERS[layer]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_top_folders(layer: Path) -> None:
    """Nothing lies on /opt beside the launcher, its code, and the library."""
    assert sorted(path.name for path in layer.iterdir()) == [
        "extensions",
        "python",
        "rotaware",
    ]
    assert [path.name for path in (layer / "python").iterdir()] == ["rotaware"]


def test_bytecode_is_never_checked() -> None:
    """Whatever is compiled is taken without looking at its source."""
    compiled = sorted(LAYER.rglob("*.pyc"))

    assert compiled
    for path in compiled:
        assert path.read_bytes()[4:8] == UNCHECKED_HASH


def test_bytecode_names_no_place_of_the_build() -> None:
    """Tracebacks name files as they lie on /opt; nothing tells where it was built."""
    folder = str(ROOT).encode()

    assert [name for name, (_, data) in content(LAYER).items() if folder in data] == []


def test_the_extension_is_bytecode_only() -> None:
    """The bundled interpreter needs no sources; other versions need nothing else."""
    assert list((LAYER / "rotaware").rglob("*.py")) == []
    assert list(LAYER_PYTHON.rglob("*.pyc")) == []


@pytest.mark.parametrize(
    ("layer", "limit"),
    [(LAYER, LARGEST_ZIP), (LAYER_PYTHON, LARGEST_ZIP_WITHOUT_INTERPRETER)],
    ids=lambda part: getattr(part, "name", ""),
)
def test_the_zip_is_small(layer: Path, limit: int) -> None:
    """It holds the folder's files, nothing compiled for a C library, and is small."""
    archive = layer.with_suffix(".zip")
    names = zipfile.ZipFile(archive).namelist()

    assert [name for name in names if name.endswith((".so", ".pyi"))] == []
    assert archive.stat().st_size < limit
    assert set(names) == set(content(layer))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_the_sbom_is_what_is_in_the_layer(layer: Path) -> None:
    """Every file is there, with its hash, below the component that it belongs to."""
    sbom = json.loads(layer.with_suffix(".cdx.json").read_text())
    parts = sbom["components"]
    files = [part for part in parts if part["type"] == "file"]
    files += [file for part in parts for file in part.get("components", ())]
    archive = layer.with_suffix(".zip").read_bytes()

    assert {file["name"]: file["hashes"] for file in files} == {
        name: [sha256(data)] for name, (_, data) in content(layer).items()
    }
    assert sbom["metadata"]["component"]["hashes"] == [sha256(archive)]


def test_the_sbom_names_each_component() -> None:
    """Versions are those of the pins, Debian's revision included."""
    sbom = json.loads(LAYER.with_suffix(".cdx.json").read_text())
    parts = {part["name"]: part for part in sbom["components"] if "version" in part}
    pinned = (ROOT / "requirements" / "extension.txt").read_text()

    assert set(parts) == {"cachetools", "PyYAML", "python", "openssl", "compiler-rt"}
    assert parts["compiler-rt"]["version"] == PINS["toolchain"]["version"]
    for name in ("cachetools", "PyYAML"):
        assert f"{name.lower()}=={parts[name]['version']} " in pinned
    for name in ("python", "openssl"):
        pins = PINS[name]
        hashes = [
            reference["hashes"][0]["content"]
            for reference in parts[name]["externalReferences"]
        ]

        assert parts[name]["version"] == f"{pins['version']}-{pins['debian_revision']}"
        assert hashes == list(pins["sha256"].values())
    assert all(part["licenses"] for part in parts.values())


def test_licences_come_along() -> None:
    """The text of each component's licence is in the layer."""
    folders = (LAYER / "rotaware" / "licenses").iterdir()
    named = {folder.name.rpartition("-")[0].lower() for folder in folders}

    assert named == {"cachetools", "pyyaml", "python", "openssl", "compiler-rt"}


def test_library_is_the_source() -> None:
    """What functions import is shared/rotaware, file for file, subpackages too."""
    shipped = LAYER / "python" / "rotaware"
    sources = ROOT / "shared" / "rotaware"
    compiled = {path.stem for path in shipped.rglob("*.pyc")}
    found, expected = (
        {str(path.relative_to(top)): path.read_bytes() for path in library(top)}
        for top in (shipped, sources)
    )

    assert "database/rule.py" in found
    assert found == expected, "build/layer is older than the sources: run `make layer`"
    assert compiled == {f"{path.stem}.cpython-313" for path in shipped.rglob("*.py")}


def test_the_extension_has_what_it_imports() -> None:
    """Its private copy lacks nothing, and has nothing that only functions use."""
    packages = ("rotaware", "extension")
    graph = grimp.build_graph(
        *packages, exclude_type_checking_imports=True, cache_dir=None
    )
    imported = graph.find_upstream_modules("extension", as_package=True)
    private = {path.name for path in (LAYER / "rotaware" / "rotaware").iterdir()}

    assert private == {"__init__.pyc"} | {
        f"{module.removeprefix('rotaware.')}.pyc"
        for module in imported
        if module.startswith("rotaware.")
    }


def test_builds_are_reproducible(tmp_path: Path) -> None:
    """Two builds are equal byte by byte, whatever the hash seed and the umask."""
    for module in ("infra.layer.build", "infra.invalidator.build"):
        build(module, tmp_path / "first", "1", 0o022)
        build(module, tmp_path / "second", "2", 0o077)
    built = {path.name for path in (tmp_path / "first").iterdir() if path.is_file()}

    assert built == {
        "invalidator.zip",
        "layer-python.cdx.json",
        "layer-python.zip",
        "layer.cdx.json",
        "layer.zip",
    }
    for name in built:
        first, second = tmp_path / "first" / name, tmp_path / "second" / name

        assert first.read_bytes() == second.read_bytes(), name


@pytest.mark.parametrize(
    ("source", "stripped"),
    [
        ("x = 1  # one\n", "x = 1\n"),
        ('"""Doc."""\nx = "# no comment"\n', '""\nx = "# no comment"\n'),
        ('def f():\n    """A\n\n    b."""\n', 'def f():\n    ""\n\n\n'),
        ('class A:\n    """é"""; x = 1\n', 'class A:\n    ""; x = 1\n'),
        ('x = """a\n# b\n"""\n', 'x = """a\n# b\n"""\n'),
    ],
)
def test_stripping_keeps_every_statement_in_its_line(
    source: str, stripped: str
) -> None:
    """Comments and docstrings go; all else stays where it is."""
    assert strip(source) == stripped


def test_the_flavour_without_interpreter_serves(tmp_path: Path) -> None:
    """A Python of Lambda's kind, and none of ours, reads a secret by it."""
    launcher = layer_launcher(tmp_path, LAYER_PYTHON)
    with FakeExtensionsApi() as api, ScriptedAws() as aws:
        aws.secrets["db"] = "canary-Zp3"
        process = ExtensionProcess(launcher, api, aws, tmp_path)
        try:
            api.wait_for_next()

            assert process.secret("db") == "canary-Zp3"
        finally:
            process.child.stop()


def test_the_flavour_without_interpreter_is_the_same_program() -> None:
    """Its sources are the originals', line for line, docstrings and comments aside.

    The in-process mode is not there.
    """
    places = {
        ROOT / "extension": LAYER_PYTHON / "rotaware" / "extension",
        ROOT / "shared" / "rotaware": LAYER_PYTHON / "python" / "rotaware",
    }
    for folder, place in places.items():
        for source in library(folder):
            shipped = place / source.relative_to(folder)
            if source.parent.name == "rotaware" and source.stem in IN_PROCESS:
                assert not shipped.exists()
            else:
                assert meaning(shipped) == meaning(source), "run `make layer`"
