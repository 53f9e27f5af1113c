"""Exports in FOCUS form, as AWS, Azure and Google Cloud write them: CSV, gzipped CSV or Parquet, read column by column.

A row is cost, and where its consumed unit is tokens also usage. Which tokens they are is told by `SkuPriceDetails`
(`TokenDirection`, `TokenCacheAction`), else by the words of the meter. Rows of other services are left out and counted.
Source: FOCUS 1.2 and 1.4, Cost and Usage; its token details are of the draft of 1.5; read on 2026-11-26.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from tollbook.reconcile.reports.rows import COST, USAGE, Row, Source, amount_and_step, exact_decimal, with_total

SCOPE: Final = "focus"
AI_CATEGORY: Final = "AI and Machine Learning"
_NEEDED: Final = ("BilledCost", "BillingCurrency", "ChargeCategory", "ChargePeriodStart", "ChargePeriodEnd")
_OPTIONAL: Final = (
    *("ServiceCategory", "ServiceName", "ChargeDescription", "ConsumedQuantity", "ConsumedUnit", "SkuMeter"),
    *("SkuPriceDetails", "SubAccountId"),
)
_CATEGORIES: Final = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"
_LISTED: Final = 20
# DuckDB reads `4/1/26` too, as a day of the year 4.
_ISO_DATE: Final = "^20[0-9]{2}-[0-9]{2}-[0-9]{2}"
_DAY: Final = timedelta(days=1)
_LARGEST: Final = 10**18
_RULES: Final = (
    ("ChargePeriodStart", "expected an instant by ISO 8601", "started is null"),
    ("ChargePeriodEnd", "expected an instant by ISO 8601 after ChargePeriodStart", "ended is null or ended <= started"),
    (
        "ChargeCategory",
        f"expected one of {', '.join(_CATEGORIES)}",
        f"ChargeCategory is null or ChargeCategory not in {_CATEGORIES}",
    ),
    ("BilledCost", "expected a decimal", "try_cast(BilledCost as decimal(38, 12)) is null"),
    (
        "BillingCurrency",
        "expected an ISO 4217 code, such as USD",
        "not regexp_full_match(coalesce(BillingCurrency, ''), '[A-Z]{3}')",
    ),
    (
        "ConsumedQuantity",
        "expected a quantity of zero or more beside a unit of tokens",
        f"of_tokens and coalesce(tokens < 0 or tokens >= {_LARGEST}, true)",
    ),
)
"""Field, rule and the condition of a row that breaks it."""
_PREPARED: Final = """
    select
        *,
        case
            when regexp_matches(ChargePeriodStart, $date) then try_cast(ChargePeriodStart as timestamptz)
        end as started,
        case
            when regexp_matches(ChargePeriodEnd, $date) then try_cast(ChargePeriodEnd as timestamptz)
        end as ended,
        regexp_matches(lower(coalesce(ConsumedUnit, '')), '^[0-9]*[km]? *tokens?$') as of_tokens,
        try_cast(ConsumedQuantity as decimal(38, 12))
        * coalesce(try_cast(regexp_extract(ConsumedUnit, '^[0-9]+') as bigint), 1)
        * case lower(regexp_extract(ConsumedUnit, '^[0-9]*([KkMm])', 1))
            when 'k' then 1000 when 'm' then 1000000 else 1
        end as tokens,
        case when json_valid(SkuPriceDetails) then SkuPriceDetails end as details,
        lower(coalesce(SkuMeter, '') || ' ' || coalesce(ChargeDescription, '')) as words
    from told
    where ServiceCategory = $category or list_contains($services, ServiceName)
"""
_TOLD: Final = """
    select
        place, started, ended, BilledCost, BillingCurrency, ChargeCategory, ChargeDescription, SubAccountId,
        of_tokens and ChargeCategory = 'Usage' as of_tokens,
        cast(round(tokens) as bigint) as tokens,
        coalesce(details ->> '$.ModelId', details ->> '$.ModelName', details ->> '$.x_ModelId') as model,
        details ->> '$.ServiceTier' as service_tier,
        case
            when details ->> '$.TokenCacheAction' = 'Read' then 'cache_read_tokens'
            when details ->> '$.TokenCacheAction' = 'Write' then 'cache_write_5m_tokens'
            when details ->> '$.TokenDirection' = 'Output' then 'output_tokens'
            when details ->> '$.TokenDirection' = 'Input' then 'uncached_input_tokens'
            when regexp_matches(words, 'cache[- ]?write|cache[- ]?creation') then 'cache_write_5m_tokens'
            when regexp_matches(words, 'cached|cache[- ]?read|cache[- ]?hit') then 'cache_read_tokens'
            when regexp_matches(words, 'output|response|completion|outp') then 'output_tokens'
            when regexp_matches(words, 'input|prompt|inp') then 'uncached_input_tokens'
            else 'unclassified_tokens'
        end as bucket
    from prepared
    order by place
