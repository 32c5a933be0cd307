"""examples/powertools: code for Powertools' parameters, with another import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.example import digest
from tests.support.page_diff import before, diffs

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.examples.conftest import Account, Running

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "coming-from" / "powertools.md"
FUNCTION = "examples/powertools/function"
MODULES = ("app", "providers")
SERVER, LOGIN = "/mail/server", "mail/account"


def login(password: str) -> str:
    """The secret's value."""
    return json.dumps({"username": "news", "password": password})


def settings(password: str) -> dict[str, str]:
    """What the function answers with."""
    return {
        "host": "smtp.example.com",
        "user": "news",
        "password": digest(password),
    }


@pytest.fixture
def rotate(account: Account) -> Callable[[str], None]:
    """Gives the function what it reads, and rotates the login."""
    account.put_parameter(SERVER, json.dumps({"host": "smtp.example.com"}))
    account.put_secret(LOGIN, login("canary-old"))
    return lambda password: account.rotate(LOGIN, login(password))


@pytest.mark.parametrize("module", MODULES)
def test_it_reads_what_changed(
    rotate: Callable[[str], None], start: Callable[..., Running], module: str
) -> None:
    """A rotated secret is read by the next invocation, without any ``max_age``."""
    function = start("powertools", handler=f"{module}.handler")

    assert settings("canary-old") == function.invoke()
    assert settings("canary-old") == function.invoke()
    assert function.fetches() == []

    rotate("canary-new")

    assert settings("canary-new") == function.invoke()
    assert function.fetches() == [f"secretsmanager.GetSecretValue {LOGIN}"]


@pytest.mark.parametrize("module", MODULES)
def test_what_was_before_reads_the_old_value(
    rotate: Callable[[str], None],
    start: Callable[..., Running],
    tmp_path: Path,
    module: str,
) -> None:
    """Powertools itself, without the layer, holds the old value: the page says so."""
    code, layer = tmp_path / "before", tmp_path / "no-layer"
    code.mkdir()
    layer.mkdir()
    file = f"{FUNCTION}/{module}.py"
    hunks = diffs(PAGE.read_text(encoding="utf-8"))[file]
    (code / f"{module}.py").write_text(before(ROOT / file, hunks))
    function = start("powertools", code=code, layer=layer, handler=f"{module}.handler")

    assert settings("canary-old") == function.invoke()

    rotate("canary-new")

    assert settings("canary-old") == function.invoke()
    assert function.fetches() == []


def test_errors_of_the_providers_are_powertools(
    account: Account, start: Callable[..., Running]
) -> None:
    """What cannot be read is an error that code for Powertools catches."""
    account.put_parameter(SERVER, json.dumps({"host": "smtp.example.com"}))
    account.delete_secret(LOGIN)
    function = start("powertools", handler="providers.handler")

    assert {"host": "smtp.example.com", "user": None} == function.invoke()
