"""Whatever a function's environment says, its secrets are served."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile_environment import ENVIRONMENTS, MAPPED, set_traps

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Environment
    from tests.support.runtimes import Runtime

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

# A static program is led astray by none of this itself.
pytestmark = pytest.mark.parametrize("runtime", ["go-in-debian-11"], indirect=True)


@pytest.mark.parametrize("variables", ENVIRONMENTS)
def test_variables(
    start: Start,
    make_secrets: MakeSecrets,
    runtime: Runtime,
    tmp_path: Path,
    variables: str,
) -> None:
    """Variables that lead other programs astray change nothing."""
    (name,) = make_secrets("canary-value")
    function = tmp_path / "function"
    shutil.copytree(runtime.function, function)
    set_traps(function, runtime.root.path)
    environment = start(name, function=function, environ=ENVIRONMENTS[variables])

    assert environment.read(name) == ["canary-value"]
    assert environment.read(name) == ["canary-value"]

    commands = environment.sandbox.processes()
    (pid,) = (pid for pid in commands if "/opt/extensions/" in commands[pid])

    assert MAPPED.get(variables, "/libc") in Path(f"/proc/{pid}/maps").read_text()
    assert environment.sandbox.shut_down() < 1


@pytest.mark.parametrize("tmp", ["ro", "nr_inodes=1"], ids=["read-only", "full"])
def test_nothing_can_be_written(
    start: Start, make_secrets: MakeSecrets, tmp: str
) -> None:
    """The extension needs no file of its own."""
    (name,) = make_secrets("canary-value")
    environment = start(name, tmp=tmp)

    assert environment.read(name) == ["canary-value"]
    assert list(environment.sandbox.tmp.iterdir()) == []
