"""The layer without interpreter, and the library, on every Python that is found here.

They are looked for on PATH and where pyenv keeps its own; one that is missing is
skipped by its name. The tests' own is always among them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.support.extension_process import (
    TOKEN,
    ExtensionProcess,
    ScriptedAws,
    layer_launcher,
    source_launcher,
)
from tests.support.extensions_api import FakeExtensionsApi
from tests.support.sandbox import LAYER, ROOT

LAYER_PYTHON = LAYER.with_name("layer-python")
EXTENSION_VERSIONS = ("3.12", "3.13", "3.14")
LIBRARY_VERSIONS = ("3.10", "3.11", *EXTENSION_VERSIONS)
TELL_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
READ = """
import rotaware
print(rotaware.get_secret("db"), rotaware.read_secret("db"))
try:
    rotaware.get_secret("db", transform="json")
except rotaware.TransformError as error:
    print(error)
"""
TOLD = """\
canary-Zp3 <Secret db, version version-10, value hidden>
db: the value is not JSON; store JSON, or leave the transform out to get its text
"""


@cache
def python(version: str) -> str:
    """A Python of this version; the test is skipped where there is none."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    kept = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    named = [sys.executable, shutil.which(f"python{version}"), *map(str, kept)]
    for program in filter(None, named):
        command = [program, "-IS", "-c", TELL_VERSION]
        told = subprocess.run(command, check=False, capture_output=True, text=True)
        if told.stdout.strip() == version:
            return program
    pytest.skip(f"there is no Python {version} on this machine")


@pytest.mark.parametrize("version", EXTENSION_VERSIONS)
def test_the_extension_without_interpreter_serves(tmp_path: Path, version: str) -> None:
    """It registers, reads its config file, and serves what that lists."""
    launcher = layer_launcher(tmp_path, LAYER_PYTHON)
    first, _, rest = launcher.read_text().partition("\n")
    options = first.partition(" ")[2]
    launcher.write_text(f"#!{python(version)} {options}\n{rest}")
    (tmp_path / "config.yaml").write_text("secrets:\n  - {id: db, ttl: 60}\n")
    with FakeExtensionsApi() as api, ScriptedAws() as aws:
        aws.secrets["db"] = "canary-Zp3"
        process = ExtensionProcess(launcher, api, aws, tmp_path)
        try:
            api.wait_for_next()

            assert process.secret("db") == "canary-Zp3"
        finally:
            process.child.stop()


@pytest.mark.parametrize("version", LIBRARY_VERSIONS)
def test_the_library_reads(tmp_path: Path, version: str) -> None:
    """A process that turns warnings into errors reads a secret, and ends in silence."""
    program = python(version)
    with FakeExtensionsApi() as api, ScriptedAws() as aws:
        aws.secrets["db"] = "canary-Zp3"
        process = ExtensionProcess(source_launcher(tmp_path), api, aws, tmp_path)
        try:
            api.wait_for_next()
            told = subprocess.run(
                [program, "-SBW", "error", "-c", READ],
                env={
                    "AWS_SESSION_TOKEN": TOKEN,
                    "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(process.port),
                    "PYTHONPATH": str(ROOT / "shared"),
                },
                cwd=tmp_path,
                check=False,
                capture_output=True,
                text=True,
            )
        finally:
            process.child.stop()

    assert (TOLD, "", 0) == (told.stdout, told.stderr, told.returncode)
