"""A function runs here with the built layer, and reads what the stand-in holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.processes import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Tool
    from tests.support.stand_in import StandIn

SECRET = "cli/local"
APP = """
import rotaware

def handler(event, context):
    value = rotaware.get_secret(event["secret"])
    return {"length": len(value), "name": context.function_name}
"""


def test_a_function_reads_a_secret(
    tool: Tool, stand_in: StandIn, tmp_path: Path
) -> None:
    """By the library in the layer, from the extension, with who asks' credentials."""
    stand_in.client("secretsmanager").create_secret(Name=SECRET, SecretString="canary")
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "event.json").write_text(json.dumps({"secret": SECRET}))
    result = tool.process(
        "local",
        "app.handler",
        *("--code", str(tmp_path), "--env", f"SECRET_DATABASE={SECRET}"),
        *("--event", f"@{tmp_path / 'event.json'}", "--event", '{"secret": "nope"}'),
        *("--env", f"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT={free_port()}"),
        "--json",
    )
    first, end = json.JSONDecoder().raw_decode(result.stdout)
    second = json.loads(result.stdout[end:])

    # The second one failed.
    assert 1 == result.returncode, result.stderr
    assert {"status": 200, "body": {"length": 6, "name": "local"}} == first
    assert "Error" in second["body"]["errorType"]
    assert "canary" not in result.stdout + result.stderr
