"""Anything that can stand on a topic, through every format: never a crash, never a lost record, never content."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollbook.formats.decoder import Decoded
from tollbook.formats.reasons import FLAGS, REASONS
from tollbook.formats.registry import FORMATS
from tollbook.formats.route import RecordRouter

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ROUTER = RecordRouter()
EXAMPLES = 60

ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    1e300,
    10**9,
    10**19,
    10**40,
    "",
    "x",
    "12",
    "2026-06-01T10:00:00Z",
    "2026-06-01",
    "\ud800",
    "é\u0000",
    "x" * 3_000,
    [],
    {},
    [None],
    [[]],
    {"": {}},
    {"a": [{"b": None}]},
]
ODD = st.sampled_from(ODD_VALUES)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, each in inner for place in _places(each, (*path, name)))]


@st.composite
def mutated(draw: st.DrawFn, sample: bytes) -> bytes:
    """Return a sound record with a few values changed, taken away, told twice or renamed; or with bytes changed."""
    if sample[:1] not in b"{[" or draw(st.integers(0, 3)) == 0:
        return _with_bytes_changed(draw, sample)
    document = json.loads(sample)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_places(document)))
        if not path:
            continue
        holder = document
        for step in path[:-1]:
            holder = holder[step]
        change = draw(st.integers(0, 5))
        if change == 0:
            del holder[path[-1]]
        elif change == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[path[-1]]))
        elif change == 2 and isinstance(holder, dict):
            holder["renamed"] = holder.pop(path[-1])
        else:
            holder[path[-1]] = copy.deepcopy(draw(ODD))
    return json.dumps(document).encode()


def _with_bytes_changed(draw: st.DrawFn, sample: bytes) -> bytes:
    value = bytearray(sample)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        change = draw(st.integers(0, 2))
        if change == 0:
            del value[at:]
        elif change == 1:
            value[at:at] = draw(st.binary(min_size=1, max_size=4))
        else:
            value[at : at + 2] = draw(st.binary(max_size=2))
    return bytes(value)


def _decode(name: str, values: list[bytes]) -> Decoded:
    return ROUTER.decode(pa.array(values, pa.binary()), name, now=NOW)


def _assert_adds_up(decoded: Decoded, records: int) -> None:
    """Hold that each record is told, rejected or silent, and each call once."""
    places = list(zip(decoded.rows.tolist(), decoded.record_items.tolist(), strict=True))
    rejected = [(each.row, each.record_item or 0) for each in decoded.rejected]
    everything = [*places, *rejected]
    assert len(set(everything)) == len(everything)
    assert places == sorted(places)
    assert len({row for row, _ in everything}) + decoded.silent_records == records
    assert decoded.silent_records == 0 or decoded.ignored
    assert {each.error.reason for each in decoded.rejected} <= REASONS.keys()
    told = [flag for flags in decoded.events.column("flags").to_pylist() for flag in flags or ()]
    assert set(told) <= FLAGS.keys()
    decoded.events.validate(full=True)


def _assert_no_content(decoded: Decoded, content: str) -> None:
    """Hold that content stands in no event, message or count by name, and in no bytes that are kept for good."""
    assert content not in str(decoded.events.to_pylist())
    for each in decoded.rejected:
        assert content not in each.error.message
        if each.value_state != "unparsed":
            assert content.encode() not in (each.value or b"")


@pytest.mark.parametrize("name", FORMATS)
def test_the_samples_are_sound_and_leave_their_content_behind(
    name: str, samples_of: Callable[[str], list[bytes]], content: str
) -> None:
    """What is mutated below must have been right before."""
    values = samples_of(name)
    decoded = _decode(name, values)
    assert decoded.rejected == []
    assert set(decoded.rows.tolist()) == (set() if name == "otlp_metrics" else set(range(len(values))))
    _assert_adds_up(decoded, len(values))
    _assert_no_content(decoded, content)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
@pytest.mark.parametrize("name", FORMATS)
def test_changed_records_are_told_or_rejected_and_harm_no_neighbour(
    name: str, samples_of: Callable[[str], list[bytes]], content: str, data: st.DataObject
) -> None:
    """Tools change their formats, and whoever can write to a topic writes what he likes."""
    samples = samples_of(name)
    changed = data.draw(st.lists(st.sampled_from(samples).flatmap(mutated), min_size=1, max_size=4))
    alone = _decode(name, samples)
    decoded = _decode(name, [*samples, *changed, *samples])
    _assert_adds_up(decoded, 2 * len(samples) + len(changed))
    _assert_no_content(decoded, content)
    sound = alone.events.to_pylist()
    assert decoded.events.slice(0, len(sound)).to_pylist() == sound
    assert decoded.events.slice(decoded.events.num_rows - len(sound)).to_pylist() == sound


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(values=st.lists(st.one_of(st.binary(max_size=60), st.text(max_size=30).map(str.encode)), max_size=12))
@pytest.mark.parametrize("name", FORMATS)
def test_any_bytes_add_up(name: str, values: list[bytes]) -> None:
    """Nothing is dropped: accepted, rejected and silent are all that came."""
    _assert_adds_up(_decode(name, values), len(values))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(documents=st.lists(JSON, min_size=1, max_size=5))
@pytest.mark.parametrize("name", FORMATS)
def test_any_json_adds_up(name: str, documents: list[Any]) -> None:
    """A topic of another team is read by mistake: every document is a reject, or tells that it is no call."""
    _assert_adds_up(_decode(name, [json.dumps(each).encode() for each in documents]), len(documents))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    records=st.lists(
        st.tuples(
            st.binary(max_size=40),
            st.one_of(
                st.none(),
                st.dictionaries(
                    st.sampled_from(["tollbook-format", "content-encoding", "ce_id", "content-type", "team"]),
                    st.one_of(st.binary(max_size=8), st.sampled_from([b"gzip", b"zstd", b"litellm", b"otlp_logs"])),
                    max_size=3,
                ),
            ),
        ),
        max_size=8,
    )
)
def test_any_headers_add_up(records: list[tuple[bytes, dict[str, bytes] | None]]) -> None:
    """Headers come from outside as values do."""
    values = pa.array([value for value, _ in records], pa.binary())
    decoded = ROUTER.decode(values, "cloudevents", now=NOW, headers=[headers for _, headers in records])
    _assert_adds_up(decoded, len(records))


FOUND = {
    "an attribute without a name": (
        "otlp_logs",
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"key":null,"value":{"stringValue":"%s"}}]}]}]}]}',
    ),
    "content in a field of a span that is none": (
        "otlp_traces",
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":7,"renamed":"%s","%s":1}]}]}]}',
    ),
    "a time beyond all years": (
        "litellm",
        b'{"id":"a","custom_llm_provider":"p","model":"m","startTime":1,"endTime":1e300,"prompt_tokens":1,"x":"%s"}',
    ),
    "half a surrogate pair in a line of no known type": ("claude_code", b'{"type":true,"uuid":"\\ud800","text":"%s"}'),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once_stays_found(name: str, content: str) -> None:
    """Each of these crashed a decoder or left content in a reject."""
    form, value = FOUND[name]
    decoded = _decode(form, [value.replace(b"%s", content.encode())])
    _assert_adds_up(decoded, 1)
    _assert_no_content(decoded, content)
    assert len(decoded.rejected) == 1
