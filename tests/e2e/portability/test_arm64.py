"""The layer for arm64, run by qemu-user between the same emulator and stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.namespace import QEMU
from tests.support.sandbox import LAYER_ARM64

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Environment
    from tests.support.deployment import Deployment

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

# The emulator kills what has not ended two seconds after SHUTDOWN.
KILLED_AFTER_SECONDS = 2.0


@pytest.mark.parametrize("runtime", ["go-beside-arm64"], indirect=True)
def test_a_secret_is_served_and_rotated(
    deployment: Deployment, start: Start, make_secrets: MakeSecrets
) -> None:
    """It prefetches, hits, reads the new value after a rotation, and ends in time.

    Emulator and function are this machine's own; everything of the layer is arm64.
    """
    (name,) = make_secrets("canary-old")
    environment = start(name, layer=LAYER_ARM64)

    assert environment.read(name) == ["canary-old"]
    assert environment.read(name) == ["canary-old"]
    assert environment.fetches() == [f"secretsmanager.GetSecretValue {name}"]

    deployment.rotate(name, "canary-new")
    commands = environment.sandbox.processes().values()
    (extension,) = (x for x in commands if "/opt/extensions/rotaware" in x)

    assert environment.read(name) == ["canary-new"]
    assert len(environment.fetches()) == 2
    assert extension.split()[0] == str(QEMU)
    assert environment.sandbox.shut_down() < KILLED_AFTER_SECONDS
