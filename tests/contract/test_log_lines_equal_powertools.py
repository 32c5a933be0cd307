"""A line of ours is what Powertools' own Logger would have written."""

from __future__ import annotations

import io
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools import Logger as PowertoolsLogger

from rotaware.clock import SystemClock
from rotaware.log import Logger

if TYPE_CHECKING:
    from collections.abc import Callable

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
# Powertools keeps one logger for each service, with the stream that came first.
SERVICES = (f"billing-{number}" for number in itertools.count())


class Context:
    """The context object of an invocation."""

    function_name = "orders"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:orders"
    aws_request_id = "6c3cb1b4-7f0a-4a3e-9d39-2d7d1b4cfa1c"


def failure() -> ValueError:
    """An exception with a note and a stack of two frames."""

    def inner() -> None:
        raise ValueError("not usable")

    try:
        inner()
    except ValueError as error:
        error.add_note("a note")
        return error
    raise AssertionError


def ours(service: str, log: Callable[[Logger], None]) -> str:
    """What our logger writes."""
    stream = io.StringIO()
    logger = Logger(
        service=service,
        level="DEBUG",
        stream=stream,
        clock=SystemClock(),
        function_name="orders",
    )
    logger.cold_start = True
    logger.xray_trace_id = TRACE
    logger.function_request_id = Context.aws_request_id
    log(logger)
    return stream.getvalue()


def theirs(service: str, log: Callable[[PowertoolsLogger], None]) -> str:
    """What Powertools' logger writes in an invocation."""
    stream = io.StringIO()
    logger = PowertoolsLogger(service=service, level="DEBUG", stream=stream)

    def invoked(event: dict[str, Any], context: Context) -> None:  # noqa: ARG001  a handler's
        log(logger)

    logger.inject_lambda_context(invoked)({}, Context())
    return stream.getvalue()


# What an extension cannot know about the function that it lies beside.
FUNCTION_ONLY = {"function_memory_size", "function_arn"}


@pytest.fixture(autouse=True)
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cold start with tracing on."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)
    monkeypatch.setattr("aws_lambda_powertools.logging.logger.is_cold_start", True)


def shape(value: object) -> object:
    """A line with what changes from call to call replaced by its form."""
    if isinstance(value, dict):
        return {
            key: "function:line"
            if key == "location" and re.fullmatch(r"[\w<>]+:\d+", item)
            else re.sub(r"\d", "9", item)
            if key == "timestamp"
            else shape(item)
            for key, item in value.items()
            if key not in FUNCTION_ONLY
        }
    return value


@pytest.mark.parametrize(
    ("level", "message", "fields"),
    [
        ("info", "plain", {}),
        ("warning", "plain", {}),
        ("error", "with fields", {"b": [1, {"c": None}], "a": "\u00e9", "none": None}),
        ("error", "with text", {"exception": "told"}),
    ],
    ids=["info", "warning", "fields", "text"],
)
def test_lines_are_equal(level: str, message: str, fields: dict[str, Any]) -> None:
    """Same keys in the same order, same values or formats, same separators."""

    def log(logger: Any) -> None:
        getattr(logger, level)(message, **fields)

    service = next(SERVICES)
    mine, powertools = ours(service, log), theirs(service, log)
    expected, actual = shape(json.loads(powertools)), shape(json.loads(mine))

    assert json.dumps(expected) == json.dumps(actual)
    assert powertools.startswith('{"level":"')
    assert mine.startswith('{"level":"')


def test_exceptions_are_equal() -> None:
    """An exception field gives the keys that Powertools gives to ``exc_info``."""
    error, service = failure(), next(SERVICES)
    mine = ours(service, lambda log: log.error("failed", attempt=1, exception=error))
    powertools = theirs(
        service, lambda log: log.error("failed", attempt=1, exc_info=error)
    )

    assert json.dumps(shape(json.loads(powertools))) == json.dumps(
        shape(json.loads(mine))
    )
