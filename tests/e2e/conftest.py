"""The rig of the end-to-end tests: one stand-in and one invalidator for all of them.

Each test makes secrets with names of its own, and sandboxes that are gone when it ends.
A test that starts sandboxes is run in every runtime, unless it names some.
Every value is a canary: whatever was logged, stamped or left in a file is searched for
it when a sandbox, and at last the stand-in, is stopped.
"""

from __future__ import annotations

import base64
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.support.deployment import Deployment, deploy
from tests.support.runtimes import RUNTIMES, USUAL_RUNTIMES, Runtime
from tests.support.sandbox import Sandbox
from tests.support.stand_in import StandIn, reading_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.recorder import Recorder

CANARY = "canary-"
_numbers = itertools.count(1)


class Environment(NamedTuple):
    """An execution environment, and every call to AWS that comes out of it."""

    sandbox: Sandbox
    calls: Recorder

    def forget_calls(self) -> None:
        """Count from here on."""
        self.calls.clear()

    def checks(self) -> int:
        """How often the sheet was looked at."""
        return self.calls.counts["ssm.GetParameter"]

    def fetches(self) -> list[str]:
        """All other calls to AWS, each with the one secret that it named."""
        return [
            f"{call.name} {call.request.get('SecretId', '')}".strip()
            for call in self.calls.calls
            if call.name != "ssm.GetParameter"
        ]

    def read(self, *names: str) -> list[str]:
        """Invoke the function; return the values of the secrets that it read."""
        return [str(value) for value in self._invoke({"secrets": names})["values"]]

    def ask(self, *paths: str) -> list[dict[str, Any]]:
        """Invoke the function; return what the local port answered to each path."""
        return list(self._invoke({"paths": paths})["answers"])

    def read_at_init(self) -> str:
        """Invoke the function; return what it read before its first invocation."""
        return str(self._invoke({})["at_init"])

    def _invoke(self, event: object) -> dict[str, Any]:
        response = self.sandbox.invoke(event)
        if not isinstance(response.body, dict) or "values" not in response.body:
            log = "\n".join(self.sandbox.lines[-60:])
            pytest.fail(f"the function failed: {response}\n{log}")
        return response.body


@pytest.fixture(scope="session")
def stand_in() -> Iterator[StandIn]:
    """AWS."""
    with StandIn() as running:
        yield running


@pytest.fixture(scope="session")
def deployed(stand_in: StandIn) -> Iterator[Deployment]:
    """The invalidator, from the template."""
    deployment = deploy(stand_in)
    yield deployment
    history = stand_in.client("ssm").get_parameter_history(Name=deployment.sheet)

    assert found_canaries(deployment.log_lines()) == []
    assert found_canaries(stand_in.lines) == []
    assert found_canaries([str(history["Parameters"])]) == []


@pytest.fixture
def deployment(deployed: Deployment) -> Deployment:
    """The same, with nothing of earlier tests under way."""
    deployed.settle()
    deployed.recorder.clear()
    return deployed


@pytest.fixture
def make_secrets(stand_in: StandIn) -> Callable[..., list[str]]:
    """Makes secrets that no other test knows, with the given values."""

    def make(*values: str) -> list[str]:
        assert all(value.startswith(CANARY) for value in values)
        names = [f"e2e/secret-{next(_numbers)}" for _ in values]
        for name, value in zip(names, values, strict=True):
            stand_in.client("secretsmanager").create_secret(
                Name=name, SecretString=value
            )
        return names

    return make


@pytest.fixture(scope="session")
def credentials(stand_in: StandIn, deployed: Deployment) -> dict[str, str]:
    """Of the role that all functions have; it allows what the README asks for."""
    return stand_in.assume(reading_policy("e2e", deployed.sheet))


@pytest.fixture(params=USUAL_RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """What runs the function, and in which system."""
    found = RUNTIMES[request.param]()
    if (reason := found.root.obstacle()) is not None:
        pytest.skip(reason)
    return found


@pytest.fixture
def start(
    stand_in: StandIn, credentials: dict[str, str], runtime: Runtime
) -> Iterator[Callable[..., Environment]]:
    """Starts execution environments that prefetch the given secrets."""
    running: list[Environment] = []

    def open_one(*prefetched: str, **options: Any) -> Environment:
        recorder = stand_in.recorder()
        environ = {f"SECRET_{i}": name for i, name in enumerate(prefetched)}
        environ |= {"ROTAWARE_CHECK_INTERVAL": "0"} | credentials
        environ |= options.pop("environ", {})
        options.setdefault("runtime", runtime)
        options.setdefault("function", options["runtime"].function)
        sandbox = Sandbox(environ=environ, endpoint_url=recorder.url, **options)
        running.append(Environment(sandbox, recorder))
        return running[-1]

    yield open_one
    for environment in running:
        files = [path for path in environment.sandbox.tmp.rglob("*") if path.is_file()]
        left = [path.read_text(errors="replace") for path in files]
        names = [path.name for path in files]
        environment.sandbox.stop()

        assert found_canaries(environment.sandbox.lines) == []
        assert found_canaries([*left, *names]) == []


def found_canaries(texts: list[str]) -> list[str]:
    """Those that hold a secret's value, plain or in Base64."""
    encoded = base64.b64encode(CANARY.encode()).decode().rstrip("=")
    return [text for text in texts if CANARY in text or encoded in text]
