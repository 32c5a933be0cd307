"""Log lines are whole, in Powertools' shape, and hold no payload."""

from __future__ import annotations

import io
import json
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotaware.clock import Instant
from rotaware.log import Logger
from rotaware.secret import Fetched, Value

CANARY = "canary-b7f3a1"
NOON = Instant(wall=1_767_268_800.4567, monotonic=0.0)


class StoppedClock:
    """Always noon of the first of January 2026, UTC."""

    def now(self) -> Instant:
        return NOON

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"a logger does not wait, not for {seconds} s")


class Broken:
    """Cannot be written as text."""

    def __str__(self) -> str:
        raise RuntimeError(CANARY)


def logger(stream: io.TextIOBase | None = None, level: str = "DEBUG") -> Logger:
    """A logger of the service ``test``."""
    return Logger(
        service="test",
        level=level,
        stream=stream or io.StringIO(),
        clock=StoppedClock(),
        function_name="orders",
    )


def logged(message: str = "said", /, **fields: object) -> dict[str, Any]:
    """The one line that an ``error`` call writes."""
    stream = io.StringIO()
    logger(stream).error(message, **fields)
    (line,) = stream.getvalue().removesuffix("\n").split("\n")
    document: dict[str, Any] = json.loads(line)
    return document


def test_a_line_has_the_keys_of_powertools_in_their_order() -> None:
    """Common keys come first, then fields, then the trace."""
    stream = io.StringIO()
    log = logger(stream)
    log.cold_start = True
    log.xray_trace_id = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53;Sampled=1"
    log.info("fetched", secret="a/b", attempt=2)

    line = json.loads(stream.getvalue())

    assert [
        "level",
        "location",
        "message",
        "timestamp",
        "service",
        "cold_start",
        "function_name",
        "secret",
        "attempt",
        "xray_trace_id",
    ] == list(line)
    assert "1-5759e988-bd862e3fe1be46a994272793" == line["xray_trace_id"]
    assert log.xray_trace_id == line["xray_trace_id"]


def test_what_is_not_known_is_left_out() -> None:
    """A key without a value does not appear; a trace can be taken back."""
    stream = io.StringIO()
    log = Logger(service="test", level="INFO", stream=stream, clock=StoppedClock())
    log.xray_trace_id = "1-2-3"
    log.xray_trace_id = None
    log.info("plain", secret=None)

    assert ["level", "location", "message", "timestamp", "service"] == list(
        json.loads(stream.getvalue())
    )


def test_the_location_is_the_callers() -> None:
    """A line says which function wrote it, and in which line."""
    location = logged()["location"]

    assert location.startswith("logged:")
    assert location.partition(":")[2].isdigit()


def test_the_timestamp_is_the_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds are cut, not rounded; the offset from UTC is written."""
    monkeypatch.setenv("TZ", "UTC")
    __import__("time").tzset()

    assert "2026-01-01 12:00:00,456+0000" == logged()["timestamp"]


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("DEBUG", ["INFO", "WARNING", "ERROR"]),
        ("INFO", ["INFO", "WARNING", "ERROR"]),
        ("WARNING", ["WARNING", "ERROR"]),
        ("ERROR", ["ERROR"]),
        ("NONE", []),
    ],
)
def test_the_level_is_the_least_that_is_written(level: str, written: list[str]) -> None:
    """What is below the level is not written."""
    stream = io.StringIO()
    log = logger(stream, level)
    log.info("1")
    log.warning("2")
    log.error("3")

    assert written == [json.loads(x)["level"] for x in stream.getvalue().splitlines()]


def test_what_is_not_written_is_not_rendered() -> None:
    """Below the level, a field costs nothing: it is not even looked at."""
    logger(level="ERROR").warning("unseen", field=Broken())


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1, 1),
        ([1, {"a": None}], [1, {"a": None}]),
        ("\u00e9\n", "\u00e9\n"),
        (b"12345", "<5 bytes>"),
        (bytearray(b"1"), "<1 bytes>"),
        (memoryview(b"12"), "<2 bytes>"),
        ({"x": [b"12"]}, {"x": ["<2 bytes>"]}),
        (float("inf"), "inf"),
        ({("a", "b"): 1}, "{('a', 'b'): 1}"),
        (Broken(), "<unprintable Broken>"),
        (ValueError("text"), "text"),
        ("\ud800", "\ud800"),
    ],
)
def test_any_field_is_written(value: object, written: object) -> None:
    """What JSON cannot hold is written as text, and spoils no other field."""
    line = logged(odd=value, other=True)

    assert written == line["odd"]
    assert line["other"] is True


def test_a_cycle_is_written_as_text() -> None:
    """A structure that contains itself ends no line and no program."""
    cycle: list[object] = []
    cycle.append(cycle)

    assert "[[...]]" == logged(cycle=cycle)["cycle"]


def test_a_payload_is_hidden() -> None:
    """A secret value shows as its repr, however deep it lies."""
    value = Value({"SecretString": CANARY})
    line = logged(a=value, b=[{"c": value}], d=Fetched(value, "arn", None, "v"))

    assert "<secret value, hidden>" == line["a"]
    assert CANARY not in json.dumps(line)


@pytest.mark.parametrize(
    "key",
    ["level", "location", "message", "timestamp", "service", "function_name"],
)
def test_a_field_cannot_forge_a_common_key(key: str) -> None:
    """The keys that every line has keep their values."""
    assert "forged" != logged(**{key: "forged"})[key]


def failure() -> ValueError:
    """An exception that was raised from another, with a local value in its frame."""
    local = {CANARY: 1}
    try:
        try:
            local.pop(CANARY + CANARY)
        except KeyError as error:
            raise ValueError("not usable") from error
    except ValueError as error:
        return error
    raise AssertionError


def test_an_exception_is_described_without_cause_and_locals() -> None:
    """An exception's own text and stack are written; its cause's text is not."""
    line = logged(attempt=1, exception=failure())

    assert ["attempt", "exception", "exception_name", "stack_trace"] == list(line)[6:]
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("\nValueError: not usable")
    assert "ValueError" == line["exception_name"]
    assert ("ValueError", "not usable", "builtins") == (
        line["stack_trace"]["type"],
        line["stack_trace"]["value"],
        line["stack_trace"]["module"],
    )
    (frame,) = line["stack_trace"]["frames"]
    assert ["file", "line", "function", "statement"] == list(frame)
    assert "failure" == frame["function"]
    assert CANARY not in json.dumps(line)


def test_an_exception_field_may_be_text() -> None:
    """Powertools writes an ``exception`` that is no exception as it is."""
    assert "odd" == logged(exception="odd")["exception"]


def test_an_exception_is_named_where_its_stack_cannot_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a descriptor, memory or that module there is still a line."""
    monkeypatch.setitem(sys.modules, "traceback", None)
    line = logged("broke", exception=ValueError("why"))

    assert ("broke", "why", "ValueError") == (
        line["message"],
        line["exception"],
        line["exception_name"],
    )


