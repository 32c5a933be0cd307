"""boto3's answers and failures, as rotaware's port has them. Real boto3, no AWS."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from rotaware.boto import BotoAws
from rotaware.errors import (
    AwsError,
    AwsSignatureError,
    AwsThrottledError,
    AwsTimeoutError,
    AwsUnavailableError,
    SettingsError,
)
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

SESSION = boto3.Session("AKID", "SECRET", region_name="eu-west-1")
"""One for most, because it has read the services' models then."""


class Scripted(ThreadingHTTPServer):
    """Gives its answers in turn; a missing one is waited for in vain."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, Any]] = []
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.authorizations: list[str] = []
        self.over = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: Scripted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.headers["X-Amz-Target"], json.loads(body)))
        self.server.authorizations.append(self.headers["Authorization"])
        if not self.server.answers:
            self.server.over.wait(10)
            return
        status, answer = self.server.answers.pop(0)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """A server in AWS's place, which boto3 finds as users would have it found."""
    with Scripted() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join(10)


def describe(attempts: int = 1, timeout_seconds: float | None = None) -> dict[str, Any]:
    """One call."""
    return BotoAws(session=SESSION, attempts=attempts).call(
        "secretsmanager",
        "DescribeSecret",
        {"SecretId": "a"},
        timeout_seconds=timeout_seconds,
    )


def refusal(code: str) -> dict[str, Any]:
    """A refusal in AWS's JSON protocol."""
    return {"__type": code, "message": "AWS's words"}


def test_an_answer_has_awss_json_shape(aws: Scripted) -> None:
    """Dates are epoch numbers at any depth, and nothing is added to the answer."""
    answer = {
        "ARN": "arn",
        "DeletedDate": 1769860800.25,
        "Tags": [{"Key": "k", "Value": "v"}],
        "ReplicationStatus": [{"LastAccessedDate": 1769860800}],
    }
    aws.answers.append((200, answer))

    assert answer == describe()
    assert [("secretsmanager.DescribeSecret", {"SecretId": "a"})] == aws.seen


def test_blobs_are_base64_text(aws: Scripted) -> None:
    """Both ways: what AWS is sent, and what the caller gets, is what AWS's JSON has."""
    aws.answers += [(200, {"SecretBinary": "//4="}), (200, {"Plaintext": "AAE="})]
    port = BotoAws(session=SESSION, attempts=1)

    secret = port.call("secretsmanager", "GetSecretValue", {"SecretId": "a"})
    request = {"CiphertextBlob": "/v8A", "EncryptionContext": {"a": "b"}}
    plain = port.call("kms", "Decrypt", request)

    assert {"SecretBinary": "//4="} == secret
    assert {"Plaintext": "AAE="} == plain
    assert request == aws.seen[1][1]


def test_clients_are_made_once_a_service(aws: Scripted) -> None:
    """Each service has a client of its own, which later calls use again."""
    aws.answers += [(200, {"Parameters": []}), (200, {"ARN": "1"}), (200, {"ARN": "2"})]
    made: list[str] = []

    class Session(boto3.Session):
        def client(self, service_name: str, **arguments: Any) -> Any:  # type: ignore[override]
            made.append(service_name)
            make: Any = super().client
            return make(service_name, **arguments)

    port = BotoAws(session=Session(), attempts=1)

    port.call("ssm", "DescribeParameters", {})
    port.call("secretsmanager", "DescribeSecret", {"SecretId": "a"})
    port.call("secretsmanager", "DescribeSecret", {"SecretId": "b"})

    assert ["AmazonSSM.DescribeParameters", *["secretsmanager.DescribeSecret"] * 2] == [
        target for target, _ in aws.seen
    ]
    assert ["ssm", "secretsmanager"] == made


