"""What clients of the local port rely on, over the real process and real sockets.

Bodies are those of the AWS Parameters and Secrets extension, requests those that its
clients send: middy, secretlamb, the Secrets Manager Agent's and AWS's own examples.
"""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.sheet import Sheet, encode
from tests.support.extension_process import (
    SHEET,
    TOKEN,
    ExtensionProcess,
    ScriptedAws,
    source_launcher,
)
from tests.support.extensions_api import FakeExtensionsApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    Port = ExtensionProcess

SECRET = "/secretsmanager/get?secretId="
PARAMETER = "/systemsmanager/parameters/get"
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:app/db-AbCdEf"


@pytest.fixture(scope="module")
def aws() -> Iterator[ScriptedAws]:
    """AWS, with a secret and a parameter."""
    with ScriptedAws() as started:
        started.secrets["app/db"] = 's3cret "<&>" é'
        started.parameters |= {SHEET: encode(Sheet()), "/app/url": "https://host/path"}
        yield started


@pytest.fixture(scope="module")
def port(aws: ScriptedAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    """The extension, serving."""
    directory = tmp_path_factory.mktemp("port")
    with FakeExtensionsApi() as api:
        process = ExtensionProcess(
            source_launcher(directory),
            api,
            aws,
            directory,
            environ={"ROTAWARE_CHECK_INTERVAL": "60"},
        )
        api.wait_for_next()
        yield process
        process.child.stop()


def exchange(port: Port, request: str) -> tuple[int, dict[str, str], Any]:
    """Status, fields and JSON body of a request that is written by hand."""
    with socket.create_connection(("127.0.0.1", port.port), timeout=10) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        body = response.read()
        return response.status, dict(response.headers), json.loads(body)


def test_a_secret(port: Port) -> None:
    """All fields are there, nulls too, in the order of AWS's extension."""
    document = port.read(f"{SECRET}app/db").document

    assert [
        ("ARN", ARN),
        ("CreatedDate", "2027-01-15T08:00:00.5Z"),
        ("Name", "app/db"),
        ("SecretBinary", None),
        ("SecretString", 's3cret "<&>" é'),
        ("VersionId", "version-14"),
        ("VersionStages", ["AWSCURRENT"]),
        ("ResultMetadata", {}),
    ] == list(document.items())


def test_a_parameter(port: Port) -> None:
    """Likewise, inside of ``Parameter``."""
    document = port.read(f"{PARAMETER}?name=/app/url").document

    assert {
        "Parameter": {
            "ARN": "arn:aws:ssm:eu-west-1:111122223333:parameter/app/url",
            "DataType": None,
            "LastModifiedDate": None,
            "Name": "/app/url",
            "Selector": None,
            "SourceResult": None,
            "Type": "String",
            "Value": "https://host/path",
            "Version": 1,
        },
        "ResultMetadata": {},
    } == document


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (f"{SECRET}app/db", "app/db"),
        (f"{SECRET}app%2Fdb", "app/db"),
        (f"{SECRET}{ARN}", "app/db"),
        (SECRET + urllib.parse.quote(ARN, safe=""), "app/db"),
        ("/v1/app/db", "app/db"),
        ("/v1/app%2Fdb?refreshNow=true", "app/db"),
        ("/secretsmanager/get/?versionStage=AWSCURRENT&secretId=app/db", "app/db"),
        (f"{PARAMETER}?name=/app/url", "/app/url"),
        (f"{PARAMETER}?name=%2Fapp%2Furl&withDecryption=false", "/app/url"),
        (f"{PARAMETER}/?withDecryption=true&name=/app/url", "/app/url"),
    ],
)
def test_requests_of_well_known_clients(
    port: Port, aws: ScriptedAws, target: str, name: str
) -> None:
    """However a client writes it, it gets what it means."""
    document = port.read(target).document
    value = document.get("SecretString") or document["Parameter"]["Value"]

    assert (aws.secrets | aws.parameters)[name] == value


