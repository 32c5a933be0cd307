"""The reader reads over the extension's port, whatever happened to the connection."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from rotaware.errors import (
    AwsError,
    AwsTimeoutError,
    ExtensionError,
    NobodyListensError,
    SettingsError,
)
from rotaware.port_reader import PortReader
from rotaware.secret import Query
from tests.support.local_port import Answer, Asked, LocalPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANARY = "canary-b7f3a1"


def secrets(asked: Asked) -> Answer:
    """Answer about any secret; fresh from AWS if that is asked for."""
    how = "fwd=request" if "refreshNow" in asked.fields else "hit; ttl=9"
    return Answer(200, {"SecretString": f"of {asked.fields['secretId']}"}, how)


@pytest.fixture
def connect() -> Iterator[Callable[..., tuple[PortReader, LocalPort]]]:
    """Makes a reader of a port that answers as told; both end with the test."""
    ended: list[Callable[[], object]] = []

    def make(
        respond: Callable[[Asked], Answer] = secrets,
        timeout_seconds: float = 10.0,
        **environ: str,
    ) -> tuple[PortReader, LocalPort]:
        port = LocalPort(respond)
        port.__enter__()
        ended.append(lambda: port.__exit__(None, None, None))
        variables = {
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port.number),
            "AWS_SESSION_TOKEN": "token-1",
            **environ,
        }
        reader = PortReader(variables, timeout_seconds=timeout_seconds)
        ended.append(reader.close)
        return reader, port

    yield make
    for end in reversed(ended):
        end()


def value(reader: PortReader, name: str = "a") -> str:
    """A secret's text."""
    return str(reader.read(Query.secret(name)).document["SecretString"])


def test_a_secret_is_asked_for_by_name(connect: Any) -> None:
    """The request carries the name, percent-encoded, and the token."""
    reader, port = connect()
    name = "prod/db+\u00e9 &=%!:#?"

    assert f"of {name}" == value(reader, name)
    (asked,) = port.asked
    assert ("/secretsmanager/get", {"secretId": name}) == (asked.path, asked.fields)
    assert "token-1" == asked.headers["x-aws-parameters-secrets-token"]
    assert f"127.0.0.1:{port.number}" == asked.headers["host"]


@pytest.mark.parametrize(
    ("query", "options", "path", "fields"),
    [
        (Query.secret("a"), {}, "/secretsmanager/get", {"secretId": "a"}),
        (
            Query.secret("a", "v"),
            {},
            "/secretsmanager/get",
            {"secretId": "a", "versionId": "v"},
        ),
        (
            Query.secret("a", "v", "AWSCURRENT"),
            {},
            "/secretsmanager/get",
            {"secretId": "a", "versionId": "v", "versionStage": "AWSCURRENT"},
        ),
        (
            Query.secret("a", stage="AWSPREVIOUS"),
            {},
            "/secretsmanager/get",
            {"secretId": "a", "versionStage": "AWSPREVIOUS"},
        ),
        (
            Query.secret("a"),
            {"refresh": True},
            "/secretsmanager/get",
            {"secretId": "a", "refreshNow": "true"},
        ),
        (
            Query.secret("a"),
            {"instead_of": "v1"},
            "/secretsmanager/get",
            {"secretId": "a", "insteadOf": "v1"},
        ),
        (
            Query.parameter("/a"),
            {},
            "/systemsmanager/parameters/get",
            {"name": "/a"},
        ),
        (
            Query.parameter("/a", "3", decrypt=True),
            {"refresh": True},
            "/systemsmanager/parameters/get",
            {
                "name": "/a",
                "version": "3",
                "withDecryption": "true",
                "refreshNow": "true",
            },
        ),
        (
            Query.parameter("/a:blue"),
            {},
            "/systemsmanager/parameters/get",
            {"name": "/a", "label": "blue"},
        ),
        (
            Query.path("/app/"),
            {},
            "/systemsmanager/parameters/path",
            {"path": "/app"},
        ),
        (
            Query.path("/app", recursive=False, decrypt=True),
            {"refresh": True},
            "/systemsmanager/parameters/path",
            {
                "path": "/app",
                "recursive": "false",
                "withDecryption": "true",
                "refreshNow": "true",
            },
        ),
        (Query.variable("DB_PASSWORD"), {}, "/kms/get", {"name": "DB_PASSWORD"}),
    ],
)
def test_a_query_becomes_a_request(
    connect: Any,
    query: Query,
    options: dict[str, Any],
    path: str,
    fields: dict[str, str],
) -> None:
    """Each part of a query is one of the port's fields; defaults are left out."""
    reader, port = connect(lambda _: Answer(200, {}))
    reader.read(query, **options)

    assert (path, fields) == (port.asked[0].path, port.asked[0].fields)


