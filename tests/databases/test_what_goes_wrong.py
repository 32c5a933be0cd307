"""Rotations that do not go as they should, and what function code sees of them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import rotaware
from rotaware.cache import PROVISIONAL_SECONDS
from tests.databases.conftest import found_canaries
from tests.databases.course import EVICTION, ROTAWARE, Course, Environment
from tests.support.processes import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases.course import Login
    from tests.support.postgres import Postgres
    from tests.support.redis_server import RedisServer
    from tests.support.stand_in import StandIn

    MakeSecret = Callable[[dict[str, Any]], str]

pytestmark = [pytest.mark.usefixtures("rotation_role"), pytest.mark.timeout(120)]
ONE_EACH = {"seconds": 0.2, "pace": 0.2}
LONG_TTL = {"SECRETS_MANAGER_TTL": "3600"}


@pytest.fixture(scope="module")
def course(
    postgres: Postgres,
    stand_in: StandIn,
    make_secret: MakeSecret,
    rotation_role: None,  # noqa: ARG001  what it does is wanted
    credentials: dict[str, str],
) -> Iterator[Course]:
    """A user of PostgreSQL who rotates alone, and 8 workers; an hour's TTL."""
    client = boto3.client("secretsmanager")
    with Course(
        postgres,
        stand_in,
        make_secret,
        client,
        "single user",
        credentials=credentials,
        window_seconds=0.0,
        environ=LONG_TTL,
        controls=False,
    ) as made:
        assert [] == problems(made.workers.invoke(**ONE_EACH))
        yield made

        assert found_canaries(made.lines()) == []
    client.close()


def problems(logins: list[Login]) -> list[str]:
    """What went wrong."""
    return [login.problem for login in logins if login.problem is not None]


def test_a_rotation_that_broke_off_and_is_mended(course: Course) -> None:
    """Who logs in between failure and repair waits, and notices nothing else."""
    token = course.rotator.new_token()
    course.rotator.step("createSecret", token)
    course.rotator.step("setSecret", token)
    before = course.refused()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(course.workers.invoke, **ONE_EACH)
        # All of them are at it, and have learned that nothing helps yet.
        wait_until(lambda: course.refused() > before, "a refused login")

        assert not waiting.done()

        course.rotator.rotate(token)
        logins = waiting.result()

    assert 8 == len(logins)
    assert [] == problems(logins)
    # The rotation function itself finds its password set already.
    assert course.refused() - before <= 8


def test_a_rollback(course: Course, stand_in: StandIn) -> None:
    """A version that is taken back is let go of, and the one before works again."""
    client = stand_in.client("secretsmanager")
    old = client.get_secret_value(SecretId=course.arn)
    course.rotator.rotate()

    assert [] == problems(course.workers.invoke(**ONE_EACH))

    new = client.get_secret_value(SecretId=course.arn)["VersionId"]
    password = json.loads(old["SecretString"])["password"]
    course.server.set_password(course.username, password)
    client.update_secret_version_stage(
        SecretId=course.arn,
        VersionStage="AWSCURRENT",
        MoveToVersionId=old["VersionId"],
        RemoveFromVersionId=new,
    )
    rotaware.stamp(course.arn)

    assert [] == problems(course.workers.invoke(**ONE_EACH))


def test_two_rotations_within_a_ttl(course: Course) -> None:
    """Nothing that is two versions old is ever used."""
    course.rotator.rotate()
    course.rotator.rotate()

    assert [] == problems(course.workers.invoke(**ONE_EACH))


def test_a_rotation_while_frozen(course: Course) -> None:
    """An environment that slept through a rotation logs in when it wakes up."""
    course.workers.sandbox.freeze()
    course.rotator.rotate()
    course.workers.sandbox.thaw()
    before = course.refused()

    assert [] == problems(course.workers.invoke(**ONE_EACH))
    assert 0 == course.refused() - before


@pytest.mark.parametrize("stamps", ["ssm", "off"])
def test_events_that_are_lost(
    course: Course,
    stand_in: StandIn,
    credentials: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    stamps: str,
) -> None:
    """Though nobody stamps and no TTL helps, the first refusal leads to the new one."""
    environ = {**credentials, **LONG_TTL, "ROTAWARE_STAMPS": stamps}
    environment = Environment(stand_in, environ, course.workers.event)
    try:
        assert [] == problems(environment.invoke(**ONE_EACH))

        with monkeypatch.context() as patch:
            patch.setenv("ROTAWARE_STAMPS", "off")  # so nobody stamps
            course.rotator.rotate()
        reads, refused = environment.reads(), course.refused()
        controls = environment.invoke(**ONE_EACH, workers={EVICTION: 1})

        assert 1 == len(problems(controls))
        assert [] == problems(environment.invoke(**ONE_EACH))
        # What contradicts the sheet is asked for again for a while.
        again = len(PROVISIONAL_SECONDS) if stamps == "ssm" else 0
        assert environment.reads() - reads <= 2 + again
        # One of the control, and at most one of each worker.
        assert course.refused() - refused <= 1 + 8
    finally:
        environment.sandbox.stop()
    rotaware.stamp(course.arn)


def test_a_database_that_is_down(course: Course, make_secret: MakeSecret) -> None:
    """That is no refused login: it fails at once, and asks for the secret but once."""
    login = course.server.secret("app", "canary-of-nobody", dbname="app")
    arn = make_secret({**login, "port": free_port()})
    reads = course.workers.reads()
    logins = course.workers.invoke(**ONE_EACH, secret=arn)

    assert 8 == len(problems(logins))
    assert all(login.seconds < 5 for login in logins)
    assert all("Connection refused" in problem for problem in problems(logins))
    # One to have it, and one to learn that there is no other.
    assert course.workers.reads() - reads <= 3


def test_redis(
    redis_server: RedisServer,
    course: Course,
    stand_in: StandIn,
    make_secret: MakeSecret,
) -> None:
    """A Redis user's password changes first and the secret later; all log in."""
    redis_server.make_user("worker", "canary-one")
    arn = make_secret(redis_server.secret("worker", "canary-one"))
    changes = {**ONE_EACH, "engine": "redis", "secret": arn}

    assert [] == problems(course.workers.invoke(**changes))

    redis_server.set_password("worker", "canary-two")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(course.workers.invoke, **changes)
        wait_until(lambda: redis_server.refused_logins() > 0, "a refused login")
        stand_in.client("secretsmanager").put_secret_value(
            SecretId=arn,
            SecretString=json.dumps(redis_server.secret("worker", "canary-two")),
        )
        logins = waiting.result()

    assert {ROTAWARE} == {login.way for login in logins}
    assert [] == problems(logins)


def test_what_reaches_user_code_holds_no_password(
    course: Course, make_secret: MakeSecret
) -> None:
    """What a login that is refused for good raises is clean, stack and text."""
    login = course.server.secret(course.username, "canary-wrong", dbname="app")
    arn = make_secret(login)
    logins = course.workers.invoke(
        **ONE_EACH, secret=arn, workers={ROTAWARE: 1}, budget=0
    )

    assert 1 == len(problems(logins))
    assert [] == found_canaries([*problems(logins), *course.lines()])
