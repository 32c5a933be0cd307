"""infra/template.yaml where every permission is checked: each is needed, and enough.

The stack runs on the stand-in, once for each store. What is assumed of AWS, because the
stand-in does not check it: Lambda takes messages and writes logs with the function's
role, here with credentials of one that may do the same; EventBridge heeds the queues'
policy; DynamoDB tells one item's key from another's, and like SQS asks KMS for whoever
calls it; GetParameters and GetParametersByPath have the parameters and the path for
resources. The template's own tests hold these statements to the letter.
"""

from __future__ import annotations

import functools
import json
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.deployment import create, deploy, transformed
from tests.support.events import label_updated, parameter_changed
from tests.support.processes import ProcessError
from tests.support.runtimes import python_on_this_machine
from tests.support.sandbox import Sandbox
from tests.support.stand_in import ACCOUNT, REGION, StandIn
from tests.support.template import rendered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Statement = dict[str, Any]

SSM, DYNAMODB = "ssm", "dynamodb"
HERE = f"{REGION}:{ACCOUNT}"
DENIED = {"AccessDeniedException", "AccessDenied"}
NAMES = {
    "ReadableSecrets": f"arn:aws:secretsmanager:{HERE}:secret:app/*",
    "ReadableParameters": f"arn:aws:ssm:{HERE}:parameter/app/*",
    "ReadableKeys": f"arn:aws:kms:{HERE}:key/any",
}
UNCHECKED = {"ssm:GetParameters", "ssm:GetParametersByPath"}
"""On the stand-in these have no resource, so that no policy but "*" allows them."""


class Right(NamedTuple):
    """One action on one resource, as a statement of the template gives it."""

    stamps: str
    sid: str
    action: str
    place: int

    def __str__(self) -> str:
        return f"{self.stamps}-{self.sid}-{self.action}-{self.place}"

    def taken_from(self, statements: list[Statement]) -> list[Statement]:
        """The same statements without it."""
        return [
            part
            for statement in statements
            for part in (
                self._split(statement) if statement["Sid"] == self.sid else [statement]
            )
        ]

    def _split(self, statement: Statement) -> Iterator[Statement]:
        for action in listed(statement["Action"]):
            for place, resource in enumerate(listed(statement["Resource"])):
                if (action, place) != (self.action, self.place):
                    yield {**statement, "Action": action, "Resource": resource}


def listed(value: Any) -> list[Any]:
    """IAM takes one thing or a list of them."""
    return value if isinstance(value, list) else [value]


def rights(resource: str) -> list[Right]:
    """All that a role or policy of the template gives, in either store."""
    template = transformed()
    found = []
    for stamps in (SSM, DYNAMODB):
        resources = rendered(template, Stamps=stamps, **NAMES)["Resources"]
        policy = resources[resource]["Properties"]
        policy = policy["Policies"][0] if "Policies" in policy else policy
        found += [
            Right(stamps, statement["Sid"], action, place)
            for statement in policy["PolicyDocument"]["Statement"]
            for action in listed(statement["Action"])
            for place, _ in enumerate(listed(statement["Resource"]))
        ]
    return found


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """AWS."""
    with StandIn() as running:
        yield running


