"""The fast path: many native JSON records at once, by pyarrow's JSON reader.

That reader takes invalid UTF-8, `null`, a line break inside a record and two documents in one without a word, so what
it made is believed only under the checks of `read_many`. Whatever fails them is left to the strict path.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from tollbook.contracts import Contract

_OPEN, _CLOSE, _NEWLINE = b"{}\n"
_MAX_MAP_KEYS = 256
_MAX_INFERRED = 512
# pyarrow's decimal parser reads out of bounds on exponents of millions, so such numbers never reach it.
_LONG_EXPONENT = re.compile(rb"[0-9.][eE][+-]?[0-9]{4}")


class TooManyFieldsError(Exception):
    """The records carry too many different fields to be read into columns: each would cost memory for every row."""


class FastJsonReader:
    """Reads native JSON into columns of one contract.

    It remembers which fields the records carry: telling the reader of those, and of no others, halves its work, since
    most of a contract's fields are absent from most traffic. One instance serves one thread.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._wanted = {each.name: reading_type(each.arrow_type) for each in contract.fields}
        self._maps = {each.name: each.arrow_type for each in contract.fields if pa.types.is_map(each.arrow_type)}
        self._seen: list[str] = [each.name for each in contract.fields if each.required]
        self._map_keys: dict[str, list[str]] = {}

    def read_many(self, values: pa.BinaryArray) -> tuple[pa.RecordBatch, frozenset[str]] | None:
        """Return the records' fields as they were told, or None when any record is not certainly right.

        Args:
            values: Records, shape (n,), none null. Each must pass `plausible`.

        Returns:
            The contract's columns, shape (n,), times and decimals as their reading types, absent ones missing from the
            table; and the names of fields that the contract does not have.

        Raises:
            TooManyFieldsError: Hundreds of different fields, such as an object keyed by ids.
        """
        try:
            values.cast(pa.string())
            joined = _join(values)
            table = self._read(joined)
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(values) or not _all_finite(table):
            return None
        unknown = frozenset(name for name in table.column_names if name not in self._wanted)
        return table.combine_chunks().to_batches()[0], unknown

    def _read(self, joined: pa.Buffer) -> pa.Table:
        table = self._parse(joined)
        if _leaves(table.schema) > _MAX_INFERRED:
            raise TooManyFieldsError
        fresh = [name for name in table.column_names if name in self._wanted and name not in self._seen]
        grown = self._grow_maps(table)
        self._seen.extend(name for name in fresh if name not in self._maps)
        mistaken = any(table.schema.field(name).type != self._wanted[name] for name in fresh if name not in self._maps)
        return self._parse(joined) if mistaken or grown else table

    def _grow_maps(self, table: pa.Table) -> bool:
        """Note the keys of map fields whose values were not read as the contract's type; say whether any were."""
        grown = False
        for name, kind in self._maps.items():
            if name not in table.column_names:
                continue
            struct = table.schema.field(name).type
            if pa.types.is_null(struct):
                continue
            if not pa.types.is_struct(struct) or struct.num_fields > _MAX_MAP_KEYS:
                raise pa.ArrowInvalid(f"{name} is not an object of few keys")
            keys = [struct.field(i).name for i in range(struct.num_fields) if struct.field(i).type != kind.item_type]
            new = [key for key in keys if key not in self._map_keys.get(name, ())]
            if new:
                self._map_keys.setdefault(name, []).extend(new)
                del self._map_keys[name][:-_MAX_MAP_KEYS]
                grown = True
        return grown

    def _parse(self, joined: pa.Buffer) -> pa.Table:
        fields = [pa.field(name, self._wanted[name]) for name in self._seen]
        if any(pa.types.is_decimal(each.type) for each in fields) and _LONG_EXPONENT.search(memoryview(joined)):
            raise pa.ArrowInvalid("a number has an exponent of four digits")
        for name, keys in self._map_keys.items():
            fields.append(pa.field(name, pa.struct([pa.field(key, self._maps[name].item_type) for key in keys])))
        return pj.read_json(
            pa.BufferReader(joined),
            read_options=pj.ReadOptions(use_threads=False, block_size=max(joined.size + 1, 64)),
            parse_options=pj.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="infer"),
        )


