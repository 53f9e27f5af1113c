"""Price tables in CSV, by a mapping."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from tollbook.errors import MisuseError, ReferenceDataError
from tollbook.rating.sources.price_table import read_price_table

MAPPING = """\
price_table: 1
name: own-table
model: model
provider: provider
providers: {Gemini: google}
valid_from: since
removed: {column: event, equals: removed}
prices:
  - rates: {input_tokens: input, output_tokens: output}
  - service_tier: batch
    above_input_tokens: 200000
    rates: {input_tokens: batch}
"""
HEAD = "model,provider,since,input,output,batch,event\n"


def day(year: int, month: int) -> datetime:
    """Return the first of a month, UTC."""
    return datetime(year, month, 1, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return the paths of a table and of its mapping."""
    (tmp_path / "own.price_table.yml").write_text(MAPPING)
    return tmp_path / "own.csv", tmp_path / "own.price_table.yml"


def test_a_row_holds_until_the_models_next_row(files: tuple[Path, Path]) -> None:
    """A table of changes says when a price begins; it ends with the next, or when the model is removed."""
    files[0].write_text(
        HEAD + "a,,2026-03-01,1,4,,changed\n" + "b,Gemini,2026-01-01,0.5,,0.25,new\n"
        "a,acme,2026-01-01,2,8,,new\n" + "a,acme,2026-05-01,,,,removed\n"
    )

    prices = read_price_table(*files)

    told = [(each.provider, each.model, each.service_tier, each.valid_from, each.valid_to) for each in prices]
    assert told == [
        ("acme", "a", "default", day(2026, 1), day(2026, 3)),
        ("acme", "a", "default", day(2026, 3), day(2026, 5)),
        ("google", "b", "default", day(2026, 1), None),
        ("google", "b", "batch", day(2026, 1), None),
    ]
    # 2 USD a million tokens are 2,000,000 pico-USD a token.
    assert prices[0].rates == {"input_tokens": Fraction(2_000_000), "output_tokens": Fraction(8_000_000)}
    assert (prices[3].above_input_tokens, prices[3].rates) == (200_000, {"input_tokens": Fraction(250_000)})
    assert (prices[0].price_list, prices[0].source) == ("own-table", "own.csv, line 4")


def test_a_column_may_say_when_a_price_ends(files: tuple[Path, Path]) -> None:
    """Such a table can hold gaps and overlaps, which the check then finds."""
    files[1].write_text(MAPPING.replace("valid_from: since", "valid_from: since\nvalid_to: event").split("removed:")[0])
    with files[1].open("a") as mapping:
        mapping.write("prices:\n  - rates: {input_tokens: input}\n")
    files[0].write_text(HEAD + "a,acme,2026-01-01,2,,,2026-04-01\n" + "a,acme,2026-03-01,1,,,\n")

    prices = read_price_table(*files)

    assert [(each.valid_from, each.valid_to) for each in prices] == [(day(2026, 1), day(2026, 4)), (day(2026, 3), None)]


def test_nothing_is_read_when_a_value_cannot_be(files: tuple[Path, Path]) -> None:
    """A price that is left out silently is a model without a price."""
    files[0].write_text(
        HEAD + "a,acme,2026-01-01,cheap,8,,new\n" + "a,acme,soon,-1,8,NaN,new\n" + ",acme,,1,1,,new\n"
        "b,acme,2026-01-01,1,1,,new\n" + "b,acme,2026-01-01,2,1,,new\n" + "c,acme,2026-01-01,1e30,1,,new\n"
    )

    with pytest.raises(ReferenceDataError) as caught:
        read_price_table(*files)

    told = [(fault.line, fault.field, fault.value) for fault in caught.value.faults]
    assert told == [
        (2, "input", "'cheap'"),
        (3, "batch", "'NaN'"),
        (3, "input", "'-1'"),
        (3, "since", "'soon'"),
        (4, "model", "nothing"),
        (4, "since", "nothing"),
        (6, "since", "'2026-01-01T00:00:00Z'"),
        (7, "input", "'1e30'"),
    ]
    limits = "below 1,000,000 USD for one unit and of at most 24 decimals"
    rule = f"expected what 1,000,000 units cost in USD: a number of 0 or more, {limits}"
    assert f"{files[0]}:2: input: {rule}, got 'cheap'" in str(caught.value)


