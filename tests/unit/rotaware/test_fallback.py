"""A port at which nobody listens gives way to another reader, once and for all."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from rotaware.errors import ExtensionError, NobodyListensError, SettingsError
from rotaware.fallback import FallbackReader, with_fallback
from rotaware.reader import Reading
from rotaware.secret import Query

if TYPE_CHECKING:
    from collections.abc import Callable

QUERY = Query.secret("a")


class Scripted:
    """A reader that fails as told, else answers with its name."""

    def __init__(self, name: str, fail: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.fail = fail
        self.asked: list[tuple[Query, bool, str | None]] = []
        self.closed = False

    def read(
        self, query: Query, *, refresh: bool = False, instead_of: str | None = None
    ) -> Reading:
        self.asked.append((query, refresh, instead_of))
        self.fail()
        return Reading(self.name, from_source=False)

    def close(self) -> None:
        self.closed = True


def refuse() -> None:
    """Fail as a port does at which nobody listens."""
    raise NobodyListensError("nobody")


def must_not_be_made() -> Scripted:
    """Stand for a reader that nobody needs."""
    raise AssertionError("there is an extension")


def test_a_port_that_answers_is_kept() -> None:
    """Also when nobody listens later: an extension that died shall be seen."""
    port = Scripted("port")
    reader = FallbackReader(port, must_not_be_made)

    assert "port" == reader.read(QUERY, refresh=True, instead_of="v").document
    port.fail = refuse
    with pytest.raises(NobodyListensError):
        reader.read(QUERY)
    reader.close()
    assert [(QUERY, True, "v"), (QUERY, False, None)] == port.asked
    assert port.closed


def test_where_nobody_listens_the_other_reads() -> None:
    """The port is asked once; what was asked for goes to the other as it was."""
    port, other = Scripted("port", refuse), Scripted("other")
    reader = FallbackReader(port, lambda: other)

    assert "other" == reader.read(QUERY, refresh=True, instead_of="v").document
    assert "other" == reader.read(QUERY).document
    reader.close()
    assert 1 == len(port.asked)
    assert [(QUERY, True, "v"), (QUERY, False, None)] == other.asked
    assert (False, True) == (port.closed, other.closed)


def test_any_other_failure_is_the_callers() -> None:
    """A port in trouble is no absent one; and it decides nothing yet."""

    def fail() -> None:
        raise ExtensionError("in trouble")

    port, other = Scripted("port", fail), Scripted("other")
    reader = FallbackReader(port, lambda: other)
    with pytest.raises(ExtensionError, match="in trouble"):
        reader.read(QUERY)
    port.fail = refuse

    assert "other" == reader.read(QUERY).document


def test_threads_that_are_refused_together_make_one_reader() -> None:
    """The other reader holds a cache: two of them would be twice the calls."""
    together = threading.Barrier(4)

    def fail() -> None:
        together.wait(10)
        refuse()

    made: list[Scripted] = []

    def make() -> Scripted:
        made.append(Scripted("other"))
        return made[-1]

    reader = FallbackReader(Scripted("port", fail), make)
    read: list[object] = []

    def work() -> None:
        read.append(reader.read(QUERY).document)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert (["other"] * 4, 1) == (read, len(made))


def test_a_reader_that_cannot_be_made_is_tried_again() -> None:
    """An error on the way is the caller's, and the next read begins anew."""
    ready: list[Scripted] = []
    reader = FallbackReader(Scripted("port", refuse), lambda: ready[0])
    with pytest.raises(IndexError):
        reader.read(QUERY)
    ready.append(Scripted("other"))

    assert "other" == reader.read(QUERY).document


def test_the_variable_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a function that asks for it falls back, to a reader of its environment."""
    port, other = Scripted("port", refuse), Scripted("other")
    seen: list[object] = []

    def reader_from_environ(environ: object) -> Scripted:
        seen.append(environ)
        return other

    module = SimpleNamespace(reader_from_environ=reader_from_environ)
    monkeypatch.setitem(sys.modules, "rotaware.own_process", module)
    environ = {"ROTAWARE_FALLBACK": "In-Process", "AWS_SESSION_TOKEN": "token"}
    reader = with_fallback(port, environ)

    assert port is with_fallback(port, {"ROTAWARE_FALLBACK": "none"})
    assert [] == seen
    assert "other" == reader.read(QUERY).document
    assert [environ] == seen
    with pytest.raises(
        SettingsError, match=r"^ROTAWARE_FALLBACK: 'x' is none; use non"
    ):
        with_fallback(port, {"ROTAWARE_FALLBACK": "x"})


def test_without_a_token_there_is_no_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's machine has none, and a port there is somebody else's."""
    port, other = Scripted("port"), Scripted("other")
    module = SimpleNamespace(reader_from_environ=lambda _: other)
    monkeypatch.setitem(sys.modules, "rotaware.own_process", module)
    reader = with_fallback(port, {"ROTAWARE_FALLBACK": "in-process"})
    reader.close()

    assert "other" == reader.read(QUERY).document
    assert [] == port.asked
