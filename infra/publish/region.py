"""One Region, by boto3.

Rules:
1. What ``require_publishing`` and ``require_sharing`` ask for is refused by AWS in any
   case: a layer that is no zip, a version that does not exist. How it is refused tells
   whether it would be allowed.
2. Each method says what it did where it fails: see ``problems``.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.publish import layers
from infra.publish.layers import Found
from infra.publish.options import EVERYBODY
from infra.publish.problems import PERMISSIONS, PublishError, code, from_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.publish.layers import Step

_CONFIG = Config(
    connect_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
)
_NO_SUCH_VERSION = 2**31 - 1
_NOT_A_ZIP = b"this asks whether PublishLayerVersion is allowed, and publishes nothing"


class Region:
    """What is asked of a Region, and done there.

    Args:
        session: boto3's; made use of in this thread alone.
        name: The Region's.
    """

    def __init__(self, session: Any, name: str) -> None:
        self.name = name
        self._account = ""
        with self._doing("set-up"):
            try:
                self._identity, self._lambda, self._storage = (
                    session.client(service, region_name=name, config=_CONFIG)
                    for service in ("sts", "lambda", "s3")
                )
            except ValueError as error:  # an address that is none
                raise PublishError(f"{name}: {error}: see AWS_ENDPOINT_URL") from error

    def require_credentials(self) -> str:
        """The caller's ARN."""
        with self._doing("GetCallerIdentity"):
            answer = self._identity.get_caller_identity()
        self._account = answer["Account"]
        return str(answer["Arn"])

    def newest(self, layer: str) -> Found | None:
        """A layer's newest version."""
        with self._doing(f"ListLayerVersions of {layer}"):
            pages = self._lambda.get_paginator("list_layer_versions").paginate(
                LayerName=layer
            )
            versions = [
                version["Version"]
                for page in pages
                for version in page["LayerVersions"]
            ]
        if not versions:
            return None
        newest = {"LayerName": layer, "VersionNumber": max(versions)}
        with self._doing(f"GetLayerVersion of {layer}"):
            answer = self._lambda.get_layer_version(**newest)
        arn, content = answer["LayerVersionArn"], answer["Content"]
        return Found(arn, content["CodeSha256"])

    def principals(self, arn: str) -> frozenset[str]:
        """Who may use a version, by its policy."""
        layer, number = arn.split(":")[-2:]
        with self._doing(f"GetLayerVersionPolicy of {layer}"):
            try:
                answer = self._lambda.get_layer_version_policy(
                    LayerName=layer, VersionNumber=int(number)
                )
            except self._lambda.exceptions.ResourceNotFoundException:
                return frozenset()  # it has none
        statements = json.loads(answer["Policy"])["Statement"]
        # One with a condition does not hold for all whom it names.
        return frozenset(
            _principal(each) for each in statements if "Condition" not in each
        )

    def require_publishing(self, layer: str) -> None:
        """Fail unless the caller may publish this layer."""
        content = {"ZipFile": _NOT_A_ZIP}
        with self._refused("PublishLayerVersion", layer):
            self._lambda.publish_layer_version(LayerName=layer, Content=content)

    def require_sharing(self, layer: str) -> None:
        """Fail unless the caller may share this layer."""
        with self._refused("AddLayerVersionPermission", layer):
            self._lambda.add_layer_version_permission(
                **_sharing(layer, _NO_SUCH_VERSION, EVERYBODY)
            )

    def require_bucket(self, bucket: str) -> None:
        """Fail unless the bucket is there, in this Region and of this account."""
        with self._doing(f"HeadBucket of {bucket}"):
            try:
                answer = self._storage.head_bucket(
                    Bucket=bucket, ExpectedBucketOwner=self._account
                )
            except ClientError as error:
                raise self._without_bucket(bucket, error) from None
        place = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        if place not in (None, self.name):
            raise PublishError(
                f"{self.name}: the bucket {bucket} lies in {place}: name one for each "
                "Region, for example BUCKET=name-{region}"
            )

    def _without_bucket(self, bucket: str, error: ClientError) -> PublishError:
        """Why there is none; the answer to HeadBucket holds a number alone."""
        match code(error):
            case "404":
                return PublishError(
                    f"{self.name}: there is no bucket {bucket}: make it with "
                    f"`aws s3 mb s3://{bucket} --region {self.name}`"
                )
            case "403":
                return PublishError(
                    f"{self.name}: the bucket {bucket} is another account's, or "
                    f"s3:ListBucket on it is not allowed; {PERMISSIONS}"
                )
            case _:
                return from_aws(error, f"{self.name}: HeadBucket of {bucket}")

    def upload(self, bucket: str, key: str, data: bytes) -> None:
        """Put an object into the bucket."""
        with self._doing(f"PutObject in {bucket}"):
            self._storage.put_object(
                Bucket=bucket, Key=key, Body=data, ExpectedBucketOwner=self._account
            )

    def publish(self, step: Step, version: str) -> str:
        """Publish a new version; its ARN."""
        told = layers.request(step.layer, step.archive, version)
        with self._doing(f"PublishLayerVersion of {step.layer.name}"):
            return str(self._lambda.publish_layer_version(**told)["LayerVersionArn"])

    def share(self, arn: str, principal: str) -> None:
        """Let an account, or everybody, use a version."""
        layer, number = arn.split(":")[-2:]
        with self._doing(f"AddLayerVersionPermission of {layer}"):
            try:
                self._lambda.add_layer_version_permission(
                    **_sharing(layer, int(number), principal)
                )
            except self._lambda.exceptions.ResourceConflictException:
                return  # somebody else has just done it

    @contextlib.contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise from_aws(error, f"{self.name}: {what}") from error

    @contextlib.contextmanager
    def _refused(self, operation: str, layer: str) -> Iterator[None]:
        """A call that cannot succeed, and may be refused for that alone."""
        expected = self._lambda.exceptions
        with (
            self._doing(f"{operation} of {layer}"),
            contextlib.suppress(
                expected.InvalidParameterValueException,
                expected.ResourceNotFoundException,
            ),
        ):
            yield


def _sharing(layer: str, number: int, principal: str) -> dict[str, Any]:
    return {
        "LayerName": layer,
        "VersionNumber": number,
        "StatementId": layers.statement_id(principal),
        "Action": "lambda:GetLayerVersion",
        "Principal": principal,
    }


def _principal(statement: dict[str, Any]) -> str:
    """Whom a policy's statement is for: ``*``, or an account."""
    named = statement["Principal"]
    if isinstance(named, dict):
        named = named["AWS"]
    return str(named).removesuffix(":root").rpartition(":")[2]
