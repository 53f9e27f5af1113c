"""How merged files are encoded: for each column what its values ask for, and more effort than a meter has time for.

Measured on a quarter of a million events of the benchmark's workload: ids are 18.6 bytes with their lengths apart and
20.1 plain, costs 1.7 bytes as differences once the rows are sorted by them and 4.5 before, and what repeats is next to
nothing in a dictionary. Streams of single bytes would be smaller yet, but DuckDB reads them of floats alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

_COMPRESSION_LEVEL: Final = 9
_PAGE_BYTES: Final = 1024 * 1024
_DICTIONARY_BYTES: Final = 4 * 1024 * 1024
_FEW_NUMBERS: Final = 1 / 16
"""Share of distinct numbers up to which a dictionary of them is smaller than their differences."""

_INTEGER_DIGITS: Final = 18
_DISTINCT: Final = 0.5
"""Share of distinct texts from which on a dictionary of them costs more than it saves."""

_STATISTICS: Final = ("occurred_at", "offset", "event_minute", "owner_team", "provider", "model", "commit_number")
"""Columns whose least and greatest values a file tells, so that readers pass over row groups. None names a person."""


def compact_options(rows: pa.Table) -> dict[str, Any]:
    """Return options of `pyarrow.parquet.ParquetWriter` for a file that begins with `rows`."""
    encodings: dict[str, str] = {}
    dictionaries: list[str] = []
    for field in rows.schema:
        encoding = _encoding(rows.column(field.name), field.type)
        if encoding is None:
            dictionaries += _leaves(field)
        else:
            encodings[field.name] = encoding
    return {
        "compression": "zstd",
        "compression_level": _COMPRESSION_LEVEL,
        "use_dictionary": dictionaries,
        "column_encoding": encodings,
        "dictionary_pagesize_limit": _DICTIONARY_BYTES,
        "data_page_size": _PAGE_BYTES,
        "write_statistics": [name for name in _STATISTICS if name in rows.schema.names],
        "store_decimal_as_integer": True,
        "store_schema": False,
    }


def _encoding(values: pa.ChunkedArray, kind: pa.DataType) -> str | None:
    """Return the encoding of a column, None for a dictionary."""
    known = len(values) - values.null_count
    if known == 0 or pa.types.is_nested(kind) or pa.types.is_boolean(kind):
        return None
    distinct = pc.count_distinct(values, mode="only_valid").as_py()
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return "DELTA_LENGTH_BYTE_ARRAY" if distinct > _DISTINCT * known else None
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or _is_stored_as_integer(kind):
        return "DELTA_BINARY_PACKED" if distinct > _FEW_NUMBERS * known else None
    return None


def _is_stored_as_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind)) and kind.precision <= _INTEGER_DIGITS


def _leaves(field: pa.Field) -> Iterator[str]:
    """Yield the paths of the columns that Parquet makes of a field."""
    if pa.types.is_map(field.type):
        yield f"{field.name}.key_value.key"
        yield f"{field.name}.key_value.value"
    elif pa.types.is_list(field.type):
        yield f"{field.name}.list.element"
    else:
        yield field.name
