"""What one event costs by the whole book: list price, contract, the provider's own figure; worked by hand."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Agreement, Price
from tollbook.rating.rate import rate, rate_by_book
from tollbook.rating.rated import BOOKED_SCHEMA
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates
from tollbook.rating.sources.policy import CostPolicy

MakeEvents = Callable[..., pa.RecordBatch]

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)
USD = 10**12
# USD a million: 2 and 8; under contract 1.50 and, as the contract does not name it, 8.
LIST = Price("openai", "m", {"input_tokens": 2_000_000, "output_tokens": 8_000_000})
CONTRACT = Price("openai", "m", {"input_tokens": 1_500_000, "output_tokens": 8_000_000}, contract_id="c-1")
EMBEDDING = Price("openai", "embed", {"input_tokens": 20_000})
OUTSIDE = Price("openai", "outside", {"input_tokens": 1_000_000, "output_tokens": 1_000_000})
EUROS = ExchangeRates.of([ExchangeRate("EUR", Fraction("1.1720"), JUNE, JULY)])
REPORTED = CostPolicy(providers={"openai": "provider_reported"})


def catalogue(*prices: Price) -> Catalogue:
    """Return a catalogue of some prices."""
    return Catalogue.from_rows(prices, version="test")


LIST_PRICES = catalogue(LIST, EMBEDDING, OUTSIDE)
PLAIN = PriceBook.of(LIST_PRICES, exchange=EUROS)
UNDER_CONTRACT = PriceBook.of(LIST_PRICES, contracted=catalogue(CONTRACT, EMBEDDING, OUTSIDE), exchange=EUROS)


@pytest.fixture
def rate_one(make_events: MakeEvents) -> Callable[..., dict[str, Any]]:
    """Return a function that rates one event by a book."""

    def rated(book: PriceBook = PLAIN, /, **told: Any) -> dict[str, Any]:
        event = {"model": "m", "occurred_at": JUNE, **told}
        outcome: dict[str, Any] = rate_by_book(make_events([event]), book, buckets=True).to_pylist()[0]
        return outcome

    return rated


RateOne = Callable[..., dict[str, Any]]
CALL = {"uncached_input_tokens": 1_000, "text_output_tokens": 100}
IN_USD = {"provider_cost_currency": "USD"}


def test_without_a_contract_the_contracted_cost_is_the_list_cost(rate_one: RateOne) -> None:
    """A null there would read as no cost, a zero as a gift."""
    rated = rate_one(**CALL)
    # 1,000 x 2 + 100 x 8 USD a million.
    assert rated["list_cost_pico_usd"] == rated["contracted_cost_pico_usd"] == 2_800_000_000
    assert (rated["contract_id"], rated["rated_list_cost_pico_usd"], rated["cost_basis"]) == (None, None, "rated")
    assert rated["contracted_bucket_cost_pico_usd"] == rated["bucket_cost_pico_usd"]


def test_a_contract_changes_the_contracted_cost_and_leaves_the_list_cost(rate_one: RateOne) -> None:
    """The list cost shows what the contract saved; a rate that it does not name stays (pitfall 20)."""
    rated = rate_one(UNDER_CONTRACT, **CALL)
    assert rated["list_cost_pico_usd"] == 2_800_000_000
    # 1,000 x 1.50 + 100 x 8 USD a million.
    assert rated["contracted_cost_pico_usd"] == 2_300_000_000
    assert rated["contract_id"] == "c-1"
    assert rated["sku_price_id"] == LIST.sku_price_id
    by_bucket = {name: cost for name, cost in rated["contracted_bucket_cost_pico_usd"].items() if cost}
    assert by_bucket == {"uncached_input_tokens": 1_500_000_000, "text_output_tokens": 800_000_000}
    assert rated["bucket_cost_pico_usd"]["uncached_input_tokens"] == 2_000_000_000


def test_a_batch_of_calls_with_and_without_a_contract_keeps_them_apart(make_events: MakeEvents) -> None:
    """The contract's share of a batch is priced apart and laid over it: in its own rows, and in no other."""
    models = ["outside", "m", "none", "m", "outside"]
    rated = rate_by_book(
        make_events([{"model": model, "occurred_at": JUNE, **CALL} for model in models]), UNDER_CONTRACT
    )
    assert rated["list_cost_pico_usd"].to_pylist() == [1_100_000_000, 2_800_000_000, None, 2_800_000_000, 1_100_000_000]
    assert rated["contracted_cost_pico_usd"].to_pylist() == [
        *(1_100_000_000, 2_300_000_000, None, 2_300_000_000, 1_100_000_000)
    ]
    assert rated["contract_id"].to_pylist() == [None, "c-1", None, "c-1", None]


