"""The command that runs a function on this machine; ``emulator`` has the parts."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rotaware.cli import emulator, output
from rotaware.cli.options import asks_aws, guarded, json_option
from rotaware.cli.running import INVOCATIONS, STARTS_WITHIN_SECONDS, Running
from rotaware.clock import SystemClock
from rotaware.errors import RotawareError

if TYPE_CHECKING:
    from rotaware.cli.session import Account


@click.command()
@click.argument("handler")
@click.option(
    "--code",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The function's folder; by default this one.",
)
@click.option(
    "--layer",
    type=click.Path(path_type=Path),
    default=Path("build/layer"),
    show_default=True,
    help="The built layer, a folder or a zip.",
)
@click.option(
    "--emulator",
    "emulator_path",
    type=click.Path(path_type=Path),
    help="The program aws-lambda-rie.",
)
@click.option(
    "--python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path(sys.executable),
    help="What runs a Python function; it needs the package awslambdaric.",
)
@click.option("--runtime", help="For another language: the command of its runtime.")
@click.option("--env", "variables", multiple=True, help="NAME=VALUE, for the function.")
@click.option("--event", "events", multiple=True, help="JSON or @file; then end.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Where it takes events.")
@click.option(
    "--timeout", type=click.IntRange(1, 900), default=30, show_default=True, help="s"
)
@json_option
@guarded
@asks_aws
def local(  # noqa: PLR0913  a function has as many settings
    *,
    handler: str,
    code: Path,
    layer: Path,
    emulator_path: Path | None,
    python: Path,
    runtime: str | None,
    variables: tuple[str, ...],
    events: tuple[str, ...],
    port: int | None,
    timeout: int,
    as_json: bool,
    account: Account,
) -> None:
    """Run a function on this machine with the built layer, against AWS.

    HANDLER is as in its configuration, such as app.handler. Without --event it serves
    until it is interrupted. The status is 1 if an invocation failed.
    """
    texts = [_event(text) for text in events]
    program = emulator.find_emulator(emulator_path, Path.home())
    own = {**_assignments(variables), **account.credentials()}
    if account.endpoint_url:
        own["AWS_ENDPOINT_URL"] = account.endpoint_url
    python = python.absolute()
    started = tuple(runtime.split()) if runtime else emulator.python_runtime(python)
    kept = () if runtime else emulator.kept_for(python)
    with (
        emulator.unpacked_layer(layer) as folder,
        tempfile.TemporaryDirectory(prefix="rotaware-local-") as stage,
    ):
        parts = emulator.Parts(handler, code, folder, program, started, kept)
        unshare = emulator.namespaces(emulator.succeeds)
        at = port or emulator.free_port()
        api = emulator.free_port()
        start = emulator.command(parts, unshare, Path(stage), at, api)
        environ = emulator.environ(handler, account.region, own, timeout)
        running = Running(start, environ, at, SystemClock())
        try:
            running.wait_until_ready()
            _serve(running, at, texts, timeout, as_json=as_json)
        finally:
            running.stop()


def _serve(
    running: Running,
    port: int,
    events: list[str],
    timeout: int,
    *,
    as_json: bool,
) -> None:
    failed = False
    for event in events:
        answer = running.invoke(event, timeout + STARTS_WITHIN_SECONDS)
        output.print_json(answer._asdict() if as_json else answer.body)
        failed |= answer.failed
    if not events:
        url = f"http://127.0.0.1:{port}{INVOCATIONS}"
        click.echo(f"invoke it with: curl -d '{{}}' {url}", err=True)
        try:
            running.wait()
        except KeyboardInterrupt:
            click.echo("stopping", err=True)
    if failed:
        sys.exit(1)


def _event(text: str) -> str:
    try:
        event = Path(text[1:]).read_text() if text.startswith("@") else text
        json.loads(event)
    except OSError as fault:
        raise RotawareError(f"--event {text}: {fault.strerror}") from None
    except ValueError:
        fix = "use JSON, or @ and the name of a file that holds it"
        raise RotawareError(f"--event is no JSON; {fix}") from None
    return event


def _assignments(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(name and sign for name, sign, _ in pairs):
        raise RotawareError("--env: use NAME=VALUE")
    return {name: value for name, _, value in pairs}
