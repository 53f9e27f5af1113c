"""Rows as CSV and as Parquet, the same bytes for the same rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.contracts import Contract
from tollbook.exports.cells import safe_text

# Python's own writer quotes a carriage return in some versions only, and bytes must not depend on that.
_NEEDS_QUOTES: Final = re.compile(r'[",\r\n]|^$|^\s|\s$')


def csv_bytes(contract: Contract, rows: Iterable[dict[str, Any]]) -> bytes:
    """Return rows as CSV by RFC 4180, but for lines that end in LF: UTF-8, a header, amounts with every digit.

    Unknown is empty, and a text of nothing is `""`. Texts are safe against formulas; numbers and dates are as they are,
    instants in UTC to the second as FOCUS writes them.

    Args:
        contract: What the rows are; they may hold more.
        rows: Shape (n_rows,).
    """
    lines = [",".join(contract.names), *(",".join(_cell(row[name]) for name in contract.names) for row in rows)]
    return "".join(f"{line}\n" for line in lines).encode()


def parquet_bytes(contract: Contract, rows: Sequence[dict[str, Any]]) -> bytes:
    """Return rows as Parquet in the contract's schema, texts as they were told."""
    sink = pa.BufferOutputStream()
    # Column by column, and with a codec that needs no set-up: statements are many and small, where rows as dictionaries
    # take ten times as long and zstd twice.
    schema = contract.arrow_schema
    columns = [pa.array([row[each.name] for row in rows], each.type) for each in schema]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink, compression="snappy")
    return bytes(sink.getvalue())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}Z"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


@lru_cache(maxsize=65_536)
def _text(value: str) -> str:
    text = safe_text(value)
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text
