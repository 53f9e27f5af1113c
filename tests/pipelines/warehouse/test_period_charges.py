"""The second pass in the build: the same charges whenever, however often and from whatever state they are computed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.errors import BuildFailedError, ReferenceDataError
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.periods.charges import charge_schema, charge_table, newest_charges, read_charges, write_charges
from tollbook.rating.prices import Price
from tollbook.rating.sources.contracts import load_contract
from tollbook.rating.store import record
from tollbook.warehouse import period_charges
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

# Each call of the test lake costs 0.001 USD: half off beyond 0.002 a month, and 0.005 promised a month.
TERMS = """
  - term_id: tiers
    volume_tiers: {counts: spend, mode: graduated, steps: [{from: "0"}, {from: "0.002", discount_percent: "50"}]}
  - term_id: promise
    spend_commitment: {amount: "0.005", per: billing_period}
"""
SHOWN = "select billing_period_start, charge_kind, contracted_cost, charge_sequence from finance.fct_period_charges"


def agree(lake: LakeBuilder, tmp_path: Path, terms: str = TERMS, *, known: str = "2026-05-01") -> Path:
    """Load a contract with OpenAI for June and July 2026 and return its file."""
    path = tmp_path / "acme.yml"
    head = (
        "contract: 1\ncontract_id: acme\nprovider: openai\ncurrency: USD\nvalid_from: 2026-06-01\nvalid_to: 2026-08-01"
    )
    path.write_text(f"{head}\nknown_from: {known}T00:00:00Z\nauthor: a\nreason: r\nterms:{terms}", encoding="utf-8")
    load_contract(path, lake.settings.contracts, PriceBook.load(lake.settings), now=NOW)
    return path


def built(lake: LakeBuilder, now: str) -> list[tuple[Any, ...]]:
    """Build at an instant and return the charges of the mart."""
    build(lake.settings, clock=lambda: datetime.fromisoformat(now).replace(tzinfo=UTC))
    return lake.query(f"{SHOWN} order by all")


NOW = datetime(2026, 8, 3, tzinfo=UTC)
JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)


@pytest.fixture(autouse=True)
def _no_contracts_left(lake: LakeBuilder) -> Any:
    yield
    shutil.rmtree(lake.settings.home / "reference", ignore_errors=True)


def test_charges_follow_the_totals_of_the_period(lake: LakeBuilder, event: Any, tmp_path: Path) -> None:
    """Calls told twice count once, late calls change the charges, and a month that ends owes its shortfall.

    June: 3 calls, 0.003 USD, of which 0.001 is beyond 0.002: 0.0005 off. 0.0025 spent of 0.005 leaves 0.0025. A late
    call makes it 0.001 off, and 0.003 spent.
    """
    agree(lake, tmp_path)
    lake.commit([event(name) for name in ("a", "b", "c", "c")])
    tier = (JUNE, "volume_tier", Decimal("-0.0005"), 1)
    assert built(lake, "2026-06-15") == [tier]
    # Nothing came in; July has begun.
    assert built(lake, "2026-07-01") == [(JUNE, "commitment_shortfall", Decimal("0.0025"), 2), tier]
    lake.commit([event("d", "2026-06-30")])
    assert built(lake, "2026-07-02") == [
        (JUNE, "commitment_shortfall", Decimal("0.002"), 3),
        (JUNE, "volume_tier", Decimal("-0.001"), 3),
    ]
    balance = "select measure, amount_in, amount_out from audit.fct_ledger_balance where hand_over = "
    assert lake.query(f"{balance} 'charge_log_to_charges' order by all") == [
        ("contracted_cost", Decimal("0.001"), Decimal("0.001")),
        ("records", 2, 2),
    ]


@pytest.mark.slow
def test_building_again_and_from_nothing_leaves_the_charges_as_they_are(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """No second sequence while nothing changed: a statement that names a charge still finds it (pitfall 24)."""
    agree(lake, tmp_path)
    lake.commit([event(name) for name in ("a", "b", "c")])
    first = built(lake, "2026-08-01")
    assert len(first) == 3
    lake.commit([event("elsewhere", provider="anthropic")])
    assert built(lake, "2026-08-02") == first
    files = sorted((lake.settings.lake / "charges").rglob("*"))
    for entry in lake.settings.warehouse.iterdir():
        if entry.is_file():
            entry.unlink()
    assert built(lake, "2026-08-03") == first
    assert sorted((lake.settings.lake / "charges").rglob("*")) == files
    assert newest_charges(lake.settings.lake) == 1


@pytest.mark.slow
def test_a_build_that_died_after_it_wrote_charges_is_made_good_by_the_next(
    lake: LakeBuilder, event: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The charges are in the lake, the marts are not: the next build finds them there and writes none."""
    agree(lake, tmp_path)
    lake.commit([event(name) for name in ("a", "b", "c")])

    def die(*_: Any) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(period_charges, "write_synced", die)
        with pytest.raises(BuildFailedError, match=r"int_period_charges_computed \(error\): .*power cut"):
            built(lake, "2026-06-15")
    assert newest_charges(lake.settings.lake) == 1
    assert built(lake, "2026-06-15") == [(JUNE, "volume_tier", Decimal("-0.0005"), 1)]
    assert newest_charges(lake.settings.lake) == 1


