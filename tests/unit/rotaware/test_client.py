"""The client reads over the extension's port, whatever happened to the connection."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.client import Client
from rotaware.clock import Instant
from rotaware.errors import (
    AwsError,
    AwsTimeoutError,
    ExtensionError,
    SettingsError,
    TransformError,
)
from tests.support.local_port import Answer, Asked, LocalPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANARY = "canary-b7f3a1"


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> Instant:
        return Instant(self.seconds, self.seconds)

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"the client does not wait, not for {seconds} s")


def secrets(asked: Asked) -> Answer:
    """Answer about any secret or parameter; fresh from AWS if that is asked for."""
    how = "fwd=request" if "refreshNow" in asked.fields else "hit; ttl=9"
    if asked.path == "/secretsmanager/get":
        document: dict[str, Any] = {"SecretString": f"of {asked.fields['secretId']}"}
    else:
        document = {"Parameter": {"Value": f"of {asked.fields['name']}"}}
    return Answer(200, document, how)


@pytest.fixture
def clock() -> HandClock:
    """The client's clock."""
    return HandClock()


@pytest.fixture
def connect(clock: HandClock) -> Iterator[Callable[..., tuple[Client, LocalPort]]]:
    """Makes a client of a port that answers as told; both end with the test."""
    ended: list[Callable[[], object]] = []

    def make(
        respond: Callable[[Asked], Answer] = secrets,
        timeout_seconds: float = 10.0,
        **environ: str,
    ) -> tuple[Client, LocalPort]:
        port = LocalPort(respond)
        port.__enter__()
        ended.append(lambda: port.__exit__(None, None, None))
        variables = {
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port.number),
            "AWS_SESSION_TOKEN": "token-1",
            **environ,
        }
        client = Client(variables, clock=clock, timeout_seconds=timeout_seconds)
        ended.append(client.close)
        return client, port

    yield make
    for end in reversed(ended):
        end()


def test_a_secret_is_asked_for_by_name(connect: Any) -> None:
    """The request carries the name, percent-encoded, and the token."""
    client, port = connect()
    name = "prod/db+\u00e9 &=%"

    assert f"of {name}" == client.get_secret(name)
    (asked,) = port.asked
    assert ("/secretsmanager/get", {"secretId": name}) == (asked.path, asked.fields)
    assert "token-1" == asked.headers["x-aws-parameters-secrets-token"]
    assert f"127.0.0.1:{port.number}" == asked.headers["host"]


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({}, {}),
        ({"version_id": "v1"}, {"versionId": "v1"}),
        ({"version_stage": "AWSPREVIOUS"}, {"versionStage": "AWSPREVIOUS"}),
        ({"VersionId": "v1"}, {"versionId": "v1"}),
        ({"VersionStage": "AWSPREVIOUS"}, {"versionStage": "AWSPREVIOUS"}),
        ({"force_fetch": True}, {"refreshNow": "true"}),
        ({"force_fetch": True, "max_age": 60}, {"refreshNow": "true"}),
        ({"max_age": 0}, {"refreshNow": "true"}),
        ({"max_age": -1}, {"refreshNow": "true"}),
    ],
)
def test_a_secrets_options_are_sent(
    connect: Any, options: dict[str, Any], fields: dict[str, str]
) -> None:
    """Each option becomes the port's query field."""
    client, port = connect()
    client.get_secret("a", **options)

    assert {"secretId": "a", **fields} == port.asked[0].fields


@pytest.mark.parametrize(
    ("options", "environ", "fields"),
    [
        ({}, {}, {}),
        ({"version": 3}, {}, {"version": "3"}),
        ({"label": "blue"}, {}, {"label": "blue"}),
        ({"decrypt": True}, {}, {"withDecryption": "true"}),
        ({"WithDecryption": True}, {}, {"withDecryption": "true"}),
        ({"decrypt": False, "WithDecryption": True}, {}, {}),
        ({}, {"POWERTOOLS_PARAMETERS_SSM_DECRYPT": "True"}, {"withDecryption": "true"}),
        ({"decrypt": False}, {"POWERTOOLS_PARAMETERS_SSM_DECRYPT": "1"}, {}),
        ({}, {"POWERTOOLS_PARAMETERS_SSM_DECRYPT": "false"}, {}),
        ({"force_fetch": True}, {}, {"refreshNow": "true"}),
    ],
)
def test_a_parameters_options_are_sent(
    connect: Any,
    options: dict[str, Any],
    environ: dict[str, str],
    fields: dict[str, str],
) -> None:
    """Decryption follows the argument, else Powertools' variable."""
    client, port = connect(**environ)

    assert "of /a" == client.get_parameter("/a", **options)
    assert "/systemsmanager/parameters/get" == port.asked[0].path
    assert {"name": "/a", **fields} == port.asked[0].fields


