"""How the process closes itself; that this works: ``e2e/test_hardening.py``.

Here nothing is closed: the tests themselves must stay open.
"""

from __future__ import annotations

import _ctypes
import io
import json
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from extension import hardening
from rotaware.log import Logger
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

PR_SET_DUMPABLE = 4


class Kernel:
    """What was asked of it, by which way, and whether it refuses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.refuses = False
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(_ctypes, "call_function", self._call)

    def build_in(self) -> None:
        """Be the layer's own interpreter."""
        module = ModuleType("_hardening")
        module.refuse_dumps = self._refuse_dumps  # type: ignore[attr-defined]
        names = (*sys.builtin_module_names, "_hardening")
        self._monkeypatch.setattr(sys, "builtin_module_names", names)
        self._monkeypatch.setitem(sys.modules, "_hardening", module)

    def _refuse_dumps(self) -> None:
        self.asked.append("built in")
        if self.refuses:
            raise PermissionError("not allowed")

    def _call(self, function: int, arguments: tuple[int, ...]) -> int:
        assert _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl") == function  # type: ignore[arg-type]
        assert (PR_SET_DUMPABLE, 0, 0, 0, 0) == arguments

        self.asked.append("libc")
        return -1 if self.refuses else 0


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """A kernel, on a Python of any machine."""
    mask = os.umask(0)
    os.umask(mask)
    yield Kernel(monkeypatch)
    os.umask(mask)


def reasons() -> list[object]:
    """Close the process; what the log says of it."""
    output = io.StringIO()
    log = Logger(service="test", level="INFO", stream=output, clock=ManualClock())
    hardening.refuse_dumps(log)
    return [json.loads(line)["reason"] for line in output.getvalue().splitlines()]


def test_by_the_interpreter(kernel: Kernel) -> None:
    """The layer's own can do it at once, before anything else is imported."""
    kernel.build_in()
    hardening.at_start()

    assert ["built in"] == kernel.asked
    assert [] == reasons()
    assert ["built in"] * 2 == kernel.asked


def test_by_the_library(kernel: Kernel) -> None:
    """Lambda's own Python can, but not at no cost: not before it has registered."""
    hardening.at_start()

    assert [] == kernel.asked
    assert [] == reasons()
    assert ["libc"] == kernel.asked


def test_a_refusal_is_said_once_and_is_no_failure(kernel: Kernel) -> None:
    """The port serves all the same."""
    kernel.refuses = True

    assert ["the kernel refuses PR_SET_DUMPABLE"] == reasons()

    kernel.build_in()
    hardening.at_start()

    assert ["not allowed"] == reasons()


def test_a_python_that_cannot_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither built in nor with ctypes: it is said, and goes on."""
    monkeypatch.setitem(sys.modules, "_ctypes", None)
    (reason,) = reasons()

    assert "_ctypes" in str(reason)


def test_files_would_be_private(kernel: Kernel) -> None:
    """Nobody else may read what this process should ever write."""
    hardening.at_start()

    assert 0o077 == os.umask(0o077)
    assert [] == kernel.asked
