"""Published files, written row by row in the shape that the marts' contracts give."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tollbook.contracts import shipped_folder
from tollbook.settings import Settings

VERSION = "tollbook-0000000007-c000000000042.duckdb"
MARTS = {
    "finance": (
        *("fct_chargeback_by_team", "fct_chargeback_by_workflow", "fct_period_charges", "dim_billing_periods"),
        "fct_charges",
    ),
    "insight": (
        *("fct_price_index", "fct_cost_drivers", "fct_price_volume_mix"),
        *("fct_subsidies", "fct_margins", "fct_forecast", "fct_customer_concentration", "fct_unit_cost_paths"),
    ),
    "engineering": (
        *(
            "fct_usage_daily",
            "fct_tasks",
            "fct_task_economics",
            "fct_agent_costs",
            "fct_agent_calls",
            "fct_hidden_cost",
        ),
    ),
    "audit": ("fct_ledger_balance", "fct_kafka_offsets", "fct_tellings_daily", "fct_lineage"),
}
Row = dict[str, Any]


def contracted_columns(schema: str, table: str) -> list[tuple[str, str]]:
    """Return names and types of a mart's columns, as its contract in the dbt project has them."""
    files = sorted((shipped_folder("dbt_project") / "models" / "marts" / schema).glob("_*__models.yml"))
    models = [each for path in files for each in yaml.safe_load(path.read_text("utf-8"))["models"]]
    (model,) = [each for each in models if each["name"] == table]
    return [(column["name"], column["data_type"]) for column in model["columns"]]


@dataclass
class Book:
    """A published file in the making."""

    settings: Settings
    version: str = VERSION
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, table: str, **values: Any) -> None:
        """Add a row to a mart; columns not named are null."""
        self.rows.setdefault(table, []).append(values)

    def use(
        self,
        day: str,
        cost: str | None,
        *,
        team: str = "search",
        workflow: str = "answers",
        model: str = "gpt-5",
        providers: str = "openai",
        calls: int = 1,
        tokens: int = 1_000_000,
    ) -> None:
        """Add calls of one day to the marts that count calls; a cost of None is unknown."""
        start = date.fromisoformat(day).replace(day=1)
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        amounts: Row = {
            "billing_currency": "USD",
            "calls": calls,
            "unpriced_calls": calls if cost is None else 0,
            "unpriced_tokens": tokens if cost is None else 0,
            "total_tokens": tokens,
            "list_cost": None if cost is None else Decimal(cost),
        }
        period = {"billing_period_start": start, "billing_period_end": end}
        self._add_period(**period)
        self.add("finance.fct_chargeback_by_team", **period, team=team, cost_center="cc-10", **amounts)
        self.add("finance.fct_chargeback_by_workflow", **period, team=team, workflow=workflow, **amounts)
        told = {"team": team, "workflow": workflow, "agent": "planner", "model": model, "providers": providers}
        self.add("engineering.fct_usage_daily", usage_date=date.fromisoformat(day), **told, **amounts)

    def _add_period(self, billing_period_start: date, billing_period_end: date) -> None:
        """Add a billing period of the UTC calendar, once."""
        begins, ends = (datetime.combine(day, time(0), UTC) for day in (billing_period_start, billing_period_end))
        row: Row = {
            "billing_period_start": billing_period_start,
            "billing_period_end": billing_period_end,
            "billing_time_zone": "UTC",
            "period_begins_at": begins,
            "period_ends_at": ends,
        }
        if row not in self.rows.get("finance.dim_billing_periods", []):
            self.add("finance.dim_billing_periods", **row)

    def task(self, task_id: str, started_at: str, cost: str | None, **values: Any) -> None:
        """Add a task."""
        row: Row = {"workflow": "answers", "team": "search", "calls": 2, "agents": 1, "failed_calls": 0}
        row |= {"total_tokens": 1_000, "list_cost": None if cost is None else Decimal(cost), **values}
        self.add("engineering.fct_tasks", task_id=task_id, started_at=started_at, **row)

    def hand_over(
        self,
        name: str,
        measure: str,
        amount_in: str,
        scope_kind: str,
        scope: str,
        *,
        listed: str = "0",
        difference: str = "0",
    ) -> None:
        """Add a row to the ledger balance."""
        self.add(
            "audit.fct_ledger_balance",
            hand_over=name,
            scope_kind=scope_kind,
            scope=scope,
            measure=measure,
            amount_in=Decimal(amount_in),
            amount_out=Decimal(amount_in) - Decimal(difference),
            amount_listed=Decimal(listed),
            difference=Decimal(difference),
        )

    def publish(self) -> Settings:
        """Write the file and the link that readers open."""
        serve = self.settings.serve
        serve.mkdir(parents=True, exist_ok=True)
        (serve / VERSION).unlink(missing_ok=True)
        with duckdb.connect(serve / VERSION) as file:
            file.execute("set TimeZone = 'UTC'")
            for schema, tables in MARTS.items():
                file.execute(f"create schema {schema}")
                for table in tables:
                    columns = ", ".join(f"{name} {kind}" for name, kind in contracted_columns(schema, table))
                    file.execute(f"create table {schema}.{table} ({columns})")
            file.execute(
                "create table audit.publication as select 7::bigint as build_number, 42::bigint as built_commit, "
                "timestamptz '2026-11-01 06:30:00+00' as built_at"
            )
            for table, rows in self.rows.items():
                names = list(dict.fromkeys(name for row in rows for name in row))
                insert = f"insert into {table} ({', '.join(names)}) values ({', '.join('?' * len(names))})"
                file.execute("begin")
                file.executemany(insert, [[row.get(name) for name in names] for row in rows])
                file.execute("commit")
        link = serve / "tollbook.duckdb"
        link.unlink(missing_ok=True)
        link.symlink_to(VERSION)
        return self.settings


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """Return an empty book in a home of its own."""
    return Book(Settings(home=tmp_path / "home"))


