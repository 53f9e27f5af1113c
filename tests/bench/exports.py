"""What a year of exports takes: 12 months of 200 teams, each with 60 models in 3 workflows.

The published file is written here directly, in the shape of the marts' contracts: a build of a year would measure
something else. Every export of every month is written, as CSV, Parquet, XLSX, HTML and PDF, whole, with digests.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import yaml

from tollbook.contracts import shipped_folder
from tollbook.exports.focus.export import export_focus
from tollbook.exports.journal import export_journal
from tollbook.exports.statements import export_statements
from tollbook.settings import Settings

YEAR = 2026
MARTS = ("fct_charges", "fct_invoice_lines", "dim_billing_periods")
CHARGES = """
insert into finance.fct_charges by name
select
    'charge-' || month || '-' || team || '-' || model as charge_id,
    make_date($year, month, 1) as billing_period_start,
    (make_date($year, month, 1) + interval 1 month)::date as billing_period_end,
    make_date($year, month, 1)::timestamptz as charge_period_start,
    (make_date($year, month, 1) + interval 1 month)::timestamptz as charge_period_end,
    'Usage' as charge_category, 'Usage-Based' as charge_frequency, 'usage' as charge_kind,
    'openai model-' || model as charge_description, 'usage' as source_kind, 'openai' as source_id,
    'unit-' || team % 5 as business_unit, 'center-' || team % 40 as cost_center, 'team-' || team as team,
    'workflow-' || model % 3 as workflow, 'openai' as provider, 'model-' || model as model,
    'default' as service_tier, 'model_api' as inference_path,
    'genai-prices/openai/model-' || model || '/default/undated/base' as sku_price_id, 'rated' as cost_basis,
    'openai' as billed_by, 'usage openai' as obligation, 1000 + model as calls, 0 as unpriced_calls,
    1000000 + team * 977 + model * 7919 as total_tokens, 900000 + team * 977 as input_tokens,
    (total_tokens * 0.0000025)::decimal(38, 12) as list_cost, list_cost as contracted_cost,
    list_cost as effective_cost, 'USD' as billing_currency, 'USD' as pricing_currency,
    list_cost as pricing_currency_effective_cost, 1 as exchange_rate
from range(1, $months + 1) as months (month), range($teams) as teams (team), range($models) as models (model)
"""
PERIODS = """
insert into finance.dim_billing_periods by name
select
    make_date($year, month, 1) as billing_period_start,
    (make_date($year, month, 1) + interval 1 month)::date as billing_period_end,
    'UTC' as billing_time_zone,
    make_date($year, month, 1)::timestamptz as period_begins_at,
    (make_date($year, month, 1) + interval 1 month)::timestamptz as period_ends_at,
    'open' as period_state
from range(1, $months + 1) as months (month)
"""


def columns(mart: str) -> str:
    """Return the columns of a finance mart, as its contract has them."""
    folder = shipped_folder("dbt_project") / "models" / "marts" / "finance"
    for path in folder.glob("*__models.yml"):
        for model in yaml.safe_load(path.read_text("utf-8"))["models"]:
            if model["name"] == mart:
                return ", ".join(f"{each['name']} {each['data_type']}" for each in model["columns"])
    raise LookupError(mart)


def publish(settings: Settings, months: int, teams: int, models: int) -> None:
    """Write the published file of a year's charges."""
    settings.serve.mkdir(parents=True)
    with duckdb.connect(settings.serve / "tollbook.duckdb") as file:
        file.execute("set TimeZone = 'UTC'")
        file.execute("create schema finance")
        file.execute("create schema audit")
        file.execute(
            "create table audit.publication as select 1::bigint as build_number, 1::bigint as built_commit, "
            f"timestamptz '{YEAR + 1}-01-02 00:00:00+00' as built_at"
        )
        for mart in MARTS:
            file.execute(f"create table finance.{mart} ({columns(mart)})")
        file.execute(CHARGES, {"year": YEAR, "months": months, "teams": teams, "models": models})
        file.execute(PERIODS, {"year": YEAR, "months": months})


def main() -> None:
    """Measure, and print seconds by export as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--teams", type=int, default=200)
    parser.add_argument("--models", type=int, default=60)
    options = parser.parse_args()
    home = options.work / "exports"
    shutil.rmtree(home, ignore_errors=True)
    settings = Settings(home=home)
    publish(settings, options.months, options.teams, options.models)
    exports: dict[str, Callable[[str], object]] = {
        "statements": lambda period: export_statements(settings, period),
        "journal": lambda period: export_journal(settings, period),
        "focus 1.2": lambda period: export_focus(settings, period, "1.2"),
        "focus 1.4": lambda period: export_focus(settings, period, "1.4"),
    }
    seconds: dict[str, float] = {}
    for name, export in exports.items():
        begun = time.perf_counter()
        for month in range(1, options.months + 1):
            export(f"{YEAR}-{month:02}")
            print(f"{name} {YEAR}-{month:02}", file=sys.stderr, flush=True)
        seconds[name] = round(time.perf_counter() - begun, 1)
    files = [path for path in settings.exports.rglob("*") if path.is_file()]
    told = {"seconds": seconds, "total_seconds": round(sum(seconds.values()), 1), "files": len(files)}
    print(json.dumps(told | {"bytes": sum(path.stat().st_size for path in files)}))


if __name__ == "__main__":
    main()
