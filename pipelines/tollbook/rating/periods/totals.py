"""What was used, as the second pass takes it: days of standing usage, cut into parts that terms can reach.

A part is what one day's calls of one model, service tier, account and list price cost under one rate key. What no rate
key bills (tool calls, requests) and what rounding left over stands in a part without a key, so that the parts of a row
add up to its contracted cost exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.rating.book import PriceBook
from tollbook.rating.contract_terms import USD, Contract, Term
from tollbook.rating.periods.calendar import UTC_CALENDAR, BillingCalendar, BillingPeriod
from tollbook.rating.periods.charged import Amount, BucketRate, ChargedPrices, whole
from tollbook.rating.rated import ESTIMATED, GATEWAY_CACHE_HIT, RATED
from tollbook.rating.units import load_names, load_units

BUCKETS: Final = tuple(unit.name for unit in load_units().buckets)
TOTALS_SCHEMA: Final = pa.schema(
    [
        ("billing_date", pa.date32()),
        ("provider", pa.string()),
        ("billing_account_id", pa.string()),
        ("model", pa.string()),
        ("service_tier", pa.string()),
        ("contract_id", pa.string()),
        ("sku_price_id", pa.string()),
        ("cost_basis", pa.string()),
        ("catalogue_version", pa.string()),
        ("calls", pa.int64()),
        ("unpriced_calls", pa.int64()),
        ("unpriced_tokens", pa.int64()),
        *((name, pa.int64()) for name in BUCKETS),
        ("list_cost", pa.decimal128(38, 12)),
        ("contracted_cost", pa.decimal128(38, 12)),
    ]
)
"""Days of standing usage. Grain: all columns up to `catalogue_version`. Sums of unpriced rows have null costs."""

_EXACT: Final = Context(prec=76)
_DAY: Final = timedelta(days=1)

# Prices by the version of the book that usage bears.
ChargedByVersion = Mapping[str, ChargedPrices]


@dataclass(slots=True)
class Part:
    """Usage of one day, which every term of the contract covers whole or not at all.

    Attributes:
        day: Day of the billing calendar.
        model: Model, as the price list names it; one of several that all terms treat alike.
        service_tier: Service tier, as the price list names it; the same.
        rate_key: Rate key that bills it, the same; None for what none bills, or where that is not known.
        tokens: Tokens that no fee includes yet. What `rate_key` None holds has some only where `split` is False.
        payable: What is left to pay for it. Unit: a millionth of a millionth of the contract's currency.
        split: Whether the row it comes from could be cut by rate key.
    """

    day: date
    model: str
    service_tier: str
    rate_key: str | None
    tokens: Amount
    payable: Amount
    split: bool


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Usage of one day whose cost is unknown, in the contract's currency at least."""

    day: date
    model: str
    service_tier: str
    calls: int
    tokens: int


class Usage:
    """What a contract covers, by billing period and in order of days.

    Attributes:
        parts: Parts whose cost is known.
    """

    def __init__(self, parts: Iterable[Part], unpriced: Iterable[Unpriced]) -> None:
        self.parts = sorted(parts, key=lambda part: (part.day, part.model, part.service_tier, part.rate_key or ""))
        self._parts: defaultdict[date, list[Part]] = defaultdict(list)
        self._unpriced: defaultdict[date, list[Unpriced]] = defaultdict(list)
        for part in self.parts:
            self._parts[BillingPeriod.of(part.day).start].append(part)
        for each in unpriced:
            self._unpriced[BillingPeriod.of(each.day).start].append(each)

    def within(self, term: Term, first: date, beyond: date) -> list[Part]:
        """Return the parts that a term reaches on the days of `[first, beyond)`, in order of days."""
        covers = _Covered(term)
        return [
            part
            for start in _starts(self._parts, first, beyond)
            for part in self._parts[start]
            if first <= part.day < beyond and term.reach.covers_key(part.rate_key) and covers(part)
        ]

    def unknown_within(self, term: Term, first: date, beyond: date) -> tuple[int, int]:
        """Return calls and tokens that a term would reach if their cost, or their cut by rate key, were known."""
        covers = _Covered(term)
        calls = tokens = 0
        for start in _starts(self._unpriced, first, beyond):
            for each in self._unpriced[start]:
                if first <= each.day < beyond and covers(each):
                    calls, tokens = calls + each.calls, tokens + each.tokens
        if term.reach.rate_keys is not None:
            for start in _starts(self._parts, first, beyond):
                for part in self._parts[start]:
                    if not part.split and first <= part.day < beyond and covers(part):
                        tokens += round(part.tokens)
        return calls, tokens


def _starts(periods: Iterable[date], first: date, beyond: date) -> list[date]:
    """Return which billing periods have days of `[first, beyond)`, by their starts, in order."""
    since = BillingPeriod.of(first).start
    return sorted(start for start in periods if since <= start < beyond)


class _Covered:
    """Says whether a term covers what was used, whatever bills it; each model and day is looked at once."""

    def __init__(self, term: Term) -> None:
        self._term = term
        self._models: dict[tuple[str, str], bool] = {}

    def __call__(self, used: Part | Unpriced) -> bool:
        key = (used.model, used.service_tier)
        if key not in self._models:
            self._models[key] = self._term.reach.covers(*key)
        return self._models[key] and self._term.holds_on(used.day)


