"""The catalogue: every price in force at every instant, as arrays of integers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Final

from tollbook.rating.lookup import ExactLookup, FoundModel, Lookup
from tollbook.rating.patterns import matches, specificity
from tollbook.rating.prices import ANY_ACCOUNT, Price
from tollbook.rating.rates import Rates
from tollbook.rating.reasons import UNKNOWN_MODEL, UNKNOWN_PROVIDER, UNKNOWN_SERVICE_TIER
from tollbook.rating.schedule import Schedule, microseconds
from tollbook.rating.spellings import hops, spellings
from tollbook.rating.units import DEFAULT_TIER, Names, Units, load_names, load_units

_DIGEST_DIGITS: Final = 8
_REMEMBERED: Final = 100_000

_Asked = tuple[str | None, str | None, str | None, str | None, str | None]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Prices, frozen, with a version. Build it by `from_genai_prices` or `from_rows`; it pickles.

    Attributes:
        version: Name of the price list and a digest of all that decides a cost.
        list_name: Name of the price list alone.
        names: Aliases of providers and service tiers.
        units: Billable units, in the order of the columns of `rates`.
        lookup: From the names in an event to a model of the price list.
        prices: Every price, in no order.
        schedule: Which line holds when.
        rates: What each line charges.
    """

    version: str
    list_name: str
    names: Names = field(repr=False)
    units: Units = field(repr=False)
    lookup: Lookup = field(repr=False)
    prices: tuple[Price, ...] = field(repr=False)
    schedule: Schedule = field(repr=False)
    rates: Rates = field(repr=False)
    _remembered: dict[_Asked, int] = field(default_factory=dict, repr=False)

    @classmethod
    def from_genai_prices(cls, snapshot: Path | None = None) -> Catalogue:
        """Return the catalogue of genai-prices. Half a second, most of it the import.

        Args:
            snapshot: A price list as genai-prices publishes it, `data.json` or `data.json.gz`; None for the one of
                the installed package.

        Raises:
            ReferenceDataError: The snapshot is absent or does not fit the library's schema.
        """
        from tollbook.rating.sources import genai

        names = load_names()
        providers, list_name = genai.installed() if snapshot is None else genai.snapshot(snapshot)
        prices = genai.read_prices(names, providers)
        return cls.of(prices, genai.read_lookup(names, providers), list_name=list_name, names=names)

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
        return cls.of(prices, ExactLookup.of(prices, names), list_name=version, names=names)

    @classmethod
    def of(
        cls, rows: Iterable[Price], lookup: Lookup, *, list_name: str, names: Names, units: Units | None = None
    ) -> Catalogue:
        """Return a catalogue of prices and of the rules by which they are found.

        Raises:
            ReferenceDataError: Prices overlap, repeat each other, leave a time of day or a context without a price, or
                differ under one identifier.
        """
        units = units or load_units()
        prices = tuple(rows)
        _refuse_ambiguous(prices)
        schedule = Schedule(prices)
        version = f"{list_name}-{_digest(prices, lookup, names, units)}"
        return cls(version, list_name, names, units, lookup, prices, schedule, Rates.of(schedule.lines, units))

    def with_prices(self, rows: Iterable[Price], *, list_name: str) -> Catalogue:
        """Return a catalogue of other prices that are found by the same rules, such as those of contracts."""
        return Catalogue.of(rows, self.lookup, list_name=list_name, names=self.names, units=self.units)

    @cached_property
    def needs_region(self) -> bool:
        """Whether a price depends on the region of the event."""
        return bool(self._regions)

    @cached_property
    def needs_account(self) -> bool:
        """Whether a price depends on the billing account of the event."""
        return any(price.billing_account_id not in {None, ANY_ACCOUNT} for price in self.prices)

    def group(
        self,
        provider: str | None,
        model: str | None,
        service_tier: str | None,
        region: str | None = None,
        billing_account_id: str | None = None,
    ) -> int:
        """Return the group of the schedule that prices a model at a tier, or the reason there is none.

        A region or an account without prices of its own has the prices of all others. Answers are remembered, misses
        too.

        Args:
            provider: Provider in the event, by any of its names.
            model: Model in the event.
            service_tier: Service tier in the event; None means default.
            region: Region in the event; not looked at unless `needs_region`.
            billing_account_id: Billing account in the event; not looked at unless `needs_account`.

        Returns:
            A group, above zero; or the negative of a code of `tollbook.rating.reasons`.
        """
        asked = (
            provider,
            model,
            service_tier,
            region if self.needs_region else None,
            billing_account_id if self.needs_account else None,
        )
        group = self._remembered.get(asked)
        if group is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            group = self._remembered[asked] = self._find_group(*asked)
        return group

    def group_of(
        self,
        found: FoundModel,
        service_tier: str,
        region: str | None = None,
        billing_account_id: str | None = None,
    ) -> int:
        """Return the group of a found model at a canonical tier, or the negative of a reason."""
        if service_tier != DEFAULT_TIER and not found.own:
            return -UNKNOWN_SERVICE_TIER
        zone = self.zone(found, region)
        # What was agreed with one provider is no price at another, for whom its list price stands in.
        told = () if billing_account_id is None else (billing_account_id,)
        accounts = (*told, ANY_ACCOUNT, None) if found.own else (None,)
        for place, account in product((zone, None), accounts):
            group = self.schedule.groups.get((found.provider, found.model, service_tier, place, account))
            if group is not None:
                return group
        return -UNKNOWN_SERVICE_TIER

    def find(self, provider: str, model: str) -> FoundModel | None:
        """Return the model that the names of an event mean, as gateways and clouds write them too, or None."""
        for billed_by, spelling in spellings(self.names, provider, model, self.lookup.knows):
            found = self.lookup.find(billed_by, spelling)
            if found is not None:
                return found
        return None

    def billed_by(self, provider: str | None, model: str | None) -> tuple[str, ...]:
        """Return who bills a call, and behind that, the nearest first, the gateways that passed it on.

        Providers are named as the price list names them; a call of nobody is billed by nobody.
        """
        sellers = [seller for seller, _ in hops(self.names, provider or "", model or "")]
        return tuple(self.provider(each) for each in reversed(sellers) if each)

    def provider(self, told: str) -> str:
        """Return the price list's name of a provider, by any of its names; one that it lacks in lower case."""
        return self.lookup.provider(told) or self.names.provider(told)

    def knows(self, provider: str) -> bool:
        """Return whether there is a price list for a provider, or it passes calls on to those that have one."""
        return provider.strip().lower() in self.names.gateways or self.lookup.knows(provider)

    def zone(self, found: FoundModel, region: str | None) -> str | None:
        """Return the most specific pattern of regions that a model has prices for and a region matches, or None."""
        if region is None:
            return None
        zones = self._regions.get((found.provider, found.model), ())
        return next((zone for zone in zones if matches(zone, region)), None)

    @cached_property
    def _regions(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Model to the patterns of regions that it has prices for, the most specific first."""
        zones: dict[tuple[str, str], set[str]] = {}
        for price in self.prices:
            if price.region is not None:
                zones.setdefault((price.provider, price.model), set()).add(price.region)
        return {model: tuple(sorted(each, key=specificity, reverse=True)) for model, each in zones.items()}

    def _find_group(
        self,
        provider: str | None,
        model: str | None,
        service_tier: str | None,
        region: str | None,
        billing_account_id: str | None,
    ) -> int:
        if provider is None or not self.knows(provider):
            return -UNKNOWN_PROVIDER
        found = None if model is None else self.find(provider, model)
        if found is None:
            return -UNKNOWN_MODEL
        tier = self.names.service_tier(service_tier)
        return -UNKNOWN_SERVICE_TIER if tier is None else self.group_of(found, tier, region, billing_account_id)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_remembered": {}}


def _refuse_ambiguous(prices: Iterable[Price]) -> None:
    """Hold that a charge can be walked back from its `sku_price_id` to what was charged.

    Raises:
        ReferenceDataError: Two prices of one identifier differ.
    """
    meant: dict[str, Price] = {}
    for price in prices:
        first = meant.setdefault(price.sku_price_id, price)
        if (first.rates, first.minimum_quantities) != (price.rates, price.minimum_quantities):
            raise price.fault(f"expected one price for each identifier, got two for {price.sku_price_id}")


def _digest(prices: tuple[Price, ...], lookup: Lookup, names: Names, units: Units) -> str:
    """Return a short digest of all that decides a cost: prices in any order, names, match rules and units."""
    told = (sorted(names.providers.items()), sorted(names.service_tiers.items()), sorted(names.gateways))
    digest = hashlib.sha256(repr(told).encode())
    digest.update(json.dumps(lookup.described(), sort_keys=True).encode())
    digest.update(repr(units.all).encode())
    for text in sorted(_canonical(price) for price in prices):
        digest.update(text.encode())
    return digest.hexdigest()[:_DIGEST_DIGITS]


def _canonical(price: Price) -> str:
    start, end = (None if each is None else microseconds(each) for each in (price.valid_from, price.valid_to))
    rates = sorted((key, str(rate)) for key, rate in price.rates.items())
    scope = (price.region, price.billing_account_id, price.contract_id)
    held = (start, end, price.daily_from.isoformat(), price.above_input_tokens, *scope)
    return f"{price.sku_price_id} {held} {rates} {sorted(price.minimum_quantities.items())}\n"
