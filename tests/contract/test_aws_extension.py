"""Drop-in for the AWS Parameters and Secrets extension: requests, bodies, variables.

Each test stands behind a row of docs/compatibility.md. Nothing is invoked here: all
answers come before the first invocation.
"""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from tests.support.drop_in import (
    Answer,
    Golden,
    RecordedAws,
    ask,
    golden,
    refusal_to_start,
    started,
)
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.extension_process import ExtensionProcess

BODIES = golden("aws_extension")
SECRET = "/secretsmanager/get?secretId="
PARAMETER = "/systemsmanager/parameters/get?name="
VARIABLE = "PARAMETERS_SECRETS_EXTENSION_"


@pytest.fixture(scope="module")
def aws() -> Iterator[RecordedAws]:
    """AWS, with what was recorded, a secret and a parameter."""
    with RecordedAws() as made:
        made.recorded = BODIES
        made.secrets["db"] = "value"
        made.parameters |= {"/one": "1", "/two": "2"}
        yield made


@pytest.fixture(scope="module")
def port(
    aws: RecordedAws, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExtensionProcess]:
    """The extension, as nobody has configured it."""
    with started(aws, tmp_path_factory.mktemp("port")) as process:
        yield process


def written_otherwise(target: str) -> list[str]:
    """The same request as other clients write it."""
    path, _, query = target.partition("?")
    backwards = "&".join(reversed(query.split("&")))
    return [
        target,
        f"{path}/?{query}",
        f"{path}?{unquote(query)}",
        f"{path}/?{unquote(backwards)}",
    ]


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.name)
def test_bodies(port: ExtensionProcess, case: Golden) -> None:
    """Equal to the byte, however the request is written, at a miss and at a hit."""
    expected = Answer(200, "application/json", case.body.encode())

    for target in written_otherwise(case.target):
        assert expected == ask(port.port, target)


def test_version_and_label(port: ExtensionProcess) -> None:
    """The one that comes first counts."""
    by_version = ask(port.port, f"{PARAMETER}/shop/url&version=1&label=Dev")
    by_label = ask(
        port.port, f"{PARAMETER}/shop/key&label=Dev&version=9&withDecryption=true"
    )

    assert [":1", ":Dev"] == [
        json.loads(answer.body)["Parameter"]["Selector"]
        for answer in (by_version, by_label)
    ]


def test_large_secrets(port: ExtensionProcess, aws: RecordedAws) -> None:
    """64 KB, all of it to be escaped."""
    aws.secrets["large"] = "<" * 65_536
    answer = ask(port.port, f"{SECRET}large")

    assert b'"SecretString":"' + b"\\u003c" * 65_536 + b'"' in answer.body


@pytest.mark.parametrize(
    ("target", "code", "named"),
    [
        (f"{PARAMETER}/none", "ParameterNotFound", "/none"),
        (f"{PARAMETER}/one&version=0", "InvalidRequest", "version"),
        (f"{SECRET}none", "ResourceNotFoundException", "none"),
        (f"{SECRET}db&versionStage=", "InvalidRequest", "versionStage"),
        ("/secretsmanager/get", "InvalidRequest", "secretId"),
        (f"{SECRET}db&secretId=db", "InvalidRequest", "given twice: secretId"),
        (f"{SECRET}db&version=1", "InvalidRequest", "unknown parameter: version"),
    ],
)
def test_refusals(port: ExtensionProcess, target: str, code: str, named: str) -> None:
    """400 as there, and the cause as it is not there."""
    answer = ask(port.port, target)
    document = json.loads(answer.body)

    assert (400, code) == (answer.status, document["__type"])
    assert named in document["message"]


