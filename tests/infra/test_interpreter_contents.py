"""The layer's interpreter holds what the extension imports, and nothing else.

The built extension lives through its life, its errors too, and tells each import.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from infra.interpreter.library import CONTENTS, LIBRARY, PROGRAM
from tests.support.fault_rig import World
from tests.support.hostile_aws import ELSEWHERE, LOCALHOST, answer, hang_up
from tests.support.sandbox import LAYER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., World]

PATIENCE_SECONDS = 10.0
TELLS_IMPORTS = (f"/opt/rotaware/{PROGRAM}", "-ISXutf8", "-X", "importtime")
TELL_INSIDE = """\
import sys, _imp
print(*sys.builtin_module_names, *_imp._frozen_module_names())
"""
OUR_OWN = ("cachetools", "extension", "one_file", "rotaware", "yaml")
# What is imported, and done without where it is not there, and why.
DONE_WITHOUT = {"ast": "marks the place within a line of the launcher in a traceback"}
CONFIG = """\
secrets:
  - db
  - {id: api-key, ttl: 60}
parameters:
  - id: /app/features
    decrypt: true
"""
WRONG_CONFIG = "secrets:\n  - {id: db, tll: 60}\n"
BREAK = """\
def broken(*_, **__):
    raise ZeroDivisionError("unforeseen")
from {module} import {name}
{name}.{what} = broken
"""


def a_whole_life(start: Start) -> World:
    """From prefetch over TLS to SHUTDOWN: a hit, a refusal, evictions, no events."""
    world = start()
    world.account.put("db")

    assert world.seen("db").startswith("canary-db")
    assert world.seen("none").startswith("400")

    world.account.rotate("db")
    for sheet in (None, "no sheet"):
        world.tick(10)
        world.api.invoke()

        assert world.seen("db").startswith("canary-db-2")

        world.account.write_sheet(sheet)
    world.api.send(b"no event")
    world.api.invoke()
    world.api.shut_down()

    assert world.child.wait(PATIENCE_SECONDS) == 0
    return world


def a_life_with_strangers(start: Start) -> World:
    """The sheet in DynamoDB, a certificate for another host, a host that hangs up."""
    world = start(environ={"ROTAWARE_STAMPS": "dynamodb://table"})
    world.aws.present(ELSEWHERE)
    world.aws.drop_connections()

    assert world.seen("one").startswith("502")

    world.aws.present(LOCALHOST)
    world.account.faults["GetSecretValue"] = hang_up()

    assert world.seen("another").startswith("502")

    world.account.faults["GetSecretValue"] = answer(b'{"no')

    assert world.seen("third").startswith("502")
    return world


def no_life(start: Start) -> World:
    """Settings and a config file that are refused."""
    environ = {"ROTAWARE_CHEK_INTERVAL": "5", "SECRETS_MANAGER_TTL": "soon"}
    world = start(config=WRONG_CONFIG, environ=environ, wait=False)
    world.api.wait_for_call("/init/error")

    assert world.child.wait(PATIENCE_SECONDS) == 1
    return world


def an_error_in_life(start: Start) -> World:
    """An error that nobody foresaw, which is logged."""
    bug = BREAK.format(module="rotaware", name="source", what="AwsSource.fetch")
    world = start(bug=bug)

    assert world.seen("db").startswith("500")

    world.child.wait_for(lambda line: "ZeroDivisionError" in line)
    return world


def an_error_that_ends_it(start: Start) -> World:
    """One that the interpreter itself prints."""
    bug = BREAK.format(module="extension", name="application", what="run")
    world = start(bug=bug, wait=False)

    assert world.child.wait(PATIENCE_SECONDS) == 1
    assert "ZeroDivisionError: unforeseen" in world.lines
    return world


LIVES = (
    a_whole_life,
    a_life_with_strangers,
    no_life,
    an_error_in_life,
    an_error_that_ends_it,
)


def imports_of(life: Callable[[Start], World], directory: Path) -> set[str]:
    """The modules that a life has tried to import, but for our own."""

    def start(config: str = CONFIG, **options: Any) -> World:
        file = directory / "config.yaml"
        file.write_text(config)
        environ = {"ROTAWARE_CONFIG": str(file), **options.pop("environ", {})}
        world = World(directory, environ=environ, command=TELLS_IMPORTS, **options)
        return worlds.enter_context(world)

    with ExitStack() as worlds:
        lines = life(start).lines
    told = [line for line in lines if line.startswith("import time:")]
    # The first one is a heading.
    names = {line.rpartition("|")[2].strip() for line in told[1:]}
    return {name for name in names if name.partition(".")[0] not in OUR_OWN}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules that any of the lives has tried to import."""
    folder = tmp_path_factory.mktemp
    return set().union(*(imports_of(life, folder("life")) for life in LIVES))


@pytest.fixture(scope="module")
def inside() -> set[str]:
    """What the interpreter holds in its one file, compiled or frozen."""
    command = [str(LAYER / "rotaware" / PROGRAM), "-IS", "-c", TELL_INSIDE]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return set(said.split())


def test_nothing_is_missing(imported: set[str], inside: set[str]) -> None:
    """Whatever is imported is there."""
    assert imported - inside - set(CONTENTS["library"]) - set(DONE_WITHOUT) == set()


def test_nothing_is_there_in_vain(imported: set[str]) -> None:
    """Whatever is listed is imported."""
    listed = set(CONTENTS["library"]) | set(CONTENTS["compiled"])

    assert listed - imported == set()


def test_what_is_listed_is_what_is_there(inside: set[str]) -> None:
    """The built layer is the one that the list describes."""
    root = LAYER / "rotaware" / LIBRARY
    files = {path.relative_to(root).with_suffix("") for path in root.rglob("*.pyc")}
    names = {".".join(path.parts).removesuffix(".__init__") for path in files}

    assert names == set(CONTENTS["library"])
    assert set(CONTENTS["compiled"]) | {"_hardening"} <= inside
