"""Asking Secrets Manager and Parameter Store, one by one or many at once.

Answers take the shape that the AWS Parameters and Secrets extension serves: every field
present, absent ones null, dates as ISO 8601 text, an empty ``ResultMetadata``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rotaware.clock import iso8601
from rotaware.errors import AwsError, AwsUnavailableError
from rotaware.secret import (
    AWSCURRENT,
    SECRETS_MANAGER,
    Fetched,
    Query,
    Value,
)
from rotaware.sheet import subject_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rotaware.aws import Aws

SECRETS_BATCH = 20
"""What one BatchGetSecretValue takes."""
PARAMETERS_BATCH = 10
"""What one GetParameters takes."""

_SECRET_REFERENCE = "/aws/reference/secretsmanager/"  # noqa: S105  a path, no secret
_SECRET_FIELDS = (
    "ARN",
    "CreatedDate",
    "Name",
    "SecretBinary",
    "SecretString",
    "VersionId",
    "VersionStages",
)
_PARAMETER_FIELDS = (
    "ARN",
    "DataType",
    "LastModifiedDate",
    "Name",
    "Selector",
    "SourceResult",
    "Type",
    "Value",
    "Version",
)


class AwsSource:
    """Secrets Manager and Parameter Store as the store's source.

    Args:
        aws: The client to call.
        timeouts: Seconds for a whole call, by service; None leaves it to the client.
    """

    __slots__ = ("_aws", "_timeouts")

    def __init__(self, aws: Aws, timeouts: Mapping[str, float | None]) -> None:
        self._aws = aws
        self._timeouts = timeouts

    def fetch(self, query: Query, *, timeout_seconds: float | None = None) -> Fetched:
        """One GetSecretValue or GetParameter.

        Args:
            query: What to ask for.
            timeout_seconds: For this call, if shorter than the service's own.

        Raises:
            AwsError: AWS refused, or could not be reached.
        """
        if query.service == SECRETS_MANAGER:
            request = {"SecretId": query.id}
            if query.version is not None:
                request["VersionId"] = query.version
            if query.label is not None:
                request["VersionStage"] = query.label
            answer = self._call(query, "GetSecretValue", request, timeout_seconds)
            return _secret(query, answer)
        answer = self._call(
            query,
            "GetParameter",
            {"Name": _selected(query), "WithDecryption": query.decrypt},
            timeout_seconds,
        )
        return _parameter(query, answer.get("Parameter", {}))

    def batches(self, queries: Iterable[Query]) -> list[list[Query]]:
        """Queries, grouped as ``fetch_many`` takes them."""
        alone: list[list[Query]] = []
        groups: dict[tuple[str, bool], list[Query]] = {}
        for query in queries:
            secret = query.service == SECRETS_MANAGER
            if secret and (query.version, query.label) != (None, AWSCURRENT):
                alone.append([query])
            else:
                groups.setdefault((query.service, query.decrypt), []).append(query)
        cut = [
            group[start : start + size]
            for (service, _), group in groups.items()
            for size in (
                SECRETS_BATCH if service == SECRETS_MANAGER else PARAMETERS_BATCH,
            )
            for start in range(0, len(group), size)
        ]
        return [*cut, *alone]

    def fetch_many(self, batch: Sequence[Query]) -> dict[Query, Fetched | AwsError]:
        """One group of ``batches``: by one call, or one by one where that is denied."""
        if len(batch) == 1:
            return {batch[0]: self._outcome(batch[0])}
        secrets = batch[0].service == SECRETS_MANAGER
        try:
            found = self._secrets(batch) if secrets else self._parameters(batch)
        except AwsUnavailableError as failure:
            return dict.fromkeys(batch, failure)
        except AwsError:
            found = {}
        return {query: found.get(query) or self._outcome(query) for query in batch}

    def _outcome(self, query: Query) -> Fetched | AwsError:
        try:
            return self.fetch(query)
        except AwsError as refusal:
            return refusal

    def _secrets(self, batch: Sequence[Query]) -> dict[Query, Fetched | AwsError]:
        by_id = {query.id: query for query in batch}
        found: dict[Query, Fetched | AwsError] = {}
        request: dict[str, Any] = {"SecretIdList": list(by_id)}
        while True:
            answer = self._call(batch[0], "BatchGetSecretValue", request)
            for secret in answer.get("SecretValues", ()):
                arn = secret["ARN"]
                for secret_id in (arn, secret["Name"], arn.rpartition("-")[0]):
                    if secret_id in by_id:
                        query = by_id[secret_id]
                        found[query] = _secret(query, secret)
            for error in answer.get("Errors", ()):
                if error.get("SecretId") in by_id:
                    found[by_id[error["SecretId"]]] = AwsError(
                        error.get("ErrorCode", "UnknownError"), error.get("Message", "")
                    )
            token = answer.get("NextToken")
            if not token:
                return found
            request["NextToken"] = token

    def _parameters(self, batch: Sequence[Query]) -> dict[Query, Fetched | AwsError]:
        by_name = {_selected(query): query for query in batch}
        request = {"Names": list(by_name), "WithDecryption": batch[0].decrypt}
        answer = self._call(batch[0], "GetParameters", request)
        found: dict[Query, Fetched | AwsError] = {}
        for parameter in answer.get("Parameters", ()):
            selector = parameter.get("Selector") or ""
            for name in (parameter["Name"], parameter["ARN"]):
                if name + selector in by_name:
                    query = by_name[name + selector]
                    found[query] = _parameter(query, parameter)
        for name in answer.get("InvalidParameters", ()):
            if name in by_name:
                found[by_name[name]] = AwsError("ParameterNotFound", f"no {name}")
        return found

    def _call(
        self,
        query: Query,
        operation: str,
        request: Mapping[str, Any],
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        own = self._timeouts.get(query.service)
        limits = [limit for limit in (own, timeout_seconds) if limit is not None]
        answer: dict[str, Any] = self._aws.call(
            query.service, operation, request, timeout_seconds=min(limits, default=None)
        )
        return answer


def _selected(query: Query) -> str:
    """A parameter's name with its version or label behind it."""
    selector = query.version or query.label
    return f"{query.id}:{selector}" if selector else query.id


