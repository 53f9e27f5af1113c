"""Adding columns to a batch without losing where it came from, and columns of one value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa


def with_columns(batch: pa.RecordBatch, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """Return `batch` with `columns` after its own, and with its schema's metadata.

    Args:
        batch: Shape (n,).
        columns: Name to column, each of shape (n,).
    """
    arrays = [*batch.columns, *columns.values()]
    names = [*batch.schema.names, *columns]
    return pa.RecordBatch.from_arrays(arrays, names=names).replace_schema_metadata(batch.schema.metadata)


def same_text(text: str, rows: int) -> pa.DictionaryArray:
    """Return a column that says `text` in every row, dictionary-encoded, shape (rows,)."""
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([text]))
