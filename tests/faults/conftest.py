"""What every fault test does: start the built layer, look for its row's log line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fault_rig import RECOVERY_SECONDS, World
from tests.support.fault_table import row_of
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


STARTED = pytest.StashKey[list[World]]()


@pytest.fixture(scope="module")
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One process that lives through all faults of a module."""
    environ = getattr(request.module, "ENVIRON", {})
    with World(tmp_path_factory.mktemp("world"), environ=environ) as world:
        yield world


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The same, with nothing of earlier faults under way, nor left behind."""
    yield shared
    shared.lift()
    shared.tick(RECOVERY_SECONDS)


@pytest.fixture
def start(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., World]]:
    """Starts an environment for one test, which may be gone at its end."""
    started: list[World] = []
    request.node.stash[STARTED] = started

    def start_one(**options: Any) -> World:
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(World(directory, **options).__enter__())
        return started[-1]

    yield start_one
    for world in started:
        world.__exit__()


@pytest.fixture(autouse=True)
def logged(request: pytest.FixtureRequest) -> Iterator[None]:
    """The log says what the test's row says."""
    fixtures = request.fixturenames
    world = request.getfixturevalue("shared") if "shared" in fixtures else None
    before = len(world.lines) if world else 0
    yield
    if not hasattr(request.function, "rows"):
        return
    callspec = getattr(request.node, "callspec", None)
    wanted = row_of(request.function, callspec.id if callspec else "").log
    if wanted is None:
        return

    def lines() -> list[str]:
        started = request.node.stash.get(STARTED, [])
        own = [line for each in started for line in each.all_lines]
        return own + (world.lines[before:] if world else [])

    wait_until(
        lambda: any(wanted in line for line in lines()), f"{wanted!r} in {lines()}", 5.0
    )