def test_a_line_that_cannot_be_made_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who logs a failure must not meet another one."""

    def exhausted(_: object) -> str:
        raise MemoryError

    monkeypatch.setattr("rotaware.log._encoded", exhausted)
    stream = io.StringIO()
    logger(stream).error("broke")

    assert "" == stream.getvalue()


def test_an_exception_without_text_is_described() -> None:
    """A broken ``__str__`` of an exception breaks no log line."""

    class BrokenError(Exception):
        __str__ = Broken.__str__

    line = logged(exception=BrokenError())

    assert "<unprintable BrokenError>" == line["stack_trace"]["value"]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_any_encoding_takes_any_text(encoding: str) -> None:
    """What the stream's encoding cannot hold is escaped, and stays valid JSON."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding)
    logger(stream).info("\u00e9 \ud800")

    assert "\u00e9 \ud800" == json.loads(raw.getvalue())["message"]


def test_a_lost_stream_is_survived() -> None:
    """A closed stream, or one that fails, raises nothing."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, text)

    closed = io.StringIO()
    closed.close()

    logger(closed).error("lost")
    logger(Full()).error("lost")


class Recorder(io.StringIO):
    """Keeps each write and waits at a barrier once, so that writers meet."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


def test_a_line_is_one_write() -> None:
    """Threads that log at once never mix their lines."""
    stream = Recorder()
    log = logger(stream)
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait(10)
        for _ in range(50):
            log.info("x" * 500, number=number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert 400 == len(stream.writes)
    assert {500} == {len(json.loads(line)["message"]) for line in stream.writes}
    assert all(line.endswith("}\n") for line in stream.writes)


def test_a_signal_handler_may_log_during_a_write() -> None:
    """A line that is written while another is in the same thread does not hang."""

    class Nested(Recorder):
        def flush(self) -> None:
            if len(self.writes) == 1:
                log.info("inner")

    stream = Nested()
    log = logger(stream)
    done = threading.Thread(target=log.info, args=("outer",), daemon=True)
    done.start()
    done.join(10)

    assert 2 == len(stream.writes)


@given(
    st.text(),
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.text() | st.binary() | st.floats() | st.integers(),
            lambda inner: st.lists(inner) | st.dictionaries(st.integers(), inner),
        ),
    ),
)
def test_anything_is_one_valid_line(message: str, fields: dict[str, Any]) -> None:
    """Whatever is logged, the line is one line of JSON with the message."""
    assert message == logged(message, **fields)["message"]


def test_debug_lines_are_written_at_their_level_only() -> None:
    """They explain; who wants to know asks for them."""
    for level, count in (("DEBUG", 1), ("INFO", 0)):
        stream = io.StringIO()
        logger(stream, level).debug("because", name="db")

        assert count == stream.getvalue().count('"level":"DEBUG"')


def test_a_line_of_another_kind_goes_out_as_it_is() -> None:
    """Whatever the level; and like every line, it never raises."""
    stream = io.StringIO()
    logger(stream, "NONE").write('{"_aws":{}}')

    assert '{"_aws":{}}\n' == stream.getvalue()

    stream.close()
    logger(stream).write("into nowhere")


def test_a_line_knows_its_invocation() -> None:
    """By the key that Powertools has for it, when there is one."""
    stream = io.StringIO()
    log = logger(stream)
    log.info("before")
    log.function_request_id = "6c3cb1b4"
    log.info("meanwhile")
    before, meanwhile = map(json.loads, stream.getvalue().splitlines())

    assert "function_request_id" not in before
    assert "6c3cb1b4" == meanwhile["function_request_id"]
