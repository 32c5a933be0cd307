"""The composition root, both halves, in this process: from start to exit."""

from __future__ import annotations

import gc
import posix
import runpy
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from extension import __main__ as entry
from extension import application
from extension.config import MAX_CONFIG_CHARACTERS
from extension.lifecycle import linger_over_reads
from rotaware.sheet import Sheet, encode
from tests.support.extension_process import SHEET, TOKEN, ScriptedAws, read
from tests.support.extensions_api import FakeExtensionsApi
from tests.support.processes import free_port, wait_until

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rotaware.clock import Clock

PATIENCE_SECONDS = 10.0
ENDS = (signal.SIGTERM, signal.SIGINT)

bind = entry._bind


class Sandbox:
    """This process as Lambda would have started it, between a Lambda and an AWS."""

    def __init__(
        self,
        api: FakeExtensionsApi,
        aws: ScriptedAws,
        directory: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.api = api
        self.aws = aws
        self.port = free_port()
        self._monkeypatch = monkeypatch
        self.listeners: list[_socket.socket] = []
        self.environ = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "local-secret-key",
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_ENDPOINT_URL": aws.url,
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(self.port),
            "ROTAWARE_CONFIG": str(directory / "config.yaml"),
        }

    def main(self, function: Callable[[], object] | None = None) -> object:
        """Run to the end, the function meanwhile; the exit status or message."""
        environ = {key.encode(): value.encode() for key, value in self.environ.items()}
        environ[b"\xff"] = b"\xff"
        self._monkeypatch.setattr(posix, "environ", environ)
        self._monkeypatch.setattr(sys, "argv", ["/opt/extensions/rotaware"])
        self._monkeypatch.setattr(entry, "_bind", self._bind)
        with ThreadPoolExecutor(1) as runtime:
            done = runtime.submit(function) if function else None
            with pytest.raises(SystemExit) as end:
                entry.main()
            if done is not None:
                done.result(PATIENCE_SECONDS)
        return end.value.code

    def _bind(self, environ: dict[str, str]) -> tuple[_socket.socket, str | None]:
        """Keep the listener: a process that ends at once leaves it to the kernel."""
        listener, fault = bind(environ)
        self.listeners.append(listener)
        return listener, fault

    def status(self, target: str, token: str = TOKEN) -> int:
        """The status of a read."""
        return read(self.port, target, {"X-Vault-Token": token}).status

    def cache_status(self, target: str) -> str:
        """Where a read's answer comes from."""
        return read(self.port, target, {"X-Vault-Token": TOKEN}).cache_status


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Everything around the extension, with one secret ``db``."""
    handlers = {number: signal.getsignal(number) for number in ENDS}
    # The tests' own process stays as open as it is.
    monkeypatch.setattr("extension.hardening.at_start", lambda: None)
    monkeypatch.setattr(application, "refuse_dumps", lambda _: None)
    with FakeExtensionsApi() as api, ScriptedAws() as aws:
        aws.secrets["db"] = "value"
        aws.parameters[SHEET] = encode(Sheet())
        made = Sandbox(api, aws, tmp_path, monkeypatch)
        yield made
        for listener in made.listeners:
            listener.close()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize(
    ("environ", "calls"),
    [
        ({}, ["GetParameter", "GetSecretValue"]),
        ({"SECRET_DB": "db"}, ["GetParameter", "GetSecretValue"]),
        (
            {"SECRET_DB": "db", "ROTAWARE_PREFETCH": "off"},
            ["GetParameter", "GetSecretValue"],
        ),
        ({"ROTAWARE_STAMPS": "off"}, ["GetSecretValue"]),
        ({"ROTAWARE_STAMPS": "dynamodb://team"}, ["GetItem", "GetSecretValue"]),
        (
            {"PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED": "false"},
            ["GetParameter", "GetSecretValue", "GetSecretValue"],
        ),
    ],
)
def test_from_start_to_shutdown(
    sandbox: Sandbox, environ: dict[str, str], calls: list[str]
) -> None:
    """Each way of being configured serves secrets, by as few calls as it can."""
    sandbox.environ |= environ

    def function() -> None:
        sandbox.api.wait_for_next()
        for _ in range(2):
            assert 200 == sandbox.status("/v1/db")
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    assert calls == sorted(sandbox.aws.calls)
    # Garbage is collected again, but not looked for in what was built.
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_a_ttl_of_its_own_counts_without_a_prefetch(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """What the config file says of a secret holds however it is fetched."""
    (tmp_path / "config.yaml").write_text("secrets: [{id: db, ttl: 60}]")
    sandbox.environ["ROTAWARE_PREFETCH"] = "off"

    def function() -> None:
        sandbox.api.wait_for_next()
        sandbox.status("/v1/db")

        cached = read(sandbox.port, "/v1/db", {"X-Vault-Token": TOKEN})

        assert cached.cache_status.startswith("rotaware; hit; ttl=")
        assert int(cached.cache_status.rpartition("=")[2]) < 60

        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


@pytest.mark.parametrize("initialization", ["on-demand", "snap-start"])
def test_what_the_first_look_doubts_is_fetched_again_by_one_call(
    sandbox: Sandbox, initialization: str
) -> None:
    """A sheet that forgets leaves no prefetched value to be fetched one by one."""
    sandbox.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = initialization
    sandbox.aws.secrets["other"] = "canary"
    sandbox.environ |= {"SECRET_DB": "db", "SECRET_OTHER": "other"}
    sandbox.aws.parameters[SHEET] = encode(Sheet(horizon=1))

    def function() -> None:
        sandbox.api.wait_for_next()
        sandbox.api.invoke()
        wait_until(
            lambda: sandbox.aws.calls.count("BatchGetSecretValue") == 2,
            "a second prefetch",
        )
        for path in ("/v1/db", "/v1/other"):
            assert 200 == sandbox.status(path)
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    assert 2 == sandbox.aws.calls.count("BatchGetSecretValue")
    assert 0 == sandbox.aws.calls.count("GetSecretValue")


def test_with_an_interval_of_0_a_check_serves_the_reads_of_an_invocation(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next event is asked for when the function has read what it reads at once."""
    lingering, read = threading.Event(), threading.Event()

    def linger(count_reads: Callable[[], int], clock: Clock) -> None:
        lingering.set()
        assert read.wait(PATIENCE_SECONDS)
        linger_over_reads(count_reads, clock)

    monkeypatch.setattr(application, "linger_over_reads", linger)
    sandbox.environ |= {"SECRET_DB": "db", "ROTAWARE_CHECK_INTERVAL": "0"}

    def function() -> None:
        sandbox.api.wait_for_next()
        checks = sandbox.aws.calls.count("GetParameter")
        sandbox.api.send_invoke()

        assert lingering.wait(PATIENCE_SECONDS)

        for _ in range(20):
            assert 200 == sandbox.status("/v1/db")
        read.set()
        sandbox.api.wait_for_next()

        assert checks + 1 == sandbox.aws.calls.count("GetParameter")

        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