def test_hanging_up_is_not_the_end(
    aws: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After connections are closed, those of its kin too, calls make new ones."""
    aws.answers += [(200, {"ARN": str(number)}) for number in range(4)]
    port = BotoAws(session=SESSION, attempts=2)
    ports = port, port.with_attempts(1)
    call = "secretsmanager", "DescribeSecret", {"SecretId": "a"}
    for each in ports:
        each.call(*call)

    clients, closed = list(port._clients.values()), list[object]()
    for client in clients:
        monkeypatch.setattr(client, "close", partial(closed.append, client))

    port.close_idle()

    assert 2 == len(clients)
    assert clients == closed
    assert {} == ports[0]._clients == ports[1]._clients
    assert ["2", "3"] == [each.call(*call)["ARN"] for each in ports]


def test_another_number_of_attempts(aws: Scripted) -> None:
    """It is for who was given it alone."""
    aws.answers += [(503, refusal("ServiceUnavailable")), (200, {"ARN": "arn"})] * 2
    call = "secretsmanager", "DescribeSecret", {"SecretId": "a"}
    port = BotoAws(session=SESSION)

    with pytest.raises(AwsUnavailableError, match="ServiceUnavailable"):
        port.with_attempts(1).call(*call)

    assert 1 == len(aws.seen)


def test_region_and_endpoint_may_be_chosen(
    aws: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no variables to choose them by, arguments do."""
    url = f"http://127.0.0.1:{aws.server_port}"
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    aws.answers.append((200, {"ARN": "1"}))
    port = BotoAws(session=SESSION, region="us-east-1", endpoint_url=url)

    port.with_attempts(1).call("secretsmanager", "DescribeSecret", {"SecretId": "a"})

    assert "/us-east-1/secretsmanager/" in aws.authorizations[0]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ResourceNotFoundException", AwsError),
        (400, "AccessDeniedException", AwsError),
        (403, "UnrecognizedClientException", AwsSignatureError),
        (400, "ThrottlingException", AwsThrottledError),
        (400, "TooManyUpdates", AwsThrottledError),
        (429, "Anything", AwsThrottledError),
        (400, "RequestTimeout", AwsUnavailableError),
        (500, "InternalServiceError", AwsUnavailableError),
        (503, "ServiceUnavailable", AwsUnavailableError),
    ],
)
def test_a_refusal_keeps_awss_code_and_words(
    aws: Scripted, status: int, code: str, kind: type[AwsError]
) -> None:
    """What AWS refuses is told apart from what it may grant later."""
    aws.answers.append((status, refusal(code)))

    with pytest.raises(AwsError) as caught:
        describe()

    assert (kind, code, "AWS's words", status) == (
        type(caught.value),
        caught.value.code,
        caught.value.message,
        caught.value.status,
    )


def test_a_refusal_without_words(aws: Scripted) -> None:
    """Some refusals are a bare code."""
    aws.answers.append((400, {"__type": "InvalidRequestException"}))

    with pytest.raises(AwsError, match=r"^InvalidRequestException: $"):
        describe()


def test_a_signature_that_aws_does_not_take(aws: Scripted) -> None:
    """AWS repeats the whole request then, session token included; we do not."""
    words = {"__type": "InvalidSignatureException", "message": "No.\nx-token: canary"}
    aws.answers.append((403, words))

    with pytest.raises(AwsSignatureError) as caught:
        describe()

    assert "No." == caught.value.message


@pytest.mark.parametrize(
    ("status", "kind"), [(403, AwsUnavailableError), (429, AwsThrottledError)]
)
def test_who_names_no_error_is_not_aws(
    aws: Scripted, status: int, kind: type[AwsError]
) -> None:
    """A proxy's refusal is none of AWS's: it may pass, and its page is not quoted."""
    aws.answers.append((status, b"<html>canary</html>"))

    with pytest.raises(AwsUnavailableError) as caught:
        describe()

    assert (kind, f"HTTP status {status} without a message") == (
        type(caught.value),
        caught.value.message,
    )


def test_no_answer_in_time(aws: Scripted) -> None:
    """A call that takes too long says which one it was, and is not tried again."""
    with pytest.raises(AwsTimeoutError, match="secretsmanager DescribeSecret: no ans"):
        describe(attempts=3, timeout_seconds=0.2)

    assert 1 == len(aws.seen)


