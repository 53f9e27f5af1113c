"""Writing one immutable Parquet file: whole under its name or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.errors import LakeWriteError
from tollbook.lake.layout import temporary_path
from tollbook.lake.steps import reached

_REPEATING = [
    "source",
    "revision",
    "action",
    "reporter",
    "schema_version",
    "provider",
    "model",
    "requested_model",
    "operation_name",
    "service_tier",
    "region",
    "path",
    "environment",
    "team",
    "workflow",
    "task_id",
    "agent",
    "attempt",
    "purpose",
    "principal_id",
    "credential_id",
    "subscription_id",
    "billing_account_id",
    "project_id",
    "customer_id",
    "release",
    "deployment_id",
    "product",
    "data_class",
    "status",
    "error_type",
    "finish_reason",
    "outcome",
    "usage_basis",
    "provider_cost_currency",
    "accelerator_type",
    "topic",
    "partition",
    "kafka_timestamp",
    "ingested_at",
    "owner_team",
    "owner_cost_center",
    "owner_business_unit",
    "owner_rule",
    "contract_id",
    "cost_basis",
    "unpriced_reason",
    "sku_price_id",
    "catalogue_version",
    "rating_sequence",
    "action_reason",
    "reason",
    "field",
    "expected",
    "got",
    "value_state",
    "rejected_at",
    "event_minute",
    "conversation_id",
    "trace_id",
]
_STATISTICS = ["occurred_at", "offset", "event_minute"]
_COMPRESSION_LEVEL = 1


def write_parquet(lake: Path, relative: str, rows: pa.Table | pa.RecordBatch) -> int:
    """Write `rows` to `relative` below the lake's folder and return the file's size in bytes.

    The bytes are on disk before the name is; the caller syncs the folder before it commits. Decimals of up to 18
    digits are stored as integers. Columns of distinct values, such as ids and counts, are written plain, because a
    dictionary of them only costs time.

    Raises:
        LakeWriteError: The disk is full or read-only; nothing is left under the name.
    """
    try:
        return _write(lake / relative, rows)
    except OSError as failed:
        raise LakeWriteError(f"expected to write {relative} below {lake}, got: {failed.strerror or failed}") from failed


@contextmanager
def parquet_writer(
    lake: Path, relative: str, schema: pa.Schema, options: Mapping[str, Any] | None = None
) -> Iterator[pq.ParquetWriter]:
    """Write `relative` below the lake's folder batch by batch, for rows that are not to be in memory at once.

    The file has its name when the block ends well, and is not there at all when it does not. The bytes are on disk
    before the name is; the caller syncs the folder before it commits.

    Args:
        lake: Folder of the lake.
        relative: Path below it.
        schema: Columns of the rows.
        options: How the file is encoded and compressed; by default as files of the meter are, which is quick.

    Raises:
        LakeWriteError: The disk is full or read-only; nothing is left under the name.
    """
    path = lake / relative
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                with pq.ParquetWriter(file, schema.remove_metadata(), **(options or _options(schema))) as writer:
                    yield writer
                file.flush()
                os.fsync(file.fileno())
            reached("file_written")
            temporary.replace(path)
            reached("file_renamed")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as failed:
        raise LakeWriteError(f"expected to write {relative} below {lake}, got: {failed.strerror or failed}") from failed


def _write(path: Path, rows: pa.Table | pa.RecordBatch) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
    try:
        with temporary.open("wb") as file:
            pq.write_table(table.replace_schema_metadata(None), file, **_options(table.schema))
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        reached("file_written")
        temporary.replace(path)
        reached("file_renamed")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return size


def _options(schema: pa.Schema) -> dict[str, Any]:
    names = set(schema.names)
    return {
        "compression": "zstd",
        "compression_level": _COMPRESSION_LEVEL,
        "use_dictionary": [name for name in _REPEATING if name in names],
        "write_statistics": [name for name in _STATISTICS if name in names],
        "store_decimal_as_integer": True,
        # Without Arrow's own schema a column that came dictionary-encoded reads as the text it is.
        "store_schema": False,
    }