def test_an_unknown_option_is_refused_before_anything_is_sent(connect: Any) -> None:
    """What the port cannot do is never dropped without a word."""
    client, port = connect()

    with pytest.raises(TypeError, match=r"no option 'Filters'; .* VersionId and Vers"):
        client.get_secret("a", Filters="x")
    with pytest.raises(TypeError, match=r"no option 'Path'; .* it has WithDecryption"):
        client.get_parameter("a", Path=True)
    with pytest.raises(ValueError, match=r"a: 'xml' is no transform"):
        client.get_secret("a", transform="xml")
    with pytest.raises(ValueError, match=r"a: 'xml' is no transform"):
        client.get_parameter("a", transform="xml")
    assert [] == port.asked


def test_values_are_transformed(connect: Any) -> None:
    """A transform is applied to what came back."""
    client, _ = connect()

    assert len("of a") == client.get_secret("a", transform=len)
    assert len("of /a") == client.get_parameter("/a", len)
    with pytest.raises(TransformError, match=r"^a: the value cannot be transformed"):
        client.get_secret("a", "json")


def test_one_connection_serves_many_reads(connect: Any) -> None:
    """The connection is kept."""
    client, port = connect()
    for _ in range(3):
        client.get_secret("a")

    assert [1, 1, 1] == [asked.connection for asked in port.asked]


def test_a_connection_that_ended_meanwhile_is_replaced(connect: Any) -> None:
    """What the peer closed while it was idle costs the caller nothing."""
    client, port = connect()
    client.get_secret("a")
    port.hang_up()

    assert "of b" == client.get_secret("b")
    assert [1, 2] == [asked.connection for asked in port.asked]


def test_a_connection_that_dies_when_used_is_replaced_once(connect: Any) -> None:
    """A kept connection that ends without an answer is retried on a new one."""

    def respond(asked: Asked) -> Answer:
        second = asked.connection == 1 and asked.fields["secretId"] == "b"
        return Answer(None) if second else secrets(asked)

    client, port = connect(respond)
    client.get_secret("a")

    assert "of b" == client.get_secret("b")
    assert [1, 1, 2] == [asked.connection for asked in port.asked]


def test_a_new_connection_that_dies_is_an_error(connect: Any) -> None:
    """One retry is all: a port that hangs up each time is reported."""
    client, port = connect(lambda _: Answer(None))

    with pytest.raises(ExtensionError, match=r"no rotaware extension answers \("):
        client.get_secret("a")
    assert 1 == len(port.asked)