def _secret(query: Query, answer: Mapping[str, Any]) -> Fetched:
    document = {field: answer.get(field) for field in _SECRET_FIELDS}
    document["CreatedDate"] = _date(answer.get("CreatedDate"))
    document["ResultMetadata"] = {}
    return _fetched(query, document, answer, answer.get("VersionId"))


def _parameter(query: Query, answer: Mapping[str, Any]) -> Fetched:
    parameter = {field: answer.get(field) for field in _PARAMETER_FIELDS}
    parameter["LastModifiedDate"] = _date(answer.get("LastModifiedDate"))
    document = {"Parameter": parameter, "ResultMetadata": {}}
    if query.id.startswith(_SECRET_REFERENCE):
        # Parameter Store passes a secret on: the secret's own stamp outdates it.
        secret = json.loads(answer.get("SourceResult") or "{}")
        return _fetched(query, document, secret, secret.get("versionId"))
    return _fetched(query, document, answer, answer.get("Version"))


def _fetched(
    query: Query,
    document: Mapping[str, Any],
    origin: Mapping[str, Any],
    version: str | int | None,
) -> Fetched:
    arn = origin.get("ARN")
    if not isinstance(arn, str) or version is None:
        raise AwsUnavailableError(
            "MalformedResponse", f"the answer for {query.id} lacks its ARN or version"
        )
    pinned = query.version is not None
    return Fetched(
        value=Value(document),
        arn=arn,
        subject=None if pinned else subject_of(arn),
        version=str(version),
        current=not pinned and query.label in (None, AWSCURRENT),
    )


def _date(epoch_seconds: float | None) -> str | None:
    return None if epoch_seconds is None else iso8601(epoch_seconds)
