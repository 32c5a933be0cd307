"""The client gives values by a reader, with the words of Powertools."""

# ruff: noqa: FBT003  the signatures are Powertools'

from __future__ import annotations

import json
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.client import Client
from rotaware.clock import Instant
from rotaware.errors import (
    AwsError,
    AwsTimeoutError,
    ExtensionError,
    RotawareError,
    SettingsError,
    TransformError,
)
from rotaware.fallback import FallbackReader
from rotaware.port_reader import PortReader
from rotaware.reader import Reading
from rotaware.secret import Query

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "canary-b7f3a1"


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> Instant:
        return Instant(self.seconds, self.seconds)

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"the client does not wait, not for {seconds} s")


class Scripted:
    """A reader that answers with documents, or errors, by id; else with the id."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = answers
        self.asked: list[tuple[Query, bool, str | None]] = []
        self.closed = False
        self.always_from_source = False

    def read(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Reading:
        self.asked.append((query, refresh, instead_of))
        text = f"of {query.id}"
        document = self.answers.get(
            query.id,
            text
            if query.service == "kms"
            else {
                "SecretString": text,
                "VersionId": "v1",
                "Parameter": {"Value": text},
            },
        )
        if isinstance(document, Exception):
            raise document
        return Reading(document, refresh or self.always_from_source)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def clock() -> HandClock:
    """The client's clock."""
    return HandClock()


def client_of(reader: Scripted, clock: HandClock | None = None) -> Client:
    """A client of a scripted reader."""
    return Client(reader, clock=clock)


def parameters(**values: str) -> dict[str, Any]:
    """An answer about a path; ``__`` in a name stands for a slash."""
    return {
        "Parameters": [
            {"Name": name.replace("__", "/"), "Value": value}
            for name, value in values.items()
        ]
    }


@pytest.mark.parametrize(
    ("options", "query", "refresh"),
    [
        ({}, Query.secret("a"), False),
        ({"version_id": "v1"}, Query.secret("a", "v1"), False),
        ({"version_stage": "S"}, Query.secret("a", stage="S"), False),
        ({"VersionId": "v1"}, Query.secret("a", "v1"), False),
        ({"VersionStage": "S"}, Query.secret("a", stage="S"), False),
        ({"force_fetch": True}, Query.secret("a"), True),
        ({"force_fetch": True, "max_age": 60}, Query.secret("a"), True),
        ({"max_age": 0}, Query.secret("a"), True),
        ({"max_age": -1}, Query.secret("a"), True),
    ],
)
def test_a_secrets_options_are_passed_on(
    options: dict[str, Any], query: Query, *, refresh: bool
) -> None:
    """Each option is a part of what the reader is asked."""
    reader = Scripted()

    assert "of a" == client_of(reader).get_secret("a", **options)
    assert [(query, refresh, None)] == reader.asked


@pytest.mark.parametrize(
    ("options", "default", "query"),
    [
        ({}, False, Query.parameter("/a")),
        ({"version": 3}, False, Query.parameter("/a", "3")),
        ({"label": "blue"}, False, Query.parameter("/a", label="blue")),
        ({"decrypt": True}, False, Query.parameter("/a", decrypt=True)),
        ({"WithDecryption": True}, False, Query.parameter("/a", decrypt=True)),
        ({"decrypt": False, "WithDecryption": True}, False, Query.parameter("/a")),
        ({}, True, Query.parameter("/a", decrypt=True)),
        ({"decrypt": False}, True, Query.parameter("/a")),
    ],
)
def test_a_parameters_options_are_passed_on(
    options: dict[str, Any], query: Query, *, default: bool
) -> None:
    """Decryption follows the argument, else the client's own default."""
    reader = Scripted()
    client = Client(reader, decrypt=default)

    assert "of /a" == client.get_parameter("/a", **options)
    assert "of /a" == client.get_parameter("/a", force_fetch=True, **options)
    assert [(query, False, None), (query, True, None)] == reader.asked