def test_a_contract_holds_from_its_first_instant_to_before_its_last(make_events: MakeEvents) -> None:
    """A period is half-open: the call at its end is at the list price again (pitfall 4)."""
    rows = [
        Price("openai", "m", LIST.rates, valid_to=JUNE),
        Price("openai", "m", CONTRACT.rates, valid_from=JUNE, valid_to=JULY, contract_id="c-1"),
        Price("openai", "m", LIST.rates, valid_from=JULY),
    ]
    book = PriceBook.of(LIST_PRICES, contracted=catalogue(*rows))
    tick = timedelta(microseconds=1)
    at = [JUNE - tick, JUNE, JULY - tick, JULY]
    rated = rate_by_book(make_events([{"model": "m", "occurred_at": each, **CALL} for each in at]), book)
    assert rated["contract_id"].to_pylist() == [None, "c-1", "c-1", None]
    assert rated["contracted_cost_pico_usd"].to_pylist() == [2_800_000_000, 2_300_000_000, 2_300_000_000, 2_800_000_000]
    assert rated["list_cost_pico_usd"].to_pylist() == [2_800_000_000] * 4


def test_a_contract_of_one_billing_account_is_not_another_accounts(make_events: MakeEvents) -> None:
    """Two accounts of one provider have two contracts; a call by a third has none."""
    rows = [
        LIST,
        *(
            Price(
                "openai",
                "m",
                {"input_tokens": each, "output_tokens": each},
                price_list=contract,
                contract_id=contract,
                billing_account_id=f"acct-{contract}",
            )
            for each, contract in ((1, "a"), (2, "b"))
        ),
    ]
    book = PriceBook.of(LIST_PRICES, contracted=catalogue(*rows))
    accounts = ["acct-a", "acct-b", "acct-c", None]
    events = [{"model": "m", "occurred_at": JUNE, "billing_account_id": account, **CALL} for account in accounts]
    rated = rate_by_book(make_events(events), book)
    assert rated["contract_id"].to_pylist() == ["a", "b", None, None]
    assert rated["contracted_cost_pico_usd"].to_pylist() == [1_100, 2_200, 2_800_000_000, 2_800_000_000]


def test_a_contract_price_that_cannot_be_applied_leaves_an_estimate(rate_one: RateOne) -> None:
    """A contract that cannot price what the list prices hides nothing: the list cost stands in, and says so."""
    dear = Price("openai", "m", {"input_tokens": 10**17, "output_tokens": 1}, contract_id="typo")
    rated = rate_one(PriceBook.of(LIST_PRICES, contracted=catalogue(dear)), **CALL)
    assert rated["list_cost_pico_usd"] == rated["contracted_cost_pico_usd"] == 2_800_000_000
    assert (rated["contract_id"], rated["cost_basis"]) == ("typo", "estimated")


def test_a_contract_in_a_currency_without_a_rate_leaves_the_call_unpriced(rate_one: RateOne) -> None:
    """What is owed is not known until the customer gives the rate; a list price would be a guess."""
    terms = {"rates": ("input_tokens",)}
    agreed = Agreement(terms, "EUR", {"input_tokens": Fraction(1)}, None, None, LIST.sku_price_id)
    unknown = Price("openai", "m", {}, contract_id="in-euros", agreement=agreed)
    book = PriceBook.of(LIST_PRICES, contracted=catalogue(unknown))
    rated = rate_one(book, **CALL)
    assert (rated["list_cost_pico_usd"], rated["contracted_cost_pico_usd"], rated["contract_id"]) == (None, None, None)
    assert (rated["cost_basis"], rated["unpriced_reason"]) == ("unpriced", "no_exchange_rate")
    # The provider's own figure, where it told one, needs no contract.
    assert rate_one(book, **CALL, **IN_USD, provider_cost=Decimal(1))["cost_basis"] == "provider_reported"