@pytest.mark.parametrize(
    ("how", "from_source"),
    [("hit; ttl=9", False), ("fwd=miss", True), ("fwd=request", True)],
)
def test_a_reading_says_whether_aws_was_asked(
    connect: Any, how: str, *, from_source: bool
) -> None:
    """The extension tells it in a header."""
    reader, _ = connect(lambda _: Answer(200, {"SecretString": "x"}, how))

    assert from_source == reader.read(Query.secret("a")).from_source


@pytest.mark.parametrize("payload", [b'{"not": "parsed"}', b"\xff\x00"])
def test_a_variable_is_what_the_body_holds(connect: Any, payload: bytes) -> None:
    """A variable's plaintext comes as text, or as bytes if it is none; not parsed."""
    reader, _ = connect(lambda _: Answer(200, payload))
    expected = payload if payload[0] > 127 else payload.decode()

    assert expected == reader.read(Query.variable("A")).document


def test_one_connection_serves_many_reads(connect: Any) -> None:
    """The connection is kept."""
    reader, port = connect()
    for _ in range(3):
        value(reader)

    assert [1, 1, 1] == [asked.connection for asked in port.asked]


def test_a_connection_that_ended_meanwhile_is_replaced(connect: Any) -> None:
    """What the peer closed while it was idle costs the caller nothing."""
    reader, port = connect()
    value(reader)
    port.hang_up()

    assert "of b" == value(reader, "b")
    assert [1, 2] == [asked.connection for asked in port.asked]


def test_a_connection_that_dies_when_used_is_replaced_once(connect: Any) -> None:
    """A kept connection that ends without an answer is retried on a new one."""

    def respond(asked: Asked) -> Answer:
        second = asked.connection == 1 and asked.fields["secretId"] == "b"
        return Answer(None) if second else secrets(asked)

    reader, port = connect(respond)
    value(reader)

    assert "of b" == value(reader, "b")
    assert [1, 1, 2] == [asked.connection for asked in port.asked]


def test_a_new_connection_that_dies_is_an_error(connect: Any) -> None:
    """A port that hangs up each time is reported, and is not said to be absent."""
    reader, port = connect(lambda _: Answer(None))

    with pytest.raises(ExtensionError, match=r"no rotaware extension answers \(") as e:
        value(reader)
    assert 1 == len(port.asked)
    assert not isinstance(e.value, NobodyListensError)