def usage_of(
    contract: Contract,
    totals: pa.Table,
    book: PriceBook,
    charged: ChargedByVersion,
    calendar: BillingCalendar = UTC_CALENDAR,
) -> Usage:
    """Return the usage that a contract covers.

    What a gateway answered from its own cache is no usage of the provider's.

    Args:
        contract: A contract.
        totals: `TOTALS_SCHEMA`, shape (n_rows,), in any order.
        book: Names of providers and models, and exchange rates, as they are now.
        charged: Prices by which the usage was charged; what bears another version stands whole.
        calendar: Billing calendar, whose days `billing_date` and the contract's dates are.
    """
    reader = _Reader(contract, book, charged, calendar)
    for row in totals.to_pylist():
        if row["sku_price_id"] != GATEWAY_CACHE_HIT:
            reader.read(row)
    return Usage(_merged(reader.parts, contract.period_terms), reader.unpriced)


def _merged(parts: Iterable[Part], terms: Sequence[Term]) -> Iterable[Part]:
    """Return parts of a day that every term treats alike as one: terms work in proportion, so the sums are the same."""
    reaches = [term.reach for term in terms]
    seen: dict[tuple[str, str, str | None], tuple[bool, ...]] = {}
    merged: dict[tuple[Any, ...], Part] = {}
    for part in parts:
        name = (part.model, part.service_tier, part.rate_key)
        if name not in seen:
            models = (reach.covers(part.model, part.service_tier) for reach in reaches)
            seen[name] = (*models, *(reach.covers_key(part.rate_key) for reach in reaches))
        key = (part.day, part.split, part.tokens > 0, seen[name])
        same = merged.setdefault(key, part)
        if same is not part:
            same.tokens += part.tokens
            same.payable += part.payable
    return merged.values()


class _Reader:
    """Reads rows for one contract; names, prices and exchange rates are looked up once."""

    def __init__(
        self, contract: Contract, book: PriceBook, charged: ChargedByVersion, calendar: BillingCalendar
    ) -> None:
        self.parts: list[Part] = []
        self.unpriced: list[Unpriced] = []
        self._contract, self._book, self._charged, self._calendar = contract, book, charged, calendar
        self._names = load_names()
        self._models: dict[tuple[str, str], tuple[str, str]] = {}
        self._worths: dict[date, Fraction | None] = {}
        self._rates: dict[tuple[Any, ...], tuple[BucketRate, ...] | None] = {}

    def read(self, row: Mapping[str, Any]) -> None:
        """Add a row if the contract covers it."""
        contract, day = self._contract, row["billing_date"]
        if not contract.holds_on(day) or not contract.covers_account(row["billing_account_id"]):
            return
        provider, model = self._billed(row["provider"] or "", row["model"] or "")
        if provider != contract.provider or not contract.covers_model(model):
            return
        tier = self._names.service_tier(row["service_tier"]) or row["service_tier"]
        worth = self._worth(day)
        tokens = sum(row[name] or 0 for name in BUCKETS)
        if row["contracted_cost"] is None or worth is None:
            unknown = row["unpriced_tokens"] if row["contracted_cost"] is None else tokens
            self.unpriced.append(Unpriced(day, model, tier, row["calls"], unknown or 0))
            return
        cost = int(_EXACT.scaleb(row["contracted_cost"], 12))
        by_key = self._cut(row, cost)
        for key, (count, payable) in (by_key or {None: (tokens, cost)}).items():
            amount = payable if worth == 1 else Fraction(payable) / worth
            self.parts.append(Part(day, model, tier, key, count, whole(amount), by_key is not None))

    def _cut(self, row: Mapping[str, Any], cost: int) -> dict[str | None, tuple[int, Amount]] | None:
        """Return tokens and cost of a row by rate key; None where the rates it was charged by are not known."""
        rates = self._rates_of(row)
        if rates is None:
            return None
        by_key: dict[str | None, tuple[int, Amount]] = {}
        rest: Amount = cost
        for bucket, rate_key, rate in rates:
            count = row[bucket]
            if count:
                tokens, payable = by_key.get(rate_key, (0, 0))
                by_key[rate_key] = (tokens + count, payable + count * rate)
                rest -= count * rate
        # Half a pico a bucket and call is what rounding can take off; a cost below that was charged by other rates.
        if 2 * rest < -row["calls"] * len(BUCKETS):
            return None
        if rest:
            by_key[None] = (0, rest)
        return by_key

    def _billed(self, provider: str, model: str) -> tuple[str, str]:
        """Return who bills and the model, as the price list names them; another's price is no contract of theirs."""
        known = self._models.get((provider, model))
        if known is None:
            catalogue = self._book.list_prices
            found, sellers = catalogue.find(provider, model), catalogue.billed_by(provider, model)
            billed_by = sellers[0] if sellers else provider
            known = self._models[provider, model] = (billed_by, model.lower() if found is None else found.model)
        return known

    def _worth(self, day: date) -> Fraction | None:
        if day not in self._worths:
            currency = self._contract.currency
            rate = None if currency == USD else self._book.exchange.at(currency, self._calendar.begins(day))
            self._worths[day] = Fraction(1) if currency == USD else None if rate is None else rate.usd
        return self._worths[day]

    def _hours_of(self, day: date) -> tuple[datetime, datetime]:
        return self._calendar.begins(day), self._calendar.begins(day + _DAY)

    def _rates_of(self, row: Mapping[str, Any]) -> tuple[BucketRate, ...] | None:
        """Return what priced each bucket of a row, None where that is not known."""
        charged = self._charged.get(row["catalogue_version"])
        if row["cost_basis"] not in {RATED, ESTIMATED} or charged is None:
            return None
        # A list price is the same every day, what a contract makes of it need not be.
        day = None if row["contract_id"] is None else row["billing_date"]
        key = (row["catalogue_version"], row["sku_price_id"], row["contract_id"], day)
        if key not in self._rates:
            self._rates[key] = charged.bucket_rates(
                row["sku_price_id"], row["contract_id"], self._hours_of(row["billing_date"])
            )
        return self._rates[key]
