"""The library against a real extension, in both of its dialects, with odd input."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from rotaware import Client, errors
from tests.support.extension_process import (
    TOKEN,
    ExtensionProcess,
    ScriptedAws,
    source_launcher,
)
from tests.support.extensions_api import FakeExtensionsApi

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CANARY = "canary-Zp3"
KEY = base64.b64encode(b"\xff\x00key").decode()
TEXT = base64.b64encode("gr\u00fcn".encode()).decode()
PARAMETERS = {"/app/url": "u", "/app/a.json": "[1]", "/app/db/host": "h"}
NAMES = (
    "a/b",
    "a:b",
    "rds!db-1",
    "a b",
    "a%2Fb",
    "a+b=c@d",
    "gr\u00fcn/\U0001f511",
    "?x=1&y#z",
    "x" * 512,
)


class Aws(ScriptedAws):
    """With a binary secret and a path of parameters besides."""

    def answer(self, operation: str, request: Mapping[str, Any]) -> tuple[int, Any]:
        if operation == "GetParametersByPath":
            self.calls.append(operation)
            found = [self._parameter(name)[1]["Parameter"] for name in self.parameters]
            return 200, {"Parameters": [p for p in found if p["Name"][:4] == "/app"]}
        status, document = super().answer(operation, request)
        if request.get("SecretId") == "key":
            document["SecretBinary"] = KEY
            del document["SecretString"]
        return status, document


@pytest.fixture(scope="module", params=["aws-extension", "agent"])
def aws_and_client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Aws, Client]]:
    """An extension, and the library's client of it."""
    directory = tmp_path_factory.mktemp("extension")
    with FakeExtensionsApi() as api, Aws() as aws:
        aws.secrets |= {name: f"of {name}" for name in NAMES}
        aws.secrets |= {"key": "", "empty": "", "text": CANARY, "large": "x" * 65536}
        aws.parameters |= PARAMETERS
        aws.plaintexts |= {"Y2lwaGVy": TEXT, "Ynl0ZXM=": KEY}
        settings = {
            "ROTAWARE_DIALECT": request.param,
            "ROTAWARE_KMS_ENV": "COLOUR,KEY",
            "COLOUR": "Y2lwaGVy",
            "KEY": "Ynl0ZXM=",
        }
        launcher = source_launcher(directory)
        process = ExtensionProcess(launcher, api, aws, directory, environ=settings)
        port = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"
        client = Client.from_environ(
            {port: str(process.port), "AWS_SESSION_TOKEN": TOKEN}
        )
        try:
            api.wait_for_next()
            yield aws, client
        finally:
            client.close()
            process.child.stop()


@pytest.fixture
def client(aws_and_client: tuple[Aws, Client]) -> Client:
    """The library's client."""
    return aws_and_client[1]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_any_name_is_read(client: Client, name: str) -> None:
    """Whatever characters it has, it arrives as it is."""
    secret = client.read_secret(name)

    assert f"of {name}" == client.get_secret(name) == secret.value
    assert (name, ("AWSCURRENT",)) == (secret.id, secret.version_stages)
    assert secret.version_id.startswith("version-")


def test_values_of_all_kinds_are_read(client: Client) -> None:
    """Empty, large and binary ones."""
    assert "" == client.get_secret("empty")
    assert 65536 == len(client.get_secret("large"))
    assert b"\xff\x00key" == client.get_secret("key")
    assert "u" == client.get_parameter("/app/url")
    assert {"url": "u", "a.json": [1], "db/host": "h"} == client.get_parameters(
        "/app/", transform="auto"
    )


def test_variables_are_read(client: Client) -> None:
    """As text, or as bytes where that is what was encrypted."""
    assert "gr\u00fcn" == client.get_variable("COLOUR")
    assert b"\xff\x00key" == client.get_variable("KEY")


def test_a_version_that_failed_is_asked_for_once_more(
    aws_and_client: tuple[Aws, Client],
) -> None:
    """AWS is asked, and the answer is what it has now."""
    aws, client = aws_and_client
    aws.secrets["rotating"] = "old"
    old = client.read_secret("rotating")
    aws.secrets["rotating"] = "newer"

    assert "old" == client.get_secret("rotating")
    newer = client.read_secret("rotating", instead_of=old.version_id)
    assert ("newer", "version-5") == (newer.value, newer.version_id)


@pytest.mark.parametrize(
    ("read", "kind", "words"),
    [
        (("get_secret", "text", "json"), errors.TransformError, "is not JSON; store"),
        (("get_secret", "text", "binary"), errors.TransformError, "is not base64; st"),
        (("get_secret", "key", "json"), errors.TransformError, "is binary, not text"),
        (("get_secret", "gone"), errors.AwsError, "create it in this account and Reg"),
        (("get_parameter", "/gone"), errors.AwsError, "create it in this account and"),
        (("get_secret", ""), errors.AwsError, "secretId"),
        (("get_secret", "a\nb"), errors.AwsError, "printable"),
        (("get_secret", "x" * 3000), errors.AwsError, "2048"),
        (("get_variable", "OTHER"), errors.AwsError, "list it there, or give it"),
    ],
)
def test_an_error_says_which_name_and_what_to_do(
    client: Client, read: tuple[str, ...], kind: type[Exception], words: str
) -> None:
    """In either dialect, and never with the value."""
    function, name, *transform = read
    with pytest.raises(kind) as raised:
        getattr(client, function)(name, *transform)

    assert name in str(raised.value)
    assert words in str(raised.value)
    assert CANARY not in str(raised.value)


def test_a_refusal_says_what_may_be_missing(aws_and_client: tuple[Aws, Client]) -> None:
    """One for want of a permission names what was asked for, and the role."""
    aws, client = aws_and_client
    aws.refusals["GetParameter"] = 400, "AccessDeniedException"
    with pytest.raises(errors.AwsError) as raised:
        client.get_parameter("/app/url", decrypt=True)
    del aws.refusals["GetParameter"]

    assert "AccessDeniedException" == raised.value.code
    assert "/app/url" in raised.value.message
    assert "role" in raised.value.message
