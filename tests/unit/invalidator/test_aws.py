"""boto3's answers and failures, as rotaware's port has them. Real boto3, no AWS."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from invalidator.aws import CONFIG, BotoAws
from rotaware.errors import (
    AwsError,
    AwsSignatureError,
    AwsThrottledError,
    AwsTimeoutError,
    AwsUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE_ATTEMPT = Config(
    retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=0.2
)


class Scripted(ThreadingHTTPServer):
    """Gives its answers in turn; a missing one is waited for in vain."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.over = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: Scripted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.headers["X-Amz-Target"], json.loads(body)))
        if not self.server.answers:
            self.server.over.wait(10)
            return
        status, answer = self.server.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

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


def describe(config: Config = ONE_ATTEMPT) -> dict[str, Any]:
    """One call."""
    return BotoAws(config).call("secretsmanager", "DescribeSecret", {"SecretId": "a"})


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


def test_clients_are_made_once_a_service(aws: Scripted) -> None:
    """Each service has a client of its own, which later calls use again."""
    aws.answers += [(200, {"Parameters": []}), (200, {"ARN": "1"}), (200, {"ARN": "2"})]
    port = BotoAws(ONE_ATTEMPT)

    port.call("ssm", "DescribeParameters", {})
    port.call("secretsmanager", "DescribeSecret", {"SecretId": "a"})
    port.call("secretsmanager", "DescribeSecret", {"SecretId": "b"})

    assert ["AmazonSSM.DescribeParameters", *["secretsmanager.DescribeSecret"] * 2] == [
        target for target, _ in aws.seen
    ]
    assert {"ssm", "secretsmanager"} == port._clients.keys()


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


def test_no_answer_in_time(aws: Scripted) -> None:
    """A call that takes too long says which one it was."""
    with pytest.raises(AwsTimeoutError, match="DescribeSecret: no answer"):
        describe()

    assert 1 == len(aws.seen)


@pytest.mark.usefixtures("aws")
def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never reached AWS is unavailable, by the name of botocore's exception."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with pytest.raises(AwsUnavailableError) as caught:
        describe()

    assert f"secretsmanager DescribeSecret: {caught.value.code}" == caught.value.message


@pytest.mark.usefixtures("aws")
def test_a_message_never_quotes_the_request() -> None:
    """Botocore's words about a bad request hold its values; ours do not."""
    with pytest.raises(AwsUnavailableError) as caught:
        BotoAws(ONE_ATTEMPT).call("ssm", "PutParameter", {"Value": ["canary"]})

    assert "ParamValidationError" == caught.value.code
    assert "canary" not in str(caught.value)


def test_a_fault_of_the_moment_is_tried_again(
    aws: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As configured for Lambda, botocore makes three attempts."""
    pauses: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", pauses.append)
    fault = (503, refusal("ServiceUnavailable"))
    aws.answers += [fault, fault, (200, {"ARN": "arn"})]

    assert {"ARN": "arn"} == describe(CONFIG)
    assert 2 == len(pauses)
