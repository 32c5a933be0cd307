"""The client against a hostile AWS: what is retried, how often, and what is not."""

from __future__ import annotations

import subprocess
import sys
import threading
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomllib

from rotaware.aws import USER_AGENT, Aws, AwsClient
from rotaware.errors import (
    AwsError,
    AwsSignatureError,
    AwsThrottledError,
    AwsTimeoutError,
    AwsUnavailableError,
    SettingsError,
)
from rotaware.sigv4 import amz_date
from tests.support.clock import ManualClock
from tests.support.hostile_aws import (
    CA,
    ELSEWHERE,
    LOCALHOST,
    PATIENCE_SECONDS,
    HostileAws,
    answer,
    hang_up,
    hold,
    refuse,
    reset,
    say,
    say_and_hang_up,
    silence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.hostile_aws import Step

ROOT = Path(__file__).parents[3]
FOUND = answer({"SecretString": "canary"})


class Caller:
    """A client of a hostile AWS on a clock of its own."""

    def __init__(self, server: HostileAws, **environ: str) -> None:
        self.clock = ManualClock()
        self.luck = 0.5
        self.client = AwsClient.from_environ(
            server.environ(**environ),
            clock=self.clock,
            random=lambda: self.luck,
            max_connections=3,
        )

    def call(self, timeout_seconds: float | None = None) -> dict[str, Any]:
        aws: Aws = self.client
        return aws.call(
            "secretsmanager",
            "GetSecretValue",
            {"SecretId": "app/db"},
            timeout_seconds=timeout_seconds,
        )


@pytest.fixture
def server() -> Iterator[HostileAws]:
    """A server over http."""
    with HostileAws() as running:
        yield running


@pytest.fixture
def make(server: HostileAws) -> Iterator[Callable[..., Caller]]:
    """Makes callers whose connections are closed at the end."""
    made: list[Caller] = []

    def make_one(**environ: str) -> Caller:
        made.append(Caller(server, **environ))
        return made[-1]

    yield make_one
    for caller in made:
        caller.client.close_idle()


@pytest.fixture
def caller(make: Callable[..., Caller]) -> Caller:
    """A client with fixed credentials."""
    return make()


def test_a_call_is_signed_and_answered(caller: Caller, server: HostileAws) -> None:
    """One request, with everything that AWS wants to see."""
    server.script = [FOUND]

    assert caller.call() == {"SecretString": "canary"}
    (request,) = server.requests
    assert request.line == "POST / HTTP/1.1"
    assert request.document == {"SecretId": "app/db"}
    assert request.headers.items() >= {
        ("host", f"127.0.0.1:{server.port}"),
        ("x-amz-target", "secretsmanager.GetSecretValue"),
        ("content-type", "application/x-amz-json-1.1"),
        ("content-length", str(len(request.body))),
        ("x-amz-date", amz_date(caller.clock.now().wall)),
        ("x-amz-security-token", "canary-session-token"),
        ("user-agent", USER_AGENT),
    }
    assert "/eu-west-1/secretsmanager/aws4_request" in request.headers["authorization"]


def test_the_user_agent_names_this_version() -> None:
    """As the package's metadata has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert f"rotaware/{project['version']}" == USER_AGENT


PASSING: dict[str, Step] = {
    "reset": reset(),
    "ended": hang_up(),
    "half an answer": say_and_hang_up(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
    "garbage": say(b"\x00\x01\x02\r\n"),
    "no JSON": answer(b"<html>"),
    "500": refuse("InternalServiceError", status=500),
    "503 of a proxy": answer(b"<html>", 503),
    "throttled": refuse("ThrottlingException"),
    "too many updates": refuse("TooManyUpdates"),
}


@pytest.mark.parametrize("fault", PASSING)
def test_what_may_pass_is_tried_again(
    caller: Caller, server: HostileAws, fault: str
) -> None:
    """One fault, one pause, one more attempt; the caller sees the answer alone."""
    server.script = [PASSING[fault], FOUND]

    assert caller.call() == {"SecretString": "canary"}
    assert len(server.requests) == 2
    assert len(caller.clock.naps) == 1


@pytest.mark.parametrize("fault", PASSING)
def test_three_attempts_are_made(
    caller: Caller, server: HostileAws, fault: str
) -> None:
    """Then the last error is raised."""
    server.script = [PASSING[fault]] * 4

    with pytest.raises(AwsUnavailableError):
        caller.call()

    assert len(server.requests) == 3


@pytest.mark.parametrize("fault", PASSING)
def test_who_retries_himself_gets_one_attempt(
    caller: Caller, server: HostileAws, fault: str
) -> None:
    """A client with one attempt shares credentials, but not patience."""
    server.script = [PASSING[fault]] * 2
    once = caller.client.with_attempts(1)

    with pytest.raises(AwsUnavailableError):
        once.call("ssm", "GetParameter", {"Name": "/sheet"})

    (request,) = server.requests
    assert request.headers["x-amz-security-token"] == "canary-session-token"
    assert caller.clock.naps == []


def test_a_client_with_one_attempt_shares_the_connections(
    caller: Caller, server: HostileAws
) -> None:
    """It costs no connection of its own."""
    caller.call()
    caller.client.with_attempts(1).call("ssm", "GetParameter", {"Name": "/sheet"})

    assert server.connections == 1


@pytest.mark.parametrize(
    ("luck", "fault", "pauses"),
    [
        (0.0, reset(), [0.0, 0.0]),
        (1.0, reset(), [0.1, 0.2]),
        (0.5, refuse("x", status=500), [0.05, 0.1]),
        (1.0, refuse("ThrottlingException"), [1.0, 2.0]),
        (0.5, refuse("ThrottlingException"), [0.5, 1.0]),
    ],
    ids=["none", "all", "half", "throttled", "throttled half"],
)
def test_pauses_grow_with_full_jitter(
    caller: Caller, server: HostileAws, luck: float, fault: Step, pauses: list[float]
) -> None:
    """Anything from nothing to a bound that doubles; ten times longer if throttled."""
    caller.luck = luck
    server.script = [fault] * 3

    with pytest.raises(AwsUnavailableError):
        caller.call()

    assert pauses == pytest.approx(caller.clock.naps)


def test_a_throttled_call_says_so(caller: Caller, server: HostileAws) -> None:
    """The caller can back off further by the error's kind."""
    server.script = [refuse("ThrottlingException", "Rate exceeded")] * 3

    with pytest.raises(AwsThrottledError) as caught:
        caller.call()

    assert str(caught.value) == "ThrottlingException: Rate exceeded"


def test_a_pause_that_does_not_fit_is_not_begun(
    caller: Caller, server: HostileAws
) -> None:
    """The error comes while the caller still has time to do something else."""
    server.script = [refuse("ThrottlingException")]

    with pytest.raises(AwsThrottledError):
        caller.call(timeout_seconds=0.5)

    assert len(server.requests) == 1
    assert caller.clock.naps == []


def test_a_pause_that_fits_is_made(caller: Caller, server: HostileAws) -> None:
    """However short the time allowed."""
    server.script = [reset(), FOUND]

    assert caller.call(timeout_seconds=0.5) == {"SecretString": "canary"}
    assert caller.clock.naps == [0.05]


def test_a_refusal_is_raised_at_once(caller: Caller, server: HostileAws) -> None:
    """With AWS's code, message and status: it would be refused again."""
    server.script = [refuse("ResourceNotFoundException", "no such secret")]

    with pytest.raises(AwsError) as caught:
        caller.call()

    assert (caught.value.code, caught.value.message, caught.value.status) == (
        "ResourceNotFoundException",
        "no such secret",
        400,
    )
    assert not isinstance(caught.value, AwsUnavailableError)
    assert len(server.requests) == 1


def test_silence_ends_with_the_callers_time(caller: Caller, server: HostileAws) -> None:
    """timeout_seconds bounds the whole call."""
    server.script = [silence()] * 3

    with pytest.raises(AwsTimeoutError):
        caller.call(timeout_seconds=0.05)

    assert caller.clock.naps == []


def test_without_a_limit_a_call_ends_after_25_seconds(
    caller: Caller, server: HostileAws
) -> None:
    """Retries included."""

    def slow(peer: Any) -> bool:
        caller.clock.tick(24.9)
        return reset()(peer)

    server.script = [slow]
    caller.luck = 1.0

    with pytest.raises(AwsUnavailableError):
        caller.call()

    assert len(server.requests) == 1


def test_a_restarted_server_costs_no_attempt(
    caller: Caller, server: HostileAws
) -> None:
    """A connection that died while the process was frozen is nobody's business."""
    server.script = [FOUND, reset(), FOUND]
    caller.call()

    assert caller.client.with_attempts(1).call("kms", "Decrypt", {}) == {
        "SecretString": "canary"
    }
    assert caller.clock.naps == []


STALE = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)


