"""Invoices: billed cost of charges sums to what invoices say, to the last pico, credit notes and taxes among them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from tollbook.chargeback.invoices import CHARGE_WEIGHTS_SCHEMA, billed_costs, invoice_lines
from tollbook.chargeback.origins import pico_of
from tollbook.rating.periods.calendar import UTC_CALENDAR
from tollbook.reference.dated.kinds import KINDS

Row = dict[str, Any]


def lines_of(tmp_path: Path, *invoices: Row) -> pa.Table:
    """Return the lines of invoices, each with number, currency, day of issue and lines."""
    from tests.pipelines.chargeback.conftest import EUR

    entries = [
        {
            "entry_id": f"e{place}",
            "invoice_id": f"I{place}",
            "vendor": "openai",
            "billing_period": "2026-06",
            "total": str(sum(Decimal(line["amount"]) for line in told["lines"])),
            "known_from": "2026-07-10T00:00:00Z",
            "author": "a",
            "reason": "r",
            **told,
        }
        for place, told in enumerate(invoices)
    ]
    path = tmp_path / "invoices.yml"
    path.write_text(yaml.safe_dump({"vendor_invoices": 1, "entries": entries}), encoding="utf-8")
    return invoice_lines(KINDS["vendor_invoices"].read(path).entries, EUR, UTC_CALENDAR)


def line(name: str, amount: str, category: str = "Usage", **told: Any) -> Row:
    """Return a line of an invoice."""
    return {"line_id": name, "description": name, "category": category, "amount": amount, **told}


def charges(*told: tuple[str, str, str, str | None]) -> pa.Table:
    """Return charges of June by name, contracted cost, obligation and model, in USD."""
    rows = [
        {
            "charge_id": name,
            "billing_period_start": date(2026, 6, 1),
            "obligation": obligation,
            "model": model,
            "pricing_currency": "USD",
            "contracted_cost": Decimal(cost),
        }
        for name, cost, obligation, model in told
    ]
    return pa.Table.from_pylist(rows, schema=CHARGE_WEIGHTS_SCHEMA)


def billed(found: pa.Table) -> dict[str, Decimal]:
    """Return the billed cost of charges by name, of what is placed."""
    return {row["charge_id"]: row["billed_cost"] for row in found.to_pylist() if not row["is_unplaced"]}


USAGE = charges(
    ("a", "30", "usage openai", "gpt-5"),
    ("b", "10", "usage openai", "o3"),
    ("c", "-4", "usage openai", None),
    ("d", "4", "usage openai", None),
)


def test_an_invoice_is_shared_by_what_was_payable_and_its_tax_is_not(tmp_path: Path) -> None:
    """Three quarters of 39.98 are 29.985. What moved from d to c moves in the bill too. VAT is nobody's cost."""
    told = {"currency": "USD", "issued_on": "2026-07-03", "lines": [line("usage", "39.98"), line("vat", "7.60", "Tax")]}
    lines = lines_of(tmp_path, told)
    assert billed(billed_costs(lines, USAGE)) == {
        "a": Decimal("29.985"),
        "b": Decimal("9.995"),
        "c": Decimal("-3.998"),
        "d": Decimal("3.998"),
    }
    assert [row["booked_period_start"] for row in lines.to_pylist()] == [date(2026, 7, 1)] * 2


def test_a_credit_note_takes_back_and_a_line_of_one_model_is_for_it_alone(tmp_path: Path) -> None:
    """10 for o3 alone; 4 are given back of all, 3 and 1."""
    invoice = {"currency": "USD", "issued_on": "2026-07-03", "lines": [line("o3", "10.00", model="o3")]}
    credit = {
        "currency": "USD",
        "issued_on": "2026-07-09",
        "credit_note_for": "I0",
        "lines": [line("back", "-4", "Credit")],
    }
    found = billed(billed_costs(lines_of(tmp_path, invoice, credit), USAGE))
    assert found == {"a": Decimal(-3), "b": Decimal(9), "c": Decimal("0.4"), "d": Decimal("-0.4")}


def test_usage_invoiced_in_another_currency_settles_in_usd(tmp_path: Path) -> None:
    """20 EUR at 1.10 are 22 USD of usage; seats in EUR settle in EUR, and there is no charge in EUR for them here."""
    seats = line("seats", "50.00", "Purchase", **{"for": {"subscription": "p"}})
    told = {"currency": "EUR", "issued_on": "2026-07-03", "lines": [line("usage", "20.00"), seats]}
    found = billed_costs(lines_of(tmp_path, told), USAGE).to_pylist()
    assert billed(pa.Table.from_pylist(found)) == {
        "a": Decimal("16.5"),
        "b": Decimal("5.5"),
        "c": Decimal("-2.2"),
        "d": Decimal("2.2"),
    }
    (unplaced,) = [row for row in found if row["is_unplaced"]]
    assert (unplaced["obligation"], unplaced["pricing_currency"]) == ("subscription p", "EUR")
    assert (unplaced["billed_cost"], unplaced["pricing_currency_billed_cost"]) == (Decimal(55), Decimal(50))


def test_billed_costs_sum_to_the_invoice_to_the_last_pico(tmp_path: Path) -> None:
    """Three charges that share a cent leave nothing over (pitfall 18)."""
    thirds = charges(*((name, "1", "usage openai", None) for name in "abc"))
    told = {"currency": "USD", "issued_on": "2026-07-03", "lines": [line("usage", "0.01")]}
    found = billed(billed_costs(lines_of(tmp_path, told), thirds))
    assert sorted(map(pico_of, found.values())) == [3333333333, 3333333333, 3333333334]


def test_an_invoice_without_an_exchange_rate_is_unknown_and_not_zero(tmp_path: Path) -> None:
    """Before the first rate of EUR nothing is guessed."""
    told = {"currency": "EUR", "issued_on": "2025-12-31", "lines": [line("usage", "20.00")]}
    lines = lines_of(tmp_path, told)
    assert lines.to_pylist()[0]["billed_cost"] is None
    assert set(billed(billed_costs(lines, USAGE)).values()) == {None}
    assert datetime.fromisoformat("2025-12-31").date() == lines.to_pylist()[0]["issued_on"]
