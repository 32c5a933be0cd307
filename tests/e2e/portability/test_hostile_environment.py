"""Whatever a function's environment says, its secrets are served."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile_environment import ENVIRONMENTS, set_traps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Environment
    from tests.support.runtimes import Runtime

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

# A static program is led astray by none of this itself.
pytestmark = pytest.mark.parametrize("runtime", ["go-in-debian-11"], indirect=True)


@pytest.mark.parametrize("environ", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_variables(
    start: Start,
    make_secrets: MakeSecrets,
    runtime: Runtime,
    tmp_path: Path,
    environ: dict[str, str],
) -> None:
    """Variables that lead other programs astray change nothing."""
    (name,) = make_secrets("canary-value")
    function = tmp_path / "function"
    shutil.copytree(runtime.function, function)
    set_traps(function)
    environment = start(name, function=function, environ=environ)

    assert environment.read(name) == ["canary-value"]
    assert environment.read(name) == ["canary-value"]
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
