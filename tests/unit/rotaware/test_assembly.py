"""The parts put together: what the settings say is what the parts do."""

from __future__ import annotations

import io
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from rotaware.assembly import settle, store_and_checker
from rotaware.clock import Deadline
from rotaware.errors import AwsError, AwsUnavailableError
from rotaware.log import Logger
from rotaware.secret import Query
from rotaware.settings import Settings
from rotaware.sheet import Sheet, encode
from tests.support.clock import ManualClock
from tests.support.fake_aws import FakeAws

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotaware.checker import Checker
    from rotaware.store import Store

SECRET, PARAMETER = Query.secret("db"), Query.parameter("/flag")
VALUE = {"ARN": "arn:aws:secretsmanager:r:1:secret:db-AbCdEf", "VersionId": "v"}
FLAG = {"ARN": "arn:aws:ssm:r:1:parameter/flag", "Name": "/flag", "Value": "x"}
GONE = AwsError("ParameterNotFound", "no sheet")


class Client(FakeAws):
    """Notes how many attempts the sheet's client has; a test may hold its calls."""

    attempts = 0

    def __init__(self, *answers: Any) -> None:
        super().__init__(*answers)
        self.gate = Event()
        self.gate.set()

    def call(self, *call: Any, **limits: Any) -> dict[str, Any]:
        self.gate.wait(10)
        return super().call(*call, **limits)

    def with_attempts(self, attempts: int) -> Client:
        self.attempts = attempts
        return self


class Assembled(NamedTuple):
    """What was put together, and what it was put together from."""

    store: Store
    checker: Checker
    clock: ManualClock
    aws: Client

    def read(self, query: Query) -> str:
        """Where an answer came from."""
        return self.store.get(query).how

    def timeouts(self) -> list[float | None]:
        """The limits of the calls."""
        return [call.timeout_seconds for call in self.aws.calls]


def assembled(
    *answers: Any,
    environ: Mapping[str, str] | None = None,
    ciphertexts: Mapping[str, str] | None = None,
) -> Assembled:
    """All parts, as the environment says."""
    clock, aws = ManualClock(), Client(*answers)
    store, checker = store_and_checker(
        Settings.from_environ(environ or {}),
        ciphertexts or {},
        aws,
        function_name="function",
        clock=clock,
        random=lambda: 0.0,
        log=Logger(service="test", level="DEBUG", stream=io.StringIO(), clock=clock),
    )
    return Assembled(store, checker, clock, aws)


def secret() -> dict[str, Any]:
    """AWS's answer for a secret."""
    return {**VALUE, "SecretString": "canary"}


def parameter() -> dict[str, Any]:
    """AWS's answer for a parameter."""
    return {"Parameter": {**FLAG, "Version": 1}}


def forgetful_sheet() -> dict[str, Any]:
    """AWS's answer for a sheet that puts all in doubt."""
    text = encode(Sheet(base=1, horizon=1, born=1))
    return {"Parameter": {"Value": text, "Version": 2}}


def test_each_service_has_its_ttl_and_its_timeout() -> None:
    """Secrets, parameters and variables are held as long as they may."""
    environ = {
        "SECRETS_MANAGER_TTL": "10",
        "SSM_PARAMETER_STORE_TTL": "20",
        "SECRETS_MANAGER_TIMEOUT_MILLIS": "1000",
        "SSM_PARAMETER_STORE_TIMEOUT_MILLIS": "3000",
    }
    answers = [secret(), parameter(), {"Plaintext": "YQ=="}, secret(), parameter()]
    parts = assembled(*answers, environ=environ, ciphertexts={"KEY": "YQ=="})
    queries = SECRET, PARAMETER, Query.variable("KEY")
    for query in queries:
        parts.read(query)

    parts.clock.tick(15)

    assert ["fwd=stale", "hit", "hit"] == [parts.read(query) for query in queries]

    parts.clock.tick(8)

    assert ["hit", "fwd=stale", "hit"] == [parts.read(query) for query in queries]
    # With something stale to serve, a source has less time.
    assert [1.0, 3.0, None, 1.0, 2.0] == parts.timeouts()


