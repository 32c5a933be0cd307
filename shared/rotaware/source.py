"""Asking Secrets Manager and Parameter Store, one by one or many at once.

Answers take the shape that the AWS Parameters and Secrets extension serves: every field
present, absent ones null, dates as ISO 8601 text, an empty ``ResultMetadata``. Refusals
say what was asked for, and what to do.
"""

from __future__ import annotations

from rotaware import lean_json as json
from rotaware.clock import iso8601
from rotaware.errors import AwsError, AwsThrottledError, AwsUnavailableError
from rotaware.lean import TYPE_CHECKING
from rotaware.paths import PARAMETERS_LIMIT, listing
from rotaware.secret import (
    AWSCURRENT,
    PARAMETER_STORE,
    SECRETS_MANAGER,
    Fetched,
    Query,
    Value,
)
from rotaware.sheet import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, TypeVar

    from rotaware.aws import Aws

    T = TypeVar("T")

SECRETS_BATCH = 20
"""What one BatchGetSecretValue takes."""
PARAMETERS_BATCH = 10
"""What one GetParameters takes, and one page of GetParametersByPath holds."""
MAX_PAGES = 4 * PARAMETERS_LIMIT // PARAMETERS_BATCH
"""Of a path: some may hold less than they could, or nothing."""

_BATCH = {SECRETS_MANAGER: SECRETS_BATCH, PARAMETER_STORE: PARAMETERS_BATCH}
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

_MALFORMED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    OSError,
    RecursionError,
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
        """One GetSecretValue or GetParameter, or all pages of a GetParametersByPath.

        Args:
            query: What to ask for.
            timeout_seconds: For this call, if shorter than the service's own.

        Raises:
            AwsError: AWS refused, or could not be reached.
        """
        try:
            if query.is_path:
                return listing(self._under_path(query, timeout_seconds))
            return self._one(query, timeout_seconds)
        except AwsUnavailableError:
            raise
        except AwsError as error:
            refusal = error
        from rotaware.advice import advised  # noqa: PLC0415  most starts never need it

        # Out here, not chained: a traceback leads to what frames hold.
        raise advised(refusal, query)

    def batches(self, queries: Iterable[Query]) -> list[list[Query]]:
        """Queries, grouped as ``fetch_many`` takes them."""
        alone: list[list[Query]] = []
        groups: dict[tuple[str, bool], list[Query]] = {}
        for query in queries:
            secret = query.service == SECRETS_MANAGER
            labelled = secret and (query.version, query.label) != (None, AWSCURRENT)
            if labelled or query.is_path:
                alone.append([query])
            else:
                groups.setdefault((query.service, query.decrypt), []).append(query)
        together = [
            group[start : start + _BATCH[service]]
            for (service, _), group in groups.items()
            for start in range(0, len(group), _BATCH[service])
        ]
        return [*together, *alone]

    def fetch_many(self, batch: Sequence[Query]) -> dict[Query, Fetched | AwsError]:
        """One group of ``batches`` by one call.

        What it leaves out has to be asked for by itself: all, where the call is denied;
        and what AWS did not send along, for a reason that it tells who asks for it.
        """
        found: dict[Query, Fetched | AwsError] = {}
        if len(batch) == 1:
            return found
        secrets = batch[0].service == SECRETS_MANAGER
        try:
            for query, answer in (self._secrets if secrets else self._parameters)(
                batch
            ):
                found[query] = _fetched(query, answer)
        except AwsUnavailableError as failure:
            # Secrets Manager takes a hundred times as many single calls as batches.
            if not (secrets and isinstance(failure, AwsThrottledError)):
                return {**dict.fromkeys(batch, failure), **found}
        except (AwsError, *_MALFORMED):
            pass
        return found

    def _one(self, query: Query, timeout_seconds: float | None) -> Fetched:
        if query.service == SECRETS_MANAGER:
            request = {"SecretId": query.id}
            if query.version is not None:
                request["VersionId"] = query.version
            if query.label is not None:
                request["VersionStage"] = query.label
            answer = self._call(query, "GetSecretValue", request, timeout_seconds)
        else:
            answer = self._call(
                query,
                "GetParameter",
                {"Name": _selected(query), "WithDecryption": query.decrypt},
                timeout_seconds,
            ).get("Parameter", {})
        return _understood(_fetched, query, answer)

    def _under_path(
        self, path: Query, timeout_seconds: float | None
    ) -> dict[Query, Fetched]:
        """What stands under a path; pages come one after the other."""
        found: dict[Query, Fetched] = {}
        request: dict[str, Any] = {
            "Path": path.id,
            "Recursive": path.recursive,
            "WithDecryption": path.decrypt,
            "MaxResults": PARAMETERS_BATCH,
        }
        for _ in range(MAX_PAGES):  # an answer without an end is not followed
            page = self._call(path, "GetParametersByPath", request, timeout_seconds)
            found |= _understood(_page, path, page)
            if len(found) > PARAMETERS_LIMIT:
                break
            if not page.get("NextToken"):
                return found
            request["NextToken"] = page["NextToken"]
        raise AwsError(
            "TooManyParameters", f"more than {PARAMETERS_LIMIT} parameters in one path"
        )

    def _secrets(self, batch: Sequence[Query]) -> Iterator[tuple[Query, Any]]:
        by_id = {query.id: query for query in batch}
        request: dict[str, Any] = {"SecretIdList": list(by_id)}
        for _ in batch:  # an answer without an end is not followed
            answer = self._call(batch[0], "BatchGetSecretValue", request)
            for secret in answer.get("SecretValues", ()):
                whole = secret["ARN"]
                # Another account's secret may have the same name, and the whole ARN of
                # one may be a part of another's: what is in doubt is asked alone.
                part, name = whole.rpartition("-")[0], secret["Name"]
                known = [each for each in (part, name) if each in by_id]
                if whole in by_id:
                    known = [whole]
                if len(known) == 1:
                    yield by_id[known[0]], secret
            if not answer.get("NextToken"):
                return
            request["NextToken"] = answer["NextToken"]

    def _parameters(self, batch: Sequence[Query]) -> Iterator[tuple[Query, Any]]:
        by_name = {_selected(query): query for query in batch}
        request = {"Names": list(by_name), "WithDecryption": batch[0].decrypt}
        answer = self._call(batch[0], "GetParameters", request)
        for parameter in answer.get("Parameters", ()):
            selector = parameter.get("Selector") or ""
            for name in (parameter["ARN"], parameter["Name"]):
                if name + selector in by_name:
                    yield by_name[name + selector], parameter
                    break

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


