"""Cold start: until Lambda has the registration, until the first secret is served."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.extension import LAUNCHER, boto3_peer, interpreter, running
from benchmarks.quota import limited
from benchmarks.report import Count, Row
from benchmarks.stand_ins import STEP_SECONDS, Aws

DELAY_SECONDS = 0.02
MANY = 31
LIMITED_ROUNDS = 7
"""Fewer, because a start with boto3 takes seconds then."""


def measure(rounds: int) -> tuple[list[Row], list[Count]]:
    """Start everything in turn, ``rounds`` times."""
    print(f"cold starts, {rounds} of each ...", flush=True)
    rows = _unlimited(rounds)
    print("cold starts with 8 % of a core ...", flush=True)
    return [*rows, *_limited(min(rounds, LIMITED_ROUNDS))], [_calls()]


def _unlimited(rounds: int) -> list[Row]:
    bare, ours_registered, ours_served, peer_served = [], [], [], []
    bare_command = [interpreter(), "-I", "-S", "-c", "pass"]
    peer_command = boto3_peer()
    aws = Aws(DELAY_SECONDS)
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(bare_command, check=True)
        bare.append((time.perf_counter() - began) * 1e3)
        with running(LAUNCHER, aws) as extension:
            ours_served.append(extension.first_secret_seconds() * 1e3)
            ours_registered.append(extension.registered_seconds() * 1e3)
        with running(peer_command, aws) as extension:
            peer_served.append(extension.first_secret_seconds() * 1e3)
    aws.close()
    return [
        Row("start to `/register`", "ms", ours_registered, bare, "bare interpreter", 2),
        Row("start to first secret", "ms", ours_served, peer_served, "boto3", 0.35),
    ]


def _limited(rounds: int) -> list[Row]:
    """The way to the first secret as in a function with 128 MB, over TLS."""
    ours: list[float] = []
    peers: list[float] = []
    with limited() as prefix, tempfile.TemporaryDirectory() as directory:
        if prefix is None:
            print("  left out: it takes root and the kernel's CPU controller")
            return []
        aws = Aws(DELAY_SECONDS, Path(directory))
        for _ in range(rounds):
            for command, samples in ((LAUNCHER, ours), (boto3_peer(), peers)):
                with running([*prefix, *command], aws) as extension:
                    samples.append(extension.first_secret_seconds() * 1e3)
        aws.close()
    name = "start to first secret, 8 % of a core, TLS"
    return [Row(name, "ms", ours, peers, "boto3", 0.35)]


def _calls() -> Count:
    """How many AWS calls a prefetch takes."""
    aws = Aws(0.0)
    names = [f"bench/many-{number}" for number in range(MANY)]
    with running(LAUNCHER, aws, secrets=names) as extension:
        if not extension.api.ready.wait(STEP_SECONDS):
            raise TimeoutError("the extension did not get ready")
    batches = aws.calls["BatchGetSecretValue"]
    others = sum(aws.calls.values()) - batches - aws.calls["GetParameter"]
    aws.close()
    return Count(
        f"AWS calls to prefetch {MANY} secrets",
        f"{batches} and {others} others",
        "2 and 0 others",
        (batches, others) == (2, 0),
    )