def plausible(values: pa.BinaryArray, *, max_record_bytes: int) -> np.ndarray:
    """Return which records may go on the fast path: `{` first, `}` last, no line break, within the limit.

    With these, a joined text has as many rows as records only when each record is one document: white space cannot
    vanish, and a document cannot reach over a line break into its neighbour.

    Args:
        values: Records, shape (n,), none null.
        max_record_bytes: Largest record. Unit: Bytes.

    Returns:
        Booleans, shape (n,).
    """
    offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    sizes = np.diff(offsets)
    good: np.ndarray = (sizes >= 2) & (sizes <= max_record_bytes)
    first = data[np.where(good, offsets[:-1], 0)] if data.size else np.zeros(len(values), np.uint8)
    last = data[np.where(good, offsets[1:] - 1, 0)] if data.size else np.zeros(len(values), np.uint8)
    good &= (first == _OPEN) & (last == _CLOSE)
    breaks = np.flatnonzero(data[offsets[0] : offsets[-1]] == _NEWLINE) + offsets[0]
    if breaks.size:
        good[np.searchsorted(offsets, breaks, side="right") - 1] = False
    return good


def struct_to_map(column: pa.StructArray, kind: pa.MapType) -> pa.MapArray:
    """Return an object column as a map, keys in order of name, absent and null entries left out.

    Args:
        column: Objects as structs, shape (n,), each child of `kind`'s item type.
        kind: The map type to make.
    """
    n = len(column)
    order = sorted(range(column.type.num_fields), key=lambda i: column.type.field(i).name)
    children = [column.field(i) for i in order]
    outer = column.is_valid().to_numpy(zero_copy_only=False)
    present = np.array([child.is_valid().to_numpy(zero_copy_only=False) & outer for child in children], bool)
    present = present.reshape(len(children), n)
    rows, which = np.nonzero(present.T)
    stacked = (
        pa.concat_arrays([child.cast(kind.item_type) for child in children])
        if children
        else pa.array([], kind.item_type)
    )
    items = stacked.take(pa.array(which * n + rows))
    names = pa.array([column.type.field(i).name for i in order], pa.string())
    keys = names.take(pa.array(which))
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=0))]).astype(np.int32)
    mask = None if outer.all() else pa.array(~outer)
    return _map_from(offsets, keys, items, mask, kind)


def _map_from(
    offsets: np.ndarray, keys: pa.Array, items: pa.Array, mask: pa.Array | None, kind: pa.MapType
) -> pa.MapArray:
    entries = pa.StructArray.from_arrays([keys, items], fields=[kind.key_field, kind.item_field])
    validity = None if mask is None else pc.invert(mask).buffers()[1]
    return pa.Array.from_buffers(kind, len(offsets) - 1, [validity, pa.py_buffer(offsets)], children=[entries])


def reading_type(kind: pa.DataType) -> pa.DataType:
    """Return the type a field is read as: times as text, so that a missing zone is seen; integers at full width."""
    if pa.types.is_timestamp(kind):
        return pa.string()
    return pa.int64() if pa.types.is_integer(kind) else kind


def _leaves(schema: pa.Schema) -> int:
    """Return how many columns a schema has when its objects and lists are taken apart, however deep they are."""
    waiting = list(schema.types)
    leaves = 0
    while waiting:
        kind = waiting.pop()
        if pa.types.is_struct(kind):
            waiting.extend(kind.field(index).type for index in range(kind.num_fields))
        elif pa.types.is_list(kind):
            waiting.append(kind.value_type)
        leaves += 1
    return leaves


def _all_finite(table: pa.Table) -> bool:
    """Say whether no number is NaN or infinite, words that are not JSON but that pyarrow's reader takes."""
    floats = (column for column in table.columns if pa.types.is_floating(column.type))
    return all(pc.all(pc.is_finite(column)).as_py() is not False for column in floats)


def _join(values: pa.BinaryArray) -> pa.Buffer:
    everything = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    return pc.binary_join(everything, b"\n")[0].as_buffer()
