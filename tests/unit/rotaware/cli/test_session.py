"""Who asks, and where."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import PartialCredentialsError

from rotaware.cli.session import Account, open_account
from rotaware.errors import AwsUnavailableError, SettingsError
from tests.support.answering import Answering

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret-key"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No account of the machine that the tests run on."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_an_account() -> None:
    """Of a Region."""
    account = open_account("eu-west-1", None, "http://localhost:1")

    assert ("eu-west-1", "http://localhost:1") == (
        account.region,
        account.endpoint_url,
    )


@pytest.mark.parametrize(
    ("region", "profile", "words"),
    [(None, None, "no Region: use --region"), ("eu-west-1", "nope", "(nope)")],
)
def test_what_is_not_named(region: str | None, profile: str | None, words: str) -> None:
    """One line says what to name."""
    with pytest.raises(SettingsError) as raised:
        open_account(region, profile, None)

    assert words in raised.value.message


def test_an_endpoint_that_is_no_address() -> None:
    """boto3 would only say ValueError."""
    with pytest.raises(SettingsError, match="nonsense is no address; use http"):
        open_account("eu-west-1", None, "nonsense")


def test_a_profile_that_boto3_has_not_looked_for_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is said at once also where boto3 would only find out at the first call."""
    monkeypatch.setenv("AWS_DATA_PATH", "/nowhere")
    with pytest.raises(SettingsError, match=r"\(nope\)"):
        open_account("eu-west-1", "nope", None)


def account(aws: Answering, **keys: str) -> Account:
    """With credentials, or none."""
    session = boto3.Session(region_name="eu-west-1", **keys)  # type: ignore[arg-type]
    return Account(aws, "eu-west-1", session, None)


def test_temporary_credentials_are_handed_on() -> None:
    """Nobody is asked for others."""
    found = account(Answering({}), **KEYS, aws_session_token="token").credentials()

    assert {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret-key",
        "AWS_SESSION_TOKEN": "token",
    } == found


def test_keys_are_exchanged() -> None:
    """The extension's port asks for a session token."""
    temporary = {
        "AccessKeyId": "other",
        "SecretAccessKey": "other-secret",
        "SessionToken": "other-token",
    }
    aws = Answering({"sts.GetSessionToken": {"Credentials": temporary}})

    assert "other-token" == account(aws, **KEYS).credentials()["AWS_SESSION_TOKEN"]


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or half of them."""
    with pytest.raises(AwsUnavailableError) as none:
        account(Answering({})).credentials()
    broken: Any = account(Answering({}))

    def fail() -> None:
        raise PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY")

    monkeypatch.setattr(broken.session, "get_credentials", fail)
    with pytest.raises(AwsUnavailableError) as half:
        broken.credentials()

    assert "NoCredentialsError" == none.value.code
    assert "PartialCredentialsError" == half.value.code
