"""The rotation function's own side: it stamps a secret without waiting for an event.

Rule 1. It says what DescribeSecret says, whatever its caller believes; and it merges,
        as every writer of the sheet does. So a stamp too many, or two at a time, harm
        nobody, and the event's own stamp, which comes later, finds nothing to write.
Rule 2. No rotation fails because of a stamp: the event comes anyway. What keeps it from
        stamping is logged, and told by the returned value, but not raised.
Rule 3. A stamp of a pending change names no version. Whoever holds one lets go of it,
        and takes what it fetches instead for a moment's use only.
"""

from __future__ import annotations

import logging
import os
import random as randomness
from typing import TYPE_CHECKING, Any

from rotaware.clock import Deadline, SystemClock
from rotaware.describe import GONE, describe
from rotaware.errors import AwsTimeoutError, RotawareError, SettingsError
from rotaware.publish import publish
from rotaware.settings import Settings
from rotaware.stamps import sheet_home

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import boto3

    from rotaware.aws import Aws
    from rotaware.clock import Clock, Instant

PATIENCE_SECONDS = 5.0
"""How long it tries again in all, while the sheet is throttled or fought over."""
CALL_SECONDS = 2.0
"""How long one call may take."""
ATTEMPTS = 2

_log = logging.getLogger("rotaware")


def stamp(  # noqa: PLR0913  each may be another than the environment says
    secret_id: str,
    *,
    pending: bool = False,
    namespace: str | None = None,
    stamps: str | None = None,
    region: str | None = None,
    session: boto3.Session | None = None,
) -> bool:
    """Stamp a secret on the sheet; to be called at the end of ``finishSecret``.

    It takes some 0.2 seconds, and about ten at the very most. The function's role needs
    the right to describe the secret, and to read and write the sheet: docs/rotation.md.

    Args:
        secret_id: The secret's ARN or name, such as the event's ``SecretId``.
        pending: Say that the current version is about to change, if AWSPENDING is on
            another one; to be called at the end of ``setSecret``, if at all.
        namespace: Instead of what ``ROTAWARE_NAMESPACE`` says.
        stamps: Instead of what ``ROTAWARE_STAMPS`` says.
        region: Where the secret and the sheet are, if not in the session's Region.
        session: The boto3 session to use, instead of a new one.

    Returns:
        Whether the sheet says it now. If not, the log says why, and the event that
        follows the rotation stamps it as if nobody had tried.
    """
    from rotaware.boto import BotoAws  # noqa: PLC0415  boto3 is slow

    given = {"ROTAWARE_NAMESPACE": namespace, "ROTAWARE_STAMPS": stamps}
    environ = dict(os.environ)  # noqa: TID251  function code's own door
    environ |= {name: value for name, value in given.items() if value is not None}
    try:
        publish_stamp(
            BotoAws(session=session, region=region, attempts=ATTEMPTS),
            _address(environ),
            secret_id,
            pending=pending,
            clock=SystemClock(),
            random=randomness.random,
        )
    except Exception as fault:  # noqa: BLE001  the password has changed: see rule 2
        _log.error("did not stamp %s: %s", secret_id, _problem(fault))
        return False
    return True


def publish_stamp(  # noqa: PLR0913  each is a part of the outside world, or the caller's
    aws: Aws,
    sheet: str,
    secret_id: str,
    *,
    pending: bool,
    clock: Clock,
    random: Callable[[], float],
) -> None:
    """Make the sheet at this address say what is current, or that this is pending.

    Raises:
        RotawareError: What kept it from stamping.
    """
    aws = _Hurried(aws)
    secret = describe(aws, secret_id)

    def judge() -> dict[str, str]:
        now = describe(aws, secret_id)
        return {secret.subject: GONE if pending and now.pending else now.version}

    publish(
        sheet_home(aws, sheet, writes=True),
        judge,
        clock=_Patience(clock),
        random=random,
        log=_WriteLog(),
        changed={secret.subject: secret.changed_at},
    )


class _Hurried:
    """An ``Aws`` whose every call is bounded."""

    __slots__ = ("_aws",)

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        limit = timeout_seconds or CALL_SECONDS
        return self._aws.call(service, operation, request, timeout_seconds=limit)


class _Patience:
    """A ``Clock`` that sleeps no longer than somebody has patience."""

    __slots__ = ("_clock", "_deadline")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deadline = Deadline(clock, PATIENCE_SECONDS)

    def now(self) -> Instant:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        if seconds > self._deadline.remaining_seconds():
            raise AwsTimeoutError(
                "the stamp sheet was throttled or overwritten again and again for"
                f" {PATIENCE_SECONDS:g} seconds"
            )
        self._clock.sleep(seconds)


class _WriteLog:
    """Passes what ``publish`` tells on to the standard library's log."""

    __slots__ = ()

    def info(self, message: str, /, *, generation: int, base: int, stamps: int) -> None:
        _log.info(
            "%s: generation %d, base %d, stamps %d", message, generation, base, stamps
        )


def _address(environ: Mapping[str, str]) -> str:
    address = Settings.from_environ(environ).stamps
    if address is None:
        fix = "use ssm, ssm:///a/name or dynamodb://table"
        raise SettingsError([f"ROTAWARE_STAMPS: off leaves no sheet to stamp; {fix}"])
    return address


def _problem(fault: Exception) -> str:
    """Of what nobody foresaw, the kind alone."""
    if isinstance(fault, RotawareError):
        return str(fault)
    return f"unforeseen: {type(fault).__name__}"