def test_a_secret_comes_with_its_version() -> None:
    """What a connection needs to say which version failed it."""
    document = {
        "SecretString": CANARY,
        "VersionId": "v7",
        "VersionStages": ["AWSCURRENT", "mine"],
    }
    reader = Scripted(db=document)
    secret = client_of(reader).read_secret(
        "db", version_stage="mine", force_fetch=True, instead_of="v6"
    )

    assert ("db", CANARY, "v7") == (secret.id, secret.value, secret.version_id)
    assert ("AWSCURRENT", "mine") == secret.version_stages
    assert [(Query.secret("db", stage="mine"), True, "v6")] == reader.asked


def test_a_secret_cannot_be_shown_by_accident() -> None:
    """Neither its text form nor a copy of it holds the value."""
    secret = client_of(Scripted(db={"SecretString": CANARY})).read_secret("db")

    assert "<Secret db, version , value hidden>" == repr(secret) == f"{secret}"
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        pickle.dumps(secret)


def test_a_variable_is_read() -> None:
    """A variable's plaintext is text, or bytes, and can be transformed."""
    reader = Scripted(B=b"\xff", C='{"d": 1}')
    client = client_of(reader)

    assert "of A" == client.get_variable("A")
    assert b"\xff" == client.get_variable("B")
    assert {"d": 1} == client.get_variable("C", transform="json")
    assert (Query.variable("A"), False, None) == reader.asked[0]


def test_an_unknown_option_is_refused_before_anything_is_asked() -> None:
    """What cannot be done is never dropped without a word."""
    reader = Scripted()
    client = client_of(reader)

    with pytest.raises(TypeError, match=r"no option 'Filters' here; .* VersionId and"):
        client.get_secret("a", Filters="x")
    with pytest.raises(TypeError, match=r"no option 'Path' .* there are WithDecryptio"):
        client.get_parameter("a", Path=True)
    with pytest.raises(TypeError, match=r"no option 'ParameterFilters' .* MaxResults"):
        client.get_parameters("/a", ParameterFilters=1)
    reads: list[Callable[..., object]] = [
        client.get_secret,
        client.get_parameter,
        client.get_parameters,
        client.get_variable,
    ]
    for read in reads:
        with pytest.raises(ValueError, match=r"a: 'xml' is no transform"):
            read("a", transform="xml")
    assert [] == reader.asked


def test_values_are_transformed() -> None:
    """A transform is applied to what came back."""
    client = client_of(Scripted())

    assert len("of a") == client.get_secret("a", transform=len)
    assert len("of /a") == client.get_parameter("/a", len)
    with pytest.raises(TransformError, match=r"^a: the value is not JSON; store JSON"):
        client.get_secret("a", "json")


def test_a_maximum_age_is_kept(clock: HandClock) -> None:
    """AWS is asked when this process last saw the value fresh longer ago than that."""
    reader = Scripted()
    client = client_of(reader, clock)
    for step_seconds in (0.0, 0.0, 59.0, 1.0, 0.5, 59.0):
        clock.seconds += step_seconds
        client.get_secret("a", max_age=60)

    assert [True, False, False, False, True, False] == [x[1] for x in reader.asked]


def test_no_age_at_all_asks_aws_each_time(clock: HandClock) -> None:
    """Also twice within one tick of the clock, as with Powertools, which holds none."""
    reader = Scripted()
    client = client_of(reader, clock)
    client.get_secret("a", max_age=0)
    client.get_secret("a", max_age=0)

    assert [True, True] == [refresh for _, refresh, _ in reader.asked]


def test_an_age_counts_from_before_aws_was_asked(clock: HandClock) -> None:
    """The value may have changed while the answer was under way."""

    class Slow(Scripted):
        def read(
            self, query: Query, *, refresh: bool = False, instead_of: str | None = None
        ) -> Reading:
            clock.seconds += 40
            return super().read(query, refresh=refresh, instead_of=instead_of)

    reader = Slow()
    client = client_of(reader, clock)
    client.get_secret("a", max_age=60)
    clock.seconds += 30
    client.get_secret("a", max_age=60)

    assert [True, True] == [refresh for _, refresh, _ in reader.asked]


