"""Reads in this process: through the checker and the store, as the port's do."""

from __future__ import annotations

import io
from typing import Any

import pytest

from rotaware.assembly import store_and_checker
from rotaware.errors import AwsError, AwsThrottledError, AwsTimeoutError, RotawareError
from rotaware.log import Logger
from rotaware.secret import Query
from rotaware.settings import Settings
from rotaware.store_reader import Parts, StoreReader
from tests.support.clock import ManualClock
from tests.support.fake_aws import FakeAws

SECRET = Query.secret("db")
ARN = "arn:aws:secretsmanager:r:1:secret:db-AbCdEf"


class Client(FakeAws):
    """The same for the sheet."""

    def with_attempts(self, _attempts: int) -> Client:
        return self


class Rig:
    """A reader whose parts are made anew for each process.

    Attributes:
        calls: The operations that were called, in order.
        made: How often parts were made.
        closed: How often connections were closed.
    """

    def __init__(self, *answers: Any, stamps: str = "off", **environ: str) -> None:
        self.made = self.closed = 0
        self._aws = Client(*answers)
        self._environ = {"ROTAWARE_STAMPS": stamps, **environ}
        self.reader = StoreReader(self._make)

    @property
    def calls(self) -> list[str]:
        return [call.operation for call in self._aws.calls]

    def _make(self) -> Parts:
        self.made += 1
        clock = ManualClock()
        log = Logger(service="test", level="NONE", stream=io.StringIO(), clock=clock)
        store, checker = store_and_checker(
            Settings.from_environ(self._environ),
            {"KEY": "YQ=="},
            self._aws,
            function_name=None,
            clock=clock,
            random=lambda: 0.0,
            log=log,
        )
        return Parts(store, checker, self._close)

    def _close(self) -> None:
        self.closed += 1


def secret(version: str = "v") -> dict[str, Any]:
    """AWS's answer."""
    return {"ARN": ARN, "VersionId": version, "SecretString": version}


def test_a_reading_says_where_it_is_from() -> None:
    """From AWS the first time, from memory the second."""
    rig = Rig(secret())

    first, second = rig.reader.read(SECRET), rig.reader.read(SECRET)

    assert (True, False) == (first.from_source, second.from_source)
    assert "v" == first.document["SecretString"] == second.document["SecretString"]
    assert {} == first.document["ResultMetadata"]


def test_each_read_looks_at_the_sheet_first() -> None:
    """With an interval of 0; what it looked at is older than what it then fetches."""
    answers = [{"Parameter": {}}, secret(), {"Parameter": {}}]
    rig = Rig(*answers, stamps="ssm", ROTAWARE_CHECK_INTERVAL="0")
    rig.reader.read(SECRET)

    assert ["GetParameter", "GetSecretValue"] == rig.calls


def test_what_is_asked_for_is_passed_on() -> None:
    """Refreshes ask always, and who names a failed version gets another."""
    rig = Rig(secret("a"), secret("b"), secret("c"))
    rig.reader.read(SECRET)

    fresh = rig.reader.read(SECRET, refresh=True)
    other = rig.reader.read(SECRET, instead_of="a")
    another = rig.reader.read(SECRET, instead_of="b")

    assert ["b", "b", "c"] == [
        each.document["VersionId"] for each in (fresh, other, another)
    ]
    assert [True, False, True] == [each.from_source for each in (fresh, other, another)]


@pytest.mark.parametrize(
    ("blob", "value"), [("Y2FuYXJ5", "canary"), ("//4=", b"\xff\xfe")]
)
def test_a_variable_is_its_value(blob: str, value: str | bytes) -> None:
    """As the port's body: text, or bytes that are none."""
    rig = Rig({"Plaintext": blob})

    assert value == rig.reader.read(Query.variable("KEY")).document


@pytest.mark.parametrize(
    "error",
    [
        AwsError("AccessDeniedException", "no", 400),
        AwsThrottledError("ThrottlingException", "slow", 400),
        AwsTimeoutError("late"),
    ],
)
def test_an_error_is_the_same_and_yet_its_own(error: AwsError) -> None:
    """Each who reads gets one that nobody else has raised."""
    rig = Rig(error, error)
    raised: list[RotawareError] = []
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            rig.reader.read(SECRET)
        raised.append(caught.value)

    assert raised[0] is not raised[1]
    assert (error.code, error.status) == (raised[1].code, raised[1].status)
    assert raised[1].message.startswith(error.message)
    assert (None, None) == (raised[1].__cause__, raised[1].__context__)


def test_a_forked_process_has_a_cache_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it was forked from may be locked for ever, or waiting for an answer."""
    rig = Rig(secret("a"), secret("b"))
    rig.reader.read(SECRET)
    monkeypatch.setattr("os.getpid", lambda: -1)

    documents = [rig.reader.read(SECRET).document for _ in range(2)]

    assert ["b", "b"] == [document["VersionId"] for document in documents]
    assert 2 == rig.made


def test_closing_lets_go_of_connections_alone() -> None:
    """What is held is held on, and a later read may connect anew."""
    rig = Rig(secret())
    rig.reader.read(SECRET)

    rig.reader.close()

    assert 1 == rig.closed
    assert not rig.reader.read(SECRET).from_source
