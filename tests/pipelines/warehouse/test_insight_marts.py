"""Analyses of a book of odd usage are what a plain calculation over its calls gives: one build, many marts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from tests.pipelines.warehouse.adversarial_book import AdversarialBook, adversarial_book, agents_above

from tollbook.reference.kinds import load_file
from tollbook.settings import Settings
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

pytestmark = pytest.mark.slow

NOW = datetime(2026, 9, 15, tzinfo=UTC)
TOLD = "known_from: 2026-05-01T00:00:00Z, author: a, reason: r"
DOCUMENTS = {
    "billing_calendar": "billing_calendar: 1\ntime_zone: Asia/Tokyo\nauthor: a\nreason: r\n",
    # Revenue of a millionth of a millionth, none at all, and of customers by name and without.
    "product_revenue": f"""
product_revenue: 1
entries:
  - {{entry_id: c6, product: chat, billing_period: 2026-06, amount: "0.000000000001", currency: USD, {TOLD}}}
  - {{entry_id: c7, product: chat, billing_period: 2026-07, amount: "0", currency: USD, {TOLD}}}
  - {{entry_id: d6, product: draft, customer_id: acme, billing_period: 2026-06, amount: "10", currency: USD, {TOLD}}}
  - {{entry_id: d6n, product: draft, billing_period: 2026-06, amount: "30", currency: USD, {TOLD}}}
  - {{entry_id: d6u, product: draft, customer_id: unknown, billing_period: 2026-06, amount: "2", currency: USD, {TOLD}}}
  - {{entry_id: d7, product: draft, billing_period: 2026-07, amount: "30", currency: USD, {TOLD}}}
  - {{entry_id: a6, product: all, billing_period: 2026-06, amount: "7", currency: USD, {TOLD}}}
""",
    "forecast_scenarios": f"""
forecast_scenarios: 1
entries:
  - {{entry_id: double, scenario: double, assumptions: [{{from: 2026-01-01, tasks: {{factor: "2"}}}}],
     valid_from: 2026-01-01, {TOLD}}}
  - {{entry_id: no-index, scenario: no-index, valid_from: 2026-01-01, {TOLD},
     assumptions: [{{from: 2026-01-01, workflow: index, tasks: {{factor: "0"}}}}]}}
""",
}


@pytest.fixture(scope="module")
def told(usage: Callable[..., dict[str, Any]], voiding: Callable[..., dict[str, Any]]) -> AdversarialBook:
    """What was drawn."""
    return adversarial_book(usage, voiding, seed=20260901)


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, new_lake: Callable[[Settings], LakeBuilder], told: AdversarialBook
) -> LakeBuilder:
    """The book, built once."""
    folder = tmp_path_factory.mktemp("odd")
    lake = new_lake(Settings(home=folder / "home"))
    for kind, text in DOCUMENTS.items():
        path = folder / f"{kind}.yml"
        path.write_text(text, encoding="utf-8")
        load_file(path, lake.settings, now=NOW)
    lake.commit(told.rows)
    build(lake.settings, clock=lambda: NOW)
    return lake


def by_key(rows: list[tuple[Any, ...]], width: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return rows by their first columns."""
    found = {row[:width]: row[width:] for row in rows}
    assert len(found) == len(rows)
    return found


def known(calls: list[dict[str, Any]]) -> Decimal | None:
    """Return the known cost of calls, None where none is known."""
    costs = [call["cost"] for call in calls if call["cost"] is not None]
    return sum(costs, Decimal(0)) if costs else None


def tokens(calls: list[dict[str, Any]]) -> int | None:
    """Return the tokens of calls, None where none tells any."""
    counts = [call["total_tokens"] for call in calls if call["total_tokens"] is not None]
    return sum(counts) if counts else None