def test_the_providers_own_figure_is_charged_where_we_have_no_price(rate_one: RateOne) -> None:
    """Provider-reported cost ignored: a model without a price cost nothing though the provider told (pitfall 12)."""
    rated = rate_one(**CALL, **IN_USD | {"model": "unheard-of", "provider_cost": Decimal("0.0123")})
    assert rated["list_cost_pico_usd"] == rated["contracted_cost_pico_usd"] == 12_300_000_000
    assert (rated["cost_basis"], rated["unpriced_reason"]) == ("provider_reported", None)
    assert rated["sku_price_id"] == "tollbook/provider_reported"
    assert (rated["rated_list_cost_pico_usd"], rated["bucket_cost_pico_usd"]) == (None, None)


def test_our_own_figure_is_charged_where_we_have_a_price(rate_one: RateOne) -> None:
    """Gateways report what their own tables say; a price list with a source is preferred unless told otherwise."""
    rated = rate_one(**CALL, provider_cost=Decimal(99), **IN_USD)
    assert (rated["list_cost_pico_usd"], rated["cost_basis"]) == (2_800_000_000, "rated")


def test_a_policy_prefers_the_providers_figure_and_keeps_ours_beside_it(rate_one: RateOne) -> None:
    """Both figures are kept: the difference is what a reconciliation asks for (pitfall 12)."""
    book = PriceBook.of(UNDER_CONTRACT.list_prices, contracted=UNDER_CONTRACT.contracted, policy=REPORTED)
    rated = rate_one(book, **CALL, provider_cost=Decimal("0.0031"), **IN_USD)
    assert rated["list_cost_pico_usd"] == rated["contracted_cost_pico_usd"] == 3_100_000_000
    assert rated["rated_list_cost_pico_usd"] == 2_800_000_000
    assert (rated["cost_basis"], rated["contract_id"]) == ("provider_reported", None)
    # Where it told none, ours is charged, with its contract; another provider's figure is not preferred.
    assert rate_one(book, **CALL)["contracted_cost_pico_usd"] == 2_300_000_000
    other = PriceBook.of(LIST_PRICES, policy=CostPolicy(providers={"anthropic": "provider_reported"}))
    assert rate_one(other, **CALL, provider_cost=Decimal(1), **IN_USD)["cost_basis"] == "rated"


def test_a_policy_decides_by_who_bills_however_the_event_names_it(rate_one: RateOne) -> None:
    """A call through LiteLLM is OpenAI's bill: its policy holds there too, as its price does."""
    book = PriceBook.of(LIST_PRICES, policy=REPORTED)
    for provider, model in (("openai", "m"), ("litellm", "openai/m"), ("OpenAI.chat", "m")):
        told = {"provider": provider, "model": model, "provider_cost": Decimal("0.0031"), **IN_USD}
        rated = rate_one(book, **CALL, **told)
        assert (rated["cost_basis"], rated["list_cost_pico_usd"]) == ("provider_reported", 3_100_000_000)


def test_a_told_zero_is_a_zero_and_an_untold_figure_is_not(rate_one: RateOne) -> None:
    """A provider that says a call was free has said so; one that says nothing has not (pitfall 10)."""
    free = rate_one(**CALL, **IN_USD | {"model": "unheard-of", "provider_cost": Decimal(0)})
    assert (free["list_cost_pico_usd"], free["cost_basis"]) == (0, "provider_reported")
    untold = rate_one(**CALL, model="unheard-of")
    assert (untold["list_cost_pico_usd"], untold["unpriced_reason"]) == (None, "unknown_model")


@pytest.mark.parametrize(
    ("told", "at", "expected"),
    [
        # 0.0100 EUR x 1.1720 USD.
        ("0.0100", JUNE, 11_720_000_000),
        ("0.0100", JULY - timedelta(microseconds=1), 11_720_000_000),
        # The smallest amounts: 1.172, 2.344 and, half to even, 1,250 x 1.1720 = 1,465 pico-USD.
        ("0.000000000001", JUNE, 1),
        ("0.000000000002", JUNE, 2),
        ("0.000000001250", JUNE, 1_465),
        # 853,242.320819112627 EUR is the most that fits: x 1.1720 = 999,999.999999999998844 USD.
        ("853242.320819112627", JUNE, 999_999_999_999_999_999),
    ],
)
def test_a_figure_in_another_currency_counts_at_the_rate_of_its_time(
    rate_one: RateOne, told: str, at: datetime, expected: int
) -> None:
    """Half-even once to the pico, by the dated rate that the customer gave; the original amount stays in the event."""
    event = {"model": "unheard-of", "provider_cost": Decimal(told), "provider_cost_currency": "EUR", "occurred_at": at}
    assert rate_one(**CALL, **event)["list_cost_pico_usd"] == expected


