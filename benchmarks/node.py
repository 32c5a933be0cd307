"""A Node.js client that keeps its connection, reading as it is told to."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.extension import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NODE = Path(__file__).parents[1] / "build" / "runtimes" / "node" / "bin" / "node"
CLIENT = Path(__file__).parent / "peers" / "client.js"


@contextlib.contextmanager
def reading(port: int, path: str) -> Iterator[Callable[[int], list[float]]]:
    """A function that reads so often, and tells the microseconds of each."""
    command = [str(NODE), str(CLIENT), str(port), path, TOKEN]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdin is not None  # noqa: S101  for the types
        assert node.stdout is not None  # noqa: S101  likewise
        commands, answers = node.stdin, node.stdout

        def read(times: int) -> list[float]:
            commands.write(f"{times}\n")
            commands.flush()
            samples: list[float] = json.loads(answers.readline())
            return samples

        yield read
        commands.close()
