"""Who asks, and where: boto3's session, as the options of the command line name it.

Besides ``rotaware.boto`` this is the only module that knows boto3. Its problems come
out as rotaware's errors, in words that say what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ProfileNotFound

from rotaware.boto import BotoAws
from rotaware.errors import AwsUnavailableError, SettingsError

if TYPE_CHECKING:
    from rotaware.aws import Aws

ATTEMPTS = 4
DEFAULT_PROFILE = "default"
NO_CREDENTIALS = "NoCredentialsError"


class Account(NamedTuple):
    """An account and a Region of it, through somebody's credentials.

    Attributes:
        aws: The client to call.
        region: The Region.
        session: Where the credentials come from.
        endpoint_url: Where all services answer, instead of AWS.
    """

    aws: Aws
    region: str
    session: boto3.Session
    endpoint_url: str | None

    def credentials(self) -> dict[str, str]:
        """Environment variables that let a function act as who asks.

        They always hold a session token, since the extension's port asks for one: keys
        without one are exchanged for temporary ones.

        Raises:
            AwsError: There are no credentials, or they cannot be exchanged.
        """
        try:
            found = self.session.get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except BotoCoreError as fault:
            raise AwsUnavailableError(type(fault).__name__, "credentials") from None
        if frozen is None:
            raise AwsUnavailableError(NO_CREDENTIALS, "there are no credentials")
        keys = {
            "AccessKeyId": frozen.access_key,
            "SecretAccessKey": frozen.secret_key,
            "SessionToken": frozen.token,
        }
        if not frozen.token:
            keys = self.aws.call("sts", "GetSessionToken", {})["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": str(keys["AccessKeyId"]),
            "AWS_SECRET_ACCESS_KEY": str(keys["SecretAccessKey"]),
            "AWS_SESSION_TOKEN": str(keys["SessionToken"]),
        }


def open_account(
    region: str | None, profile: str | None, endpoint_url: str | None
) -> Account:
    """The account that options, variables and AWS's own files name together.

    Raises:
        SettingsError: There is no such profile, no Region is named anywhere, or the
            endpoint is no address.
    """
    if endpoint_url and not endpoint_url.startswith(("http://", "https://")):
        problem = f"--endpoint-url: {endpoint_url} is no address; use http://host:port"
        raise SettingsError([problem])
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        named = session.profile_name
        if named != DEFAULT_PROFILE and named not in session.available_profiles:
            raise ProfileNotFound(profile=named)
    except BotoCoreError as fault:
        problem = f"{fault}; see ~/.aws/config, or use another --profile"
    else:
        if session.region_name:
            aws = BotoAws(session=session, endpoint_url=endpoint_url, attempts=ATTEMPTS)
            return Account(aws, session.region_name, session, endpoint_url)
        problem = "no Region: use --region, or set AWS_REGION"
    raise SettingsError([problem])