def test_the_standard_library_reads_it(port: Port) -> None:
    """As in AWS's own example for Python."""
    request = urllib.request.Request(
        f"http://localhost:{port.port}{SECRET}app/db",
        headers={"X-Aws-Parameters-Secrets-Token": TOKEN},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        document = json.loads(response.read())

    assert "app/db" == document["Name"]


def test_cache_status(port: Port) -> None:
    """A miss, then hits that say for how long they hold; a refresh on request."""
    first, second, refreshed, third = (
        port.read(f"{SECRET}app/db&versionId=v&versionStage=s{suffix}").cache_status
        for suffix in ("", "", "&refreshNow=true", "")
    )
    name, hit, ttl = second.split("; ")

    assert "rotaware; fwd=miss" == first
    assert ("rotaware", "hit") == (name, hit)
    assert 290 <= int(ttl.removeprefix("ttl=")) <= 300
    assert "rotaware; fwd=request" == refreshed
    assert third.startswith("rotaware; hit; ttl=")


@pytest.mark.parametrize(
    ("request_line", "fields", "status", "code"),
    [
        (f"GET {SECRET}missing HTTP/1.1", "", 400, "ResourceNotFoundException"),
        (f"GET {PARAMETER}?name=missing HTTP/1.1", "", 400, "ParameterNotFound"),
        (f"GET {SECRET}app/db&x=y HTTP/1.1", "", 400, "InvalidRequest"),
        ("GET /secretsmanager/get HTTP/1.1", "", 400, "InvalidRequest"),
        ("GET / HTTP/1.1", "", 404, "NotFound"),
        (f"POST {SECRET}app/db HTTP/1.1", "", 405, "MethodNotAllowed"),
        (
            f"POST {SECRET}app/db HTTP/1.1",
            "Content-Length: 2\n",
            413,
            "ContentTooLarge",
        ),
        (
            f"GET {SECRET}app/db HTTP/1.1",
            "X: " + "x" * 20_000 + "\n",
            431,
            "HeaderTooLarge",
        ),
        (f"GET {SECRET}app/db HTTP/2.0", "", 505, "HttpVersionNotSupported"),
        (f"GET {SECRET}app/db HTTP/1.1", "X-Forwarded-For: a\n", 400, "Forwarded"),
        (f"GET {SECRET}app/db HTTP/1.1", "X-Vault-Token: x\n", 200, None),
    ],
)
def test_statuses(
    port: Port, request_line: str, fields: str, status: int, code: str | None
) -> None:
    """Each error has AWS's shape, its length, and a Cache-Status."""
    token = f"X-Aws-Parameters-Secrets-Token: {TOKEN}\n"
    got, received, document = exchange(
        port, f"{request_line}\nHost: localhost\n{token}{fields}\n"
    )

    assert status == got
    assert received["Cache-Status"].startswith("rotaware")
    assert "application/json" == received["Content-Type"]
    assert "no-store" == received["Cache-Control"]
    assert ("GET" if status == 405 else None) == received.get("Allow")
    if code is not None:
        assert code == document["__type"]
        assert document["message"]


def test_head_is_refused_without_a_body(port: Port) -> None:
    """All that a client of HEAD reads is there, and nothing else."""
    connection = http.client.HTTPConnection("127.0.0.1", port.port, timeout=10)
    token = {"X-Aws-Parameters-Secrets-Token": TOKEN}
    connection.request("HEAD", f"{SECRET}app/db", headers=token)
    response = connection.getresponse()
    received = (response.status, response.headers["Allow"], response.read())
    connection.close()

    assert (405, "GET", b"") == received


@pytest.mark.parametrize("token", ["", "X-Vault-Token: wrong\n"])
def test_without_the_token(port: Port, token: str) -> None:
    """Nothing is told, but that the port is there."""
    request = f"GET {SECRET}app/db HTTP/1.1\nHost: localhost\n{token}\n"
    status, _, document = exchange(port, request)

    assert (403, "AccessDenied") == (status, document["__type"])
    assert (200, "rotaware", "healthy") == port.read("/ping", {"X": "y"})


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "AccessDeniedException"), (500, "InternalServiceError")],
)
def test_what_aws_refuses(port: Port, aws: ScriptedAws, status: int, code: str) -> None:
    """Its code, message and status are passed on."""
    aws.refusals["GetSecretValue"] = (status, code)
    try:
        answer = port.read(f"{SECRET}{code}")
    finally:
        del aws.refusals["GetSecretValue"]

    assert (status, "rotaware; fwd=miss") == (answer.status, answer.cache_status)
    assert code == answer.document["__type"]
    assert answer.document["message"].startswith("scripted")
