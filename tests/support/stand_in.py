"""AWS on this machine: a ministack process on a loopback port of its own.

It checks every signature and every permission, so what works here has been signed
rightly and is allowed by its role. It keeps nothing on disk outside its own folder.
Where it is known to differ from AWS, tests/e2e/test_stand_in.py says so.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from tests.support.processes import Child, free_port, wait_until
from tests.support.recorder import Recorder

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

REGION = "eu-west-1"
ACCOUNT = "000000000000"
CREDENTIALS = {
    "aws_access_key_id": ACCOUNT,
    "aws_secret_access_key": "secret-access-key",
    "aws_session_token": "session-token",
}
_roles = itertools.count(1)


def reading_policy(prefix: str, sheet: str) -> list[dict[str, Any]]:
    """What a function's role must allow: its secrets, its parameters and the sheet."""
    here = f"{REGION}:{ACCOUNT}"
    return [
        {
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue"],
            "Resource": [f"arn:aws:secretsmanager:{here}:secret:{prefix}/*"],
        },
        {
            # Each secret in the batch needs GetSecretValue besides.
            "Effect": "Allow",
            "Action": ["secretsmanager:BatchGetSecretValue"],
            "Resource": ["*"],
        },
        {
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:GetParameters"],
            "Resource": [
                f"arn:aws:ssm:{here}:parameter{sheet}",
                f"arn:aws:ssm:{here}:parameter/{prefix}/*",
            ],
        },
    ]


def path_statement() -> dict[str, Any]:
    """What it must allow besides, to read by path.

    In AWS the path is the resource; the stand-in knows none for this action.
    """
    return {
        "Effect": "Allow",
        "Action": ["ssm:GetParametersByPath"],
        "Resource": ["*"],
    }


def table_statement(table: str, namespace: str) -> dict[str, Any]:
    """What it must allow besides, for a sheet in a table."""
    return {
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem"],
        "Resource": [f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"],
        "Condition": {
            "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [namespace]}
        },
    }


class StandIn:
    """A running stand-in; `client` speaks to it, recorders stand in front of it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rotaware-stand-in-"))
        self._recorders: list[Recorder] = []
        self._clients: dict[str, Any] = {}
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        command = [sys.executable, "-m", "ministack"]
        self._child = Child(command, self._environ(), self._folder)
        try:
            self._child.wait_until_listening(self._port, deadline_seconds=60)
            wait_until(self._is_ready, "the stand-in to be ready", 60)
        except BaseException:
            self.stop()
            raise

    @property
    def lines(self) -> list[str]:
        """What the stand-in itself has logged."""
        return self._child.lines

    def client(self, service: str) -> Any:
        """A boto3 client for a service here, made once."""
        if service not in self._clients:
            # The stubs know an overload for each service, and none for any service.
            make: Any = boto3.client
            self._clients[service] = make(
                service,
                region_name=REGION,
                endpoint_url=self.url,
                config=Config(retries={"total_max_attempts": 1}),
                **CREDENTIALS,
            )
        return self._clients[service]

    def recorder(self) -> Recorder:
        """A new recorder in front of it, closed together with the stand-in."""
        recorder = Recorder(self.url)
        self._recorders.append(recorder)
        return recorder

    def assume(self, statements: list[dict[str, Any]]) -> dict[str, str]:
        """Credentials, as environment variables, of a role that allows just this."""
        name = f"role-{next(_roles)}"
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
        }
        iam = self.client("iam")
        role = iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=_policy([trust])
        )["Role"]
        iam.put_role_policy(
            RoleName=name, PolicyName="reads", PolicyDocument=_policy(statements)
        )
        answer = self.client("sts").assume_role(
            RoleArn=role["Arn"], RoleSessionName="function"
        )["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": answer["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": answer["SecretAccessKey"],
            "AWS_SESSION_TOKEN": answer["SessionToken"],
        }

    def reset(self) -> None:
        """Forget all that clients have made."""
        self._ask("POST", "/_ministack/reset")

    def stop(self) -> None:
        """End the process and whatever it started; harmless when repeated."""
        for part in (*self._recorders, *self._clients.values()):
            part.close()
        self._recorders.clear()
        self._clients.clear()
        self._child.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _ask(self, method: str, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path)
            return connection.getresponse().status
        finally:
            connection.close()

    def _is_ready(self) -> bool:
        try:
            return self._ask("GET", "/_ministack/ready") == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    def _environ(self) -> dict[str, str]:
        """Nothing of the tests' own environment, so nothing of the source tree."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "S3_DATA_DIR": str(self._folder / "s3"),
            "STATE_DIR": str(self._folder / "state"),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self._port),
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
            "AWS_SESSION_TOKEN": CREDENTIALS["aws_session_token"],
            "LAMBDA_EXECUTOR": "local",
            "AUTH": "true",
        }


def _policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
