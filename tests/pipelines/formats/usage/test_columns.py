"""Usage objects read as columns, held against reading them one by one over random objects and real bodies."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pj
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.errors import RejectedRecordError
from tollbook.formats.buckets import INPUT_BUCKETS, INPUT_WHOLE, OUTPUT_BUCKETS, OUTPUT_WHOLE
from tollbook.formats.check import Faults
from tollbook.formats.usage import (
    Usage,
    UsageColumns,
    UsageTable,
    load_table,
    normalise,
    normalise_columns,
    read_bodies,
    read_body,
)
from tollbook.rating.units import load_units

TABLE = load_table()
TOKENS = {unit.name for unit in load_units().all if unit.consumed_unit == "Tokens"}


def rows_of(read: UsageColumns, rows: int) -> list[dict[str, Any]]:
    """Return columns as the fields of each row, those left out that it does not tell."""
    columns = {name: column.to_pylist(maps_as_pydicts="strict") for name, column in read.columns.items()}
    return [{name: values[row] for name, values in columns.items() if values[row] is not None} for row in range(rows)]


def put(usage: dict[str, Any], name: str, value: Any) -> None:
    """Put a value at a path of the table, into a list's entry where the path says so."""
    at: Any = usage
    *steps, last = name.split(".")
    for step in steps:
        if "[" not in step:
            at = at.setdefault(step, {})
            continue
        field, _, rest = step.rstrip("]").partition("[")
        key, _, named = rest.partition("=")
        entry = {key: named} if key else {}
        at.setdefault(field, []).append(entry)
        at = entry
    at[last] = value


@st.composite
def usage_objects(draw: st.DrawFn, flavour_name: str, most: int) -> dict[str, Any]:
    """Return a usage object with some of a flavour's fields, and at times one that it does not have."""
    flavour = TABLE.flavours[flavour_name]
    usage: dict[str, Any] = {}
    for count in flavour.counts:
        name = draw(st.sampled_from(count.names))
        room = most if not count.within else most // 4
        if draw(st.integers(0, 9)) < (9 if count.required or not count.within else 5):
            put(usage, name, draw(st.integers(-1 if draw(st.integers(0, 40)) == 0 else 0, room)))
    if flavour.total is not None and flavour.total not in {count.name for count in flavour.counts}:
        usage[flavour.total] = draw(st.integers(0, most))
    for telling in flavour.tells:
        put(usage, telling.name, draw(st.sampled_from(["standard", "flex", "not_available", "us"])))
    for name in draw(st.sets(st.sampled_from(["fresh_tokens", "details.fresh_tokens", "fresh[].tokens"]), max_size=2)):
        put(usage, name, draw(st.integers(0, most)))
    if flavour.further is not None:
        calls = [
            {"type": kind, "model": "other", "input_tokens": draw(st.integers(0, 9)), "output_tokens": 1}
            for kind in draw(st.lists(st.sampled_from(["message", "compaction", "advisor_message", "new"]), max_size=3))
        ]
        usage[flavour.further.list] = calls
    return usage


def one(usage: dict[str, Any], flavour_name: str) -> Usage | tuple[str, str | None]:
    """Return what one object tells, or the reason and field for which it is refused."""
    try:
        return normalise(usage, TABLE.flavours[flavour_name])
    except RejectedRecordError as refused:
        return refused.reason, refused.field


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_columns_say_what_reading_one_by_one_says(data: st.DataObject) -> None:
    """Traffic takes the columns, doubt the single record: fields, flags, names and faults must be the same."""
    name = data.draw(st.sampled_from(sorted(TABLE.flavours)))
    usages = data.draw(st.lists(usage_objects(name, 1_000), min_size=1, max_size=6))
    expected = [one(usage, name) for usage in usages]
    faults = Faults.none(len(usages))
    read = normalise_columns(pa.array(usages, from_pandas=False), TABLE.flavours[name], faults)
    rows = rows_of(read, len(usages))
    unknown: Counter[str] = Counter()
    further = []
    for row, wanted in enumerate(expected):
        if isinstance(wanted, tuple):
            fault = faults.kinds[faults.first[row]]
            assert faults.first[row] >= 0, wanted
            assert (fault.reason, fault.field) == wanted
            continue
        assert faults.first[row] < 0
        assert rows[row] == wanted.fields
        assert tuple(sorted(code for code, where in read.flags.items() if where[row])) == wanted.flags
        unknown.update(wanted.unknown)
        further += [(row, call.kind, call.place, call.usage.fields) for call in wanted.further]
    if not faults:
        assert read.unknown == unknown
        found = []
        if read.further is not None:
            told = rows_of(read.further.usage, len(read.further.rows))
            places = zip(
                read.further.rows.tolist(), read.further.kinds.to_pylist(), read.further.places.tolist(), strict=True
            )
            found = [(*place, fields) for place, fields in zip(places, told, strict=True)]
        assert found == further


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_disjoint_buckets_add_up_and_no_part_exceeds_its_whole(data: st.DataObject) -> None:
    """Every token of the wholes stands in one bucket, and none in two."""
    name = data.draw(st.sampled_from(sorted(TABLE.flavours)))
    flavour = TABLE.flavours[name]
    usage = data.draw(usage_objects(name, 1_000))
    read = one(usage, name)
    if isinstance(read, tuple):
        return
    fields = read.fields
    for whole, buckets in ((INPUT_WHOLE, INPUT_BUCKETS), (OUTPUT_WHOLE, OUTPUT_BUCKETS)):
        told = [fields[bucket] for bucket in buckets if bucket in fields]
        assert (whole in fields) == bool(told)
        assert fields.get(whole, 0) == sum(told)
        assert all(0 <= count <= fields[whole] for count in told)
    raw = fields.get("raw_usage", {})
    told_counts = {
        count.name: next((raw[alias] for alias in count.names if alias in raw), None) for count in flavour.counts
    }
    tokens = [count for count in flavour.counts if count.unit.name in TOKENS and told_counts[count.name] is not None]
    outermost = [count for count in tokens if not count.within]
    if any(count.within and not _above(flavour.counts, count) & _places(flavour.counts, outermost) for count in tokens):
        return  # Parts whose whole was not told may overlap, and their sum is no sum of fields.
    elsewhere = sum(value for unit, value in fields.get("other_units", {}).items() if unit in TOKENS)
    assert fields.get(INPUT_WHOLE, 0) + fields.get(OUTPUT_WHOLE, 0) + elsewhere == sum(
        told_counts[count.name] or 0 for count in outermost
    )


