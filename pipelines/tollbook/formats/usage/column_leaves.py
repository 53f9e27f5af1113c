"""What a column of usage objects holds: its numbers and texts by path, as `leaves` reads them one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.formats.usage.leaves import MAX_DEPTH, Path, by_rank

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number of each object: `values`, int64 or float64, count where `told`. Shapes (n,).

    `decimals` has them exactly where the column is of decimals: a float of JSON's lost its digits before it came here.
    """

    values: npt.NDArray[np.int64] | npt.NDArray[np.float64]
    told: Mask
    decimals: pa.Array | None = None

    def exact(self, row: int) -> Decimal:
        """Return the number of one object with every digit that the column holds."""
        if self.decimals is not None:
            number: Decimal = self.decimals[row].as_py()
            return number
        return Decimal(str(self.values[row].item()))

    def whole(self, most: int) -> tuple[npt.NDArray[np.int64], Mask]:
        """Return the numbers that are whole and from 0 to `most`, and where they are. Shapes (n,)."""
        fit = self.told & (self.values >= 0) & (self.values <= most)
        if self.values.dtype != np.int64:
            fit &= self.values == np.floor(self.values)
        return np.where(fit, self.values, 0).astype(np.int64), fit


@dataclass(slots=True)
class _Place:
    """What stands at one place of `n` objects; of lists all entries.

    Attributes:
        n: How many objects there are.
        numbers: Numbers, where any object tells one.
        texts: Texts, outside lists.
        not_numbers: Where a text or a truth value stands.
        deep: Where objects lie too deep to be read.
    """

    n: int
    numbers: Numbers | None = None
    texts: pa.Array | None = None
    not_numbers: Mask | None = None
    deep: Mask | None = None

    @property
    def told(self) -> Mask:
        """Which objects tell anything here, shape (n,)."""
        numbers = None if self.numbers is None else self.numbers.told
        masks = [mask for mask in (numbers, self.not_numbers, self.deep) if mask is not None]
        told: Mask = np.any(masks, axis=0) if masks else np.zeros(self.n, bool)
        return told

    def only(self, where: Mask) -> _Place:
        """Return what some of the objects tell here."""
        return _Place(
            self.n,
            None if self.numbers is None else replace(self.numbers, told=self.numbers.told & where),
            None if self.texts is None else pc.if_else(pa.array(where), self.texts, pa.nulls(self.n, pa.string())),
            None if self.not_numbers is None else self.not_numbers & where,
            None if self.deep is None else self.deep & where,
        )

    def beside(self, other: _Place) -> _Place:
        """Return what either tells; no object tells both."""
        numbers = self.numbers or other.numbers
        if self.numbers is not None and other.numbers is not None:
            told, others = self.numbers.told, other.numbers
            decimals = None
            if self.numbers.decimals is not None and others.decimals is not None:
                decimals = pc.if_else(pa.array(told), self.numbers.decimals, others.decimals)
            numbers = Numbers(np.where(told, self.numbers.values, others.values), told | others.told, decimals)
        texts = self.texts if other.texts is None else other.texts
        if self.texts is not None and other.texts is not None:
            texts = pc.coalesce(self.texts, other.texts)
        return _Place(
            self.n, numbers, texts, _either(self.not_numbers, other.not_numbers), _either(self.deep, other.deep)
        )


_Found = dict[Path, _Place]


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
    found: _Found = {}
    for name, child in _children(usage):
        if name != leave_out:
            _walk(found, len(usage), child, None, Path.of(name), keyed, 1)
    named: dict[str, _Place] = {}
    for path in by_rank(found):
        place, before = found[path], named.get(path.name)
        if before is not None:
            taken = before.told
            if (taken & place.told).any():
                named[path.spelling] = place.only(taken)
            place = before.beside(place.only(~taken))
        named[path.name] = place
    return _leaves(len(usage), named)


