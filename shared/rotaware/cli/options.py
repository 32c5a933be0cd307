"""What several commands have in common: options, and how their problems are told."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from rotaware.cli.problems import line
from rotaware.cli.session import open_account
from rotaware.errors import RotawareError, SettingsError
from rotaware.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


class _Problem(click.ClickException):
    """One line, and status 1."""

    def show(self, file: Any = None) -> None:
        """Print it on standard error."""
        click.echo(f"rotaware: {self.message}", err=True, file=file)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose foreseen problems end it with one line."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except RotawareError as error:
            raise _Problem(line(error)) from None

    return run


def asks_aws(command: Callable[..., None]) -> Callable[..., None]:
    """Options of each command that asks AWS, which gets an ``account`` for them."""

    @wraps(command)
    def with_account(
        *args: Any,
        region: str | None,
        profile: str | None,
        endpoint_url: str | None,
        **options: Any,
    ) -> None:
        account = open_account(region, profile, endpoint_url)
        command(*args, account=account, **options)

    for option in (
        # boto3 knows AWS_DEFAULT_REGION only; AWS's own command line prefers this.
        click.option(
            "--region",
            envvar="AWS_REGION",
            help="The Region; else that of the profile.",
        ),
        click.option("--profile", help="A profile of AWS's configuration files."),
        click.option(
            "--endpoint-url",
            envvar="AWS_ENDPOINT_URL",
            help="Where AWS's services answer instead.",
        ),
    ):
        with_account = option(with_account)
    return with_account


def names_sheet(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which sheet, handed on as ``sheet``: its address."""

    @wraps(command)
    def with_sheet(*args: Any, namespace: str, stamps: str, **options: Any) -> None:
        named = {"ROTAWARE_NAMESPACE": namespace, "ROTAWARE_STAMPS": stamps}
        sheet = Settings.from_environ(named).stamps
        if sheet is None:
            raise SettingsError(["--stamps: off names no sheet; use ssm"])
        command(*args, sheet=sheet, **options)

    for option in (
        click.option(
            "--namespace",
            default="default",
            envvar="ROTAWARE_NAMESPACE",
            show_default=True,
            help="Which functions' sheet.",
        ),
        click.option(
            "--stamps",
            default="ssm",
            envvar="ROTAWARE_STAMPS",
            show_default=True,
            help="Where it is: ssm, ssm:///any/name or dynamodb://table.",
        ),
    ):
        with_sheet = option(with_sheet)
    return with_sheet


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