@pytest.mark.parametrize(
    ("name", "is_asked_for"),
    [
        ("a/b", True),
        ("a%2Fb", True),
        ("a:b", True),
        ("rds!cluster-x", True),
        ("a%20b", True),
        ("%C3%A9", True),
        ("%F0%9D%84%9E", True),
        ("a%00b", False),
        ("%FF", False),
        ("x" * 2049, False),
    ],
)
@pytest.mark.parametrize("path", [SECRET, PARAMETER, "/v1/"])
def test_unusual_names(
    port: ExtensionProcess, path: str, name: str, *, is_asked_for: bool
) -> None:
    """Each is asked for, or refused with the field's name; never an accident."""
    answer = ask(port.port, path + name)
    document = json.loads(answer.body)

    assert 400 == answer.status
    assert is_asked_for == document["__type"].endswith(("NotFound", "FoundException"))
    if is_asked_for:
        asked = unquote(name)
        if path == PARAMETER:  # what follows a colon is no part of the name
            asked = asked.partition(":")[0]

        assert f"({asked}: create it" in document["message"]
    else:
        assert document["message"].startswith(("invalid secretId", "invalid name"))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Aws-Parameters-Secrets-Token": "wrong"}, 403),
        ({"x-aws-parameters-secrets-token": "local-session-token"}, 200),
    ],
)
def test_the_token(
    port: ExtensionProcess, headers: dict[str, str], status: int
) -> None:
    """AWS_SESSION_TOKEN, in a header of any case."""
    assert status == ask(port.port, f"{SECRET}db", headers).status


# Variables


def calls(aws: RecordedAws, port: ExtensionProcess, targets: list[str]) -> int:
    """How often AWS is asked while they are read."""
    before = len(aws.calls)
    for target in targets:
        assert 200 == ask(port.port, target).status
    return len(aws.calls) - before


@pytest.mark.parametrize(
    ("value", "asked"), [("TRUE", 1), ("true", 1), ("FALSE", 2), ("False", 2)]
)
def test_cache_enabled(
    aws: RecordedAws, tmp_path: Path, value: str, asked: int
) -> None:
    """The second read asks AWS again, or not."""
    variables = {f"{VARIABLE}CACHE_ENABLED": value, "ROTAWARE_STAMPS": "off"}
    with started(aws, tmp_path, **variables) as port:
        assert asked == calls(aws, port, [f"{SECRET}db"] * 2)


@pytest.mark.parametrize(("value", "asked"), [("0", 6), ("1", 6), ("2", 3)])
def test_cache_size(aws: RecordedAws, tmp_path: Path, value: str, asked: int) -> None:
    """The least recently used one goes; 0 holds nothing."""
    variables = {f"{VARIABLE}CACHE_SIZE": value, "ROTAWARE_STAMPS": "off"}
    targets = [f"{SECRET}db", f"{PARAMETER}/one"] * 2
    more = [f"{PARAMETER}/two", f"{PARAMETER}/one"]
    with started(aws, tmp_path, **variables) as port:
        assert asked == calls(aws, port, targets + more)


@pytest.mark.parametrize("variable", ["SECRETS_MANAGER_TTL", "SSM_PARAMETER_STORE_TTL"])
@pytest.mark.parametrize(
    ("value", "ttl"), [("0", None), ("300", 300), ("301", 301), ("86400", 86400)]
)
def test_ttls(
    aws: RecordedAws, tmp_path: Path, variable: str, value: str, ttl: int | None
) -> None:
    """0 bypasses the cache. Above 300 nothing is clamped: that is allowed here."""
    target = f"{SECRET}db" if "SECRETS" in variable else f"{PARAMETER}/one"
    with started(aws, tmp_path, **{variable: value}) as port:
        port.read(target)
        cache_status = port.read(target).cache_status

    if ttl is None:
        assert "rotaware; fwd=bypass" == cache_status
    else:
        assert cache_status.startswith("rotaware; hit; ttl=")
        assert ttl - 10 <= int(cache_status.rpartition("=")[2]) <= ttl


