"""What is wrong with a user's function, and how to put it right: findings from facts.

No I/O here; ``function`` collects the facts. Of the function's variables only names are
shown, and of ``SECRET_*`` variables what they name if AWS has no such secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rotaware import parsers
from rotaware.cli.findings import ERROR, OK, WARNING, Finding
from rotaware.cli.function import LAYER_NAME
from rotaware.kms import encrypted_variables
from rotaware.secret import SECRETS_MANAGER
from rotaware.settings import Settings, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rotaware.cli.function import Answer, Function, Layer, Place

SECRET_PREFIX = "SECRET_"  # noqa: S105  the name of a variable
AWS_LAYER = "AWS-Parameters-and-Secrets-Lambda-Extension"
OLDEST_PYTHON = 12
"""Python 3.12 and newer run the flavour of the layer that has no interpreter."""
_NO_NAMES = "name secrets by SECRET_* variables, to have them looked at here"


class Chosen(NamedTuple):
    """What a function's variables say.

    Attributes:
        usable: Whether an extension starts with them.
        sheet: The address of its sheet; None for none.
        secrets: Variable to the secret that it names.
        findings: What is wrong with them.
    """

    usable: bool
    sheet: str | None
    secrets: Mapping[str, str]
    findings: list[Finding]


def of_layers(function: Function, layers: Iterable[Layer]) -> list[Finding]:
    """Whether the layer is there, and can run."""
    about = "layer"
    if function.is_image:
        text = f"{function.name} is a container image: what is in it cannot be seen"
        fix = "copy the layer's content to /opt in its Dockerfile"
        return [Finding(WARNING, about, text, fix)]
    found = []
    ours = [layer for layer in layers if LAYER_NAME in layer.name.lower()]
    if not ours:
        text = f"{function.name} has no layer with {LAYER_NAME} in its name"
        fix = (
            f"aws lambda update-function-configuration --function-name {function.name}"
            " --layers <the layer's ARN> <all others that it has>"
        )
        found.append(Finding(ERROR, about, text, fix))
    found += [_of_layer(function, layer) for layer in ours]
    if any(layer.name == AWS_LAYER for layer in function.layers):
        text = "AWS's extension is on the function too, and takes the same port"
        fix = "remove it: rotaware answers its requests"
        found.append(Finding(ERROR, about, text, fix))
    return found


def _of_layer(function: Function, layer: Layer) -> Finding:
    about = f"layer {layer.name}:{layer.version}"
    if not layer.known:
        text = "AWS does not show it: it was deleted, or is another account's"
        fix = "publish the layer in this account and Region, and use that version"
        return Finding(WARNING, about, text, fix)
    own = function.architecture
    if not layer.architectures:
        text = "does not say for which processor it is"
        fix = f"publish it with --compatible-architectures {own}, if it is for that"
        return Finding(WARNING, about, text, fix)
    if own not in layer.architectures:
        text = f"is for {', '.join(layer.architectures)}, the function runs on {own}"
        region = layer.arn.split(":")[3]
        fix = f"make publish REGIONS={region} ARCH={own}; use that layer instead"
        return Finding(ERROR, about, text, fix)
    if "python" in layer.name and not _runs_sources(function.runtime):
        text = f"needs Python 3.{OLDEST_PYTHON} or newer, not {function.runtime}"
        fix = "use the layer that has an interpreter, build/layer.zip"
        return Finding(ERROR, about, text, fix)
    if layer.newest is not None and layer.newest > layer.version:
        newest = f"{layer.arn.rpartition(':')[0]}:{layer.newest}"
        return Finding(WARNING, about, "is not the newest", f"use {newest}")
    return Finding(OK, about, f"is for {own}")


def _runs_sources(runtime: str) -> bool:
    minor = runtime.removeprefix("python3.")
    return minor.isdecimal() and int(minor) >= OLDEST_PYTHON


def of_settings(environ: Mapping[str, str] | None) -> Chosen:
    """What the function's variables say, and what is wrong with them."""
    if environ is None:
        text = "the function's variables are encrypted, and you may not decrypt them"
        fix = "allow kms:Decrypt on their key to yourself"
        found = [Finding(WARNING, "settings", text, fix)]
        return Chosen(usable=False, sheet=None, secrets={}, findings=found)
    values, problems = parsed(environ)
    encrypted = values.get("kms_env") or ()
    problems = [*problems, *encrypted_variables(environ, encrypted)[1]]
    secrets = {}
    for variable, text in environ.items():
        if variable.startswith(SECRET_PREFIX) and variable not in encrypted:
            try:
                secrets[variable] = parsers.resource_id(text)
            except ValueError as fault:
                problems.append(f"{variable}: {fault}")
    if problems:
        found = [_problem(each) for each in problems]
        return Chosen(usable=False, sheet=None, secrets=secrets, findings=found)
    sheet = Settings.from_parsed(values).stamps
    fine = Finding(OK, "settings", "can be used")
    return Chosen(usable=True, sheet=sheet, secrets=secrets, findings=[fine])


