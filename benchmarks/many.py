"""What it takes to prefetch a thousand names, from the built layer and the stand-in.

Times are from the start of the process until it asks for the first event.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.extension_process import ExtensionProcess, layer_launcher
from tests.support.extensions_api import FakeExtensionsApi
from tests.support.recorder import Refusal
from tests.support.sandbox import LAYER
from tests.support.stand_in import StandIn

if TYPE_CHECKING:
    from tests.support.recorder import Recorder

MANY = 1000
STARTS = 3
VALUE = "x" * 200
BATCH = "secretsmanager.BatchGetSecretValue"
DENIED = Refusal(400, "AccessDeniedException")
THROTTLED = Refusal(400, "ThrottlingException")
SECRETS = [f"app/some-team/secret-number-{number:04}" for number in range(MANY)]
PARAMETERS = [f"/{name}" for name in SECRETS]


class Aws(NamedTuple):
    """A recorder as the extension's AWS."""

    recorder: Recorder

    @property
    def url(self) -> str:
        """For AWS_ENDPOINT_URL."""
        return self.recorder.url


def main() -> None:
    """Start each kind a few times; print a table."""
    print("| what is prefetched | seconds | calls | memory at its peak |")
    print("|---|---|---|---|")
    with StandIn() as stand_in:
        secrets, parameters = stand_in.client("secretsmanager"), stand_in.client("ssm")
        for name in SECRETS:
            secrets.create_secret(Name=name, SecretString=VALUE)
        for name in PARAMETERS:
            parameters.put_parameter(Name=name, Value=VALUE, Type="String")
        may = [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]
        role = stand_in.assume(may)
        for label, listed, refusal in (
            ("1 secret", {"secrets": SECRETS[:1]}, None),
            (f"{MANY} secrets", {"secrets": SECRETS}, None),
            (f"{MANY} parameters", {"parameters": PARAMETERS}, None),
            (f"{MANY} secrets, batches denied", {"secrets": SECRETS}, DENIED),
            (f"{MANY} secrets, batches throttled", {"secrets": SECRETS}, THROTTLED),
        ):
            starts = [_start(stand_in, role, listed, refusal) for _ in range(STARTS)]
            seconds, memory = zip(*(start[:2] for start in starts), strict=True)
            print(
                f"| {label} | {min(seconds):.1f} to {max(seconds):.1f}"
                f" | {starts[-1][2]} | {max(memory):.0f} MB |",
                flush=True,
            )


def _start(
    stand_in: StandIn,
    role: dict[str, str],
    listed: dict[str, list[str]],
    refusal: Refusal | None,
) -> tuple[float, float, str]:
    """Seconds, megabytes and calls."""
    aws: Any = Aws(stand_in.recorder())
    environ = {"ROTAWARE_STAMPS": "off", **role}
    with tempfile.TemporaryDirectory() as place, FakeExtensionsApi() as api:
        folder = Path(place)
        lines = [f"{key}: [{', '.join(names)}]" for key, names in listed.items()]
        (folder / "config.yaml").write_text("\n".join(lines))
        launcher = layer_launcher(folder, LAYER)
        with aws.recorder.refusing(BATCH, refusal) if refusal else nullcontext():
            began = time.perf_counter()
            process = ExtensionProcess(launcher, api, aws, folder, environ=environ)
            api.wait_for_next()
            seconds = time.perf_counter() - began
            status = Path(f"/proc/{process.child.pid}/status").read_text()
            process.child.stop()
    calls = ", ".join(f"{count} {name}" for name, count in aws.recorder.counts.items())
    return seconds, int(status.partition("VmHWM:")[2].split()[0]) / 1024, calls


if __name__ == "__main__":
    main()