@pytest.mark.parametrize("value", ["1e-3000000", "1e3000000", "1_0", "٣", "1e-99", "0x1", "Infinity", "1" * 41])
def test_a_value_that_is_no_price_is_told_with_its_line_and_costs_no_memory(
    files: tuple[Path, Path], value: str
) -> None:
    """`1e-3000000` is ten characters and a fraction of three million digits; `1_0` is ten to Python alone."""
    files[0].write_text(HEAD + f"a,acme,2026-01-01,{value},8,,new\n", encoding="utf-8")
    with pytest.raises(ReferenceDataError) as caught:
        read_price_table(*files)
    (fault,) = caught.value.faults
    assert (fault.line, fault.field, fault.value) == (2, "input", repr(value))


def test_amounts_are_read_as_tables_write_them(files: tuple[Path, Path]) -> None:
    """2.5e-06 USD for a token is how some tables write 2.50 for a million; here a million cost 0.0000025, +3 and .5."""
    files[0].write_text(HEAD + "a,acme,2026-01-01,2.5e-06,+3,,new\n" + "b,acme,2026-01-01,.5,1.,,new\n")
    rates = [each.rates for each in read_price_table(*files)]
    assert rates == [
        {"input_tokens": Fraction(5, 2), "output_tokens": 3_000_000},
        {"input_tokens": 500_000, "output_tokens": 1_000_000},
    ]


def test_a_line_with_a_cell_too_many_or_too_few_is_told(files: tuple[Path, Path]) -> None:
    """An unquoted comma in a name moves every price by a column, and a line that breaks off loses some."""
    files[0].write_text(
        HEAD + "a,b,acme,2026-01-01,1,4,,new\n" + "a,acme,2026-01-01,1\n" + "\n" + "b,acme,2026-01-01,1,4,,new\n"
    )
    with pytest.raises(ReferenceDataError) as caught:
        read_price_table(*files)
    assert [str(fault).partition("own.csv:")[2] for fault in caught.value.faults] == [
        "2: expected 7 cells as in the heading, got 8",
        "3: expected 7 cells as in the heading, got 4",
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_heading(files: tuple[Path, Path]) -> None:
    """Spreadsheets write one, and then the column `model` seems to be absent though everyone can see it."""
    files[0].write_bytes(b"\xef\xbb\xbf" + (HEAD + "a,acme,2026-01-01,1,4,,new\n").encode())
    assert [each.model for each in read_price_table(*files)] == ["a"]


def test_a_heading_that_stands_twice_is_misuse(files: tuple[Path, Path]) -> None:
    """Of two columns `input` one would be taken, and nobody said which."""
    files[0].write_text(HEAD.replace("batch", "input") + "a,acme,2026-01-01,1,4,2,new\n")
    with pytest.raises(MisuseError, match=r"expected each column once in .*own\.csv, got input more than once"):
        read_price_table(*files)


def test_an_instant_that_utc_does_not_have_is_told_with_its_line(files: tuple[Path, Path]) -> None:
    """The last hours of the year 9999 in Honolulu are after the end of time in UTC."""
    files[0].write_text(HEAD + "a,acme,9999-12-31T23:59:59-10:00,1,4,,new\n")
    with pytest.raises(ReferenceDataError, match=r"own\.csv:2: since: expected a date or a time"):
        read_price_table(*files)


def test_an_absent_column_is_misuse(files: tuple[Path, Path]) -> None:
    """The mapping is of another table."""
    files[0].write_text("model,since\n")

    with pytest.raises(MisuseError, match=r"expected the columns batch, event, input, output, provider in .*own\.csv"):
        read_price_table(*files)


def test_an_absent_table_is_misuse(files: tuple[Path, Path]) -> None:
    """The message names the path."""
    with pytest.raises(MisuseError, match=r"expected a CSV file at .*own\.csv"):
        read_price_table(*files)


def test_an_unknown_rate_or_key_of_the_mapping_is_refused(files: tuple[Path, Path]) -> None:
    """A misspelt key maps nothing, and nobody would see it."""
    files[1].write_text(MAPPING.replace("{input_tokens: batch}", "{inputs: batch}"))
    with pytest.raises(ReferenceDataError, match=r"12: prices/1/rates/inputs: expected a rate key of units\.yml"):
        read_price_table(*files)

    files[1].write_text(MAPPING + "valid_form: since\n")
    with pytest.raises(ReferenceDataError, match="valid_form"):
        read_price_table(*files)
