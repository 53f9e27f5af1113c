"""What all formats share: many, none or some calls a record, every record found again, labels by header and rule."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tollbook.errors import RejectedRecordError
from tollbook.formats.decoder import UNPARSED, WHOLE, Decoded, Decoder, Headers, Reading, Tellings
from tollbook.formats.rejected import rejected_batch

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class Counts(Decoder):
    """A format for tests: `3,-1,4` tells of calls with so many input tokens, `-` of none, `?` is wrong, `!` is lost."""

    def _read(
        self, values: pa.BinaryArray, start: int, reading: Reading, headers: Headers | None
    ) -> Iterator[Tellings]:
        del headers
        rows, items, counts = [], [], []
        for row, value in enumerate(values.to_pylist(), start):
            text = value.decode()
            if text == "-":
                reading.ignore(row, "no_model_call")
            elif text == "?":
                reading.reject(row, RejectedRecordError("unknown_shape", None, "counts", "others"), UNPARSED, None)
            elif text != "!":
                for item, count in enumerate(text.split(",")):
                    rows.append(row)
                    items.append(0 if text.startswith("0,") else item)
                    counts.append(int(count))
        if rows:
            # The last first: order is the base class's to keep.
            yield self._tell(rows[::-1], items[::-1], counts[::-1])

    def _tell(self, rows: list[int], items: list[int], counts: list[int]) -> Tellings:
        told = {
            "source": pa.repeat("s", len(rows)),
            "event_id": pa.array([f"{row}.{item}" for row, item in zip(rows, items, strict=True)]),
            "occurred_at": pa.repeat("2026-06-01T00:00:00Z", len(rows)),
            "provider": pa.repeat("openai", len(rows)),
            "model": pa.repeat("gpt-4o", len(rows)),
            "input_tokens": pa.array(counts, pa.int64()),
        }
        return Tellings(told, np.array(rows), np.array(items))

    def _reject_telling(self, tellings: Tellings, index: int, error: RejectedRecordError, reading: Reading) -> None:
        item = 0 if tellings.record_items is None else int(tellings.record_items[index])
        reading.reject(int(tellings.rows[index]), error, WHOLE, None, record_item=item)


def _decode(*texts: str, headers: Headers | None = None) -> Decoded:
    return Counts().decode(pa.array([text.encode() for text in texts], pa.binary()), now=NOW, headers=headers)


def test_records_of_many_calls_of_none_and_wrong_ones_are_all_found_again() -> None:
    """`len(events) + len(rejects) == len(records) + further items - silent records`, always."""
    decoded = _decode("3,-1,4", "-", "7", "?", "-1")
    assert decoded.events.column("event_id").to_pylist() == ["0.0", "0.2", "2.0"]
    assert decoded.events.column("input_tokens").to_pylist() == [3, 4, 7]
    assert (decoded.rows.tolist(), decoded.record_items.tolist()) == ([0, 0, 2], [0, 2, 0])
    assert [(each.row, each.record_item, each.error.reason) for each in decoded.rejected] == [
        (0, 1, "out_of_range"),
        (3, None, "unknown_shape"),
        (4, 0, "out_of_range"),
    ]
    assert (decoded.silent_records, decoded.ignored) == (1, {"no_model_call": 1})
    further = 2
    assert len(decoded.rows) + len(decoded.rejected) == 5 + further - decoded.silent_records


def test_a_decoder_that_loses_a_record_raises() -> None:
    """A format that forgets a record must stop the meter, not the ledger's balance."""
    with pytest.raises(RuntimeError, match=r"Counts to account for every record, it lost \[1\]"):
        _decode("1", "!", "2")


def test_a_decoder_that_tells_one_place_twice_raises() -> None:
    """Two events of one place could not be told apart, and one would count twice."""
    with pytest.raises(RuntimeError, match="each call once"):
        _decode("0,5,6")


