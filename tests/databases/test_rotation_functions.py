"""The sample rotation functions, on real servers: all steps, and what may befall."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from examples.rotation.function import databases
from examples.rotation.function.alternating_users import AlternatingUsers, other_user
from examples.rotation.function.logins import is_taken
from examples.rotation.function.secrets_manager import RotationError, rotate
from examples.rotation.function.single_user import SingleUser
from rotaware.sheet import decode, subject_of, version_digest
from tests.databases.conftest import found_canaries
from tests.support.database_server import ADMIN_PASSWORD
from tests.support.processes import free_port
from tests.support.rotator import SHEET, Rotator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from examples.rotation.function.secrets_manager import Strategy
    from tests.support.database_server import DatabaseServer
    from tests.support.stand_in import StandIn

    MakeSecret = Callable[[dict[str, Any]], str]

ENGINES = ["postgres", "mariadb"]
STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]
AWKWARD = "o'b\"r`i;e%n"

pytestmark = [
    pytest.mark.usefixtures("rotation_role"),
    pytest.mark.parametrize("server", ENGINES, indirect=True),
]


class Case:
    """A user of a server, their secret, and a rotation of it."""

    def __init__(
        self,
        server: DatabaseServer,
        make_secret: MakeSecret,
        strategy: Strategy,
        username: str,
    ) -> None:
        self.server = server
        server.make_user(username, "canary-first")
        admin = "postgres" if server.engine == "postgres" else "administrator"
        fields = {"dbname": "app", "ssl": False}
        master = make_secret(server.secret(admin, ADMIN_PASSWORD, **fields))
        self.login = server.secret(username, "canary-first", **fields, masterarn=master)
        self.arn = make_secret(self.login)
        self.client = boto3.client("secretsmanager")
        self.rotator = Rotator(self.client, self.arn, strategy)

    def read(self, stage: str = "AWSCURRENT") -> dict[str, Any]:
        """A version of the secret."""
        answer = self.client.get_secret_value(SecretId=self.arn, VersionStage=stage)
        return dict(json.loads(answer["SecretString"]))

    def close(self) -> None:
        """Hang up."""
        self.client.close()


@pytest.fixture(autouse=True)
def no_password_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever the rotation function and its libraries have logged is clean."""
    with caplog.at_level("INFO"):
        yield

    assert found_canaries(caplog.messages) == []


@pytest.fixture
def case(request: pytest.FixtureRequest, server: DatabaseServer) -> Any:
    """Makes a case, for one user; the test's own name tells users apart."""
    make_secret = request.getfixturevalue("make_secret")
    cases: list[Case] = []

    def make(strategy: Strategy, username: str) -> Case:
        cases.append(Case(server, make_secret, strategy, username))
        return cases[-1]

    yield make
    for each in cases:
        each.close()


@pytest.mark.parametrize("username", ["plain", AWKWARD])
def test_single_user(case: Callable[..., Case], username: str) -> None:
    """The user keeps its name, and only its new password is taken."""
    one = case(SingleUser(), f"s-{username}")
    one.rotator.rotate()

    assert one.login["username"] == one.read()["username"]
    assert [True, False] == [is_taken(one.read()), is_taken(one.login)]
    assert one.login == one.read("AWSPREVIOUS")


@pytest.mark.parametrize("username", ["plain", AWKWARD])
def test_alternating_users(case: Callable[..., Case], username: str) -> None:
    """Two users take turns; the one before is taken until it is its turn again."""
    one = case(AlternatingUsers(), f"a-{username}")
    logins = [one.login]
    for _ in range(3):
        one.rotator.rotate()
        logins.append(one.read())
    name = str(one.login["username"])

    assert [name, other_user(name)] * 2 == [login["username"] for login in logins]
    assert [False, False, True, True] == [is_taken(login) for login in logins]


def test_the_second_user_may_do_what_the_first_may(
    case: Callable[..., Case], server: Any
) -> None:
    """What the first user was granted, the other one can do as well."""
    one = case(AlternatingUsers(), "granted")
    server.execute("CREATE TABLE granted_things (thing int)")
    server.execute("GRANT SELECT ON granted_things TO granted")
    one.rotator.rotate()
    login = one.read()
    database = databases.DATABASES[server.engine]
    with database.connect(login) as session:
        cursor = session.cursor()
        cursor.execute("SELECT count(*) FROM granted_things")

        assert [(0,)] == list(cursor.fetchall())


