"""A function without the layer reads by boto3, if it asked for that."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rotaware
from tests.support.extension_process import TOKEN, ScriptedAws
from tests.support.local_port import Answer, LocalPort

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED = Path(rotaware.__file__).parent.parent
PROGRAM = """
import sys, rotaware
try:
    print(rotaware.get_secret("db"), rotaware.get_secret("db"))
except rotaware.RotawareError as error:
    print(type(error).__name__)
print("boto3" in sys.modules)
"""


def told(port: int, aws: ScriptedAws, **environ: str) -> list[str]:
    """What a program prints that reads a secret twice."""
    settings: Mapping[str, str] = {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "local-secret-key",
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": aws.url,
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port),
        "PYTHONPATH": str(SHARED),
        "ROTAWARE_STAMPS": "off",
        **environ,
    }
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, env=settings, check=True, capture_output=True, text=True, timeout=50
    )
    return done.stdout.split()


def test_only_who_asks_for_it_falls_back() -> None:
    """Where nobody listens, AWS is asked once by boto3; else the error is the end."""
    with ScriptedAws() as aws, socket.socket() as taken:
        aws.secrets["db"] = "canary-Zp3"
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        assert ["NobodyListensError", "False"] == told(port, aws)
        assert [] == aws.calls
        assert ["canary-Zp3", "canary-Zp3", "True"] == told(
            port, aws, ROTAWARE_FALLBACK="in-process"
        )
        assert ["GetSecretValue"] == aws.calls


def test_an_extension_is_never_bypassed() -> None:
    """What listens is asked, also if it only fails."""
    failure = Answer(502, {"__type": "ConnectionError", "message": "no AWS"})
    with ScriptedAws() as aws, LocalPort(lambda _: failure) as port:
        aws.secrets["db"] = "canary-Zp3"

        assert ["AwsUnavailableError", "False"] == told(
            port.number, aws, ROTAWARE_FALLBACK="in-process"
        )
        assert [] == aws.calls