def test_a_snapshot_holds_no_value(sandbox: Sandbox) -> None:
    """Before the first invocation values are passed on, after it they are held."""
    sandbox.environ |= {
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
        "SECRET_DB": "db",
    }

    def function() -> None:
        sandbox.api.wait_for_next()

        assert [] == sandbox.aws.calls

        for _ in range(2):
            assert 200 == sandbox.status("/v1/db")

        assert 2 == sandbox.aws.calls.count("GetSecretValue")

        sandbox.api.invoke()
        wait_until(lambda: "hit" in sandbox.cache_status("/v1/db"), "a hit")

        assert 3 == sandbox.aws.calls.count("GetSecretValue")

        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


def test_managed_instances_are_checked_ahead_of_the_reads(sandbox: Sandbox) -> None:
    """One read is followed by a check that no read waits for, and by no more."""
    sandbox.api.managed = True
    sandbox.environ |= {
        "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
        "ROTAWARE_CHECK_INTERVAL": "0.1",
    }

    def function() -> None:
        sandbox.api.wait_for_next()

        assert 200 == sandbox.status("/v1/db")

        wait_until(
            lambda: sandbox.aws.calls.count("GetParameter") == 2, "a second check"
        )
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


def test_where_the_token_changes(sandbox: Sandbox, tmp_path: Path) -> None:
    """Without AWS_SESSION_TOKEN, whatever the token's provider says now is right."""
    token = tmp_path / "token"
    del sandbox.environ["AWS_SESSION_TOKEN"]
    sandbox.environ["ROTAWARE_TOKEN_FILE"] = str(token)

    def function() -> None:
        sandbox.api.wait_for_next()

        assert 403 == sandbox.status("/v1/db", "first")

        for text in ("first", "second"):
            token.write_text(text)

            assert 200 == sandbox.status("/v1/db", text)
        assert 403 == sandbox.status("/v1/db", "first")

        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


