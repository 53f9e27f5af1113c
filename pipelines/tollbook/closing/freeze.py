"""Freezing: what a billing period holds in the published file, as files of the lake that never change."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from tollbook.closing.closes import FrozenTotals
from tollbook.closing.frozen import CHARGE_ORIGINS, CHARGES, INVOICE_LINES, LINEAGE, digest_of, sha256_of
from tollbook.contracts import contract
from tollbook.exports.lines import read_period
from tollbook.exports.tables import csv_bytes
from tollbook.settings import Settings

ACCRUALS, STATEMENT_LINES = "accruals", "statement_lines"

_TABLES: Final[Mapping[str, tuple[str, str, str]]] = {
    CHARGES: ("finance.fct_charges", "billing_period_start", "charge_id, pricing_currency"),
    CHARGE_ORIGINS: ("finance.fct_charge_origins", "billing_period_start", "charge_id"),
    INVOICE_LINES: ("finance.fct_invoice_lines", "booked_period_start", "vendor, invoice_id, line_id"),
    LINEAGE: ("audit.fct_lineage", "billing_period_start", "charge_id, pricing_currency, lineage_kind, lineage_number"),
    ACCRUALS: ("finance.fct_accruals", "billing_period_start", "obligation, billing_currency"),
}
"""Role to table, the column of its period, and an order that leaves nothing open."""
_TOTALS: Final = """
    select
        count(*) as charges,
        sum(calls)::bigint as calls,
        coalesce(sum(total_tokens), 0)::bigint as tokens,
        sum(unpriced_calls)::bigint as unpriced_calls,
        coalesce(sum(list_cost) filter (where charge_kind = 'usage'), 0)::decimal(38, 12)::varchar as list_cost,
        coalesce(sum(contracted_cost), 0)::decimal(38, 12)::varchar as contracted_cost,
        coalesce(sum(effective_cost), 0)::decimal(38, 12)::varchar as effective_cost,
        coalesce(sum(billed_cost), 0)::decimal(38, 12)::varchar as billed_cost
    from finance.fct_charges
    where billing_period_start = ?
"""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a period holds, as bytes.

    Attributes:
        contents: File name to bytes.
        rows: File name to rows.
        totals: Sums over its charges.
    """

    contents: Mapping[str, bytes]
    rows: Mapping[str, int]
    totals: FrozenTotals

    @property
    def digest(self) -> str:
        """SHA-256 over the names and digests of the files."""
        return digest_of((name, sha256_of(content)) for name, content in self.contents.items())


def freeze(settings: Settings, published: duckdb.DuckDBPyConnection, period: str) -> Frozen:
    """Return what a period holds in the published file; the same rows give the same bytes.

    Args:
        settings: Where the book lives.
        published: The published file.
        period: Billing period, `YYYY-MM`.

    Raises:
        MisuseError: Nothing was charged in it.
    """
    start = date.fromisoformat(f"{period}-01")
    held = read_period(settings, period)
    contents = {f"{STATEMENT_LINES}.csv": csv_bytes(contract("statement_line"), held.lines)}
    rows = {f"{STATEMENT_LINES}.csv": len(held.lines)}
    with tempfile.TemporaryDirectory() as folder:
        for role, (table, column, order) in _TABLES.items():
            path = Path(folder) / f"{role}.parquet"
            ((count,),) = published.execute(
                f"copy (select * from {table} where {column} = date '{start}' order by {order}) "
                f"to '{_quoted(path)}' (format parquet, compression zstd, row_group_size 1000000)"
            ).fetchall()
            contents[path.name], rows[path.name] = path.read_bytes(), count
    answer = published.execute(_TOTALS, [start])
    names = [column[0] for column in answer.description]
    (row,) = answer.fetchall()
    return Frozen(contents, rows, FrozenTotals(**dict(zip(names, row, strict=True))))


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
