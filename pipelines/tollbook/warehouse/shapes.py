"""Empty files of a contract: where one stands first, columns and types are the contract's, whichever file follows."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from tollbook.contracts import contract
from tollbook.warehouse.state import WarehouseFolder

_NO_DATE = "1970-01-01"


def contract_file(folder: WarehouseFolder, record: str, version: int) -> Path:
    """Write an empty file of a record of the lake and return where it lies, a date partition among its folders."""
    path = _path(folder, record, version)
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = contract(record, version).arrow_schema
    pq.write_table(shape.empty_table(), path, store_decimal_as_integer=True)
    return path


def built_contract_file(folder: WarehouseFolder, record: str, version: int) -> Path:
    """Return the empty file that the last build wrote; one is written where there is none."""
    path = _path(folder, record, version)
    return path if path.exists() else contract_file(folder, record, version)


def _path(folder: WarehouseFolder, record: str, version: int) -> Path:
    return folder.plan.parent / f"{record}_v{version}" / f"event_date={_NO_DATE}" / "empty.parquet"