def _understood(
    parse: Callable[[Query, Mapping[str, Any]], T],
    query: Query,
    answer: Mapping[str, Any],
) -> T:
    """What an answer is parsed to.

    Raises:
        AwsUnavailableError: It is not as documented.
    """
    try:
        return parse(query, answer)
    except _MALFORMED as fault:
        kind = type(fault).__name__
    # Out here, not chained: a parser's error may hold the text that it failed on.
    raise AwsUnavailableError(
        "MalformedResponse",
        f"AWS's answer for {query.id} is not as documented ({kind})",
    )


def _page(path: Query, answer: Mapping[str, Any]) -> dict[Query, Fetched]:
    """The parameters on a page of a path's; raises one of ``_MALFORMED``."""
    found = {}
    for parameter in answer.get("Parameters", ()):
        # As a read of it would ask: a name has no selector, whatever stands in it.
        query = Query(PARAMETER_STORE, parameter["Name"], decrypt=path.decrypt)
        found[query] = _fetched(query, parameter)
    return found


def _fetched(query: Query, answer: Mapping[str, Any]) -> Fetched:
    """An answer in the port's shape; raises one of ``_MALFORMED``."""
    origin, version_field = answer, "Version"
    created = answer.get("CreatedDate") or answer.get("LastModifiedDate") or 0.0
    if query.service == SECRETS_MANAGER:
        version_field = "VersionId"
        _require_text(answer.get("SecretString"), answer.get("SecretBinary"))
        document = {field: answer.get(field) for field in _SECRET_FIELDS}
        document["CreatedDate"] = _date(answer.get("CreatedDate"))
        document["ResultMetadata"] = {}
    else:
        is_secret = query.id.startswith(_SECRET_REFERENCE)
        # A binary secret that Parameter Store passes on is in its SourceResult alone.
        _require_text(answer.get("Value"), is_secret and answer.get("SourceResult"))
        parameter = {field: answer.get(field) for field in _PARAMETER_FIELDS}
        parameter["LastModifiedDate"] = _date(answer.get("LastModifiedDate"))
        document = {"Parameter": parameter, "ResultMetadata": {}}
        if is_secret:
            parameter["Version"] = answer.get("Version", 0)
            # The secret's own stamp outdates it.
            origin, version_field = json.loads(answer["SourceResult"]), "versionId"
    arn, subject = origin["ARN"], subject_of(origin["ARN"])
    pinned = query.version is not None
    return Fetched(
        value=Value(document),
        arn=arn,
        subject=None if pinned else subject,
        version=_version(origin[version_field]),
        current=not pinned and query.label in (None, AWSCURRENT),
        created=created,
    )


def _require_text(*payloads: object) -> None:
    """An answer without a value would be held, and passed on, as one."""
    if not any(isinstance(payload, str) for payload in payloads):
        raise TypeError


def _version(field: str | int) -> str:
    if type(field) not in (str, int) or not str(field).isascii():
        raise TypeError
    return str(field)


def _date(epoch_seconds: float | None) -> str | None:
    return None if epoch_seconds is None else iso8601(epoch_seconds)
