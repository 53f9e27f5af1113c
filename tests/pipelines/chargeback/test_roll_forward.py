"""The roll-forward and allocation, as properties: random reference data, usage and invoices, and the marts' own SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollbook.chargeback.allocate import ALLOCATED_SCHEMA
from tollbook.chargeback.invoices import INVOICE_LINES_SCHEMA
from tollbook.chargeback.origins import COSTS, CURRENCY_COSTS, ORIGIN_SCHEMA
from tollbook.chargeback.statement_lines import round_lines
from tollbook.chargeback.usage_lines import USAGE_LINES_SCHEMA

if TYPE_CHECKING:
    from tests.pipelines.chargeback.conftest import Charge, Charged

Told = Callable[..., dict[str, Any]]
Row = dict[str, Any]
few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
OCTOBER = datetime(2026, 10, 3, tzinfo=UTC)
MONTHS = tuple(date(2026, month, 1) for month in (6, 7, 8, 9, 10))
TEAMS = ("ant", "bee", "cat", "unallocated")

money = st.decimals(0, 10**7, places=12).map(lambda amount: f"{amount:f}")
currencies = st.sampled_from(["USD", "EUR", "GBP"])
"""No rate is known of GBP: what costs pounds has no cost in dollars, and rolls forward in pounds all the same."""
days = st.integers(0, 119).map(lambda day: date.fromordinal(date(2026, 6, 1).toordinal() + day).isoformat())
methods = st.one_of(
    st.fixed_dictionaries({"method": st.just("even"), "receivers": st.just(["ant", "cat"])}),
    st.fixed_dictionaries(
        {
            "method": st.sampled_from(["proportional"]),
            "driver": st.sampled_from(["calls", "total_tokens", "contracted_cost"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "method": st.just("tiered"),
            "driver": st.just("calls"),
            "tiers": st.just([{"from": "0", "weight": "1"}, {"from": "7", "weight": "0.3"}]),
        }
    ),
    st.fixed_dictionaries(
        {
            "method": st.just("fixed"),
            "shares": st.just([{"platform": "p2", "ratio": "0.3"}, {"team": "bee", "ratio": "0.7"}]),
        }
    ),
)


@st.composite
def organisations(draw: Callable[[Any], Any]) -> Row:
    """Return usage, reference entries by kind, and invoices of four months, whatever they are."""

    def from_day() -> Row:
        return {"valid_from": draw(days), "known_from": "2026-05-01T00:00:00Z", "author": "a", "reason": "r"}

    def platform(name: str) -> Row:
        vendor = {"vendor": "v"} if draw(st.booleans()) else {}
        costs = [{"component": "c", "amount": draw(money)}]
        return {
            "entry_id": name,
            "platform_id": name,
            "currency": draw(currencies),
            "costs": costs,
            **vendor,
            **from_day(),
        }

    seats = draw(st.integers(1, 5))
    plan = {
        "entry_id": "plan",
        "subscription_id": "s",
        "vendor": "v",
        "plan": "Team",
        "currency": draw(currencies),
        "per": draw(st.sampled_from(["month", "year"])),
        "seats": {"purchased": seats + 1, "fee": draw(money), "assigned": [{"team": "bee", "seats": seats}]},
        "included": {"unit": "spend", "quantity": "3", "per": "seat"},
        **from_day(),
    }
    fleet = {
        "entry_id": "fleet",
        "fleet_id": "f",
        "currency": draw(currencies),
        "devices": 2,
        "owned": {"purchase_price": draw(money), "purchased_on": "2026-06-01", "useful_life_months": 7},
        "running": [{"component": "power", "amount": draw(money)}],
        "serves": {"inference_paths": ["on_prem"]},
        "measure": "accelerator_seconds",
        **from_day(),
    }
    rules = [
        {"entry_id": "r1", "pool": {"platform": "p1"}, **draw(methods), **from_day()},
        {
            "entry_id": "r2",
            "pool": {"platform": "p2"},
            "method": "even",
            "receivers": ["ant", "bee", "cat"],
            **from_day(),
        },
        {"entry_id": "r3", "pool": {"usage": "untagged"}, "method": "even", "receivers": ["ant", "bee"], **from_day()},
    ]
    usage = st.fixed_dictionaries(
        {
            "team": st.sampled_from(TEAMS),
            "billing_period_start": st.sampled_from(MONTHS[:4]),
            "calls": st.integers(1, 30),
            "list_cost": st.decimals(0, 10**6, places=12),
            "inference_path": st.sampled_from(["on_prem", "model_api"]),
            "subscription_id": st.sampled_from([None, "s"]),
            "accelerator_seconds": st.integers(0, 10**6).map(Decimal),
            "provider": st.sampled_from(["openai", "house"]),
        }
    )
    obligation = st.sampled_from(["platform p1", "subscription s", "usage openai", "fleet f", "usage of nobody"])
    invoice = st.tuples(
        obligation, st.sampled_from(["USD", "EUR"]), st.sampled_from(MONTHS), st.decimals(-(10**6), 10**7, places=2)
    )
    return {
        "usage": draw(st.lists(usage, max_size=8)),
        "kinds": {
            "shared_platforms": [platform("p1"), platform("p2")],
            "subscriptions": [plan],
            "fleets": [fleet],
            "allocation_rules": rules,
        },
        "invoices": draw(st.lists(invoice, max_size=6)),
    }


def charged(charge: Charge, used: Told, organisation: Row) -> tuple[Charged, list[Row]]:
    """Return what an organisation is charged in its first four months, and its usage."""
    usage = [
        used(row["team"], workflow=f"w{place}", **without(row, "team"))
        for place, row in enumerate(organisation["usage"])
    ]
    return charge(usage, now=OCTOBER, **organisation["kinds"]), usage


def without(row: Row, name: str) -> Row:
    """Return a row without a column."""
    return {each: told for each, told in row.items() if each != name}


@few
@given(organisations())
def test_allocation_conserves_every_cost_of_every_charge_and_the_statements_conserve_the_whole(
    charge: Charge, used: Told, organisation: Row
) -> None:
    """Lines sum to their origin to the last pico-unit; rounded to the cent, teams sum to the whole rounded once."""
    done, _ = charged(charge, used, organisation)
    for cost in (*COSTS, *CURRENCY_COSTS):
        sums: defaultdict[str, list[Decimal | None]] = defaultdict(list)
        for line in done.lines:
            sums[line["origin_charge_id"]].append(line[cost])
        for origin in done.origins:
            parts = sums[origin["charge_id"]]
            if origin[cost] is None:
                assert set(parts) == {None}
            else:
                assert sum(part for part in parts if part is not None) == origin[cost]
    lines: list[Row] = [
        {"team": line["team"], "billing_currency": "USD", **{cost: line[cost] for cost in COSTS}, "billed_cost": None}
        for line in done.lines
    ]
    round_lines(lines)
    whole = sum((Fraction(line["effective_cost"]) for line in lines if line["effective_cost"] is not None), Fraction(0))
    rounded = sum(line["effective_amount"] for line in lines if line["effective_amount"] is not None)
    assert Fraction(rounded) == Fraction(round(whole * 100), 100)
    assert all(
        abs(line["effective_amount"] - line["effective_cost"]) < Decimal("0.01")
        for line in lines
        if line["effective_cost"] is not None
    )
    moved, taken = (done.borne(charge_kind=kind) for kind in ("untagged_usage_moved", "untagged_usage"))
    assert sum(moved.values()) == -sum(taken.values())


@few
@given(organisations())
def test_the_roll_forward_holds_in_every_period_and_currency(
    finance_model: Callable[[str], str], charge: Charge, used: Told, organisation: Row
) -> None:
    """Whatever is charged, paid in advance and invoiced, and when: what is posted is billed and what balances moved."""
    done, usage = charged(charge, used, organisation)
    with duckdb.connect() as connection:
        fill(connection, done, usage, organisation["invoices"])
        for model in ("fct_accruals", "fct_roll_forward"):
            connection.execute(f"create table {model} as {finance_model(model)}")
        assert connection.execute("from fct_roll_forward where difference <> 0").fetchall() == []
        posted = connection.execute(
            "select billing_period_start, pricing_currency, sum(pricing_currency_effective_cost) from fct_charges "
            "group by all"
        ).fetchall()
        rolled = connection.execute(
            "select billing_period_start, billing_currency, effective_cost from fct_roll_forward"
        )
        assert {each for each in posted if each[2]} == {each for each in rolled.fetchall() if each[2]}
        # A balance that opens is the one that closed before, and none is below zero.
        assert (
            connection.execute(
                "select * from fct_accruals where least(closing_prepayment, closing_accrual) < 0"
            ).fetchall()
            == []
        )
        billed = sum(amount for _, _, _, amount in organisation["invoices"])
        own = (
            "select coalesce(sum(pricing_currency_contracted_cost), 0) from fct_charge_origins where billed_by is null"
        )
        ((by_itself,),) = connection.execute(own).fetchall()
        ((told,),) = connection.execute("select coalesce(sum(billed_cost), 0) from fct_roll_forward").fetchall()
        assert told == billed + by_itself


def fill(
    connection: duckdb.DuckDBPyConnection,
    done: Charged,
    usage: Sequence[Row],
    invoices: Sequence[tuple[str, str, date, Decimal]],
) -> None:
    """Make the tables that the marts are made of."""
    held = {
        "allocated": pa.Table.from_pylist(done.lines, schema=ALLOCATED_SCHEMA),
        "usage_lines": pa.Table.from_pylist(list(usage), schema=USAGE_LINES_SCHEMA),
        "origins": pa.Table.from_pylist(done.origins, schema=ORIGIN_SCHEMA),
        "lines": pa.Table.from_pylist([invoice_line(*each) for each in invoices], schema=INVOICE_LINES_SCHEMA),
    }
    for name, table in held.items():
        connection.register(name, table)
    connection.execute("create table fct_charge_origins as from origins")
    connection.execute("create table fct_invoice_lines as from lines")
    connection.execute(
        """
        create table fct_charges as
        select
            billing_period_start, 'usage' as charge_kind, 'usage ' || provider as obligation,
            'USD' as pricing_currency, contracted_cost as pricing_currency_contracted_cost,
            contracted_cost as pricing_currency_effective_cost, 0::bigint as unpriced_calls
        from usage_lines
        union all
        select
            billing_period_start, charge_kind, obligation, pricing_currency, pricing_currency_contracted_cost,
            pricing_currency_effective_cost, 0::bigint
        from allocated
        """
    )


def invoice_line(obligation: str, currency: str, booked: date, amount: Decimal) -> Row:
    """Return a line of an invoice that is no tax."""
    row: Row = dict.fromkeys(INVOICE_LINES_SCHEMA.names)
    told = {"obligation": obligation, "pricing_currency": currency, "booked_period_start": booked}
    return row | told | {"charge_category": "Usage", "pricing_currency_billed_cost": amount}
