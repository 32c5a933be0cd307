"""Log lines on their way out, through a pipe that may be full, closed or slow."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import TYPE_CHECKING

import pytest

from extension.output import MOST_KEPT_BYTES, Output, standard_output

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTICE = '{"level":"WARNING","message":"log lines were dropped","count":%d}\n'


class Pipe:
    """A pipe, an output that writes into it, and who may read it."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.output = Output(self._writer)

    def log(self, line: str) -> None:
        """What a logger does."""
        self.output.write(line)
        self.output.flush()

    def fill(self) -> int:
        """Write until nothing more goes in; how many bytes that took."""
        os.set_blocking(self._writer, False)
        size = 0
        try:
            while True:
                size += os.write(self._writer, b"x" * select.PIPE_BUF)
        except BlockingIOError:
            os.set_blocking(self._writer, True)
            return size

    def read(self) -> str:
        """Everything that is in it."""
        received = b""
        while select.select([self.reader], [], [], 0)[0]:
            chunk = os.read(self.reader, 1 << 16)
            if not chunk:
                break
            received += chunk
        return received.decode()

    def close(self) -> None:
        for fileno in (self.reader, self._writer):
            with contextlib.suppress(OSError):
                os.close(fileno)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe in blocking mode, as Lambda's are."""
    made = Pipe()
    yield made
    made.close()


def test_a_line_goes_out_at_once(pipe: Pipe) -> None:
    """Whatever its alphabet and length."""
    lines = ["first\n", "zweite ä\n", "third " + "x" * 9000 + "\n"]
    for line in lines:
        pipe.log(line)

    assert "".join(lines) == pipe.read()


def test_a_full_pipe_makes_nobody_wait(pipe: Pipe) -> None:
    """What it does not take goes out in order, with the first line after that."""
    size = pipe.fill()
    pipe.log("first\n")
    pipe.log("second\n")

    assert "x" * size == pipe.read()

    pipe.log("third\n")

    assert "first\nsecond\nthird\n" == pipe.read()


def test_a_line_that_fits_in_part_is_finished_later(pipe: Pipe) -> None:
    """Not a byte of it is lost, nor written twice."""
    line = "".join(f"{number} " for number in range(40_000)) + "\n"
    pipe.log(line)
    begun = pipe.read()

    assert line != begun

    received = begun
    while not received.endswith("\n"):
        pipe.output.flush()
        received += pipe.read()

    assert line == received


def test_what_cannot_be_kept_is_counted(pipe: Pipe) -> None:
    """Memory is bounded; that lines are missing is told when there is room again."""
    pipe.fill()
    pipe.log("y" * (MOST_KEPT_BYTES - 1) + "\n")
    pipe.log("lost\n")
    pipe.log("lost\n")
    received = pipe.read()
    while not received.endswith(NOTICE % 2):
        pipe.output.flush()
        received += pipe.read()
    pipe.log("next\n")

    assert "lost\n" not in received
    assert "next\n" == pipe.read()


def test_without_a_reader_lines_go_nowhere(pipe: Pipe) -> None:
    """And none is kept: nobody will ever read it."""
    os.close(pipe.reader)
    pipe.log("first\n")
    pipe.log("second\n")

    assert not pipe.output._kept


def test_what_is_no_text_is_refused(pipe: Pipe) -> None:
    """The logger then writes it in ASCII; nothing of it was kept."""
    with pytest.raises(UnicodeEncodeError):
        pipe.output.write("\ud800")

    assert not pipe.output._kept


def test_standard_output_is_this_processs(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descriptor is used, not its buffer."""
    with os.fdopen(os.dup(pipe._writer), "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        output = standard_output()
        output.write("line\n")
        output.flush()

    assert "line\n" == pipe.read()


def test_a_process_may_be_started_without_standard_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Descriptor 1 is then another file's, such as the listener's."""
    monkeypatch.setattr(sys, "stdout", None)
    output = standard_output()
    output.write("line\n")
    output.flush()
