"""Many usage objects at once, as Arrow columns: the same table, the same counts, the same faults as `one`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.formats.buckets import INPUT_BUCKETS, INPUT_WHOLE, OUTPUT_BUCKETS, OUTPUT_WHOLE
from tollbook.formats.check import Faults
from tollbook.formats.usage.column_leaves import ColumnLeaves, Mask, Numbers, Rows, read_column_leaves
from tollbook.formats.usage.column_parts import Counts, as_map, at_path, joined, told_costs, told_texts, without
from tollbook.formats.usage.leaves import short_name
from tollbook.formats.usage.one import (
    COST_ROUNDED,
    MOST_COUNTED,
    MOST_RAW,
    SPLIT_ASSUMED,
    TOTAL_DIFFERS,
    UNKNOWN_FIELD,
)
from tollbook.formats.usage.table import Flavour


@dataclass(frozen=True, slots=True)
class FurtherColumns:
    """Calls within calls, such as an advisor's.

    Attributes:
        rows: Row of the call that each stands in, ascending, shape (n_further,).
        kinds: Kind of each, shape (n_further,).
        places: Place of each in its list, from 0, shape (n_further,).
        usage: What each used; `model` is null where it is the body's.
    """

    rows: Rows
    kinds: pa.StringArray
    places: Rows
    usage: UsageColumns


@dataclass(frozen=True, slots=True)
class UsageColumns:
    """What `n` calls used, in the fields of events.

    Attributes:
        columns: Field of `usage_event/v1` to column of shape (n,), as in `one.Usage.fields`; null is not told. Fields
            that no call tells are absent. Rows with a fault hold anything.
        flags: Code of `tollbook.formats.reasons.FLAGS` to the rows that carry it, shape (n,).
        unknown: Name of each number that the table has no meaning for to the number of rows that carry it.
        further: Calls of their own that the usage objects tell beside, or None when there are none.
    """

    columns: dict[str, pa.Array]
    flags: dict[str, Mask]
    unknown: dict[str, int] = field(default_factory=dict)
    further: FurtherColumns | None = None


def read_bodies(bodies: pa.StructArray, flavour: Flavour, faults: Faults) -> UsageColumns:
    """Return what response bodies of one flavour tell of their usage, their model and their service tier.

    Args:
        bodies: Bodies, shape (n,). Of each only the usage object and the fields of `flavour.body` are looked at.
        flavour: What their fields mean.
        faults: Where faults are noted, shape (n,).

    Raises:
        ArrowInvalid: As for `normalise_columns`.
    """
    bodies.validate()
    usage = at_path(bodies, flavour.root)
    root = ".".join(flavour.root)
    absent = np.ones(len(bodies), bool) if usage is None else pc.is_null(usage)
    faults.note(absent, "missing_field", root, "a usage object")
    texts = {telling.name: at_path(bodies, telling.name.split(".")) for telling in flavour.body}
    told = told_texts(flavour.body, {name: text for name, text in texts.items() if text is not None})
    read = normalise_columns(pa.nulls(len(bodies), pa.struct([])) if usage is None else usage, flavour, faults)
    return UsageColumns({**told, **read.columns}, read.flags, read.unknown, read.further)


def normalise_columns(usage: pa.Array, flavour: Flavour, faults: Faults) -> UsageColumns:
    """Return what usage objects of one flavour tell, every token in exactly one bucket.

    Args:
        usage: The objects as structs, shape (n,), in the types a JSON reader infers. Null and absent mean not told.
        flavour: What their fields mean.
        faults: Where faults are noted, shape (n,): those for which `one.normalise` refuses an object.

    Raises:
        ArrowInvalid: The column is not sound. pyarrow's JSON reader makes such columns of lists that hold nothing but
            nulls; those objects must be read one by one.
    """
    usage.validate()
    n = len(usage)
    if not pa.types.is_struct(usage.type):
        faults.note(np.ones(n, bool), "wrong_type", ".".join(flavour.root) or None, "a usage object")
        return UsageColumns({}, {})
    faults.note(pc.is_null(usage), "wrong_type", ".".join(flavour.root) or None, "a usage object")
    leaves = read_column_leaves(usage, flavour.keyed, leave_out=flavour.further_list)
    told = _counts(leaves, flavour, faults)
    remainders, assumed = _remainders(told, flavour, faults)
    columns = _event_counts(remainders, told, flavour, n)
    columns |= told_texts(flavour.tells, leaves.texts)
    flags = {SPLIT_ASSUMED: assumed, COST_ROUNDED: np.zeros(n, bool), UNKNOWN_FIELD: np.zeros(n, bool)}
    columns |= told_costs(leaves, flavour, faults, flags[COST_ROUNDED])
    strange = {name: numbers.told for name, numbers in leaves.numbers.items() if flavour.is_unknown(name)}
    strange |= {name: where for name, where in leaves.deep.items() if flavour.is_unknown(name)}
    further = _further(usage, flavour, faults, strange)
    unknown: dict[str, int] = {}
    for name, where in strange.items():
        flags[UNKNOWN_FIELD] |= where
        if where.any():
            unknown[short_name(name)] = unknown.get(short_name(name), 0) + int(where.sum())
    flags[TOTAL_DIFFERS] = _differs(leaves, remainders, flavour)
    raw = _raw(leaves, flavour)
    if raw is not None:
        columns["raw_usage"] = raw
    return UsageColumns(columns, {code: where for code, where in flags.items() if where.any()}, unknown, further)


def _counts(leaves: ColumnLeaves, flavour: Flavour, faults: Faults) -> dict[int, tuple[Counts, Mask]]:
    """Return the counts that any row told, zero where untold, and where they are told, by place."""
    found: dict[int, tuple[Counts, Mask]] = {}
    for place, count in enumerate(flavour.counts):
        read = [
            (name, checked)
            for name in count.names
            if (checked := _checked(leaves, name, faults, rounds_up=count.rounds_up)) is not None
        ]
        values, told = np.zeros(leaves.n, np.int64), np.zeros(leaves.n, bool)
        for name, (other, other_told) in read:
            differs = told & other_told & (values != other)
            faults.note(differs, "invalid_value", name, "equal to its other name")
            values, told = np.where(told, values, other), told | other_told
        if count.required:
            faults.note(~told, "missing_field", count.name, "present")
        if told.any():
            found[place] = values, told
    return found


def _checked(leaves: ColumnLeaves, name: str, faults: Faults, *, rounds_up: bool) -> tuple[Counts, Mask] | None:
    if name in leaves.not_numbers:
        faults.note(leaves.not_numbers[name], "wrong_type", name, "a whole number")
    numbers = leaves.numbers.get(name)
    if numbers is None:
        return None
    if numbers.values.dtype != np.int64:
        broken = ~np.isfinite(numbers.values)
        if not rounds_up:
            broken |= numbers.values != np.floor(numbers.values)
        faults.note(numbers.told & broken, "wrong_type", name, "a whole number")
    beyond = (numbers.values < 0) | (numbers.values > MOST_COUNTED)
    faults.note(numbers.told & beyond, "out_of_range", name, f"0 to {MOST_COUNTED}")
    return Numbers(np.ceil(numbers.values) if rounds_up else numbers.values, numbers.told).whole(MOST_COUNTED)


def _remainders(
    found: Mapping[int, tuple[Counts, Mask]], flavour: Flavour, faults: Faults
) -> tuple[dict[int, Counts], Mask]:
    """Return each count less what is inside it, 0 where untold, and where tokens had to be taken for shared."""
    rows = len(faults.first)
    nothing = np.zeros(rows, bool)
    remainders: dict[int, Counts] = {}
    assumed = nothing.copy()
    for place in flavour.order:
        if place not in found:
            continue
        count = flavour.counts[place]
        values, told = found[place]
        rest = values.copy()
        for part in count.inside:
            if part in remainders:
                rest -= np.where(told, remainders[part], 0)
        for part in count.inside if (rest < 0).any() else ():
            shared = flavour.counts[part].shared_with
            if part not in remainders or shared not in remainders:
                continue
            open_to = found[part][1] & found[shared][1]
            for crossing in flavour.counts[part].crossings:
                open_to = open_to & ~found.get(crossing, (None, nothing))[1]
            given = np.where(open_to, np.minimum(np.minimum(-rest, remainders[part]), remainders[shared]), 0)
            given = np.maximum(given, 0)
            remainders[part] = remainders[part] - given
            rest += given
            assumed |= given > 0
        faults.note(rest < 0, "part_exceeds_whole", count.name, "at least the sum of its parts")
        remainders[place] = rest
    return remainders, assumed


def _event_counts(
    remainders: Mapping[int, Counts], found: Mapping[int, tuple[Counts, Mask]], flavour: Flavour, rows: int
) -> dict[str, pa.Array]:
    """Return the buckets, the wholes and the unit maps."""
    sums: dict[tuple[str, str], tuple[Counts, Mask]] = {}
    for place, rest in remainders.items():
        unit = flavour.counts[place].unit
        key = (unit.counted_in, unit.name)
        values, told = sums.get(key, (np.zeros(rows, np.int64), np.zeros(rows, bool)))
        sums[key] = values + rest, told | found[place][1]
    columns = {name: joined(*each) for (into, name), each in sums.items() if into == "event"}
    for whole, buckets in ((INPUT_WHOLE, INPUT_BUCKETS), (OUTPUT_WHOLE, OUTPUT_BUCKETS)):
        given = [sums["event", name] for name in buckets if ("event", name) in sums]
        if given:
            columns[whole] = joined(
                np.sum([values for values, _ in given], axis=0), np.any([told for _, told in given], axis=0)
            )
    for into in ("tool_calls", "other_units"):
        entries = {name: each for (column, name), each in sums.items() if column == into}
        if entries:
            columns[into] = as_map(entries)
    return columns


def _differs(leaves: ColumnLeaves, remainders: Mapping[int, Counts], flavour: Flavour) -> Mask:
    numbers = leaves.numbers.get(flavour.total) if flavour.total is not None else None
    if numbers is None:
        return np.zeros(leaves.n, bool)
    total, told = numbers.whole(MOST_COUNTED)
    tokens = [rest for place, rest in remainders.items() if flavour.counts[place].unit.consumed_unit == "Tokens"]
    counted = np.sum(tokens, axis=0, dtype=np.int64) if tokens else np.zeros(leaves.n, np.int64)
    differs: Mask = told & (total != counted)
    return differs


def _raw(leaves: ColumnLeaves, flavour: Flavour) -> pa.MapArray | None:
    """Return the counts by the provider's own names, those that the table knows first when there are too many."""
    kept = {}
    known = {}
    for name, numbers in leaves.numbers.items():
        if name in flavour.counted or flavour.is_unknown(name):
            values, told = numbers.whole(MOST_COUNTED)
            if told.any():
                kept[short_name(name)] = values, told
                known[short_name(name)] = name in flavour.counted
    if not kept:
        return None
    if len(kept) > MOST_RAW:
        before = np.zeros(leaves.n, np.int64)
        for name in sorted(kept, key=lambda each: (not known[each], each)):
            values, told = kept[name]
            kept[name] = values, told & (before < MOST_RAW)
            before += told
    return as_map(kept)