def test_drivers_are_those_of_the_calls(published: LakeBuilder, told: AdversarialBook) -> None:
    """By month in Tokyo, team and workflow: tasks, calls, tokens and cost, also of free and of huge calls."""
    found = published.query(
        "select billing_period_start, team, workflow, tasks, calls_without_task, calls, unpriced_calls, total_tokens, "
        "usage_cost, effective_cost from insight.fct_cost_drivers"
    )
    expected = {
        key: (
            len({call["task_id"] for call in calls} - {None}),
            sum(call["task_id"] is None for call in calls),
            len(calls),
            sum(call["cost"] is None for call in calls),
            tokens(calls) or 0,
            known(calls),
            known(calls),
        )
        for key, calls in told.grouped("period", "team", "workflow").items()
    }
    assert by_key(found, 3) == expected


def test_effects_of_every_pair_sum_to_the_change(published: LakeBuilder, told: AdversarialBook) -> None:
    """To the last digit by team and workflow; what has no known cost on either side is null, and nothing else is."""
    periods = sorted({call["period"] for call in told.calls})
    cells = {key[1:] for key in told.grouped("period", "team", "workflow")}
    costs = told.total("period", "team", "workflow")
    effects = defaultdict(list)
    rows = published.query(
        "select from_period_start, to_period_start, team, workflow, effect_cost from insight.fct_price_volume_mix"
    )
    for before, after, team, workflow, cost in rows:
        effects[before, after, team, workflow].append(cost)
    for place, before in enumerate(periods):
        for after in periods[place + 1 :]:
            for cell in cells:
                found = effects.pop((before, after, *cell), [])
                was, is_ = costs.get((before, *cell)), costs.get((after, *cell))
                change = (is_ or Decimal(0)) - (was or Decimal(0))
                assert sum((each for each in found if each is not None), Decimal(0)) == change
                used = [(side, *cell) in costs for side in (before, after)]
                assert (None in found) == (any(used) and was is None and is_ is None)
    assert not effects


def test_tasks_are_those_of_the_calls(published: LakeBuilder, told: AdversarialBook) -> None:
    """Whatever midnights and months a task goes across: one row, with the team of its first call."""
    found = published.query(
        "select workflow, task_id, team, calls, unpriced_calls, total_tokens, effective_cost, retries, "
        "cast(started_at at time zone 'UTC' as varchar), agents from engineering.fct_tasks"
    )
    expected = {}
    for (workflow, task), calls in told.grouped("workflow", "task_id").items():
        if task is not None:
            first = min((call["occurred_at"], call["team"]) for call in calls)
            expected[workflow, task] = (
                first[1],
                len(calls),
                sum(call["cost"] is None for call in calls),
                tokens(calls),
                known(calls),
                sum(call["is_retry"] for call in calls),
                first[0].strftime("%Y-%m-%d %H:%M:%S"),
                len({call["agent"] for call in calls}),
            )
    assert by_key(found, 2) == expected


def test_what_a_task_costs_is_over_tasks_of_known_cost(published: LakeBuilder, told: AdversarialBook) -> None:
    """By the month in Tokyo and the team in which a task began; the last outcome that was told decides."""
    groups = defaultdict(list)
    for (workflow, task), calls in told.grouped("workflow", "task_id").items():
        if task is not None:
            calls.sort(key=lambda call: (call["occurred_at"], call["team"]))
            cost = known(calls) if all(call["cost"] is not None for call in calls) else None
            groups[calls[0]["period"], calls[0]["team"], workflow].append((cost, known(calls)))
    found = published.query(
        "select billing_period_start, team, workflow, tasks, priced_tasks, effective_cost, priced_cost, cost_per_task, "
        "largest_task_cost from engineering.fct_task_economics where cohort_kind = 'workflow'"
    )
    rows = by_key(found, 3)
    assert rows.keys() == groups.keys()
    for key, tasks in groups.items():
        priced = [cost for cost, _ in tasks if cost is not None]
        count, priced_count, effective, priced_cost, per_task, largest = rows[key]
        parts = [cost for _, cost in tasks if cost is not None]
        assert (count, priced_count) == (len(tasks), len(priced))
        assert effective == (sum(parts) if parts else None)
        assert (priced_cost, largest) == ((sum(priced), max(priced)) if priced else (None, None))
        if priced:
            assert abs(Fraction(per_task) - Fraction(priced_cost) / len(priced)) <= Fraction(1, 2 * 10**12)
        else:
            assert per_task is None


