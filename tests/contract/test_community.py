"""Drop-in for the two community extensions: their config, paths, bodies and ports.

Each test stands behind a row of docs/compatibility.md.
"""

from __future__ import annotations

import base64
import json
import socket
from typing import TYPE_CHECKING

import pytest

from extension.__main__ import _listeners
from tests.support.drop_in import (
    Answer,
    Golden,
    RecordedAws,
    ask,
    refusal_to_start,
    started,
)
from tests.support.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.extension_process import ExtensionProcess

JSON, TEXT = "application/json", "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
NODE, GO = free_port(), free_port()
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:binary-AbCdEf"
BINARY = Golden(
    "binary",
    "",
    "GetSecretValue",
    {"SecretId": ARN, "VersionStage": "AWSCURRENT"},
    {
        "ARN": ARN,
        "Name": "binary",
        "VersionId": "v1",
        "SecretBinary": base64.b64encode(bytes(range(256))).decode(),
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1_800_000_000,
    },
    "",
)
CONFIG = """\
SecretManagers:
  - secrets:
      - app/db
      - missing
      - empty
      - large
"""
LISTED = {"app/db": '{"user": "ü"}', "empty": "", "large": "x" * 65_536}


@pytest.fixture(scope="module")
def aws() -> Iterator[RecordedAws]:
    """AWS, with what is listed and one that is not."""
    with RecordedAws() as made:
        made.recorded = [BINARY]
        made.secrets |= {**LISTED, "unlisted": "canary", "variable": "v"}
        yield made


@pytest.fixture(scope="module")
def port(
    aws: RecordedAws, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExtensionProcess]:
    """The extension, on the ports of both as well."""
    directory = tmp_path_factory.mktemp("port")
    (directory / "config.yaml").write_text(CONFIG)
    variables = {
        "ROTAWARE_LEGACY_PORTS": f"{NODE},{GO}",
        "SECRET_ONE": "variable",
        "SECRET_TWO": ARN,
    }
    with started(aws, directory, **variables) as process:
        yield process


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("port_number", [NODE, GO], ids=["node", "go"])
def test_cache_path(port: ExtensionProcess, port_number: int, name: str) -> None:
    """The bare SecretString as JSON, whatever it is; slashes raw or encoded."""
    expected = Answer(200, JSON, LISTED[name].encode())

    for written in (name, name.replace("/", "%2F")):
        for where in (port_number, port.port):
            assert expected == ask(where, f"/cache/{written}")


@pytest.mark.parametrize("target", ["/secrets?name=", "/?name=", "/secrets/?name="])
def test_secrets_path(port: ExtensionProcess, target: str) -> None:
    """The bare SecretString as text, with and without token."""
    expected = Answer(200, TEXT, LISTED["app/db"].encode())

    for name in ("app/db", "app%2Fdb"):
        assert expected == ask(port.port, target + name)
        for number in (GO, NODE):
            assert expected == ask(number, target + name, {})


@pytest.mark.parametrize("target", ["/cache/", "/secrets?name="])
def test_binary_secrets(port: ExtensionProcess, target: str) -> None:
    """Their bytes."""
    expected = Answer(200, BYTES, bytes(range(256)))

    assert [expected] * 2 == [ask(where, target + ARN) for where in (NODE, port.port)]


@pytest.mark.parametrize("target", ["/cache/", "/secrets?name=", "/?name="])
def test_missing_secrets(port: ExtensionProcess, target: str) -> None:
    """404 with the reason, and no empty 200."""
    for where in (NODE, GO, port.port):
        answer = ask(where, f"{target}missing")
        document = json.loads(answer.body)

        assert (404, JSON) == answer[:2]
        assert "ResourceNotFoundException" == document["__type"]
        assert document["message"].startswith("no such secret")


@pytest.mark.parametrize("target", ["/cache/", "/secrets?name=", "/?name="])
def test_unlisted_secrets(port: ExtensionProcess, target: str) -> None:
    """403, which names the setting and the fix; the main port has them."""
    answer = ask(NODE, f"{target}unlisted", {})
    message = json.loads(answer.body)["message"]

    assert 403 == answer.status
    assert message.startswith("unlisted is not listed")
    assert "ROTAWARE_LEGACY_PORTS" in message
    assert "config.yaml" in message
    assert b"canary" == ask(port.port, f"{target}unlisted").body


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/v1/app/db", {}, 404),
        ("/secretsmanager/get?secretId=app/db", {}, 404),
        ("/systemsmanager/parameters/get?name=/a", {}, 404),
        ("/kms/get?name=A", {}, 404),
        ("/cache/app/db?refreshNow=true", {}, 400),
        ("/secrets?name=app/db&versionStage=AWSPREVIOUS", {}, 400),
        ("/cache/app/db", {"X-Forwarded-For": "10.0.0.1"}, 400),
        ("/cache/app/db", {"Host": "rebound.example"}, 400),
        ("/ping", {}, 200),
    ],
)
@pytest.mark.usefixtures("port")
def test_what_else_these_ports_have(
    target: str, headers: dict[str, str], status: int
) -> None:
    """Nothing but a ping; and strangers' names and proxies are refused."""
    assert status == ask(NODE, target, headers).status


