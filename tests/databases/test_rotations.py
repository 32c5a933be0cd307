"""The proof: rotations while everybody logs in, all kinds at once, with the controls.

``make rotations`` does the same a hundred times over, and draws it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.databases.conftest import found_canaries
from tests.databases.course import (
    EVICTION,
    FRESH,
    POWERTOOLS,
    ROTAWARE,
    STRATEGIES,
    WORKERS,
    Course,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases.course import Outcome
    from tests.support.mariadb import Mariadb
    from tests.support.postgres import Postgres
    from tests.support.stand_in import StandIn

ROTATIONS = 4
QUESTIONS = (0.0, 0.5, 1.5, 3.5, 7.5)
"""How long after the first refused login Secrets Manager is asked, at the earliest."""
KINDS = [
    (engine, strategy) for engine in ("postgres", "mariadb") for strategy in STRATEGIES
]

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def outcomes(  # noqa: PLR0913, PLR0917  all parts of the rig
    postgres: Postgres,
    mariadb: Mariadb,
    stand_in: StandIn,
    make_secret: Callable[[dict[str, Any]], str],
    rotation_role: None,  # noqa: ARG001  what it does is wanted
    credentials: dict[str, str],
) -> Iterator[dict[tuple[str, str], Outcome]]:
    """What came of all courses, run side by side; one engine has controls."""
    client = boto3.client("secretsmanager")
    with ExitStack() as stack:
        courses = [
            stack.enter_context(
                Course(
                    server,
                    stand_in,
                    make_secret,
                    client,
                    strategy,
                    credentials=credentials,
                    controls=server is postgres,
                )
            )
            for server in (postgres, mariadb)
            for strategy in STRATEGIES
        ]
        with ThreadPoolExecutor(len(courses)) as pool:
            found = list(pool.map(lambda course: course.run(ROTATIONS), courses))
        yield {(each.engine, each.strategy): each for each in found}

        with ThreadPoolExecutor(len(courses)) as pool:
            list(pool.map(Course.stop, courses))
        for course in courses:
            assert found_canaries(course.lines()) == []
    client.close()


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_function_code_sees_no_failure(
    outcomes: dict[tuple[str, str], Outcome], kind: tuple[str, str]
) -> None:
    """Whoever logs in through ``rotaware.database`` gets a connection, each time."""
    outcome = outcomes[kind]

    assert ROTATIONS == len(outcome.rotations)
    assert len(outcome.of(ROTAWARE)) > ROTATIONS * WORKERS[ROTAWARE]
    assert [] == outcome.failed(ROTAWARE)


def test_the_others_do_see_failures(outcomes: dict[tuple[str, str], Outcome]) -> None:
    """In the same rotations nothing else is enough: not even what was just fetched."""
    outcome = outcomes["postgres", "single user"]

    for way in (EVICTION, POWERTOOLS, FRESH):
        assert len(outcome.failed(way)) >= ROTATIONS, way


def test_two_users_need_eviction_alone(
    outcomes: dict[tuple[str, str], Outcome],
) -> None:
    """With alternating users, a secret that is evicted in time is always right."""
    outcome = outcomes["postgres", "alternating users"]

    assert [] == outcome.failed(EVICTION) + outcome.failed(FRESH)


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_few_logins_are_refused(
    outcomes: dict[tuple[str, str], Outcome], kind: tuple[str, str]
) -> None:
    """The server refuses a few logins a rotation, not three of each worker."""
    outcome = outcomes[kind]

    assert max(outcome.refused) <= 3 * WORKERS[ROTAWARE]
    assert sum(outcome.refused) <= 3 * ROTATIONS


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_few_reads_are_asked_for(
    outcomes: dict[tuple[str, str], Outcome], kind: tuple[str, str]
) -> None:
    """However many workers there are, a window of a second costs two reads in vain.

    Questions are asked after nothing, half a second, one and a half, and so on. A busy
    machine may stretch a window so far that a third falls into it.
    """
    outcome = outcomes[kind]
    in_vain = [
        sum(step < window for step in QUESTIONS) * (outcome.strategy == "single user")
        for window in outcome.windows()
    ]
    short = [window < QUESTIONS[2] for window in outcome.windows()]

    assert any(short)
    assert [] == [
        (read, most)
        for read, most in zip(outcome.reads, in_vain, strict=True)
        if read > 1 + most
    ]
