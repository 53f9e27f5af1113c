"""Usage objects as JSON texts, read by columns: each means what it means when it is read alone."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.errors import RejectedRecordError
from tollbook.formats.check import Faults
from tollbook.formats.usage import Usage, UsageColumns, load_table, normalise, normalise_texts

TABLE = load_table()
FILLER = 20
"""Sound objects beside those that are looked at: so many go by columns."""

STEPS = sorted(
    {
        step.partition("[")[0]
        for flavour in TABLE.flavours.values()
        for count in flavour.counts
        for name in count.names
        for step in name.split(".")
    }
    | {"iterations", "type", "modality", "ttl", "service_tier", "speed", "cost", "total_tokens", "model"}
)
WORDS = st.sampled_from(["TEXT", "AUDIO", "5m", "1h", "message", "advisor_message", "priority", "2026-06-01", "", "é"])
NUMBERS = st.one_of(
    st.integers(0, 50),
    st.integers(-3, 10**12),
    st.sampled_from([0.0, 12.0, 0.5, 0.1, 1e300, 10**19, 10**30, 0.12345678901234567]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, WORDS),
    lambda inner: st.one_of(st.dictionaries(st.sampled_from(STEPS), inner, max_size=4), st.lists(inner, max_size=3)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(STEPS), VALUES, max_size=6)


def _row(read: UsageColumns, row: int) -> dict[str, Any]:
    told = {name: column[row].as_py() for name, column in read.columns.items()}
    return {
        name: dict(value) if isinstance(value, list) else value for name, value in told.items() if value is not None
    }


def _flags(read: UsageColumns, row: int) -> set[str]:
    return {code for code, where in read.flags.items() if where[row]}


def _alone(text: bytes, flavour: str) -> Usage | RejectedRecordError:
    try:
        return normalise(msgspec.json.Decoder(float_hook=Decimal).decode(text), TABLE.flavours[flavour])
    except RejectedRecordError as refused:
        return refused


def _assert_as_alone(texts: list[bytes], flavour: str) -> None:
    """Hold what many texts mean together against what each means alone."""
    faults = Faults.none(len(texts))
    read = normalise_texts(texts, TABLE.flavours[flavour], faults)
    for row, text in enumerate(texts):
        one = _alone(text, flavour)
        if isinstance(one, RejectedRecordError):
            assert faults.first[row] >= 0, (text, one.message)
            fault = faults.kinds[faults.first[row]]
            assert (fault.reason, fault.field) == (one.reason, one.field), text
            continue
        assert faults.first[row] < 0, (text, faults.kinds[faults.first[row]])
        assert (_row(read, row), _flags(read, row)) == (one.fields, set(one.flags)), text
        further = [] if read.further is None else np.flatnonzero(read.further.rows == row).tolist()
        assert len(further) == len(one.further), text
        for place, call in zip(further, one.further, strict=True):
            assert read.further is not None
            assert read.further.kinds[place].as_py() == call.kind
            assert read.further.places[place] == call.place
            assert _row(read.further.usage, place) == call.usage.fields, text


def _put(usage: dict[str, Any], path: str, value: Any) -> None:
    """Set what stands at a path as the table writes it: `a.b`, `list[key=VALUE].field`, `list[].field`."""
    step, _, rest = path.partition(".")
    name, bracket, named = step.partition("[")
    if not rest and not bracket:
        usage[name] = value
    elif not bracket:
        _put(usage.setdefault(name, {}), rest, value)
    else:
        key, _, said = named.rstrip("]").partition("=")
        entry: dict[str, Any] = {key: said} if key else {}
        _put(entry, rest, value)
        usage.setdefault(name, []).append(entry)


@st.composite
def sensible_usages(draw: st.DrawFn, flavour: str) -> list[dict[str, Any]]:
    """Return usage objects with the fields of a flavour, their counts small, so that most are sound."""
    known = TABLE.flavours[flavour]
    names = sorted(known.counted | {cost.name for cost in known.costs} | {"strange", "further.strange"})
    usages = []
    for _ in range(draw(st.integers(1, 4))):
        usage: dict[str, Any] = {}
        for count in known.counts:
            if count.required:
                _put(usage, count.name, draw(st.integers(100, 1000)))
        for name in draw(st.lists(st.sampled_from(names), max_size=5, unique=True)):
            _put(usage, name, draw(st.one_of(st.integers(0, 40), st.none(), st.sampled_from([0.5, 0.1, 1e-7, 12.0]))))
        for telling in known.tells:
            if draw(st.booleans()):
                _put(usage, telling.name, draw(WORDS))
        usages.append(usage)
    return usages


@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
@pytest.mark.parametrize("flavour", sorted(TABLE.flavours))
def test_many_sound_texts_mean_what_each_means_alone(flavour: str, data: st.DataObject) -> None:
    """As below, on objects that providers do send."""
    usages = data.draw(sensible_usages(flavour))
    sound: dict[str, Any] = {}
    for count in TABLE.flavours[flavour].counts:
        if count.required:
            _put(sound, count.name, 7)
    texts = [json.dumps(usage).encode() for usage in usages]
    _assert_as_alone([*texts, *[json.dumps(sound).encode()] * FILLER], flavour)


USED = b'{"prompt_tokens":1,"completion_tokens":1,'
WITHIN = b'{"input_tokens":1,"output_tokens":2,"iterations":[%s]}'
CALLS = (
    b'{"type":"message","input_tokens":1,"output_tokens":2},{"type":"new"},7,'
    b'{"type":"advisor_message","model":"other","input_tokens":5,"output_tokens":6}'
)
SINGLE = {
    "a cost with more digits than a float": ("openrouter.chat", USED + b'"cost":123456789.123456789012345}'),
    "a cost below the last place": ("openrouter.chat", USED + b'"cost":4e-13}'),
    "a cost of an exponent beyond all sense": ("openrouter.chat", USED + b'"cost":1e999999}'),
    "a cost below zero": ("openrouter.chat", USED + b'"cost":-0.5}'),
    "ticks": ("xai.chat", USED + b'"cost_in_usd_ticks":12345678901234567}'),
    "a count beyond 64 bits": ("openai.chat", b'{"prompt_tokens":%d,"completion_tokens":1}' % 10**30),
    "a count as a fraction": ("openai.chat", b'{"prompt_tokens":1.5,"completion_tokens":1}'),
    "a whole count with a point": ("openai.chat", b'{"prompt_tokens":10.0,"completion_tokens":1}'),
    "a count as text": ("openai.chat", b'{"prompt_tokens":"10","completion_tokens":1}'),
    "a word like a time": ("anthropic.messages", WITHIN[:-18] + b'"service_tier":"2026-06-01"}'),
    "a name twice": ("openai.chat", b'{"prompt_tokens":1,"prompt_tokens":2,"completion_tokens":1}'),
    "a list of nulls": ("openai.chat", USED + b'"more":[null,null]}'),
    "an array": ("openai.chat", b"[1,2]"),
    "null": ("openai.chat", b"null"),
    "a text": ("openai.chat", b'"prompt_tokens"'),
    "nothing told": ("google.generate_content", b"{}"),
    "everything null": ("openai.chat", b'{"prompt_tokens":null,"completion_tokens":null}'),
    "an explicit zero": ("openai.chat", b'{"prompt_tokens":0,"completion_tokens":0}'),
    "a line break": ("openai.chat", b'{"prompt_tokens":1,\n"completion_tokens":1}'),
    "white space around": ("openai.chat", b' {"prompt_tokens":1,"completion_tokens":1} '),
    "deep objects": ("openai.chat", USED + b'"x":' + b'{"a":' * 40 + b"1" + b"}" * 41),
    "calls within": ("anthropic.messages", WITHIN % CALLS),
    "a wrong call within": ("anthropic.messages", WITHIN % b'{"type":"compaction","input_tokens":-5}'),
}


@pytest.mark.parametrize("name", SINGLE)
def test_odd_texts_mean_among_many_what_they_mean_alone(name: str) -> None:
    """What pyarrow's reader sees otherwise must not decide what a call cost."""
    flavour, text = SINGLE[name]
    sound = SINGLE["calls within"] if flavour.startswith("anthropic") else (flavour, text)
    filler = b'{"prompt_tokens":3,"completion_tokens":4}' if flavour.startswith(("open", "xai")) else sound[1]
    _assert_as_alone([*[filler] * FILLER, text, *[filler] * FILLER], flavour)


