"""The extension's process from start to exit, between a fake Lambda and a scripted AWS.

Each test runs the source tree, and the built layer with the interpreter that it brings.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rotaware.sheet import Sheet, Stamp, encode, subject_of, version_digest
from tests.support.extension_process import (
    SHEET,
    ExtensionProcess,
    ScriptedAws,
    layer_launcher,
    source_launcher,
)
from tests.support.extensions_api import TRACE, FakeExtensionsApi
from tests.support.sandbox import LAYER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., ExtensionProcess]

CANARY = "canary-Wq5-value"
NEW_CANARY = "canary-Wq5-rotated-value"
PATIENCE_SECONDS = 10.0
READ = "/secretsmanager/get?secretId="
TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"
# Lambda kills what has not ended two seconds after SHUTDOWN.
KILLED_AFTER_SECONDS = 2.0


@pytest.fixture(params=["sources", "layer"])
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What Lambda would start."""
    if request.param == "layer":
        return layer_launcher(tmp_path, LAYER)
    return source_launcher(tmp_path)


@pytest.fixture
def api() -> Iterator[FakeExtensionsApi]:
    """Lambda."""
    with FakeExtensionsApi() as started:
        yield started


@pytest.fixture
def aws() -> Iterator[ScriptedAws]:
    """AWS, with one secret, and a sheet that says nothing yet."""
    with ScriptedAws() as started:
        started.secrets["db"] = CANARY
        started.parameters[SHEET] = encode(Sheet())
        yield started


