"""Values of foreign files as values of the contract."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.errors import MisuseError, RejectedRecordError
from tollbook.senders.conversions import (
    after,
    boolean_of,
    converter,
    moment_of,
    number_of,
    text_of_moment,
    timestamp_reader,
    whole_number_of,
)

START = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "number"), [("374", 374), (374, 374), ("374.0", 374), (Decimal("3.74E2"), 374), ("-5", -5)]
)
def test_a_whole_number_may_be_written_in_several_ways(told: object, number: int) -> None:
    """Tools write counts as text and as floats. A negative one goes on: the meter rejects it with its bytes."""
    assert whole_number_of(told) == number


@pytest.mark.parametrize(
    "told", ["1_000", "1,000", "many", "", "1.5", Decimal("0.1"), True, "NaN", "1e999999999", "٣", "9" * 40]
)
def test_what_is_no_whole_number_is_refused_with_what_came(told: object) -> None:
    """Python takes `1_000`; a count that a file means otherwise must not be guessed."""
    with pytest.raises(RejectedRecordError, match="number"):
        whole_number_of(told)


def test_truth_values_are_few_and_told() -> None:
    """A `0` that became true would mark every call as streamed."""
    assert [boolean_of(each) for each in ("TRUE", "1", "yes", True)] == [True] * 4
    assert [boolean_of(each) for each in ("False", "0", 0, "no")] == [False] * 4
    with pytest.raises(RejectedRecordError, match="yes or no"):
        boolean_of("2")


@given(st.integers(min_value=0, max_value=10**12))
def test_seconds_after_a_start_are_exact_to_the_microsecond(microseconds: int) -> None:
    """A float of 440383.797 s would be off by up to 29 ns, and so sometimes by a whole microsecond."""
    text = f"{microseconds // 10**6}.{microseconds % 10**6:06d}"
    found = after(START, text, microseconds_each=1_000_000)
    assert (found - START).days * 86_400 * 10**6 + (found - START).seconds * 10**6 + (
        found - START
    ).microseconds == microseconds


def test_digits_finer_than_a_microsecond_are_cut_off() -> None:
    """Rounding up could move a call into the next day or past a change of price."""
    assert after(START, "0.0000019", microseconds_each=1_000_000) == datetime(2026, 6, 1, 0, 0, 0, 1, UTC)
    read = timestamp_reader("%Y-%m-%d %H:%M:%S.%f", "UTC")
    assert read("2023-11-16 18:15:46.6805909") == datetime(2023, 11, 16, 18, 15, 46, 680590, UTC)
    assert moment_of("2026-06-01T00:00:00.1234569Z") == datetime(2026, 6, 1, 0, 0, 0, 123456, UTC)


def test_epochs_are_read_in_three_units() -> None:
    """1,780,272,000 s after 1970 is 2026-06-01T00:00:00Z."""
    assert timestamp_reader("epoch_seconds", None)("1780272000") == START
    assert timestamp_reader("epoch_milliseconds", None)(1_780_272_000_000) == START
    assert timestamp_reader("epoch_microseconds", None)("1780272000000000") == START


def test_a_local_time_is_read_in_its_zone_unless_the_zone_has_it_twice_or_never() -> None:
    """In Berlin clocks went from 03:00 back to 02:00 on 2026-10-25 and from 02:00 to 03:00 on 2026-03-29."""
    read = timestamp_reader("%Y-%m-%d %H:%M", "Europe/Berlin")
    assert read("2026-07-01 12:00") == datetime(2026, 7, 1, 10, tzinfo=UTC)
    for doubtful in ("2026-10-25 02:30", "2026-03-29 02:30"):
        with pytest.raises(RejectedRecordError, match="exactly once"):
            read(doubtful)


def test_a_time_without_a_zone_is_refused() -> None:
    """Read as UTC it would fall into another day for half of the world."""
    for reader in (moment_of, timestamp_reader("rfc3339", None), timestamp_reader("%Y-%m-%d", None)):
        with pytest.raises(RejectedRecordError, match="zone"):
            reader("2026-06-01")


def test_an_unknown_zone_is_misuse_of_the_mapping() -> None:
    """It would refuse every row; said once, it can be put right."""
    with pytest.raises(MisuseError, match="Europe/Atlantis"):
        timestamp_reader("rfc3339", "Europe/Atlantis")


def test_a_time_is_written_in_utc() -> None:
    """The contract wants a zone."""
    assert text_of_moment(START) == "2026-06-01T00:00:00Z"


def test_money_keeps_every_digit() -> None:
    """As a float, 0.1 + 0.2 is not 0.3."""
    assert converter(pa.decimal128(38, 12))("0.100000000001") == "0.100000000001"
    assert converter(pa.decimal128(38, 12))(Decimal("1E-7")) == "0.0000001"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_numbers_are_read_exactly(number: Decimal) -> None:
    """Differences of counts are taken before they are whole numbers."""
    assert number_of(str(number)) == number
