"""Contracted prices: list prices keep what a contract does not name, at every instant and for everyone else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.contract_terms import DEFAULT_PRICE, Contract, Discount, NegotiatedRates, Reach, Term
from tollbook.rating.periods.calendar import UTC_CALENDAR, BillingCalendar
from tollbook.rating.prices import ANY_ACCOUNT, Price
from tollbook.rating.rate import input_columns, rate_by_book
from tollbook.rating.sources.contracted import contracted_catalogue, contracted_prices
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates

START, END = date(2026, 3, 1), date(2026, 7, 1)
# USD a million tokens: input 3, output 15, cache read 0.3; above 200,000 input tokens 6, 22.5 and 0.6.
BASE = {"input_tokens": 3_000_000, "output_tokens": 15_000_000, "cache_read_tokens": 300_000}
LONG = {"input_tokens": 6_000_000, "output_tokens": 22_500_000, "cache_read_tokens": 600_000}
LIST = (
    Price("anthropic", "claude", BASE, valid_from=datetime(2026, 1, 1, tzinfo=UTC)),
    Price("anthropic", "claude", LONG, valid_from=datetime(2026, 1, 1, tzinfo=UTC), above_input_tokens=200_000),
    Price("anthropic", "claude", BASE, service_tier="batch", valid_from=datetime(2026, 1, 1, tzinfo=UTC)),
    Price("anthropic", "other", BASE),
    Price("openai", "gpt", BASE),
)


def rates(**usd_a_million: str) -> NegotiatedRates:
    """Return negotiated rates, told as a contract tells them."""
    return NegotiatedRates({key: Fraction(text) / 1_000_000 for key, text in usd_a_million.items()})


def contract(*terms: Term, currency: str = "USD", accounts: frozenset[str] | None = None, **fields: Any) -> Contract:
    """Return a contract from March to June 2026."""
    known = datetime(2026, 2, 1, tzinfo=UTC)
    return Contract(
        "acme", "anthropic", currency, START, known, terms, "v", billing_accounts=accounts, valid_to=END, **fields
    )


def term(body: NegotiatedRates | Discount, reach: Reach | None = None, name: str = "t") -> Term:
    """Return a term of the whole contract."""
    default = DEFAULT_PRICE if isinstance(body, NegotiatedRates) else Reach()
    return Term(name, body, START, END, reach or default)


def book(
    *contracts: Contract, exchange: ExchangeRates | None = None, calendar: BillingCalendar = UTC_CALENDAR
) -> PriceBook:
    """Return a price book with contracts."""
    catalogue = Catalogue.from_rows(LIST, version="list")
    exchange = exchange or ExchangeRates()
    contracted = contracted_catalogue(catalogue, contracts, exchange, calendar)
    return PriceBook.of(catalogue, contracted=contracted, exchange=exchange)


def rated(priced_by: PriceBook, **event: Any) -> tuple[int | None, int | None, str | None, str | None]:
    """Return list cost and contracted cost in pico-USD, the contract and why there is no cost, for one call."""
    told = {"provider": "anthropic", "model": "claude", "occurred_at": datetime(2026, 4, 1, tzinfo=UTC)} | event
    schema = pa.schema([pa.field(name, _types(name)) for name in input_columns()])
    row = rate_by_book(pa.RecordBatch.from_pylist([told], schema=schema), priced_by).to_pylist()[0]
    names = ("list_cost_pico_usd", "contracted_cost_pico_usd", "contract_id", "unpriced_reason")
    return tuple(row[name] for name in names)


def _types(name: str) -> pa.DataType:
    from tollbook.contracts import usage_event

    return usage_event().field(name).arrow_type


MILLION_IN = {"uncached_input_tokens": 100_000, "input_tokens": 100_000, "text_output_tokens": 0, "output_tokens": 0}
CALL = {
    "uncached_input_tokens": 80_000,
    "cache_read_tokens": 20_000,
    "input_tokens": 100_000,
    "text_output_tokens": 10_000,
    "output_tokens": 10_000,
}


def test_pitfall_20_a_partial_negotiated_price_keeps_the_other_rates() -> None:
    """Pitfall 20: an override of one rate wiped the others, so that calls became free or failed.

    80,000 input at 2.50 instead of 3 are 0.20 instead of 0.24 USD; 20,000 read from the cache at 0.30 stay 0.006, and
    10,000 output at 15 stay 0.15. List 0.396, contracted 0.356.
    """
    priced_by = book(contract(term(rates(input_tokens="2.50"))))
    assert rated(priced_by, **CALL) == (396_000_000_000, 356_000_000_000, "acme", None)


@given(named=st.dictionaries(st.sampled_from(sorted(BASE)), st.integers(0, 50_000_000), min_size=1))
def test_pitfall_20_whatever_rates_are_agreed_the_others_are_list(named: dict[str, int]) -> None:
    """litellm#15063, #25874, Helicone#5172: each token costs its own agreed rate or its own list rate, and is priced.

    Rates are pico-USD a token: 80,000 of input, 20,000 read from the cache, 10,000 of output.
    """
    counts = {"input_tokens": 80_000, "cache_read_tokens": 20_000, "output_tokens": 10_000}
    agreed = NegotiatedRates({key: Fraction(pico, 10**12) for key, pico in named.items()})

    listed, contracted, contract_id, unpriced = rated(book(contract(term(agreed))), **CALL)

    assert listed == sum(count * BASE[key] for key, count in counts.items())
    assert contracted == sum(count * named.get(key, BASE[key]) for key, count in counts.items())
    assert (contract_id, unpriced) == ("acme", None)


def test_a_rate_for_short_requests_leaves_long_ones_and_batches_at_list() -> None:
    """300,000 input above the tier at 6 are 1.80 USD, by contract too; so are 0.30 of a batch."""
    priced_by = book(contract(term(rates(input_tokens="2.50"))))
    long = MILLION_IN | {"uncached_input_tokens": 300_000, "input_tokens": 300_000}
    assert rated(priced_by, **long)[:3] == (1_800_000_000_000, 1_800_000_000_000, None)
    batch = rated(priced_by, **MILLION_IN, service_tier="batch")
    assert batch[:3] == (300_000_000_000, 300_000_000_000, None)


def test_a_discount_is_on_what_no_rate_before_it_names() -> None:
    """Input at 2.50 stays; 10 % off cache reads and output: 0.20 + 0.0054 + 0.135 = 0.3404 USD."""
    priced_by = book(contract(term(rates(input_tokens="2.50")), term(Discount(Fraction(1, 10)), name="rest")))
    assert rated(priced_by, **CALL)[1] == 340_400_000_000
    only_output = Reach(rate_keys=frozenset({"output_tokens"}))
    priced_by = book(contract(term(Discount(Fraction(1, 10)), only_output)))
    # 0.24 + 0.006 + 0.135
    assert rated(priced_by, **CALL)[1] == 381_000_000_000


@pytest.mark.parametrize(
    ("moment", "contracted"),
    [
        ("2026-02-28T23:59:59.999999", 300_000_000_000),
        ("2026-03-01T00:00:00", 250_000_000_000),
        ("2026-06-30T23:59:59.999999", 250_000_000_000),
        ("2026-07-01T00:00:00", 300_000_000_000),
        ("2025-06-01T00:00:00", 300_000_000_000),
    ],
)
def test_a_contract_holds_from_its_first_day_to_its_last(moment: str, contracted: int) -> None:
    """Half-open, UTC; before the list price's own first date nothing of the contract is carried back."""
    priced_by = book(contract(term(rates(input_tokens="2.50"))))
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    expected = "acme" if contracted == 250_000_000_000 else None
    assert rated(priced_by, **MILLION_IN, occurred_at=at)[1:3] == (contracted, expected)


