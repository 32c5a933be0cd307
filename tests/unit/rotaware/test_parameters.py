"""The module's functions are one client, with the signatures of Powertools'."""

# ruff: noqa: FBT003  the signatures are Powertools'

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING

import pytest
from aws_lambda_powertools.utilities import parameters as powertools

from rotaware import parameters
from rotaware.client import Client
from rotaware.errors import TransformError
from rotaware.reader import Reading
from tests.support.local_port import Answer, Asked, LocalPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotaware.secret import Query


def respond(asked: Asked) -> Answer:
    """What was asked, as the value."""
    if asked.path == "/kms/get":
        return Answer(200, asked.fields["name"].encode())
    fields = ",".join(f"{name}={text}" for name, text in asked.fields.items())
    parameters = [{"Name": "/p/x", "Value": fields}]
    return Answer(
        200,
        {
            "SecretString": fields,
            "VersionId": "v1",
            "Parameter": {"Value": fields},
            "Parameters": parameters,
        },
    )


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
        for client in parameters._clients:
            client.close()


READS: list[tuple[Callable[[], object], object]] = [
    (lambda: parameters.get_secret("a"), "secretId=a"),
    (
        lambda: parameters.get_secret("a", None, True),
        "secretId=a,refreshNow=true",
    ),
    (lambda: parameters.get_secret("a", len), 10),
    (
        lambda: parameters.get_secret("a", max_age=0),
        "secretId=a,refreshNow=true",
    ),
    (
        lambda: parameters.get_secret("a", version_id="v", version_stage="s"),
        "secretId=a,versionId=v,versionStage=s",
    ),
    (lambda: parameters.get_secret("a", VersionId="v"), "secretId=a,versionId=v"),
    (
        lambda: (
            parameters.read_secret(
                "a",
                version_id="v",
                version_stage="s",
                force_fetch=True,
                instead_of="w",
            ).value
        ),
        "secretId=a,versionId=v,versionStage=s,refreshNow=true,insteadOf=w",
    ),
    (
        lambda: parameters.get_secrets_by_name(["a"], len, True, None, MaxResults=1),
        {"a": 26},
    ),
    (
        lambda: parameters.get_secrets_by_name(["a"], max_age=0),
        {"a": "secretId=a,refreshNow=true"},
    ),
    (lambda: parameters.get_parameter("a"), "name=a"),
    (
        lambda: parameters.get_parameter("a", None, True),
        "name=a,withDecryption=true",
    ),
    (
        lambda: parameters.get_parameter("a", None, None, True),
        "name=a,refreshNow=true",
    ),
    (
        lambda: parameters.get_parameter("a", max_age=0),
        "name=a,refreshNow=true",
    ),
    (
        lambda: parameters.get_parameter("a", version=3, label="b"),
        "name=a,version=3,label=b",
    ),
    (
        lambda: parameters.get_parameter("a", WithDecryption=True),
        "name=a,withDecryption=true",
    ),
    (
        lambda: parameters.get_parameters_by_name({"a": {}, "b": {"transform": len}}),
        {"a": "name=a", "b": 6},
    ),
    (
        lambda: parameters.get_parameters_by_name({"a": {}}, "json", True, 0, False),
        {"_errors": [], "a": None},
    ),
    (lambda: parameters.get_parameters("/p"), {"x": "path=/p"}),
    (lambda: parameters.get_parameters("/p", len), {"x": 7}),
    (
        lambda: parameters.get_parameters("/p", None, False, True, True),
        {"x": "path=/p,recursive=false,withDecryption=true,refreshNow=true"},
    ),
    (
        lambda: parameters.get_parameters("/p", max_age=0, MaxResults=1),
        {"x": "path=/p,refreshNow=true"},
    ),
    (lambda: parameters.get_variable("A"), "A"),
    (lambda: parameters.get_variable("A", len), 1),
]


@pytest.mark.parametrize(("read", "expected"), READS, ids=range(len(READS)))
@pytest.mark.usefixtures("port")
def test_every_argument_arrives(read: Callable[[], object], expected: object) -> None:
    """By position or by name, arguments mean what they mean in Powertools."""
    assert expected == read()


@pytest.mark.usefixtures("port")
def test_a_failed_transform_of_many_can_be_an_error() -> None:
    """It is None unless the caller wants it raised."""
    with pytest.raises(TransformError):
        parameters.get_parameters("/p", "json", True, None, False, None, True)
    with pytest.raises(TransformError):
        parameters.get_secrets_by_name(["a"], "json", raise_on_transform_error=True)


class Fixed:
    """A reader that always answers the same."""

    def read(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Reading:
        del query, refresh, instead_of
        return Reading({"SecretString": "in process"}, from_source=False)

    def close(self) -> None: ...


def test_another_client_can_be_used(port: LocalPort) -> None:
    """From then on all functions read by it, until there is another one, or none."""
    assert "secretId=a" == parameters.get_secret("a")
    before = parameters._clients[0]
    parameters.use(Client(Fixed()))

    assert "in process" == parameters.get_secret("a")
    assert 1 == len(port.asked)
    parameters.use(None)
    assert "secretId=a" == parameters.get_secret("a")
    before.close()


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
    "name",
    [
        "get_secret",
        "get_secrets_by_name",
        "get_parameter",
        "get_parameters",
        "get_parameters_by_name",
    ],
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