def test_a_single_attempt_may_take_too_long(aws: Scripted) -> None:
    """Then it was botocore that gave up."""
    port = BotoAws(session=SESSION, attempts=1)
    request = {"SecretId": "a"}
    with pytest.raises(AwsTimeoutError, match="secretsmanager DescribeSecret: no ans"):
        port.call("secretsmanager", "DescribeSecret", request, timeout_seconds=0.2)

    config: Any
    (config,) = (client.meta.config for client in port._clients.values())

    assert (0.2, 0.2) == (config.connect_timeout, config.read_timeout)
    assert 1 == len(aws.seen)


def test_a_limit_is_for_one_call_alone(aws: Scripted) -> None:
    """Time that passes between two calls is not the second one's."""
    clock = ManualClock()
    aws.answers += [(200, {"ARN": "1"}), (200, {"ARN": "2"})]
    port = BotoAws(session=SESSION, attempts=1, clock=clock)
    request = {"SecretId": "a"}
    limit = 5.0

    port.call("secretsmanager", "DescribeSecret", request, timeout_seconds=limit)
    clock.tick(60)
    answer = port.call(
        "secretsmanager", "DescribeSecret", request, timeout_seconds=limit
    )

    assert {"ARN": "2"} == answer


@pytest.mark.usefixtures("aws")
def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never reached AWS is unavailable, by the name of botocore's exception."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with pytest.raises(AwsUnavailableError) as caught:
        describe()

    assert "secretsmanager DescribeSecret: EndpointConnectionError" == (
        caught.value.message
    )


@pytest.mark.usefixtures("aws")
def test_no_credentials_to_sign_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how boto3 is given some."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")

    with pytest.raises(AwsUnavailableError, match="NoCredentialsError; give boto3"):
        BotoAws().call("secretsmanager", "DescribeSecret", {"SecretId": "a"})


@pytest.mark.usefixtures("aws")
def test_what_keeps_boto3_from_making_a_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own words name the profile, in one of our errors."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(
        SettingsError, match=r"^session: .*profile \(nobody\).*; correct"
    ):
        BotoAws()


def test_what_asks_for_too_little_hears_aws(aws: Scripted) -> None:
    """It is AWS that judges a request, as it judges the extension's."""
    aws.answers.append((400, refusal("ValidationException")))

    with pytest.raises(AwsError, match=r"^ValidationException: AWS's words$"):
        BotoAws(session=SESSION, attempts=1).call(
            "secretsmanager", "GetSecretValue", {"SecretId": ""}
        )


@pytest.mark.parametrize(
    ("operation", "request_", "answer"),
    [
        ("PutParameter", {"Value": b"canary"}, {"Version": 1}),
        ("PutParameter", {"Canary": "canary"}, {"Version": 1}),
        ("GetParameter", {"Name": "a"}, {"Parameter": {"LastModifiedDate": "canary"}}),
        ("GetParameter", {"Name": "a"}, {"Parameter": ["canary"]}),
    ],
    ids=["request", "unknown", "date", "shape"],
)
def test_no_message_quotes_a_request_or_an_answer(
    aws: Scripted, operation: str, request_: dict[str, Any], answer: dict[str, Any]
) -> None:
    """Botocore's words hold values, and so do its frames; ours do not."""
    aws.answers.append((200, answer))

    with pytest.raises(AwsUnavailableError) as caught:
        BotoAws(session=SESSION, attempts=1).call("ssm", operation, request_)

    assert "canary" not in str(caught.value)
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


def test_a_fault_of_the_moment_is_tried_again(
    aws: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As usual, botocore makes three attempts."""
    pauses: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", pauses.append)
    fault = (503, refusal("ServiceUnavailable"))
    aws.answers += [fault, fault, (200, {"ARN": "arn"})]

    assert {"ARN": "arn"} == describe(attempts=3)
    assert 2 == len(pauses)


def test_no_attempt_begins_when_time_is_over(
    aws: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Botocore's pauses count too."""
    clock = ManualClock()
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: clock.tick(1.0))
    aws.answers += [(503, refusal("ServiceUnavailable")), (200, {"ARN": "arn"})]

    with pytest.raises(AwsTimeoutError, match="no answer in time"):
        BotoAws(session=SESSION, clock=clock).call(
            "secretsmanager", "DescribeSecret", {"SecretId": "a"}, timeout_seconds=1.0
        )

    assert 1 == len(aws.seen)
