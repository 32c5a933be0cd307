"""The interpreter runs wherever Lambda does: it needs glibc 2.17, and nothing else."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from infra.interpreter.build import MACHINES
from infra.interpreter.library import PROGRAM
from tests.support.elf import needs
from tests.support.sandbox import LAYER, LAYER_ARM64

if TYPE_CHECKING:
    from pathlib import Path

NEWEST_GLIBC = (2, 17)
# All of them are parts of glibc.
LIBRARIES = {
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
}
OWN = MACHINES[platform.machine()]
PROCESSORS = {"x86_64": "x86_64", "arm64": "aarch64"}


def program(architecture: str) -> Path:
    """The interpreter in the built layer; without that of another processor, a skip."""
    layer = LAYER if architecture == OWN else LAYER_ARM64
    found = layer / "rotaware" / PROGRAM
    if not found.exists() and architecture != OWN:
        pytest.skip(f"{layer} is missing: run `make layer ARCH={architecture}`")
    return found


@pytest.mark.parametrize("architecture", PROCESSORS)
def test_needs_no_glibc_newer_than_2_17(architecture: str) -> None:
    """Every symbol version that it asks for is glibc's, and old enough."""
    found = needs(program(architecture))
    numbers = {
        tuple(map(int, version.removeprefix("GLIBC_").split(".")))
        for version in found.versions
    }

    assert found.machine == PROCESSORS[architecture]
    assert max(numbers) <= NEWEST_GLIBC


@pytest.mark.parametrize("architecture", PROCESSORS)
def test_needs_no_library_but_glibc(architecture: str) -> None:
    """OpenSSL and all else is inside: the image need not have it."""
    assert needs(program(architecture)).libraries <= LIBRARIES
