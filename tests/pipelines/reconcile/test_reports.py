"""What vendors export, read into one shape: counts disjoint, cents as cents, and bad files refused whole."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openai.types.admin.organization import UsageCompletionsResponse, UsageCostsResponse

from tollbook.errors import ReferenceDataError
from tollbook.reconcile.reports.read import VendorReport, read_report

Row = dict[str, Any]
MIDNIGHT = 1780272000  # 2026-06-01T00:00:00Z
DAY = 86_400

COMPLETIONS: Row = {
    "object": "organization.usage.completions.result",
    "input_tokens": 1000,
    "output_tokens": 50,
    "num_model_requests": 4,
    "input_cached_tokens": 600,
    "input_cache_write_tokens": 100,
    "input_audio_tokens": 30,
    "model": "gpt-5",
    "project_id": "proj_1",
    "api_key_id": "key_abc",
    "user_id": "user_1",
    "batch": False,
}
FOCUS_HEADER = (
    "BilledCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ServiceCategory,ServiceName,"
    "ChargeDescription,ConsumedQuantity,ConsumedUnit,SkuMeter,SkuPriceDetails,SubAccountId"
)
AI, FIRST, SECOND = "AI and Machine Learning", "2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z"
DETAILS = '"{""ModelId"": ""claude-sonnet-4-5"", ""TokenDirection"": ""Input"", ""TokenCacheAction"": ""Uncached""}"'
FOCUS_ROWS = [
    f"0.75,USD,Usage,{FIRST},{SECOND},{AI},Amazon Bedrock,claude,1.5,1K tokens,USE1-Input-tokens,{DETAILS},acct-1",
    f"2.25,USD,Usage,{FIRST},{SECOND},{AI},Amazon Bedrock,,150,Tokens,USE1-output-tokens,,acct-1",
    f"-0.50,USD,Credit,{FIRST},{SECOND},{AI},Amazon Bedrock,Promotion,,,,,acct-1",
    f"9.99,USD,Usage,{FIRST},{SECOND},Compute,Amazon EC2,server,1,Hours,,,acct-1",
]


def page(results: list[Row], **told: Any) -> bytes:
    """Return a page of OpenAI's with one bucket of a day."""
    bucket = {"object": "bucket", "start_time": MIDNIGHT, "end_time": MIDNIGHT + DAY, "results": results}
    return json.dumps({"object": "page", "data": [bucket], "has_more": False, "next_page": None} | told).encode()


def anthropic(results: list[Row]) -> bytes:
    """Return a page of Anthropic's with one bucket of a day."""
    bucket = {"starting_at": "2026-06-01T00:00:00Z", "ending_at": "2026-06-02T00:00:00Z", "results": results}
    return json.dumps({"data": [bucket], "has_more": False, "next_page": None}).encode()


def read(tmp_path: Path, *contents: bytes, name: str = "report.json", **options: Any) -> VendorReport:
    """Read files with such contents."""
    paths = []
    for place, content in enumerate(contents):
        path = tmp_path / f"{place}-{name}"
        path.write_bytes(content)
        paths.append(path)
    return read_report(paths, "vendor", **options)


def one(report: VendorReport) -> Row:
    """Return the only row."""
    (row,) = report.table.to_pylist()
    return dict(row)


