"""Usage objects as JSON texts, many at once: read by columns where they go together, else one by one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from tollbook.contracts import usage_event
from tollbook.errors import RejectedRecordError
from tollbook.formats.check import Faults
from tollbook.formats.fast_json import reading_type
from tollbook.formats.usage.column_leaves import Mask
from tollbook.formats.usage.columns import FurtherColumns, UsageColumns, normalise_columns
from tollbook.formats.usage.one import COST_ROUNDED, Usage, normalise
from tollbook.formats.usage.table import Flavour

_ALONE_BELOW: Final = 17
_NOTHING: Final = b"{}"
_LONG_NUMBER: Final = re.compile(rb"[0-9.]{16}")
_DECODE: Final = msgspec.json.Decoder(float_hook=Decimal).decode

UsageText = bytes | msgspec.Raw | None


def normalise_texts(texts: Sequence[UsageText], flavour: Flavour, faults: Faults) -> UsageColumns:
    """Return what usage objects of one flavour tell, as `normalise_columns` does.

    Args:
        texts: The objects as JSON, shape (n,); None where there is none, which is a fault.
        flavour: What their fields mean.
        faults: Where faults are noted, shape (n,).
    """
    absent = np.array([text is None for text in texts], bool)
    faults.note(absent, "missing_field", ".".join(flavour.root) or None, "a usage object")
    objects = [_NOTHING if text is None else bytes(text) for text in texts]
    column = _as_structs(objects, absent) if len(objects) >= _ALONE_BELOW else None
    if column is not None:
        try:
            read = normalise_columns(column, flavour, faults)
        except pa.ArrowInvalid:
            pass
        else:
            return _with_exact_costs(read, objects, flavour) if flavour.costs else read
    return _one_by_one(objects, absent, flavour, faults)


def _as_structs(objects: list[bytes], absent: Mask) -> pa.StructArray | None:
    """Return the objects as a column, or None when they are not certainly what a strict reader would read.

    pyarrow's reader takes texts that look like times for times, numbers beyond 64 bits for the nearest float, and makes
    columns that are not sound of lists of nothing but nulls; such objects are left to the strict reader.
    """
    joined = b"\n".join(objects)
    if joined.count(b"\n") != len(objects) - 1 or not all(text.startswith(b"{") for text in objects):
        return None
    try:
        table = pj.read_json(
            pa.BufferReader(joined),
            read_options=pj.ReadOptions(use_threads=False, block_size=max(len(joined) + 1, 64)),
        )
        if table.num_rows != len(objects) or not table.num_columns or not all(map(_is_sure, table.schema.types)):
            return None
        whole = table.combine_chunks()
        arrays = [column.chunk(0) for column in whole.columns]
        return pa.StructArray.from_arrays(arrays, names=whole.column_names, mask=pa.array(absent))
    except pa.ArrowInvalid:
        return None


def _is_sure(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds what the texts said."""
    if pa.types.is_struct(kind):
        return all(_is_sure(kind.field(place).type) for place in range(kind.num_fields))
    if pa.types.is_list(kind):
        return _is_sure(kind.value_type)
    return not pa.types.is_temporal(kind)


def _with_exact_costs(read: UsageColumns, objects: list[bytes], flavour: Flavour) -> UsageColumns:
    """Return usages with costs as they were written: those of more digits than a float holds are read again."""
    rows = [row for row, text in enumerate(objects) if _LONG_NUMBER.search(text)]
    if not rows or "provider_cost" not in read.columns:
        return read
    costs = read.columns["provider_cost"].to_pylist()
    rounded = read.flags.get(COST_ROUNDED, np.zeros(len(objects), bool)).copy()
    for row in rows:
        if costs[row] is None:
            continue
        try:
            one = normalise(_object(objects[row]), flavour)
        except RejectedRecordError:
            continue
        costs[row] = one.fields.get("provider_cost")
        rounded[row] = COST_ROUNDED in one.flags
    columns = {**read.columns, "provider_cost": pa.array(costs, read.columns["provider_cost"].type)}
    flags = {**read.flags, COST_ROUNDED: rounded}
    return dataclasses.replace(
        read, columns=columns, flags={code: where for code, where in flags.items() if where.any()}
    )


def _one_by_one(objects: list[bytes], absent: Mask, flavour: Flavour, faults: Faults) -> UsageColumns:
    read: list[Usage | None] = []
    unknown: dict[str, int] = {}
    for index, text in enumerate(objects):
        usage = None
        if not absent[index]:
            try:
                usage = normalise(_object(text), flavour)
            except RejectedRecordError as wrong:
                where = np.arange(len(objects)) == index
                faults.note(where, wrong.reason, wrong.field, wrong.expected)
        read.append(usage)
        for name in () if usage is None else usage.unknown:
            unknown[name] = unknown.get(name, 0) + 1
    further = [(row, call) for row, usage in enumerate(read) if usage is not None for call in usage.further]
    within = FurtherColumns(
        np.array([row for row, _ in further], np.int64),
        pa.array([call.kind for _, call in further], pa.string()),
        np.array([call.place for _, call in further], np.int64),
        usage_columns([call.usage for _, call in further], {}),
    )
    return dataclasses.replace(usage_columns(read, unknown), further=within if further else None)


def usage_columns(read: Sequence[Usage | None], unknown: dict[str, int]) -> UsageColumns:
    """Return usages that were read one by one as columns, without the calls of their own within them."""
    contract = usage_event()
    names = {name for usage in read if usage is not None for name in usage.fields}
    columns = {
        name: pa.array(
            [None if usage is None else _told(usage.fields.get(name)) for usage in read],
            reading_type(contract.field(name).arrow_type),
        )
        for name in sorted(names)
    }
    codes = {code for usage in read if usage is not None for code in usage.flags}
    flags = {code: np.array([usage is not None and code in usage.flags for usage in read]) for code in sorted(codes)}
    return UsageColumns(columns, flags, unknown)


def _object(text: bytes) -> Any:
    try:
        return _DECODE(text)
    except (msgspec.DecodeError, RecursionError, ArithmeticError):
        raise RejectedRecordError("wrong_type", "usage", "a usage object", "another value") from None


def _told(value: Any) -> Any:
    return sorted(value.items()) if isinstance(value, dict) else value