def test_agents_cost_what_they_and_those_below_them_did(published: LakeBuilder, told: AdversarialBook) -> None:
    """Circles, calls that are their own parents, parents that are not there, ids that calls share."""
    own: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
    inclusive: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for (day, workflow, task), calls in told.grouped("usage_date", "workflow", "task_id").items():
        placed = [(call, {call["agent"]}) for call in calls] if task is None else agents_above(calls)
        for call, above in placed:
            own[day, call["team"], workflow, call["agent"]].append(call)
            for agent in above:
                inclusive[day, call["team"], workflow, agent].append(call)
    found = published.query(
        "select usage_date, team, workflow, agent, calls, inclusive_calls, effective_cost, inclusive_effective_cost, "
        "inclusive_total_tokens from engineering.fct_agent_costs"
    )
    expected = {
        key: (len(own[key]), len(calls), known(own[key]), known(calls), tokens(calls))
        for key, calls in inclusive.items()
    }
    assert by_key(found, 4) == expected
    # A branch on which an agent comes again is already in that agent's first one.
    told_again = "list_contains(agent_path[:-2], agent)"
    found = published.query(
        "select usage_date, team, workflow, agent, sum(calls)::bigint, "
        f"sum(inclusive_calls) filter (where not {told_again})::bigint, sum(effective_cost), "
        f"sum(inclusive_effective_cost) filter (where not {told_again}), "
        f"sum(inclusive_total_tokens) filter (where not {told_again})::bigint "
        "from engineering.fct_agent_calls group by all"
    )
    assert by_key(found, 4) == expected


def test_purposes_sum_to_what_usage_costs(published: LakeBuilder, told: AdversarialBook) -> None:
    """And a call that is something else as a whole is that with all its cost."""
    found = published.query(
        "select billing_period_start, team, workflow, sum(calls)::bigint, sum(effective_cost), "
        "sum(total_tokens)::bigint from engineering.fct_hidden_cost group by all"
    )
    assert by_key(found, 3) == {
        key: (len(calls), known(calls), tokens(calls) or 0)
        for key, calls in told.grouped("period", "team", "workflow").items()
    }
    aborted = [
        call for call in told.calls if not call["is_retry"] and call["status"] in {"error", "timeout", "cancelled"}
    ]
    retried = [call for call in told.calls if call["is_retry"]]
    for purpose, calls in (("aborted", aborted), ("retry", retried)):
        rows = published.query(
            "select billing_period_start, team, workflow, effective_cost from engineering.fct_hidden_cost "
            f"where purpose = '{purpose}'"
        )
        assert by_key(rows, 3) == {
            key: (cost,) for key, cost in told.total("period", "team", "workflow", of=calls).items()
        }


def test_products_hold_all_usage_once(published: LakeBuilder, told: AdversarialBook) -> None:
    """Whatever they are called; points lost are per revenue, and null without any."""
    found = published.query(
        "select billing_period_start, product, sum(calls)::bigint, sum(ai_cost) from insight.fct_margins "
        "where margin_level <> 'period_charges' and calls > 0 group by all"
    )
    expected = {key: (len(calls), known(calls)) for key, calls in told.grouped("period", "product").items()}
    assert by_key(found, 2) == expected
    points = published.query(
        "select product, month(billing_period_start), customer_id, revenue, ai_cost, points_lost, unknown_reason "
        "from insight.fct_margins where product in ('chat', 'draft') and month(billing_period_start) in (6, 7)"
    )
    for product, month, customer, revenue, cost, lost, reason in points:
        if revenue and cost is not None:
            exact = Fraction(cost) * 100 / Fraction(revenue)
            assert abs(Fraction(lost) - exact) <= Fraction(1, 2 * 10**6), (product, month, customer)
        else:
            assert lost is None
            assert reason is not None
    assert ("draft", 6, "unknown", Decimal(32)) in [row[:4] for row in points]