@pytest.fixture
def start(
    launcher: Path, api: FakeExtensionsApi, aws: ScriptedAws, tmp_path: Path
) -> Iterator[Start]:
    """Starts extensions; at the end no value has got where it does not belong."""
    started: list[ExtensionProcess] = []
    private = tmp_path / "private"
    private.mkdir()

    def start_one(*options: str, **environ: str) -> ExtensionProcess:
        process = ExtensionProcess(
            launcher, api, aws, private, environ=environ, options=options
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.child.stop()

        assert "canary" not in process.output
        assert "local-secret-key" not in process.output
    for path in private.rglob("*"):
        assert b"canary" not in path.read_bytes()


def stamp(aws: ScriptedAws, name: str, version: str) -> None:
    """What the invalidator does after a rotation."""
    arn = f"arn:aws:secretsmanager:eu-west-1:111122223333:secret:{name}-AbCdEf"
    stamps = {subject_of(arn): Stamp(version_digest(version), 1_800_000_001)}
    aws.parameters[SHEET] = encode(Sheet(stamps=stamps))


def rotate(aws: ScriptedAws) -> None:
    """Give the secret another value, and stamp it."""
    aws.secrets["db"] = NEW_CANARY
    stamp(aws, "db", f"version-{len(NEW_CANARY)}")


def end(process: ExtensionProcess, api: FakeExtensionsApi) -> int | None:
    """Say SHUTDOWN; the exit status, if it ended before it would be killed."""
    api.shut_down()
    return process.child.wait(KILLED_AFTER_SECONDS)


# Start


def test_nothing_but_the_port_comes_before_registering(
    start: Start, api: FakeExtensionsApi
) -> None:
    """Until it has registered, the process loads next to no module."""
    process = start("-X", "importtime")
    api.wait_for_next()
    imported = [
        line.rpartition("|")[2].strip()
        for line in process.child.lines
        if line.startswith("import time:")
    ]
    own = imported[imported.index("extension") :]
    before = own[: own.index("extension.extensions_api") + 2]

    assert {"_socket", "extension", "extension.extensions_api"} <= set(before)
    assert "extension.__main__" == before[-1]
    assert len(before) <= 8, before
    assert "rotaware.lean_json" in own
    # Each takes milliseconds, and a stand-in for what is used of it does not.
    assert {"enum", "json", "re", "socket", "ssl", "typing"}.isdisjoint(own)
    assert 0 == end(process, api)


def test_registering_waits_for_nothing(
    start: Start, api: FakeExtensionsApi, aws: ScriptedAws
) -> None:
    """It registers, by its file's name, while AWS has not answered yet."""
    gate = aws.hold("GetSecretValue")
    process = start(SECRET_DB="db")
    call = api.wait_for_call("/register")
    gate.wait_for_arrival()

    assert "rotaware" == call.headers["lambda-extension-name"]
    assert {"events": ["INVOKE", "SHUTDOWN"]} == call.document

    gate.open()
    api.wait_for_next()

    assert CANARY == process.secret("db")
    assert 0 == end(process, api)
    assert 1 == aws.calls.count("GetSecretValue")
    assert ["/register"] == [call.path for call in api.calls]


def test_a_read_during_init_waits_and_is_answered(
    start: Start, api: FakeExtensionsApi, aws: ScriptedAws
) -> None:
    """A read that comes before the prefetch is done joins it."""
    gate = aws.hold("GetSecretValue")
    process = start(SECRET_DB="db")
    api.wait_for_call("/register")
    with ThreadPoolExecutor(8) as readers:
        reads = [readers.submit(process.secret, "db") for _ in range(8)]
        gate.wait_for_arrival()

        assert 200 == process.read("/ping").status

        gate.open()

        assert [CANARY] * 8 == [read.result(PATIENCE_SECONDS) for read in reads]
    assert 1 == aws.calls.count("GetSecretValue")


@pytest.mark.parametrize("initialization_type", ["lambda-managed-instances", ""])
def test_where_invoke_cannot_be_registered_for(
    start: Start, api: FakeExtensionsApi, initialization_type: str
) -> None:
    """On Managed Instances it asks for SHUTDOWN only, also when it must be told so."""
    api.managed = True
    process = start(AWS_LAMBDA_INITIALIZATION_TYPE=initialization_type)
    api.wait_for_next()
    asked = [call.document["events"] for call in api.calls]

    assert ["SHUTDOWN"] == asked[-1]
    assert (1 if initialization_type else 2) == len(asked)
    assert CANARY == process.secret("db")
    assert 0 == end(process, api)


@pytest.mark.parametrize("statuses", [[500], [403, 403], [403, 500]])
def test_a_refused_registration_ends_the_process(
    start: Start, api: FakeExtensionsApi, statuses: list[int]
) -> None:
    """Why it cannot register stands in the log."""
    api.statuses["/register"].extend(statuses)
    process = start()

    assert 1 == process.child.wait(PATIENCE_SECONDS)
    assert f"/register: {statuses[-1]}" in process.output


def test_it_is_of_no_use_outside_lambda(start: Start) -> None:
    """Whoever starts it by hand is told what it is."""
    process = start(AWS_LAMBDA_RUNTIME_API="")

    assert 1 == process.child.wait(PATIENCE_SECONDS)
    assert "this program is started by Lambda" in process.output


def test_all_wrong_settings_are_reported_together(
    start: Start, api: FakeExtensionsApi
) -> None:
    """One report names every problem, of variables, config file and AWS client."""
    process = start(
        SECRETS_MANAGER_TTL="soon",
        ROTAWARE_CHECK_INTERVAL="-1",
        AWS_REGION="",
        SECRET_DB="not a name!",
    )
    report = api.wait_for_call("/init/error")

    assert (
        "Extension.ConfigInvalid"
        == (report.headers["lambda-extension-function-error-type"])
    )
    assert "Extension.ConfigInvalid" == report.document["errorType"]
    assert 1 == process.child.wait(PATIENCE_SECONDS)
    for name in ("SECRETS_MANAGER_TTL", "_CHECK_INTERVAL", "AWS_REGION", "SECRET_DB"):
        assert name in report.document["errorMessage"]
        assert name in process.output


def test_a_port_that_is_taken_is_reported(start: Start, api: FakeExtensionsApi) -> None:
    """The report names the variable that chooses another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=str(port))
        report = api.wait_for_call("/init/error")

        assert 1 == process.child.wait(PATIENCE_SECONDS)
    message = report.document["errorMessage"]

    assert "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT" in message
    assert str(port) in message
    assert "Address already in use" in message


@pytest.mark.parametrize("port", ["0", "-1", "65536", "many", " ", "9" * 30])
def test_a_port_that_is_none_is_reported_once(
    start: Start, api: FakeExtensionsApi, port: str
) -> None:
    """What could not be bound because it is no port is one problem, not two."""
    process = start(PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=port)
    report = api.wait_for_call("/init/error")

    assert 1 == report.document["errorMessage"].count("_HTTP_PORT")
    assert 1 == process.child.wait(PATIENCE_SECONDS)


def test_what_nobody_foresaw_at_start_is_reported(
    start: Start, api: FakeExtensionsApi, launcher: Path
) -> None:
    """Lambda gets a report, and the log the traceback."""
    broken = "\nsys.modules['extension.application'] = None\nmain()"
    launcher.write_text(launcher.read_text().replace("\nmain()", broken))
    process = start()
    report = api.wait_for_call("/init/error")

    assert "Extension.UnknownReason" == report.document["errorType"]
    assert "ModuleNotFoundError" in report.document["errorMessage"]
    assert 1 == process.child.wait(PATIENCE_SECONDS)
    assert "Traceback" in process.output


# Invocations


def test_each_invocation_reads_what_was_stamped(
    start: Start, api: FakeExtensionsApi, aws: ScriptedAws
) -> None:
    """After a rotation and its stamp, the next invocation reads the new value."""
    process = start(SECRET_DB="db", ROTAWARE_CHECK_INTERVAL="0")
    api.wait_for_next()
    api.invoke()

    assert CANARY == process.secret("db")

    rotate(aws)
    api.invoke()

    assert NEW_CANARY == process.secret("db")
    assert 2 == aws.calls.count("GetSecretValue")
    assert 0 == end(process, api)


def test_a_read_that_overtakes_its_invocation_waits_for_the_check(
    start: Start, api: FakeExtensionsApi, aws: ScriptedAws
) -> None:
    """A read is answered after the check, not with what was true before it."""
    process = start(
        SECRET_DB="db", ROTAWARE_CHECK_INTERVAL="0", ROTAWARE_CHECK_TIMEOUT="5"
    )
    api.wait_for_next()
    api.invoke()
    rotate(aws)
    gate = aws.hold("GetParameter")
    with ThreadPoolExecutor(1) as function:
        read = function.submit(process.secret, "db")
        gate.wait_for_arrival()
        api.send_invoke()

        assert not read.done()

        gate.open()

        assert NEW_CANARY == read.result(PATIENCE_SECONDS)
    api.wait_for_next()


def test_errors_are_answered_and_tell_no_secret(
    start: Start, api: FakeExtensionsApi, aws: ScriptedAws
) -> None:
    """Whatever goes wrong, a value is in no line that the process writes."""
    process = start(AWS_LAMBDA_LOG_LEVEL="DEBUG", ROTAWARE_CHECK_INTERVAL="0")
    api.wait_for_next()

    assert CANARY == process.secret("db")
    assert 400 == process.read(f"{READ}missing").status
    assert 400 == process.read(f"{READ}db&surplus={CANARY}").status
    assert 404 == process.read(f"/{CANARY}").status
    assert 403 == process.read(f"{READ}db", {TOKEN_HEADER: CANARY}).status
    assert 400 == process.read(f"{READ}db", {"Host": CANARY}).status
    assert 431 == process.read(f"{READ}db", {"X": CANARY * 2000}).status
    assert 413 == process.read(f"{READ}db", {"Content-Length": "1"}).status

    for status, code in ((400, "AccessDeniedException"), (500, "InternalFailure")):
        aws.refusals["GetSecretValue"] = (status, code)
        aws.refusals["GetParameter"] = (status, code)
        api.invoke()

        assert process.read(f"{READ}db&refreshNow=true").status in {400, 500, 502}
    for file in ("environ", "cmdline"):
        # Of root alone: its environment is closed to others of its user.
        with contextlib.suppress(PermissionError):
            text = Path(f"/proc/{process.child.pid}/{file}").read_bytes()

            assert b"canary" not in text
    assert 0 == end(process, api)


def test_invocations_are_told_apart_in_the_log(
    start: Start, api: FakeExtensionsApi, aws: ScriptedAws
) -> None:
    """Lines have the invocation's trace, and say whether it was the first."""
    del aws.parameters[SHEET]
    process = start(ROTAWARE_CHECK_INTERVAL="0")
    api.invoke()
    aws.parameters[SHEET] = encode(Sheet())
    process.secret("db")
    api.invoke()

    assert 0 == end(process, api)

    lines = [json.loads(line) for line in process.child.lines]
    said = {line["message"]: line for line in lines}
    last = lines[-1]
    warning = said["cached values are bounded by their TTL alone"]

    assert all(line["service"] for line in lines)
    assert "ready" in said
    assert TRACE.removeprefix("Root=").partition(";")[0] == warning["xray_trace_id"]
    assert ("shut down", False) == (last["message"], last["cold_start"])
    assert "xray_trace_id" not in last


# Lambda's API misbehaves


@pytest.mark.parametrize(
    "event",
    [
        {"eventType": "RESTORE", "deadlineMs": 1},
        {"deadlineMs": 1},
        {"eventType": "INVOKE", "tracing": "x"},
        {"eventType": "SHUTDOWN", "deadlineMs": "soon"},
        b"",
        b"[]",
        b"not JSON",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_an_event_that_is_none_ends_nothing(
    start: Start, api: FakeExtensionsApi, event: dict[str, object] | bytes
) -> None:
    """What cannot be understood is logged; the next event is asked for."""
    process = start()
    api.wait_for_next()
    api.send(event)
    api.wait_for_next()
    api.invoke()

    assert CANARY == process.secret("db")
    assert process.child.running
    assert process.child.wait_for(lambda line: "event" in line and "INFO" not in line)
    assert 0 == end(process, api)


def test_refused_calls_for_the_next_event_are_repeated(
    start: Start, api: FakeExtensionsApi
) -> None:
    """A server that fails for a while does not end the process."""
    api.statuses["/event/next"].extend([500, 503, 403])
    process = start()
    api.wait_for_next()

    assert CANARY == process.secret("db")
    assert 2 == process.output.count("no next event")
    assert 0 == end(process, api)


# The end


def test_shutdown_answers_what_is_under_way(
    start: Start, api: FakeExtensionsApi, aws: ScriptedAws
) -> None:
    """A read that AWS has not answered yet is answered before the process ends."""
    process = start()
    api.wait_for_next()
    gate = aws.hold("GetSecretValue")
    with ThreadPoolExecutor(1) as function:
        read = function.submit(process.secret, "db")
        gate.wait_for_arrival()
        api.shut_down()
        gate.open()

        assert CANARY == read.result(PATIENCE_SECONDS)
    assert 0 == process.child.wait(PATIENCE_SECONDS)


def test_shutdown_waits_for_nobody_too_long(
    start: Start, api: FakeExtensionsApi, aws: ScriptedAws
) -> None:
    """When AWS does not answer, the process ends by itself before it is killed."""
    process = start()
    api.wait_for_next()
    gate = aws.hold("GetSecretValue")
    with ThreadPoolExecutor(1) as function:
        read = function.submit(process.secret, "db")
        gate.wait_for_arrival()

        assert 0 == end(process, api)
        assert isinstance(read.exception(PATIENCE_SECONDS), ConnectionError)


def test_sigterm_ends_it_like_shutdown(
    start: Start, api: FakeExtensionsApi, aws: ScriptedAws
) -> None:
    """What is under way is answered, and the exit status is 0; once is enough."""
    process = start()
    api.wait_for_next()
    gate = aws.hold("GetSecretValue")
    with ThreadPoolExecutor(1) as function:
        read = function.submit(process.secret, "db")
        gate.wait_for_arrival()
        os.kill(process.child.pid, signal.SIGTERM)
        os.kill(process.child.pid, signal.SIGTERM)
        gate.open()

        assert CANARY == read.result(PATIENCE_SECONDS)
    assert 0 == process.child.wait(PATIENCE_SECONDS)
    assert "SIGTERM" in process.output
    assert "Traceback" not in process.output
