"""The cache in this process: real boto3, against a scripted AWS on a loopback port."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import rotaware
from rotaware.arguments import SETTINGS
from rotaware.own_process import in_process, reader_from_environ
from rotaware.secret import Query
from rotaware.sheet import Sheet, encode
from tests.support.extension_process import ScriptedAws
from tests.support.processes import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotaware.client import Client

ROOT = Path(__file__).parents[3]
SHEET = "/rotaware/edge/stamps"
KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "SECRET"}
PREFETCH = "BatchGetSecretValue"
LISTED = ["app/db", "app/key"]
SESSION = boto3.Session("AKID", "SECRET")
"""One for all, because it has read the services' models then."""


@pytest.fixture
def aws() -> Iterator[ScriptedAws]:
    """AWS, which has two secrets and an empty sheet."""
    with ScriptedAws() as scripted:
        scripted.secrets |= {"app/db": "old", "app/key": "key"}
        scripted.parameters[SHEET] = encode(Sheet())
        yield scripted


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which AWS's own files say nothing, and no variable does."""
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def made(aws: ScriptedAws, **arguments: Any) -> Client:
    """A client with explicit arguments, and nothing of the environment."""
    given: dict[str, Any] = {
        "region": "us-east-1",
        "session": SESSION,
        "endpoint_url": aws.url,
        "namespace": "edge",
        "environ": {},
    }
    return in_process(**{**given, **arguments})


def problems(**arguments: Any) -> list[str]:
    """What is wrong with them."""
    given: dict[str, Any] = {"region": "us-east-1", "environ": {}}
    with pytest.raises(rotaware.SettingsError) as caught:
        in_process(**{**given, **arguments})
    return list(caught.value.problems)


def test_explicit_arguments_need_no_environment(aws: ScriptedAws) -> None:
    """Region, credentials, endpoint and settings are all given."""
    client = made(aws)

    assert ["old", "old"] == [client.get_secret("app/db") for _ in range(2)]
    assert ["GetParameter", "GetSecretValue"] == aws.calls


def test_a_stamp_evicts(aws: ScriptedAws) -> None:
    """A look at the sheet before each read, if that is the interval."""
    client = made(aws, check_interval_seconds=0, check_timeout_seconds=10)
    client.get_secret("app/db")
    aws.secrets["app/db"] = "newer"
    aws.parameters[SHEET] = encode(Sheet(born=1, horizon=7))

    assert "newer" == client.get_secret("app/db")


def test_what_is_listed_is_there_when_it_returns(aws: ScriptedAws) -> None:
    """In one call, with the first look at the sheet beside it."""
    client = made(aws, secrets=LISTED)

    assert {PREFETCH, "GetParameter"} == set(aws.calls)

    values = [client.get_secret(name) for name in LISTED]

    assert ["old", "key"] == values
    assert 2 == len(aws.calls)


def test_a_start_looks_at_the_sheet_meanwhile(aws: ScriptedAws) -> None:
    """While the prefetch is under way, and not after it."""
    gate = aws.hold(PREFETCH)
    start = threading.Thread(target=made, args=(aws,), kwargs={"secrets": LISTED})
    start.start()
    gate.wait_for_arrival()
    try:
        wait_until(lambda: "GetParameter" in aws.calls, "a look at the sheet", 3)
    finally:
        gate.open()
        start.join(10)


def test_an_own_ttl_counts(aws: ScriptedAws) -> None:
    """Of a secret in the list, also where nothing is prefetched."""
    client = made(aws, secrets={"app/db": {"ttl_seconds": 0}}, prefetch=False)

    assert [] == aws.calls

    for _ in range(2):
        client.get_secret("app/db")

    assert 2 == aws.calls.count("GetSecretValue")


