"""What the command line asks for, checked before anything is done.

Every problem is told, each in a line. REGIONS, BUCKET and the rest are the variables
of ``make publish``, so messages call them so.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from infra.publish.problems import PublishError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ARCHITECTURES = ("x86_64", "arm64")
FLAVOURS = ("any", "python")
EVERYBODY = "*"
REGION_FIELD = "{region}"
_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+)+-\d")
_ACCOUNT = re.compile(r"\d{12}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Options:
    """What to publish, where, and for whom.

    Attributes:
        regions: Where to.
        bucket: Where the invalidator's code goes, ``{region}`` standing for the Region.
        architectures: Of the layers that bring their own Python.
        flavours: ``any`` for functions in any language, ``python`` without interpreter.
        principals: Accounts that may use the layers, or ``*``.
        dry_run: Whether everything is checked and nothing done.
        as_json: Whether a program reads the result.
    """

    regions: tuple[str, ...]
    bucket: str | None = None
    architectures: tuple[str, ...] = ARCHITECTURES
    flavours: tuple[str, ...] = FLAVOURS
    principals: tuple[str, ...] = ()
    dry_run: bool = False
    as_json: bool = False

    def bucket_in(self, region: str) -> str | None:
        """The bucket for a Region's copy of the invalidator, if there is one."""
        return self.bucket and self.bucket.replace(REGION_FIELD, region)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise PublishError(message)


def parse(arguments: Sequence[str]) -> Options:
    """The options that a command line stands for.

    Raises:
        PublishError: Something is wrong with them; it says everything that is.
    """
    said = _parser().parse_args(arguments)
    options = Options(
        regions=_listed(said.regions),
        bucket=said.bucket or None,
        architectures=_listed(said.arch) or ARCHITECTURES,
        flavours=_listed(said.flavours) or FLAVOURS,
        principals=(EVERYBODY,) if said.public else _listed(said.accounts),
        dry_run=said.dry_run,
        as_json=said.json,
    )
    problems = list(_problems(options))
    if said.public and _listed(said.accounts):
        problems.append("PUBLIC=1 shares with every account: leave out ACCOUNTS")
    if problems:
        raise PublishError("\n".join(dict.fromkeys(problems)))
    return options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="make publish", description="Publish the layers.", allow_abbrev=False
    )
    for name in ("regions", "bucket", "arch", "flavours", "accounts"):
        parser.add_argument(f"--{name}", default="")
    for name in ("public", "dry-run", "json"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser


def _listed(text: str) -> tuple[str, ...]:
    """Words with commas or spaces between, each once."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _problems(options: Options) -> Iterable[str]:
    """Everything that is wrong with the options, by what can be seen without AWS."""
    if not options.regions:
        yield "REGIONS is missing: say where, for example REGIONS=eu-west-1,us-east-1"
    for region in options.regions:
        if not _REGION.fullmatch(region):
            yield f"REGIONS: {region!r} is no Region's name; eu-west-1 is one"
    yield from _unknown("ARCH", options.architectures, ARCHITECTURES)
    yield from _unknown("FLAVOURS", options.flavours, FLAVOURS)
    for principal in options.principals:
        if principal != EVERYBODY and not _ACCOUNT.fullmatch(principal):
            yield f"ACCOUNTS: {principal!r} is no account: an account has 12 digits"
    yield from _bucket_problems(options)


def _unknown(
    variable: str, values: tuple[str, ...], known: tuple[str, ...]
) -> Iterable[str]:
    for value in values:
        if value not in known:
            yield f"{variable}: {value!r} is not one of {', '.join(known)}"


def _bucket_problems(options: Options) -> Iterable[str]:
    if options.bucket is None:
        return
    if len(options.regions) > 1 and REGION_FIELD not in options.bucket:
        yield (
            "BUCKET: Lambda takes code from a bucket in its own Region only, so name "
            f"one for each: BUCKET={options.bucket}-{REGION_FIELD}"
        )
    for region in options.regions:
        bucket = str(options.bucket_in(region))
        if not _BUCKET.fullmatch(bucket):
            yield (
                f"BUCKET: {bucket!r} is no bucket's name: 3 to 63 lower-case letters, "
                "digits, '-' and '.'"
            )
