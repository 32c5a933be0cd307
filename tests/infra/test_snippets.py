"""infra/snippets: each makes the same function, and is rendered by its own tool."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infra.snippets import tools
from tests.support.deployment import transformed
from tests.support.sandbox import ROOT

SNIPPETS = ROOT / "infra" / "snippets"
TERRAFORM = SNIPPETS / "terraform"
VARIABLES = {"SECRET_DB": "app/db", "ROTAWARE_CHECK_INTERVAL": "5"}
READ = "secretsmanager:GetSecretValue"
# Of the provider's schema, version 6.25.0: what a block must have, and what it may.
ARGUMENTS = {
    "aws_lambda_function": (
        {"function_name", "role"},
        {"architectures", "environment", "filename", "handler", "layers"}
        | {"memory_size", "runtime", "source_code_hash"},
    ),
    "aws_iam_role": ({"assume_role_policy"}, {"name", "name_prefix"}),
    "aws_iam_role_policy": ({"policy", "role"}, {"name", "name_prefix"}),
    "aws_iam_role_policy_attachment": ({"policy_arn", "role"}, set[str]()),
}


class Made(NamedTuple):
    """What a snippet makes: the function's settings and its role."""

    runtime: str
    handler: str
    architectures: list[str]
    layers: list[Any]
    variables: dict[str, str]
    managed_policies: list[Any]
    actions: set[str]


def environ(tmp_path: Path) -> dict[str, str]:
    """For a tool that writes into its home; nothing else of this process."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(tmp_path)}


def of_cloudformation(template: dict[str, Any]) -> Made:
    """The same of a plain CloudFormation template."""
    resources = list(template["Resources"].values())

    def only(kind: str) -> dict[str, Any]:
        (found,) = [each for each in resources if each["Type"] == kind]
        properties: dict[str, Any] = found["Properties"]
        return properties

    function, role = only("AWS::Lambda::Function"), only("AWS::IAM::Role")
    policies = role.get("Policies", []) + [
        each["Properties"] for each in resources if each["Type"] == "AWS::IAM::Policy"
    ]
    named = [
        statement["Action"]
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    actions = {
        action
        for each in named
        for action in ([each] if isinstance(each, str) else each)
    }
    return Made(
        function["Runtime"],
        function["Handler"],
        function["Architectures"],
        function["Layers"],
        function["Environment"]["Variables"],
        role["ManagedPolicyArns"],
        actions,
    )


def check(template: Path, *ignored: str) -> None:
    """cfn-lint finds nothing else."""
    options = ["-i", *ignored] if ignored else []
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), template, *options],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (0, "") == (done.returncode, done.stdout + done.stderr)


def test_the_sam_snippet_is_valid_and_complete() -> None:
    """By cfn-lint, and by SAM's own transformation."""
    template = SNIPPETS / "sam" / "template.yaml"
    check(template)
    made = of_cloudformation(transformed(template))

    assert (made.runtime, made.handler) == ("python3.13", "app.handler")
    assert made.architectures == ["arm64"]
    assert made.layers == [{"Ref": "LayerArn"}]
    assert made.variables == VARIABLES
    assert {"Ref": "ReadingPolicyArn"} in made.managed_policies
    assert made.actions == {READ}


@pytest.mark.timeout(600)
def test_the_cdk_snippet_is_valid_and_complete(tmp_path: Path) -> None:
    """The CDK renders it, and cfn-lint finds nothing in the result."""
    out = tmp_path / "out"
    cdk = {
        "PYTHONPATH": str(tools.libraries()),
        "JSII_NODE": str(tools.node()),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(ROOT / "build" / "vendor" / "jsii"),
        "CDK_OUTDIR": str(out),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", SNIPPETS / "cdk" / "app.py"],
        cwd=tmp_path,
        env=environ(tmp_path) | cdk,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr

    template = out / "Reader.template.json"
    check(
        template, "W3005"
    )  # the CDK says what depends on what more often than need be
    made = of_cloudformation(json.loads(template.read_text()))

    assert (made.runtime, made.handler) == ("python3.13", "app.handler")
    assert made.architectures == ["arm64"]
    assert made.layers == [{"Ref": "LayerArn"}]
    assert made.variables == VARIABLES
    assert {"Ref": "ReadingPolicyArn"} in made.managed_policies
    # The CDK adds one that reads no value.
    assert made.actions == {READ, "secretsmanager:DescribeSecret"}


@pytest.fixture(scope="module")
def terraform() -> dict[str, dict[str, Any]]:
    """The resources of the Terraform snippet, by ``type.name``."""
    program = "import hcl2, json, sys; json.dump(hcl2.load(sys.stdin), sys.stdout)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=(TERRAFORM / "main.tf").read_text(),
        env={"PYTHONPATH": str(tools.libraries())},
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        f"{kind}.{name}": block
        for resource in json.loads(done.stdout)["resource"]
        for kind, named in resource.items()
        for name, block in named.items()
    }


def test_the_terraform_snippet_is_complete(terraform: dict[str, Any]) -> None:
    """It is the function that the others make, too."""
    function = terraform["aws_lambda_function.reader"]

    assert (function["runtime"], function["handler"]) == ("python3.13", "app.handler")
    assert function["architectures"] == ["arm64"]
    assert function["layers"] == ["${var.layer_arn}"]
    assert function["environment"] == [{"variables": VARIABLES}]

    attached = terraform["aws_iam_role_policy_attachment.rotaware"]

    assert attached["policy_arn"] == "${var.reading_policy_arn}"
    assert READ in terraform["aws_iam_role_policy.secret"]["policy"]


def test_the_terraform_provider_knows_every_argument(terraform: dict[str, Any]) -> None:
    """And every one that it requires is there."""
    for name, block in terraform.items():
        required, optional = ARGUMENTS[name.partition(".")[0]]

        assert required <= block.keys(), name
        assert block.keys() <= required | optional, name


def ask_terraform(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What terraform answers."""
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is not installed")
    return subprocess.run(
        [program, *arguments, "-no-color"],
        cwd=folder,
        env=environ(folder) | {"CHECKPOINT_DISABLE": "1"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_terraform_reads_the_snippet(tmp_path: Path) -> None:
    """Its formatter finds neither a syntax error nor anything to change."""
    shutil.copy(TERRAFORM / "main.tf", tmp_path)
    done = ask_terraform("fmt", "-check", "-diff", folder=tmp_path)

    assert (0, "") == (done.returncode, done.stdout)


@pytest.mark.timeout(600)
def test_terraform_validates_the_snippet(tmp_path: Path) -> None:
    """With the providers themselves, where their registry can be reached."""
    shutil.copy(TERRAFORM / "main.tf", tmp_path)
    begun = ask_terraform("init", "-backend=false", folder=tmp_path)
    if "could not connect to registry" in " ".join(begun.stderr.split()):
        pytest.skip("the registry of Terraform's providers cannot be reached")

    assert begun.returncode == 0, begun.stderr

    done = ask_terraform("validate", folder=tmp_path)

    assert done.returncode == 0, done.stderr