def test_a_contract_is_for_its_accounts_provider_and_models_alone() -> None:
    """Another account, another provider that the same model is found at, and calls that tell no account pay list."""
    scoped = contract(term(rates(input_tokens="2.50")), accounts=frozenset({"main"}), models=("claude*",))
    priced_by = book(scoped)
    assert rated(priced_by, **MILLION_IN, billing_account_id="main")[1:3] == (250_000_000_000, "acme")
    for other in ({"billing_account_id": "else"}, {}, {"billing_account_id": "main", "model": "other"}):
        assert rated(priced_by, **MILLION_IN, **other)[1:3] == (300_000_000_000, None)
    for everyone in ({"billing_account_id": "else"}, {}):
        priced_by = book(contract(term(rates(input_tokens="2.50"))))
        assert rated(priced_by, **MILLION_IN, **everyone)[1:3] == (250_000_000_000, "acme")


def test_a_model_that_another_provider_sells_is_not_priced_by_the_contract() -> None:
    """Azure's list price is OpenAI's where Azure has none; what was agreed with OpenAI is not agreed with Azure."""
    catalogue = Catalogue.from_genai_prices()
    since, known = date(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)
    with_openai = Contract("acme", "openai", "USD", since, known, (Term("t", Discount(Fraction(1, 2)), since),), "v")
    priced_by = PriceBook.of(catalogue, contracted=contracted_catalogue(catalogue, [with_openai], ExchangeRates()))
    found = catalogue.find("azure", "gpt-4.1")
    assert found is not None
    assert (found.provider, found.own) == ("openai", False)
    call = MILLION_IN | {"model": "gpt-4.1"}
    azure = rated(priced_by, **call, provider="azure")
    assert azure[0] == azure[1]
    assert azure[2] is None
    own = rated(priced_by, **call, provider="openai")
    assert (own[0], own[2]) == (azure[0], "acme")
    assert own[1] == (own[0] or 0) // 2


