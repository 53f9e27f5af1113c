"""Reconciliation in the build: vendors' reports, invoices that differ, and what is booked so that they tie."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml

from tollbook.cli import main
from tollbook.reconcile.findings import Tolerance, open_published, unreconciled
from tollbook.reconcile.load import load_report
from tollbook.reference.kinds import load_file
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)
PAGE = Path(__file__).resolve().parents[4] / "shared/data/vendor-usage-api/openai_usage_completions_30d.json"
Row = dict[str, Any]


def built(lake: LakeBuilder, now: str = "2026-07-20") -> None:
    """Build at an instant."""
    build(lake.settings, clock=lambda: datetime.fromisoformat(now).replace(tzinfo=UTC))


def invoice(lake: LakeBuilder, tmp_path: Path, amount: str, **told: Any) -> None:
    """Put an invoice for June's usage into use, with tax on top."""
    entry = {
        "entry_id": "june",
        "invoice_id": "I-1",
        "vendor": "openai",
        "currency": "USD",
        "issued_on": "2026-07-05",
        "billing_period": "2026-06",
        "total": str(Decimal(amount) + 19),
        "lines": [
            {"line_id": "usage", "description": "u", "category": "Usage", "amount": amount},
            {"line_id": "vat", "description": "v", "category": "Tax", "amount": "19"},
        ],
        "known_from": "2026-07-06T00:00:00Z",
        "author": "a",
        "reason": "r",
    } | told
    use(lake, tmp_path, {"vendor_invoices": 1, "entries": [entry]})


def use(lake: LakeBuilder, tmp_path: Path, document: Row) -> None:
    """Put a reference file into use."""
    path = tmp_path / f"{next(iter(document))}.yml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    load_file(path, lake.settings, now=datetime(2026, 8, 1, tzinfo=UTC))


def report(lake: LakeBuilder, tmp_path: Path, buckets: list[Row], now: str = "2026-07-10") -> None:
    """Load a page of OpenAI's usage."""
    path = tmp_path / f"page-{now}.json"
    path.write_text(json.dumps({"object": "page", "data": buckets, "has_more": False}), encoding="utf-8")
    told = datetime.fromisoformat(now).replace(tzinfo=UTC)
    load_report([path], lake.settings, vendor="openai", author="a", reason="r", now=told)


