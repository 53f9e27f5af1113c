"""JSON read into a shape: what is wrong is said without a word of content, and content has nowhere to go."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from tollbook.formats.decoder import Decoded, Reading, Rows, Tellings
from tollbook.formats.typed_json import TypedJsonDecoder, int_column, kept_of, text_column

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SECRET = "the launch is on Tuesday"


class Part(msgspec.Struct):
    """A part of a document."""

    count: int
    name: str | None = None


class Document(msgspec.Struct):
    """The shape of the format for tests."""

    id: str
    tokens: int | None = None
    state: Literal["ok", "error"] | None = None
    parts: list[Part] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    by_name: dict[str, int] | None = None


class Documents(TypedJsonDecoder[Document]):
    """A format for tests."""

    shape: ClassVar[type[msgspec.Struct]] = Document

    def tell(self, documents: Sequence[Document], rows: Rows, reading: Reading) -> Iterator[Tellings]:
        """Tell each document as one call."""
        del reading
        told = {
            "source": pa.repeat("s", len(rows)),
            "event_id": text_column(each.id for each in documents),
            "occurred_at": pa.repeat("2026-06-01T00:00:00Z", len(rows)),
            "provider": pa.repeat("openai", len(rows)),
            "model": pa.repeat("m", len(rows)),
            "input_tokens": int_column(each.tokens for each in documents),
        }
        yield Tellings(told, rows)


def _decode(*values: bytes) -> Decoded:
    return Documents(max_record_bytes=200_000).decode(pa.array(values, pa.binary()), now=NOW)


def _document(**fields: Any) -> bytes:
    return json.dumps({"id": "a"} | fields).encode()


NO_JSON = "invalid_json: expected the record to be one JSON document, got "
WRONG = {
    "nothing": (b"", "empty_value: expected the record to be a JSON object, got 0 bytes of nothing"),
    "white space": (b" \n ", "empty_value: expected the record to be a JSON object, got 3 bytes of nothing"),
    "too large": (b" " * 200_001, "record_too_large: expected the record to be at most 200000 bytes, got 200001 bytes"),
    "not JSON": (SECRET.encode(), NO_JSON + "JSON is malformed"),
    "half a document": (_document()[:-1], NO_JSON + "Input data"),
    "two documents": (_document() * 2, NO_JSON + "JSON is malformed"),
    "deep objects": (b'{"usage":' * 20_000, NO_JSON + "nesting too deep"),
    "deep unknown field": (
        b'{"id":"a","more":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
        NO_JSON + "nesting too deep",
    ),
    "invalid UTF-8": (
        _document(x="X").replace(b"X", b"\xff"),
        "invalid_utf8: expected the record to be UTF-8, got byte",
    ),
    "an array": (b"[]", "not_an_object: expected the record to be a JSON object, got array"),
    "a text": (json.dumps(SECRET).encode(), "not_an_object: expected the record to be a JSON object, got str"),
    "null": (b"null", "not_an_object: expected the record to be a JSON object, got null"),
    "no id": (b'{"tokens":1}', "missing_field: expected `id` to be present, got nothing"),
    "no count within": (
        _document(parts=[{"count": 1}, {"text": SECRET}]),
        "missing_field: expected `parts[1].count` to be present, got nothing",
    ),
    "a text for a count": (_document(tokens=SECRET), "wrong_type: expected `tokens` to be int | null, got str"),
    "a text within": (
        _document(parts=[{"count": SECRET}]),
        "wrong_type: expected `parts[0].count` to be int, got str",
    ),
    "a text under a name": (
        _document(by_name={SECRET: SECRET}),
        "wrong_type: expected `by_name[]` to be int, got str",
    ),
    "a word of no list": (
        _document(state=SECRET),
        "invalid_value: expected `state` to be a value of the shape, got another value",
    ),
    "a fraction for a count": (_document(tokens=1.5), "wrong_type: expected `tokens` to be int | null, got float"),
    "a number without end": (_document(tokens=10**40), "out_of_range: expected `input_tokens` to be 0 to 1000000000"),
    "an exponent without end": (
        b'{"id":"a","tokens":1e999999}',
        "out_of_range: expected `tokens` to be a number within its limits, got another number",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_record_says_what_was_expected_what_came_and_where_and_harms_no_neighbour(name: str) -> None:
    """People mend what they can find, and a message is no place for content."""
    value, message = WRONG[name]
    decoded = _decode(_document(id="before"), value, _document(id="after"))
    (rejected,) = decoded.rejected
    assert decoded.events.column("event_id").to_pylist() == ["before", "after"]
    assert rejected.row == 1
    assert rejected.error.message.startswith(message)
    assert SECRET not in rejected.error.message
    assert rejected.value_state in {"unparsed", "scrubbed"}
    assert rejected.value_state == "unparsed" or SECRET.encode() not in (rejected.value or b"")


def test_a_reject_keeps_counts_and_ids_and_leaves_content_out() -> None:
    """What is kept shows why; what a prompt said is not needed for that."""
    value = _document(
        tokens="many",
        prompt=SECRET,
        parts=[{"count": 3, "name": "a" * 300, "text": SECRET}],
        usage={"input": 7, "said": SECRET, SECRET: 1, "deep": {"in": [1, SECRET]}},
        by_name={SECRET: 1},
    )
    (rejected,) = _decode(value).rejected
    assert rejected.value_state == "scrubbed"
    assert json.loads(rejected.value or b"") == {
        "id": "a",
        "tokens": {"type": "str", "length": 4},
        "parts": [{"count": 3, "name": {"type": "str", "length": 300}}],
        "usage": {
            "input": 7,
            "said": {"type": "str", "length": len(SECRET)},
            "deep": {"in": [1, {"type": "str", "length": len(SECRET)}]},
        },
        "by_name": {"type": "dict", "length": 1},
    }
    assert rejected.value_bytes == len(value)


def test_what_is_kept_of_a_deep_document_is_shallow() -> None:
    """Keeping must not fail where reading did not: objects may be a thousand deep."""
    deep = b'{"id":1,"usage":' + b'{"a":' * 900 + b"1" + b"}" * 901
    kept = kept_of(deep, Document)
    assert kept is not None
    assert kept.count(b'{"a":') == 15


def test_a_name_that_stands_twice_has_its_last_value() -> None:
    """As in the libraries that tools write and read JSON with; one of the two is read, never both."""
    decoded = _decode(b'{"id":"a","id":"b","tokens":5,"tokens":7}')
    assert decoded.events.column("event_id").to_pylist() == ["b"]
    assert decoded.events.column("input_tokens").to_pylist() == [7]


def test_columns_hold_what_python_can_and_arrow_cannot() -> None:
    """Whoever can write to the topic writes what he likes; one value must not stop a batch."""
    assert int_column([1, None, 10**40, -(10**40)]).to_pylist() == [1, None, 2**63 - 1, -(2**63 - 1)]
    assert text_column(["a", "", None, "\ud800"]).to_pylist() == ["a", None, None, "?"]


def test_rows_are_places_in_the_batch_and_not_in_the_block() -> None:
    """A reject must name the record that it is of, however long the batch."""
    values = [_document(id=str(n)) for n in range(9_000)]
    values[8_500] = b"?"
    decoded = _decode(*values)
    assert [each.row for each in decoded.rejected] == [8_500]
    assert decoded.rows.tolist() == [n for n in range(9_000) if n != 8_500]
    assert np.array_equal(decoded.record_items, np.zeros(8_999))
