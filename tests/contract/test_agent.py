"""Drop-in for the Secrets Manager Agent, with ROTAWARE_DIALECT=agent.

Each test stands behind a row of docs/compatibility.md.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rotaware.client import Client
from rotaware.errors import AwsError
from tests.support.drop_in import (
    WITH_TOKEN,
    Answer,
    Golden,
    RecordedAws,
    ask,
    golden,
    refusal_to_start,
    started,
)
from tests.support.extension_process import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.extension_process import ExtensionProcess

BODIES = golden("agent")
JSON, TEXT = "application/json", "text/plain; charset=utf-8"
SECRET = "/secretsmanager/get?secretId="


@pytest.fixture(scope="module")
def aws() -> Iterator[RecordedAws]:
    """AWS, with what was recorded and a secret."""
    with RecordedAws() as made:
        made.recorded = BODIES
        made.secrets["app/db"] = "value"
        yield made


@pytest.fixture(scope="module")
def port(
    aws: RecordedAws, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExtensionProcess]:
    """The extension in the agent's dialect."""
    directory = tmp_path_factory.mktemp("port")
    with started(aws, directory, ROTAWARE_DIALECT="agent") as process:
        yield process


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.name)
def test_bodies(port: ExtensionProcess, case: Golden) -> None:
    """Equal to the byte, by query and by path."""
    expected = Answer(200, JSON, case.body.encode())
    by_path = case.target.replace(SECRET, "/v1/").replace("&", "?", 1)

    for target in (case.target, by_path):
        assert expected == ask(port.port, target)


def test_ping(port: ExtensionProcess) -> None:
    """Without a token, through a proxy too, and by GET only."""
    for headers in ({}, {"X-Forwarded-For": "10.0.0.1"}):
        assert (200, b"healthy") == ask(port.port, "/ping", headers)[::2]
    assert (405, b"Not allowed") == ask(port.port, "/ping", {}, "POST")[::2]


@pytest.mark.parametrize(
    ("target", "headers", "method", "status", "text"),
    [
        (f"{SECRET}app/db", {}, "GET", 403, "Bad Token"),
        (f"{SECRET}app/db", {"X-Vault-Token": "x"}, "GET", 403, "Bad Token"),
        (
            f"{SECRET}app/db",
            {**WITH_TOKEN, "X-Forwarded-For": "10.0.0.1"},
            "GET",
            400,
            "Forwarded",
        ),
        (f"{SECRET}app/db", WITH_TOKEN, "PUT", 405, "Not allowed"),
        ("/unknown", WITH_TOKEN, "GET", 404, "Not found"),
        ("/", WITH_TOKEN, "GET", 404, "Not found"),
        (
            "/secretsmanager/get?versionStage=x",
            WITH_TOKEN,
            "GET",
            400,
            "missing parameter secretId",
        ),
        ("/v1/", WITH_TOKEN, "GET", 400, "missing secret ID"),
        (f"{SECRET}a&abc=123", WITH_TOKEN, "GET", 400, "unknown parameter: abc"),
        ("/v1/a?abc=123", WITH_TOKEN, "GET", 400, "unknown parameter: abc"),
        ("/v1/a?refreshNow=", WITH_TOKEN, "GET", 400, "invalid refreshNow value"),
        (
            f"{SECRET}a&refreshNow=123",
            WITH_TOKEN,
            "GET",
            400,
            "invalid refreshNow value",
        ),
    ],
)
def test_texts(  # noqa: PLR0913, PLR0917  a request has many sides
    port: ExtensionProcess,
    target: str,
    headers: dict[str, str],
    method: str,
    status: int,
    text: str,
) -> None:
    """Word for word, in the agent's order of checks."""
    assert Answer(status, TEXT, text.encode()) == ask(
        port.port, target, headers, method
    )


@pytest.mark.parametrize("path", [SECRET, "/v1/"])
def test_role_arn(port: ExtensionProcess, path: str) -> None:
    """No role is assumed; what to do instead is said."""
    role = "roleArn=arn:aws:iam::111122223333:role/Reader"
    query = f"{path}app/db{'&' if '?' in path else '?'}{role}"
    answer = ask(port.port, query)

    assert 400 == answer.status
    assert answer.body.startswith(b"roleArn is not offered; let the policies")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ResourceNotFoundException"),
        (400, "AccessDeniedException"),
        (500, "InternalServiceError"),
    ],
)
def test_errors_of_aws(
    port: ExtensionProcess, aws: RecordedAws, status: int, code: str
) -> None:
    """Type, message and status are AWS's."""
    aws.refusals["GetSecretValue"] = (status, code)
    try:
        answer = ask(port.port, f"/v1/{code}")
    finally:
        del aws.refusals["GetSecretValue"]
    document = json.loads(answer.body)

    assert (status, JSON) == answer[:2]
    assert ["__type", "message"] == list(document)
    assert code == document["__type"]
    assert document["message"].startswith("scripted")