def test_a_prefetch_that_takes_long_does_not_hold_lambda_up(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while the next event is asked for; reads still wait for the value."""
    monkeypatch.setattr(application, "PREFETCH_SECONDS", 0.0)
    sandbox.environ["SECRET_DB"] = "db"
    gate = sandbox.aws.hold("GetSecretValue")

    def function() -> None:
        sandbox.api.wait_for_next()
        with ThreadPoolExecutor(1) as reader:
            status = reader.submit(sandbox.status, "/v1/db")
            gate.wait_for_arrival()
            gate.open()

            assert 200 == status.result(PATIENCE_SECONDS)
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    assert 1 == sandbox.aws.calls.count("GetSecretValue")


@pytest.mark.parametrize("number", ENDS)
def test_a_signal(sandbox: Sandbox, number: signal.Signals) -> None:
    """It ends the process in order."""

    def function() -> None:
        sandbox.api.wait_for_next()
        signal.pthread_kill(main_thread_id(), number)

    assert 0 == sandbox.main(function)


def main_thread_id() -> int:
    """The thread that Python runs signal handlers in."""
    identifier = threading.main_thread().ident

    assert identifier

    return identifier


def test_every_problem_is_in_one_report(sandbox: Sandbox) -> None:
    """Of the port, the settings and the AWS client."""
    del sandbox.environ["AWS_REGION"]
    sandbox.environ["SECRETS_MANAGER_TTL"] = "soon"
    with socket.create_server(("127.0.0.1", sandbox.port)):
        status = sandbox.main()
    report = sandbox.api.wait_for_call("/init/error")

    assert 1 == status
    assert "Extension.ConfigInvalid" == report.document["errorType"]
    for word in ("cannot be bound", "AWS_REGION", "SECRETS_MANAGER_TTL"):
        assert 1 == report.document["errorMessage"].count(word)


def test_the_default_port() -> None:
    """Where no port is set it is that of AWS's extension, on loopback only."""
    listener, fault = bind({})
    address = listener.getsockname()
    listener.close()

    assert (address if fault is None else fault) in {
        ("127.0.0.1", 2773),
        "port 2773 of 127.0.0.1 cannot be bound: [Errno 98] Address already in use",
    }


@pytest.mark.parametrize("port", ["0", "-1", "70000", "many", ""])
def test_a_wrong_port(sandbox: Sandbox, port: str) -> None:
    """The settings refuse it, whatever could be bound meanwhile."""
    sandbox.environ["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"] = port

    assert 1 == sandbox.main()

    report = sandbox.api.wait_for_call("/init/error")

    assert "_HTTP_PORT" in report.document["errorMessage"]


def test_what_nobody_foresaw_is_reported_and_raised(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter then writes the traceback and ends the process."""

    def broken(*_: object) -> int:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(application, "run", broken)
    with pytest.raises(ZeroDivisionError, match="unforeseen"):
        sandbox.main()
    report = sandbox.api.wait_for_call("/init/error")

    assert "ZeroDivisionError; see the log" == report.document["errorMessage"]


@pytest.mark.parametrize(
    ("managed", "statuses", "events"),
    [
        (False, [], [2]),
        (False, [403], [2, 1]),
        (True, [], [1]),
    ],
)
def test_what_it_registers_for(
    sandbox: Sandbox, statuses: list[int], events: list[int], *, managed: bool
) -> None:
    """INVOKE only where it is to be had."""
    if managed:
        sandbox.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "lambda-managed-instances"
    sandbox.api.statuses["/register"].extend(statuses)
    sandbox.api.shut_down()

    assert 0 == sandbox.main()
    assert events == [len(call.document["events"]) for call in sandbox.api.calls]


@pytest.mark.parametrize("managed", [False, True])
def test_a_refused_registration(sandbox: Sandbox, *, managed: bool) -> None:
    """The exit message says what Lambda said."""
    if managed:
        sandbox.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "lambda-managed-instances"
    sandbox.api.statuses["/register"].append(403 if managed else 500)
    message = sandbox.main()

    assert "rotaware: cannot register: /register: " in str(message)


def test_outside_lambda(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts the module by hand is told what it is."""
    del sandbox.environ["AWS_LAMBDA_RUNTIME_API"]

    assert "AWS_LAMBDA_RUNTIME_API is not set" in str(sandbox.main())

    monkeypatch.delitem(sys.modules, "extension.__main__")
    with pytest.raises(SystemExit, match="AWS_LAMBDA_RUNTIME_API is not set"):
        runpy.run_module("extension", run_name="__main__")


def test_aws_is_asked_before_what_serves_is_loaded(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefetch and first check are both on their way: loading costs no time then."""
    sandbox.environ["SECRET_DB"] = "db"
    gates = [sandbox.aws.hold(name) for name in ("GetSecretValue", "GetParameter")]
    make = application._server

    def server(*parts: Any) -> Any:
        for gate in gates:
            assert gate.arrived.wait(PATIENCE_SECONDS)
            gate.opened.set()
        return make(*parts)

    monkeypatch.setattr(application, "_server", server)

    def function() -> None:
        sandbox.api.wait_for_next()
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


def test_the_layers_one_file_is_used_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Elsewhere each module comes from its own file."""
    entry._use_one_file()
    assert "one_file" not in sys.modules

    monkeypatch.setitem(sys.modules, "one_file", entry)
    entry._use_one_file()


def test_random_numbers_are_uniform() -> None:
    """They lie in [0, 1), and are not all alike."""
    numbers = [application._random() for _ in range(1000)]

    assert all(0.0 <= number < 1.0 for number in numbers)
    assert 1000 == len(set(numbers))
    assert 0.4 < sum(numbers) / 1000 < 0.6


def test_a_config_file_is_read_up_to_the_bound(tmp_path: Path) -> None:
    """One character more tells that it is too long; a missing file is none."""
    file = tmp_path / "config.yaml"

    assert application._read_text(str(file)) is None

    file.write_text("é" * 100_000)
    text = application._read_text(str(file))

    assert text is not None
    assert {"é"} == set(text)
    assert MAX_CONFIG_CHARACTERS + 1 == len(text)