def _credentials(name: str) -> Step:
    return answer(
        {
            "AccessKeyId": name,
            "SecretAccessKey": "canary",
            "Token": "canary",
            "Expiration": "2100-01-01T00:00:00Z",
        }
    )


@pytest.mark.parametrize("code", STALE)
def test_stale_credentials_are_renewed_once(
    make: Callable[..., Caller], server: HostileAws, code: str
) -> None:
    """The request is signed again with what the provider hands out now."""
    caller = make(
        AWS_ACCESS_KEY_ID="",
        AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{server.url}/credentials",
    )
    server.script = [_credentials("OLD"), refuse(code), _credentials("NEW"), FOUND]

    assert caller.call() == {"SecretString": "canary"}
    signers = [
        request.headers["authorization"].partition("Credential=")[2][:3]
        for request in server.requests
        if request.line.startswith("POST")
    ]
    assert signers == ["OLD", "NEW"]
    assert len(server.requests) == 4
    assert caller.clock.naps == []


def test_a_second_refusal_is_final(caller: Caller, server: HostileAws) -> None:
    """It is not tried a third time, and does not quote the request."""
    server.script = [
        refuse("InvalidSignatureException", "no match\n\ncanary-session-token")
    ] * 3

    with pytest.raises(AwsSignatureError) as caught:
        caller.call()

    assert str(caught.value) == "InvalidSignatureException: no match"
    assert len(server.requests) == 2
    assert caller.clock.naps == []


