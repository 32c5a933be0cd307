"""Through ``logging``, as a program that embeds the cache sees it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rotaware.library_log import LOGGER, LibraryLog

if TYPE_CHECKING:
    import pytest


def test_lines_name_their_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Each level is logging's own; what is not given is left out."""
    caplog.set_level(logging.INFO, "rotaware")
    log = LibraryLog()

    log.info("evicted", reason="stamped", names=["app/db"], generation=None)
    log.warning("slow")
    log.error("a fetch broke off", name="a\nb")

    assert [
        ("rotaware", logging.INFO, "evicted: reason='stamped', names=['app/db']"),
        ("rotaware", logging.WARNING, "slow"),
        ("rotaware", logging.ERROR, "a fetch broke off: name='a\\nb'"),
    ] == caplog.record_tuples


def test_a_line_says_who_logged_it(caplog: pytest.LogCaptureFixture) -> None:
    """That is the cache's code, not the adapter."""
    LibraryLog().warning("slow")

    assert "test_a_line_says_who_logged_it" == caplog.records[0].funcName


def test_an_exception_is_shown_without_its_causes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are others' words, and may quote a value."""
    fault = RuntimeError("broken")
    fault.__cause__ = ValueError("canary")

    LibraryLog().error("an unforeseen error", exception=fault)

    assert "RuntimeError: broken" in caplog.text
    assert "canary" not in caplog.text


def test_what_nobody_wants_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """The program's level decides, before anything is put into words."""
    caplog.set_level(logging.ERROR, "rotaware")

    LibraryLog().warning("slow", about=Unprintable())

    assert [] == caplog.records


def test_without_a_handler_nothing_is_printed() -> None:
    """A program that has not set up logging hears nothing of a library."""
    assert any(isinstance(each, logging.NullHandler) for each in LOGGER.handlers)


class Unprintable:
    """Fails whoever looks at it."""

    def __repr__(self) -> str:
        raise AssertionError