"""


@dataclass(frozen=True, slots=True)
class FocusExport:
    """What an export holds.

    Attributes:
        rows: `vendor_usage/v1` as rows, without `report_sequence`.
        left_out: Rows of other services.
    """

    rows: list[Row]
    left_out: int


def is_focus(content: bytes) -> bool:
    """Return whether a file is a table: Parquet, gzip, or a text whose first line names FOCUS's columns."""
    return content.startswith((_PARQUET, _GZIP)) or b"BilledCost" in content.split(b"\n", 1)[0]


def read_focus(source: Source, services: Sequence[str] = ()) -> FocusExport:
    """Return the rows of an export that are of AI services; faults are noted in the source.

    Args:
        source: The file.
        services: Names of further services whose rows are taken, whatever their ServiceCategory.
    """
    told = _texts(source)
    if told is None:
        return FocusExport([], 0)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("told", told)
        choice = {"category": AI_CATEGORY, "services": list(services), "date": _ISO_DATE}
        connection.execute(f"create temporary table prepared as {_PREPARED}", choice)
        if _noted(source, connection):
            return FocusExport([], 0)
        answer = connection.execute(_TOLD)
        names = [column[0] for column in answer.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
    if not found:
        source.fault(1, ("ServiceCategory",), f"expected rows of {AI_CATEGORY!r}, or of a service named by --service")
    rows = [row for each in found for row in _rows(source, each)]
    return FocusExport([*rows, *_empty_days(source, rows)], told.num_rows - len(found))


def _texts(source: Source) -> pa.Table | None:
    """Return the columns that are read as texts, with the number of each row; None where some are missing."""
    try:
        if source.content.startswith(_PARQUET):
            table = pq.read_table(pa.BufferReader(source.content))
        else:
            compression = "gzip" if source.content.startswith(_GZIP) else None
            with pa.input_stream(io.BytesIO(source.content), compression=compression) as stream:
                names = pv.open_csv(stream).schema.names
            with pa.input_stream(io.BytesIO(source.content), compression=compression) as stream:
                texts = pv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=["", "NULL"]
                )
                table = pv.read_csv(
                    stream, convert_options=texts, parse_options=pv.ParseOptions(newlines_in_values=True)
                )
    except (pa.ArrowInvalid, OSError, EOFError) as broken:
        source.fault(1, (), f"expected a CSV or Parquet file in FOCUS form, got: {broken}")
        return None
    missing = [name for name in _NEEDED if name not in table.column_names]
    if "ServiceCategory" not in table.column_names and "ServiceName" not in table.column_names:
        missing.append("ServiceCategory")
    for name in missing:
        source.fault(1, (name,), "expected the column, found none")
    if missing:
        return None
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("export", table)
        columns = ", ".join(
            f'cast("{name}" as varchar) as {name}' if name in table.column_names else f"cast(null as varchar) as {name}"
            for name in (*_NEEDED, *_OPTIONAL)
        )
        return connection.execute(f"select row_number() over () as place, {columns} from export").to_arrow_table()


def _noted(source: Source, connection: duckdb.DuckDBPyConnection) -> bool:
    """Note the rows that break a rule, of each rule the first ones; return whether there are any."""
    for name, rule, condition in _RULES:
        query = f"select place, {name} from prepared where {condition} order by place limit {_LISTED}"
        for place, came in connection.execute(query).fetchall():
            source.fault(place, (name,), rule, "nothing" if came is None else came)
    return bool(source.faults)


def _rows(source: Source, told: dict[str, Any]) -> Iterator[Row]:
    start, end = told["started"].astimezone(UTC), told["ended"].astimezone(UTC)
    common = {"model": told["model"], "project_id": told["SubAccountId"], "service_tier": told["service_tier"]}
    if told["of_tokens"]:
        counts = with_total({told["bucket"]: told["tokens"]})
        yield source.row(told["place"], USAGE, SCOPE, start, end, **common, **counts)
    amount = exact_decimal(told["BilledCost"])
    if amount is not None:
        yield source.row(
            told["place"],
            COST,
            SCOPE,
            start,
            end,
            **common,
            **amount_and_step(amount),
            currency=told["BillingCurrency"],
            charge_category=told["ChargeCategory"],
            line_item=told["ChargeDescription"],
        )


def _empty_days(source: Source, rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the days between the first and the last of an export in which it has nothing: nothing was used then."""
    for kind in (USAGE, COST):
        mine = [row for row in rows if row["kind"] == kind]
        held = {day for row in mine for day in _days(row["bucket_start"], row["bucket_end"])}
        day = min(held, default=None)
        while day is not None and day < max(held):
            if day not in held:
                yield source.empty(0, kind, SCOPE, day, day + _DAY)
            day += _DAY


def _days(start: datetime, end: datetime) -> Iterator[datetime]:
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        yield day
        day += _DAY