def test_a_plain_read_that_came_from_aws_counts_as_fresh(clock: HandClock) -> None:
    """A miss a moment ago needs no second call for a maximum age."""
    reader = Scripted()
    reader.always_from_source = True
    client = client_of(reader, clock)
    client.get_secret("a")
    client.get_secret("a", max_age=60)
    client.get_secret("b", max_age=60)
    client.get_secret("a", max_age=60, version_stage="S")

    assert [False, False, True, True] == [refresh for _, refresh, _ in reader.asked]


def test_a_failed_refresh_does_not_count_as_fresh(clock: HandClock) -> None:
    """An error leaves the age of what is held unknown."""
    reader = Scripted(a=AwsError("ConnectionError", "why", 502))
    client = client_of(reader, clock)
    for _ in range(2):
        with pytest.raises(AwsError):
            client.get_secret("a", max_age=60)

    assert [True, True] == [refresh for _, refresh, _ in reader.asked]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            AwsError("ResourceNotFoundException", "No such secret."),
            "ResourceNotFoundException: No such secret. (db)",
        ),
        (
            AwsError("AccessDeniedException", "you may not read db, said AWS"),
            "AccessDeniedException: you may not read db, said AWS (db)",
        ),
        (AwsError("ParameterNotFound", ""), "ParameterNotFound: (db)"),
        (AwsTimeoutError("no answer in time"), "TimeoutError: no answer in time (db)"),
    ],
)
def test_an_error_of_aws_names_what_was_read(error: AwsError, text: str) -> None:
    """Kind, code, status and words are AWS's; the error itself may be another's too."""
    with pytest.raises(AwsError) as raised:
        client_of(Scripted(db=error)).get_secret("db")

    assert text == str(raised.value)
    assert type(error) is type(raised.value)
    assert (error.code, error.status) == (raised.value.code, raised.value.status)
    assert error is not raised.value
    assert "(db)" not in str(error)


def test_an_answer_that_is_no_json_is_refused() -> None:
    """A body that cannot be read is an error that names the secret."""
    with pytest.raises(ExtensionError, match=r"^a: the answer is not understood"):
        client_of(Scripted(a=None)).get_secret("a")


@pytest.mark.parametrize(
    "read",
    [
        Client.read_secret,
        Client.get_secret,
        Client.get_parameter,
        Client.get_parameters,
        Client.get_variable,
    ],
)
def test_a_name_that_is_none(read: Callable[[Client, Any], object]) -> None:
    """Of what a variable that is not set holds, nobody is asked."""
    reader = Scripted()

    with pytest.raises(TypeError, match=r"^the name is NoneType, not text; was it"):
        read(client_of(reader), None)
    assert [] == reader.asked


def test_secrets_are_read_by_name() -> None:
    """One that cannot be read is an error; one that cannot be transformed may be."""
    reader = Scripted(a={"SecretString": "[1]"})
    client = client_of(reader)

    assert {"a": "[1]", "b": "of b"} == client.get_secrets_by_name(
        ["a", "b"], None, True, MaxResults=2
    )
    assert {"a": [1], "b": None} == client.get_secrets_by_name(("a", "b"), "json")
    assert [True, True, False, False] == [refresh for _, refresh, _ in reader.asked]
    with pytest.raises(TransformError, match=r"^b: the value is not JSON"):
        client.get_secrets_by_name(["b"], "json", raise_on_transform_error=True)
    reader.answers["b"] = AwsError("ResourceNotFoundException", "")
    with pytest.raises(AwsError, match=r"ResourceNotFoundException: \(b\)"):
        client.get_secrets_by_name(["a", "b"], max_age=60)
    names: list[Any] = [[], "ab"]
    for wrong in names:
        with pytest.raises(ValueError, match=r"^give a list of at least one"):
            client.get_secrets_by_name(wrong)


