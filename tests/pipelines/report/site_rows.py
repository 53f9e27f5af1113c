"""A small published book for the report site, whose sums are worked by hand.

September and October 2026 are over when the book is made, on 1 November; November is not.

| team, workflow  | September                   | October                     | change          |
|-----------------|-----------------------------|-----------------------------|-----------------|
| search, answers | 9007199254.740993000001 USD | 9007199264.740993000004 USD | 10.000000000003 |
| legal, review   | 10 USD                      | 4 USD                       | -6              |
| both            | 9007199264.740993000001 USD | 9007199268.740993000004 USD |  4.000000000003 |

A float holds none of search's amounts: in pico-USD they are far above 2**53, which is 9007199254740992.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.pipelines.report import site_rows_ahead

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

SEPTEMBER, OCTOBER, NOVEMBER = (date(2026, month, 1) for month in (9, 10, 11))
ENDS = {SEPTEMBER: OCTOBER, OCTOBER: NOVEMBER, NOVEMBER: date(2026, 12, 1)}
SEARCH, LEGAL = ("search", "answers"), ("legal", "review")
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title="taken"</script>&\u202eb'
"""A workflow of legal that would act where it is no text."""


def add(book: Book, table: str, start: date, of: tuple[str, str], /, **values: Any) -> None:
    """Add a row of a billing period, team and workflow; amounts are text."""
    row = {"billing_period_start": start, "team": of[0], "workflow": of[1], "billing_currency": "USD"}
    amounts = {name: Decimal(value) for name, value in values.items() if name.endswith("cost") and value is not None}
    book.add(table, **row, **{**values, **amounts})


def drive(book: Book, start: date, of: tuple[str, str], cost: str | None, **values: Any) -> None:
    """Add what drove a cost; usage is all of it."""
    counts = {"tasks": 10, "calls_without_task": 0, "calls": 20, "unpriced_calls": 0, "unpriced_tokens": 0}
    counts |= {"total_tokens": 2_000_000}
    add(book, "insight.fct_cost_drivers", start, of, effective_cost=cost, usage_cost=cost, **{**counts, **values})


def effect(book: Book, of: tuple[str, str], name: str, cost: str | None) -> None:
    """Add an effect from September to October."""
    book.add(
        "insight.fct_price_volume_mix",
        from_period_start=SEPTEMBER,
        to_period_start=OCTOBER,
        team=of[0],
        workflow=of[1],
        billing_currency="USD",
        effect=name,
        effect_cost=None if cost is None else Decimal(cost),
    )


def explain(book: Book) -> Book:
    """Fill a book."""
    for start, end in ENDS.items():
        book._add_period(start, end)
    drive(book, SEPTEMBER, SEARCH, "9007199254.740993000001")
    drive(book, OCTOBER, SEARCH, "9007199264.740993000004", tasks=13, unpriced_calls=2, unpriced_tokens=5)
    drive(book, SEPTEMBER, LEGAL, "10", calls_without_task=5)
    drive(book, OCTOBER, LEGAL, "4")
    drive(book, NOVEMBER, LEGAL, "1")
    for name, cost in (
        *(("price", "-5.000000000001"), ("task_volume", "3.000000000002"), ("calls_per_task", "12.000000000002")),
    ):
        effect(book, SEARCH, name, cost)
    effect(book, LEGAL, "retired_workflow", "-6")
    for start, value in ((SEPTEMBER, "100"), (OCTOBER, "80.5")):
        book.add(
            "insight.fct_price_index",
            billing_period_start=start,
            basket="all",
            index_kind="fisher_chained",
            index_value=Decimal(value),
            basket_tokens=1,
            priced_tokens=1,
        )
    _tasks(book)
    _hidden_cost(book)
    _subsidies(book)
    _margins(book)
    site_rows_ahead.look_ahead(book)
    return book


def _tasks(book: Book) -> None:
    """Search: in October a success at 1 and a failure at 3 USD, of release 2. Legal: in September 0.5 USD, not judged.

    Search's main agent makes calls of 1 USD itself and leads to a helper's of 3 USD, of which 0.5 are main's again.
    """
    for task, began, cost, values in (
        ("task-1", "2026-10-02 10:00:00+00", "1", {"outcome": "success"}),
        ("task-2", "2026-10-03 10:00:00+00", "3", {"outcome": "failure"}),
        ("task-3", "2026-09-30 23:59:59+00", "0.5", {"team": "legal", "workflow": "review"}),
    ):
        amounts = {"effective_cost": Decimal(cost), "unpriced_calls": 0, "release": "2", "depth": 2}
        book.task(task, began, cost, billing_currency="USD", **amounts, **values)
    counts = {"tasks": 2, "succeeded_tasks": 1, "failed_tasks": 1, "unjudged_tasks": 0, "priced_tasks": 2}
    counts |= {"calls": 4, "retries": 1, "failed_calls": 1, "outlier_tasks": 0, "total_tokens": 2_000}
    costs = {"effective_cost": "4", "priced_cost": "4", "succeeded_cost": "1", "failed_cost": "3"}
    for kind in ("workflow", "release"):
        of_kind = {"cohort_kind": kind, "release": "2" if kind == "release" else "all"}
        add(book, "engineering.fct_task_economics", OCTOBER, SEARCH, **of_kind, **counts, **costs)
        few = counts | {"tasks": 1, "succeeded_tasks": 0, "failed_tasks": 0, "unjudged_tasks": 1, "priced_tasks": 1}
        half = {"effective_cost": "0.5", "priced_cost": "0.5", "unjudged_cost": "0.5"}
        add(book, "engineering.fct_task_economics", SEPTEMBER, LEGAL, **of_kind, **few, **half)
    for agent, own, inclusive in (("main", "1", "4"), ("helper", "3", "3")):
        book.add(
            "engineering.fct_agent_costs",
            usage_date=date(2026, 10, 31),
            team="search",
            workflow="answers",
            agent=agent,
            billing_currency="USD",
            tasks=2,
            calls=2,
            inclusive_calls=4,
            unpriced_calls=0,
            inclusive_unpriced_calls=0,
            effective_cost=Decimal(own),
            inclusive_effective_cost=Decimal(inclusive),
        )
    branches = ((("main",), "1", "4"), (("main", "helper"), "2.5", "3"), (("main", "helper", "main"), "0.5", "0.5"))
    for path, own, inclusive in branches:
        book.add(
            "engineering.fct_agent_calls",
            usage_date=date(2026, 10, 31),
            team="search",
            workflow="answers",
            agent_path=list(path),
            agent=path[-1],
            billing_currency="USD",
            tasks=2,
            calls=1,
            inclusive_calls=4 - len(path),
            unpriced_calls=0,
            inclusive_unpriced_calls=0,
            effective_cost=Decimal(own),
            inclusive_effective_cost=Decimal(inclusive),
        )


def _hidden_cost(book: Book) -> None:
    """Search: 10 USD of raw inference, 4 of context and 1 of retries on top, half as much. Legal: 20, and nothing."""
    for of, purpose, rule, cost in (
        (SEARCH, "generation", "nothing_told, purpose_told", "10"),
        (SEARCH, "context", "carried_again_by_tokens", "4"),
        (SEARCH, "retry", "repeats_an_attempt", "1"),
        (LEGAL, "generation", "purpose_told", "20"),
    ):
        counts = {"calls": 3, "unpriced_calls": 0, "total_tokens": 1_000}
        add(book, "engineering.fct_hidden_cost", OCTOBER, of, purpose=purpose, rule=rule, effective_cost=cost, **counts)


def _subsidies(book: Book) -> None:
    """35,000 USD at API prices under fees of 200 in October: 175 to 1. One of two persons has 34,000 of it."""
    for person, rank, cost, persons, usage in (
        ("p1", 1, "34000", "1", "1"),
        ("p2", 2, "1000", "0.5", "0.028571428571"),
    ):
        book.add(
            "insight.fct_subsidies",
            billing_period_start=OCTOBER,
            subscription_id="seats",
            person=person,
            billing_currency="USD",
            calls=5,
            unpriced_calls=0,
            list_cost=Decimal(cost),
            fee_cost=Decimal(100),
            own_terms_cost=Decimal(150),
            cheapest_cost=Decimal(75),
            usage_rank=rank,
            lorenz_persons=Decimal(persons),
            lorenz_usage=Decimal(usage),
            persons=2,
            seats=Decimal("2.5"),
            unused_seats=Decimal("0.5"),
            plan_list_cost=Decimal(35_000),
            plan_fee_cost=Decimal(200),
            gini=Decimal("0.471428571429"),
            top_10_percent_share=Decimal("0.971428571429"),
        )


def _margins(book: Book) -> None:
    """Chat: 1,500 and then 2,500 of 10,000 USD, 15 and 25 points. Draft: c1 pays 6 and costs 3, c2 only costs 3."""
    for start, product, level, customer, cost, revenue, reason in (
        (SEPTEMBER, "chat", "product", "all", "1500", "10000", None),
        (OCTOBER, "chat", "product", "all", "2500", "10000", None),
        (OCTOBER, "draft", "customer", "c1", "3", "6", None),
        (OCTOBER, "draft", "customer", "c2", "3", None, "no_revenue_told"),
        (OCTOBER, "unallocated", "period_charges", "all", "38", None, "no_product_of_its_own"),
    ):
        book.add(
            "insight.fct_margins",
            billing_period_start=start,
            product=product,
            margin_level=level,
            customer_id=customer,
            billing_currency="USD",
            calls=1,
            unpriced_calls=0,
            ai_cost=Decimal(cost),
            revenue=None if revenue is None else Decimal(revenue),
            unknown_reason=reason,
        )
