"""The catalogue: every price in force at every instant, as arrays of integers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tollbook.rating.lookup import ExactLookup, FoundModel, Lookup
from tollbook.rating.prices import Price
from tollbook.rating.rates import Rates
from tollbook.rating.reasons import UNKNOWN_MODEL, UNKNOWN_PROVIDER, UNKNOWN_SERVICE_TIER
from tollbook.rating.schedule import Schedule
from tollbook.rating.units import DEFAULT_TIER, Names, Units, load_names, load_units

_DIGEST_DIGITS: Final = 8
_REMEMBERED: Final = 100_000


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Prices, frozen, with a version. Build it by `from_genai_prices` or `from_rows`; it pickles.

    Attributes:
        version: Name of the price list and a digest of what it holds.
        names: Aliases of providers and service tiers.
        units: Billable units, in the order of the columns of `rates`.
        lookup: From the names in an event to a model of the price list.
        schedule: Which line holds when.
        rates: What each line charges.
    """

    version: str
    names: Names
    units: Units
    lookup: Lookup
    schedule: Schedule
    rates: Rates
    _remembered: dict[tuple[str | None, str | None, str | None], int] = field(default_factory=dict, repr=False)

    @classmethod
    def from_genai_prices(cls) -> Catalogue:
        """Return the catalogue of the installed genai-prices. Half a second, most of it the import."""
        from tollbook.rating import genai

        names = load_names()
        prices = tuple(genai.read_prices(names))
        return cls._build(prices, genai.GenaiLookup(names), f"{genai.release()}-{_digest(prices, names)}")

    @classmethod
    def from_rows(cls, rows: Iterable[Price], *, version: str) -> Catalogue:
        """Return a catalogue of explicit prices; models are found by their own names only.

        Before a model's first price its cost is `estimated`; after its last, and in gaps, there is no price.

        Args:
            rows: Prices, in any order.
            version: Name to which a digest of the rows is added.

        Raises:
            ReferenceDataError: Prices overlap, repeat each other, or leave a time of day or a context without
                a price.
        """
        names = load_names()
        prices = tuple(rows)
        return cls._build(prices, ExactLookup.of(prices, names), f"{version}-{_digest(prices, names)}")

    @classmethod
    def _build(cls, prices: tuple[Price, ...], lookup: Lookup, version: str) -> Catalogue:
        units = load_units()
        schedule = Schedule(prices)
        return cls(version, load_names(), units, lookup, schedule, Rates.of(schedule.lines, units))

    def group(self, provider: str | None, model: str | None, service_tier: str | None) -> int:
        """Return the group of the schedule that prices a model at a tier, or the reason there is none.

        Answers are remembered, misses too.

        Args:
            provider: Provider in the event, by any of its names.
            model: Model in the event.
            service_tier: Service tier in the event; None means default.

        Returns:
            A group, above zero; or the negative of a code of `tollbook.rating.reasons`.
        """
        key = (provider, model, service_tier)
        group = self._remembered.get(key)
        if group is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            group = self._remembered[key] = self._find_group(*key)
        return group

    def group_of(self, found: FoundModel, service_tier: str) -> int:
        """Return the group of a found model at a canonical tier, or the negative of a reason."""
        if service_tier != DEFAULT_TIER and not found.own:
            return -UNKNOWN_SERVICE_TIER
        return self.schedule.groups.get((found.provider, found.model, service_tier), -UNKNOWN_SERVICE_TIER)

    def _find_group(self, provider: str | None, model: str | None, service_tier: str | None) -> int:
        if provider is None or not self.lookup.knows(provider):
            return -UNKNOWN_PROVIDER
        found = None if model is None else self.lookup.find(provider, model)
        if found is None:
            return -UNKNOWN_MODEL
        tier = self.names.service_tier(service_tier)
        return -UNKNOWN_SERVICE_TIER if tier is None else self.group_of(found, tier)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_remembered": {}}


def _digest(prices: tuple[Price, ...], names: Names) -> str:
    """Return a short digest of all that decides a cost: prices in any order, names and units."""
    digest = hashlib.sha256(repr((sorted(names.providers.items()), sorted(names.service_tiers.items()))).encode())
    digest.update(repr(load_units().all).encode())
    for text in sorted(_canonical(price) for price in prices):
        digest.update(text.encode())
    return digest.hexdigest()[:_DIGEST_DIGITS]


def _canonical(price: Price) -> str:
    end: datetime | None = price.valid_to
    rates = sorted((key, str(rate)) for key, rate in price.rates.items())
    return f"{price.sku_price_id} {end and end.timestamp()} {rates} {sorted(price.minimum_quantities.items())}\n"
