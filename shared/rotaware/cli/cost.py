"""What the checks of the stamp sheet cost in a month: asks nothing of AWS.

How often an environment checks depends on how its invocations lie, so all results are
ranges. A check is made in an invocation, if one is due: at most one in each, and at
most one in an interval, which is shortened by up to a fifth at random. They are fewest
where invocations follow one another without a pause, and most where they are spread.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

MONTH_SECONDS = 30 * 86_400
SHORTEST_INTERVAL = 0.8
MEAN_INTERVAL = 0.9
"""Of the interval that is set."""

PRICED = "November 2026, US East (N. Virginia); docs/sheet.md has the sources"
SSM_DOLLARS = 0.05 / 10_000
"""A request for one parameter, with higher throughput; without, it costs nothing."""
DYNAMODB_DOLLARS = 0.125 / 1_000_000 / 2
"""Half a read unit."""
FREE_PER_SECOND = 40.0
"""What Parameter Store allows an account and Region, whoever reads."""
EASY_PER_SECOND = 20.0
"""Up to this many, nobody is throttled though others use the quota too: docs/scale.md.
"""


class Load(NamedTuple):
    """What a month brings.

    Attributes:
        invocations: Of all functions that look at one account's sheets in a Region.
        environments: Execution environments that are busy at the same time.
        interval_seconds: ``ROTAWARE_CHECK_INTERVAL``.
        duration_seconds: How long an invocation takes.
    """

    invocations: int
    environments: int
    interval_seconds: float
    duration_seconds: float


class Costs(NamedTuple):
    """What that costs; pairs are the fewest and the most.

    Attributes:
        checks: In a month.
        per_second: While all environments are busy.
        ssm_dollars: In a month; 0 where the quota that is free suffices.
        ssm_higher_dollars: In a month, with higher throughput.
        dynamodb_dollars: In a month.
        store: ``ssm`` or ``dynamodb``, whichever is advised.
        reason: Why.
    """

    checks: tuple[int, int]
    per_second: float
    ssm_dollars: float | None
    ssm_higher_dollars: tuple[float, float]
    dynamodb_dollars: tuple[float, float]
    store: str
    reason: str


def estimate(load: Load) -> Costs:
    """The costs of a load."""
    checks = _checks(load)
    per_second = _per_second(load)
    store, reason = _advice(load, per_second)
    return Costs(
        checks,
        per_second,
        0.0 if per_second <= FREE_PER_SECOND else None,
        (checks[0] * SSM_DOLLARS, checks[1] * SSM_DOLLARS),
        (checks[0] * DYNAMODB_DOLLARS, checks[1] * DYNAMODB_DOLLARS),
        store,
        reason,
    )


def _checks(load: Load) -> tuple[int, int]:
    if load.interval_seconds == 0:
        return load.invocations, load.invocations
    a_month = load.environments * MONTH_SECONDS
    spread = ceil(a_month / (load.interval_seconds * SHORTEST_INTERVAL))
    most = min(load.invocations, spread)
    busy = load.invocations * load.duration_seconds
    dense = max(load.environments, ceil(busy / load.interval_seconds))
    return min(most, dense), most


def _per_second(load: Load) -> float:
    between = load.interval_seconds * MEAN_INTERVAL or load.duration_seconds
    return load.environments / max(between, load.duration_seconds)


def _advice(load: Load, per_second: float) -> tuple[str, str]:
    rate = f"{per_second:,.1f} checks a second"
    if per_second <= EASY_PER_SECOND / MEAN_INTERVAL:
        return "ssm", f"{rate} leave room for others within the 40 that are free"
    longer = ceil(load.environments / EASY_PER_SECOND)
    reason = (
        f"{rate} are too many for the 40 that all readers of parameters share;"
        f" or set ROTAWARE_CHECK_INTERVAL={longer} and keep ssm"
    )
    return "dynamodb", reason