def test_concentration_is_that_of_customers(published: LakeBuilder, told: AdversarialBook) -> None:
    """Half the mean difference of all pairs of customers over their mean, by calls, of all products."""
    rows = published.query(
        "select billing_period_start, quantity, unknown_quantity, gini, largest_share "
        "from insight.fct_customer_concentration where product = 'all' and measure = 'calls'"
    )
    groups: defaultdict[date, dict[str, int]] = defaultdict(dict)
    for (period, customer), calls in told.grouped("period", "customer_id").items():
        groups[period][customer] = len(calls)
    assert by_key(rows, 1).keys() == {(period,) for period, held in groups.items() if held.keys() - {"unknown"}}
    for period, quantity, unknown, gini, largest in rows:
        counts = [count for name, count in groups[period].items() if name != "unknown"]
        pairs = sum(abs(one - other) for one in counts for other in counts)
        assert (quantity, unknown) == (sum(counts), groups[period].get("unknown"))
        assert abs(Fraction(gini) - Fraction(pairs, 2 * len(counts) * sum(counts))) <= Fraction(1, 2 * 10**12)
        assert abs(Fraction(largest) - Fraction(max(counts), sum(counts))) <= Fraction(1, 2 * 10**12)


def test_forecasts_start_from_the_calls(published: LakeBuilder, told: AdversarialBook) -> None:
    """The base is four weeks of UTC days up to the last complete one; scenarios are what they say of it."""
    ((as_of,),) = published.query("select distinct as_of_date from insight.fct_forecast")
    assert as_of == date.fromordinal(max(call["usage_date"] for call in told.calls).toordinal() - 1)
    rows = published.query(
        "select team, base_priced_tokens, base_unpriced_tokens, base_cost, actual_cost, forecast_tokens, "
        "forecast_cost, forecast_upper_cost, scenario from insight.fct_forecast where months_ahead = 0"
    )
    teams = {row[0] for row in rows}
    assert teams == {call["team"] for call in told.calls if call["usage_date"] <= as_of}
    for team in teams:
        of_team = [call for call in told.calls if call["team"] == team and call["usage_date"] <= as_of]
        base = [call for call in of_team if (as_of - call["usage_date"]).days < 28]
        month = date.fromordinal(as_of.toordinal() + 1).replace(day=1)
        actual = [call for call in of_team if call["usage_date"] >= month]
        by_scenario = {row[-1]: row[1:-1] for row in rows if row[0] == team}
        priced = tokens([call for call in base if call["cost"] is not None]) or 0
        unpriced = tokens([call for call in base if call["cost"] is None]) or 0
        for found in by_scenario.values():
            assert found[:3] == (priced, unpriced, known(base) or None)
            assert found[3] == (known(actual) if actual else 0)
        expected, double = by_scenario["expected"], by_scenario["double"]
        for place in (5, 6):
            rest = expected[place] - (expected[3] or 0)
            assert abs(double[place] - (double[3] or 0) - 2 * rest) <= Decimal("0.000000000002")
        index = known([call for call in base if call["workflow"] == "index"]) or Decimal(0)
        share = Fraction(index) / Fraction(known(base) or 1)
        left = Fraction(by_scenario["no-index"][5] - (expected[3] or 0))
        rest = Fraction(expected[5] - (expected[3] or 0))
        assert abs(left - rest * (1 - share)) <= Fraction(1, 10**9)
