"""What AWS says is current, without its value."""

from __future__ import annotations

import pytest

from rotaware.describe import GONE, Described, describe
from rotaware.errors import AwsError
from rotaware.sheet import subject_of
from tests.support.account import Account


@pytest.mark.parametrize(
    ("change", "version", "changed_at"),
    [
        ({}, "v2", 0.0),
        ({"LastChangedDate": 1769860800.5}, "v2", 1769860800.5),
        (
            {"VersionIdsToStages": {"v2": ["AWSPENDING"]}},
            GONE,
            0,
        ),
        ({"VersionIdsToStages": None}, GONE, 0),
        ({"DeletedDate": 1769860800.0}, GONE, 0),
    ],
    ids=["usual", "dated", "none is current", "no version", "waits for deletion"],
)
def test_what_is_current(
    change: dict[str, object], version: str, changed_at: float
) -> None:
    """AWSCURRENT tells, by name and by ARN; what cannot be read has no version."""
    account = Account()
    arn = account.put_secret("a", "v2")
    account.change_secret("a", **change)
    pending = "AWSPENDING" in str(change)
    expected = Described(subject_of(arn), version, changed_at, pending)

    assert [expected, expected] == [describe(account, "a"), describe(account, arn)]


@pytest.mark.parametrize(
    ("stages", "pending"),
    [
        ({"v1": ["AWSCURRENT"], "v2": ["AWSPENDING"]}, True),
        ({"v1": ["AWSPREVIOUS"], "v2": ["AWSCURRENT", "AWSPENDING"]}, False),
        ({"v1": ["AWSPREVIOUS"], "v2": ["AWSCURRENT"]}, False),
    ],
    ids=["under way", "over", "long over"],
)
def test_a_rotation_is_under_way(
    stages: dict[str, list[str]], *, pending: bool
) -> None:
    """AWSPENDING tells, unless it is on what is current already."""
    account = Account()
    account.put_secret("a", "v2")
    account.change_secret("a", VersionIdsToStages=stages)

    assert pending == describe(account, "a").pending


def test_a_refusal_is_the_callers() -> None:
    """What AWS refuses is raised as AWS says it."""
    with pytest.raises(AwsError, match="no such secret"):
        describe(Account(), "absent")