@pytest.mark.parametrize(
    ("environ", "held"),
    [
        ({}, 2),
        ({"PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "1"}, 1),
        ({"PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "0"}, 0),
        ({"PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED": "FALSE"}, 0),
    ],
)
def test_as_much_is_held_as_may_be(environ: dict[str, str], held: int) -> None:
    """Where nothing is to be cached, nothing is."""
    parts = assembled(*[secret(), parameter()] * 2, environ=environ)
    for query in (SECRET, PARAMETER):
        parts.read(query)

    found = [parts.store.peek(query) for query in (SECRET, PARAMETER)]

    assert held == sum(answer is not None for answer in found)


def test_variables_take_no_place_from_secrets() -> None:
    """They are held besides."""
    environ = {"PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "1"}
    answers = [{"Plaintext": "YQ=="}, secret()]
    parts = assembled(*answers, environ=environ, ciphertexts={"KEY": "YQ=="})
    queries = Query.variable("KEY"), SECRET
    for query in queries:
        parts.read(query)

    assert ["hit", "hit"] == [parts.read(query) for query in queries]
    context = {"LambdaFunctionName": "function"}
    assert context == parts.aws.calls[0].request["EncryptionContext"]


def test_a_stale_value_covers_for_as_long_as_it_may() -> None:
    """Past its TTL, while the source is out of reach."""
    failure = AwsUnavailableError("X", "down")
    environ = {"ROTAWARE_STALE_IF_ERROR": "60"}
    parts = assembled(secret(), failure, failure, environ=environ)
    parts.read(SECRET)
    parts.clock.tick(359)

    assert "hit; detail=stale-if-error" == parts.read(SECRET)

    parts.clock.tick(2)

    assert "fwd=miss" == parts.read(SECRET)


def test_the_sheet_evicts() -> None:
    """Its looks are one attempt each, and what they bring reaches the store."""
    parts = assembled(secret(), forgetful_sheet(), secret())
    parts.read(SECRET)

    parts.checker.ensure_checked(10.0)

    assert "fwd=stale" == parts.read(SECRET)
    assert 1 == parts.aws.attempts
    assert "/rotaware/default/stamps" == parts.aws.calls[1].request["Name"]
    assert 5.0 == parts.checker.seconds_until_due()


def test_a_read_waits_for_a_look_as_long_as_is_set() -> None:
    """Then it goes on with what is held."""
    parts = assembled(GONE, environ={"ROTAWARE_CHECK_TIMEOUT": "0.01"})
    parts.aws.gate.clear()

    parts.checker.ensure_checked()

    assert 1 == parts.checker.waits_given_up

    parts.aws.gate.set()
    parts.checker.ensure_checked(10.0)


def test_stamps_may_be_off() -> None:
    """Then there is nothing to look at."""
    parts = assembled(environ={"ROTAWARE_STAMPS": "off"})

    parts.checker.ensure_checked()

    assert float("inf") == parts.checker.seconds_until_due()
    assert [] == parts.aws.calls


def test_a_start_waits_for_prefetch_and_sheet() -> None:
    """What the sheet puts in doubt is fetched again before it is over."""
    parts = assembled(secret(), forgetful_sheet(), secret())
    threads = parts.store.prefetch([SECRET])
    for thread in threads:
        thread.join(10)

    settle(parts.store, parts.checker, threads, Deadline(parts.clock, 5.0))

    assert ["GetSecretValue", "GetParameter", "GetSecretValue"] == [
        call.operation for call in parts.aws.calls
    ]
    assert "hit" == parts.read(SECRET)


def test_a_start_without_prefetch_waits_for_nothing() -> None:
    """The first read looks at the sheet."""
    parts = assembled()

    settle(parts.store, parts.checker, [], Deadline(parts.clock, 5.0))

    assert [] == parts.aws.calls


def test_a_start_has_an_end() -> None:
    """What is still under way then goes on without it."""
    parts = assembled(environ={"ROTAWARE_STAMPS": "off"})
    waits: list[float | None] = []

    class Endless(Thread):
        def join(self, timeout: float | None = None) -> None:
            waits.append(timeout)
            parts.clock.tick(3.0)

    settle(parts.store, parts.checker, [Endless(), Endless()], Deadline(parts.clock, 5))

    assert [5.0, 2.0] == waits
