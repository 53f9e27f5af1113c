"""Anything that JSON can say under the names that the table knows: read or refused, on both paths alike."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.json as pj
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tollbook.contracts import usage_event
from tollbook.errors import RejectedRecordError
from tollbook.formats.check import Faults
from tollbook.formats.reasons import FLAGS, REASONS
from tollbook.formats.usage import Usage, load_table, normalise, normalise_columns

TABLE = load_table()
STEPS = sorted(
    {
        step.partition("[")[0]
        for flavour in TABLE.flavours.values()
        for count in flavour.counts
        for name in count.names
        for step in name.split(".")
    }
    | {"iterations", "type", "modality", "ttl", "service_tier", "cost", "total_tokens"}
)
WORDS = st.sampled_from(["TEXT", "AUDIO", "5m", "1h", "message", "advisor_message", "compaction", "", "x" * 200])
NUMBERS = st.one_of(
    st.integers(0, 50),
    st.integers(-3, 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, 12.0, 1e300, 10**30]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, WORDS),
    lambda inner: st.one_of(st.dictionaries(st.sampled_from(STEPS), inner, max_size=5), st.lists(inner, max_size=3)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(STEPS), VALUES, max_size=8)


def outcome(usage: dict[str, Any], name: str) -> Usage | RejectedRecordError:
    """Return what an object tells, or why it is refused."""
    try:
        return normalise(usage, TABLE.flavours[name])
    except RejectedRecordError as refused:
        return refused


@settings(max_examples=150, deadline=None)
@given(usage=OBJECTS, name=st.sampled_from(sorted(TABLE.flavours)))
def test_no_object_breaks_either_path_and_both_agree(usage: dict[str, Any], name: str) -> None:
    """Whoever can write to the topic writes what he likes: one record may cost its own rejection and no more."""
    one = outcome(usage, name)
    if isinstance(one, RejectedRecordError):
        assert one.reason in REASONS
    else:
        assert set(one.flags) <= FLAGS.keys()
        pa.RecordBatch.from_pylist(
            [{field: one.fields.get(field) for field in usage_event().names}], schema=usage_event().arrow_schema
        )
    faults = Faults.none(1)
    try:
        column = pj.read_json(io.BytesIO(json.dumps({"usage": usage}).encode())).column("usage").chunk(0)
        read = normalise_columns(column, TABLE.flavours[name], faults)
    except pa.ArrowInvalid:
        assume(False)
    if isinstance(one, RejectedRecordError):
        fault = faults.kinds[faults.first[0]]
        assert (fault.reason, fault.field) == (one.reason, one.field)
        return
    assert not faults
    told = {field: values.to_pylist(maps_as_pydicts="strict")[0] for field, values in read.columns.items()}
    assert {field: value for field, value in told.items() if value is not None} == one.fields
    assert set(read.flags) == set(one.flags)
    assert set(read.unknown) == set(one.unknown)


def test_a_column_that_the_json_reader_broke_is_refused_and_not_read() -> None:
    """Of lists of nulls alone pyarrow's reader makes a column that points outside its buffers."""
    lines = b'{"usage": {"prompt_tokens": 1, "more": [null, null]}}'
    column = pj.read_json(io.BytesIO(lines)).column("usage").chunk(0)
    with pytest.raises(pa.ArrowInvalid):
        normalise_columns(column, TABLE.flavours["openai.embeddings"], Faults.none(1))


@pytest.mark.parametrize("number", ["1e999999999999", "1e-999999999999", "1e99999999999999999999", "NaN", "-0.0"])
def test_numbers_beyond_all_sense_are_refused_or_left_aside(number: str) -> None:
    """An exponent of millions must cost neither time nor memory."""

    class Written:
        def __str__(self) -> str:
            return number

    usage = {"prompt_tokens": 1, "strange": Written(), "more": [Written(), Written()]}
    read = normalise(usage, TABLE.flavours["openai.embeddings"])
    assert read.unknown == ("more[]", "strange")
    told = outcome({"prompt_tokens": Written()}, "openai.embeddings")
    assert isinstance(told, Usage) == (number == "-0.0")
