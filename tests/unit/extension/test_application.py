"""The composition root, both halves, in this process: from start to exit."""

from __future__ import annotations

import gc
import http.client
import json
import posix
import runpy
import signal
import socket
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from extension import __main__ as entry
from extension import application
from extension.config import MAX_CONFIG_CHARACTERS
from extension.lifecycle import linger_over_reads
from rotaware.sheet import Sheet, encode
from rotaware.store import Store
from tests.support.extension_process import SHEET, TOKEN, ScriptedAws, read
from tests.support.extensions_api import FakeExtensionsApi
from tests.support.processes import free_port, wait_until

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from extension.endpoint import Endpoint
    from rotaware.clock import Clock

PATIENCE_SECONDS = 10.0
ENDS = (signal.SIGTERM, signal.SIGINT)

bound = entry._bound


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
        self._monkeypatch.setattr(entry, "_bound", self._bound)
        with ThreadPoolExecutor(1) as runtime:
            done = runtime.submit(function) if function else None
            with pytest.raises(SystemExit) as end:
                entry.main()
            if done is not None:
                done.result(PATIENCE_SECONDS)
        return end.value.code

    def _bound(self, variable: str, port: str, faults: list[str]) -> _socket.socket:
        """Keep the listener: a process that ends at once leaves it to the kernel."""
        self.listeners.append(bound(variable, port, faults))
        return self.listeners[-1]

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


