"""Costs are ranges that hold whatever the invocations' times are."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rotaware.cli import cost
from rotaware.cli.cost import Load, estimate

loads = st.builds(
    Load,
    st.integers(0, 10**12),
    st.integers(1, 10**6),
    st.one_of(st.just(0.0), st.floats(0.1, 86_400)),
    st.floats(0.001, 900),
)


@given(loads)
def test_bounds_are_in_order(load: Load) -> None:
    """The fewest are not above the most, and no invocation has two checks."""
    fewest, most = estimate(load).checks

    assert 0 <= fewest <= most <= load.invocations


@given(loads, st.integers(0, 10**6))
def test_more_invocations_cost_no_less(load: Load, more: int) -> None:
    """Either bound grows with them, in either store."""
    larger = load._replace(invocations=load.invocations + more)
    less, cost_of_more = estimate(load), estimate(larger)

    assert less.checks[0] <= cost_of_more.checks[0]
    assert less.checks[1] <= cost_of_more.checks[1]
    assert less.dynamodb_dollars[1] <= cost_of_more.dynamodb_dollars[1]


@given(loads)
def test_a_store_is_advised_for_what_it_allows(load: Load) -> None:
    """SSM only where its quota suffices, and it is free exactly then."""
    found = estimate(load)

    assert (found.ssm_dollars == 0.0) == (found.per_second <= cost.FREE_PER_SECOND)
    assert found.store == "dynamodb" or found.ssm_dollars == 0.0
    assert found.ssm_higher_dollars[1] >= found.dynamodb_dollars[1]


def test_a_check_in_each_invocation() -> None:
    """With an interval of 0."""
    found = estimate(Load(1_000_000, 10, 0.0, 0.5))

    assert (1_000_000, 1_000_000) == found.checks
    assert 20.0 == found.per_second


def test_figures() -> None:
    """An environment that is busy all month makes half a million checks, or so."""
    found = estimate(Load(10**9, 1, 5.0, 0.1))

    assert (648_000, 648_000) == found.checks
    assert "ssm" == found.store
    assert 0.0405 == found.dynamodb_dollars[1]
    assert "40 that are free" in found.reason


def test_an_interval_that_would_do_is_named() -> None:
    """A twentieth of the environments' number, as docs/scale.md says."""
    found = estimate(Load(10**9, 1000, 5.0, 0.1))

    assert "dynamodb" == found.store
    assert "ROTAWARE_CHECK_INTERVAL=50" in found.reason
    assert found.ssm_dollars is None


def test_prices_are_those_of_the_page() -> None:
    """docs/sheet.md has them with their sources."""
    page = Path("docs/sheet.md").read_text(encoding="utf-8")

    assert f"${cost.SSM_DOLLARS * 1e6:.2f} with higher throughput" in page
    assert f"${cost.DYNAMODB_DOLLARS * 1e6:.4f}" in page
    assert "Figures of November 2026, prices of US East (N. Virginia)" in page
    assert cost.PRICED.startswith("November 2026, US East (N. Virginia)")
