"""The command that runs a function here: its options, results and problems."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rotaware.cli import emulator, local
from rotaware.cli.running import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result


WRONG = {
    '"raise"': Answer(200, {"errorMessage": "no", "errorType": "ValueError"}),
    '"crash"': Answer(502, "the runtime ended"),
}


class Local:
    """Stands for the started function; remembers what became of it."""

    def __init__(
        self, command: list[str], variables: dict[str, str], *_: object
    ) -> None:
        self.command, self.variables = command, variables
        self.events: list[str] = []
        self.interrupted = False
        self.stopped = False
        made.append(self)

    def wait_until_ready(self) -> None:
        pass

    def invoke(self, event: str, _: float) -> Answer:
        self.events.append(event)
        if event in WRONG:
            return WRONG[event]
        return Answer(200, {"got": json.loads(event)})

    def wait(self) -> None:
        if interrupts:
            raise KeyboardInterrupt

    def stop(self) -> None:
        self.stopped = True


made: list[Local] = []
interrupts: list[bool] = []


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local function that is none."""

    @contextmanager
    def layer(path: Path) -> Iterator[Path]:
        yield path

    monkeypatch.setattr(emulator, "find_emulator", lambda *_: Path("/tools/rie"))
    monkeypatch.setattr(emulator, "unpacked_layer", layer)
    monkeypatch.setattr(emulator, "namespaces", lambda _: ("unshare",))
    monkeypatch.setattr(local, "Running", Local)
    yield
    made.clear()
    interrupts.clear()


def test_local_events(run: Callable[..., Result], tmp_path: Path) -> None:
    """From the command line and from a file; then it ends."""
    (tmp_path / "event.json").write_text("2")
    result = run(
        "local",
        "app.handler",
        *("--runtime", "/var/task/bootstrap x", "--env", "A=b=c"),
        *("--event", "1", "--event", f"@{tmp_path / 'event.json'}"),
        endpoint_url="http://aws",
    )
    (started,) = made

    assert '{\n  "got": 1\n}\n{\n  "got": 2\n}\n' == result.stdout
    assert ["/var/task/bootstrap", "x", "app.handler"] == started.command[-3:]
    assert ("b=c", "key", "http://aws") == (
        started.variables["A"],
        started.variables["AWS_ACCESS_KEY_ID"],
        started.variables["AWS_ENDPOINT_URL"],
    )
    assert started.stopped


def test_local_as_json(run: Callable[..., Result], tmp_path: Path) -> None:
    """With the status; a Python function is run by awslambdaric."""
    python = tmp_path / "python"
    python.write_text("")
    result = run(
        "local", "app.handler", "--event", "1", "--json", "--python", str(python)
    )

    assert {"status": 200, "body": {"got": 1}} == json.loads(result.stdout)
    assert [str(python), "-m", "awslambdaric", "app.handler"] == made[0].command[-4:]
    assert "AWS_ENDPOINT_URL" not in made[0].variables


@pytest.mark.parametrize("event", WRONG)
def test_an_invocation_that_fails(run: Callable[..., Result], event: str) -> None:
    """Its answer is shown, those after it too, and the status is 1."""
    options = ("--runtime", "x", "--event", event, "--event", "1")
    result = run("local", "app.handler", *options)

    assert 1 == result.exit_code
    assert json.dumps(WRONG[event].body, indent=2) in result.stdout
    assert '"got": 1' in result.stdout
    assert made[0].stopped


@pytest.mark.parametrize("interrupted", [False, True])
def test_local_serves(run: Callable[..., Result], *, interrupted: bool) -> None:
    """Until it ends, or is interrupted; it tells where."""
    interrupts.extend([True] if interrupted else [])
    result = run("local", "app.handler", "--runtime", "x", "--port", "8123")

    assert 0 == result.exit_code
    assert "http://127.0.0.1:8123/2015-03-31/functions" in result.stderr
    assert ("stopping" in result.stderr) == interrupted
    assert made[0].stopped


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--event", "{", "--event is no JSON; use JSON, or @"),
        ("--event", "@/nowhere", "--event @/nowhere: No such file"),
        ("--env", "NAME", "--env: use NAME=VALUE"),
        ("--env", "=value", "--env: use NAME=VALUE"),
    ],
)
def test_local_problems(
    run: Callable[..., Result], option: str, value: str, words: str
) -> None:
    """Nothing is started then."""
    result = run("local", "app.handler", option, value)

    assert 1 == result.exit_code
    assert words in result.stderr
    assert not made