def day_bucket(day: str, **told: Any) -> Row:
    """Return a bucket of a whole day with one result."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    result = {"object": "organization.usage.completions.result", "model": "gpt-5", **told}
    times = {"start_time": int(start.timestamp()), "end_time": int((start + timedelta(days=1)).timestamp())}
    return {"object": "bucket", **times, "results": [result]}


def rolled(lake: LakeBuilder) -> list[tuple[Any, ...]]:
    """Return the roll-forward of USD: period, billed, closing accruals, effective cost and difference."""
    return lake.query(
        "select billing_period_start, billed_cost, closing_accruals, effective_cost, difference "
        "from finance.fct_roll_forward where billing_currency = 'USD' order by all"
    )


def residuals(lake: LakeBuilder) -> list[tuple[Any, ...]]:
    """Return the residuals of charges: reason, team and amount."""
    return lake.query(
        "select charge_component, team, effective_cost, charge_category, obligation from finance.fct_charges "
        "where charge_kind = 'reconciliation_residual' order by all"
    )


@pytest.fixture(autouse=True)
def _no_reference_left(lake: LakeBuilder) -> Any:
    yield
    shutil.rmtree(lake.settings.home / "reference", ignore_errors=True)


def test_an_invoice_three_cents_off_is_booked_and_clears_its_accrual(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """100 of usage, 75 search's and 25 care's; 100.03 invoiced net of tax. The 3 cents follow the cost: 0.0225, 0.0075.

    One line's rounding hides half a cent, so 3 cents are of no known reason. June ends with 100.03 accrued, July with
    none.
    """
    lake.commit([event("a", list_cost=Decimal(75)), event("b", "2026-06-20", list_cost=Decimal(25), owner_team="care")])
    invoice(lake, tmp_path, "100.03")
    built(lake)
    assert residuals(lake) == [
        ("other", "care", Decimal("0.0075"), "Adjustment", "usage openai"),
        ("other", "search", Decimal("0.0225"), "Adjustment", "usage openai"),
    ]
    whole = Decimal("100.03")
    assert rolled(lake) == [(JUNE, 0, whole, whole, 0), (JULY, whole, 0, 0, 0)]
    compared = (
        "select residual_kind, our_cost, invoice_cost, residual_cost, vendor_cost, is_booked "
        "from finance.fct_reconciliation order by our_cost desc"
    )
    assert lake.query(compared) == [
        ("matched", 100, 100, 0, None, False),
        ("other", 0, Decimal("0.03"), Decimal("0.03"), None, True),
    ]
    billed = "select sum(billed_cost), sum(effective_cost) from finance.fct_charges"
    assert lake.query(billed) == [(whole, whole)]


def test_calls_that_no_event_told_of_are_booked_to_nobody_until_a_rule_says_whose(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """Of 30 calls of 0.10 each 10 were not logged; the vendor tells of all, 110 tokens each, and invoices 3.00.

    20 calls are 2.00, so 1.00 is of unlogged calls. A rule for the pool gives it to search.
    """
    lake.commit([event(f"e{n}", list_cost=Decimal("0.10")) for n in range(20)])
    report(lake, tmp_path, [day_bucket("2026-06-01", input_tokens=3000, output_tokens=300, num_model_requests=30)])
    invoice(lake, tmp_path, "3.00")
    built(lake)
    assert residuals(lake) == [("unlogged_calls", "unallocated", Decimal(1), "Adjustment", "usage openai")]
    assert rolled(lake) == [(JUNE, 0, 3, 3, 0), (JULY, 3, 0, 0, 0)]
    days = (
        "select usage_date, model, residual_kind, our_calls, vendor_calls, residual_calls, residual_tokens "
        "from finance.fct_reconciliation where comparison = 'vendor_report' order by residual_kind"
    )
    assert lake.query(days) == [
        (JUNE, "gpt-5", "matched", 20, 20, 0, 0),
        (JUNE, "gpt-5", "unlogged_calls", 0, 10, 10, 1100),
    ]
    rule = {
        "entry_id": "lost",
        "pool": {"usage": "unlogged"},
        "method": "even",
        "receivers": ["search"],
        "valid_from": "2026-06-01",
        "known_from": "2026-07-01T00:00:00Z",
        "author": "a",
        "reason": "r",
    }
    use(lake, tmp_path, {"allocation_rules": 1, "entries": [rule]})
    ids = lake.query("select charge_id from finance.fct_charge_origins")
    built(lake)
    assert residuals(lake) == [("unlogged_calls", "search", Decimal(1), "Adjustment", "usage openai")]
    assert lake.query("select charge_id from finance.fct_charge_origins") == ids


@pytest.mark.parametrize(
    ("told", "now"),
    [
        ({}, "2026-06-28"),
        ({"issued_on": "2026-06-15"}, "2026-07-20"),
        ({"lines": [{"line_id": "p", "description": "p", "category": "Purchase", "amount": "24"}], "total": "24"}, ""),
    ],
    ids=["the period has not ended", "an invoice within the month", "a purchase alone"],
)
def test_what_is_not_the_final_invoice_books_nothing(
    lake: LakeBuilder, event: Any, tmp_path: Path, told: Row, now: str
) -> None:
    """Else a purchase within the month would take all usage off again."""
    lake.commit([event("a", list_cost=Decimal(5))])
    invoice(lake, tmp_path, "5", **({"known_from": "2026-06-16T00:00:00Z", "total": "24"} | told))
    built(lake, now or "2026-07-20")
    assert residuals(lake) == []
    assert [row[-1] for row in rolled(lake)] == [0] * len(rolled(lake))


def test_a_later_report_supersedes_and_a_build_notices_it(lake: LakeBuilder, event: Any, tmp_path: Path) -> None:
    """The vendor's first word on a day lacked a request; the second one tells what events tell."""
    lake.commit([event("a"), event("b")])
    report(lake, tmp_path, [day_bucket("2026-06-01", input_tokens=100, output_tokens=10, num_model_requests=1)])
    built(lake)
    kinds = "select residual_kind, residual_calls, residual_tokens from finance.fct_reconciliation order by all"
    assert lake.query(kinds) == [("matched", 0, 0), ("other", -1, -110)]
    whole = day_bucket("2026-06-01", input_tokens=200, output_tokens=20, num_model_requests=2)
    report(lake, tmp_path, [whole], "2026-07-11")
    built(lake)
    assert lake.query(kinds) == [("matched", 0, 0)]


