"""What a column of usage objects holds: its numbers and texts by path, as `leaves` reads them one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.formats.usage.leaves import MAX_DEPTH

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number of each object: `values`, int64 or float64, count where `told`. Shapes (n,)."""

    values: npt.NDArray[np.int64] | npt.NDArray[np.float64]
    told: Mask

    def whole(self, most: int) -> tuple[npt.NDArray[np.int64], Mask]:
        """Return the numbers that are whole and from 0 to `most`, and where they are. Shapes (n,)."""
        fit = self.told & (self.values >= 0) & (self.values <= most)
        if self.values.dtype != np.int64:
            fit &= self.values == np.floor(self.values)
        return np.where(fit, self.values, 0).astype(np.int64), fit


@dataclass(slots=True)
class ColumnLeaves:
    """The values of `n` usage objects.

    Attributes:
        numbers: Path to numbers; entries of one list that share a path are added up.
        texts: Path to texts, outside lists; null where an object tells none.
        not_numbers: Path to where a text or a truth value stands.
        deep: Path to where objects lie too deep to be read.
    """

    n: int
    numbers: dict[str, Numbers] = field(default_factory=dict)
    texts: dict[str, pa.Array] = field(default_factory=dict)
    not_numbers: dict[str, Mask] = field(default_factory=dict)
    deep: dict[str, Mask] = field(default_factory=dict)


def read_column_leaves(
    usage: pa.StructArray, keyed: Mapping[str, str], *, leave_out: str | None = None
) -> ColumnLeaves:
    """Return the values in a column of usage objects; null objects and null values leave nothing.

    Args:
        usage: The objects, shape (n,).
        keyed: List to the field of its entries that names them.
        leave_out: Field that is read elsewhere.
    """
    leaves = ColumnLeaves(len(usage))
    for name, child in _children(usage):
        if name != leave_out:
            _walk(leaves, child, None, name, keyed, 1)
    return leaves


def _children(column: pa.StructArray) -> list[tuple[str, pa.Array]]:
    """Return the fields of a struct column, null where the struct is."""
    return list(zip((each.name for each in column.type), column.flatten(), strict=True))


def _walk(
    leaves: ColumnLeaves, column: pa.Array, rows: Rows | None, path: str, keyed: Mapping[str, str], depth: int
) -> None:
    """Note what `column` holds. `rows` has the object of each entry, None where entry and object are one."""
    kind = column.type
    if column.null_count == len(column):
        return
    if not (pa.types.is_struct(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        _note(leaves, column, rows, path)
    elif depth > MAX_DEPTH:
        leaves.deep[path] = _by_row(column, rows, leaves.n) | leaves.deep.get(path, np.zeros(leaves.n, bool))
    elif pa.types.is_struct(kind):
        for name, child in _children(column):
            _walk(leaves, child, rows, f"{path}.{name}", keyed, depth + 1)
    else:
        parents = pc.list_parent_indices(column).to_numpy().astype(np.int64)
        entries = pc.list_flatten(column)
        _walk_entries(leaves, entries, parents if rows is None else rows[parents], path, keyed, depth + 1)


def _walk_entries(
    leaves: ColumnLeaves, entries: pa.Array, rows: Rows, path: str, keyed: Mapping[str, str], depth: int
) -> None:
    """Note what the entries of lists hold, those with a name under it."""
    key = keyed.get(path)
    place = entries.type.get_field_index(key) if key is not None and pa.types.is_struct(entries.type) else -1
    if place < 0 or not pa.types.is_string(entries.type.field(place).type):
        _walk(leaves, entries, rows, f"{path}[]", keyed, depth)
        return
    names = entries.flatten()[place]
    for name in pc.unique(names).to_pylist():
        chosen = pc.is_null(names) if name is None else pc.fill_null(pc.equal(names, name), False)
        taken = entries.filter(chosen)
        of = rows[chosen.to_numpy(zero_copy_only=False)]
        if name is None:
            _walk(leaves, taken, of, f"{path}[]", keyed, depth)
            continue
        if depth > MAX_DEPTH:
            leaves.deep[f"{path}[{key}={name}]"] = _by_row(taken, of, leaves.n)
            continue
        for child_name, child in _children(taken):
            if child_name != key:
                _walk(leaves, child, of, f"{path}[{key}={name}].{child_name}", keyed, depth + 1)


def _note(leaves: ColumnLeaves, column: pa.Array, rows: Rows | None, path: str) -> None:
    told = _valid(column)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        values = column.fill_null(0).cast(pa.int64() if pa.types.is_integer(column.type) else pa.float64()).to_numpy()
        if rows is not None:
            summed = np.zeros(leaves.n, values.dtype)
            np.add.at(summed, rows, values)
            values = summed
        leaves.numbers[path] = Numbers(values, _by_row(column, rows, leaves.n))
        return
    if rows is None and pa.types.is_string(column.type):
        leaves.texts[path] = column
    leaves.not_numbers[path] = told if rows is None else _by_row(column, rows, leaves.n)


def _by_row(column: pa.Array, rows: Rows | None, n: int) -> Mask:
    """Return which objects have an entry that is not null. Shape (n,)."""
    told = _valid(column)
    if rows is None:
        return told
    mask = np.zeros(n, bool)
    mask[rows[told]] = True
    return mask


def _valid(column: pa.Array) -> Mask:
    valid: Mask = column.is_valid().to_numpy(zero_copy_only=False)
    return valid