def _places(counts: tuple[Any, ...], some: list[Any]) -> set[int]:
    return {counts.index(count) for count in some}


def _above(counts: tuple[Any, ...], count: Any) -> set[int]:
    place = counts.index(count)
    return {whole for whole in range(len(counts)) if place in counts[whole].inside}


def test_columns_read_every_real_body_as_one_by_one(table: UsageTable, shared_data: Callable[[str], Path]) -> None:
    """789 bodies, recognised by their shape alone, as the JSON reader of the fast path makes them."""
    path = shared_data("vendor-usage-api/genai_prices_usages.json.gz")
    bodies: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in json.loads(gzip.decompress(path.read_bytes())):
        flavour = table.recognise(entry["body"]) or table.recognise(entry["body"], "cohere")
        assert flavour is not None, entry["body"]
        bodies[flavour.name].append(entry["body"])
    assert sum(map(len, bodies.values())) == 789
    for name, alike in bodies.items():
        lines = "\n".join(json.dumps(body) for body in alike).encode()
        batch = pj.read_json(io.BytesIO(lines)).combine_chunks().to_batches()[0]
        faults = Faults.none(len(alike))
        read = read_bodies(batch.to_struct_array(), table.flavours[name], faults)
        one_by_one = [read_body(body, table.flavours[name]) for body in alike]
        assert not faults
        assert rows_of(read, len(alike)) == [usage.fields for usage in one_by_one]
        assert read.unknown == Counter(field for usage in one_by_one for field in usage.unknown)


def test_a_slice_of_a_column_is_read_as_its_rows(table: UsageTable) -> None:
    """Blocks of records are slices, and lists in them begin in the middle of their buffers."""
    usages = [
        {"promptTokenCount": 10 + row, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": row}] * 2}
        for row in range(6)
    ]
    flavour = table.flavours["google.generate_content"]
    faults = Faults.none(3)
    read = normalise_columns(pa.array(usages).slice(2, 3), flavour, faults)
    assert not faults
    assert read.columns["audio_input_tokens"].to_pylist() == [4, 6, 8]
    assert read.columns["uncached_input_tokens"].to_pylist() == [8, 7, 6]


def test_a_cost_in_decimals_keeps_every_digit(table: UsageTable) -> None:
    """12345678.123456789012 as a float loses its last digits, though they were told exactly."""
    told = Decimal("12345678.123456789012")
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "cost": told}
    flavour = table.flavours["openrouter.chat"]
    read = normalise_columns(pa.array([usage, {**usage, "cost": None}]), flavour, Faults.none(2))
    assert read.columns["provider_cost"].to_pylist() == [told, None]
    assert normalise(usage, flavour).fields["provider_cost"] == told


def test_a_column_that_is_no_object_is_the_records_fault(table: UsageTable) -> None:
    """Where every usage is null, or a text, each record says so."""
    for column, reason in ((pa.array(["none", "here"]), "wrong_type"), (pa.nulls(2, pa.struct([])), "wrong_type")):
        faults = Faults.none(2)
        normalise_columns(column, table.flavours["openai.chat"], faults)
        assert [faults.kinds[place].reason for place in faults.first.tolist()] == [reason, reason]
    faults = Faults.none(2)
    read_bodies(pa.array([{"model": "a"}, {"model": "b"}]), table.flavours["openai.chat"], faults)
    assert {(fault.reason, fault.field) for fault in np.array(faults.kinds)[faults.first]} == {
        ("missing_field", "usage")
    }


def test_more_counts_than_a_map_holds_keep_the_known_ones(table: UsageTable) -> None:
    """`raw_usage` holds 64 entries. What bills is kept before what is unknown, on both paths alike."""
    usage = {"prompt_tokens": 5, "total_tokens": 5, **{f"a{place:03}": place for place in range(80)}}
    flavour = table.flavours["openai.embeddings"]
    raw = normalise(usage, flavour).fields["raw_usage"]
    assert (len(raw), raw["prompt_tokens"], "a061" in raw, "a062" in raw) == (64, 5, True, False)
    assert rows_of(normalise_columns(pa.array([usage]), flavour, Faults.none(1)), 1)[0]["raw_usage"] == raw


def test_objects_too_deep_are_shown_and_not_read(table: UsageTable) -> None:
    """Nesting costs memory for every row of a block; nothing that bills lies deep."""
    deep: dict[str, Any] = {"tokens": 1}
    for _ in range(12):
        deep = {"more": deep}
    usage = {"prompt_tokens": 5, **deep}
    flavour = table.flavours["openai.embeddings"]
    read = normalise(usage, flavour)
    assert (read.flags, read.unknown) == (("unknown_usage_field",), (".".join(["more"] * 9),))
    assert normalise_columns(pa.array([usage]), flavour, Faults.none(1)).unknown == {".".join(["more"] * 9): 1}
