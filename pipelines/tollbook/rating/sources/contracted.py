"""Contracted prices: list prices, and beside them what contracts make of them.

What contracts make of the prices of a model is a complete set under a billing account: the account that a contract is
scoped to, or `ANY_ACCOUNT`. What no contract changes in it is the list price under its own identity. A price is cut
where a contract, a term or an exchange rate begins or ends, all prices of a model and service tier at the same
instants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Final

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.contract_terms import USD, Contract, Discount, NegotiatedRates, Term
from tollbook.rating.money import PICO_PER_USD
from tollbook.rating.overlay_lookup import OverlayLookup
from tollbook.rating.periods.calendar import UTC_CALENDAR, BillingCalendar
from tollbook.rating.prices import ANY_ACCOUNT, Agreement, Price
from tollbook.rating.sources.exchange import ExchangeRates
from tollbook.rating.units import DEFAULT_TIER

_SUFFIX: Final = "+contracts"
_EVER_BEFORE: Final = datetime.min.replace(tzinfo=UTC)
_EVER_AFTER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a contract makes of the rates of a list price at an instant.

    Attributes:
        rates: Rate key to its price. Unit: pico-USD for one unit.
        agreement: How they came about; None where the contract changes nothing.
    """

    rates: Mapping[str, Fraction | int]
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class _Time:
    """What decides by time: rates to USD, and the calendar whose days the dates of contracts are."""

    exchange: ExchangeRates
    calendar: BillingCalendar


def contracted_catalogue(
    list_prices: Catalogue,
    contracts: Sequence[Contract],
    exchange: ExchangeRates,
    calendar: BillingCalendar = UTC_CALENDAR,
) -> Catalogue:
    """Return list prices and what contracts make of them, to be found by the names that list prices are found by.

    A provider that sells another's model at that one's list price (Azure does OpenAI's) may have a contract for it too:
    then the model has prices of its own under that provider.
    """
    names, lookup = list_prices.names, list_prices.lookup
    own = {(price.provider, price.model) for price in list_prices.prices}
    stands_in = {
        (contract.provider, found.provider, found.model)
        for contract in contracts
        for found in lookup.sold(contract.provider)
        if not found.own and contract.covers_model(found.model) and (contract.provider, found.model) not in own
    }
    prices = list(list_prices.prices)
    for billed_by, provider, model in sorted(stands_in):
        prices += [
            replace(price, provider=billed_by, published_id=price.sku_price_id)
            for price in list_prices.prices
            if (price.provider, price.model, price.service_tier) == (provider, model, DEFAULT_TIER)
        ]
    if stands_in:
        lookup = OverlayLookup(names, lookup, (), tuple(sorted((*each, each[2]) for each in stands_in)))
    rows = contracted_prices(prices, contracts, exchange, calendar)
    return Catalogue.of(rows, lookup, list_name=list_prices.list_name + _SUFFIX, names=names, units=list_prices.units)


def contracted_prices(
    list_prices: Iterable[Price],
    contracts: Sequence[Contract],
    exchange: ExchangeRates,
    calendar: BillingCalendar = UTC_CALENDAR,
) -> Iterator[Price]:
    """Yield list prices, and prices of accounts with contracts over them.

    Before the first known date of a list price its first price counts, as it does without contracts. A negotiated rate
    in another currency on a date without an exchange rate is not in `rates`, and the agreement says so.

    Args:
        list_prices: Every list price, in any order.
        contracts: Contracts of which no two cover one model of one account at one time.
        exchange: Dated rates to USD.
        calendar: Billing calendar, whose days the dates of contracts are.
    """
    groups: defaultdict[tuple[str, str, str, str | None], list[Price]] = defaultdict(list)
    for price in list_prices:
        groups[price.provider, price.model, price.service_tier, price.region].append(price)
    for (provider, model, tier, _), members in groups.items():
        yield from members
        covering = [each for each in contracts if each.provider == provider and each.covers_model(model)]
        scopes = {account for each in covering for account in each.billing_accounts or (ANY_ACCOUNT,)}
        for account in sorted(scopes):
            its = [each for each in covering if each.covers_account(account)]
            for price in _timeline(members, its, tier, _Time(exchange, calendar)):
                yield replace(price, billing_account_id=account, published_id=price.sku_price_id)