def test_the_main_port_keeps_its_token(port: ExtensionProcess) -> None:
    """Also for bytes that another port has just answered from memory."""
    same = {"Host": "localhost"}

    for _ in range(3):
        assert 200 == ask(NODE, "/cache/app/db", same).status
        assert 403 == ask(port.port, "/cache/app/db", same).status


def test_loopback_only(port: ExtensionProcess) -> None:
    """Both listened on all interfaces."""
    assert port.child.running

    for number in (NODE, GO):
        with socket.socket() as other:
            # Only where 127.0.0.1 alone is taken is another address free.
            other.bind(("127.0.0.2", number))


@pytest.mark.parametrize("form", ["SecretManagers", "CacheManager"])
@pytest.mark.parametrize(
    ("minutes", "ttl"), [(None, 600), ("0.5", 30), ("60", 3600), ("0", None)]
)
def test_config_file(
    aws: RecordedAws, tmp_path: Path, form: str, minutes: str | None, ttl: int | None
) -> None:
    """Both spellings; CACHE_TIMEOUT in minutes, 10 where it is not set."""
    (tmp_path / "config.yaml").write_text(f"{form}:\n- secrets:\n  - app/db\n")
    variables = {} if minutes is None else {"CACHE_TIMEOUT": minutes}
    with started(aws, tmp_path, **variables) as port:
        cache_status = port.read("/v1/app/db").cache_status

    if ttl is None:
        assert "rotaware; fwd=bypass" == cache_status
    else:
        assert cache_status.startswith("rotaware; hit; ttl=")
        assert ttl - 10 <= int(cache_status.rpartition("=")[2]) <= ttl


def test_a_name_that_is_listed_twice(aws: RecordedAws, tmp_path: Path) -> None:
    """One of them is a mistake, or will be one."""
    (tmp_path / "config.yaml").write_text("CacheManager:\n- secrets:\n  - a\n  - a\n")
    message = refusal_to_start(aws, tmp_path)

    assert "CacheManager[0].secrets[1]" in message
    assert "lists a again, as CacheManager[0].secrets[0] does; remove one" in message


def test_no_config_file(aws: RecordedAws, tmp_path: Path) -> None:
    """There need not be one, and nothing is said of it."""
    with started(aws, tmp_path) as port:
        assert 200 == ask(port.port, "/ping").status

    assert "config" not in port.output


def test_secret_variables(port: ExtensionProcess) -> None:
    """A name or an ARN, prefetched, and listed."""
    assert "; hit" in port.read("/v1/variable").cache_status
    assert b"v" == ask(GO, "/secrets?name=variable", {}).body


def test_a_fetch_that_fails_ends_nothing(aws: RecordedAws, tmp_path: Path) -> None:
    """It is logged, the function starts, and reads of the others are answered."""
    (tmp_path / "config.yaml").write_text("secrets: [missing, app/db]")
    with started(aws, tmp_path) as port:
        assert 200 == ask(port.port, "/cache/app/db").status
        assert 404 == ask(port.port, "/cache/missing").status

    assert '"name":"missing","code":"ResourceNotFoundException"' in port.output


@pytest.mark.parametrize(
    ("ports", "fault"),
    [("0", "use one"), ("a", "use one"), ("9001", "use another port")],
)
def test_wrong_ports(aws: RecordedAws, tmp_path: Path, ports: str, fault: str) -> None:
    """The function does not start, and is told."""
    message = refusal_to_start(aws, tmp_path, ROTAWARE_LEGACY_PORTS=ports)

    assert message.startswith("ROTAWARE_LEGACY_PORTS: ")
    assert fault in message


def test_a_port_that_is_taken(aws: RecordedAws, tmp_path: Path) -> None:
    """It is named, as the main one would be."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        message = refusal_to_start(aws, tmp_path, ROTAWARE_LEGACY_PORTS=number)

    assert message.startswith(f"ROTAWARE_LEGACY_PORTS: port {number} of 127.0.0.1")
    assert message.endswith("; choose a free port")


def test_no_ports_unless_asked() -> None:
    """4000 and 8080 are not taken from anybody."""
    main = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(free_port())}
    listeners, faults = _listeners(main)
    for listener in listeners:
        listener.close()

    assert (1, []) == (len(listeners), faults)
