"""Reference data and usage of billing periods, written row by row, and what is charged of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
import pytest
import yaml

from tollbook.chargeback.shared import SharedCharges
from tollbook.chargeback.usage_lines import USAGE_LINES_SCHEMA, UsageLines
from tollbook.rating.periods.calendar import UTC_CALENDAR, BillingCalendar
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates
from tollbook.reference.dated.kinds import KINDS
from tollbook.reference.dated.use import ReferenceBook

NOW = datetime(2026, 6, 30, tzinfo=UTC)
EUR = ExchangeRates.of([ExchangeRate("EUR", Fraction("1.10"), datetime(2026, 1, 1, tzinfo=UTC))])
PROJECT = Path(__file__).parents[3] / "dbt_project"
Row = dict[str, Any]


@cache
def model_as_sql(model: str) -> str:
    """Return the SQL of a model of `marts/finance`: what it refers to are tables of the same names.

    So its properties are tried on many random rows without a build.
    """
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)  # noqa: S701 - SQL, not HTML
    environment.globals.update(config=lambda **_: "", ref=str)
    macros = environment.from_string((PROJECT / "macros" / "settled.sql").read_text(encoding="utf-8")).module
    environment.globals.update({name: macro for name, macro in vars(macros).items() if callable(macro)})
    text = (PROJECT / "models" / "marts" / "finance" / f"{model}.sql").read_text(encoding="utf-8")
    return environment.from_string(text).render()


def entry(name: str, /, **told: Any) -> Row:
    """Return an entry that holds since 1 June 2026 and is known since May, but for what is told."""
    common = {"valid_from": "2026-06-01", "known_from": "2026-05-01T00:00:00Z", "author": "a", "reason": "r"}
    return {"entry_id": name, **common, **told}


def calls(team: str, /, **told: Any) -> Row:
    """Return usage of a team in June 2026: 10 calls of 1,000 tokens in all for 1 USD, but for what is told."""
    costs = {"list_cost": Decimal(1), "contracted_cost": told.get("list_cost", Decimal(1)), "accelerator_seconds": None}
    return {
        "billing_period_start": date(2026, 6, 1),
        "team": team,
        "cost_center": f"cc-{team}",
        "business_unit": "bu",
        "workflow": "w",
        "provider": "openai",
        "model": "gpt-5",
        "inference_path": "model_api",
        "billing_account_id": None,
        "subscription_id": None,
        "calls": 10,
        "input_tokens": 800,
        "output_tokens": 200,
        "total_tokens": 1000,
        **costs,
        **told,
    }


@dataclass(frozen=True)
class Charged:
    """What was charged: origins and the lines of those who bear them."""

    origins: list[Row]
    lines: list[Row]

    def borne(self, cost: str = "effective_cost", **only: Any) -> dict[str, Decimal]:
        """Return a cost by team, of the lines in which all that is named is so."""
        found: dict[str, Decimal] = {}
        for line in self.lines:
            if all(line[name] == told for name, told in only.items()):
                found[line["team"]] = found.get(line["team"], Decimal(0)) + line[cost]
        return found

    def charged(self, cost: str = "effective_cost") -> dict[tuple[Any, ...], Decimal]:
        """Return a cost of origins by month, day of the beginning, kind and component."""
        return {
            (row["billing_period_start"].month, row["first_day"].day, row["charge_kind"], row["charge_component"]): row[
                cost
            ]
            for row in self.origins
        }


Charge = Callable[..., Charged]


@pytest.fixture
def charge(tmp_path: Path) -> Charge:
    """Charges reference data, by kind to its entries, for usage."""

    def made(
        usage: Sequence[Row] = (),
        *,
        now: datetime = NOW,
        period_charges: Sequence[Mapping[str, Any]] = (),
        calendar: BillingCalendar = UTC_CALENDAR,
        exchange: ExchangeRates = EUR,
        **kinds: Sequence[Row],
    ) -> Charged:
        files = {}
        for name, entries in kinds.items():
            path = tmp_path / f"{name}.yml"
            path.write_text(yaml.safe_dump({name: 1, "entries": list(entries)}, sort_keys=False), encoding="utf-8")
            files[name] = (KINDS[name].read(path),)
        book = ReferenceBook(files)
        assert list(book.faults()) == []
        lines = UsageLines(pa.Table.from_pylist(list(usage), schema=USAGE_LINES_SCHEMA))
        shared = SharedCharges(book, lines, exchange, calendar, now)
        origins = shared.origins(period_charges)
        return Charged(origins.to_pylist(), shared.allocated(origins).to_pylist())

    return made


@pytest.fixture
def told() -> Callable[..., Row]:
    """Makes an entry; see `entry`."""
    return entry


@pytest.fixture
def used() -> Callable[..., Row]:
    """Makes usage; see `calls`."""
    return calls


@pytest.fixture(scope="session")
def finance_model() -> Callable[[str], str]:
    """Gives the SQL of a model of `marts/finance`; see `model_as_sql`."""
    return model_as_sql