def test_a_prefetch_that_fails_fails_nobody(
    aws: ScriptedAws, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which one; a read of it is told."""
    client = made(aws, secrets=["app/db", "app/absent"])

    assert "old" == client.get_secret("app/db")
    with pytest.raises(rotaware.AwsError, match="ResourceNotFoundException"):
        client.get_secret("app/absent")
    assert "name='app/absent'" in caplog.text


def test_variables_are_decrypted_at_start(aws: ScriptedAws) -> None:
    """Those that are given; else those that the environment lists."""
    aws.plaintexts["YQ=="] = "Y2FuYXJ5"
    environ = {"ROTAWARE_KMS_ENV": "KEY", "KEY": "YQ=="}

    assert "canary" == made(aws, variables={"A": "YQ=="}).get_variable("A")
    assert "canary" == made(aws, environ=environ).get_variable("KEY")
    assert 2 == aws.calls.count("Decrypt")


@pytest.mark.parametrize(
    ("environ", "decrypt", "expected"),
    [
        ({}, None, False),
        ({}, True, True),
        ({"POWERTOOLS_PARAMETERS_SSM_DECRYPT": "true"}, None, True),
        ({"POWERTOOLS_PARAMETERS_SSM_DECRYPT": "true"}, False, False),
    ],
)
def test_decryption_can_be_the_rule(
    aws: ScriptedAws,
    environ: dict[str, str],
    decrypt: bool | None,  # noqa: FBT001  it is an argument's value
    expected: bool,  # noqa: FBT001  likewise
) -> None:
    """By argument, or by the variable that Powertools has for it."""
    aws.parameters["/flag"] = "on"
    client = made(aws, environ=environ, decrypt=decrypt)
    reader: Any = client._reader
    client.get_parameter("/flag")

    held = reader.parts.store.peek(Query.parameter("/flag", decrypt=True))

    assert expected == (held is not None)


@pytest.mark.usefixtures("no_files")
def test_without_arguments_the_environment_counts(
    aws: ScriptedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a developer's machine there are variables, or AWS's own files."""
    variables = {
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": aws.url,
        "ROTAWARE_NAMESPACE": "edge",
        **KEYS,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert "old" == in_process().get_secret("app/db")
    assert ["GetParameter", "GetSecretValue"] == aws.calls


@pytest.mark.usefixtures("no_files")
def test_a_fallback_is_told_by_the_environment_alone(
    aws: ScriptedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials are boto3's own business, the rest is in the mapping."""
    for name, value in {"AWS_ENDPOINT_URL": aws.url, **KEYS}.items():
        monkeypatch.setenv(name, value)
    environ = {"AWS_REGION": "us-east-1", "SECRETS_MANAGER_TTL": "0"}
    reader = reader_from_environ(environ)

    found = [reader.read(Query.secret("app/db")) for _ in range(2)]

    assert [True, True] == [reading.from_source for reading in found]
    with pytest.raises(rotaware.SettingsError, match=r"region: .*; ROTAWARE_STAMPS: "):
        reader_from_environ({"ROTAWARE_STAMPS": "x", "AWS_REGION": "a b"})


@pytest.mark.usefixtures("no_files")
def test_every_problem_is_told_at_once() -> None:
    """Where AWS is and how it is read, in one message."""
    told = problems(
        region="Frankfurt", endpoint_url="nowhere", secrets=["a b"], cache_size=-1
    )

    assert ["endpoint_url", "region", "cache_size", "secrets[0]"] == [
        problem.partition(":")[0] for problem in told
    ]
    assert all("; " in problem for problem in told)


@pytest.mark.usefixtures("no_files")
def test_a_region_is_found_or_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the arguments, the session, the environment, or AWS's own files."""
    assert ["region: is not known; give one such as eu-west-1"] == problems(region=None)
    places: tuple[dict[str, Any], ...] = (
        {"region": "eu-west-1"},
        {"session": boto3.Session(region_name="eu-west-1")},
        {"environ": {"AWS_REGION": "eu-west-1"}},
    )
    for found in places:
        in_process(**{"environ": {}, **found})
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    in_process(environ={})


@pytest.mark.usefixtures("no_files")
def test_at_the_edge_the_region_must_be_given() -> None:
    """There the environment's is wherever a request came in."""
    environ = {"AWS_LAMBDA_FUNCTION_NAME": "us-east-1.f", "AWS_REGION": "eu-west-3"}

    assert ["region"] == [
        problem.partition(":")[0] for problem in problems(region=None, environ=environ)
    ]
    in_process(region="us-east-1", environ=environ)


def test_what_is_no_session_is_refused() -> None:
    """It is said at once, and not at the first read; nor is it asked for a Region."""
    fault = "session: is no boto3.Session; give one, or leave it out"

    assert [fault] == problems(session="default")
    assert [fault, "region: is not known; give one such as eu-west-1"] == problems(
        session="default", region=None
    )


def test_every_setting_is_passed_on() -> None:
    """An argument that were forgotten on the way would have no effect."""
    told = problems(**dict.fromkeys(SETTINGS, "~"))

    assert set(SETTINGS) == {problem.partition(":")[0] for problem in told}


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle of a function may lack one of the two that this mode needs."""
    monkeypatch.setitem(sys.modules, "cachetools", None)

    (problem,) = problems()

    assert problem.startswith("in_process: needs cachetools, which cannot be imported;")


def test_a_profile_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3's own words say which one, in one of our errors."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    (problem,) = problems()

    assert problem.startswith("session: boto3 makes none (The config profile (nobody)")


def test_many_threads_make_one_call(aws: ScriptedAws) -> None:
    """Those who ask for the same at the same time share the answer."""
    client = made(aws, stamps="off")
    gate = aws.hold("GetSecretValue")
    values: list[str] = []
    threads = [
        threading.Thread(target=lambda: values.append(client.get_secret("app/db")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    gate.wait_for_arrival()
    gate.open()
    for thread in threads:
        thread.join(10)

    assert ["old"] * 8 == values
    assert ["GetSecretValue"] == aws.calls


def test_closing_is_not_the_end(aws: ScriptedAws) -> None:
    """Connections go, what is held stays, and a later read connects anew."""
    client = made(aws, max_connections=7)
    client.get_secret("app/db")
    reader: Any = client._reader
    boto = reader.parts.close_idle.__self__

    assert {7} == {
        each.meta.config.max_pool_connections for each in boto._clients.values()
    }

    client.close()

    assert {} == boto._clients
    assert "old" == client.get_secret("app/db")
    assert "key" == client.get_secret("app/key")


FORKED = """
import os, sys, boto3, rotaware
client = rotaware.in_process(
    region="us-east-1",
    session=boto3.Session("AKID", "SECRET"),
    endpoint_url=sys.argv[1],
    environ={},
    stamps="off",
    secrets=["app/db"],
)
lock = client._reader.parts.store._lock
lock.acquire()  # as another thread of the parent might have done
child = os.fork()
if child == 0:
    print(client.get_secret("app/db"), flush=True)
    os._exit(0)
lock.release()
os.waitpid(child, 0)
print(client.get_secret("app/db"))
"""


def test_a_forked_process_reads_on(aws: ScriptedAws) -> None:
    """Neither the parent's locks nor its connections are in its way."""
    run = subprocess.run(
        [sys.executable, "-c", FORKED, aws.url],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        env={"PYTHONPATH": str(ROOT / "shared")},
    )

    assert "old\nold\n" == run.stdout


@pytest.mark.usefixtures("no_files")
@pytest.mark.parametrize("token", [{}, {"AWS_SESSION_TOKEN": "token"}])
def test_where_no_extension_listens_functions_read_here(
    aws: ScriptedAws, monkeypatch: pytest.MonkeyPatch, token: dict[str, str]
) -> None:
    """If the function asks for that; on a developer's machine there is no token."""
    for name, value in {"AWS_ENDPOINT_URL": aws.url, **KEYS}.items():
        monkeypatch.setenv(name, value)
    environ = {
        "AWS_REGION": "us-east-1",
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(free_port()),
        "ROTAWARE_FALLBACK": "in-process",
        **token,
    }
    client = rotaware.Client.from_environ(environ)

    assert ["old", "old"] == [client.get_secret("app/db") for _ in range(2)]
    assert 1 == aws.calls.count("GetSecretValue")


HASTY = """
import sys, boto3, rotaware
client = rotaware.in_process(
    region="us-east-1",
    session=boto3.Session("AKID", "SECRET"),
    endpoint_url=sys.argv[1],
    environ={},
    check_timeout_seconds=0.01,
)
print(client.get_secret("app/db"))
"""


def test_an_exit_waits_for_no_look(aws: ScriptedAws) -> None:
    """A program ends though an answer about the sheet has not come."""
    gate = aws.hold("GetParameter")
    run = subprocess.run(
        [sys.executable, "-c", HASTY, aws.url],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        env={"PYTHONPATH": str(ROOT / "shared")},
    )

    assert gate.arrived.is_set()
    assert ("old\n", "") == (run.stdout, run.stderr)
