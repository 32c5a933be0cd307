"""An AWS account in memory, behind the port that rotaware calls AWS through.

It knows secrets and parameters by name, as AWS does, and remembers every call. There is
no GetSecretValue: who needs one here asks for more than the invalidator's role allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotaware.errors import AwsError
from tests.support.events import ACCOUNT, REGION
from tests.support.item_store import ItemStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Answer = dict[str, Any]


class Account:
    """Satisfies ``rotaware.aws.Aws``.

    Attributes:
        calls: Operation and what it was about, in order.
        refusals: What an operation about something answers instead.
        items: A table; calls of it are not in ``calls``.
        consistent_reads: Whether the table's items were read consistently, each time.
        tells_arn: Whether DescribeParameters says each parameter's ARN.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.refusals: dict[tuple[str, Any], AwsError] = {}
        self.before: Callable[[str], None] = lambda _: None
        self.items = ItemStore()
        self.consistent_reads: list[bool] = []
        self.tells_arn = True
        self._secrets: dict[str, Answer] = {}
        self._parameters: dict[str, list[str]] = {}

    def put_secret(self, name: str, version: str, *, suffix: str = "AbCdEf") -> str:
        """Make ``version`` the current one; the secret's ARN."""
        arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-{suffix}"
        stages = {version: ["AWSCURRENT"], "older": ["AWSPREVIOUS"]}
        self._secrets[name] = {"ARN": arn, "Name": name, "VersionIdsToStages": stages}
        return arn

    def change_secret(self, name: str, **fields: object) -> None:
        """Change what DescribeSecret says; None takes a field away."""
        self._secrets[name] |= fields
        kept = {k: v for k, v in self._secrets[name].items() if v is not None}
        self._secrets[name] = kept

    def delete_secret(self, name: str) -> None:
        """Delete at once."""
        del self._secrets[name]

    def put_parameter(self, name: str, value: str = "") -> None:
        """Write a new version."""
        self._parameters.setdefault(name, []).append(value)

    def versions(self, name: str) -> list[str]:
        """All values that a parameter has had."""
        return self._parameters.get(name, [])

    def names(self, operation: str) -> list[Any]:
        """What the calls of one operation were about."""
        return [about for called, about in self.calls if called == operation]

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,  # noqa: ARG002  nothing here takes time
    ) -> Answer:
        self.before(operation)
        if service == "dynamodb":
            if operation == "GetItem":
                self.consistent_reads.append(request["ConsistentRead"])
            return self.items.call(service, operation, request)
        about = request.get("SecretId") or request.get("Name")
        if operation == "DescribeParameters":
            about = tuple(request["ParameterFilters"][0]["Values"])
        self.calls.append((operation, about))
        refusal = self.refusals.get((operation, about))
        if refusal is not None:
            raise refusal
        answers: dict[tuple[str, str], Callable[[Mapping[str, Any]], Answer]] = {
            ("secretsmanager", "DescribeSecret"): self._describe_secret,
            ("ssm", "DescribeParameters"): self._describe_parameters,
            ("ssm", "GetParameter"): self._get_parameter,
            ("ssm", "PutParameter"): self._put_parameter,
        }
        return answers[service, operation](request)

    def _describe_secret(self, request: Mapping[str, Any]) -> Answer:
        for secret in self._secrets.values():
            if request["SecretId"] in (secret["ARN"], secret["Name"]):
                return dict(secret)
        raise AwsError("ResourceNotFoundException", "no such secret")

    def _describe_parameters(self, request: Mapping[str, Any]) -> Answer:
        """One parameter a page, and an empty page first: AWS may do so."""
        known = [
            name
            for name in request["ParameterFilters"][0]["Values"]
            if name in self._parameters
        ]
        page = int(request.get("NextToken", "0"))
        found: list[Answer] = [
            {"Name": name, "Version": len(self._parameters[name])}
            for name in known[page - 1 : page]
        ]
        for each in found if self.tells_arn else ():
            resource = f"parameter/{each['Name'].removeprefix('/')}"
            each["ARN"] = f"arn:aws:ssm:{REGION}:{ACCOUNT}:{resource}"
        more = {"NextToken": str(page + 1)} if page < len(known) else {}
        return {"Parameters": found, **more}

    def _get_parameter(self, request: Mapping[str, Any]) -> Answer:
        name, _, version = request["Name"].partition(":")
        values = self._parameters.get(name)
        if values is None:
            raise AwsError("ParameterNotFound", "no such parameter")
        number = int(version or len(values))
        return {"Parameter": {"Version": number, "Value": values[number - 1]}}

    def _put_parameter(self, request: Mapping[str, Any]) -> Answer:
        if request["Name"] in self._parameters and not request["Overwrite"]:
            raise AwsError("ParameterAlreadyExists", "it exists")
        self.put_parameter(request["Name"], request["Value"])
        return {"Version": len(self._parameters[request["Name"]])}
