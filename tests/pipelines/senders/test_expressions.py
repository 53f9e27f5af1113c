"""What a mapping says of one field."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.errors import MisuseError, RejectedRecordError
from tollbook.senders.expressions import Getter, Row, choice, compile_expression


def column(name: str) -> Getter:
    """Find a column of a dict."""
    return lambda row: row.number if name == "$row" else row.content.get(name)


def value(document: dict[str, Any], row: dict[str, Any], target: pa.DataType | None = None) -> Any:
    """Return what an expression makes of a row."""
    return compile_expression("field", document, target or pa.string(), column)(Row(line=9, number=8, content=row))


def test_a_column_takes_the_type_of_its_field() -> None:
    """A CSV file has only text."""
    assert value({"column": "n"}, {"n": "7"}, pa.int64()) == 7
    assert value({"column": "n"}, {"n": 7}, pa.string()) == "7"
    assert value({"column": "n"}, {"n": "1"}, pa.bool_()) is True


def test_an_absent_value_is_null_and_not_zero() -> None:
    """Unknown is never zero, unless the mapping says so."""
    assert value({"column": "n"}, {}, pa.int64()) is None
    assert value({"column": "n", "default": 0}, {}, pa.int64()) == 0
    assert value({"column": "n", "nulls": ["-1"]}, {"n": -1}, pa.int64()) is None


def test_a_template_joins_columns_and_is_null_where_one_is() -> None:
    """An id with a hole in it would be shared by all rows that lack the column."""
    assert value({"template": "{a}-{b}:{{{$row}}}"}, {"a": "x", "b": 3}) == "x-3:{8}"
    assert value({"template": "{a}-{b}"}, {"a": "x"}) is None


@pytest.mark.parametrize("text", ["{a!r}", "{a:>5}", "{a", "}"])
def test_a_template_takes_plain_columns_only(text: str) -> None:
    """A misspelt template is told at once, not by every row."""
    with pytest.raises(MisuseError, match="template"):
        value({"template": text}, {"a": "x"})


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_difference_is_exact(whole: int, part: int, other: int) -> None:
    """It makes one bucket of a count and its parts. What is negative goes on, for the meter to reject."""
    row = {"whole": str(whole), "part": part, "other": f"{other}.0"}
    assert value({"difference": ["whole", "part", "other"]}, row, pa.int64()) == whole - part - other


def test_a_difference_with_a_null_is_null() -> None:
    """Nothing is known of it."""
    assert value({"difference": ["whole", "part"]}, {"whole": "5"}, pa.int64()) is None


def test_a_choice_is_the_documented_hash() -> None:
    r"""`printf '\ntrace_0001' | sha256sum` begins de1ed3b486ac0f9e; `printf 'team\ntrace_0001'` 3ba1eff4b672bc01.

    0xde1ed3b486ac0f9e is 16005462898028318622, modulo 8 it is 6; 0x3ba1eff4b672bc01 modulo 8 is 1.
    """
    among = ["a", "b", "c", "d", "e", "f", "g", "h"]
    assert choice("trace_0001", among) == "g"
    assert choice("trace_0001", among, salt="team") == "b"
    assert value({"choose": {"by": "id", "among": among}}, {"id": "trace_0001"}) == "g"


def test_a_choice_is_the_same_in_another_process() -> None:
    """Python's own hash of a text differs from process to process."""
    program = "from tollbook.senders.expressions import choice; print(choice('x', ['a', 'b', 'c', 'd', 'e']))"
    others = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    }
    assert others == {choice("x", ["a", "b", "c", "d", "e"])}


def test_values_are_looked_up_and_others_refused_unless_the_mapping_says() -> None:
    """A provider that nobody thought of must not become another one."""
    document = {"column": "p", "values": {"gemini": "google", "0": "zero"}}
    assert value(document, {"p": "gemini"}) == "google"
    assert value(document, {"p": 0}) == "zero"
    assert value(document | {"others": "keep"}, {"p": "openai"}) == "openai"
    assert value(document | {"others": "null"}, {"p": "openai"}) is None
    with pytest.raises(RejectedRecordError, match="expected `field` to be one of 0, gemini, got 'openai'"):
        value(document, {"p": "openai"})


def test_a_factor_is_applied_exactly_and_a_whole_number_rounded_half_to_even() -> None:
    """7.34 s are 7340 ms; 0.0005 and 0.0015 s are halves between 0 and 1 and between 1 and 2 ms."""
    document = {"column": "s", "times": 1000}
    assert value(document, {"s": "7.34"}, pa.int64()) == 7340
    assert [value(document, {"s": each}, pa.int64()) for each in ("0.0005", "0.0015")] == [0, 2]


def test_a_relative_clock_counts_from_its_start() -> None:
    """Traces seldom carry a calendar."""
    document = {"seconds_after": {"column": "t", "start": "2026-06-01T00:00:00Z"}}
    found = value(document, {"t": "134.227"}, pa.timestamp("us", "UTC"))
    assert found.isoformat() == "2026-06-01T00:02:14.227000+00:00"
    milliseconds = {"milliseconds_after": {"column": "t", "start": "2026-06-01T02:00:00+02:00"}}
    assert value(milliseconds, {"t": 134_227}, pa.timestamp("us", "UTC")) == found


def test_a_start_without_zone_is_misuse() -> None:
    """It would shift every event."""
    with pytest.raises(MisuseError, match="start"):
        value({"seconds_after": {"column": "t", "start": "2026-06-01"}}, {})


def test_a_list_or_an_object_is_no_value() -> None:
    """Prompts come in lists; none may become a tag."""
    with pytest.raises(RejectedRecordError, match="text or a number"):
        value({"column": "messages"}, {"messages": ["hello"]})