def test_threads_read_at_once_and_each_gets_its_own(connect: Any) -> None:
    """Eight reads that are under way together never mix their answers."""
    together = threading.Barrier(8)

    def respond(asked: Asked) -> Answer:
        together.wait(10)
        return secrets(asked)

    reader, port = connect(respond)
    read: dict[int, str] = {}

    def work(number: int) -> None:
        read[number] = value(reader, f"s{number}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert {n: f"of s{n}" for n in range(8)} == read
    assert set(range(1, 9)) == {asked.connection for asked in port.asked}


def test_a_forked_process_shares_no_connection(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a fork the child connects anew: else it would read its parent's answers."""
    reader, port = connect()
    value(reader)
    parents = reader._connections
    monkeypatch.setattr("rotaware.port_reader.os.getpid", lambda: -1)
    value(reader)
    reader.close()
    parents.close_idle()

    assert [1, 2] == [asked.connection for asked in port.asked]


def test_a_refusal_of_aws_is_raised(connect: Any) -> None:
    """AWS's code and words arrive as they were said."""
    refused = {"__type": "ResourceNotFoundException", "message": "no such secret"}
    reader, _ = connect(lambda _: Answer(400, refused))

    with pytest.raises(AwsError, match=r"^ResourceNotFoundException: no such secret$"):
        value(reader)


def test_an_answer_that_is_no_json_is_no_document(connect: Any) -> None:
    """Whoever takes the value out of it finds none, and says so."""
    reader, _ = connect(lambda _: Answer(200, CANARY.encode()))

    assert reader.read(Query.secret("a")).document is None


def test_no_extension_is_one_clear_sentence() -> None:
    """Where nothing listens, the message says what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        reader = PortReader(
            {
                "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port),
                "AWS_SESSION_TOKEN": "t",
            }
        )
        with pytest.raises(NobodyListensError) as raised:
            value(reader)

    assert (
        "no rotaware extension answers (127.0.0.1: Connection refused, port"
        f" {port}); add its layer to the function, or set"
        " PARAMETERS_SECRETS_EXTENSION_HTTP_PORT to its port"
    ) == raised.value.message


def test_a_read_ends_in_time(connect: Any) -> None:
    """An extension that does not answer costs no more than the timeout."""
    gate = threading.Event()

    def respond(asked: Asked) -> Answer:
        gate.wait(10)
        return secrets(asked)

    reader, _ = connect(respond, timeout_seconds=0.05)
    try:
        with pytest.raises(AwsTimeoutError):
            value(reader)
    finally:
        gate.set()


def test_a_refused_token_is_an_error_that_does_not_show_it(connect: Any) -> None:
    """A wrong token that cannot be renewed is not tried twice, nor quoted."""
    refused = {"__type": "AccessDenied", "message": "wrong token"}
    reader, port = connect(lambda _: Answer(403, refused), AWS_SESSION_TOKEN=CANARY)

    with pytest.raises(AwsError, match=r"^AccessDenied: wrong token$") as raised:
        value(reader)
    assert 1 == len(port.asked)
    assert CANARY not in repr(raised.value)


def test_a_refused_token_is_renewed_once(connect: Any, tmp_path: Any) -> None:
    """A token that changed meanwhile is read again, and the read repeated."""
    file = tmp_path / "token"
    file.write_text("old\n")

    def respond(asked: Asked) -> Answer:
        if asked.headers["x-aws-parameters-secrets-token"] == "new":
            return secrets(asked)
        file.write_text("new\n")
        return Answer(403, {"__type": "AccessDenied", "message": "wrong token"})

    reader, port = connect(respond, AWS_SESSION_TOKEN="", ROTAWARE_TOKEN_FILE=str(file))

    assert "of a" == value(reader)
    assert 2 == len(port.asked)


@pytest.mark.parametrize(
    "text", ["0", "65536", "9" * 5000, "abc", "\u0663", "-1", ""], ids=range(7)
)
def test_a_wrong_port_is_refused(text: str) -> None:
    """What is no port at all is said to be none, and is not quoted."""
    name = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"
    told = rf"^{name}: is no port; use the extension's, 1 to 65535$"
    with pytest.raises(SettingsError, match=told):
        PortReader({"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": text})


def test_the_port_is_the_documented_one_by_default() -> None:
    """Without the variable, it is 2773."""
    assert 2773 == PortReader({})._place.port
    largest = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "65535"}
    assert 65535 == PortReader(largest)._place.port


def test_a_closed_reader_can_be_used_again(connect: Any) -> None:
    """To close is to hang up, not to end."""
    reader, port = connect()
    value(reader)
    reader.close()
    value(reader)

    assert [1, 2] == [asked.connection for asked in port.asked]