def test_openais_cached_tokens_are_part_of_its_input(tmp_path: Path) -> None:
    """1,000 of input, 600 read from the cache and 100 written to it: 300 are neither. Audio is in one of them."""
    assert (
        UsageCompletionsResponse.model_validate_json(page([COMPLETIONS])).data[0].results[0].object
        == COMPLETIONS["object"]
    )
    row = one(read(tmp_path, page([COMPLETIONS])))
    counts = ("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "output_tokens", "total_tokens")
    assert [row[name] for name in counts] == [300, 600, 100, 50, 1050]
    assert (row["requests"], row["model"], row["project_id"], row["scope"]) == (4, "gpt-5", "proj_1", "completions")
    assert (row["bucket_start"], row["bucket_end"]) == (
        datetime(2026, 6, 1, tzinfo=UTC),
        datetime(2026, 6, 2, tzinfo=UTC),
    )


def test_no_key_and_no_person_is_kept(tmp_path: Path) -> None:
    """A key's identifier becomes a digest; a user's is not read at all."""
    told = json.dumps(read(tmp_path, page([COMPLETIONS])).table.to_pylist(), default=str)
    assert "key_abc" not in told
    assert "user_1" not in told
    assert len(one(read(tmp_path, page([COMPLETIONS])))["credential_digest"]) == 32


def test_openais_costs_are_exact_and_tell_the_model(tmp_path: Path) -> None:
    """0.1 is a tenth, not the nearest float; the line item names the model before the comma."""
    result = {
        "object": "organization.costs.result",
        "amount": {"value": 0.1, "currency": "usd"},
        "line_item": "gpt-5-2025-08-07, cached input",
        "project_id": None,
    }
    assert UsageCostsResponse.model_validate_json(page([result])).data[0].results[0].object == result["object"]
    row = one(read(tmp_path, page([result])))
    assert (row["amount"], row["currency"], row["model"]) == (Decimal("0.1"), "USD", "gpt-5-2025-08-07")
    assert (row["kind"], row["amount_step"]) == ("cost", Decimal("0.01"))


def test_anthropics_amounts_are_cents(tmp_path: Path) -> None:
    """The text 123.45 is 1.2345 dollars, told in steps of a hundredth of a cent."""
    result = {"amount": "123.45", "currency": "USD", "cost_type": "tokens", "model": "claude-sonnet-4-5"}
    row = one(read(tmp_path, anthropic([result | {"workspace_id": None, "description": "Input"}])))
    assert (row["amount"], row["amount_step"]) == (Decimal("1.2345"), Decimal("0.0001"))
    with pytest.raises(ReferenceDataError, match="expected a decimal text of cents, got Decimal"):
        read(tmp_path, anthropic([result | {"amount": 123.45}]))


def test_anthropics_counts_are_disjoint_as_they_come(tmp_path: Path) -> None:
    """And requests are not told, which is not none."""
    result = {
        "uncached_input_tokens": 10,
        "cache_read_input_tokens": 20,
        "cache_creation": {"ephemeral_1h_input_tokens": 3, "ephemeral_5m_input_tokens": 4},
        "output_tokens": 5,
        "model": "claude-sonnet-4-5",
        "workspace_id": "wrkspc_1",
        "service_tier": "standard",
    }
    row = one(read(tmp_path, anthropic([result])))
    assert (row["total_tokens"], row["requests"], row["cache_write_1h_tokens"]) == (42, None, 3)
    assert (row["scope"], row["project_id"]) == ("messages", "wrkspc_1")


def focus(rows: list[str]) -> bytes:
    """Return an export as CSV."""
    return "\n".join([FOCUS_HEADER, *rows, ""]).encode()


@pytest.mark.parametrize("form", ["csv", "gz", "parquet"])
def test_a_focus_export_is_cost_and_usage_in_every_form(tmp_path: Path, form: str) -> None:
    """1.5 thousand tokens are 1,500. Its words say that the second row is output. The server is left out."""
    content = focus(FOCUS_ROWS)
    if form == "gz":
        content = gzip.compress(content)
    if form == "parquet":
        lines = [read_line(line) for line in content.decode().splitlines()]
        table = pa.table({name: [row[place] or None for row in lines[1:]] for place, name in enumerate(lines[0])})
        amounts = [Decimal(row[0]) for row in lines[1:]]
        table = table.set_column(0, "BilledCost", pa.array(amounts, pa.decimal128(20, 2)))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        content = sink.getvalue().to_pybytes()
    report = read(tmp_path, content, name=f"export.{form}")
    rows = report.table.to_pylist()
    usage = [
        (row["model"], row["uncached_input_tokens"], row["output_tokens"]) for row in rows if row["kind"] == "usage"
    ]
    assert usage == [("claude-sonnet-4-5", 1500, None), (None, None, 150)]
    cost = [(row["amount"], row["charge_category"], row["project_id"]) for row in rows if row["kind"] == "cost"]
    assert cost == [
        (Decimal("0.75"), "Usage", "acct-1"),
        (Decimal("2.25"), "Usage", "acct-1"),
        (Decimal("-0.5"), "Credit", "acct-1"),
    ]
    assert report.files[0].left_out == 1


def read_line(line: str) -> list[str]:
    """Return the fields of a line of CSV."""
    return next(csv.reader([line]))


def test_a_service_can_be_named_and_days_without_rows_are_empty(tmp_path: Path) -> None:
    """Of 1 and 3 June there are rows; so nothing was used on the 2nd."""
    later = FOCUS_ROWS[3].replace("06-02T", "06-04T").replace("06-01T", "06-03T")
    report = read(tmp_path, focus([FOCUS_ROWS[3], later]), services=["Amazon EC2"])
    days = [(row["bucket_start"].day, row["is_empty_bucket"], row["amount"]) for row in report.table.to_pylist()]
    assert days == [(1, False, Decimal("9.99")), (3, False, Decimal("9.99")), (2, True, Decimal(0))]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (page([COMPLETIONS | {"input_tokens": -1}]), "1: data/0/results/0/input_tokens: expected a whole number"),
        (page([COMPLETIONS | {"input_tokens": 500}]), "input_cached_tokens: expected parts of the 500 input tokens"),
        (page([COMPLETIONS | {"output_tokens": 1.5}]), "output_tokens: expected a whole number of zero or more"),
        (page([COMPLETIONS | {"model": 5}]), "model: expected a text or null, got 5"),
        (page([COMPLETIONS], has_more=True), "has_more: expected the last page too"),
        (page([]), "expected the results of one report, of which at least one bucket has some"),
        (page([COMPLETIONS, {"object": "organization.costs.result"}]), "expected the results of one report"),
        (page([{"object": "something"}]), "expected a report of usage or costs of OpenAI or Anthropic"),
        (page([COMPLETIONS]).replace(b"1780358400", b"1780272000"), "end_time: expected an end after"),
        (b'{"data": [5]}', "data/0: expected a bucket with a list `results`, got 5"),
        (b"{", "expected JSON, got"),
        (b'{"data": [{"starting_at": "2026-06-01", "results": []}]}', "starting_at: expected an RFC 3339 instant"),
        (focus([FOCUS_ROWS[0].replace("0.75", "much", 1)]), "1: BilledCost: expected a decimal, got 'much'"),
        (focus([FOCUS_ROWS[1].replace("150", "", 1)]), "1: ConsumedQuantity: expected a quantity of zero or more"),
        (focus([FOCUS_ROWS[1].replace(SECOND, FIRST)]), "1: ChargePeriodEnd: expected an instant by ISO"),
        (focus([FOCUS_ROWS[1].replace(FIRST, "4/1/26")]), "1: ChargePeriodStart: expected an instant by ISO 8601"),
        (focus([FOCUS_ROWS[1].replace("USD", "dollars")]), "1: BillingCurrency: expected an ISO 4217 code"),
        (focus([FOCUS_ROWS[1].replace("Usage", "Use")]), "1: ChargeCategory: expected one of Usage"),
        (focus([FOCUS_ROWS[3]]), "ServiceCategory: expected rows of 'AI and Machine Learning'"),
        (b"BilledCost,Other\n1,2\n", "BillingCurrency: expected the column, found none"),
    ],
)
def test_bad_reports_are_refused_whole_by_row_field_and_rule(tmp_path: Path, content: bytes, told: str) -> None:
    """Half a report would look like calls that nobody logged."""
    with pytest.raises(ReferenceDataError) as refused:
        read(tmp_path, content)
    assert told in str(refused.value)
    assert "0-report.json" in str(refused.value)


def test_a_bucket_is_told_once(tmp_path: Path) -> None:
    """The same page twice, whole or among another's, would double what the vendor says."""
    with pytest.raises(ReferenceDataError, match="expected each file once"):
        read(tmp_path, page([COMPLETIONS]), page([COMPLETIONS]))
    with pytest.raises(ReferenceDataError, match="expected each bucket in one file, got 2026-06-01"):
        read(tmp_path, page([COMPLETIONS]), page([COMPLETIONS | {"model": "gpt-5-mini"}]))
    (bucket,) = json.loads(page([COMPLETIONS]))["data"]
    with pytest.raises(ReferenceDataError, match="expected each bucket once"):
        read(tmp_path, json.dumps([bucket, bucket]).encode())


def test_pages_of_one_query_belong_together(tmp_path: Path) -> None:
    """The first page says that there is more, the second one that there is not."""
    later = page([COMPLETIONS]).replace(b"1780358400", b"1780444800").replace(b"1780272000", b"1780358400")
    report = read(tmp_path, page([COMPLETIONS], has_more=True), later)
    (cover,) = report.covers
    assert (cover.buckets, cover.first.day, cover.end.day, cover.partial_days) == (2, 1, 3, ())
