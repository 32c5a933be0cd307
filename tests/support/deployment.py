"""The invalidator, deployed from infra/template.yaml onto the stand-in.

The template is transformed offline by AWS's own translator and created as a stack, so
rules, queue, event source mapping and function are those that a user gets. Three things
are changed on the way: the code comes from build/invalidator.zip, the function's calls
to AWS pass a recorder, and event bus policies are left out: the stand-in has none.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from tests.support.processes import ProcessError, wait_until
from tests.support.stand_in import REGION

if TYPE_CHECKING:
    from tests.support.recorder import Recorder
    from tests.support.stand_in import StandIn

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infra" / "template.yaml"
ARCHIVE = ROOT / "build" / "invalidator.zip"
BUCKET = "rotaware-artifacts"
FUNCTION = "AWS::Lambda::Function"
FINISHED = {"CREATE_COMPLETE", "CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}


def transformed(template: Path = TEMPLATE) -> dict[str, Any]:
    """The plain CloudFormation template that the SAM template stands for."""
    document = yaml_parse(template.read_text())
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"s3://{BUCKET}/{ARCHIVE.name}"
    session = boto3.Session(region_name=REGION)
    # The translator knows the managed policies by this map; the template uses none.
    translator = Translator({}, Parser(), boto_session=session)
    plain: dict[str, Any] = translator.translate(document, {})
    return plain


@dataclass(frozen=True, slots=True)
class Deployment:
    """The invalidator as it runs on the stand-in, and every call that it makes.

    The sheet is a parameter's name; with a table, it is an item's key.
    """

    stand_in: StandIn
    recorder: Recorder
    function_name: str
    queue_url: str
    sheet: str
    table: str | None
    role_name: str
    outputs: dict[str, str]

    def settle(self) -> None:
        """Return when no event is under way to the invalidator, or in it."""
        wait_until(self._is_idle, "the event queue to become empty", 40)

    def sheet_version(self) -> int:
        """How often the stamp sheet was written; 0 where there is none yet."""
        if self.table is not None:
            item = self.stand_in.client("dynamodb").get_item(
                TableName=self.table, Key={"namespace": {"S": self.sheet}}
            )
            edition = item["Item"]["edition"]["S"] if "Item" in item else ".0"
            return int(edition.partition(".")[2])
        parameters = self.stand_in.client("ssm")
        try:
            answer = parameters.get_parameter(Name=self.sheet)
        except parameters.exceptions.ParameterNotFound:
            return 0
        return int(answer["Parameter"]["Version"])

    def rotate(self, name: str, value: str) -> str:
        """Rotate as a rotation function does; return when it stands on the sheet."""
        manager = self.stand_in.client("secretsmanager")
        old = manager.get_secret_value(SecretId=name)["VersionId"]
        new = manager.put_secret_value(
            SecretId=name, SecretString=value, VersionStages=["AWSPENDING"]
        )["VersionId"]
        before = self.sheet_version()
        manager.update_secret_version_stage(
            SecretId=name,
            VersionStage="AWSCURRENT",
            MoveToVersionId=new,
            RemoveFromVersionId=old,
        )
        wait_until(lambda: self.sheet_version() > before, "a stamp on the sheet")
        self.settle()
        return str(new)

    def invoke(self, event: dict[str, Any]) -> Any:
        """Hand it an event directly: the stand-in emits none for CloudTrail."""
        answer = self.stand_in.client("lambda").invoke(
            FunctionName=self.function_name, Payload=json.dumps(event)
        )
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise ProcessError(f"the invalidator failed: {payload}")
        return payload

    def log_lines(self) -> list[str]:
        """What the invalidator has logged."""
        logs = self.stand_in.client("logs")
        return [
            event["message"]
            for group in logs.describe_log_groups()["logGroups"]
            for page in logs.get_paginator("filter_log_events").paginate(
                logGroupName=group["logGroupName"]
            )
            for event in page["events"]
        ]

    def _is_idle(self) -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.stand_in.client("sqs").get_queue_attributes(
            QueueUrl=self.queue_url, AttributeNames=names
        )
        return {answer["Attributes"][name] for name in names} == {"0"}


def deploy(
    stand_in: StandIn,
    stack_name: str = "rotaware",
    stamps: str = "ssm",
    **parameters: str,
) -> Deployment:
    """Create the stack and wait until it stands.

    Args:
        stand_in: AWS.
        stack_name: The stack's name.
        stamps: Where the sheet shall be kept: ``ssm`` or ``dynamodb``.
        parameters: The template's other parameters.
    """
    if not ARCHIVE.exists():
        raise ProcessError(f"{ARCHIVE} is missing: run `make invalidator`")
    storage = stand_in.client("s3")
    with suppress(storage.exceptions.BucketAlreadyOwnedByYou):
        storage.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    storage.put_object(Bucket=BUCKET, Key=ARCHIVE.name, Body=ARCHIVE.read_bytes())
    recorder = stand_in.recorder()
    template = transformed()
    del template["Resources"]["BusPolicy"]
    for resource in template["Resources"].values():
        if resource["Type"] == FUNCTION:
            environment = resource["Properties"].setdefault("Environment", {})
            variables = environment.setdefault("Variables", {})
            variables["AWS_ENDPOINT_URL"] = recorder.url
    parameters["Stamps"] = stamps
    found = create(stand_in, stack_name, template, parameters)
    mappings = stand_in.client("lambda").list_event_source_mappings(
        FunctionName=found[FUNCTION]
    )["EventSourceMappings"]
    queue_name = mappings[0]["EventSourceArn"].rpartition(":")[2]
    queue_url = stand_in.client("sqs").get_queue_url(QueueName=queue_name)["QueueUrl"]
    table = found.get("AWS::DynamoDB::Table")
    namespace = parameters.get("Namespace", "default")
    (stack,) = stand_in.client("cloudformation").describe_stacks(StackName=stack_name)[
        "Stacks"
    ]
    return Deployment(
        stand_in,
        recorder,
        function_name=found[FUNCTION],
        queue_url=queue_url,
        sheet=namespace if table else found["AWS::SSM::Parameter"],
        table=table,
        role_name=found["AWS::IAM::Role"],
        outputs={each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]},
    )


def create(
    stand_in: StandIn, name: str, template: dict[str, Any], parameters: dict[str, str]
) -> dict[str, str]:
    """Create the stack; return its physical ids by type (the last one of each)."""
    cloudformation = stand_in.client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in parameters.items()
        ],
    )

    def status() -> str:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        return str(stack["StackStatus"])

    wait_until(lambda: status() in FINISHED, "the stack to be created", 30)
    resources = cloudformation.describe_stack_resources(StackName=name)
    rows = resources["StackResources"]
    if status() != "CREATE_COMPLETE":
        reasons = [row.get("ResourceStatusReason") for row in rows]
        raise ProcessError(f"the stack failed: {list(filter(None, reasons))}")
    return {row["ResourceType"]: row["PhysicalResourceId"] for row in rows}
