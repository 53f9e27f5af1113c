"""Published files of charges, written row by row in the shape that the mart's contract gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tollbook.contracts import shipped_folder
from tollbook.reference.kinds import load_file
from tollbook.settings import Settings

Row = dict[str, Any]
NOW = datetime(2026, 8, 1, tzinfo=UTC)
COMMON = {"valid_from": "2026-06-01", "known_from": "2026-05-01T00:00:00Z", "author": "a", "reason": "r"}


MARTS = ("fct_charges", "fct_invoice_lines", "dim_billing_periods")


def mart_columns(mart: str) -> list[tuple[str, str]]:
    """Return names and types of a finance mart's columns, as the dbt project has them."""
    folder = shipped_folder("dbt_project") / "models" / "marts" / "finance"
    models = [
        each for path in folder.glob("*__models.yml") for each in yaml.safe_load(path.read_text("utf-8"))["models"]
    ]
    (model,) = [each for each in models if each["name"] == mart]
    return [(column["name"], column["data_type"]) for column in model["columns"]]


@dataclass
class ChargeBook:
    """A published file of charges in the making."""

    settings: Settings
    rows: list[Row] = field(default_factory=list)
    invoice_lines: list[Row] = field(default_factory=list)

    def charge(self, team: str, cost: str | None, **told: Any) -> None:
        """Add a charge of usage in June 2026, of which list, contracted and effective cost are `cost`."""
        amount = None if cost is None else Decimal(cost)
        self.rows.append(
            {
                "charge_id": f"charge-{len(self.rows)}",
                "billing_period_start": date(2026, 6, 1),
                "charge_period_start": datetime(2026, 6, 1, tzinfo=UTC),
                "charge_period_end": datetime(2026, 7, 1, tzinfo=UTC),
                "charge_category": "Usage",
                "charge_frequency": "Usage-Based",
                "charge_kind": "usage",
                "charge_description": "openai gpt-5",
                "source_kind": "usage",
                "source_id": "openai",
                "business_unit": "BU",
                "cost_center": f"CC-{team}",
                "team": team,
                "workflow": "answers",
                "provider": "openai",
                "model": "gpt-5",
                "obligation": "usage openai",
                "billed_by": "openai",
                "billing_currency": "USD",
                "pricing_currency": "USD",
                "pricing_currency_effective_cost": amount,
                "exchange_rate": Decimal(1),
                "calls": 1,
                "unpriced_calls": 0 if cost is not None else 1,
                "list_cost": amount,
                "contracted_cost": amount,
                "effective_cost": amount,
            }
            | told
        )

    def invoice(self, number: str, amount: str, **told: Any) -> None:
        """Add a line of an invoice of OpenAI's about usage of June 2026, issued on 5 July."""
        self.invoice_lines.append(
            {
                "vendor": "openai",
                "invoice_id": number,
                "line_id": "usage",
                "issued_on": date(2026, 7, 5),
                "booked_period_start": date(2026, 7, 1),
                "billing_period_start": date(2026, 6, 1),
                "charge_category": "Usage",
                "charge_description": "Usage",
                "obligation": "usage openai",
                "invoice_currency": "USD",
                "invoice_amount": Decimal(amount),
                "billed_cost": Decimal(amount),
                "billing_currency": "USD",
            }
            | told
        )

    def publish(self, build: int = 3) -> Settings:
        """Write the file that readers open."""
        self.settings.serve.mkdir(parents=True, exist_ok=True)
        path = self.settings.serve / "tollbook.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(path) as file:
            file.execute("set TimeZone = 'UTC'")
            file.execute("create schema finance")
            file.execute("create schema audit")
            file.execute(
                f"create table audit.publication as select {build}::bigint as build_number, "
                "42::bigint as built_commit, timestamptz '2026-07-02 06:30:00+00' as built_at"
            )
            periods = [
                {
                    "billing_period_start": date(2026, month, 1),
                    "period_begins_at": datetime(2026, month, 1, tzinfo=UTC),
                    "period_ends_at": datetime(2026, month + 1, 1, tzinfo=UTC),
                }
                for month in (6, 7)
            ]
            for mart, rows in zip(MARTS, (self.rows, self.invoice_lines, periods), strict=True):
                columns = mart_columns(mart)
                file.execute(f"create table finance.{mart} ({', '.join(' '.join(column) for column in columns)})")
                if rows:
                    insert = f"insert into finance.{mart} values ({', '.join('?' * len(columns))})"
                    file.executemany(insert, [[row.get(name) for name, _ in columns] for row in rows])
        return self.settings

    def use(self, kind: str, entries: Sequence[Row]) -> None:
        """Put reference entries into use."""
        path = self.settings.home / f"{kind}.yml"
        document = {kind: 1, "entries": [COMMON | entry for entry in entries]}
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        load_file(path, self.settings, now=NOW)


@pytest.fixture
def charges(tmp_path: Path) -> ChargeBook:
    """Return a book without charges, in a home of its own."""
    return ChargeBook(Settings(home=tmp_path))