def test_a_clock_that_is_off_is_corrected(caller: Caller, server: HostileAws) -> None:
    """From then on requests are signed with AWS's time, until ours is right again."""
    start = caller.clock.now().wall
    skewed = formatdate(start + 900, usegmt=True)
    server.script = [
        refuse("InvalidSignatureException", Date=skewed),
        FOUND,
        FOUND,
        refuse("RequestExpired", Date=formatdate(start, usegmt=True)),
        FOUND,
    ]

    for _ in range(3):
        caller.call()

    assert [amz_date(start + off) for off in (0, 900, 900, 900, 0)] == [
        request.headers["x-amz-date"] for request in server.requests
    ]


def test_each_attempt_is_signed_when_it_is_sent(
    caller: Caller, server: HostileAws
) -> None:
    """A request that was signed before a freeze would be too old."""
    server.script = [refuse("ThrottlingException"), FOUND]
    caller.luck = 1.0
    start = caller.clock.now().wall

    caller.call()

    assert [amz_date(start), amz_date(start + 1)] == [
        request.headers["x-amz-date"] for request in server.requests
    ]


def test_calls_go_to_the_services_own_endpoints(
    make: Callable[..., Caller], server: HostileAws
) -> None:
    """Each service has its place, signing name and target."""
    with HostileAws(answer({"Plaintext": "cGxhaW4="})) as kms:
        caller = make(AWS_ENDPOINT_URL_KMS=kms.url + "/proxy")
        caller.client.call("ssm", "GetParameter", {"Name": "/a"})
        caller.client.call("kms", "Decrypt", {"CiphertextBlob": "YQ=="})
        caller.client.close_idle()

    assert server.requests[0].headers["x-amz-target"] == "AmazonSSM.GetParameter"
    assert "/ssm/aws4_request" in server.requests[0].headers["authorization"]
    assert kms.requests[0].line == "POST /proxy HTTP/1.1"
    assert "/kms/aws4_request" in kms.requests[0].headers["authorization"]


def test_connections_are_bounded(server: HostileAws) -> None:
    """As many calls at once as the settings allow; the next one waits."""
    client = AwsClient.from_environ(
        server.environ(), clock=ManualClock(), random=lambda: 0.0, max_connections=1
    )
    arrived, released = threading.Event(), threading.Event()
    server.script = [hold(arrived, released, FOUND)]
    thread = threading.Thread(target=client.call, args=("kms", "Decrypt", {}))
    thread.start()
    assert arrived.wait(PATIENCE_SECONDS)

    with pytest.raises(AwsTimeoutError, match="stayed busy"):
        client.with_attempts(1).call("kms", "Decrypt", {}, timeout_seconds=0.01)
    released.set()
    thread.join(PATIENCE_SECONDS)
    client.close_idle()

    assert server.connections == 1