@pytest.mark.parametrize(
    ("environ", "before", "after"),
    [
        ({}, 1, 1),
        ({"ROTAWARE_PREFETCH": "off"}, 0, 1),
        ({"PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "0"}, 0, 2),
        ({"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}, 0, 2),
    ],
)
def test_a_variable_is_decrypted_once(
    sandbox: Sandbox, environ: dict[str, str], before: int, after: int
) -> None:
    """At the start; or at each read, where nothing may be held."""
    sandbox.environ |= environ | {"ROTAWARE_KMS_ENV": "KEY", "KEY": "YQ=="}
    sandbox.aws.plaintexts["YQ=="] = "Y2FuYXJ5"

    def function() -> None:
        sandbox.api.wait_for_next()

        assert before == sandbox.aws.calls.count("Decrypt")

        for _ in range(2):
            found = read(sandbox.port, "/kms/get?name=KEY", {"X-Vault-Token": TOKEN})

            assert (200, "canary") == (found.status, found.document)
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    assert after == sandbox.aws.calls.count("Decrypt")


def test_a_snapshot_holds_no_variable(sandbox: Sandbox) -> None:
    """After a restore it is decrypted without being asked for, and held from then."""
    sandbox.environ |= {"ROTAWARE_KMS_ENV": "KEY", "KEY": "YQ=="}
    sandbox.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
    sandbox.aws.plaintexts["YQ=="] = "Y2FuYXJ5"

    def function() -> None:
        sandbox.api.wait_for_next()
        sandbox.api.invoke()
        wait_until(lambda: "Decrypt" in sandbox.aws.calls, "the variable")

        for _ in range(2):
            assert 200 == sandbox.status("/kms/get?name=KEY")
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    assert 1 == sandbox.aws.calls.count("Decrypt")


def test_a_thousand_secrets_are_fetched_by_fifty_calls(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """As many as the cache holds are there when the first event is asked for."""
    names = [f"secret-{number}" for number in range(1000)]
    sandbox.aws.secrets = dict.fromkeys(names, "canary")
    (tmp_path / "config.yaml").write_text(f"secrets: [{', '.join(names)}]")
    sandbox.environ["PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS"] = "10"

    def function() -> None:
        sandbox.api.wait_for_next()
        for name in (names[0], names[-1]):
            assert "; hit" in sandbox.cache_status(f"/v1/{name}")
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    calls = Counter(sandbox.aws.calls)
    assert {"BatchGetSecretValue": 50, "GetParameter": 1} == calls


def test_a_variable_lives_as_long_as_its_environment(sandbox: Sandbox) -> None:
    """No TTL is set for it, and none takes it away."""
    sandbox.environ |= {"ROTAWARE_KMS_ENV": "KEY", "KEY": "YQ=="}
    sandbox.environ |= {"SECRETS_MANAGER_TTL": "0", "SSM_PARAMETER_STORE_TTL": "0"}
    sandbox.aws.plaintexts["YQ=="] = "Y2FuYXJ5"

    def function() -> None:
        sandbox.api.wait_for_next()

        assert "hit; ttl=315" in sandbox.cache_status("/kms/get?name=KEY")

        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


def test_variables_take_no_place_from_secrets(sandbox: Sandbox) -> None:
    """As many secrets are held as the cache's size says."""
    sandbox.environ |= {"ROTAWARE_KMS_ENV": "KEY", "KEY": "YQ==", "SECRET_DB": "db"}
    sandbox.environ["PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE"] = "1"
    sandbox.aws.plaintexts["YQ=="] = "Y2FuYXJ5"

    def function() -> None:
        sandbox.api.wait_for_next()

        for target in ("/kms/get?name=KEY", "/v1/db"):
            assert "; hit" in sandbox.cache_status(target)
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


def test_a_variable_that_kms_refuses_stops_nothing(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """The function starts; the log and every read of it say what to do."""
    sandbox.environ |= {"ROTAWARE_KMS_ENV": "KEY", "KEY": "YQ=="}
    sandbox.aws.refusals["Decrypt"] = (400, "AccessDeniedException")

    def function() -> None:
        sandbox.api.wait_for_next()
        found = read(sandbox.port, "/kms/get?name=KEY", {"X-Vault-Token": TOKEN})

        assert 400 == found.status
        assert "AccessDeniedException" == found.document["__type"]
        assert found.document["message"].startswith("KEY: KMS does not let this")
        assert 404 == sandbox.status("/kms/get?name=HOME")

        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    assert "KEY: KMS does not let this function decrypt it" in capfd.readouterr().out


def test_a_variable_is_asked_for_again_after_a_failure(sandbox: Sandbox) -> None:
    """That KMS was out of order when the function started is not held against it."""
    sandbox.environ |= {"ROTAWARE_KMS_ENV": "KEY", "KEY": "YQ=="}
    sandbox.aws.plaintexts["YQ=="] = "Y2FuYXJ5"
    sandbox.aws.refusals["Decrypt"] = (500, "KMSInternalException")

    def function() -> None:
        sandbox.api.wait_for_next()
        del sandbox.aws.refusals["Decrypt"]

        assert 200 == sandbox.status("/kms/get?name=KEY")

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
    (listener,), faults = entry._listeners({})
    address = listener.getsockname()
    listener.close()

    taken = (
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT: port 2773 of 127.0.0.1 cannot be"
        " bound: [Errno 98] Address already in use; choose a free port"
    )

    assert ("127.0.0.1", 2773) == address or [taken] == faults


def legacy_answer(port: int, target: str) -> tuple[int, str]:
    """Status and body of a read without token."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        # The same bytes for every port.
        connection.request("GET", target, headers={"Host": "localhost"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_ports_without_token(sandbox: Sandbox, tmp_path: Path) -> None:
    """They serve what is listed, and what they remember never opens the main port."""
    first, second = free_port(), free_port()
    sandbox.environ |= {"ROTAWARE_LEGACY_PORTS": f"{first}, {second}", "SECRET_A": "db"}
    (tmp_path / "config.yaml").write_text(
        "secrets: [{id: old, stage: AWSPREVIOUS}, listed]"
    )
    sandbox.aws.secrets |= {"old": "x", "other": "x", "listed": "y"}

    def function() -> None:
        sandbox.api.wait_for_next()
        for port in (first, second):
            for target in ("/cache/db", "/secrets?name=db", "/?name=db"):
                for _ in range(3):
                    assert (200, "value") == legacy_answer(port, target)
                    assert 403 == legacy_answer(sandbox.port, target)[0]
            assert (200, "y") == legacy_answer(port, "/cache/listed")
            for target in ("/cache/other", "/cache/old", "/secrets?name=/param"):
                assert 403 == legacy_answer(port, target)[0]
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


def test_reads_at_any_port_count(sandbox: Sandbox) -> None:
    """They put off the end of an invocation."""
    port = free_port()
    sandbox.environ |= {"ROTAWARE_LEGACY_PORTS": str(port), "SECRET_A": "db"}
    counts: list[int] = []
    reads = application._reads

    def counted(endpoints: Sequence[Endpoint]) -> int:
        counts.append(reads(endpoints))
        return counts[-1]

    sandbox._monkeypatch.setattr(application, "_reads", counted)
    sandbox.environ["ROTAWARE_CHECK_INTERVAL"] = "0"

    def function() -> None:
        sandbox.api.wait_for_next()
        sandbox.status("/v1/db")
        legacy_answer(port, "/cache/db")
        legacy_answer(port, "/ping")
        sandbox.api.invoke()
        sandbox.api.wait_for_next()
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    assert 3 == max(counts)


def test_a_token_in_a_file_opens_the_port_until_it_changes(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nothing that was answered to the old one is remembered for it."""
    file = tmp_path / "token"
    file.write_text("old")
    sandbox.environ["AWS_TOKEN"] = f"file://{file}"

    def function() -> None:
        sandbox.api.wait_for_next()

        assert [200] * 3 == [sandbox.status("/v1/db", "old") for _ in range(3)]

        file.write_text("new")

        assert 403 == sandbox.status("/v1/db", "old")
        assert 200 == sandbox.status("/v1/db", "new")

        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


def test_a_legacy_port_that_is_taken(sandbox: Sandbox) -> None:
    """It is reported as the main one is."""
    taken = free_port()
    sandbox.environ["ROTAWARE_LEGACY_PORTS"] = f"{taken},{free_port()}"
    with socket.create_server(("127.0.0.1", taken)):
        assert 1 == sandbox.main()

    message = sandbox.api.wait_for_call("/init/error").document["errorMessage"]

    assert message.startswith(
        f"ROTAWARE_LEGACY_PORTS: port {taken} of 127.0.0.1 cannot be bound: [Errno 98]"
    )
    assert message.endswith("; choose a free port")


@pytest.mark.parametrize("ports", ["", "0", "4000,", "many", "4000,4000"])
def test_wrong_legacy_ports(sandbox: Sandbox, ports: str) -> None:
    """The settings refuse them, whatever could be bound meanwhile."""
    sandbox.environ["ROTAWARE_LEGACY_PORTS"] = ports

    assert 1 == sandbox.main()

    report = sandbox.api.wait_for_call("/init/error")

    assert "ROTAWARE_LEGACY_PORTS: " in report.document["errorMessage"]


def test_the_agents_dialect(sandbox: Sandbox) -> None:
    """Answers are those of the Secrets Manager Agent."""
    sandbox.environ["ROTAWARE_DIALECT"] = "agent"

    def function() -> None:
        sandbox.api.wait_for_next()
        secret = read(sandbox.port, "/v1/db", {"X-Vault-Token": TOKEN}).document

        assert "1800000000.5" == secret["CreatedDate"]
        assert "SecretBinary" not in secret
        assert (403, "Bad Token") == legacy_answer(sandbox.port, "/v1/db")

        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


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


def documents(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """All lines that were written."""
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


@pytest.mark.parametrize("start", ["on-demand", "snap-start"])
def test_metrics_where_they_are_wanted(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str], start: str
) -> None:
    """A line after the first invocation, and at the end one with the rest."""
    sandbox.environ |= {"ROTAWARE_METRICS": "on", "SECRET_DB": "db"}
    sandbox.environ |= {"POWERTOOLS_METRICS_NAMESPACE": "team"}
    sandbox.environ |= {"AWS_LAMBDA_INITIALIZATION_TYPE": start}

    def function() -> None:
        sandbox.api.wait_for_next()
        sandbox.api.invoke()
        wait_until(lambda: "hit" in sandbox.cache_status("/v1/db"), "a hit")
        sandbox.api.invoke()
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    first, last = (line for line in documents(capfd) if "_aws" in line)

    assert "team" == first["_aws"]["CloudWatchMetrics"][0]["Namespace"]
    assert [1] == first["Checks"]
    assert sum(last["Hits"]) >= 1
    assert 1 == len(first.get("PrefetchTime", []) + last.get("PrefetchTime", []))


def test_metrics_of_managed_instances(
    sandbox: Sandbox,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A timer tells them while there are no events."""
    monkeypatch.setattr("extension.metrics.INTERVAL_SECONDS", 0.05)
    sandbox.api.managed = True
    sandbox.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "lambda-managed-instances"
    sandbox.environ["ROTAWARE_METRICS"] = "on"
    written: list[str] = []

    def function() -> None:
        sandbox.api.wait_for_next()
        sandbox.status("/v1/db")

        def told() -> bool:
            written.append(capfd.readouterr().out)
            return '"Misses":[1]' in "".join(written)

        wait_until(told, "a line of metrics")
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


def test_without_metrics(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing that would cost money is written unasked."""

    def function() -> None:
        sandbox.api.wait_for_next()
        sandbox.api.invoke()
        sandbox.status("/v1/db")
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    assert not any("_aws" in line for line in documents(capfd))


def test_stats_tell_a_person(sandbox: Sandbox) -> None:
    """At the main port, with the token: settings, sheet, entries and counts."""
    legacy = free_port()
    sandbox.environ |= {"ROTAWARE_LEGACY_PORTS": str(legacy), "SECRET_A": "db"}

    def function() -> None:
        sandbox.api.wait_for_next()
        legacy_answer(legacy, "/cache/db")
        sandbox.status("/v1/db")
        told = read(sandbox.port, "/stats", {"X-Vault-Token": TOKEN}).document

        assert 2 == told["counters"]["Hits"]
        assert [("SECRET_A", "fresh")] == [
            (entry["name"], entry["state"]) for entry in told["entries"]
        ]
        assert ("found", SHEET) == (told["sheet"]["state"], told["sheet"]["name"])
        assert [legacy] == told["settings"]["legacy_ports"]
        assert told["uptime_seconds"] > 0
        assert "value" not in json.dumps(told["entries"])
        assert 404 == legacy_answer(legacy, "/stats")[0]
        assert 403 == legacy_answer(sandbox.port, "/stats")[0]

        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)


@pytest.mark.parametrize(("level", "explained"), [("debug", True), ("info", False)])
def test_the_debug_level_explains(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str], level: str, *, explained: bool
) -> None:
    """Each decision, from the first one on; at other levels none."""
    sandbox.environ |= {"PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL": level}
    sandbox.environ |= {"SECRET_A": "db"}
    explainers: list[object] = []
    explain = Store.explain

    def noted(store: Store, debug: Callable[..., None]) -> None:
        explainers.append(store)
        explain(store, debug)

    sandbox._monkeypatch.setattr(Store, "explain", noted)

    def function() -> None:
        sandbox.api.wait_for_next()
        for _ in range(2):
            sandbox.status("/v1/db")
        sandbox.api.shut_down()

    assert 0 == sandbox.main(function)
    lines = [line for line in documents(capfd) if line["level"] == "DEBUG"]

    assert explained == bool(lines) == bool(explainers)
    assert (["it is listed"] if explained else []) == [
        line["because"] for line in lines if line["message"] == "asking the source"
    ]
    assert 2 * explained == sum(line["message"] == "found in memory" for line in lines)
