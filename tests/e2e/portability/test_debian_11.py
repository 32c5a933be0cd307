"""The sandbox without any language in it: what it is, so what passes there proves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.namespace import DEBIAN_11

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Environment

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

TMP = "/tmp"  # noqa: S108  a place, not a file
NO_CAPABILITY = "CapEff:\t0000000000000000"


@pytest.mark.parametrize("runtime", ["go-in-debian-11"], indirect=True)
def test_it_is_laid_out_as_lambda_is(start: Start, make_secrets: MakeSecrets) -> None:
    """All that runs is Lambda's user; nothing but /tmp, of 512 MB, can be written."""
    (name,) = make_secrets("canary-value")
    environment = start(name)
    environment.read(name)
    inside = environment.sandbox.processes()
    for pid in inside:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()

        assert NO_CAPABILITY in status
        assert "Uid:\t993\t993\t993\t993" in status
        assert "Gid:\t990\t990\t990\t990" in status
        assert "Groups:\t " in status
    mounts = Path(f"/proc/{next(iter(inside))}/mounts").read_text().splitlines()
    options = {row.split()[1]: row.split()[3].split(",") for row in mounts}
    writable = {place for place in options if "rw" in options[place]}

    assert {"/", "/opt", "/var", "/var/task"} <= set(options) - writable
    assert "size=524288k" in options[TMP]
    assert {x for x in writable if not x.startswith(("/dev", "/proc"))} == {TMP}
    assert len(inside) == 3


@pytest.mark.parametrize("runtime", ["go-in-debian-11"], indirect=True)
def test_it_holds_an_old_libc_and_no_python(start: Start) -> None:
    """Nothing that the layer needs could have come from the system around it."""
    environment = start()
    environment.read()
    programs = [x.name for x in DEBIAN_11.path.rglob("*bin/*") if x.is_file()]
    libraries = [x.name for x in (DEBIAN_11.path / "usr" / "lib").rglob("*.so*")]

    assert "libc-2.31.so" in libraries
    assert [x for x in programs if x.startswith(("python", "pypy", "node"))] == []
    assert [x for x in libraries if x.startswith("libpython")] == []
    assert "dash" in programs


@pytest.mark.parametrize("runtime", ["go-in-debian-11"], indirect=True)
def test_the_layer_s_own_interpreter_runs(start: Start) -> None:
    """The extension is run by the interpreter in the layer, with no shell between."""
    environment = start()
    environment.read()
    commands = environment.sandbox.processes().values()
    (extension,) = (x for x in commands if "/opt/extensions/rotaware" in x)

    assert extension.split() == [
        "/opt/rotaware/bin/python3.13",
        "-ISXutf8",
        "/opt/extensions/rotaware",
    ]