@pytest.mark.parametrize(
    ("certificate", "works"),
    [pytest.param(LOCALHOST, True, id="ours"), pytest.param(ELSEWHERE, False, id="no")],
)
def test_https_trusts_the_named_bundle(
    tmp_path: Path,
    certificate: str,
    works: bool,  # noqa: FBT001  a table's column
) -> None:
    """AWS_CA_BUNDLE names the authorities; a wrong certificate is tried 3 times."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text(CA)
    with HostileAws(FOUND, certificate=certificate, directory=tmp_path) as server:
        caller = Caller(server, AWS_CA_BUNDLE=str(bundle))
        if works:
            assert caller.call() == {"SecretString": "canary"}
        else:
            with pytest.raises(AwsUnavailableError, match="certificate"):
                caller.call()
        caller.client.close_idle()

        assert server.connections == (1 if works else 3)


@pytest.mark.parametrize("places", [["second"], ["first", "second"], []])
def test_the_images_own_authorities_are_the_default(
    server: HostileAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    places: list[str],
) -> None:
    """Amazon Linux's bundle, then Debian's, and nothing that OpenSSL would pick."""
    for place in places:
        (tmp_path / place).touch()
    monkeypatch.setattr(
        "rotaware.aws._CA_FILES", [str(tmp_path / "first"), str(tmp_path / "second")]
    )

    client: Any = Caller(server).client

    expected = str(tmp_path / places[0]) if places else None
    assert expected == client._connections._ca_file


def test_the_default_places_are_amazon_linux_and_debian() -> None:
    """Where Lambda's images and most others keep their authorities."""
    from rotaware.aws import _CA_FILES  # noqa: PLC0415  the constant alone

    assert _CA_FILES == (
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/certs/ca-certificates.crt",
    )


@pytest.mark.parametrize("region", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_comes_from_the_environment(region: str) -> None:
    """AWS_REGION, as Lambda sets it, or else the command line's variable."""
    keys = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"}

    client: Any = AwsClient.from_environ(
        {region: "eu-north-1", **keys},
        clock=ManualClock(),
        random=lambda: 0.0,
        max_connections=1,
    )

    hosts = [service.endpoint.host for service in client._services.values()]
    assert hosts == [
        "secretsmanager.eu-north-1.amazonaws.com",
        "ssm.eu-north-1.amazonaws.com",
        "kms.eu-north-1.amazonaws.com",
        "dynamodb.eu-north-1.amazonaws.com",
    ]


def test_services_that_are_not_called_are_not_looked_at() -> None:
    """A variable that only the function's own client minds stops nothing."""
    environ = {
        "AWS_REGION": "eu-north-1",
        "AWS_ENDPOINT_URL_DYNAMODB": "the function's own business",
        "AWS_ACCESS_KEY_ID": "A",
        "AWS_SECRET_ACCESS_KEY": "S",
    }
    others: dict[str, Any] = {
        "clock": ManualClock(),
        "random": lambda: 0.0,
        "max_connections": 1,
    }

    client: Any = AwsClient.from_environ(environ, services=["ssm"], **others)
    assert ["ssm"] == list(client._services)
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL_DYNAMODB"):
        AwsClient.from_environ(environ, services=["dynamodb"], **others)


def test_every_problem_is_reported_at_once() -> None:
    """Each names its variable; the same one is not named for each service."""
    with pytest.raises(SettingsError) as caught:
        AwsClient.from_environ(
            {
                "AWS_REGION": "eu-west-1",
                "AWS_ENDPOINT_URL": "localhost",
                "AWS_ENDPOINT_URL_KMS": "ftp://kms.test",
                "AWS_CA_BUNDLE": "/no/such/file",
            },
            clock=ManualClock(),
            random=lambda: 0.0,
            max_connections=1,
        )

    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_KMS",
        "AWS_CA_BUNDLE",
        "AWS_ACCESS_KEY_ID",
    ]


def test_the_region_is_required() -> None:
    """Without it there is no endpoint and no signature."""
    with pytest.raises(SettingsError, match=r"^AWS_REGION: is not set; set"):
        AwsClient.from_environ(
            {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"},
            clock=ManualClock(),
            random=lambda: 0.0,
            max_connections=1,
        )


def test_the_client_imports_little() -> None:
    """What costs start-up time stays out; ssl comes with the first https request."""
    dear = ["ssl", "http", "urllib", "email", "logging", "dataclasses", "asyncio"]
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'shared')!r});"
        "from rotaware.aws import AwsClient;"
        "from rotaware.clock import SystemClock;"
        "AwsClient.from_environ({'AWS_REGION': 'r', 'AWS_ACCESS_KEY_ID': 'a',"
        " 'AWS_SECRET_ACCESS_KEY': 's'}, clock=SystemClock(), random=float,"
        " max_connections=1);"
        f"print([name for name in {dear} if name in sys.modules])"
    )

    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout == "[]\n"
