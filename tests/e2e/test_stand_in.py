"""What the other end-to-end tests take for granted of the AWS stand-in.

The last ones pin where it differs from AWS. When one of them fails, the stand-in has
become better, and whatever leans on the difference can be looked at again.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.processes import wait_until
from tests.support.stand_in import ACCOUNT, REGION, path_statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.deployment import Deployment
    from tests.support.stand_in import StandIn

    MakeSecrets = Callable[..., list[str]]


def test_current_is_what_the_label_says(
    deployment: Deployment, stand_in: StandIn, make_secrets: MakeSecrets
) -> None:
    """Once AWSCURRENT has moved, plain and batch reads answer with the new version."""
    (name,) = make_secrets("canary-old")
    version = deployment.rotate(name, "canary-new")
    manager = stand_in.client("secretsmanager")
    (batch,) = manager.batch_get_secret_value(SecretIdList=[name])["SecretValues"]

    assert manager.get_secret_value(SecretId=name)["VersionId"] == version
    assert batch["VersionId"] == version
    assert batch["SecretString"] == "canary-new"


def test_parameter_versions_count_up(stand_in: StandIn) -> None:
    """Versions count up by one and stay readable, as the sheet's protocol needs."""
    parameters = stand_in.client("ssm")
    versions = [
        parameters.put_parameter(
            Name="/e2e/versions", Value=value, Type="String", Overwrite=True
        )["Version"]
        for value in ("one", "two", "three")
    ]
    earlier = parameters.get_parameter(Name="/e2e/versions:2")["Parameter"]

    assert versions == [1, 2, 3]
    assert earlier["Value"] == "two"


def test_signatures_and_permissions_are_checked(
    stand_in: StandIn, make_secrets: MakeSecrets
) -> None:
    """A role gets at what its policy names, and a wrong signature gets at nothing."""
    allowed, other = make_secrets("canary-one", "canary-two")
    arn = stand_in.client("secretsmanager").describe_secret(SecretId=allowed)["ARN"]
    statement = {
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue"],
        "Resource": [arn],
    }
    environ = stand_in.assume([statement])

    assert code_of_read(stand_in, environ, allowed) is None
    assert code_of_read(stand_in, environ, other) == "AccessDeniedException"

    forged = environ | {"AWS_SECRET_ACCESS_KEY": "another"}

    assert code_of_read(stand_in, forged, allowed) in {
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    }


def code_of_read(stand_in: StandIn, environ: dict[str, str], name: str) -> str | None:
    """The error code of a GetSecretValue with these credentials, if it is refused."""
    manager = boto3.client(
        "secretsmanager",
        region_name=REGION,
        endpoint_url=stand_in.url,
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environ["AWS_SESSION_TOKEN"],
    )
    with contextlib.closing(manager):
        try:
            manager.get_secret_value(SecretId=name)
        except ClientError as error:
            return error.response["Error"]["Code"]
    return None


def test_the_native_event_reaches_the_invalidator(
    deployment: Deployment, make_secrets: MakeSecrets
) -> None:
    """The template's rule takes the event, and the queue hands it to the function."""
    (name,) = make_secrets("canary-old")
    deployment.rotate(name, "canary-new")

    assert deployment.recorder.counts["ssm.PutParameter"] == 1


def test_differs_no_event_for_parameters(
    deployment: Deployment, stand_in: StandIn
) -> None:
    """Parameter Store sends no change event here: tests hand it to the function."""
    stand_in.client("ssm").put_parameter(
        Name="/e2e/silent", Value="1", Type="String", Overwrite=True
    )
    deployment.settle()

    assert deployment.recorder.counts == {}


def test_differs_tokens_are_not_idempotent(
    stand_in: StandIn, make_secrets: MakeSecrets
) -> None:
    """A version id that is used again is overwritten here; AWS refuses it."""
    (name,) = make_secrets("canary-old")
    manager = stand_in.client("secretsmanager")
    token = "0c9f2d1e-6f3b-4c55-9a43-0d6d6b6b7a10"
    for value in ("canary-one", "canary-two"):
        manager.put_secret_value(
            SecretId=name, SecretString=value, ClientRequestToken=token
        )

    assert manager.get_secret_value(SecretId=name)["SecretString"] == "canary-two"


def test_differs_versions_are_dated_to_the_second(
    stand_in: StandIn, make_secrets: MakeSecrets
) -> None:
    """CreatedDate is the version's own, not the secret's; AWS tells milliseconds too.

    So a version may seem older than its rotation's last stamp for a second longer here.
    """
    (name,) = make_secrets("canary-old")
    manager = stand_in.client("secretsmanager")
    first = manager.get_secret_value(SecretId=name)["CreatedDate"]

    def dated_later() -> bool:
        manager.put_secret_value(SecretId=name, SecretString="canary-new")
        return bool(manager.get_secret_value(SecretId=name)["CreatedDate"] > first)

    wait_until(dated_later, "a version of the next second")
    later = manager.get_secret_value(SecretId=name)["CreatedDate"]

    assert 0 == later.microsecond
    assert first == manager.describe_secret(SecretId=name)["CreatedDate"]


def test_differs_rotation_is_a_stub(
    stand_in: StandIn, make_secrets: MakeSecrets
) -> None:
    """RotateSecret keeps the value: tests make a rotation function's calls instead."""
    (name,) = make_secrets("canary-old")
    manager = stand_in.client("secretsmanager")
    manager.rotate_secret(SecretId=name)

    assert manager.get_secret_value(SecretId=name)["SecretString"] == "canary-old"


@pytest.mark.parametrize("size", [4097, 9000])
def test_differs_parameters_may_be_too_large(stand_in: StandIn, size: int) -> None:
    """Nothing bounds a parameter here, so the sheet's size has tests of its own."""
    answer = stand_in.client("ssm").put_parameter(
        Name="/e2e/large", Value="x" * size, Type="String", Overwrite=True
    )

    assert answer["Version"] > 0


def test_differs_paths_are_no_resources(stand_in: StandIn) -> None:
    """In AWS the path is what a role allows to be read by path; here it is anything."""
    path = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/e2e"
    keys = stand_in.assume([{**path_statement(), "Resource": [path, f"{path}/*"]}])
    client = boto3.client(
        "ssm",
        region_name=REGION,
        endpoint_url=stand_in.url,
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=keys["AWS_SESSION_TOKEN"],
    )

    with contextlib.closing(client), pytest.raises(ClientError) as refused:
        client.get_parameters_by_path(Path="/e2e")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