@pytest.mark.slow
def test_charges_go_by_the_prices_that_were_charged_and_not_by_those_of_today(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """A price that has since been doubled under one identity must not double a discount on what it was.

    100 input tokens cost 0.0005 of a call's 0.001 USD, as the book of its day tells. Half off the input of 3 calls is
    0.00075. A call of a book that nobody recorded is not cut: its tokens are told as unknown.
    """
    price = Price("openai", "gpt-5", {"input_tokens": 5_000_000, "output_tokens": 10_000_000})
    charged = PriceBook.of(Catalogue.from_rows([price], version="old"))
    edited = replace(price, rates={"input_tokens": 10_000_000, "output_tokens": 20_000_000})
    for book in (charged, PriceBook.of(Catalogue.from_rows([edited], version="new"))):
        record(lake.settings.lake, book, NOW)
    terms = """
  - term_id: tiers
    applies_to: {rate_keys: [input_tokens]}
    volume_tiers: {counts: tokens, mode: graduated, steps: [{from: "0", discount_percent: "50"}]}
"""
    agree(lake, tmp_path, terms)
    known = {"sku_price_id": price.sku_price_id, "catalogue_version": charged.version}
    calls = [event(name, **known) for name in ("a", "b", "c")]
    lake.commit([*calls, event("d", **known | {"catalogue_version": "never-recorded"})])
    assert built(lake, "2026-06-15") == [(JUNE, "volume_tier", Decimal("-0.00075"), 1)]
    unknown = "select unpriced_calls, unpriced_tokens from finance.fct_period_charges"
    assert lake.query(unknown) == [(0, 110)]


def test_a_changed_contract_changes_the_charges_without_new_usage(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """An amendment is usually signed late. A term that is dropped takes its charges with it."""
    lake.commit([event(name) for name in ("a", "b", "c")])
    assert built(lake, "2026-07-01") == []
    assert newest_charges(lake.settings.lake) == 0
    agree(lake, tmp_path)
    assert [row[1] for row in built(lake, "2026-07-01")] == ["commitment_shortfall", "volume_tier"]
    dropped = TERMS[: TERMS.index("  - term_id: promise")].replace('"50"', '"100"')
    agree(lake, tmp_path, dropped, known="2026-06-20")
    assert built(lake, "2026-07-01") == [(JUNE, "volume_tier", Decimal("-0.001"), 2)]
    assert newest_charges(lake.settings.lake) == 2


@pytest.mark.slow
def test_a_malformed_contract_stops_the_build_before_anything_changes(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """Charging without a contract that nobody could read would be silent; the marts stay as they were."""
    lake.commit([event("a")])
    built(lake, "2026-07-01")
    path = agree(lake, tmp_path)
    text = path.read_text(encoding="utf-8").replace('"50"', '"500"')
    (lake.settings.contracts / "other.yml").write_text(text.replace("acme", "other"), encoding="utf-8")
    lake.commit([event("b")])
    with pytest.raises(ReferenceDataError, match=r"other\.yml:12: .*from 0 to 100 percent"):
        built(lake, "2026-07-01")
    assert lake.total()[0] == 1


@pytest.mark.slow
def test_corrections_of_others_are_in_the_mart_and_are_left_alone(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """What others wrote into the log stays; a second pass must neither lose nor double it."""
    agree(lake, tmp_path)
    lake.commit([event(name) for name in ("a", "b", "c")])
    built(lake, "2026-06-15")
    july = {
        "billing_period_start": datetime(2026, 7, 1, tzinfo=UTC),
        "billing_period_end": datetime(2026, 8, 1, tzinfo=UTC),
    }
    correction = july | {
        "charge_period_start": datetime(2026, 6, 1, tzinfo=UTC),
        "charge_period_end": datetime(2026, 7, 1, tzinfo=UTC),
        "charge_category": "Usage",
        "charge_class": "Correction",
        "charge_frequency": "Usage-Based",
        "charge_kind": "overage",
        "charge_description": "d",
        "term_id": "rating-1",
        "contract_id": "acme",
        "billing_currency": "USD",
        "contracted_cost": Decimal("0.25"),
    }
    write_charges(lake.settings.lake, charge_table([correction]))
    both = [(JUNE, "volume_tier", Decimal("-0.0005"), 1), (JULY, "overage", Decimal("0.25"), 2)]
    assert built(lake, "2026-06-15") == both
    assert built(lake, "2026-06-15") == both


def test_the_mart_has_the_columns_of_the_contract(lake: LakeBuilder, event: Any) -> None:
    """Whoever reads the lake's files and whoever reads the table find the same names; empty is a table too."""
    lake.commit([event("a")])
    built(lake, "2026-06-15")
    columns = "select column_name from duckdb_columns() where table_name = 'fct_period_charges' order by column_index"
    assert [name for (name,) in lake.query(columns)] == charge_schema().names
    assert read_charges(lake.settings.lake).num_rows == 0
