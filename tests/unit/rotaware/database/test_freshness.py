"""Which version is current, and which connections are old."""

from __future__ import annotations

from rotaware.database.freshness import LOOK_SECONDS, Freshness
from rotaware.database.secrets import Budget, Logins
from rotaware.errors import AwsUnavailableError
from tests.support.clock import ManualClock
from tests.support.login_account import Account


def test_looking_once_a_second() -> None:
    """Whoever asks first looks."""
    clock = ManualClock()
    account = Account()
    freshness = Freshness(Logins(account, "db", Budget(), clock=clock))  # type: ignore[arg-type]

    assert [True, False] == [freshness.is_due(), freshness.is_due()]
    clock.tick(LOOK_SECONDS)
    assert freshness.is_due()


def test_changes() -> None:
    """The first look is no change, and neither is one that brings nothing."""
    account = Account()
    freshness = Freshness(Logins(account, "db", Budget()))  # type: ignore[arg-type]

    assert not freshness.is_old("v0")
    assert not freshness.look()
    assert not freshness.look()
    assert freshness.is_old("v0")
    assert not freshness.is_old("v1")
    assert not freshness.is_old(None)
    account.answers.append(AwsUnavailableError("Down", "no"))
    assert not freshness.look()
    account.rotate("v2")
    assert freshness.look()
    assert freshness.is_old("v1")
