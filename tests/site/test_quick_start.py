"""docs/quick-start.md, run as it stands: one shell, AWS's command line, the stand-in.

The stand-in takes the place of AWS by the variables that every tool of AWS's knows.
What it cannot do is to run a function with an extension: an invocation goes to the
built layer under Lambda's own emulator, as the function that was deployed is
configured, with what its role allows. The page's pause becomes a wait for the stamp.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sysconfig
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes import wait_until
from tests.support.sandbox import Sandbox
from tests.support.stand_in import CREDENTIALS, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "quick-start.md").read_text(encoding="utf-8")
WITHOUT, WITH = [
    re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    for part in PAGE.partition("## Ten minutes")[::2]
]
SHEET = "/rotaware/default/stamps"
FUNCTION = "quick-start"
# In place of Lambda's own front door, and of the clock on the wall.
PRELUDE = """
set -euo pipefail
aws() {
    if [ "$1 $2" = "lambda invoke" ]; then
        AWS_ENDPOINT_URL_LAMBDA=$FRONT_DOOR command aws "$@"
    else
        command aws "$@"
    fi
}
sleep() {
    python3 -c "import sys, urllib.request as u; u.urlopen(sys.argv[1])" $FRONT_DOOR
}
"""


class Account:
    """What Lambda would do with the function that was deployed on the stand-in."""

    def __init__(self, stand_in: StandIn, folder: Path) -> None:
        self._stand_in = stand_in
        self._folder = folder
        self._sandbox: Sandbox | None = None

    def invoke(self, payload: object) -> Any:
        """Run it; the first time, start it."""
        if self._sandbox is None:
            self._sandbox = self._start()
        return self._sandbox.invoke(payload).body

    def wait_for_stamp(self) -> None:
        """Return when the sheet has been written for the first time."""
        parameters = self._stand_in.client("ssm")
        wait_until(
            lambda: parameters.get_parameter(Name=SHEET)["Parameter"]["Version"] > 1,
            "a stamp on the sheet",
            20,
        )

    def stop(self) -> None:
        """End the function's environment."""
        if self._sandbox is not None:
            self._sandbox.stop()

    def _start(self) -> Sandbox:
        configuration = self._stand_in.client("lambda").get_function_configuration(
            FunctionName=FUNCTION
        )

        assert 1 == len(configuration["Layers"])

        (self._folder / "index.py").write_text(self._code())
        return Sandbox(
            self._folder,
            environ={
                **configuration["Environment"]["Variables"],
                # A look in each invocation, so that nobody waits for the next one.
                "ROTAWARE_CHECK_INTERVAL": "0",
                **self._stand_in.assume(self._allowed(configuration["Role"])),
            },
            endpoint_url=self._stand_in.url,
            handler=configuration["Handler"],
        )

    def _code(self) -> str:
        cloudformation = self._stand_in.client("cloudformation")
        template = cloudformation.get_template(StackName=FUNCTION)["TemplateBody"]
        _, _, code = str(template).partition("ZipFile: |\n")
        return re.sub(r"(?m)^ {10}", "", code)

    def _allowed(self, role: str) -> list[dict[str, Any]]:
        """The statements of its role's policies, but for AWS's own of the log."""
        iam = self._stand_in.client("iam")
        attached = iam.list_attached_role_policies(RoleName=role.rpartition("/")[2])
        statements = []
        for policy in attached["AttachedPolicies"]:
            arn = policy["PolicyArn"]
            if ":iam::aws:" not in arn:
                version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
                found = iam.get_policy_version(PolicyArn=arn, VersionId=version)
                document = found["PolicyVersion"]["Document"]
                plain = json.loads(document) if isinstance(document, str) else document
                statements += plain["Statement"]
        return statements


@contextlib.contextmanager
def front_door(account: Account) -> Iterator[str]:
    """Where ``aws lambda invoke`` finds the function."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert f"/2015-03-31/functions/{FUNCTION}/invocations" == self.path

            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(json.dumps(account.invoke(json.loads(body or b"{}"))))

        def do_GET(self) -> None:
            account.wait_for_stamp()
            self._answer("")

        def _answer(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    # One thread for all, which lives as long as the process that it starts shall.
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            account.stop()
            server.shutdown()
            thread.join()


def environ(stand_in: StandIn, door: str, home: Path) -> dict[str, str]:
    """Everything that is said to the shell; packages come from those here."""
    tools = ROOT / ".venv" / "bin"
    return {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(home),
        "AWS_ENDPOINT_URL": stand_in.url,
        "FRONT_DOOR": door,
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # which is how pip spells "without it"
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **{name.upper(): value for name, value in CREDENTIALS.items()},
    }


@pytest.mark.timeout(300)
def test_every_command_with_an_account(tmp_path: Path) -> None:
    """The function reads the first value, then the second; nothing is left at last."""
    clone, home, code = (tmp_path / name for name in ("clone", "home", "code"))
    for folder in (clone, home, code):
        folder.mkdir()
    for each in ROOT.iterdir():
        (clone / each.name).symlink_to(each)
    script = "".join([PRELUDE, *WITH])
    with StandIn() as stand_in:
        with front_door(Account(stand_in, code)) as door:
            ran = subprocess.run(
                ["bash", "-c", script],
                cwd=clone,
                env=environ(stand_in, door, home),
                capture_output=True,
                text=True,
                check=False,
                timeout=240,
            )
        stacks = stand_in.client("cloudformation").list_stacks()["StackSummaries"]
        kept = stand_in.client("secretsmanager").list_secrets()["SecretList"]
        buckets = stand_in.client("s3").list_buckets()["Buckets"]

    assert 0 == ran.returncode, ran.stdout + ran.stderr

    first, second = (
        json.loads((clone / name).read_text()) for name in ("first.json", "second.json")
    )

    assert ("a7937b64", "16367aac") == (first["digest"], second["digest"])
    assert first["version"] != second["version"]
    assert "error" not in re.findall(r"(?m)^\w+", ran.stdout)
    assert {"DELETE_COMPLETE"} == {stack["StackStatus"] for stack in stacks}
    assert [] == kept == buckets


def test_the_command_without_an_account() -> None:
    """``make demo`` is the program that tests/e2e/test_demo.py runs, and no more."""
    ((command,),) = [shlex.split(block)[1:] for block in WITHOUT]
    recipe = (ROOT / "Makefile").read_text().partition(f"\n{command}:")[2]

    assert "@$(BIN)/python -m examples.demo.run" == recipe.splitlines()[1].strip()
