"""The figures of docs/cost.md are those of `rotaware cost`.

python -m tests.site.test_cost_page     writes them into the page
"""

from __future__ import annotations

from pathlib import Path

from rotaware.cli.cost import DYNAMODB_DOLLARS, Load, estimate

PAGE = Path(__file__).parents[2] / "docs" / "cost.md"
BEGIN, END = "<!-- made by tests/site/test_cost_page.py -->", "<!-- up to here -->"
HEAD = """\
| invocations a month | busy environments | looks a second, at most \
| Parameter Store | with higher throughput | DynamoDB |
|---|---|---|---|---|---|"""
LOADS = [(10**6, 10), (50 * 10**6, 80), (50 * 10**6, 300), (5 * 10**9, 10_000)]


def row(invocations: int, environments: int) -> str:
    """One line, for the default interval and invocations of 100 ms."""
    costs = estimate(Load(invocations, environments, 5.0, 0.1))
    free = "above its quota" if costs.ssm_dollars is None else "$0.00"
    higher, table = (
        f"${low:,.2f} to ${high:,.2f}"
        for low, high in (costs.ssm_higher_dollars, costs.dynamodb_dollars)
    )
    cells = (f"{invocations:,}", f"{environments:,}", f"{costs.per_second:,.1f}")
    return f"| {' | '.join((*cells, free, higher, table))} |"


def with_table(page: str) -> str:
    """The page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "\n".join([HEAD, *(row(*load) for load in LOADS)])
    return f"{before}{BEGIN}\n{lines}\n{END}{after}"


def test_the_table_is_what_the_tool_says() -> None:
    """Each row, to the cent."""
    page = PAGE.read_text(encoding="utf-8")

    assert (1, 1) == (page.count(BEGIN), page.count(END))
    assert with_table(page) == page, "run python -m tests.site.test_cost_page"


def test_the_price_of_a_look() -> None:
    """The price in the page's text is the one that the tool takes."""
    page = PAGE.read_text(encoding="utf-8")

    assert f"${DYNAMODB_DOLLARS * 1_000_000:.4f} a million" in page


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
