"""Secrets Manager's part of a rotation: its four steps, and what holds for all of them.

Rule 1. Every step may come twice, or again after a failure: each looks at what is
        already done, and does only the rest.
Rule 2. Nothing is believed of the event: the token must be a version of this very
        secret, labelled AWSPENDING, or the step is refused.
Rule 3. The database is asked, not the labels, which password it takes.
Rule 4. No value enters a log or an exception.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import rotaware

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_secretsmanager import SecretsManagerClient

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
# Nothing that ends a string, a shell's word or a connection URL.
EXCLUDED = " %+~`#$&*()|[]{}:;<>?!'/@\"\\,="
PASSWORD_LENGTH = 32

Login = dict[str, Any]
"""A secret's value: engine, host, port, username, password, dbname and what else."""


class RotationError(Exception):
    """A step that cannot be done. Its text names ids and steps, never a value."""


class Strategy(Protocol):
    """How the pending login comes to be, and how the database learns of it."""

    def pending(self, current: Login, password: str) -> Login:
        """What the new version shall hold."""
        ...

    def set_in_database(self, versions: Versions) -> None:
        """Make the database take the pending login; twice does no harm."""
        ...

    def test(self, versions: Versions) -> None:
        """Log in with the pending version, and do what a function would do."""
        ...


class Versions(NamedTuple):
    """One rotation's secret, and how to read its versions.

    Attributes:
        manager: The client.
        arn: The secret.
        token: The pending version's id.
    """

    manager: SecretsManagerClient
    arn: str
    token: str

    def read(self, stage: str, secret_id: str | None = None) -> Login:
        """The version with this label: of this secret, or of another one.

        Raises:
            RotationError: There is none, or it is not a login.
        """
        wanted: dict[str, Any] = {"SecretId": secret_id or self.arn}
        if stage == PENDING:
            wanted["VersionId"] = self.token
        wanted["VersionStage"] = stage
        try:
            login = json.loads(self.manager.get_secret_value(**wanted)["SecretString"])
        except self.manager.exceptions.ResourceNotFoundException:
            raise RotationError(
                f"{wanted['SecretId']} has no value labelled {stage}"
            ) from None
        except (KeyError, ValueError):
            login = None
        if not isinstance(login, dict) or not {"username", "password"} <= login.keys():
            # Out here: the fault that came before holds the value.
            raise RotationError(
                f"{wanted['SecretId']}, {stage}: no JSON object with username, password"
            )
        return login

    def find(self, stage: str) -> Login | None:
        """The same; None where there is none."""
        try:
            return self.read(stage)
        except RotationError:
            return None


def rotate(
    event: dict[str, Any], manager: SecretsManagerClient, strategy: Strategy
) -> None:
    """Do the step that the event names.

    Raises:
        RotationError: The event is not one of a rotation that is under way, or the step
            failed.
    """
    versions = Versions(manager, event["SecretId"], event["ClientRequestToken"])
    steps: dict[str, Callable[[Versions, Strategy], None]] = {
        "createSecret": _create_secret,
        "setSecret": _set_secret,
        "testSecret": _test_secret,
        "finishSecret": _finish_secret,
    }
    step = steps.get(event["Step"])
    if step is None:
        raise RotationError(f"no step of a rotation: {event['Step']!s:.40}")
    if not _is_finished(versions):
        step(versions, strategy)
    if event["Step"] == "finishSecret":
        # At once, whatever the event that follows may take; it never raises.
        rotaware.stamp(versions.arn)


def _is_finished(versions: Versions) -> bool:
    """Whether the token is current already, as after a step that came twice."""
    answer = versions.manager.describe_secret(SecretId=versions.arn)
    if not answer.get("RotationEnabled"):
        raise RotationError(f"{versions.arn} is not enabled for rotation")
    stages = answer.get("VersionIdsToStages", {}).get(versions.token)
    if stages is None:
        raise RotationError(f"{versions.token} is no version of {versions.arn}")
    if CURRENT in stages:
        return True
    if PENDING not in stages:
        raise RotationError(f"{versions.token} of {versions.arn} is not {PENDING}")
    return False


def _create_secret(versions: Versions, strategy: Strategy) -> None:
    """Make the pending version, unless an earlier attempt has."""
    current = versions.read(CURRENT)
    if versions.find(PENDING) is not None:
        return
    password = versions.manager.get_random_password(
        ExcludeCharacters=EXCLUDED, PasswordLength=PASSWORD_LENGTH
    )["RandomPassword"]
    versions.manager.put_secret_value(
        SecretId=versions.arn,
        ClientRequestToken=versions.token,
        SecretString=json.dumps(strategy.pending(current, password)),
        VersionStages=[PENDING],
    )


def _set_secret(versions: Versions, strategy: Strategy) -> None:
    strategy.set_in_database(versions)


def _test_secret(versions: Versions, strategy: Strategy) -> None:
    strategy.test(versions)


def _finish_secret(versions: Versions, _: Strategy) -> None:
    """Move the label; Secrets Manager moves AWSPREVIOUS by itself."""
    answer = versions.manager.describe_secret(SecretId=versions.arn)
    current = next(
        version
        for version, stages in answer["VersionIdsToStages"].items()
        if CURRENT in stages
    )
    versions.manager.update_secret_version_stage(
        SecretId=versions.arn,
        VersionStage=CURRENT,
        MoveToVersionId=versions.token,
        RemoveFromVersionId=current,
    )
