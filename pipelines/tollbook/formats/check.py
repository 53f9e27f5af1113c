"""Whether events that could be read also keep the contract: ranges, lengths, allowed values, required fields, times.

Both paths of decoding end here, so the fast one cannot be more lenient than the strict one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import Contract, Field

EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=1)
UTC_MICROSECONDS = pa.timestamp("us", "UTC")
_INT32_MAX = 2**31 - 1
_TOO_FINE = r"(\.[0-9]{6})[0-9]+"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row: a code of `reasons.REASONS`, the field, and what was expected of it."""

    reason: str
    field: str | None
    expected: str


@dataclass(slots=True)
class Faults:
    """The first fault of each row.

    Attributes:
        first: Index into `kinds` for each row, -1 for a row without a fault. Shape (n_events,).
        kinds: The different faults that were found.
    """

    first: np.ndarray
    kinds: list[Fault] = field(default_factory=list)

    @classmethod
    def none(cls, rows: int) -> Faults:
        """Return the faults of `rows` rows that have none."""
        return cls(np.full(rows, -1, np.int32))

    def note(self, wrong: np.ndarray | pa.Array, reason: str, name: str | None, expected: str) -> None:
        """Give `reason` to the rows of `wrong` that have no fault yet. A null in `wrong` is no fault."""
        mask = wrong if isinstance(wrong, np.ndarray) else as_mask(wrong)
        fresh = mask & (self.first < 0)
        if fresh.any():
            self.first[fresh] = len(self.kinds)
            self.kinds.append(Fault(reason, name, expected))

    def __bool__(self) -> bool:
        return bool(self.kinds)


def as_mask(booleans: pa.Array) -> np.ndarray:
    """Return an Arrow boolean array as numpy, nulls as False. Shape (n,)."""
    filled: np.ndarray = booleans.fill_null(False).to_numpy(zero_copy_only=False)
    return filled


def check_fields(
    told: dict[str, pa.Array], rows: int, contract: Contract, faults: Faults, *, now: datetime
) -> dict[str, pa.Array]:
    """Note what is wrong with each event and return its fields in the contract's types.

    Args:
        told: Fields as they were told, times as text, each (n_events,); those that none carries may be absent.
        rows: n_events.
        contract: What they are held against.
        faults: Where faults are noted, shape (n_events,).
        now: The clock, for times too far ahead.

    Returns:
        Field to column, shape (n_events,), defaults filled in, without the fields that no event carries and that have
        no default. Rows with a fault hold anything.
    """
    columns: dict[str, pa.Array] = {}
    for each in contract.fields:
        column = told.get(each.name)
        if column is None or column.null_count == rows:
            if each.required:
                faults.note(np.ones(rows, bool), "missing_field", each.name, "present")
            elif each.default is not None:
                columns[each.name] = pa.repeat(pa.scalar(each.default, each.arrow_type), rows)
            continue
        if each.required and column.null_count:
            faults.note(column.is_null(), "missing_field", each.name, "present")
        column = _check_field(each, column, faults, now)
        if each.default is not None and column.null_count:
            column = column.fill_null(each.default)
        columns[each.name] = column
    _check_together(columns, rows, faults)
    return columns


def _check_field(each: Field, column: pa.Array, faults: Faults, now: datetime) -> pa.Array:
    kind = each.arrow_type
    if pa.types.is_string(kind):
        _check_text(each, column, faults)
    elif pa.types.is_timestamp(kind):
        return _check_time(each, column, faults, now)
    elif pa.types.is_integer(kind):
        return _check_integer(each, column, faults)
    elif pa.types.is_decimal(kind):
        faults.note(pc.less(column, pa.scalar(0, kind)), "out_of_range", each.name, "zero or more")
    elif pa.types.is_floating(kind):
        wrong = pc.or_(pc.less_equal(column, 0.0), pc.greater(column, float(each.maximum or 1)))
        faults.note(wrong, "out_of_range", each.name, f"above 0 and up to {each.maximum}")
    elif pa.types.is_map(kind):
        _check_map(each, column, faults)
    return column


def _check_text(each: Field, column: pa.StringArray, faults: Faults) -> None:
    lengths = pc.min_max(pc.binary_length(column)).as_py()
    if lengths["min"] == 0 and each.required:
        faults.note(pc.equal(pc.binary_length(column), 0), "missing_field", each.name, "not empty")
    if each.max_length is not None and lengths["max"] > each.max_length:
        too_long = pc.greater(pc.utf8_length(column), each.max_length)
        faults.note(too_long, "too_long", each.name, f"at most {each.max_length} characters")
    if each.enum is not None:
        allowed = pc.is_in(column, pa.array([*each.enum, None], pa.string()))
        faults.note(pc.invert(allowed), "invalid_value", each.name, "one of " + ", ".join(each.enum))
    if each.pattern is not None:
        matches = pc.match_substring_regex(column, each.pattern)
        faults.note(pc.invert(matches), "invalid_value", each.name, f"like {each.pattern}")