def _problem(text: str) -> Finding:
    said, _, fix = text.rpartition("; ")
    return Finding(ERROR, "settings", said or fix, fix if said else "correct it")


def of_sheets(own: str | None, written: str) -> Finding:
    """Whether the function looks at the sheet that the invalidator writes."""
    about = "namespace"
    if own is None:
        text = "ROTAWARE_STAMPS=off: the function does not look at any sheet"
        return Finding(WARNING, about, text, "remove the variable")
    if own != written:
        text = f"the function looks at {own}, the invalidator writes {written}"
        fix = f"{_variables(written)}, or look at another stack with --stack"
        return Finding(ERROR, about, text, fix)
    return Finding(OK, about, f"the function looks at {own}")


def _variables(sheet: str) -> str:
    """How a function is set to a sheet."""
    head, _, namespace = sheet.rpartition("/")
    if head.startswith("dynamodb://"):
        return f"set ROTAWARE_STAMPS={head} and ROTAWARE_NAMESPACE={namespace}"
    if sheet.startswith("/rotaware/") and sheet.endswith("/stamps"):
        namespace = sheet.removeprefix("/rotaware/").removesuffix("/stamps")
        return f"set ROTAWARE_NAMESPACE={namespace}, and ROTAWARE_STAMPS to ssm"
    return f"set ROTAWARE_STAMPS=ssm://{sheet}"


def of_names(
    secrets: Mapping[str, str], arns: Mapping[str, str], place: Place
) -> list[Finding]:
    """Whether there is each secret that the variables name.

    Args:
        secrets: Variable to name or ARN.
        arns: The names of those that there are, with their ARNs.
        place: Where the function is; of another account's secrets nothing is known.
    """
    if not secrets:
        return [Finding(OK, "secrets", f"no variable names one; {_NO_NAMES}")]
    missing = {
        variable: name
        for variable, name in secrets.items()
        if name not in arns and not _is_elsewhere(name, place)
    }
    found = [
        Finding(
            ERROR,
            f"variable {variable}",
            f"names the secret {name}, which is not here",
            "correct the name, create the secret, or rename a variable that is not"
            " for rotaware",
        )
        for variable, name in missing.items()
    ]
    return found or [Finding(OK, "secrets", "each that a variable names is there")]


def _is_elsewhere(name: str, place: Place) -> bool:
    here = place.arn(SECRETS_MANAGER, "")
    return name.startswith("arn:") and not name.startswith(here)


def of_role(role: str, answers: Iterable[Answer]) -> list[Finding]:
    """Whether the role may do what it should, and no more."""
    name = role.rpartition("/")[2]
    found = []
    for question, allowed in answers:
        verb = "read" if ":Get" in question.action else "write"
        if question.should and not allowed:
            text = f"may not read {question.about}"
            fix = f"allow {question.action} on {question.resource} to it"
            found.append(Finding(ERROR, f"role {name}", text, fix))
        if allowed and not question.should:
            text = f"may {verb} {question.about}"
            fix = f"narrow down what allows it {question.action}"
            found.append(Finding(WARNING, f"role {name}", text, fix))
    text = "may read the sheet and the secrets that are named, and no more"
    return found or [Finding(OK, f"role {name}", text)]