def test_parameters_are_read_by_name() -> None:
    """Each parameter has its own options, the rest are shared."""
    reader = Scripted()
    values = client_of(reader).get_parameters_by_name(
        {
            "/a": {},
            "/b": {"transform": len, "decrypt": False, "max_age": None},
            "/c": None,
        },
        decrypt=True,
        transform=str.upper,
        max_age=0,
    )

    assert {"/a": "OF /A", "/b": 5, "/c": "OF /C"} == values
    assert [True, False, True] == [query.decrypt for query, _, _ in reader.asked]
    assert [True, False, True] == [refresh for _, refresh, _ in reader.asked]


def missing_b() -> Scripted:
    """A reader for which /b does not exist."""
    reader = Scripted()
    reader.answers["/b"] = AwsError("ParameterNotFound", "")
    return reader


def test_the_first_error_ends_a_read_by_name() -> None:
    """By default an error is raised."""
    with pytest.raises(AwsError, match=r"ParameterNotFound: \(/b\)"):
        client_of(missing_b()).get_parameters_by_name({"/a": {}, "/b": {}, "/c": {}})


def test_errors_can_be_collected() -> None:
    """On request, the names that failed are listed, as in Powertools."""
    client = client_of(missing_b())
    names: dict[str, dict[str, Any]] = {"/a": {}, "/b": {}, "/c": {"transform": "json"}}

    assert {
        "_errors": ["/b"],
        "/a": "of /a",
        "/c": None,
    } == client.get_parameters_by_name(names, raise_on_error=False)
    assert {"_errors": [], "/a": "of /a"} == client.get_parameters_by_name(
        {"/a": {}}, raise_on_error=False
    )
    with pytest.raises(ValueError, match=r"^a parameter named _errors needs raise_on"):
        client.get_parameters_by_name({"_errors": {}}, raise_on_error=False)


@pytest.mark.parametrize(
    ("path", "options", "query", "refresh"),
    [
        ("/app", {}, Query.path("/app"), False),
        ("/app/", {"MaxResults": 10}, Query.path("/app"), False),
        ("/app", {"recursive": False}, Query.path("/app", recursive=False), False),
        ("/app", {"decrypt": True}, Query.path("/app", decrypt=True), False),
        ("/app", {"force_fetch": True}, Query.path("/app"), True),
        ("/app", {"max_age": 0}, Query.path("/app"), True),
    ],
)
def test_parameters_are_read_by_path(
    path: str, options: dict[str, Any], query: Query, *, refresh: bool
) -> None:
    """They come by their names below the path; options are passed on."""
    reader = Scripted()
    reader.answers["/app"] = parameters(__app__url="u", __app__db__host="h")

    values = client_of(reader).get_parameters(path, **options)
    assert [("url", "u"), ("db/host", "h")] == list(values.items())
    assert [(query, refresh, None)] == reader.asked


def test_a_path_follows_the_clients_default_for_decryption() -> None:
    """As a single parameter does."""
    reader = Scripted()
    reader.answers["/app"] = parameters()
    Client(reader, decrypt=True).get_parameters("/app")

    assert [(Query.path("/app", decrypt=True), False, None)] == reader.asked


def test_a_paths_values_are_transformed_one_by_one() -> None:
    """By their endings if asked; one that cannot be is None, or an error."""
    reader = Scripted()
    reader.answers["/app"] = parameters(
        **{
            "/app/a.json": "[1]",
            "/app/b.binary": "AA==",
            "/app/c": "x",
            "/app/d.json": "{",
        }
    )
    client = client_of(reader)

    assert {
        "a.json": [1],
        "b.binary": b"\x00",
        "c": "x",
        "d.json": None,
    } == client.get_parameters("/app", transform="auto")
    with pytest.raises(TransformError, match=r"^/app: d.json: the value is not JSON"):
        client.get_parameters("/app", "auto", raise_on_transform_error=True)


