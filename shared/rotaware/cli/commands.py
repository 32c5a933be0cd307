"""The commands: what they take, and which parts they put together.

Whatever goes wrong in a foreseen way ends with one line on standard error and status 1;
so does ``doctor`` when it finds an error. Standard output holds results alone.
"""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import click

from rotaware.cli import cost as costs
from rotaware.cli import output
from rotaware.cli.comparison import compare, fullness
from rotaware.cli.doctor import diagnose
from rotaware.cli.findings import ERROR
from rotaware.cli.local import local
from rotaware.cli.options import asks_aws, guarded, json_option, names_sheet
from rotaware.cli.truth import find_current, list_current
from rotaware.clock import SystemClock
from rotaware.describe import describe
from rotaware.errors import RotawareError
from rotaware.rotation import publish_stamp
from rotaware.stamps import sheet_home

if TYPE_CHECKING:
    from rotaware.cli.session import Account

_clock = SystemClock()


@click.group()
@click.version_option(package_name="rotaware", message="%(version)s")
def rotaware() -> None:
    """Look after rotaware: the invalidator, its stamp sheet, and your functions."""


@rotaware.command()
@click.argument("function", required=False)
@click.option("--stack", default="rotaware", show_default=True, help="Its stack.")
@json_option
@guarded
@asks_aws
def doctor(function: str | None, stack: str, as_json: bool, account: Account) -> None:  # noqa: FBT001  click's
    """Find out what is wrong with a deployment, and with FUNCTION.

    Nothing is changed. The status is 1 if there is an error.
    """
    found = diagnose(account.aws, stack, function, _clock.now().wall)
    if as_json:
        output.print_json([output.finding_document(each) for each in found])
    else:
        output.print_findings(found)
    if any(each.state == ERROR for each in found):
        sys.exit(1)


@rotaware.command()
@click.argument("names", nargs=-1)
@json_option
@guarded
@names_sheet
@asks_aws
def stamps(
    names: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  click's
    sheet: str,
    account: Account,
) -> None:
    """Show the sheet beside what AWS says now, of all secrets or of NAMES."""
    home = sheet_home(account.aws, sheet, writes=True)
    edition = home.read()
    if edition is None:
        raise _absent(sheet)
    current = find_current(account.aws, names) if names else list_current(account.aws)
    rows = compare(edition.sheet.stamps, current)
    if names:
        rows = [row for row in rows if row.service]
    now_seconds = _clock.now().wall
    taken = fullness(edition.sheet, home.max_bytes)
    if as_json:
        document = {
            "sheet": sheet,
            "generation": edition.generation,
            "horizon": edition.sheet.horizon,
            "overwritten": len(edition.gap),
            "fullness": round(taken, 3),
            "rows": [row._asdict() for row in rows],
        }
        output.print_json(document)
        return
    youngest = max((stamp.since for stamp in edition.sheet.stamps.values()), default=0)
    changed = output.age(now_seconds - youngest) + " ago" if youngest else "never"
    output.print_lines(
        f"{sheet}: generation {edition.generation}, horizon {edition.sheet.horizon},"
        f" {taken:.0%} full, last stamp {changed}"
    )
    output.print_rows(rows, now_seconds)


def _absent(sheet: str) -> RotawareError:
    return RotawareError(
        f"there is no sheet {sheet} here; deploy infra/template.yaml, or use"
        " --namespace, --stamps or --region"
    )


@rotaware.command()
@click.argument("names", nargs=-1, required=True)
@json_option
@guarded
@names_sheet
@asks_aws
def stamp(
    names: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  click's
    sheet: str,
    account: Account,
) -> None:
    """Stamp the secrets NAMES by hand, at the version that is current.

    Either all of them are there, or none is stamped.
    """
    described = {name: describe(account.aws, name) for name in names}
    for name in names:
        publish_stamp(
            account.aws,
            sheet,
            name,
            pending=False,
            clock=_clock,
            random=random.random,
        )
    if as_json:
        versions = {name: each.version for name, each in described.items()}
        output.print_json({"sheet": sheet, "stamped": versions})
        return
    for name, each in described.items():
        output.print_lines(f"{name}: {each.version or 'no current version'}")


@rotaware.command()
@click.option(
    "--invocations",
    type=click.IntRange(0, 10**15),
    required=True,
    help="In a month, of all functions of an account and Region.",
)
@click.option(
    "--environments",
    type=click.IntRange(1, 10**7),
    required=True,
    help="Execution environments that are busy at the same time.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0, 86_400),
    default=5.0,
    show_default=True,
    help="ROTAWARE_CHECK_INTERVAL, in seconds.",
)
@click.option(
    "--duration-ms",
    type=click.FloatRange(1, 900_000),
    default=100.0,
    show_default=True,
    help="How long an invocation takes.",
)
@json_option
def cost(
    invocations: int,
    environments: int,
    interval: float,
    duration_ms: float,
    as_json: bool,  # noqa: FBT001  click's
) -> None:
    """Estimate what the looks at the sheet cost in a month; asks nothing of AWS."""
    load = costs.Load(invocations, environments, interval, duration_ms / 1000)
    estimated = costs.estimate(load)
    if as_json:
        document = estimated._asdict() | {"prices": costs.PRICED}
        output.print_json(document)
        return
    output.print_costs(estimated)
    output.print_lines(
        f"take {estimated.store}: {estimated.reason}", f"prices: {costs.PRICED}"
    )


rotaware.add_command(local)