@pytest.fixture
def two_months(book: Book) -> Book:
    """Return a book of two months: prices fall from 2 to 1 USD a million tokens, the bill rises from 4 to 6 USD.

    August: 2,000,000 tokens for 4.00 USD in 2 tasks. September: 6,000,000 tokens for 6.00 USD in 1 task, and 500,000
    tokens of a model without a price.
    """
    book.use("2026-08-01", "1.00", tokens=500_000)
    book.use("2026-08-31", "3.00", tokens=1_500_000, team="legal", workflow="review")
    book.use("2026-09-02", "6.00", tokens=6_000_000, calls=3)
    book.use("2026-09-03", None, tokens=500_000, calls=2, model="own-model", providers="home")
    book.task("task-1", "2026-08-01 10:00:00+00", "1.00", total_tokens=500_000)
    book.task("task-2", "2026-08-31 23:59:59+00", "3.00", total_tokens=1_500_000, outcome="success")
    book.task("task-3", "2026-09-02 00:00:00+00", "6.00", total_tokens=6_500_000, failed_calls=1, outcome="failure")
    book.add("audit.fct_kafka_offsets", topic="llm.usage", kafka_partition=0, records=12, reject_rows=2)
    for state, tellings in (("standing", 7), ("superseded", 1), ("duplicate", 2)):
        book.add("audit.fct_tellings_daily", event_date="2026-08-01", telling_state=state, tellings=tellings)
    for partition, records in ((0, 5), (1, 7)):
        book.hand_over("kafka_to_records", "records", str(records), "kafka_partition", f"llm.usage/{partition}")
    for day, cost in (("2026-08-01", "4"), ("2026-09-02", "6.000000000001")):
        book.hand_over("files_to_tellings", "list_cost", cost, "event_date", day, listed="0.000000000001")
    book.hand_over("files_to_tellings", "list_cost", "10.000000000001", "ledger", "all", listed="0.000000000002")
    return book
