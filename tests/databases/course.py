"""Rotations of one secret while workers log in all the time, and what came of it.

Two execution environments run beside each other: in one all workers log in through
``rotaware.database``, in the other the controls do what they would without it. Both
have the layer, and the same secret; the same rotations befall them. The function's
other calls go past the recorder, so it counts what the layer alone has asked for.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from examples.rotation.function.alternating_users import AlternatingUsers
from examples.rotation.function.single_user import SingleUser
from tests.support.database_server import ADMIN_PASSWORD
from tests.support.processes import ProcessError
from tests.support.rotator import Moments, Rotator
from tests.support.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from examples.rotation.function.secrets_manager import Strategy
    from tests.support.database_server import DatabaseServer
    from tests.support.recorder import Recorder
    from tests.support.stand_in import StandIn

FUNCTION = Path(__file__).with_name("function")
ROTAWARE = "rotaware.database"
EVICTION, POWERTOOLS, FRESH = "eviction alone", "Powertools, 5 s", "fetched each time"
WORKERS = {ROTAWARE: 8}
CONTROLS = {EVICTION: 3, POWERTOOLS: 3, FRESH: 3}
STRATEGIES: dict[str, type[Strategy]] = {
    "single user": SingleUser,
    "alternating users": AlternatingUsers,
}
INVOCATION_SECONDS = 0.5
_rotating = threading.Lock()
"""One course rotates at a time: two stamps at once would cost readers one more read,
and with more than one a second on a sheet their dates run ahead of the clock."""
READS = ("secretsmanager.GetSecretValue", "secretsmanager.BatchGetSecretValue")


class Login(NamedTuple):
    """One login: when it began, and how it ended."""

    way: str
    worker: int
    at: float
    seconds: float
    problem: str | None


class Outcome(NamedTuple):
    """What came of a course.

    Attributes:
        engine: Of the database.
        strategy: Of the rotations.
        rotations: When each of them was.
        logins: Of all workers.
        reads: How often the layer of the workers read the secret, by rotation.
        refused: How many logins of the workers the server refused, by rotation.
    """

    engine: str
    strategy: str
    rotations: Sequence[Moments]
    logins: Sequence[Login]
    reads: Sequence[int]
    refused: Sequence[int]

    def of(self, way: str) -> list[Login]:
        """The logins of one way."""
        return [login for login in self.logins if login.way == way]

    def windows(self) -> list[float]:
        """For how many seconds no current version may have been right, by rotation."""
        return [moment.moved_at - moment.set_at for moment in self.rotations]

    def failed(self, way: str) -> list[Login]:
        """Those of them that function code has seen fail."""
        return [login for login in self.of(way) if login.problem is not None]


class Environment:
    """An execution environment whose function is invoked again and again.

    Attributes:
        sandbox: The environment.
        recorder: What its layer asked for.
        event: What each invocation is sent.
        logins: What all invocations have answered.
    """

    def __init__(
        self,
        stand_in: StandIn,
        environ: dict[str, str],
        event: dict[str, Any],
    ) -> None:
        self.recorder: Recorder = stand_in.recorder()
        self.event = {**event, "endpoint": stand_in.url}
        self.logins: list[Login] = []
        self.sandbox = Sandbox(
            FUNCTION,
            environ={"ROTAWARE_CHECK_INTERVAL": "0", **environ},
            endpoint_url=self.recorder.url,
            timeout_seconds=60,
        )

    def invoke(self, **changes: Any) -> list[Login]:
        """One invocation; the logins of its workers."""
        response = self.sandbox.invoke({**self.event, **changes})
        if not isinstance(response.body, dict) or "logins" not in response.body:
            log = "\n".join(self.sandbox.lines[-40:])
            raise ProcessError(f"the function failed: {response}\n{log}")
        logins = [Login(**login) for login in response.body["logins"]]
        self.logins += logins
        return logins

    def reads(self) -> int:
        """How often the layer has read the secret."""
        return sum(self.recorder.counts[name] for name in READS)


class Course:
    """One secret and its rotations; to be used as a context.

    Args:
        server: The database.
        stand_in: AWS.
        make_secret: Makes a secret; its ARN.
        client: A client of Secrets Manager with the rotation function's role.
        strategy: A key of ``STRATEGIES``.
        credentials: Of the functions' role.
        window_seconds: How long it is from setSecret to finishSecret, what the steps
            take themselves included.
        gap_seconds: How long nothing happens before the next rotation at least. A stamp
            is dated up to two seconds late; what is made earlier counts as older.
        pace_seconds: How long a worker's turn is.
        environ: Further variables of the functions.
        controls: Whether there are some.
    """

    def __init__(  # noqa: PLR0913  a run has as many settings
        self,
        server: DatabaseServer,
        stand_in: StandIn,
        make_secret: Callable[[dict[str, Any]], str],
        client: Any,
        strategy: str,
        *,
        credentials: dict[str, str],
        window_seconds: float = 1.0,
        gap_seconds: float = 2.5,
        pace_seconds: float = 0.5,
        environ: dict[str, str] | None = None,
        controls: bool = True,
    ) -> None:
        self.server = server
        self.strategy = strategy
        self.username = make_user(server, strategy)
        self.arn = make_login(server, make_secret, self.username)
        self._gap_seconds = gap_seconds
        self._window_seconds = self._pause_seconds = window_seconds
        self.rotator = Rotator(
            client,
            self.arn,
            STRATEGIES[strategy](),
            lambda: time.sleep(self._pause_seconds),
        )
        event = {
            "engine": server.engine,
            "secret": self.arn,
            "seconds": INVOCATION_SECONDS,
            "pace": pace_seconds,
        }
        variables = {**credentials, **(environ or {})}
        self.environments: list[Environment] = []
        try:
            for workers in (WORKERS, CONTROLS)[: 1 + controls]:
                self.environments.append(
                    Environment(stand_in, variables, {**event, "workers": workers})
                )
        except BaseException:
            self.stop()
            raise

    @property
    def workers(self) -> Environment:
        """The environment whose workers log in through ``rotaware.database``."""
        return self.environments[0]

    def run(self, rotations: int) -> Outcome:
        """Rotate so many times, while everybody logs in."""
        for environment in self.environments:
            environment.invoke()
        counts = [self._counts()]
        over = threading.Event()
        with ThreadPoolExecutor(len(self.environments)) as pool:
            pumps = [pool.submit(_pump, each, over) for each in self.environments]
            try:
                moments = []
                for _ in range(rotations):
                    moments.append(self._rotate())
                    # At any moment of an invocation, as it would be.
                    jitter = random.random() * INVOCATION_SECONDS  # noqa: S311  no secret
                    time.sleep(self._gap_seconds + jitter)
                    counts.append(self._counts())
            finally:
                over.set()
            for pump in pumps:
                pump.result()
        logins = [login for each in self.environments for login in each.logins]
        spans = list(itertools.pairwise(counts))
        return Outcome(
            self.server.engine,
            self.strategy,
            moments,
            logins,
            [after.reads - before.reads for before, after in spans],
            [
                # Each rotation begins by trying whether its password is set already.
                after.refused - before.refused - 1 - _of_controls(logins, before, after)
                for before, after in spans
            ],
        )

    def refused(self) -> int:
        """How many logins of this user, or the other one, the server has refused."""
        return self.server.refused_logins(self.username)

    def lines(self) -> list[str]:
        """All that the functions and their extensions have logged."""
        return [line for each in self.environments for line in each.sandbox.lines]

    def stop(self) -> None:
        """End the environments, all at a time."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda each: each.sandbox.stop(), self.environments))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _counts(self) -> _Counts:
        return _Counts(time.time(), self.workers.reads(), self.refused())

    def _rotate(self) -> Moments:
        """The next pause is as long as leaves the steps their part of the window."""
        with _rotating:
            moments = self.rotator.rotate()
        steps_seconds = moments.moved_at - moments.set_at - self._pause_seconds
        self._pause_seconds = max(0.0, self._window_seconds - steps_seconds)
        return moments


