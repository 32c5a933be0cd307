"""The main job, as a timeline: a secret rotates under a running function.

Everything is real except AWS: the built layer and a Python function under the Lambda
Runtime Interface Emulator, and the invalidator deployed from infra/template.yaml onto a
local stand-in that emits the rotation's event. Values are never printed, only the
first digits of their digests.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import signal
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tests.support.deployment import deploy
from tests.support.processes import ProcessError, wait_until
from tests.support.sandbox import Sandbox
from tests.support.stand_in import StandIn, reading_policy

if TYPE_CHECKING:
    from collections import Counter

    from tests.support.deployment import Deployment
    from tests.support.recorder import Recorder

FUNCTION = Path(__file__).parent / "function"
NAMES = ("demo/database", "demo/api-key", "demo/signing-key")
ROTATED = NAMES[0]
TTL_SECONDS = 300
# Shorter than the default of 5 s, so that the demo need not wait for a check to be due.
CHECK_INTERVAL_SECONDS = 0.2
ENVIRON = {"ROTAWARE_CHECK_INTERVAL": str(CHECK_INTERVAL_SECONDS)}
READS = 1000


class DemoError(Exception):
    """The demo did not show what it is there to show."""


class Timeline:
    """Prints what happens, with the milliseconds since the start."""

    def __init__(self) -> None:
        self._started_at = perf_counter()
        self._colour = sys.stdout.isatty()

    def chapter(self, title: str) -> None:
        """A heading."""
        print(f"\n{self._paint(title, '1')}", flush=True)  # noqa: T201  its output

    def say(self, text: str, colour: str = "") -> None:
        """One thing that has just happened."""
        milliseconds = (perf_counter() - self._started_at) * 1000
        stamp = self._paint(f"{milliseconds:8.0f} ms", "2")
        print(f"{stamp}  {self._paint(text, colour)}", flush=True)  # noqa: T201

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour and colour else text


def digest(value: str) -> str:
    """What stands for a value in the output."""
    return hashlib.sha256(value.encode()).hexdigest()[:8]


def listed(counts: Counter[str]) -> str:
    """Calls to AWS, for a person."""
    parts = [f"{count} x {name}" for name, count in sorted(counts.items())]
    return ", ".join(parts) or "none"


class Demo:
    """The parts that the chapters share."""

    def __init__(
        self,
        timeline: Timeline,
        stand_in: StandIn,
        deployment: Deployment,
        extension_calls: Recorder,
    ) -> None:
        self.say = timeline.say
        self.chapter = timeline.chapter
        self.secrets_manager = stand_in.client("secretsmanager")
        self.invalidator_calls = deployment.recorder
        self.sheet = deployment.sheet
        self.sheet_version = deployment.sheet_version
        self.extension_calls = extension_calls
        self.versions: dict[str, str] = {}
        self.values = {name: secrets.token_urlsafe(24) for name in NAMES}

    def create_secrets(self) -> None:
        """Three secrets, each with a random value."""
        self.chapter("AWS (a local stand-in)")
        for name in NAMES:
            answer = self.secrets_manager.create_secret(
                Name=name, SecretString=self.values[name]
            )
            self.versions[name] = answer["VersionId"]
            self.say(
                f"secret {name}: version {answer['VersionId'][:8]}, "
                f"value {digest(self.values[name])}"
            )

    def invoke(self, sandbox: Sandbox, **event: Any) -> dict[str, Any]:
        """One invocation of the function, which must succeed."""
        response = sandbox.invoke({"secret": ROTATED, **event})
        if not isinstance(response.body, dict) or "digest" not in response.body:
            log = "\n".join(sandbox.lines[-20:])
            raise DemoError(f"the function failed: {response.body}\n{log}")
        return {**response.body, "milliseconds": response.seconds * 1000}

    def cold_start(self, sandbox: Sandbox) -> None:
        """The first invocation: the extension fetches all secrets meanwhile."""
        self.chapter("Cold start")
        answer = self.invoke(sandbox)
        self.say(f"first invocation answered after {answer['milliseconds']:.0f} ms")
        self.say(f"the extension's calls: {listed(self.extension_calls.counts)}")
        self.expect(answer, self.values[ROTATED], "the function read")

    def hits(self, sandbox: Sandbox) -> None:
        """Many reads from memory."""
        self.chapter(f"{READS} reads in one invocation")
        self.extension_calls.clear()
        answer = self.invoke(sandbox, reads=READS)
        self.say(f"a read took {answer['microseconds']:.0f} microseconds (median)")
        self.say(f"the extension's calls: {listed(self.extension_calls.counts)}")

    def rotate(self, sandbox: Sandbox) -> None:
        """Rotate as a rotation function does, until the stamp is on the sheet.

        The pending version changes nothing; moving AWSCURRENT does.
        """
        self.chapter(f"Rotation of {ROTATED}")
        old = self.versions[ROTATED]
        self.values[ROTATED] = secrets.token_urlsafe(24)
        new = self.secrets_manager.put_secret_value(
            SecretId=ROTATED,
            SecretString=self.values[ROTATED],
            VersionStages=["AWSPENDING"],
        )["VersionId"]
        self.say(f"createSecret: version {new[:8]} is AWSPENDING")
        self.extension_calls.clear()
        self.invoke(sandbox)
        self.say(f"an invocation evicts nothing: {listed(self.extension_calls.counts)}")
        before = self.sheet_version()
        self.invalidator_calls.clear()
        moved_at = perf_counter()
        self.secrets_manager.update_secret_version_stage(
            SecretId=ROTATED,
            VersionStage="AWSCURRENT",
            MoveToVersionId=new,
            RemoveFromVersionId=old,
        )
        self.say(f"finishSecret: AWSCURRENT moved from {old[:8]} to {new[:8]}")
        wait_until(lambda: self.sheet_version() > before, "a stamp on the sheet", 20)
        self.versions[ROTATED] = new
        took = (perf_counter() - moved_at) * 1000
        self.say(
            f"event -> queue -> invalidator -> sheet {self.sheet}, generation "
            f"{self.sheet_version()}: {took:.0f} ms after the rotation"
        )
        self.say(f"the invalidator's calls: {listed(self.invalidator_calls.counts)}")
        due_at = moved_at + CHECK_INTERVAL_SECONDS
        wait_until(lambda: perf_counter() > due_at, "the next check to be due")

    def read_new_value(self, sandbox: Sandbox, fetched_at: float) -> None:
        """The next invocation, which is what all of this is for."""
        self.chapter("The next invocation")
        self.extension_calls.clear()
        answer = self.invoke(sandbox)
        self.say(f"answered after {answer['milliseconds']:.1f} ms")
        self.say(f"the extension's calls: {listed(self.extension_calls.counts)}")
        self.expect(answer, self.values[ROTATED], "the function read the NEW value")
        saved = TTL_SECONDS - (perf_counter() - fetched_at)
        self.say(
            f"by its TTL of {TTL_SECONDS} s alone, the old value would have been "
            f"served for {saved:.0f} s more",
            "32",
        )
        self.extension_calls.clear()
        self.invoke(sandbox, secret=NAMES[1])
        if "secretsmanager.GetSecretValue" in self.extension_calls.counts:
            raise DemoError("a secret that had not changed was fetched again")
        self.say(f"{NAMES[1]}, which did not change, is still read from memory")

    def expect(self, answer: dict[str, Any], value: str, what: str) -> None:
        """Compare digests, and end the demo if they differ."""
        if answer["digest"] != digest(value):
            raise DemoError(
                f"the function read {answer['digest']}, expected {digest(value)}: "
                "the secret's current value was not read"
            )
        self.say(f"{what}: {answer['digest']}", "32")


def run() -> None:
    """Tell the whole story once."""
    timeline = Timeline()
    with contextlib.ExitStack() as stack:
        stand_in = stack.enter_context(StandIn())
        timeline.say("the stand-in for AWS is up")
        deployment = deploy(stand_in)
        timeline.say(
            f"infra/template.yaml deployed: rules, queue, {deployment.function_name}"
        )
        recorder = stand_in.recorder()
        demo = Demo(timeline, stand_in, deployment, recorder)
        demo.create_secrets()
        role = stand_in.assume(reading_policy("demo", deployment.sheet))
        sandbox = stack.enter_context(
            Sandbox(FUNCTION, environ=ENVIRON | role, endpoint_url=recorder.url)
        )
        fetched_at = perf_counter()
        demo.cold_start(sandbox)
        demo.hits(sandbox)
        demo.rotate(sandbox)
        demo.read_new_value(sandbox, fetched_at)
        seconds = sandbox.shut_down()
        timeline.chapter("SHUTDOWN")
        timeline.say(f"extension and function ended after {seconds * 1000:.0f} ms")


def main() -> None:
    """Run it; one line and status 1 when it fails."""
    try:
        run()
    except (DemoError, ProcessError, TimeoutError) as error:
        sys.exit(f"demo failed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    # So that `with` blocks end their processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