class Stack:
    """One deployed stack, and what there is to read and to stamp."""

    def __init__(self, stand_in: StandIn, stamps: str) -> None:
        self.stand_in = stand_in
        self.stamps = stamps
        self.namespace = f"of-{stamps}"
        kms = stand_in.client("kms")
        self.key = kms.create_key()["KeyMetadata"]
        names = NAMES | {"ReadableKeys": self.key["Arn"]}
        self.deployment = deploy(
            stand_in, f"rotaware-{stamps}", stamps, Namespace=self.namespace, **names
        )
        self.secret = f"app/{stamps}"
        self.parameter = f"/app/{stamps}"
        self.sheet = f"/rotaware/{self.namespace}/stamps"
        self.other_secret = f"app/{stamps}/other"
        stand_in.client("secretsmanager").create_secret(
            Name=self.other_secret, SecretString="other"
        )
        for prefix in ("app", "web"):
            name = f"{prefix}/{stamps}"
            stand_in.client("secretsmanager").create_secret(
                Name=name, SecretString="old"
            )
            stand_in.client("ssm").put_parameter(
                Name=f"/{name}", Value="old", Type="String"
            )
        self.ciphertext = kms.encrypt(KeyId=self.key["KeyId"], Plaintext=b"x")[
            "CiphertextBlob"
        ]

    @property
    def stamping(self) -> list[Statement]:
        """What the invalidator's role allows."""
        answer = self.stand_in.client("iam").get_role_policy(
            RoleName=self.deployment.role_name, PolicyName="stamp"
        )
        found: list[Statement] = answer["PolicyDocument"]["Statement"]
        return found

    @property
    def reading(self) -> list[Statement]:
        """What the managed policy allows."""
        iam = self.stand_in.client("iam")
        arn = self.deployment.outputs["ReadingPolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = iam.get_policy_version(PolicyArn=arn, VersionId=version)
        found: list[Statement] = answer["PolicyVersion"]["Document"]["Statement"]
        return found

    def allow(self, statements: list[Statement]) -> None:
        """Give the invalidator's role just this."""
        self.stand_in.client("iam").put_role_policy(
            RoleName=self.deployment.role_name,
            PolicyName="stamp",
            PolicyDocument=policy_of(statements),
        )

    def overwrite_unread(self) -> None:
        """Leave the sheet as if two writers had written at once."""
        parameters = self.stand_in.client("ssm")
        value = parameters.get_parameter(Name=self.sheet)["Parameter"]["Value"]
        parameters.put_parameter(Name=self.sheet, Value=value, Overwrite=True)

    def stamp(self) -> None:
        """Let the invalidator stamp a secret, and each time another parameter."""
        describe = self.stand_in.client("secretsmanager").describe_secret
        arn = describe(SecretId=self.secret)["ARN"]
        if self.stamps == SSM:
            self.overwrite_unread()
        self.deployment.invoke(label_updated(arn, self.secret))
        self.deployment.invoke(parameter_changed(f"/gone/{uuid.uuid4()}"))

    def clients(self, statements: list[Statement]) -> Callable[[str], Any]:
        """AWS, as a role has it that allows just this."""
        keys = self.stand_in.assume(statements)
        # The stubs know an overload for each service, and none for any service.
        make: Any = boto3.client
        return functools.partial(
            make,
            region_name=REGION,
            endpoint_url=self.stand_in.url,
            **{name.lower(): value for name, value in keys.items()},
        )

    @functools.cached_property
    def reader(self) -> Callable[[str], Any]:
        """AWS, as a function has it that has the managed policy."""
        return self.clients(self.reading)

    @functools.cached_property
    def invalidator(self) -> Callable[[str], Any]:
        """AWS, as the invalidator has it."""
        return self.clients(self.stamping)

    def poll(self, statements: list[Statement]) -> None:
        """Take and settle a message as Lambda does for a function with such a role."""
        sqs = self.clients(statements)("sqs")
        queue = {"QueueUrl": self.deployment.outputs["DeadLetterQueueUrl"]}
        self.stand_in.client("sqs").send_message(**queue, MessageBody="{}")
        sqs.get_queue_attributes(**queue, AttributeNames=["QueueArn"])
        (message,) = sqs.receive_message(**queue)["Messages"]
        sqs.delete_message(**queue, ReceiptHandle=message["ReceiptHandle"])

    def log(self, statements: list[Statement]) -> None:
        """Write a line as Lambda does for a function with such a role."""
        logs = self.clients(statements)("logs")
        stream = {"logGroupName": self.log_group, "logStreamName": str(uuid.uuid4())}
        logs.create_log_stream(**stream)
        line = {"timestamp": int(time.time() * 1000), "message": "x"}
        logs.put_log_events(**stream, logEvents=[line])

    @property
    def log_group(self) -> str:
        """Where the function logs."""
        function = self.stand_in.client("lambda").get_function_configuration(
            FunctionName=self.deployment.function_name
        )
        return str(function["LoggingConfig"]["LogGroup"])


def policy_of(statements: list[Statement]) -> str:
    """The document."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture(scope="module")
def stacks(stand_in: StandIn) -> dict[str, Stack]:
    """One for each store, on the same AWS."""
    return {stamps: Stack(stand_in, stamps) for stamps in (SSM, DYNAMODB)}


@pytest.fixture(params=[SSM, DYNAMODB])
def stack(request: pytest.FixtureRequest, stacks: dict[str, Stack]) -> Stack:
    """With the sheet in either."""
    return stacks[request.param]


def test_the_main_job(stack: Stack) -> None:
    """With the two policies as they are, a rotation is read by the next invocation."""
    calls = stack.stand_in.recorder()
    environ = stack.stand_in.assume(stack.reading) | {
        "ROTAWARE_CHECK_INTERVAL": "0",
        "ROTAWARE_NAMESPACE": stack.namespace,
        "ROTAWARE_STAMPS": stack.deployment.outputs["Stamps"],
        "SECRET_0": stack.secret,
        "SECRET_1": stack.other_secret,
    }
    parameter = f"/systemsmanager/parameters/get?name={stack.parameter}"
    event = {"secrets": [stack.secret, stack.other_secret], "paths": [parameter]}
    runtime = python_on_this_machine()
    with Sandbox(
        runtime.function, environ=environ, endpoint_url=calls.url, runtime=runtime
    ) as sandbox:
        before = sandbox.invoke(event).body
        stack.deployment.rotate(stack.secret, "new")
        after = sandbox.invoke(event).body

    assert [["old", "other"], ["new", "other"]] == [before["values"], after["values"]]
    assert 200 == after["answers"][0]["status"]
    assert {200} == {call.status for call in calls.calls}
    sheet = {SSM: "ssm.GetParameter", DYNAMODB: "dynamodb.GetItem"}[stack.stamps]
    fetches = {"GetSecretValue", "BatchGetSecretValue"}
    assert {
        sheet,
        "ssm.GetParameter",
        *(f"secretsmanager.{each}" for each in fetches),
    } == set(calls.counts)
    assert {200} == {call.status for call in stack.deployment.recorder.calls}


def test_the_invalidator_may_all_that_it_does(stack: Stack) -> None:
    """With its role as it is, it stamps what it shall, takes events and logs."""
    stack.stamp()
    stack.poll(elsewhere(stack.stamping, stack))
    stack.log(elsewhere(stack.stamping, stack))


def told(lines: list[str]) -> dict[tuple[str, str, str], dict[str, str]]:
    """What CloudWatch makes of a log: a metric's dimensions by all its names."""
    found = {}
    for document in (json.loads(line) for line in lines if '"_aws"' in line):
        for about in document["_aws"]["CloudWatchMetrics"]:
            for metric in about["Metrics"]:
                (names,) = about["Dimensions"]
                key = (about["Namespace"], metric["Name"], document["service"])
                found[key] = {name: document[name] for name in names}
    return found


def test_alarms_and_dashboard_look_for_what_it_tells(stack: Stack) -> None:
    """Namespace, name and dimensions are those of the metrics in its own log."""
    stack.stamp()
    stack.deployment.invoke({"source": "nobody"})
    service = f"invalidator-{stack.namespace}"
    resources = rendered(transformed(), Namespace=stack.namespace)["Resources"]
    alarms = [
        each["Properties"] for each in resources.values() if "Alarm" in each["Type"]
    ]
    own = {
        each["MetricName"]: {one["Name"]: one["Value"] for one in each["Dimensions"]}
        for each in alarms
        if each["Namespace"] == "rotaware"
    }
    metrics = told(stack.deployment.log_lines())

    assert {"EventToStampLag", "SheetFullness"} == own.keys()
    for name, dimensions in own.items():
        assert dimensions == metrics["rotaware", name, service]
    # The dashboard searches for one dimension more than it names.
    assert {"service", "reason"} == metrics["rotaware", "EventsIgnored", service].keys()
    assert "{rotaware,reason,service}" in json.dumps(resources["Dashboard"])


@pytest.mark.parametrize("right", rights("Role"), ids=str)
def test_the_invalidator_needs_each_right(
    stacks: dict[str, Stack], right: Right
) -> None:
    """Without any one of them something is refused, and that is what was taken away."""
    stack = stacks[right.stamps]
    whole = stack.stamping
    rest = right.taken_from(whole)
    job = {"sqs": stack.poll, "logs": stack.log}.get(right.action.partition(":")[0])
    if job is not None:
        with pytest.raises(ClientError, match=f"perform: {right.action} "):
            job(elsewhere(rest, stack))
        return
    stack.allow(rest)
    try:
        with pytest.raises(ProcessError, match=f"perform: {right.action} "):
            stack.stamp()
    finally:
        stack.allow(whole)


def elsewhere(statements: list[Statement], stack: Stack) -> list[Statement]:
    """The same rights where they can be tried.

    Lambda itself empties the queue; the dead-letter queue takes its place. The ARN of a
    log group ends in ":*" in AWS, and is matched without it here.
    """
    queue = stack.deployment.queue_url.rpartition("/")[2]
    other = stack.deployment.outputs["DeadLetterQueueUrl"].rpartition("/")[2]
    text = json.dumps(statements).replace(queue, other)
    text = text.replace(f"{stack.log_group}:*", f"{stack.log_group}*")
    found: list[Statement] = json.loads(text)
    return found


def reads(stack: Stack, right: Right, allowed: Callable[[str], Any]) -> None:
    """Read that for which a right is given."""
    sheet = stack.sheet if right.sid == "ReadTheSheet" else stack.parameter
    match right.action:
        case "secretsmanager:GetSecretValue":
            allowed("secretsmanager").get_secret_value(SecretId=stack.secret)
        case "secretsmanager:BatchGetSecretValue":
            allowed("secretsmanager").batch_get_secret_value(
                SecretIdList=[stack.secret]
            )
        case "ssm:GetParameter":
            allowed("ssm").get_parameter(Name=sheet)
        case "dynamodb:GetItem":
            allowed("dynamodb").get_item(
                TableName=stack.deployment.table,
                Key={"namespace": {"S": stack.namespace}},
            )
        case "kms:Decrypt":
            allowed("kms").decrypt(
                KeyId=stack.key["Arn"], CiphertextBlob=stack.ciphertext
            )
        case _:
            pytest.fail(f"nobody needs {right.action}")


READING = [right for right in rights("ReadingPolicy") if right.action not in UNCHECKED]


@pytest.mark.parametrize("right", READING, ids=str)
def test_a_function_needs_each_right(stacks: dict[str, Stack], right: Right) -> None:
    """What a right is given for works with it, and is refused without it."""
    stack = stacks[right.stamps]
    reads(stack, right, stack.reader)

    with pytest.raises(ClientError) as refused:
        reads(stack, right, stack.clients(right.taken_from(stack.reading)))
    assert refused.value.response["Error"]["Code"] in DENIED


OUTSIDE: dict[str, Callable[[Stack, Callable[[str], Any]], object]] = {
    "another secret": lambda stack, aws: aws("secretsmanager").get_secret_value(
        SecretId=f"web/{stack.stamps}"
    ),
    "another parameter": lambda stack, aws: aws("ssm").get_parameter(
        Name=f"/web/{stack.stamps}"
    ),
    "another namespace's sheet": lambda stack, aws: aws("ssm").get_parameter(
        Name=f"/rotaware/not-{stack.namespace}/stamps"
    ),
    "the whole table": lambda _, aws: aws("dynamodb").scan(
        TableName=f"rotaware-of-{DYNAMODB}"
    ),
    "to write an item": lambda stack, aws: aws("dynamodb").put_item(
        TableName=f"rotaware-of-{DYNAMODB}",
        Item={"namespace": {"S": stack.namespace}},
    ),
    "to write the sheet": lambda stack, aws: aws("ssm").put_parameter(
        Name=stack.sheet, Value="{}", Type="String", Overwrite=True
    ),
    "to write a parameter": lambda stack, aws: aws("ssm").put_parameter(
        Name=stack.parameter, Value="{}", Type="String", Overwrite=True
    ),
    "to write a secret": lambda stack, aws: aws("secretsmanager").put_secret_value(
        SecretId=stack.secret, SecretString="x"
    ),
    "to describe a secret": lambda stack, aws: aws("secretsmanager").describe_secret(
        SecretId=stack.secret
    ),
    "to take events": lambda stack, aws: aws("sqs").receive_message(
        QueueUrl=stack.deployment.queue_url
    ),
    "to use a key otherwise": lambda stack, aws: aws("kms").encrypt(
        KeyId=stack.key["KeyId"], Plaintext=b"x"
    ),
}


@pytest.mark.parametrize("attempt", OUTSIDE.values(), ids=OUTSIDE)
def test_a_function_has_no_other_right(
    stack: Stack, attempt: Callable[[Stack, Callable[[str], Any]], object]
) -> None:
    """Nothing that the policy does not name is read, and nothing at all is written."""
    with pytest.raises(ClientError) as refused:
        attempt(stack, stack.reader)

    assert refused.value.response["Error"]["Code"] in DENIED


BEYOND: dict[str, Callable[[Stack, Callable[[str], Any]], object]] = {
    "a secret's value": lambda stack, aws: aws("secretsmanager").get_secret_value(
        SecretId=stack.secret
    ),
    "a parameter's value": lambda stack, aws: aws("ssm").get_parameter(
        Name=stack.parameter
    ),
    "to write another namespace's sheet": lambda stack, aws: aws("ssm").put_parameter(
        Name=f"/rotaware/not-{stack.namespace}/stamps", Value="{}", Type="String"
    ),
    "to write a parameter": OUTSIDE["to write a parameter"],
    "to write a secret": OUTSIDE["to write a secret"],
    "to send events": lambda stack, aws: aws("sqs").send_message(
        QueueUrl=stack.deployment.queue_url, MessageBody="{}"
    ),
}


@pytest.mark.parametrize("attempt", BEYOND.values(), ids=BEYOND)
def test_the_invalidator_has_no_other_right(
    stack: Stack, attempt: Callable[[Stack, Callable[[str], Any]], object]
) -> None:
    """It reads no value, and writes its own sheet alone."""
    with pytest.raises(ClientError) as refused:
        attempt(stack, stack.invalidator)

    assert refused.value.response["Error"]["Code"] in DENIED


def test_a_replica_is_asked_about_where_it_is(stack: Stack) -> None:
    """An event of another Region becomes a stamp, by the right to ask in this one."""
    secrets = stack.stand_in.client("secretsmanager")
    arn = secrets.describe_secret(SecretId=stack.secret)["ARN"]
    stack.deployment.recorder.clear()

    stack.deployment.invoke(label_updated(arn.replace(REGION, "us-east-1")))

    asked = [
        call.request["SecretId"]
        for call in stack.deployment.recorder.calls
        if call.name == "secretsmanager.DescribeSecret"
    ]
    assert {arn} == set(asked)
    assert {200} == {call.status for call in stack.deployment.recorder.calls}


@pytest.mark.parametrize(
    ("account", "code"),
    [
        ("111111111111", "ResourceNotFoundException"),
        ("222222222222", "ResourceNotFoundException"),
        ("333333333333", "AccessDeniedException"),
    ],
)
def test_secrets_of_named_accounts_may_be_asked_about(
    stacks: dict[str, Stack], account: str, code: str
) -> None:
    """What the stand-in cannot find there is what the role was allowed to ask for."""
    accounts = "111111111111,222222222222"
    role = rendered(transformed(), OtherAccounts=accounts)["Resources"]["Role"]
    statements = role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    asking = [each for each in statements if "OfAnothersSecret" in each["Sid"]]
    secrets = stacks[SSM].clients(asking)("secretsmanager")
    arn = f"arn:aws:secretsmanager:{REGION}:{account}:secret:app/db-AbCdEf"

    with pytest.raises(ClientError) as refused:
        secrets.describe_secret(SecretId=arn)
    assert code == refused.value.response["Error"]["Code"]


REFUSED = {
    "Namespace": ["", "a b", "a/b", "x" * 129],
    "Stamps": ["s3"],
    "SecretPrefixes": ["", "app/,", 'a"b', "a b"],
    "ParameterPrefixes": ["", "/app/,", "/app/*"],
    "CloudTrailEvents": ["yes"],
    "OtherAccounts": ["", "1234", "arn:aws:iam::123456789012:root"],
    "ReadableSecrets": ["app/db", "*", f"{NAMES['ReadableSecrets']},"],
    "ReadableParameters": ["/app/*", "*"],
    "ReadableKeys": ["alias/app", "*", f"arn:aws:kms:{HERE}:alias/app"],
    "KeyArn": ["alias/app", f"arn:aws:kms:{HERE}:alias/app"],
    "LogRetentionDays": ["0", "8", "forever"],
    "LagAlarmSeconds": ["4", "3601", "5.5", "-60"],
    "AlarmEmail": ["on-call", "a@b@example.com,"],
    "AlarmTopicArn": ["on-call"],
}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The plain template, without what the stand-in does not know."""
    plain = transformed()
    del plain["Resources"]["BusPolicy"]
    return plain


def test_every_parameter_has_a_wrong_value(template: dict[str, Any]) -> None:
    """None takes just anything."""
    assert template["Parameters"].keys() == REFUSED.keys()


@pytest.mark.parametrize(
    ("name", "value"), [(name, each) for name in REFUSED for each in REFUSED[name]]
)
def test_wrong_parameters_are_refused_before_anything_is_made(
    stand_in: StandIn, template: dict[str, Any], name: str, value: str
) -> None:
    """The answer names the parameter, and the template says what to write instead."""
    with pytest.raises(ClientError, match=f"Parameter '{name}' ") as refused:
        create(stand_in, "rotaware-wrong", template, {name: value})

    assert "ValidationError" == refused.value.response["Error"]["Code"]
    assert template["Parameters"][name]["ConstraintDescription"].startswith("write ")