@pytest.mark.skipif(not PAGE.exists(), reason="the vendors' pages of ../shared are not here")
def test_openais_page_reconciles_with_simulated_events(
    lake: LakeBuilder, event: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One event a bucket that has results, with its tokens, in the middle of the bucket: 26 days.

    The first and the last day are cut at 17:31. A further event at 09:00 of the first day, 7 tokens, is outside of the
    vendor's time, and one at 17:10 in the hour that it begins in, 11 tokens: both are timing. Five days are empty; on
    one of them an event of 13 tokens is ours alone. Model and project are null throughout, so a day is compared whole.
    Requests: 19,328 by the page; each event is one call, so all but the 26 are unlogged.
    """
    buckets = json.loads(PAGE.read_text(encoding="utf-8"))
    rows = []
    for place, bucket in enumerate(buckets):
        middle = datetime.fromtimestamp((bucket["start_time"] + bucket["end_time"]) // 2, UTC)
        for result in bucket["results"]:
            counts = {name: result[name] for name in ("input_tokens", "output_tokens")}
            rows.append(event(f"day-{place}", occurred_at=middle, uncached_input_tokens=None, **counts))
    extra = [("outside", "2025-01-11T09:00", 7), ("edge", "2025-01-11T17:10", 11), ("empty", "2025-01-20T12:00", 13)]
    for name, at, count in extra:
        moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
        rows.append(event(name, occurred_at=moment, input_tokens=count, output_tokens=0))
    lake.commit(rows)
    load_report([PAGE], lake.settings, vendor="openai", author="a", reason="r", now=datetime(2025, 2, 11, tzinfo=UTC))
    built(lake, "2025-02-20")
    tokens = (
        "select usage_date, residual_kind, residual_tokens from finance.fct_reconciliation "
        "where residual_tokens <> 0 order by all"
    )
    assert lake.query(tokens) == [
        (date(2025, 1, 11), "timing", -18),
        (date(2025, 1, 20), "other", -13),
    ]
    days = "select count(distinct usage_date), count(model), count(project_id) from finance.fct_reconciliation"
    assert lake.query(days) == [(31, 0, 0)]
    whole = (
        "select sum(vendor_tokens), sum(our_tokens), sum(vendor_calls), sum(our_calls) from finance.fct_reconciliation"
    )
    told = sum(result["input_tokens"] + result["output_tokens"] for each in buckets for result in each["results"])
    requests = sum(result["num_model_requests"] for each in buckets for result in each["results"])
    assert lake.query(whole) == [(told, told + 31, requests, 29)]
    assert main(["reconcile", "--period", "2025-01", "--json", "--home", str(lake.settings.home)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {row["residual_kind"] for row in shown["rows"]} == {"matched", "timing", "other", "unlogged_calls"}
    assert shown["findings"] == []


def test_what_is_beyond_the_tolerance_is_a_finding_with_exit_one(
    lake: LakeBuilder, event: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """100 of usage, 102 invoiced: 2 is above both one dollar and one percent of 102; at two percent it is not."""
    lake.commit([event("a", list_cost=Decimal(100))])
    invoice(lake, tmp_path, "102")
    built(lake)
    home = ["--home", str(lake.settings.home)]
    assert main(["reconcile", *home]) == 1
    assert "openai 2026-06: other, 2.00 USD of 102.00 invoiced is beyond the tolerance" in capsys.readouterr().err
    assert main(["reconcile", "--tolerance-percent", "2", *home]) == 0
    assert main(["reconcile", "--tolerance", "2.00", *home]) == 0
    assert main(["reconcile", "--period", "2026-07", *home]) == 0
    assert main(["reconcile", "--tolerance", "much", *home]) == 2
    with open_published(lake.settings) as published:
        assert isinstance(published, duckdb.DuckDBPyConnection)
        (found,) = unreconciled(published, JUNE)
        assert (found.residual_kind, found.residual, found.unit) == ("other", Decimal(2), "USD")
        assert unreconciled(published, JULY) == []
        assert unreconciled(published, JUNE, tolerance=Tolerance(Decimal(2), Decimal(0))) == []
