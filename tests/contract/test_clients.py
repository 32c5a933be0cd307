"""Requests as well-known clients send them, with nothing changed but the layer.

The clients are our own: each sends what one of theirs sends, and treats the answer as
that does. Where Node.js is not installed, it is not tested: `make runtimes`.
"""

from __future__ import annotations

import http.client
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.drop_in import WITH_TOKEN, RecordedAws, golden, started
from tests.support.extension_process import TOKEN
from tests.support.namespace import BUILD
from tests.support.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.extension_process import ExtensionProcess

CLIENTS = Path(__file__).with_name("clients")
NODE = BUILD / "runtimes" / "node" / "bin" / "node"
LEGACY = free_port()
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/db-aB3dE9"

needs_node = pytest.mark.skipif(
    not NODE.exists(), reason="no Node.js: run `make runtimes`, as root"
)


@pytest.fixture(scope="module")
def aws() -> Iterator[RecordedAws]:
    """AWS, with what was recorded, and a secret that is listed."""
    with RecordedAws() as made:
        made.recorded = golden("aws_extension")
        made.secrets["secret_now"] = "of now"
        yield made


@pytest.fixture(scope="module")
def port(
    aws: RecordedAws, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExtensionProcess]:
    """The extension; no function has been invoked."""
    directory = tmp_path_factory.mktemp("port")
    (directory / "config.yaml").write_text("CacheManager: [{secrets: [secret_now]}]")
    with started(aws, directory, ROTAWARE_LEGACY_PORTS=str(LEGACY)) as process:
        yield process


def printed(port: ExtensionProcess, client: str, *arguments: str) -> list[str]:
    """What a client for Node.js prints."""
    done = subprocess.run(
        [NODE, CLIENTS / client, *arguments],
        env={
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port.port),
            "AWS_SESSION_TOKEN": TOKEN,
        },
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout.removesuffix("\n").split("\n")


@needs_node
def test_a_client_that_prefetches_when_it_is_loaded(port: ExtensionProcess) -> None:
    """Before the first invocation, with raw slashes and colons."""
    parameters = ["/shop/key", "/aws/reference/secretsmanager/shop/db", "/none"]
    secrets = ["shop/db", ARN, "rds!cluster-1a2b"]
    wanted = json.dumps([parameters, secrets])
    read = printed(port, "prefetching.mjs", wanted)

    assert [
        "käse & brot",
        '{"user":"u","password":"p<>&"}',
        "400 Bad Request",
        '{"user":"u","password":"p<>&\u2028é"}',
        '{"user":"u","password":"p<>&\u2028é"}',
        '{"username":"admin","password":"9#>~f{"}',
    ] == read


@needs_node
def test_a_client_of_a_cache_path(port: ExtensionProcess) -> None:
    """Without a token, from the port to which it always spoke."""
    read = printed(port, "bare.mjs", str(LEGACY), "/cache/secret_now")

    assert ["Response from cache: of now"] == read


def get(port: int, target: str) -> tuple[int, bytes]:
    """As Go's ``net/http`` asks."""
    connection = http.client.HTTPConnection("localhost", port, timeout=10)
    try:
        connection.putrequest("GET", target, skip_accept_encoding=True)
        connection.putheader("User-Agent", "Go-http-client/1.1")
        for name, value in WITH_TOKEN.items():
            connection.putheader(name, value)
        connection.putheader("Accept-Encoding", "gzip")
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_a_client_that_sorts_its_parameters(port: ExtensionProcess) -> None:
    """The label first and the name last, encoded, behind a slash."""
    target = (
        "/systemsmanager/parameters/get/?label=Dev&name=%2Fshop%2Fkey"
        "&withDecryption=true"
    )
    status, body = get(port.port, target)

    assert 200 == status
    assert "key of the developers" == json.loads(body)["Parameter"]["Value"]


def test_a_client_that_retries_on_400(port: ExtensionProcess, aws: RecordedAws) -> None:
    """Such a client waits out an extension that is not ready.

    The first answer is the right one here. What does not exist stays a 400 through its
    retries, and costs AWS one call.
    """
    before = len(aws.calls)
    answers: list[tuple[int, bytes]] = []
    while len(answers) < 3 and {400} >= {status for status, _ in answers}:
        answers.append(get(port.port, "/secretsmanager/get/?secretId=not%2Fthere"))
    statuses, bodies = zip(*answers, strict=True)

    assert (400, 400, 400) == statuses
    assert "ResourceNotFoundException" == json.loads(bodies[0])["__type"]
    assert before + 1 == len(aws.calls)
    assert 200 == get(port.port, "/secretsmanager/get/?secretId=shop%2Fdb")[0]