def test_a_call_without_a_usage_object_is_a_fault_and_harms_no_neighbour() -> None:
    """`None` stands for a body that has none."""
    sound = b'{"prompt_tokens":3,"completion_tokens":4}'
    faults = Faults.none(FILLER + 1)
    read = normalise_texts([*[sound] * FILLER, None], TABLE.flavours["openai.chat"], faults)
    assert (faults.first < 0).tolist() == [True] * FILLER + [False]
    fault = faults.kinds[0]
    assert (fault.reason, fault.field) == ("missing_field", "usage")
    assert read.columns["input_tokens"].to_pylist()[:FILLER] == [3] * FILLER


def test_no_texts_are_no_calls() -> None:
    """A batch may hold no call of a flavour."""
    assert normalise_texts([], TABLE.flavours["openai.chat"], Faults.none(0)).columns == {}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(usages=st.lists(OBJECTS, min_size=1, max_size=5), flavour=st.sampled_from(sorted(TABLE.flavours)))
def test_many_texts_mean_what_each_means_alone(usages: list[dict[str, Any]], flavour: str) -> None:
    """A call's tokens cannot depend on which other calls its batch held."""
    texts = [json.dumps(usage).encode() for usage in usages]
    _assert_as_alone([*texts, *[b"{}"] * FILLER], flavour)
