"""The library's functions in many threads and in forked processes, over a real port."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import rotaware
from tests.support.local_port import Answer, Asked, LocalPort

SHARED = Path(rotaware.__file__).parent.parent
FORKS = """
import os, sys, rotaware

def read_own(who):
    for number in range(100):
        name = f"{who}-{number}"
        if rotaware.get_secret(name) != f"of {name}":
            os._exit(3)

read_own("before")
child = os.fork()
read_own("child" if child == 0 else "parent")
if child == 0:
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
THREADS = """
import sys, threading, rotaware

wrong = []
together = threading.Barrier(32)

def read_own(who):
    together.wait(10)
    for number in range(50):
        name = f"{who}-{number}"
        if rotaware.get_secret(name) != f"of {name}":
            wrong.append(name)

threads = [threading.Thread(target=read_own, args=(n,)) for n in range(32)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(len(wrong))
"""


def respond(asked: Asked) -> Answer:
    """A value that tells whose it is."""
    return Answer(200, {"SecretString": f"of {asked.fields['secretId']}"})


def run(program: str) -> tuple[int, list[Asked]]:
    """The exit code of a program of its own, and what it asked for."""
    with LocalPort(respond) as port:
        environ = {
            "AWS_SESSION_TOKEN": "token",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port.number),
            "PYTHONPATH": str(SHARED),
        }
        command = [sys.executable, "-S", "-W", "error", "-c", program]
        code = subprocess.run(command, env=environ, check=False, timeout=30).returncode
        return code, port.asked


def test_a_fork_and_its_parent_never_mix_their_answers() -> None:
    """Both read on, each over a connection of its own, and each gets its own values."""
    code, asked = run(FORKS)

    assert (0, 300) == (code, len(asked))
    assert 2 == len({one.connection for one in asked})


def test_threads_share_few_connections_and_mix_no_answers() -> None:
    """Thirty-two threads read at once over at most sixteen connections."""
    code, asked = run(THREADS)

    assert (0, 32 * 50) == (code, len(asked))
    assert len({one.connection for one in asked}) <= 16