def _further(
    usage: pa.StructArray, flavour: Flavour, faults: Faults, strange: dict[str, Mask]
) -> FurtherColumns | None:
    """Return the calls within the calls; note kinds that the table does not know in `strange`."""
    rule = flavour.further
    lists = at_path(usage, (rule.list,)) if rule is not None else None
    if rule is None or lists is None or not pa.types.is_list(lists.type):
        return None
    rows = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    entries = pc.list_flatten(lists)
    if not len(rows):
        return None
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kinds = at_path(entries, (rule.key,)) if pa.types.is_struct(entries.type) else None
    if kinds is None or not pa.types.is_string(kinds.type):
        kinds = pa.nulls(len(rows), pa.string())
    for kind in pc.unique(kinds).to_pylist():
        if kind is None or kind not in rule.inside | rule.beside:
            name = f"{rule.list}[]" if kind is None else f"{rule.list}[{rule.key}={kind}]"
            where = np.zeros(len(usage), bool)
            where[rows[np.array([each == kind for each in kinds.to_pylist()])]] = True
            strange[name] = where | strange.get(name, False)
    beside = pc.is_in(kinds, pa.array(sorted(rule.beside), pa.string()))
    chosen = np.flatnonzero(beside.to_numpy(zero_copy_only=False))
    if not len(chosen):
        return None
    taken = entries.take(pa.array(chosen))
    own = Faults.none(len(chosen))
    models = at_path(taken, (rule.model,))
    read = normalise_columns(without(taken, rule.list), flavour, own)
    columns = dict(read.columns)
    if models is not None and pa.types.is_string(models.type):
        columns["model"] = models
    _carry_over(own, rows[chosen], rule.list, faults)
    return FurtherColumns(
        rows[chosen],
        kinds.take(pa.array(chosen)),
        places[chosen],
        UsageColumns(columns, read.flags, read.unknown),
    )


def _carry_over(own: Faults, rows: Rows, name: str, faults: Faults) -> None:
    """Give a call the fault of the first faulty call in it."""
    for index in np.flatnonzero(own.first >= 0).tolist():
        fault = own.kinds[own.first[index]]
        where = np.arange(len(faults.first)) == rows[index]
        faults.note(where, fault.reason, f"{name}[].{fault.field}", fault.expected)