@pytest.mark.parametrize("rate_text", ["0.5", "0.25", "1.5"])
@pytest.mark.parametrize("pico", [1, 2, 3, 5, 6, 10, 999])
def test_an_exact_half_of_a_pico_rounds_to_even(rate_one: RateOne, rate_text: str, pico: int) -> None:
    """Rounding up each half would make the sum of many calls too dear (pitfall 18)."""
    book = PriceBook.of(LIST_PRICES, exchange=ExchangeRates.of([ExchangeRate("XTS", Fraction(rate_text))]))
    event = {"model": "unheard-of", "provider_cost": Decimal(pico).scaleb(-12), "provider_cost_currency": "XTS"}
    assert rate_one(book, **CALL, **event)["list_cost_pico_usd"] == round(pico * Fraction(rate_text))


@pytest.mark.parametrize(
    ("currency", "at"),
    [("EUR", JULY), ("EUR", JUNE - timedelta(microseconds=1)), ("GBP", JUNE), (None, JUNE)],
)
def test_a_currency_without_a_rate_in_force_is_never_guessed(
    rate_one: RateOne, currency: str | None, at: datetime
) -> None:
    """No rate is carried on after its end; the call is unpriced with a reason until the customer gives one."""
    event = {"provider_cost": Decimal("0.01"), "provider_cost_currency": currency, "occurred_at": at}
    rated = rate_one(**CALL, **event, model="unheard-of")
    assert (rated["list_cost_pico_usd"], rated["unpriced_reason"]) == (None, "no_exchange_rate")
    # Where we have a price it is charged, whatever the policy prefers.
    priced = rate_one(PriceBook.of(LIST_PRICES, exchange=EUROS, policy=REPORTED), **CALL, **event)
    assert (priced["list_cost_pico_usd"], priced["cost_basis"]) == (2_800_000_000, "rated")


@pytest.mark.parametrize("told", ["1000000", "99999999999999999999999999.999999999999", "-0.01"])
def test_a_figure_that_no_call_can_cost_is_not_taken(rate_one: RateOne, told: str) -> None:
    """An amount in cents or in micro-dollars told as dollars must not swamp a bill."""
    rated = rate_one(**CALL, **IN_USD | {"model": "unheard-of", "provider_cost": Decimal(told)})
    assert (rated["list_cost_pico_usd"], rated["unpriced_reason"]) == (None, "cost_out_of_range")
    most = rate_one(**CALL, **IN_USD | {"model": "unheard-of", "provider_cost": Decimal("999999.999999999999")})
    assert most["list_cost_pico_usd"] == 10**18 - 1


def test_a_void_and_a_gateways_answer_are_what_they_were_whatever_the_provider_says(rate_one: RateOne) -> None:
    """A void never counted, and what a gateway had in its cache nobody sold."""
    book = PriceBook.of(LIST_PRICES, policy=REPORTED)
    void = rate_one(book, **CALL, **IN_USD, provider_cost=Decimal(1), action="void")
    assert (void["list_cost_pico_usd"], void["unpriced_reason"], void["cost_basis"]) == (None, "void", None)
    hit = rate_one(book, **CALL, **IN_USD, provider_cost=Decimal(1), gateway_cache_hit=True)
    assert (hit["list_cost_pico_usd"], hit["contracted_cost_pico_usd"]) == (0, 0)
    assert hit["sku_price_id"] == "tollbook/gateway_cache_hit"


