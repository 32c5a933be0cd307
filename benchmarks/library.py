"""``import rotaware`` and the first read, beside the same read by ``http.client``.

Each sample is a fresh process, timed from before the first import until the value is
there. With bytecode, as a function on the layer's own version of Python has it; and
without, as on any other version, where the library's sources are compiled each time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.extension import LAUNCHER, SECRETS, TOKEN, WHOLE_PYTHON, running
from benchmarks.namespace import inside
from benchmarks.report import Row, table
from benchmarks.stand_ins import Aws

if TYPE_CHECKING:
    from benchmarks.extension import Extension

LIMIT = 1.1
LIBRARY = "/opt/python"
PEER = "`http.client`"
TIMED = """
import sys
sys.path.insert(0, {library!r})
import os  # which every runtime has loaded before a handler
from time import perf_counter
began = perf_counter()
{read}
print((perf_counter() - began) * 1e3)
assert "password" in value
"""
OURS = """
import rotaware
value = rotaware.get_secret({name!r})
"""
BY_HAND = """
import http.client, json
port = int(os.environ["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"])
connection = http.client.HTTPConnection("127.0.0.1", port)
token = os.environ["AWS_SESSION_TOKEN"]
connection.request(
    "GET",
    "/secretsmanager/get?secretId=" + {name!r},
    headers={{"X-Aws-Parameters-Secrets-Token": token}},
)
value = json.loads(connection.getresponse().read())["SecretString"]
"""


def measure(rounds: int) -> list[Row]:
    """Read by both in turn, ``rounds`` times."""
    aws = Aws(0.0)
    pythons = {
        "`import rotaware`, first read": str(WHOLE_PYTHON),
        "the same, without bytecode": str(Path(sys.executable).resolve()),
    }
    with running(LAUNCHER, aws) as extension:
        extension.first_secret_seconds()
        rows = [
            Row(name, "ms", *_samples(rounds, python, extension), PEER, LIMIT)
            for name, python in pythons.items()
        ]
    aws.close()
    return rows


def _samples(
    rounds: int, python: str, extension: Extension
) -> tuple[list[float], list[float]]:
    """Milliseconds of rotaware, and of the peer."""
    ours: list[float] = []
    peers: list[float] = []
    for _ in range(rounds):
        ours.append(_milliseconds(python, extension, OURS))
        peers.append(_milliseconds(python, extension, BY_HAND))
    return ours, peers


def _milliseconds(python: str, extension: Extension, read: str) -> float:
    code = TIMED.format(library=LIBRARY, read=read.format(name=SECRETS[0]))
    told = subprocess.run(
        [python, "-IB", "-c", code],
        env={
            "AWS_SESSION_TOKEN": TOKEN,
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(extension.port),
        },
        check=True,
        capture_output=True,
        text=True,
    )
    return float(told.stdout)


def main() -> None:
    """Measure this alone and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds: int = parser.parse_args().rounds
    if inside(__spec__.name):
        print(table(measure(rounds), []))


if __name__ == "__main__":
    main()