def test_threads_read_at_once_and_each_gets_its_own(connect: Any) -> None:
    """Eight reads that are under way together never mix their answers."""
    together = threading.Barrier(8)

    def respond(asked: Asked) -> Answer:
        together.wait(10)
        return secrets(asked)

    client, port = connect(respond)
    read: dict[int, str] = {}

    def work(number: int) -> None:
        read[number] = client.get_secret(f"s{number}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert {n: f"of s{n}" for n in range(8)} == read
    assert set(range(1, 9)) == {asked.connection for asked in port.asked}


def test_a_forked_process_shares_no_connection(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a fork the child connects anew: else it would read its parent's answers."""
    client, port = connect()
    client.get_secret("a")
    parents = client._connections
    monkeypatch.setattr("rotaware.client.os.getpid", lambda: -1)
    client.get_secret("a")
    client.close()
    parents.close_idle()

    assert [1, 2] == [asked.connection for asked in port.asked]


def test_a_maximum_age_is_kept(connect: Any, clock: HandClock) -> None:
    """AWS is asked when this process last saw the value fresh longer ago than that."""
    client, port = connect()
    seen: list[bool] = []
    for step_seconds in (0.0, 0.0, 59.0, 1.0, 0.5, 59.0):
        clock.seconds += step_seconds
        client.get_secret("a", max_age=60)
        seen.append("refreshNow" in port.asked[-1].fields)

    assert [True, False, False, False, True, False] == seen


def test_a_plain_read_that_came_from_aws_counts_as_fresh(connect: Any) -> None:
    """A miss a moment ago needs no second call for a maximum age."""
    client, port = connect(lambda _: Answer(200, {"SecretString": "x"}, "fwd=miss"))
    client.get_secret("a")
    client.get_secret("a", max_age=60)
    client.get_secret("b", max_age=60)

    assert [False, False, True] == ["refreshNow" in x.fields for x in port.asked]


def test_a_failed_refresh_does_not_count_as_fresh(connect: Any) -> None:
    """An error leaves the age of what is held unknown."""
    error = Answer(502, {"__type": "ConnectionError", "message": "why"}, "fwd=request")
    client, port = connect(lambda _: error)
    for _ in range(2):
        with pytest.raises(AwsError):
            client.get_secret("a", max_age=60)

    assert [True, True] == ["refreshNow" in x.fields for x in port.asked]


def test_a_refusal_of_aws_is_raised(connect: Any) -> None:
    """AWS's code and words arrive as they were said."""
    refused = {"__type": "ResourceNotFoundException", "message": "no such secret"}
    client, _ = connect(lambda _: Answer(400, refused))

    with pytest.raises(AwsError, match=r"^ResourceNotFoundException: no such secret$"):
        client.get_secret("a")


def test_an_answer_that_is_no_json_is_refused(connect: Any) -> None:
    """A body that cannot be read is not quoted."""
    client, _ = connect(lambda _: Answer(200, CANARY.encode()))

    with pytest.raises(
        ExtensionError, match=r"^a: the answer is not underst"
    ) as raised:
        client.get_secret("a")
    assert CANARY not in repr(raised.value)


def test_no_extension_is_one_clear_sentence() -> None:
    """Where nothing listens, the message says what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = Client(
            {
                "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port),
                "AWS_SESSION_TOKEN": "t",
            }
        )
        with pytest.raises(ExtensionError) as raised:
            client.get_secret("a")

    assert (
        "no rotaware extension answers (127.0.0.1: Connection refused, port"
        f" {port}); add its layer to the function, or set"
        " PARAMETERS_SECRETS_EXTENSION_HTTP_PORT to its port"
    ) == raised.value.message


def test_a_read_ends_in_time(connect: Any) -> None:
    """An extension that does not answer costs no more than the timeout."""
    gate = threading.Event()

    def respond(asked: Asked) -> Answer:
        gate.wait(10)
        return secrets(asked)

    client, _ = connect(respond, timeout_seconds=0.05)
    try:
        with pytest.raises(AwsTimeoutError):
            client.get_secret("a")
    finally:
        gate.set()


def test_a_refused_token_is_an_error_that_does_not_show_it(connect: Any) -> None:
    """A wrong token that cannot be renewed is not tried twice, nor quoted."""
    refused = {"__type": "AccessDenied", "message": "wrong token"}
    client, port = connect(lambda _: Answer(403, refused), AWS_SESSION_TOKEN=CANARY)

    with pytest.raises(AwsError, match=r"^AccessDenied: wrong token$") as raised:
        client.get_secret("a")
    assert 1 == len(port.asked)
    assert CANARY not in repr(raised.value)


def test_a_refused_token_is_renewed_once(connect: Any, tmp_path: Any) -> None:
    """A token that changed meanwhile is read again, and the read repeated."""
    file = tmp_path / "token"
    file.write_text("old\n")

    def respond(asked: Asked) -> Answer:
        if asked.headers["x-aws-parameters-secrets-token"] == "new":
            return secrets(asked)
        file.write_text("new\n")
        return Answer(403, {"__type": "AccessDenied", "message": "wrong token"})

    client, port = connect(respond, AWS_SESSION_TOKEN="", ROTAWARE_TOKEN_FILE=str(file))

    assert "of a" == client.get_secret("a")
    assert 2 == len(port.asked)


@pytest.mark.parametrize("text", ["0", "abc", "9001", ""])
def test_a_wrong_port_is_refused(text: str) -> None:
    """The port's range is the extension's own."""
    with pytest.raises(SettingsError, match=r"^PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"):
        Client({"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": text})


def test_the_port_is_the_documented_one_by_default() -> None:
    """Without the variable, it is 2773."""
    assert 2773 == Client({})._endpoint.port


def test_parameters_are_read_by_name(connect: Any) -> None:
    """Each parameter has its own options, the rest are shared."""
    client, port = connect()
    values = client.get_parameters_by_name(
        {"/a": {}, "/b": {"transform": len, "decrypt": False}, "/c": None},
        decrypt=True,
        transform=str.upper,
    )

    assert {"/a": "OF /A", "/b": 5, "/c": "OF /C"} == values
    assert [True, False, True] == ["withDecryption" in x.fields for x in port.asked]


def missing_b(asked: Asked) -> Answer:
    """Answer about all parameters but /b."""
    if asked.fields["name"] != "/b":
        return secrets(asked)
    return Answer(400, {"__type": "ParameterNotFound", "message": ""})


def test_the_first_error_ends_a_read_by_name(connect: Any) -> None:
    """By default an error is raised."""
    client, _ = connect(missing_b)

    with pytest.raises(AwsError, match=r"ParameterNotFound"):
        client.get_parameters_by_name({"/a": {}, "/b": {}, "/c": {}})


def test_errors_can_be_collected(connect: Any) -> None:
    """On request, the names that failed are listed, as in Powertools."""
    client, _ = connect(missing_b)
    names: dict[str, dict[str, Any]] = {"/a": {}, "/b": {}, "/c": {"transform": "json"}}

    assert {"/a": "of /a", "_errors": ["/b", "/c"]} == client.get_parameters_by_name(
        names, raise_on_error=False
    )
    with pytest.raises(ValueError, match=r"^a parameter named _errors needs raise_on"):
        client.get_parameters_by_name({"_errors": {}}, raise_on_error=False)


def test_a_closed_client_can_be_used_again(connect: Any) -> None:
    """To close is to hang up, not to end."""
    client, port = connect()
    client.get_secret("a")
    client.close()
    client.get_secret("a")

    assert [1, 2] == [asked.connection for asked in port.asked]
