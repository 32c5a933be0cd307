"""Secrets Manager's own part of a rotation, which the stand-in has not got.

It makes a token, labels it AWSPENDING and calls the rotation function four times. The
stand-in emits the native event when the label moves, and the real invalidator hears it.
What the stand-in cannot do, a version that has a label but no value yet, is told to the
rotation function as AWS would tell it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
import unittest.mock
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from examples.rotation.function.secrets_manager import rotate
from rotaware.sheet import Sheet, encode
from tests.support.example import Example
from tests.support.stand_in import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from examples.rotation.function.secrets_manager import Strategy
    from tests.support.stand_in import StandIn


PREFIX = "databases"
SHEET = "/rotaware/default/stamps"
_numbers = itertools.count(1)


def lay_out_sheet(stand_in: StandIn) -> None:
    """An empty sheet, as the template makes it."""
    stand_in.client("ssm").put_parameter(
        Name=SHEET, Value=encode(Sheet()), Type="String"
    )


def make_secret_in(stand_in: StandIn, login: dict[str, Any]) -> str:
    """A secret that nobody else knows; its ARN."""
    answer = stand_in.client("secretsmanager").create_secret(
        Name=f"{PREFIX}/secret-{next(_numbers)}", SecretString=json.dumps(login)
    )
    return str(answer["ARN"])


@contextlib.contextmanager
def acting_as_rotation_function(stand_in: StandIn) -> Iterator[None]:
    """Meanwhile this process has the rotation function's role, as its template says."""
    example = Example.read("rotation", {"Layer": "", "Strategy": ""})
    environ = {
        "AWS_ENDPOINT_URL": stand_in.url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        **stand_in.assume(example.statements),
    }
    with unittest.mock.patch.dict(os.environ, environ):
        yield


class Moments(NamedTuple):
    """When a rotation set the password, and when it moved the label.

    In between no version that is current is right, if there is one user.
    """

    set_at: float
    moved_at: float


class Manager:
    """A client of Secrets Manager as a rotation function sees it.

    Args:
        client: The stand-in's.
        token: The version that is being made.

    Attributes:
        moved_at: When the label moved.
    """

    def __init__(self, client: Any, token: str) -> None:
        self._client = client
        self._token = token
        self.moved_at = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def describe_secret(self, **request: Any) -> Any:
        """With the pending version, from the first step on."""
        answer = self._client.describe_secret(**request)
        answer["RotationEnabled"] = True
        answer["VersionIdsToStages"].setdefault(self._token, ["AWSPENDING"])
        return answer

    def update_secret_version_stage(self, **request: Any) -> Any:
        """And when it happened."""
        answer = self._client.update_secret_version_stage(**request)
        self.moved_at = time.time()
        return answer


class Rotator:
    """Rotates one secret.

    Args:
        client: The stand-in's client of Secrets Manager.
        arn: The secret.
        strategy: The example's.
        pause: Called between setSecret and testSecret: the window is open.
    """

    def __init__(
        self,
        client: Any,
        arn: str,
        strategy: Strategy,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._arn = arn
        self._strategy = strategy
        self._pause = pause

    def rotate(self, token: str | None = None) -> Moments:
        """All four steps; with a token, of a rotation that had failed before."""
        token = token or self.new_token()
        self.step("createSecret", token)
        set_at = time.time()
        self.step("setSecret", token)
        self._pause()
        self.step("testSecret", token)
        return Moments(set_at, self.step("finishSecret", token))

    def step(self, name: str, token: str) -> float:
        """One call of the rotation function; when it moved the label, if it did."""
        event = {"Step": name, "SecretId": self._arn, "ClientRequestToken": token}
        manager: Any = Manager(self._client, token)
        rotate(event, manager, self._strategy)
        moved_at: float = manager.moved_at
        return moved_at

    @staticmethod
    def new_token() -> str:
        """What Secrets Manager names a version."""
        return str(uuid.uuid4())