def test_a_contract_with_a_provider_that_sells_another_s_models_prices_them() -> None:
    """Azure bills GPT-4.1 where the price list knows OpenAI's price alone: half of it was agreed with Azure."""
    catalogue = Catalogue.from_genai_prices()
    since, known = date(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)
    reach = Reach(models=("gpt-4.1",))
    half = Term("t", Discount(Fraction(1, 2)), since, reach=reach)
    with_azure = Contract("az", "azure", "USD", since, known, (half,), "v")
    priced_by = PriceBook.of(catalogue, contracted=contracted_catalogue(catalogue, [with_azure], ExchangeRates()))
    call = MILLION_IN | {"model": "gpt-4.1"}
    azure, openai = rated(priced_by, **call, provider="azure"), rated(priced_by, **call, provider="openai")
    assert (azure[0], azure[2]) == (openai[0], "az")
    assert azure[1] == (azure[0] or 0) // 2
    assert openai[1:3] == (openai[0], None)
    other = rated(priced_by, **MILLION_IN | {"model": "gpt-4.1-mini"}, provider="azure")
    assert other[1:3] == (other[0], None)


def test_rates_in_another_currency_follow_the_dated_exchange_rates() -> None:
    """2.50 EUR a million: at 1.08 USD 2.70, at 1.10 from the 15th on 2.75, each for 100,000 tokens a tenth of it."""
    april = datetime(2026, 4, 15, tzinfo=UTC)
    exchange = ExchangeRates.of(
        [
            ExchangeRate("EUR", Fraction("1.08"), datetime(2026, 1, 1, tzinfo=UTC), april),
            ExchangeRate("EUR", Fraction("1.10"), april, datetime(2026, 6, 1, tzinfo=UTC)),
        ]
    )
    priced_by = book(contract(term(rates(input_tokens="2.50")), currency="EUR"), exchange=exchange)
    before = datetime(2026, 4, 14, 23, 59, 59, tzinfo=UTC)
    assert rated(priced_by, **MILLION_IN, occurred_at=before)[:3] == (300_000_000_000, 270_000_000_000, "acme")
    assert rated(priced_by, **MILLION_IN, occurred_at=april)[:3] == (300_000_000_000, 275_000_000_000, "acme")


