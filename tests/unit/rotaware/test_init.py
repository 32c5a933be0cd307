"""``import rotaware`` costs nothing, and has every name that it promises."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rotaware
from rotaware import answers, client, errors, own_process, parameters, rotation

SHARED = Path(rotaware.__file__).parent.parent

HOMES = {
    "AwsError": errors,
    "AwsThrottledError": errors,
    "AwsTimeoutError": errors,
    "AwsUnavailableError": errors,
    "Client": client,
    "ExtensionError": answers,
    "NobodyListensError": errors,
    "RotawareError": errors,
    "Secret": answers,
    "SettingsError": errors,
    "TransformError": answers,
    "get_parameter": parameters,
    "get_parameters": parameters,
    "get_parameters_by_name": parameters,
    "get_secret": parameters,
    "get_secrets_by_name": parameters,
    "get_variable": parameters,
    "in_process": own_process,
    "read_secret": parameters,
    "stamp": rotation,
    "use": parameters,
}


def test_every_promised_name_is_the_one_of_its_module() -> None:
    """``__all__`` is complete, sorted and true."""
    assert sorted(HOMES) == rotaware.__all__
    for name, home in HOMES.items():
        assert getattr(home, name) is getattr(rotaware, name)


def test_a_name_is_looked_up_once() -> None:
    """After the first use, a name is an ordinary one of the module."""
    vars(rotaware).pop("Client", None)

    assert rotaware.Client is vars(rotaware)["Client"]


def test_names_are_listed_before_their_first_use() -> None:
    """Completion in an editor or a shell shows them."""
    vars(rotaware).pop("Client", None)

    assert {"Client", "get_secret", "__doc__"} <= set(dir(rotaware))


def test_a_first_read_loads_neither_http_nor_typing() -> None:
    """What a cold start pays for is little: nothing that compiles or parses a lot."""
    program = (
        f"import sys; sys.path.insert(0, {str(SHARED)!r})\n"
        "import rotaware\n"
        "try: rotaware.get_secret('a')\n"
        "except rotaware.NobodyListensError: print(sorted(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        capture_output=True,
        check=True,
        env={
            "AWS_SESSION_TOKEN": "t",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "1",
        },
        text=True,
        timeout=30,
    ).stdout
    names = set(ast.literal_eval(loaded))
    costly = {"http", "urllib", "email", "json", "re", "enum", "typing", "socket"}

    assert set() == names & {*costly, "ssl", "selectors", "logging", "boto3"}
    assert "rotaware.port_reader" in names
    assert "rotaware.fallback" not in names


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any module."""
    with pytest.raises(
        AttributeError, match=r"'rotaware' has no attribute 'get_secre'"
    ):
        rotaware.get_secre  # type: ignore[attr-defined]  # noqa: B018  the access is the test


def test_importing_loads_nothing_else() -> None:
    """A function that never reads a secret pays for no module but this one."""
    program = (
        f"import sys; sys.path.insert(0, {str(SHARED)!r}); before = set(sys.modules);"
        "import rotaware; print(sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        capture_output=True,
        check=True,
        text=True,
        timeout=30,
    ).stdout

    assert "['__future__', 'rotaware']" == loaded.strip()