def agreed_rates(price: Price, contract: Contract, day: date, exchange: ExchangeRates, *, at: datetime) -> Agreed:
    """Return what a contract makes of a list price.

    Args:
        price: A list price.
        contract: A contract that covers its model.
        day: Day by which terms hold.
        exchange: Dated rates to USD.
        at: Instant by which exchange rates hold.
    """
    rates = dict(price.rates)
    changed: dict[str, tuple[str, ...]] = {}
    told: dict[str, Fraction] = {}
    named: set[str] = set()
    worth, since = _worth(contract.currency, exchange, at)
    for term in _terms_of(contract, price, day):
        if isinstance(term.body, NegotiatedRates):
            mine = {key: rate for key, rate in term.body.rates.items() if key not in named}
            told |= mine
            if worth is not None:
                rates |= {key: rate * worth * PICO_PER_USD for key, rate in mine.items()}
            changed[term.term_id] = tuple(mine)
        elif isinstance(term.body, Discount):
            left = 1 - term.body.share
            mine = {key: price.rates[key] * left for key in price.rates if _discounts(term, key, named)}
            rates |= mine
            changed[term.term_id] = tuple(mine)
        named.update(changed.get(term.term_id, ()))
    changed = {name: keys for name, keys in changed.items() if keys}
    if not changed:
        return Agreed(price.rates, None)
    if worth is None:
        # Neither the list price nor a guess: what is used of these has no price, all else has.
        rates = {key: rate for key, rate in rates.items() if key not in told}
    return Agreed(rates, Agreement(changed, contract.currency, told, worth, since, price.sku_price_id))


def _discounts(term: Term, key: str, named: set[str]) -> bool:
    return key not in named and term.reach.covers_key(key)


def _terms_of(contract: Contract, price: Price, day: date) -> Iterator[Term]:
    for term in contract.pricing_terms:
        reach = term.reach
        if term.holds_on(day) and reach.covers_price(
            price.model, price.service_tier, price.above_input_tokens, price.region
        ):
            yield term


def _worth(currency: str, exchange: ExchangeRates, at: datetime) -> tuple[Fraction | None, datetime | None]:
    if currency == USD:
        return Fraction(1), None
    rate = exchange.at(currency, at)
    return (None, None) if rate is None else (rate.usd, rate.valid_from)


def _timeline(prices: Sequence[Price], contracts: Sequence[Contract], tier: str, dated: _Time) -> Iterator[Price]:
    """Yield the prices of one group, cut and agreed."""
    first = min(price.valid_from or _EVER_BEFORE for price in prices)
    cuts = sorted({cut for contract in contracts for cut in _cuts(contract, prices[0].model, tier, dated)})
    for price in prices:
        # Before its first known date a price is estimated: by the list prices, whose word on that counts.
        since = _EVER_BEFORE if (price.valid_from or _EVER_BEFORE) == first else price.valid_from or first
        until = price.valid_to or _EVER_AFTER
        edges = [since, *(cut for cut in cuts if since < cut < until), until]
        for start, stop in pairwise(edges):
            yield _agreed(price, contracts, dated, start, stop)


def _agreed(price: Price, contracts: Sequence[Contract], dated: _Time, start: datetime, stop: datetime) -> Price:
    held = price.held(None if start == _EVER_BEFORE else start, None if stop == _EVER_AFTER else stop)
    day = dated.calendar.day_at(start)
    contract = next((each for each in contracts if each.holds_on(day)), None)
    if contract is None:
        return held
    agreed = agreed_rates(price, contract, day, dated.exchange, at=start)
    if agreed.agreement is None:
        return held
    return replace(
        held,
        rates=agreed.rates,
        contract_id=contract.contract_id,
        agreement=agreed.agreement,
        price_list=contract.contract_id,
        published_id=None,
        source=contract.source,
        checked_on=None,
    )


def _cuts(contract: Contract, model: str, tier: str, dated: _Time) -> Iterator[datetime]:
    """Yield when what a contract makes of the prices of a model at a tier may change."""
    days = {contract.valid_from, contract.valid_to}
    terms = [term for term in contract.pricing_terms if term.reach.covers(model, tier)]
    days |= {day for term in terms for day in (term.valid_from, term.valid_to)}
    midnight = dated.calendar.begins
    instants = {midnight(day) for day in days if day is not None}
    if contract.currency != USD and any(isinstance(term.body, NegotiatedRates) for term in terms):
        begins = midnight(contract.valid_from)
        ends = _EVER_AFTER if contract.valid_to is None else midnight(contract.valid_to)
        for rate in dated.exchange.rates:
            if rate.currency == contract.currency:
                edges = (each for each in (rate.valid_from, rate.valid_to) if each is not None)
                instants |= {each for each in edges if begins < each < ends}
    yield from instants
