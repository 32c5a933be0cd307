"""`make publish`: the layers, and the invalidator's code, to one Region or several.

Arguments and credentials are checked first, then everything is built, then every
Region is looked at, and only then is anything published. What a person is told goes to
standard error, the result to standard output.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import tomllib
from botocore.exceptions import BotoCoreError

from infra import artifacts
from infra.interpreter.build import MACHINES
from infra.publish import layers, report
from infra.publish.options import parse
from infra.publish.packaged import packaged
from infra.publish.problems import NO_CREDENTIALS, PublishError, from_aws
from infra.publish.region import Region
from infra.publish.run import Work, in_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.publish.options import Options

TEMPLATE = Path("infra/template.yaml")
OWN = MACHINES[platform.machine()]


def say(line: str) -> None:
    """Tell a person how far it is."""
    sys.stderr.write(f"{line}\n")  # in one piece: threads call it


def build(options: Options) -> None:
    """Make everything that is published."""
    wanted = {
        architecture
        for layer in layers.chosen(options)
        # The flavour without interpreter is built together with this machine's layer.
        for architecture in (
            [OWN] if layer.flavour == "python" else layer.architectures
        )
    }
    commands = [["infra.layer.build", "--arch", each] for each in sorted(wanted)]
    if options.bucket:
        commands.append(["infra.invalidator.build"])
    for module, *arguments in commands:
        command = [sys.executable, "-m", module, *arguments]
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            raise PublishError(f"{' '.join(command[2:])} failed: nothing is published")


def places(options: Options) -> list[Region]:
    """The Regions, once their credentials are known to be good."""
    try:
        session = boto3.Session()
        if session.get_credentials() is None:
            raise PublishError(NO_CREDENTIALS)
    except BotoCoreError as error:
        raise from_aws(error, "credentials") from error
    regions = [Region(session, name) for name in options.regions]
    callers = set(in_each(regions, Region.require_credentials).values())
    say(f"as {', '.join(sorted(callers))}")
    return regions


def package(work: Work) -> Mapping[str, str]:
    """Write the template of each Region that has a bucket; their paths."""
    written: dict[str, str] = {}
    if work.invalidator is None or work.options.dry_run:
        return written
    for region in work.options.regions:
        path = artifacts.BUILD / f"packaged-{region}.yaml"
        bucket = str(work.options.bucket_in(region))
        text = packaged(TEMPLATE.read_text(), bucket, work.invalidator)
        artifacts.write(path, text)
        say(f"{region}: {path} takes the invalidator from {bucket}")
        written[region] = str(path)
    return written


def publish(options: Options) -> None:
    """Do what the options say, and print what there is then, also after a failure."""
    regions = places(options)
    build(options)
    work = Work(
        options,
        tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"],
        {
            layer: built(layers.archive_name(layer, OWN))
            for layer in layers.chosen(options)
        },
        built("invalidator.zip") if options.bucket else None,
        say,
    )
    templates: Mapping[str, str] = {}
    try:
        work.publish(regions)
        templates = package(work)
    finally:
        rows = work.rows.values()
        if rows:
            as_json = report.as_json(rows, templates)
            print(as_json if options.as_json else report.table(rows))


def built(name: str) -> layers.Archive:
    """What was built."""
    return layers.Archive((artifacts.BUILD / name).read_bytes())


def main(arguments: Sequence[str]) -> None:
    """Publish, or end with a reason."""
    try:
        publish(parse(arguments))
    except (PublishError, OSError) as error:
        lines = str(error).splitlines()
        sys.exit("\n".join(f"make publish: {line}" for line in lines))
    except KeyboardInterrupt:
        sys.exit("make publish: interrupted; run it again to complete the rest")


if __name__ == "__main__":
    main(sys.argv[1:])
