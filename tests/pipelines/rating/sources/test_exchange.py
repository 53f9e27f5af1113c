"""Exchange rates: dated, exact, and never guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tollbook.contracts import shipped_folder
from tollbook.errors import ReferenceDataError
from tollbook.rating.schedule import microseconds
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates, read_exchange_rates

Write = Callable[[str], Path]
JUNE, JULY, AUGUST = (datetime(2026, month, 1, tzinfo=UTC) for month in (6, 7, 8))
ENTRY = """
  - currency: EUR
    usd: "1.1720"
    valid_from: 2026-06-01T00:00:00Z
    source: treasury
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function from the rates of a document to its path."""

    def written(rates: str) -> Path:
        path = tmp_path / "exchange_rates.yml"
        path.write_text(f"exchange_rates: 1\nrates:{rates}")
        return path

    return written


def test_the_example_is_what_the_manual_says() -> None:
    """The example is what people copy from."""
    rates = read_exchange_rates(shipped_folder("schemas") / "examples" / "exchange_rates" / "exchange_rates.yml")
    june, july = rates.at("EUR", JULY - timedelta(microseconds=1)), rates.at("EUR", JULY)
    assert june is not None
    assert july is not None
    assert (june.usd, july.usd) == (Fraction("1.1720"), Fraction("1.1655"))
    assert rates.at("EUR", JUNE - timedelta(microseconds=1)) is None
    assert rates.at("USD", JULY) is None
    assert rates.at("GBP", JULY) is None


def test_a_column_of_amounts_finds_the_rate_of_each_time() -> None:
    """Gaps have no rate; USD is itself at any time; a name that is no currency has none."""
    rates = ExchangeRates.of(
        [
            ExchangeRate("EUR", Fraction("1.172"), JUNE, JULY),
            ExchangeRate("EUR", Fraction("1.2"), AUGUST),
            ExchangeRate("JPY", Fraction("0.006671")),
        ]
    )
    tick = timedelta(microseconds=1)
    at = [JUNE - tick, JUNE, JULY - tick, JULY, AUGUST - tick, AUGUST, JUNE, JUNE, JUNE]
    place = np.array([0, 0, 0, 0, 0, 0, 1, 2, 3])
    found = rates.find(["EUR", "JPY", "USD", None], place, np.array([microseconds(each) for each in at]))
    assert found.known.tolist() == [False, True, True, False, False, True, True, True, False]
    exact = [
        whole + Fraction(rest, denominator)
        for whole, rest, denominator in zip(
            found.whole.tolist(), found.numerator.tolist(), found.denominator.tolist(), strict=True
        )
    ]
    assert [exact[place] for place in (1, 2, 5, 6, 7)] == [
        *(Fraction("1.172"), Fraction("1.172"), Fraction("1.2"), Fraction("0.006671"), Fraction(1))
    ]


@pytest.mark.parametrize(
    ("rates", "line", "told"),
    [
        (ENTRY + ENTRY.replace("1.1720", "1.2"), 10, "expected rates of EUR that do not overlap"),
        (ENTRY.replace("EUR", "USD"), 3, "expected another currency"),
        (ENTRY.replace("1.1720", "0.0"), 4, "expected a rate above 0"),
        (ENTRY.replace("1.1720", "1,1720"), 4, "usd"),
        (ENTRY.replace('"1.1720"', "1.1720"), 4, "usd"),
        (ENTRY.replace("00:00:00Z", "00:00:00"), 5, "valid_from"),
        (ENTRY + "    valid_to: 2026-06-01T00:00:00Z\n", 7, "expected valid_to after valid_from"),
        (ENTRY + "    valid_until: 2026-07-01T00:00:00Z\n", 7, "valid_until"),
        (ENTRY.replace("EUR", "euro"), 3, "currency"),
    ],
)
def test_a_malformed_file_names_the_line_and_nothing_of_it_is_used(
    write: Write, rates: str, line: int, told: str
) -> None:
    """A wrong rate is money: the finding says where to look and what was expected."""
    with pytest.raises(ReferenceDataError) as refusal:
        read_exchange_rates(write(rates))
    fault = refusal.value.faults[0]
    assert fault.line == line
    assert told in str(fault)
    assert fault.file.endswith("exchange_rates.yml")


def test_every_fault_is_listed_at_once(write: Write) -> None:
    """Who mends a file one fault at a time gives up."""
    with pytest.raises(ReferenceDataError) as refusal:
        read_exchange_rates(write(ENTRY.replace("EUR", "USD") + ENTRY.replace("1.1720", "0.0")))
    assert len(refusal.value.faults) == 2


def test_the_order_of_rates_does_not_change_the_version() -> None:
    """A file that is sorted anew decides nothing else."""
    each = [ExchangeRate("EUR", Fraction(2), JUNE, JULY), ExchangeRate("EUR", Fraction(3), JULY)]
    assert ExchangeRates.of(each).version == ExchangeRates.of(reversed(each)).version
    assert ExchangeRates.of(each).version != ExchangeRates.of(each[:1]).version
    assert ExchangeRates().version == "none"
