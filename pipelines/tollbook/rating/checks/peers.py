"""A price against others that should be like it: other providers', the newest snapshot's, another price list's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Final

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.checks.finding import Finding, finding, shown
from tollbook.rating.checks.order import CACHE_READ, INPUT, OUTPUT, overlap
from tollbook.rating.model_names import model_name
from tollbook.rating.prices import Price
from tollbook.rating.units import DEFAULT_TIER, load_names

FAR: Final = 10
_COMPARED: Final = (INPUT, OUTPUT, CACHE_READ)
# With one other provider nobody knows which of the two is wrong.
_FEWEST_PEERS: Final = 2
# Price lists follow a vendor some weeks late; a longer disagreement is one.
GRACE: Final = timedelta(days=45)
_DIGITS_WITH_YEAR: Final = len("20240806")
_DAWN: Final = datetime.min.replace(tzinfo=UTC)
_DUSK: Final = datetime.max.replace(tzinfo=UTC)


def check_peers(prices: Sequence[Price], among: Sequence[Price] = ()) -> Iterator[Finding]:
    """Yield rates that are ten times away from those of every other provider of the model, at the same time.

    Args:
        prices: Prices to check.
        among: Others to compare them with, beside each other.
    """
    by_name: defaultdict[str, list[Price]] = defaultdict(list)
    for price in _plain([*prices, *among]):
        by_name[model_name(price.model).plain].append(price)
    for price in _plain(prices):
        name = model_name(price.model).plain
        others = [each for each in by_name[name] if _host(each) != _host(price) and overlap(each, price)]
        for key in _COMPARED:
            yield from _far(name, price, key, others)


def check_snapshots(prices: Sequence[Price]) -> Iterator[Finding]:
    """Yield prices of an undated name that are not those of its newest dated snapshot at the same provider.

    `gpt-3.5-turbo` has cost what `gpt-3.5-turbo-0125` costs since that came; a list that lowers one of them only is
    behind. The newest snapshot is the one of the latest date in its name, of those that had a price by then; where the
    name has no year, the date of its first price counts. A list that does not say since when a snapshot has its price
    does not tell which is the newest.
    """
    named: defaultdict[tuple[str, str, str], list[Price]] = defaultdict(list)
    for price in _plain(prices):
        named[price.provider, _folder(price.model), model_name(price.model).undated].append(price)
    for members in named.values():
        snapshots = _Snapshots.of([price for price in members if model_name(price.model).snapshot and price.valid_from])
        for price in members:
            if model_name(price.model).snapshot is None and snapshots.first_seen:
                yield from _behind(price, snapshots)


def check_against(prices: Sequence[Price], reference: Catalogue, *, now: datetime) -> Iterator[Finding]:
    """Yield rates that another price list has otherwise for the same time, for longer than `GRACE`.

    Args:
        prices: Prices to check.
        reference: The other price list, such as the book in force.
        now: What either list says of later times is not compared.
    """
    known: defaultdict[tuple[str, str], list[Price]] = defaultdict(list)
    for price in _plain(reference.prices):
        known[price.provider, price.model].append(price)
    for price in _plain(prices):
        found = reference.lookup.find(price.provider, price.model)
        if found is None:
            found = reference.lookup.find(price.provider, model_name(price.model).plain)
        if found is not None and found.own:
            yield from _disagreement(price, known[found.provider, found.model], reference.version, now)


def check_contracts(contracted: Sequence[Price], prices: Sequence[Price]) -> Iterator[Finding]:
    """Yield rates that a contract made and that are above the list price at the same time.

    Args:
        contracted: Prices with contract rates over them.
        prices: List prices.
    """
    places: defaultdict[tuple[object, ...], list[Price]] = defaultdict(list)
    for price in prices:
        places[_sku(price)].append(price)
    for price in contracted:
        for usual in places[_sku(price)] if price.contract_id is not None else ():
            for key, rate in price.rates.items():
                if overlap(price, usual) and key in usual.rates and rate > usual.rates[key]:
                    text = (
                        f"contract {price.contract_id}: {key} costs {shown(rate, key):,f} USD, above the list price of "
                        f"{shown(usual.rates[key], key):,f}"
                    )
                    yield finding("contract_above_list", price, text, unit=key, expected=usual.rates[key])


@dataclass(frozen=True, slots=True)
class _Snapshots:
    """The dated snapshots of one name at one provider.

    Attributes:
        first_seen: Model to the first instant of its first price, in that order; of those that came together the newest
            last.
        prices: Model to its prices.
    """

    first_seen: Mapping[str, datetime]
    prices: Mapping[str, Sequence[Price]]

    @classmethod
    def of(cls, prices: Sequence[Price]) -> _Snapshots:
        by_model: defaultdict[str, list[Price]] = defaultdict(list)
        for price in prices:
            by_model[price.model].append(price)
        seen = {model: min(_start(each) for each in each_prices) for model, each_prices in by_model.items()}
        ordered = sorted(seen, key=lambda model: (seen[model], _made_on(model, seen[model])))
        return cls({model: seen[model] for model in ordered}, by_model)

    def newest_between(self) -> Iterator[tuple[str, datetime, datetime]]:
        """Yield each snapshot with the time in which it is the newest."""
        newest: list[tuple[str, datetime]] = []
        for model, seen in self.first_seen.items():
            # A list may learn late of a snapshot that is older than one it has.
            if not newest or _made_on(model, seen) >= _made_on(*newest[-1]):
                newest.append((model, seen))
        for (model, since), (_, until) in pairwise([*newest, ("", _DUSK)]):
            if since < until:
                yield model, since, until


def _made_on(model: str, first_seen: datetime) -> str:
    """Return the date of a snapshot, digits alone: that of its name where that has a year, else that of its price."""
    told = model_name(model).snapshot or ""
    return told if len(told) == _DIGITS_WITH_YEAR else f"{first_seen:%Y%m%d}"


def _behind(price: Price, snapshots: _Snapshots) -> Iterator[Finding]:
    for model, since, until in snapshots.newest_between():
        for snapshot in snapshots.prices[model]:
            start, end = max(_start(price), _start(snapshot), since), min(_end(price), _end(snapshot), until)
            for key in (INPUT, OUTPUT) if end - start > GRACE else ():
                rate, expected = price.rates.get(key), snapshot.rates.get(key)
                if rate is not None and expected is not None and rate != expected:
                    period = _period(start, end)
                    text = (
                        f"{key} costs {shown(rate, key):,f} USD, while the newest snapshot, {model}, costs "
                        f"{shown(expected, key):,f}"
                    )
                    yield finding("alias_behind_snapshot", price, text, unit=key, expected=expected, period=period)


def _far(name: str, price: Price, key: str, others: Sequence[Price]) -> Iterator[Finding]:
    rate = price.rates.get(key)
    rates = [Fraction(each.rates[key]) for each in others if each.rates.get(key)]
    hosts = len({_host(each) for each in others if each.rates.get(key)})
    if not rate or hosts < _FEWEST_PEERS:
        return
    low, high = min(rates), max(rates)
    if low < rate * FAR and rate < high * FAR:
        return
    times = rate / high if rate >= high * FAR else low / rate
    text = (
        f"{key} costs {shown(rate, key):,f} USD, while {hosts} other providers of {name} ask {shown(low, key):,f} to "
        f"{shown(high, key):,f}: the nearest is {float(times):,.0f} times away"
    )
    yield finding("far_from_peers", price, text, unit=key, expected=median(rates))


def _disagreement(price: Price, others: Sequence[Price], version: str, now: datetime) -> Iterator[Finding]:
    is_dated = any(each.valid_from or each.valid_to for each in others)
    code = "catalogue_disagrees" if is_dated else "undated_catalogue_disagrees"
    for other in others:
        start, end = max(_start(price), _start(other)), min(_end(price), _end(other))
        for key in _COMPARED if min(end, now) - start > GRACE else ():
            rate, expected = price.rates.get(key), other.rates.get(key)
            if rate is None or expected is None or rate == expected:
                continue
            period = _period(start, end)
            text = f"{key} costs {shown(rate, key):,f} USD, and {shown(expected, key):,f} by {version}"
            yield finding(code, price, text, unit=key, expected=expected, period=period)


def _host(price: Price) -> str:
    """Return a provider by the one name that all price lists share."""
    return load_names().provider(price.provider)


def _period(start: datetime, end: datetime) -> tuple[datetime | None, datetime | None]:
    return (None if start == _DAWN else start, None if end == _DUSK else end)


def _sku(price: Price) -> tuple[object, ...]:
    return (price.provider, price.model, price.service_tier, price.above_input_tokens, price.daily_from, price.region)


def _plain(prices: Sequence[Price]) -> list[Price]:
    """Return the prices of the default tier for short requests, from midnight on, for any region and account."""
    return [
        price
        for price in prices
        if price.service_tier == DEFAULT_TIER
        and price.above_input_tokens is None
        and price.daily_from == time(0)
        and price.region is None
        and price.billing_account_id is None
    ]


def _folder(model: str) -> str:
    """Return what stands before a model's own name: a route or a region has prices of its own."""
    return model.lower().rpartition("/")[0]


def _start(price: Price) -> datetime:
    return price.valid_from or _DAWN


def _end(price: Price) -> datetime:
    return price.valid_to or _DUSK