@pytest.mark.parametrize(
    ("told", "basis", "cost"),
    [
        # The price charges 2 for input and 8 for output.
        ({"uncached_input_tokens": 1_000}, "estimated", 2_000_000_000),
        ({"text_output_tokens": 100}, "estimated", 800_000_000),
        ({"uncached_input_tokens": 1_000, "text_output_tokens": 0}, "rated", 2_000_000_000),
        ({"uncached_input_tokens": 1_000, "reasoning_tokens": 0}, "rated", 2_000_000_000),
        ({"input_tokens": 0, "uncached_input_tokens": 0, "text_output_tokens": 100}, "rated", 800_000_000),
        ({"uncached_input_tokens": 1_000, "other_units": {"output_citation_tokens": 1}}, "rated", 2_008_000_000),
        # An embedding has no output to pay for.
        ({"model": "embed", "uncached_input_tokens": 1_000}, "rated", 20_000_000),
    ],
)
def test_a_side_that_was_not_told_is_not_zero(rate_one: RateOne, told: dict[str, Any], basis: str, cost: int) -> None:
    """A stream that broke off tells its input alone: what it told is the least it can have cost (pitfall 10)."""
    rated = rate_one(**told)
    assert (rated["cost_basis"], rated["list_cost_pico_usd"]) == (basis, cost)


def test_a_price_of_zero_for_the_untold_side_charges_nothing_for_it(rate_one: RateOne) -> None:
    """Free output costs nothing however much of it there was."""
    free_output = catalogue(Price("openai", "m", {"input_tokens": 2_000_000, "output_tokens": 0}))
    assert rate_one(PriceBook.of(free_output), uncached_input_tokens=1_000)["cost_basis"] == "rated"


def test_the_outcome_has_its_schema_whatever_comes(make_events: MakeEvents) -> None:
    """The lake's schema is fixed; a batch of one kind, or of no events, changes nothing in it."""
    told = {"model": "none", "provider_cost": Decimal(1), "provider_cost_currency": "USD"}
    for rows in ([], [{"model": "none"}], [{"model": "m", **CALL}], [told]):
        for book in (PLAIN, UNDER_CONTRACT):
            assert rate_by_book(make_events(rows), book).schema == BOOKED_SCHEMA


def test_by_a_book_of_list_prices_alone_events_cost_what_the_catalogue_says(make_events: MakeEvents) -> None:
    """The book adds to the list price and never bends it."""
    events = make_events([{"model": model, **CALL} for model in ("m", "embed", "none")])
    columns = ["list_cost_pico_usd", "cost_basis", "unpriced_reason", "sku_price_id"]
    by_book = rate_by_book(events, PriceBook.of(LIST_PRICES), buckets=True).select([*columns, "bucket_cost_pico_usd"])
    assert by_book.to_pylist() == rate(events, LIST_PRICES, buckets=True).to_pylist()


def repickled(book: PriceBook) -> PriceBook:
    """Return a book as another process gets it."""
    copy: PriceBook = pickle.loads(pickle.dumps(book))  # noqa: S301  # our own bytes
    return copy


def test_the_version_tells_all_that_decides_a_cost_and_nothing_else() -> None:
    """A rerate compares versions: a change that changes no cost must not look like one, nor the other way round."""
    assert PriceBook.of(LIST_PRICES).version == LIST_PRICES.version
    named_the_same = CostPolicy(providers={"openai": "rated"})
    assert PriceBook.of(LIST_PRICES, policy=named_the_same).version == LIST_PRICES.version
    contracted = catalogue(CONTRACT, EMBEDDING, OUTSIDE)
    books = [
        PLAIN,
        UNDER_CONTRACT,
        PriceBook.of(LIST_PRICES, contracted=contracted),
        PriceBook.of(LIST_PRICES, policy=REPORTED),
        PriceBook.of(LIST_PRICES, policy=CostPolicy("provider_reported")),
        PriceBook.of(LIST_PRICES, exchange=ExchangeRates.of([ExchangeRate("EUR", Fraction("1.1721"), JUNE, JULY)])),
        PriceBook.of(catalogue(LIST), exchange=EUROS),
    ]
    versions = [book.version for book in books]
    assert len(set(versions)) == len(versions)
    assert [repickled(book).version for book in books] == versions


def test_a_pickled_book_rates_alike(make_events: MakeEvents) -> None:
    """Beam sends the book to its workers."""
    events = make_events([{"model": "m", "occurred_at": JUNE, **CALL}])
    assert (
        rate_by_book(events, repickled(UNDER_CONTRACT)).to_pylist() == rate_by_book(events, UNDER_CONTRACT).to_pylist()
    )