class _Counts(NamedTuple):
    """How much there had been by a moment."""

    at: float
    reads: int
    refused: int


def _of_controls(logins: Sequence[Login], since: _Counts, until: _Counts) -> int:
    """A control logs in once, so each of its failures is one refusal."""
    return sum(
        login.problem is not None
        and login.way != ROTAWARE
        and since.at <= login.at + login.seconds < until.at
        for login in logins
    )


def make_user(server: DatabaseServer, strategy: str) -> str:
    """A user whom no other course has."""
    name = f"{strategy[:6]}_{random.randrange(10**9):09d}"  # noqa: S311  no secret
    server.make_user(name, "canary-before-all-rotations")
    return name


def make_login(
    server: DatabaseServer,
    make_secret: Callable[[dict[str, Any]], str],
    username: str,
    **fields: object,
) -> str:
    """Their secret, and the administrator's; the first one's ARN."""
    admin = "postgres" if server.engine == "postgres" else "administrator"
    place = {"dbname": "app", "ssl": False, **fields}
    master = make_secret(server.secret(admin, ADMIN_PASSWORD, **place))
    login = server.secret(username, "canary-before-all-rotations", **place)
    return make_secret({**login, "masterarn": master})


def _pump(environment: Environment, over: threading.Event) -> None:
    while not over.is_set():
        environment.invoke()