READS: dict[str, Callable[[Client], object]] = {
    "not json": lambda client: client.get_secret("text", "json"),
    "not base64": lambda client: client.get_secret("text", "binary"),
    "not text": lambda client: client.get_secret("bytes", "json"),
    "function": lambda client: client.get_secret("text", int),
    "parameter": lambda client: client.get_parameter("/text", "json"),
    "variable": lambda client: client.get_variable("VARIABLE", "json"),
    "odd secret": lambda client: client.get_secret("odd"),
    "odd parameter": lambda client: client.get_parameter("odd"),
    "odd path": lambda client: client.get_parameters("odd"),
    "odd path's value": lambda client: client.get_parameters("odder"),
    "odd variable": lambda client: client.get_variable("odd"),
    "path": lambda client: client.get_parameters(
        "/app", "json", raise_on_transform_error=True
    ),
    "secrets' names": lambda client: client.get_secrets_by_name(
        ["text", "odd"], raise_on_transform_error=True
    ),
    "names": lambda client: client.get_parameters_by_name(
        {"/text": {}, "/more": {"transform": "json"}}
    ),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_an_error_holds_no_value(read: Callable[[Client], object]) -> None:
    """Neither message, causes nor any frame of the traceback knows it."""
    value = f"\u00e9{CANARY}"
    reader = Scripted(
        text={"SecretString": value},
        bytes={"SecretBinary": "/w=="},
        VARIABLE=value,
        odd={"SecretString": [value], "Parameter": {"Value": [value]}, "Parameters": 1},
        odder={
            "Parameters": [{"Name": "x", "Value": value}, {"Name": "y", "Value": 1}]
        },
    )
    reader.answers["/text"] = reader.answers["/more"] = {"Parameter": {"Value": value}}
    reader.answers["/app"] = parameters(__app__a="1", __app__b=value)
    client = client_of(reader)
    with pytest.raises(RotawareError) as raised:
        read(client)

    error = raised.value
    reader.answers.clear()  # what this test itself knows
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
    assert len(frames) > 1
    assert [] == [f.f_code.co_name for f in frames if CANARY in repr(f.f_locals)]
    assert CANARY not in str(error)
    assert None is error.__cause__
    assert None is error.__context__


def test_names_and_values_of_all_kinds_arrive() -> None:
    """Nothing is done to a name, nor to a value, however odd or large."""
    client = client_of(
        Scripted(
            empty={"SecretString": ""},
            large={"SecretString": "x" * 65536},
            blob={"SecretBinary": ""},
            both={"SecretString": json.dumps({"\u00e9": "\U0001f511"})},
        )
    )

    assert "of a/b:c!d e%2F\u00e9" == client.get_secret("a/b:c!d e%2F\u00e9")
    assert "" == client.get_secret("empty")
    assert 65536 == len(client.get_secret("large"))
    assert b"" == client.get_secret("blob")
    assert {"\u00e9": "\U0001f511"} == client.get_secret("both", "json")


def test_to_close_is_to_close_the_reader() -> None:
    """The client itself holds nothing open."""
    reader = Scripted()
    client_of(reader).close()

    assert reader.closed


@pytest.mark.parametrize(
    ("environ", "decrypt", "kind"),
    [
        ({}, False, PortReader),
        ({"POWERTOOLS_PARAMETERS_SSM_DECRYPT": "True"}, True, PortReader),
        ({"POWERTOOLS_PARAMETERS_SSM_DECRYPT": "1"}, True, PortReader),
        ({"POWERTOOLS_PARAMETERS_SSM_DECRYPT": "no"}, False, PortReader),
        ({"ROTAWARE_FALLBACK": "none"}, False, PortReader),
        ({"ROTAWARE_FALLBACK": "in-process"}, False, FallbackReader),
    ],
)
def test_a_client_is_made_of_the_environment(
    environ: dict[str, str], kind: type, *, decrypt: bool
) -> None:
    """Powertools' variable, and the fallback if the function asks for one."""
    client = Client.from_environ(environ)

    assert kind is type(client._reader)
    assert decrypt == client._decrypt


def test_a_wrong_setting_is_refused_at_once() -> None:
    """The error names the variable."""
    with pytest.raises(SettingsError, match=r"^PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"):
        Client.from_environ({"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "x"})
    with pytest.raises(SettingsError, match=r"^ROTAWARE_FALLBACK: 'x' is none; use"):
        Client.from_environ({"ROTAWARE_FALLBACK": "x"})
