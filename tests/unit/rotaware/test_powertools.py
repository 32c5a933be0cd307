"""The providers give what Powertools' own give, but never a value that was held."""

# ruff: noqa: FBT003, N803  positions and names are Powertools' and boto3's

from __future__ import annotations

import inspect
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities import parameters as powertools
from aws_lambda_powertools.utilities.parameters.exceptions import (
    GetSecretError,
    TransformParameterError,
)

from rotaware import parameters
from rotaware.client import Client
from rotaware.errors import AwsError
from rotaware.powertools import SecretsProvider, SSMProvider
from rotaware.reader import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotaware.secret import Query

CANARY = "canary-b7f3a1"
SECRETS: dict[str, str | bytes] = {
    "text": "t",
    "document": '{"a": 1}',
    "base64": "AAH/",
    "bytes": b"bytes",
    "a.json": "[1]",
    "a.binary": "AA==",
}
PARAMETERS = {
    "/app/url": "u",
    "/app/a.json": "[1]",
    "/app/b.binary": "AA==",
    "/app/broken.json": "{",
    "/app/db/host": "h",
    "/other": "o",
}


class AwsRefusedError(Exception):
    """What boto3 raises."""


class Boto:
    """As much of boto3's clients as Powertools uses."""

    exceptions = SimpleNamespace(
        InvalidKeyId=KeyError, InternalServerError=ZeroDivisionError
    )

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:
        return {"Name": SecretId, **_payload(SecretId)}

    def batch_get_secret_value(self, Filters: list[Any]) -> dict[str, Any]:
        names = Filters[0]["Values"]
        return {"SecretValues": [self.get_secret_value(name) for name in names]}

    def get_parameter(self, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: FBT001
        del WithDecryption
        if Name not in PARAMETERS:
            raise AwsRefusedError(Name)
        return {"Parameter": {"Name": Name, "Value": PARAMETERS[Name]}}

    def get_parameters(self, Names: list[str], **_: bool) -> dict[str, Any]:
        return {
            "Parameters": [
                {"Name": name, "Value": PARAMETERS[name]}
                for name in Names
                if name in PARAMETERS
            ],
            "InvalidParameters": [name for name in Names if name not in PARAMETERS],
        }

    def get_paginator(self, _: str) -> SimpleNamespace:
        return SimpleNamespace(paginate=lambda **asked: [_below(**asked)])


def _payload(name: str) -> dict[str, str | bytes]:
    if name not in SECRETS:
        raise AwsRefusedError(name)
    value = SECRETS[name]
    return {"SecretString" if isinstance(value, str) else "SecretBinary": value}


def _below(Path: str, Recursive: bool, **_: object) -> dict[str, Any]:  # noqa: FBT001
    return {
        "Parameters": [
            {"Name": name, "Value": value}
            for name, value in PARAMETERS.items()
            if name.startswith(f"{Path}/")
            and (Recursive or "/" not in name[len(Path) + 1 :])
        ]
    }


class Held:
    """A reader of the same account, by its own words."""

    def __init__(self) -> None:
        self.refreshed: list[bool] = []

    def read(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Reading:
        del instead_of
        self.refreshed.append(refresh)
        boto = Boto()
        try:
            if query.service == "secretsmanager":
                document = {"SecretString": None, **_payload(query.id)}
                if isinstance(blob := document.get("SecretBinary"), bytes):
                    document["SecretBinary"] = "Ynl0ZXM=" if blob == b"bytes" else ""
                return Reading(document, refresh)
            if query.is_path:
                return Reading(_below(query.id, query.recursive is True), refresh)
            return Reading(boto.get_parameter(query.id, query.decrypt), refresh)
        except AwsRefusedError as error:
            raise AwsError("NotFound", f"there is no {error}") from None

    def close(self) -> None: ...


@pytest.fixture
def reader() -> Iterator[Held]:
    """What all of rotaware's functions read by."""
    held = Held()
    parameters.use(Client(held))
    yield held
    parameters.use(None)


CALLS: list[Callable[[Any, Any], object]] = [
    lambda secrets, _: secrets.get("text"),
    lambda secrets, _: secrets.get("bytes"),
    lambda secrets, _: secrets.get("document", transform="json"),
    lambda secrets, _: secrets.get("base64", transform="binary"),
    lambda secrets, _: secrets.get("a.json", transform="auto"),
    lambda secrets, _: secrets.get("a.binary", transform="auto"),
    lambda secrets, _: secrets.get("text", transform="auto"),
    lambda secrets, _: secrets.get("text", 60, None, True),
    lambda secrets, _: secrets.get("text", transform="json"),
    lambda secrets, _: secrets.get("missing"),
    lambda secrets, _: secrets.get_multiple(["text", "bytes"]),
    lambda secrets, _: secrets.get_multiple(["document", "text"], transform="json"),
    lambda secrets, _: secrets.get_multiple(["text", "missing"]),
    lambda secrets, _: secrets.get_multiple([]),
    lambda secrets, _: secrets.get_multiple(["text"], 60, "json", True),
    lambda _, ssm: ssm.get("/app/url"),
    lambda _, ssm: ssm.get("/app/a.json", 60, "json", True, True),
    lambda _, ssm: ssm.get("/missing"),
    lambda _, ssm: ssm.get("/app/url", transform="json"),
    lambda _, ssm: ssm.get_multiple("/app"),
    lambda _, ssm: ssm.get_multiple("/app", recursive=True),
    lambda _, ssm: ssm.get_multiple("/app", transform="auto"),
    lambda _, ssm: ssm.get_multiple("/app", 60, "auto", True),
    lambda _, ssm: ssm.get_multiple("/nothing"),
    lambda _, ssm: ssm.get_parameters_by_name(
        {"/app/url": {}, "/app/a.json": {"transform": "json"}, "/other": {}}
    ),
    lambda _, ssm: ssm.get_parameters_by_name({"/app/url": {}}, decrypt=True),
    lambda _, ssm: ssm.get_parameters_by_name(
        {"/app/url": {}, "/missing": {}, "/app/broken.json": {"transform": "json"}},
        raise_on_error=False,
    ),
    lambda _, ssm: ssm.get_parameters_by_name({"/app/url": {}}, raise_on_error=False),
    lambda _, ssm: ssm.get_parameters_by_name({"/app/url": {}, "/missing": {}}),
    lambda _, ssm: ssm.get_parameters_by_name({"/app/broken.json": {}}, "json"),
]


def outcome(call: Callable[[Any, Any], object], secrets: Any, ssm: Any) -> object:
    """What a call gives, or the kind of its error."""
    try:
        return call(secrets, ssm)
    except Exception as error:  # noqa: BLE001  they are compared
        return type(error)


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
@pytest.mark.usefixtures("reader")
def test_a_call_gives_what_powertools_gives(
    call: Callable[[Any, Any], object],
) -> None:
    """The same value, or the same kind of error, with Powertools' own providers."""
    theirs = outcome(
        call,
        powertools.SecretsProvider(boto3_client=Boto()),  # type: ignore[arg-type]
        powertools.SSMProvider(boto3_client=Boto()),  # type: ignore[arg-type]
    )

    assert theirs == outcome(call, SecretsProvider(), SSMProvider())


def test_nothing_is_held_by_powertools(
    reader: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that rotated is read at once, whatever Powertools' time limit is."""
    monkeypatch.setenv("POWERTOOLS_PARAMETERS_MAX_AGE", "300")
    secrets, ssm = SecretsProvider(), SSMProvider()

    def read() -> tuple[object, ...]:
        return (
            secrets.get("rotating", transform="json"),
            secrets.get_multiple(["rotating"])["rotating"],
            ssm.get("/rotating"),
            ssm.get_multiple("/")["rotating"],
            ssm.get_parameters_by_name({"/rotating": {}})["/rotating"],
        )

    for version in ("1", "2"):
        monkeypatch.setitem(SECRETS, "rotating", version)
        monkeypatch.setitem(PARAMETERS, "/rotating", version)
        monkeypatch.setitem(PARAMETERS, "//rotating", version)

        assert (int(version), *[version] * 4) == read()
    assert {} == secrets.store == ssm.store
    assert {False} == set(reader.refreshed)


def test_an_age_and_a_fetch_can_be_asked_for(reader: Held) -> None:
    """They mean to a provider what they mean to ``rotaware.get_secret``."""
    secrets, ssm = SecretsProvider(), SSMProvider()
    for options in ({"force_fetch": True}, {"max_age": 0}, {}):
        secrets.get("text", **options)
        secrets.get_multiple(["text"], **options)
        ssm.get("/other", **options)
        ssm.get_multiple("/app", **options)

    assert [True] * 8 + [False] * 4 == reader.refreshed


@pytest.mark.usefixtures("reader")
def test_an_error_is_explained_and_holds_no_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Powertools' kind, rotaware's words, and rotaware's error as the cause."""
    monkeypatch.setitem(SECRETS, "text", CANARY)

    with pytest.raises(powertools.GetParameterError) as raised:
        SecretsProvider().get("missing")
    assert "NotFound: there is no missing (missing)" == str(raised.value)
    assert isinstance(raised.value.__cause__, AwsError)
    with pytest.raises(
        GetSecretError, match=r"^NotFound: there is no missing \(missing\)$"
    ):
        SecretsProvider().get_multiple(["text", "missing"])
    with pytest.raises(TransformParameterError, match=r"^text: the value is not") as e:
        SecretsProvider().get("text", transform="json")
    frames = [frame for frame, _ in traceback.walk_tb(e.value.__traceback__)][1:]
    assert [] == [f for f in frames if CANARY in repr(f.f_locals)]
    assert e.value.__cause__ is not None
    assert e.value.__cause__.__context__ is None


def test_a_provider_can_have_a_client_of_its_own() -> None:
    """It reads by that one, not by the functions'."""
    reader = Held()
    client = Client(reader)

    assert "t" == SecretsProvider(client=client).get("text")
    assert "o" == SSMProvider(client=client).get("/other")
    assert 2 == len(reader.refreshed)


@pytest.mark.parametrize(
    ("ours", "theirs", "method"),
    [
        (SecretsProvider, powertools.SecretsProvider, "get"),
        (SecretsProvider, powertools.SecretsProvider, "get_multiple"),
        (SSMProvider, powertools.SSMProvider, "get"),
        (SSMProvider, powertools.SSMProvider, "get_multiple"),
        (SSMProvider, powertools.SSMProvider, "get_parameters_by_name"),
    ],
)
def test_the_signature_is_powertools(ours: type, theirs: type, method: str) -> None:
    """Names, order and defaults, so that positions mean the same."""

    def taken(provider: type) -> list[tuple[str, object, object]]:
        signature = inspect.signature(getattr(provider, method))
        return [(p.name, p.kind, p.default) for p in signature.parameters.values()]

    assert taken(theirs) == taken(ours)
