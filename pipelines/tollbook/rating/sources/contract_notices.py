"""What a contract says that changes nothing, as far as the price list can tell: a misspelt name most likely."""

from __future__ import annotations

from collections.abc import Iterator

from tollbook.rating.book import PriceBook
from tollbook.rating.contract_terms import Contract, Term
from tollbook.rating.prices import Price
from tollbook.rating.sources.contracted import contracted_catalogue
from tollbook.rating.units import DEFAULT_TIER


def without_effect(contract: Contract, book: PriceBook) -> Iterator[str]:
    """Yield in words which terms of a contract reach nothing, and for what it lacks an exchange rate.

    Usage of a provider without a price list may still have a cost, by the provider's own word.

    Args:
        contract: A contract whose provider the price list has named.
        book: List prices and exchange rates.

    Raises:
        ReferenceDataError: A rate is too fine for a price.
    """
    catalogue, name = book.list_prices, contract.contract_id
    if contract.provider in catalogue.names.gateways:
        yield f"{name}: {contract.provider} passes calls on and bills none; name who bills behind it"
    elif not catalogue.lookup.knows(contract.provider):
        yield f"{name}: there is no price list of {contract.provider}; its terms reach only what it tells the cost of"
    else:
        yield from _terms_without_effect(contract, book)


def _terms_without_effect(contract: Contract, book: PriceBook) -> Iterator[str]:
    prices = contracted_catalogue(book.list_prices, [contract], book.exchange).prices
    agreed = [price.agreement for price in prices if price.agreement is not None]
    reached = {name for each in agreed for name in each.terms}
    for term in contract.pricing_terms:
        if term.term_id not in reached:
            yield f"{contract.contract_id}: term {term.term_id} changes no list price of {contract.provider}"
    sold = list(_sold(contract, book))
    for term in contract.period_terms:
        if not any(_reaches(term, model, price) for model, price in sold):
            yield f"{contract.contract_id}: term {term.term_id} reaches no list price of {contract.provider}"
    if any(price.unknown_keys for price in prices):
        yield (
            f"{contract.contract_id}: there are dates without an exchange rate of {contract.currency}; usage that it "
            "prices on them has no cost"
        )


def _sold(contract: Contract, book: PriceBook) -> Iterator[tuple[str, Price]]:
    """Yield every price of a model that the provider sells under a contract: of another's list the default tier."""
    found = [each for each in book.list_prices.lookup.sold(contract.provider) if contract.covers_model(each.model)]
    models = {(each.provider, each.model): each.own for each in found}
    for price in book.list_prices.prices:
        own = models.get((price.provider, price.model))
        if own or (own is not None and price.service_tier == DEFAULT_TIER):
            yield price.model, price


def _reaches(term: Term, model: str, price: Price) -> bool:
    return term.reach.covers(model, price.service_tier) and any(map(term.reach.covers_key, price.rates))
