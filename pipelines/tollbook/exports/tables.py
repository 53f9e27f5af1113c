"""Rows as CSV and as Parquet, the same bytes for the same rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from types import NoneType
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.contracts import Contract
from tollbook.exports.cells import safe_text

# Python's own writer quotes a carriage return in some versions only, and bytes must not depend on that.
_TO_SECONDS: Final = len("2026-08-01T00:00:00")
_NEEDS_QUOTES: Final = re.compile(r'[",\r\n]|^$|^\s|\s$')


def csv_bytes(contract: Contract, rows: Sequence[dict[str, Any]]) -> bytes:
    """Return rows as CSV by RFC 4180, but for lines that end in LF: UTF-8, a header, amounts with every digit.

    Unknown is empty, and a text of nothing is `""`. Texts are safe against formulas; numbers and dates are as they are,
    instants in UTC to the second as FOCUS writes them.

    Args:
        contract: What the rows are; they may hold more.
        rows: Shape (n_rows,).
    """
    names = contract.names
    columns = (_cells(list(map(itemgetter(name), rows))) for name in names)
    lines = [",".join(names), *map(",".join, zip(*columns, strict=True)), ""]
    return "\n".join(lines).encode()


def parquet_bytes(contract: Contract, rows: Sequence[dict[str, Any]]) -> bytes:
    """Return rows as Parquet in the contract's schema, texts as they were told."""
    return parquet_of(arrow_table(contract, rows))


def arrow_table(contract: Contract, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Return rows as a table in the contract's schema. They may hold more."""
    schema = contract.arrow_schema
    # Column by column: rows as dictionaries take ten times as long.
    columns = [pa.array(list(map(itemgetter(each.name), rows)), each.type) for each in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def parquet_of(table: pa.Table) -> bytes:
    """Return a table, or a slice of one, as Parquet; the same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    # A codec that needs no set-up: statements are many and small, and zstd takes twice as long for them.
    pq.write_table(table, sink, compression="snappy")
    return bytes(sink.getvalue())


def _cells(column: Sequence[Any]) -> list[str]:
    """Return the values of a column as cells. How to write a kind is looked up once, not for each cell."""
    kinds = set(map(type, column))
    write = _kind_writer(kinds - {NoneType})
    if NoneType in kinds:
        return ["" if value is None else write(value) for value in column]
    return list(map(write, column))


def _kind_writer(kinds: Collection[type]) -> Callable[[Any], str]:
    if len(kinds) != 1:
        return _cell
    (kind,) = kinds
    return _WRITERS.get(kind, str)


def _cell(value: Any) -> str:
    return _kind_writer({type(value)})(value)


def _instant(value: datetime) -> str:
    return f"{value.isoformat(timespec='seconds')[:_TO_SECONDS]}Z"


@lru_cache(maxsize=65_536)
def _text(value: str) -> str:
    text = safe_text(value)
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


_WRITERS: Final[Mapping[type, Callable[[Any], str]]] = {str: _text, Decimal: "{:f}".format, datetime: _instant}