def test_no_records_are_no_events() -> None:
    """Empty batches carry where the meter stands."""
    decoded = _decode()
    assert (decoded.events.num_rows, decoded.rejected, decoded.silent_records) == (0, [], 0)
    assert decoded.events.schema == Counts().schema


def test_records_of_no_call_alone_are_silent() -> None:
    """A topic of logs may hold no call for a long time."""
    decoded = _decode("-", "-")
    assert (decoded.events.num_rows, decoded.silent_records, decoded.ignored) == (0, 2, {"no_model_call": 2})


def test_a_reject_of_one_call_has_an_id_of_its_own() -> None:
    """Two wrong calls of one record are two dead letters."""
    decoded = _decode("-1,2,-3", "?")
    records = pa.RecordBatch.from_pydict(
        {
            "topic": ["t", "t"],
            "partition": pa.array([3, 3], pa.int32()),
            "offset": pa.array([8, 9], pa.int64()),
            "kafka_timestamp": pa.array([NOW, NOW], pa.timestamp("us", "UTC")),
            "key": pa.array([b"k", b"k" * 257], pa.binary()),
        }
    )
    rows = rejected_batch(decoded.rejected, records, now=NOW, schema_version=1, topic_format="native").to_pylist()
    assert [row["reject_id"] for row in rows] == ["t:3:8:0", "t:3:8:2", "t:3:9"]
    assert [row["record_item"] for row in rows] == [0, 2, None]
    assert [row["record_key"] for row in rows] == [b"k", b"k", None]
    assert [(row["value_state"], row["value"]) for row in rows] == [
        ("whole", b"-1,2,-3"),
        ("whole", b"-1,2,-3"),
        ("unparsed", None),
    ]


def test_headers_of_a_record_tell_the_dimensions_of_all_its_calls() -> None:
    """Whoever cannot change a tool can still say in a header whose calls these are, in every format."""
    headers: list[dict[str, bytes] | None] = [{"team": b"search", "x-other": b"1"}, None, {"workflow": b""}]
    decoded = _decode("1,2", "3", "4", headers=headers)
    assert decoded.events.column("team").to_pylist() == ["search", "search", None, None]
    assert decoded.events.column("workflow").null_count == 4


def test_a_header_that_is_too_long_or_no_utf_8_costs_the_label_and_not_the_call() -> None:
    """A word beside a call is no reason to refuse its tokens; that it was left out is shown."""
    decoded = _decode("1", "2", headers=[{"team": b"x" * 600}, {"team": b"\xff"}])
    first, second = decoded.events.to_pylist()
    assert (first["team"], first["flags"], first["input_tokens"]) == (None, ["label_left_out"], 1)
    assert (second["team"], second["flags"]) == ("\ufffd", None)


def test_of_very_many_reasons_and_names_a_bounded_number_is_kept() -> None:
    """Names come from outside; their number must not fill the memory."""
    reading = Reading(pa.array([b"x"], pa.binary()), np.zeros(1, bool))
    for number in range(1_000):
        reading.note_unknown(f"{number:04}" + "x" * 100, 1)
    assert len(reading.unknown) == 100
    assert all(len(name) == 64 for name in reading.unknown)


def test_a_count_at_fault_that_was_told_is_not_said_to_be_nothing() -> None:
    """A message that says nothing came sends people looking in the wrong place."""

    class Faulty(Counts):
        def _tell(self, rows: list[int], items: list[int], counts: list[int]) -> Tellings:
            tellings = super()._tell(rows, items, counts)
            told: dict[str, Any] = {name: column for name, column in tellings.told.items() if name != "input_tokens"}
            from tollbook.formats.check import Faults

            faults = Faults.none(len(rows))
            faults.note(np.ones(len(rows), bool), "wrong_type", "usage.prompt_tokens", "a whole number")
            return Tellings(told, tellings.rows, tellings.record_items, faults=faults)

    (rejected,) = Faulty().decode(pa.array([b"1"], pa.binary()), now=NOW).rejected
    assert rejected.error.message == (
        "wrong_type: expected `usage.prompt_tokens` to be a whole number, got another value"
    )
