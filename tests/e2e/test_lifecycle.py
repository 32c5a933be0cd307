"""The extension's life under the official emulator: INIT, freezes, errors, SHUTDOWN."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Environment
    from tests.support.runtimes import Runtime
    from tests.support.stand_in import StandIn

    Start = Callable[..., Environment]
    MakeSecrets = Callable[..., list[str]]

# The emulator kills what has not ended two seconds after SHUTDOWN.
KILLED_AFTER_SECONDS = 2.0


def test_a_read_during_init_is_answered(
    start: Start, make_secrets: MakeSecrets
) -> None:
    """A secret that is read while the function itself is being loaded is there."""
    (name,) = make_secrets("canary-read-at-import")
    environment = start(name, environ={"READ_AT_INIT": name})

    assert environment.read_at_init() == "canary-read-at-import"


def test_shutdown_leaves_no_process(start: Start, make_secrets: MakeSecrets) -> None:
    """At SHUTDOWN the extension ends by itself, long before it would be killed."""
    (name,) = make_secrets("canary-value")
    environment = start(name)
    environment.read(name)
    before = environment.sandbox.processes().values()
    seconds = environment.sandbox.shut_down()
    last_words = [line for line in environment.sandbox.lines if "shut down" in line]

    assert any("/opt/extensions/rotaware" in command for command in before)
    assert environment.sandbox.processes() == {}
    assert seconds < KILLED_AFTER_SECONDS / 2
    assert len(last_words) == 1


def test_prefetch_from_config_yaml(
    start: Start, make_secrets: MakeSecrets, runtime: Runtime, tmp_path: Path
) -> None:
    """What /var/task/config.yaml lists is fetched before the function asks for it."""
    names = make_secrets("canary-one", "canary-two")
    function = tmp_path / "function"
    shutil.copytree(runtime.function, function)
    lines = ["secrets:", *(f"  - {name}" for name in names)]
    (function / "config.yaml").write_text("\n".join(lines))
    environment = start(function=function)

    assert environment.read(*names) == ["canary-one", "canary-two"]
    assert "secretsmanager.GetSecretValue" not in environment.calls.counts


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECRETS_MANAGER_TTL", "soon"),
        ("ROTAWARE_CHECK_INTERVAL", "-1"),
        ("PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE", "1000000"),
    ],
)
def test_a_bad_setting_stops_init(start: Start, variable: str, value: str) -> None:
    """A wrong setting fails INIT with a message that names it, and is no default.

    The emulator replaces the error type, Extension.ConfigInvalid, by its own name.
    """
    environment = start(environ={variable: value})
    response = environment.sandbox.invoke({"secrets": []})

    assert response.status == 502
    # The caller may have its answer before the log is written.
    environment.sandbox.wait_for(lambda line: "Extension.InitError" in line)
    environment.sandbox.wait_for(lambda line: f"{variable}: '{value}'" in line)


def test_a_missing_secret_is_told_as_aws_tells_it(start: Start) -> None:
    """A secret that does not exist is AWS's own 400, and nothing else breaks."""
    environment = start("e2e/does-not-exist")
    missing, ping = environment.ask(
        "/secretsmanager/get?secretId=e2e/does-not-exist", "/ping"
    )

    assert missing["status"] == 400
    assert missing["body"]["__type"] == "ResourceNotFoundException"
    assert ping == {
        "status": 200,
        "cache_status": ping["cache_status"],
        "body": "healthy",
    }


def test_aws_cannot_be_reached(
    start: Start, make_secrets: MakeSecrets, stand_in: StandIn
) -> None:
    """Without AWS the environment starts all the same, and reads answer 502 or 504."""
    (name,) = make_secrets("canary-value")
    environment = start(name)
    environment.calls.close()
    answer, ping = environment.ask(f"/secretsmanager/get?secretId={name}", "/ping")

    assert answer["status"] in {502, 504}
    assert ping["status"] == 200
    assert stand_in.lines
