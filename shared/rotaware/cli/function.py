"""The facts about a user's function: its layers, its settings, and what its role may.

Whether a role may do something is asked of IAM's simulator, so nothing is tried out. It
takes the role's policies and the organisation's into account, but not those of a secret
or of a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rotaware.errors import AwsError
from rotaware.parsers import DYNAMODB_SCHEME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rotaware.aws import Aws

LAYER_NAME = "rotaware"
NO_SECRET = "rotaware-doctor-asks-for-no-secret-AbCdEf"  # noqa: S105  a name


class Layer(NamedTuple):
    """A layer's version, as a function names it.

    Attributes:
        arn: Its ARN, with the version.
        name: The layer's name.
        version: The version's number.
        known: Whether AWS shows it.
        architectures: Which it is said to be for.
        newest: The newest version's number, where the account has the layer itself.
    """

    arn: str
    name: str
    version: int
    known: bool = False
    architectures: tuple[str, ...] = ()
    newest: int | None = None


class Function(NamedTuple):
    """A function's configuration; ``environ`` is None where AWS does not show it."""

    name: str
    arn: str
    role: str
    runtime: str
    architecture: str
    is_image: bool
    environ: Mapping[str, str] | None
    layers: tuple[Layer, ...]


class Place(NamedTuple):
    """Where resources are: what their ARNs begin with."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


class Question(NamedTuple):
    """Whether a role may do something, and whether it should."""

    action: str
    resource: str
    about: str
    should: bool


class Answer(NamedTuple):
    """What IAM's simulator says to a question."""

    question: Question
    allowed: bool


def read_function(aws: Aws, name: str) -> Function:
    """The function of this name or ARN.

    Raises:
        AwsError: There is none, or AWS refused.
    """
    request = {"FunctionName": name}
    said = aws.call("lambda", "GetFunctionConfiguration", request)
    environment = said.get("Environment", {})
    unreadable = "Error" in environment
    return Function(
        said["FunctionName"],
        said["FunctionArn"],
        said["Role"],
        said.get("Runtime", ""),
        next(iter(said.get("Architectures") or ["x86_64"])),
        said.get("PackageType") == "Image",
        None if unreadable else environment.get("Variables", {}),
        tuple(_layer(each["Arn"]) for each in said.get("Layers") or ()),
    )


def place_of(function: Function) -> Place:
    """Where the function is."""
    _, partition, _, region, account, *_ = function.arn.split(":")
    return Place(partition, region, account)


def _layer(arn: str) -> Layer:
    *_, name, version = arn.split(":")
    return Layer(arn, name, int(version))


def read_layer(aws: Aws, layer: Layer) -> Layer:
    """The layer's version with what AWS shows of it, if it does.

    Raises:
        AwsError: AWS could not be reached.
    """
    try:
        said = aws.call("lambda", "GetLayerVersionByArn", {"Arn": layer.arn})
    except AwsError as refusal:
        if refusal.code in {"ResourceNotFoundException", "AccessDeniedException"}:
            return layer
        raise
    request = {"LayerName": layer.name}
    versions = aws.call("lambda", "ListLayerVersions", request)["LayerVersions"]
    own = [each for each in versions if each["LayerVersionArn"] == layer.arn]
    return layer._replace(
        known=True,
        architectures=tuple(said.get("CompatibleArchitectures") or ()),
        newest=max(each["Version"] for each in versions) if own else None,
    )


def questions(
    place: Place, sheet: str, secrets: Mapping[str, str]
) -> tuple[Question, ...]:
    """What a function's role should be allowed, and what not.

    Args:
        place: Where the function is.
        sheet: The sheet's address.
        secrets: Name to ARN of the secrets that its variables list.
    """
    if sheet.startswith(DYNAMODB_SCHEME):
        table = sheet.removeprefix(DYNAMODB_SCHEME).partition("/")[0]
        arn = place.arn("dynamodb", f"table/{table}")
        read, write = "dynamodb:GetItem", "dynamodb:PutItem"
    else:
        arn = place.arn("ssm", f"parameter/{sheet.lstrip('/')}")
        read, write = "ssm:GetParameter", "ssm:PutParameter"
    value = "secretsmanager:GetSecretValue"
    wanted = [
        Question(value, secret, f"the secret {name}", should=True)
        for name, secret in secrets.items()
    ]
    any_secret = place.arn("secretsmanager", f"secret:{NO_SECRET}")
    return (
        Question(read, arn, "the sheet", should=True),
        *wanted,
        Question(value, any_secret, "every secret of the account", should=False),
        Question(write, arn, "the sheet", should=False),
    )


def simulate(aws: Aws, role: str, asked: Iterable[Question]) -> list[Answer]:
    """What the role may, question by question.

    Raises:
        AwsError: AWS refused or could not be reached.
    """
    return [Answer(each, _is_allowed(aws, role, each)) for each in asked]


def _is_allowed(aws: Aws, role: str, question: Question) -> bool:
    request = {
        "PolicySourceArn": role,
        "ActionNames": [question.action],
        "ResourceArns": [question.resource],
    }
    (result,) = aws.call("iam", "SimulatePrincipalPolicy", request)["EvaluationResults"]
    return bool(result["EvalDecision"] == "allowed")