@pytest.mark.parametrize("strategy", [SingleUser, AlternatingUsers])
def test_every_step_may_come_twice(
    case: Callable[..., Case], strategy: type[Strategy]
) -> None:
    """Secrets Manager repeats steps; the second time finds all done."""
    one = case(strategy(), f"twice-{strategy.__name__}")
    token = one.rotator.new_token()
    made = []
    for step in STEPS:
        one.rotator.step(step, token)
        made.append(one.read("AWSPENDING" if step != "finishSecret" else "AWSCURRENT"))
        one.rotator.step(step, token)

    assert [made[0]] * len(STEPS) == made
    # Once more, long after: the label is not moved again.
    assert 0.0 == one.rotator.step("finishSecret", token)
    assert is_taken(one.read())


def test_a_rotation_that_broke_off_is_taken_up_again(
    case: Callable[..., Case],
) -> None:
    """After a failure behind setSecret, the same token leads to a good password."""
    one = case(SingleUser(), "broke-off")
    token = one.rotator.new_token()
    one.rotator.step("createSecret", token)
    one.rotator.step("setSecret", token)

    assert not is_taken(one.read())

    one.rotator.rotate(token)

    assert is_taken(one.read())


def test_a_failed_test_sets_the_old_password_again(
    case: Callable[..., Case], server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window does not stay open until somebody comes to mend it."""
    one = case(SingleUser(), "restored")
    token = one.rotator.new_token()
    one.rotator.step("createSecret", token)
    one.rotator.step("setSecret", token)

    def fail(*_: object) -> None:
        raise ValueError("canary")

    with monkeypatch.context() as patch:
        patch.setattr(type(databases.DATABASES[server.engine]), "try_out", fail)
        with pytest.raises(
            RotationError, match="the old password is set again"
        ) as told:
            one.rotator.step("testSecret", token)

    assert is_taken(one.read())
    assert "canary" not in str(told.value)

    one.rotator.rotate(token)

    assert is_taken(one.read())


def test_what_is_no_rotation_is_refused(case: Callable[..., Case]) -> None:
    """A step, token or secret that Secrets Manager would not name changes nothing."""
    one = case(SingleUser(), "refused")
    token = one.rotator.new_token()
    with pytest.raises(RotationError, match="no step of a rotation"):
        one.rotator.step("dropSecret", token)
    event = {"SecretId": one.arn, "ClientRequestToken": token, "Step": "setSecret"}
    with pytest.raises(RotationError, match="is not enabled for rotation"):
        rotate(event, one.client, SingleUser())
    with pytest.raises(RotationError, match="has no value labelled AWSPENDING"):
        one.rotator.step("setSecret", token)

    assert is_taken(one.read())


def test_a_login_that_nobody_takes_ends_the_step(case: Callable[..., Case]) -> None:
    """A user whose password was changed by hand is named, and no password is told."""
    one = case(SingleUser(), "by-hand")
    token = one.rotator.new_token()
    one.rotator.step("createSecret", token)
    one.server.set_password("by-hand", "canary-by-hand")
    with pytest.raises(RotationError, match="takes neither AWSPENDING") as told:
        one.rotator.step("setSecret", token)

    assert "canary" not in repr(told.value)


def test_a_database_that_is_down_ends_the_step(case: Callable[..., Case]) -> None:
    """That is told as what it is, and nothing is concluded about any password."""
    one = case(SingleUser(), "down")
    login = {**one.login, "port": free_port()}
    one.client.put_secret_value(SecretId=one.arn, SecretString=json.dumps(login))
    token = one.rotator.new_token()
    one.rotator.step("createSecret", token)
    with pytest.raises(RotationError, match=r"down at .*: OperationalError"):
        one.rotator.step("setSecret", token)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"host": "203.0.113.1"}, "another server"),
        ({"username": "somebody"}, "another user"),
    ],
)
def test_a_pending_version_for_something_else_is_refused(
    case: Callable[..., Case], change: dict[str, str], problem: str
) -> None:
    """Who may write the secret shall not have a password sent to a server of theirs."""
    one = case(SingleUser(), f"moved-{next(iter(change))}")
    token = one.rotator.new_token()
    one.client.put_secret_value(
        SecretId=one.arn,
        ClientRequestToken=token,
        SecretString=json.dumps({**one.login, **change}),
        VersionStages=["AWSPENDING"],
    )
    with pytest.raises(RotationError, match=problem):
        one.rotator.step("setSecret", token)


def test_finishing_stamps_at_once(case: Callable[..., Case], stand_in: StandIn) -> None:
    """When finishSecret returns, the sheet says so, though no event came."""
    one = case(SingleUser(), "stamped")
    one.rotator.rotate()
    current = one.client.get_secret_value(SecretId=one.arn)["VersionId"]
    answer = stand_in.client("ssm").get_parameter(Name=SHEET)
    stamps = decode(answer["Parameter"]["Value"]).stamps

    assert version_digest(current) == stamps[subject_of(one.arn)].version