def test_a_timeout(aws: RecordedAws, tmp_path: Path) -> None:
    """As the agent says it."""
    variables = {"SECRETS_MANAGER_TIMEOUT_MILLIS": "50", "ROTAWARE_STAMPS": "off"}
    with started(aws, tmp_path, ROTAWARE_DIALECT="agent", **variables) as port:
        gate = aws.hold("GetSecretValue")
        try:
            answer = ask(port.port, "/v1/app/db")
        finally:
            gate.open()
            del aws.gates["GetSecretValue"]

    assert Answer(504, JSON, b'{"__type":"TimeoutError","message":"Timeout"}') == answer


def test_no_connection(aws: RecordedAws, tmp_path: Path) -> None:
    """As the agent says it."""
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "ROTAWARE_STAMPS": "off"}
    with started(aws, tmp_path, ROTAWARE_DIALECT="agent", **nowhere) as port:
        answer = ask(port.port, "/v1/app/db")

    expected = b'{"__type":"ConnectionError","message":"Read Error"}'

    assert Answer(502, JSON, expected) == answer


@pytest.mark.parametrize("value", ["true", "1", "TRUE", "True"])
def test_refresh_now(port: ExtensionProcess, aws: RecordedAws, value: str) -> None:
    """Asks AWS whatever is cached; false does not."""
    ask(port.port, "/v1/app/db")
    before = len(aws.calls)
    ask(port.port, "/v1/app/db?refreshNow=false")
    ask(port.port, "/v1/app/db?refreshNow=0")

    assert before == len(aws.calls)

    ask(port.port, f"/v1/app/db?refreshNow={value}")

    assert before + 1 == len(aws.calls)


@pytest.mark.parametrize("header", ["X-Aws-Parameters-Secrets-Token", "X-Vault-Token"])
def test_token_headers(port: ExtensionProcess, header: str) -> None:
    """Either of them."""
    assert 200 == ask(port.port, "/v1/app/db", {header: TOKEN}).status


@pytest.mark.parametrize("dialect", ["aws-extension", "agent"])
def test_token_variables(aws: RecordedAws, tmp_path: Path, dialect: str) -> None:
    """Each of the three opens the port, and file:// stands for what is in the file."""
    (tmp_path / "token").write_text("from a file\n")
    variables = {
        "AWS_TOKEN": f"file://{tmp_path}/token",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "of the container",
        "ROTAWARE_DIALECT": dialect,
    }
    with started(aws, tmp_path, **variables) as port:
        for token in ("from a file", "of the container", TOKEN):
            assert 200 == ask(port.port, "/v1/app/db", {"X-Vault-Token": token}).status

        (tmp_path / "token").write_text("another")
        statuses = [
            ask(port.port, "/v1/app/db", {"X-Vault-Token": token}).status
            for token in ("from a file", "another", f"file://{tmp_path}/token")
        ]

    assert [403, 200, 403] == statuses


def test_what_the_agent_has_not(port: ExtensionProcess, aws: RecordedAws) -> None:
    """Parameters are answered as the AWS extension answers them."""
    aws.parameters["/a"] = "<>"
    answer = ask(port.port, "/systemsmanager/parameters/get/?name=/a")

    assert (200, JSON) == answer[:2]
    assert b'"Selector":null' in answer.body
    assert b'"Value":"\\u003c\\u003e"' in answer.body


@pytest.mark.parametrize(
    "target",
    [
        "/secretsmanager/get/?secretId=app/db",
        "/v1/app%2Fdb",
        "/v1/app/db?versionStage=AWSCURRENT",
    ],
)
def test_what_the_agent_refuses(port: ExtensionProcess, target: str) -> None:
    """A trailing slash, and a name that is percent-encoded in the path."""
    assert 200 == ask(port.port, target).status


@pytest.mark.parametrize("fault", ["", "AccessDeniedException"])
def test_the_library(port: ExtensionProcess, aws: RecordedAws, fault: str) -> None:
    """It understands this dialect as well: values, bytes, and what AWS refuses."""
    client = Client.from_environ(port.environ)
    if fault:
        aws.refusals["GetSecretValue"] = (400, fault)
        try:
            with pytest.raises(AwsError) as refused:
                client.get_secret("refused")
        finally:
            del aws.refusals["GetSecretValue"]

        assert fault == refused.value.code
    else:
        assert "value" == client.get_secret("app/db")
        assert b"\0\1\2 new certificate \xff\xfe" == client.get_secret("shop/cert")
        assert "" == client.get_secret("empty")
    client.close()


@pytest.mark.parametrize("dialect", ["rust", ""])
def test_other_dialects(aws: RecordedAws, tmp_path: Path, dialect: str) -> None:
    """There are two."""
    message = refusal_to_start(aws, tmp_path, ROTAWARE_DIALECT=dialect or " ")

    assert message.startswith("ROTAWARE_DIALECT: ")
    assert message.endswith("use aws-extension or agent")