def _children(column: pa.StructArray) -> list[tuple[str, pa.Array]]:
    """Return the fields of a struct column, null where the struct is."""
    return list(zip((each.name for each in column.type), column.flatten(), strict=True))


def _leaves(n: int, named: Mapping[str, _Place]) -> ColumnLeaves:
    return ColumnLeaves(
        n,
        {name: place.numbers for name, place in named.items() if place.numbers is not None},
        {name: place.texts for name, place in named.items() if place.texts is not None},
        {name: place.not_numbers for name, place in named.items() if place.not_numbers is not None},
        {name: place.deep for name, place in named.items() if place.deep is not None},
    )


def _walk(
    found: _Found, n: int, column: pa.Array, rows: Rows | None, path: Path, keyed: Mapping[str, str], depth: int
) -> None:
    """Note what `column` holds. `rows` has the object of each entry, None where entry and object are one."""
    kind = column.type
    if column.null_count == len(column):
        return
    if not (pa.types.is_struct(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        _note(found.setdefault(path, _Place(n)), column, rows)
    elif depth > MAX_DEPTH:
        place = found.setdefault(path, _Place(n))
        place.deep = _either(place.deep, _by_row(column, rows, n))
    elif pa.types.is_struct(kind):
        for name, child in _children(column):
            _walk(found, n, child, rows, path.key(name), keyed, depth + 1)
    else:
        parents = pc.list_parent_indices(column).to_numpy().astype(np.int64)
        entries = pc.list_flatten(column)
        _walk_entries(found, n, entries, parents if rows is None else rows[parents], path, keyed, depth + 1)


def _walk_entries(
    found: _Found, n: int, entries: pa.Array, rows: Rows, path: Path, keyed: Mapping[str, str], depth: int
) -> None:
    """Note what the entries of lists hold, those with a name under it."""
    key = keyed.get(path.name)
    place = entries.type.get_field_index(key) if key is not None and pa.types.is_struct(entries.type) else -1
    if key is None or place < 0 or not pa.types.is_string(entries.type.field(place).type):
        _walk(found, n, entries, rows, path.entry(), keyed, depth)
        return
    names = entries.flatten()[place]
    for name in pc.unique(names).to_pylist():
        chosen = pc.is_null(names) if name is None else pc.fill_null(pc.equal(names, name), False)
        taken = entries.filter(chosen)
        of = rows[chosen.to_numpy(zero_copy_only=False)]
        if name is None:
            _walk(found, n, taken, of, path.entry(), keyed, depth)
            continue
        entry = path.entry(key, name)
        if depth > MAX_DEPTH:
            found.setdefault(entry, _Place(n)).deep = _by_row(taken, of, n)
            continue
        for child_name, child in _children(taken):
            if child_name != key:
                _walk(found, n, child, of, entry.key(child_name), keyed, depth + 1)


def _note(place: _Place, column: pa.Array, rows: Rows | None) -> None:
    told = _by_row(column, rows, place.n)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        values = column.fill_null(0).cast(pa.int64() if pa.types.is_integer(column.type) else pa.float64()).to_numpy()
        if rows is not None:
            summed = np.zeros(place.n, values.dtype)
            np.add.at(summed, rows, values)
            values = summed
        exact = rows is None and pa.types.is_decimal(column.type)
        place.numbers = Numbers(values, told, column if exact else None)
        return
    if rows is None and pa.types.is_string(column.type):
        place.texts = column
    place.not_numbers = told


def _by_row(column: pa.Array, rows: Rows | None, n: int) -> Mask:
    """Return which objects have an entry that is not null. Shape (n,)."""
    told = _valid(column)
    if rows is None:
        return told
    mask = np.zeros(n, bool)
    mask[rows[told]] = True
    return mask


def _either(one: Mask | None, another: Mask | None) -> Mask | None:
    return another if one is None else one if another is None else one | another


def _valid(column: pa.Array) -> Mask:
    valid: Mask = column.is_valid().to_numpy(zero_copy_only=False)
    return valid
