"""Keys that hold the signs of a path: names as some tools write them, and no second telling of a count."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.formats.check import Faults
from tollbook.formats.usage import UsageTable, load_table, normalise, normalise_columns
from tollbook.formats.usage.column_leaves import read_column_leaves
from tollbook.formats.usage.leaves import read_leaves

CACHED = "prompt_tokens_details.cached_tokens"
Told = tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]


def by_both(table: UsageTable, flavour: str, usage: dict[str, Any]) -> tuple[Told, Told]:
    """Return fields, flags and unknown names as the one reader and as the other tells them."""
    one = normalise(usage, table.flavours[flavour])
    faults = Faults.none(1)
    read = normalise_columns(pa.array([usage]), table.flavours[flavour], faults)
    assert not faults
    columns = {name: column.to_pylist(maps_as_pydicts="strict")[0] for name, column in read.columns.items()}
    fields = {name: value for name, value in columns.items() if value is not None}
    return (one.fields, one.flags, one.unknown), (fields, tuple(sorted(read.flags)), tuple(sorted(read.unknown)))


def test_a_count_that_a_dotted_key_tells_again_counts_once_and_is_shown(table: UsageTable) -> None:
    """30 tokens read from the cache were billed as 60, and only where the record was read by itself."""
    usage = {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 30}, CACHED: 30}
    one, columns = by_both(table, "openai.chat", usage)
    assert one == columns
    fields, flags, unknown = one
    assert (fields["cache_read_tokens"], fields["uncached_input_tokens"]) == (30, 70)
    assert (flags, unknown) == (("unknown_usage_field",), (f'"{CACHED}"',))
    assert (fields["raw_usage"][CACHED], fields["raw_usage"][f'"{CACHED}"']) == (30, 30)


def test_what_keys_within_keys_tell_counts_whatever_the_dotted_key_says(table: UsageTable) -> None:
    """The shape that the provider documents is believed; the other is shown, and not even a text in it is a fault."""
    for other in (7, "seven"):
        usage = {
            "prompt_tokens": 9,
            "completion_tokens": 1,
            CACHED: other,
            "prompt_tokens_details": {"cached_tokens": 3},
        }
        one, columns = by_both(table, "openai.chat", usage)
        assert one == columns
        assert (one[0]["cache_read_tokens"], one[0]["uncached_input_tokens"]) == (3, 6)


@pytest.mark.parametrize("nested", [{}, {"prompt_tokens_details": None}, {"prompt_tokens_details": {"x": None}}])
def test_a_dotted_key_is_a_name_where_nothing_else_tells_its_path(table: UsageTable, nested: dict[str, Any]) -> None:
    """`gen_ai.usage.input_tokens` is how OpenTelemetry writes a name; flat keys keep working."""
    usage = {"prompt_tokens": 100, "completion_tokens": 1, CACHED: 30, **nested}
    one, columns = by_both(table, "openai.chat", usage)
    assert one == columns
    assert (one[0]["cache_read_tokens"], one[1], one[2]) == (30, (), ())


def test_rows_of_one_block_may_tell_a_count_in_either_way() -> None:
    """A block holds records of many clients: each row is read by what it tells itself."""
    rows: list[dict[str, Any]] = [{"a": {"b": 1}, "a.b": None}, {"a": {"b": None}, "a.b": 2}, {"a": {"b": 3}, "a.b": 4}]
    leaves = read_column_leaves(pa.array(rows), {})
    assert leaves.numbers["a.b"].values.tolist() == [1, 2, 3]
    assert leaves.numbers["a.b"].told.tolist() == [True, True, True]
    assert leaves.numbers['"a.b"'].told.tolist() == [False, False, True]


KEYS = st.sampled_from(["a", "b", "a.b", "a.b.a", '"a.b"', "a[]", "", '"', "b.b"])
COUNTS: st.SearchStrategy[Any] = st.one_of(st.none(), st.integers(1, 9))
SHAPES: st.SearchStrategy[Any] = st.recursive(
    st.none(), lambda below: st.dictionaries(KEYS, below, min_size=1, max_size=3), max_leaves=8
)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.dictionaries(KEYS, SHAPES, min_size=1, max_size=4))
def test_both_readers_agree_on_any_keys(data: st.DataObject, shape: dict[str, Any]) -> None:
    """What one record tells does not depend on its neighbours, however keys are spelt; nothing is lost."""

    def filled(shape: dict[str, Any]) -> dict[str, Any]:
        told = {}
        for key, below in shape.items():
            value = filled(below) if below is not None else data.draw(COUNTS)
            told[key] = value if data.draw(st.integers(0, 3)) else None
        return told

    rows = [filled(shape) for _ in range(3)]
    columns = read_column_leaves(pa.array(rows), {})
    for place, row in enumerate(rows):
        alone = read_leaves(row, {})
        found = {name: int(numbers.values[place]) for name, numbers in columns.numbers.items() if numbers.told[place]}
        assert found == {name: int(number) for name, number in alone.numbers.items()}
        assert sorted(found.values()) == sorted(_numbers(row))


def _numbers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [number for below in value.values() for number in _numbers(below)]
    return [] if value is None else [value]


def test_no_name_in_the_table_is_a_spelling() -> None:
    """A quote in a name of the table would make it unknown."""
    assert not any('"' in name for flavour in load_table().flavours.values() for name in flavour.counted)