@pytest.mark.parametrize(
    ("variable", "target", "operation"),
    [
        ("SECRETS_MANAGER_TIMEOUT_MILLIS", f"{SECRET}db", "GetSecretValue"),
        ("SSM_PARAMETER_STORE_TIMEOUT_MILLIS", f"{PARAMETER}/one", "GetParameter"),
    ],
)
def test_timeouts(
    aws: RecordedAws, tmp_path: Path, variable: str, target: str, operation: str
) -> None:
    """AWS is not waited for any longer, and the answer says so."""
    variables = {variable: "50", "ROTAWARE_STAMPS": "off"}
    with started(aws, tmp_path, **variables) as port:
        gate = aws.hold(operation)
        try:
            answer = ask(port.port, target)
        finally:
            gate.open()
            del aws.gates[operation]

    assert 504 == answer.status
    assert "TimeoutError" == json.loads(answer.body)["__type"]


@pytest.mark.parametrize(("value", "at_once"), [("1", 1), ("2", 2), ("7", 4)])
def test_max_connections(
    aws: RecordedAws, tmp_path: Path, value: str, at_once: int
) -> None:
    """So many calls to one service are under way at most."""
    names = ["db", "a", "b", "c"]
    aws.secrets |= dict.fromkeys(names, "value")
    variables = {f"{VARIABLE}MAX_CONNECTIONS": value, "ROTAWARE_STAMPS": "off"}
    with started(aws, tmp_path, **variables) as port:
        gate = aws.hold("GetSecretValue")
        before = len(aws.calls)
        readers = [
            threading.Thread(target=ask, args=(port.port, SECRET + name))
            for name in names
        ]
        try:
            for reader in readers:
                reader.start()
            wait_until(lambda: len(aws.calls) == before + at_once, "the calls")
            # None of the others goes past those.
            assert 200 == ask(port.port, "/ping").status
            assert before + at_once == len(aws.calls)
        finally:
            gate.open()
            del aws.gates["GetSecretValue"]
            for reader in readers:
                reader.join()
    assert before + len(names) == len(aws.calls)


@pytest.mark.parametrize(
    ("level", "logged"),
    [
        ("debug", {"INFO", "WARNING"}),
        ("info", {"INFO", "WARNING"}),
        ("WARN", {"WARNING"}),
        ("error", set()),
        ("none", set()),
    ],
)
def test_log_level(
    aws: RecordedAws, tmp_path: Path, level: str, logged: set[str]
) -> None:
    """In any case of letters."""
    with started(aws, tmp_path, **{f"{VARIABLE}LOG_LEVEL": level}) as port:
        ask(port.port, f"{SECRET}none")
    lines = [line for line in port.output.splitlines() if '"level"' in line]

    assert logged == {json.loads(line)["level"] for line in lines} - {"DEBUG"}


def test_http_port(aws: RecordedAws, tmp_path: Path) -> None:
    """It listens on this one, and on loopback only."""
    with started(aws, tmp_path, SECRETS_MANAGER_TTL="60") as port:
        assert str(port.port) == port.environ[f"{VARIABLE}HTTP_PORT"]
        assert 200 == ask(port.port, "/ping").status
        with socket.socket() as other:
            # Only where 127.0.0.1 alone is taken is another address free.
            other.bind(("127.0.0.2", port.port))


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        (f"{VARIABLE}CACHE_ENABLED", ["yes", ""]),
        (f"{VARIABLE}CACHE_SIZE", ["-1", "1001", "many"]),
        (f"{VARIABLE}HTTP_PORT", ["0", "65536", "9001"]),
        (f"{VARIABLE}LOG_LEVEL", ["loud"]),
        (f"{VARIABLE}MAX_CONNECTIONS", ["0", "-1"]),
        ("SECRETS_MANAGER_TTL", ["-1", "5m"]),
        ("SSM_PARAMETER_STORE_TTL", ["-1"]),
        ("SECRETS_MANAGER_TIMEOUT_MILLIS", ["-1", "1.5"]),
        ("SSM_PARAMETER_STORE_TIMEOUT_MILLIS", ["-1"]),
    ],
)
def test_values_out_of_range(
    aws: RecordedAws, tmp_path: Path, variable: str, values: list[str]
) -> None:
    """The function does not start, and is told which variable and what to use."""
    for value in values:
        message = refusal_to_start(aws, tmp_path, **{variable: value or " "})

        assert message.startswith(f"{variable}: ")
        assert "; use " in message
