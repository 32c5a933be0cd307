"""The module's functions are one client, with the signatures of Powertools'."""

# ruff: noqa: FBT003  the signatures are Powertools'

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING

import pytest
from aws_lambda_powertools.utilities import parameters as powertools

from rotaware import parameters
from tests.support.local_port import Answer, Asked, LocalPort

if TYPE_CHECKING:
    from collections.abc import Iterator


def respond(asked: Asked) -> Answer:
    """What was asked, as the value."""
    fields = ",".join(f"{name}={text}" for name, text in asked.fields.items())
    return Answer(200, {"SecretString": fields, "Parameter": {"Value": fields}})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalPort]:
    """An extension, and no client yet."""
    monkeypatch.setattr(parameters, "_clients", [])
    with LocalPort(respond) as listening:
        monkeypatch.setenv(
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(listening.number)
        )
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        yield listening
        parameters._clients[0].close()


@pytest.mark.usefixtures("port")
def test_every_argument_arrives() -> None:
    """By position or by name, arguments mean what they mean in Powertools."""
    assert "secretId=a" == parameters.get_secret("a")
    assert "secretId=a,refreshNow=true" == parameters.get_secret("a", None, True)
    assert 10 == parameters.get_secret("a", len)
    assert "secretId=a,refreshNow=true" == parameters.get_secret("a", max_age=0)
    assert "secretId=a,versionId=v,versionStage=s" == parameters.get_secret(
        "a", version_id="v", version_stage="s"
    )
    assert "secretId=a,versionId=v" == parameters.get_secret("a", VersionId="v")
    assert "name=a" == parameters.get_parameter("a")
    assert "name=a,withDecryption=true" == parameters.get_parameter("a", None, True)
    assert "name=a,refreshNow=true" == parameters.get_parameter("a", None, None, True)
    assert "name=a,refreshNow=true" == parameters.get_parameter("a", max_age=0)
    assert "name=a,version=3,label=b" == parameters.get_parameter(
        "a", version=3, label="b"
    )
    assert "name=a,withDecryption=true" == parameters.get_parameter(
        "a", WithDecryption=True
    )
    assert {"a": "name=a", "b": 6} == parameters.get_parameters_by_name(
        {"a": {}, "b": {"transform": len}}
    )
    assert {"_errors": ["a"]} == parameters.get_parameters_by_name(
        {"a": {}}, "json", True, 0, False
    )


def test_all_threads_share_one_client(port: LocalPort) -> None:
    """Threads that call for the first time together make one client."""
    together = threading.Barrier(4)

    def work() -> None:
        together.wait(10)
        parameters.get_secret("a")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert 1 == len(parameters._clients)
    assert 4 == len(port.asked)


@pytest.mark.parametrize(
    "name", ["get_secret", "get_parameter", "get_parameters_by_name"]
)
def test_the_signature_is_powertools(name: str) -> None:
    """All that Powertools takes is taken: names, order, defaults."""
    theirs = inspect.signature(getattr(powertools, name)).parameters.values()
    ours = inspect.signature(getattr(parameters, name)).parameters.values()

    def taken(signature: object) -> list[tuple[str, object, object]]:
        assert isinstance(signature, type(ours))
        return [
            (p.name, p.kind, p.default)
            for p in signature
            if p.kind is not inspect.Parameter.KEYWORD_ONLY
        ]

    assert taken(theirs) == taken(ours)
