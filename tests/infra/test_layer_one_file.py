"""A start of the built layer reads its modules from one file.

The interpreter tells where each module comes from, while the layer is started as Lambda
does and serves secrets over TLS.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from infra.interpreter.library import PROGRAM
from tests.support.fault_rig import World

if TYPE_CHECKING:
    from pathlib import Path

TELLS_IMPORTS = (f"/opt/rotaware/{PROGRAM}", "-ISv")
FROM_A_FOLDER = re.compile(r"# code object from '?([^']+)'?")
FROM_ONE_FILE = re.compile(r"import '([\w.]+)' # <one_file\.OneFile ")
BY_VARIABLE = {"SECRET_DB": "db"}
BY_FILE = {"ROTAWARE_CONFIG": "{file}"}
CONFIG = """\
secrets:
  - {id: db, ttl: 60}
parameters:
  - /app/features
"""


def lines_of_a_life(directory: Path, environ: dict[str, str]) -> list[str]:
    """What is told after registering, until SHUTDOWN; secrets were prefetched."""
    file = directory / "config.yaml"
    file.write_text(CONFIG)
    environ = {name: text.format(file=file) for name, text in environ.items()}
    with World(
        directory, environ=environ, command=TELLS_IMPORTS, secrets=["db"]
    ) as world:
        world.api.invoke()

        assert world.seen("db").startswith("canary-db-1 hit")

        world.api.shut_down()

        assert world.child.wait(10) == 0
        lines = world.lines
    begin = next(i for i, line in enumerate(lines) if "import 'one_file'" in line)
    return lines[begin + 1 :]


@pytest.mark.parametrize(
    ("environ", "modules"),
    [
        (BY_VARIABLE, {"extension.application", "rotaware.tls", "threading"}),
        (BY_FILE, {"extension.config_file", "rotaware.tls", "yaml.scanner"}),
    ],
    ids=["variables", "config file"],
)
def test_after_registering_nothing_is_searched_for(
    tmp_path: Path, environ: dict[str, str], modules: set[str]
) -> None:
    """All that a start imports is in the one file, with a config file and without."""
    lines = lines_of_a_life(tmp_path, environ)
    from_folders = FROM_A_FOLDER.findall("\n".join(lines))

    assert [] == from_folders
    assert modules <= set(FROM_ONE_FILE.findall("\n".join(lines)))


def test_only_a_config_file_brings_in_a_parser_of_it(tmp_path: Path) -> None:
    """A start without one pays for none."""
    told = FROM_ONE_FILE.findall("\n".join(lines_of_a_life(tmp_path, BY_VARIABLE)))

    assert [name for name in told if "yaml" in name or "config_file" in name] == []
