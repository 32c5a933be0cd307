"""What a start costs in process: each step in fresh interpreters, the median of them.

It is processor time: AWS answers at once, from this machine, and what distance adds is
not here.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from tests.support.extension_process import ScriptedAws

STARTS = 15
STEPS = (
    "import boto3",
    "import what in_process needs besides",
    "in_process() with one secret to prefetch",
    "a read from memory",
)
PROGRAM = """
import sys, time
marks = [time.process_time()]
import boto3
marks.append(time.process_time())
import rotaware, rotaware.own_process, rotaware.assembly, rotaware.boto
marks.append(time.process_time())
client = rotaware.in_process(
    region="us-east-1",
    session=boto3.Session("AKID", "SECRET"),
    endpoint_url=sys.argv[1],
    secrets=["app/db"],
    environ={},
)
marks.append(time.process_time())
client.get_secret("app/db")
marks.append(time.process_time())
print(*(after - before for before, after in zip(marks, marks[1:])))
"""


def start(url: str) -> list[float]:
    """The seconds of each step in a fresh interpreter."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, url],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "shared"},
    )
    return [float(word) for word in run.stdout.split()]


def main() -> None:
    """Print a row for each step."""
    with ScriptedAws() as aws:
        aws.secrets["app/db"] = "value"
        starts = [start(aws.url) for _ in range(STARTS)]
    for step, seconds in zip(STEPS, zip(*starts, strict=True), strict=True):
        print(f"| {step} | {1000 * statistics.median(seconds):,.1f} ms |")


if __name__ == "__main__":
    main()