def _check_integer(each: Field, column: pa.Int64Array, faults: Faults) -> pa.Array:
    if each.enum is not None:
        known = pc.is_in(column, pa.array([*each.enum, None], column.type))
        faults.note(pc.invert(known), "unsupported_schema_version", each.name, f"one of {list(each.enum)}")
    low = each.minimum or 0
    high = each.maximum if each.maximum is not None else _INT32_MAX
    found = pc.min_max(column).as_py()
    if found["min"] < low or found["max"] > high:
        wrong = pc.or_(pc.less(column, low), pc.greater(column, high))
        faults.note(wrong, "out_of_range", each.name, f"{low} to {high}")
        column = pc.if_else(pc.fill_null(wrong, False), pa.scalar(None, column.type), column)
    return column.cast(each.arrow_type)


def _check_time(each: Field, column: pa.StringArray, faults: Faults, now: datetime) -> pa.Array:
    try:
        times = column.cast(UTC_MICROSECONDS)
    except pa.ArrowInvalid:
        times = _times_one_by_one(pc.replace_substring_regex(column, _TOO_FINE, r"\1"))
        invalid = pc.and_(column.is_valid(), times.is_null())
        faults.note(invalid, "invalid_time", each.name, "an RFC 3339 time with a zone, such as 2026-06-01T12:00:00Z")
        if times.null_count == len(times):
            return times
    latest = now + MAX_AHEAD
    # As numbers, since Arrow knows years that Python does not.
    found = pc.min_max(times.cast(pa.int64())).as_py()
    if found["min"] < _microseconds(EARLIEST) or found["max"] > _microseconds(latest):
        early = pc.less(times, pa.scalar(EARLIEST, UTC_MICROSECONDS))
        ahead = pc.greater(times, pa.scalar(latest, UTC_MICROSECONDS))
        limits = f"from {EARLIEST:%Y-%m-%d} to a day after {now:%Y-%m-%dT%H:%M:%SZ}"
        faults.note(pc.or_(early, ahead), "time_out_of_range", each.name, limits)
    return times


def _microseconds(moment: datetime) -> int:
    return int(pa.scalar(moment, UTC_MICROSECONDS).value)


def _times_one_by_one(column: pa.StringArray) -> pa.Array:
    values = []
    for scalar in column:
        try:
            values.append(scalar.cast(UTC_MICROSECONDS).value)
        except pa.ArrowInvalid:
            values.append(None)
    return pa.array(values, pa.int64()).cast(UTC_MICROSECONDS)


def _check_map(each: Field, column: pa.MapArray, faults: Faults) -> None:
    limits = each.map_limits
    if limits is None:
        raise TypeError(f"contract field {each.name} is a map without limits")
    offsets = column.offsets.to_numpy()
    sizes = np.diff(offsets)
    faults.note(sizes > limits.entries, "too_long", each.name, f"at most {limits.entries} entries")
    rows = np.repeat(np.arange(len(column)), sizes)
    keys = column.keys.slice(offsets[0], offsets[-1] - offsets[0])
    items = column.items.slice(offsets[0], offsets[-1] - offsets[0])

    def note(wrong: pa.Array, reason: str, expected: str) -> None:
        mask = np.zeros(len(column), bool)
        mask[rows[as_mask(wrong)]] = True
        faults.note(mask, reason, each.name, expected)

    note(
        pc.greater(pc.utf8_length(keys), limits.key_length),
        "too_long",
        f"keys of at most {limits.key_length} characters",
    )
    if limits.item_length is not None:
        too_long = pc.greater(pc.utf8_length(items), limits.item_length)
        note(too_long, "too_long", f"values of at most {limits.item_length} characters")
    if limits.item_maximum is not None:
        wrong = pc.or_(pc.less(items, 0), pc.greater(items, limits.item_maximum))
        note(wrong, "out_of_range", f"values from 0 to {limits.item_maximum}")


def _check_together(columns: dict[str, pa.Array], rows: int, faults: Faults) -> None:
    """Hold fields against each other, as the schema's `allOf` does."""
    action = columns["action"]
    is_void = pc.equal(action, "void")
    changes = pc.is_in(action, pa.array(["void", "replace"]))
    for name in ("provider", "model"):
        absent = _absent(columns, name, rows)
        faults.note(pc.and_(absent, pc.invert(is_void)), "missing_field", name, "present unless `action` is void")
    if pc.any(changes).as_py():
        faults.note(
            pc.and_(changes, _absent(columns, "action_reason", rows)),
            "missing_field",
            "action_reason",
            "present with this action",
        )
        faults.note(
            pc.and_(changes, pc.less(columns["revision"], 1)),
            "out_of_range",
            "revision",
            "1 or more with this action",
        )
    if "provider_cost" in columns:
        lone = pc.and_(columns["provider_cost"].is_valid(), _absent(columns, "provider_cost_currency", rows))
        faults.note(lone, "missing_field", "provider_cost_currency", "present with `provider_cost`")


def _absent(columns: dict[str, pa.Array], name: str, rows: int) -> pa.Array:
    column = columns.get(name)
    if column is None:
        return pa.repeat(True, rows)
    return pc.or_kleene(column.is_null(), pc.equal(pc.binary_length(column), 0))