def test_a_date_without_an_exchange_rate_has_no_price() -> None:
    """The last known rate, or the list price, would be a guess: June has no rate, so the call is unpriced."""
    rate = ExchangeRate("EUR", Fraction("1.08"), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
    priced_by = book(contract(term(rates(input_tokens="2.50")), currency="EUR"), exchange=ExchangeRates.of([rate]))
    june = datetime(2026, 6, 1, tzinfo=UTC)
    assert rated(priced_by, **MILLION_IN, occurred_at=june) == (None, None, None, "no_exchange_rate")
    # A discount needs no exchange rate.
    priced_by = book(contract(term(Discount(Fraction(1, 10))), currency="EUR"))
    assert rated(priced_by, **MILLION_IN, occurred_at=june)[:3] == (300_000_000_000, 270_000_000_000, "acme")


def test_a_missing_exchange_rate_leaves_alone_what_the_foreign_rate_does_not_touch() -> None:
    """Only output was agreed, 10 EUR a million: 100,000 input tokens cost 3 USD a million, as without a contract.

    A cached read that has no price may not take that of uncached input, nor a call with output its list price.
    """
    june = {"occurred_at": datetime(2026, 6, 1, tzinfo=UTC)}
    priced_by = book(contract(term(rates(output_tokens="10")), currency="EUR"))
    assert rated(priced_by, **MILLION_IN, **june) == (300_000_000_000, 300_000_000_000, "acme", None)
    both = MILLION_IN | {"output_tokens": 1, "text_output_tokens": 1}
    assert rated(priced_by, **both, **june) == (None, None, None, "no_exchange_rate")
    priced_by = book(contract(term(rates(cache_read_tokens="0.1")), currency="EUR"))
    cached = {"input_tokens": 1, "cache_read_tokens": 1, "output_tokens": 0, "text_output_tokens": 0}
    assert rated(priced_by, **cached, **june) == (None, None, None, "no_exchange_rate")
    assert rated(priced_by, **MILLION_IN, **june)[3] is None
    per_request = NegotiatedRates({"requests": Fraction(1, 1000)})
    assert rated(book(contract(term(per_request), currency="EUR")), **MILLION_IN, **june)[3] == "no_exchange_rate"


def test_a_contracted_price_says_what_was_agreed_and_over_which_price() -> None:
    """`prices show` explains it: the amount in the contract's currency, its exchange rate, the list price beneath."""
    rate = ExchangeRate("EUR", Fraction("1.08"), datetime(2026, 1, 1, tzinfo=UTC))
    agreed = contract(term(rates(input_tokens="2.50")), currency="EUR", models=("claude",))
    prices = list(contracted_prices(LIST, [agreed], ExchangeRates.of([rate])))
    assert [price for price in prices if price.billing_account_id is None] == list(LIST)
    (price,) = [each for each in prices if each.contract_id is not None]
    assert price.billing_account_id == ANY_ACCOUNT
    assert price.rates == {"input_tokens": 2_700_000, "output_tokens": 15_000_000, "cache_read_tokens": 300_000}
    assert price.agreement is not None
    assert price.agreement.terms == {"t": ("input_tokens",)}
    assert price.agreement.rates == {"input_tokens": Fraction("0.0000025")}
    assert (price.agreement.currency, price.agreement.usd) == ("EUR", Fraction("1.08"))
    assert price.agreement.supersedes == LIST[0].sku_price_id
    assert price.sku_price_id == "acme/anthropic/claude/default/2026-03-01/base"


@pytest.mark.parametrize(
    ("zone", "begins", "ends"),
    [
        # 1 March is winter time, 1 July summer time.
        ("Europe/Berlin", datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 1, 5, tzinfo=UTC), datetime(2026, 7, 1, 4, tzinfo=UTC)),
    ],
)
def test_the_dates_of_a_contract_are_days_of_the_billing_calendar(zone: str, begins: datetime, ends: datetime) -> None:
    """A contract of four months prices the calls of four billing periods, to the microsecond: 0.25, not 0.3 USD."""
    priced_by = book(contract(term(rates(input_tokens="2.50"))), calendar=BillingCalendar(zone))
    tick = timedelta(microseconds=1)
    costs = [rated(priced_by, **MILLION_IN, occurred_at=at)[1:3] for at in (begins - tick, begins, ends - tick, ends)]
    listed, agreed = (300_000_000_000, None), (250_000_000_000, "acme")
    assert costs == [listed, agreed, agreed, listed]
