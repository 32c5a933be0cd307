"""A start of the built layer reads its modules from one file."""

from __future__ import annotations

import subprocess

from infra.interpreter.library import PROGRAM
from tests.support.sandbox import LAYER

START = """\
import sys
sys.path.insert(0, sys.argv[1])
import extension.__main__
before = set(sys.modules)
extension.__main__._use_one_file()
import extension.application, extension.endpoint, extension.http_server
import extension.workers, rotaware.tls, rotaware.tokens
for name in sorted(set(sys.modules) - before):
    print(name, type(sys.modules[name].__spec__.loader).__name__)
import rotaware.answers, extension.config_file
print(rotaware.store.Store.get.__code__.co_filename)
"""


def test_after_registering_nothing_is_searched_for() -> None:
    """What every start imports is in the file; what few need is still found."""
    private = LAYER / "rotaware"
    command = [str(private / PROGRAM), "-IS", "-c", START, str(private)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    *modules, shown = told.splitlines()
    loaders = dict(line.split() for line in modules)
    own = {name for name, loader in loaders.items() if loader == "OneFile"}
    from_folders = {
        name for name, loader in loaders.items() if loader == "SourcelessFileLoader"
    }

    assert {"one_file"} == from_folders
    assert {"extension.application", "rotaware.store", "threading"} <= own
    assert "/opt/rotaware/rotaware/store.py" == shown
