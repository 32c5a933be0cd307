"""What the library's page shows runs as it stands."""

from __future__ import annotations

import builtins
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomllib

import rotaware
from rotaware import errors, parameters
from tests.support.local_port import Answer, Asked, LocalPort

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/library.md").read_text(encoding="utf-8")
BLOCKS = [part.partition("```")[0] for part in PAGE.split("```python\n")[1:]]
SECRETS = {
    "app/db": '{"username": "app", "password": "p"}',
    "app/partner": '{"key": "k"}',
}
PARAMETERS = {"/app/url": "u", "/app/key": "k", "/app/limits": "{}"}


def respond(asked: Asked) -> Answer:
    """Answer about the page's names; another version of a secret if that is asked."""
    name = asked.fields.get("secretId") or asked.fields.get("name", "")
    if name in SECRETS:
        version = "v2" if "insteadOf" in asked.fields else "v1"
        return Answer(200, {"SecretString": SECRETS[name], "VersionId": version})
    if name in PARAMETERS:
        return Answer(200, {"Parameter": {"Value": PARAMETERS[name]}})
    if asked.path == "/systemsmanager/parameters/path":
        found = [{"Name": key, "Value": value} for key, value in PARAMETERS.items()]
        return Answer(200, {"Parameters": found})
    if asked.path == "/kms/get":
        return Answer(200, b"plain")
    return Answer(400, {"__type": "ResourceNotFoundException", "message": name})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalPort]:
    """What the module's functions read from."""
    rotaware.use(None)
    with LocalPort(respond) as listening:
        number = str(listening.number)
        monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", number)
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        yield listening
        for client in parameters._clients:
            client.close()
        rotaware.use(None)


def run(block: str) -> dict[str, Any]:
    """Run a block of the page as a module."""
    names: dict[str, Any] = {}
    exec(compile(block, "docs/library.md", "exec"), names)  # noqa: S102  our own page
    return names


def block_with(text: str) -> str:
    """The one block that holds this text."""
    (found,) = [block for block in BLOCKS if text in block]
    return found


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
@pytest.mark.usefixtures("port")
def test_every_block_runs(block: str) -> None:
    """Alone, from top to bottom; and so does its handler."""
    names = run(block)
    if "handler" in names:
        names["handler"]({}, None)


@pytest.mark.usefixtures("port")
def test_the_blocks_give_what_they_say() -> None:
    """Handlers return, and names hold, what the page promises."""
    handler = run(block_with("login = get_secret("))["handler"]
    values = run(block_with("under_app ="))
    providers = run(block_with("SSMProvider()"))

    assert "app" == handler({}, None)
    assert {"url": "u", "key": "k", "limits": "{}"} == values["under_app"]
    assert {"/app/url": "u", "/app/key": "k", "/app/limits": {}} == values["some"]
    assert "plain" == run(block_with("get_variable"))["password"]
    assert "app" == providers["handler"]({}, None)[0]


def test_a_failed_log_in_is_tried_with_another_version(port: LocalPort) -> None:
    """The page's example asks for a version other than the one that failed."""
    connect = run(block_with("def connect("))["connect"]
    tried: list[str] = []

    def log_in(value: str) -> str:
        tried.append(value)
        if len(tried) == 1:
            raise PermissionError
        return "connected"

    assert "connected" == connect(log_in)
    assert ["", "v1"] == [asked.fields.get("insteadOf", "") for asked in port.asked]


@pytest.mark.usefixtures("port")
def test_a_missing_secret_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's example of errors tells a missing secret from other refusals."""
    handler = run(block_with("error.code !="))["handler"]
    monkeypatch.delitem(SECRETS, "app/partner")

    assert handler({}, None) is None


def test_the_table_has_every_function_and_argument() -> None:
    """Names and order are those of the code."""
    rows = re.findall(r"^\| `(\w+)\(([^)]*)\)` \|", PAGE, re.MULTILINE)
    listed = {
        name: arguments.replace("*, ", "").split(", ") for name, arguments in rows
    }
    functions = {
        name
        for name in rotaware.__all__
        if inspect.isfunction(getattr(rotaware, name))
        and getattr(rotaware, name).__module__ == parameters.__name__
    }

    assert functions == set(listed)
    for name, arguments in listed.items():
        taken = inspect.signature(getattr(rotaware, name)).parameters.values()
        optional = {"sdk_options"} | ({"raise_on_transform_error"} - set(arguments))
        assert [p.name for p in taken if p.name not in optional] == arguments


def test_the_tree_has_every_error_that_can_be_raised() -> None:
    """Each stands under its base, and can be imported from the package."""
    tree = PAGE.partition("```text\n")[2].partition("```")[0]
    names = re.findall(r"\w+Error", "\n".join(tree.splitlines()))
    exported = {name for name in rotaware.__all__ if name.endswith("Error")}

    assert exported == set(names)
    assert all(
        issubclass(getattr(errors, name), errors.RotawareError) for name in names
    )
    assert not any(hasattr(builtins, name) for name in names)


def test_the_table_has_every_extra() -> None:
    """What can be installed besides is told here, and nowhere else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    section = PAGE.partition("\n## Getting it\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    named = re.findall(r"`([\w-]+)`", " ".join(rows))
    extras = set(project["project"]["optional-dependencies"])

    assert extras == set(named)
    assert len(extras) == len(named)
