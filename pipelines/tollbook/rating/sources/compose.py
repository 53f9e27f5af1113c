"""A catalogue with overlays over its price list: prices, made-up names and regional uplifts, each in its time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeVar

from tollbook.errors import ReferenceDataError
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.lookup import FoundModel
from tollbook.rating.overlay_lookup import OverlayLookup
from tollbook.rating.patterns import matches, specificity
from tollbook.rating.prices import Price, Uplift
from tollbook.rating.sources.entries import AliasEntry, Entry, Overlay, PriceEntry, UpliftEntry
from tollbook.rating.sources.timelines import change, clip, paint, span_of
from tollbook.rating.units import DEFAULT_TIER

_SUFFIX: Final = "+overlays"
Model = tuple[str, str]
_E = TypeVar("_E", bound=Entry)


def compose(base: Catalogue, overlays: Sequence[Overlay], *, known_at: datetime | None = None) -> Catalogue:
    """Return a catalogue with overlays over it; the same one when they say nothing.

    Of entries for one model, tier and time the one that became known last counts, and of those that became known
    together the one that names the model itself.

    Args:
        base: The price list.
        overlays: Overlays, in any order.
        known_at: Knowledge time: only entries known by then count. None for all.

    Raises:
        ReferenceDataError: Two entries that became known together name the same rates of a model for one time.
    """
    entries = [entry for overlay in overlays for entry in overlay.known(known_at)]
    if not entries:
        return base
    return _Composer(base, entries).catalogue()


class _Composer:
    """Prices by model and tier while entries are painted over them."""

    def __init__(self, base: Catalogue, entries: list[Entry]) -> None:
        self._base = base
        self._prices = _in_order(entries, PriceEntry)
        self._aliases = _in_order(entries, AliasEntry)
        self._uplifts = _in_order(entries, UpliftEntry)
        self._tiers: dict[Model, dict[str, list[Price]]] = {}
        for price in base.prices:
            self._tiers.setdefault((price.provider, price.model), {}).setdefault(price.service_tier, []).append(price)
        self._named: dict[Model, str] = {}
        self._redirects: dict[tuple[str, str, str], str] = {}
        self._painted: dict[tuple[Model, str], list[PriceEntry]] = {}

    def catalogue(self) -> Catalogue:
        """Return the catalogue with all entries over it."""
        patterned: list[PriceEntry | UpliftEntry] = [each for each in self._prices if not each.exact]
        for entry in [*patterned, *self._uplifts]:
            self._take_in(entry)
        made_up = {(self._provider(each.provider), each.alias.lower()) for each in self._aliases}
        exact = [(self._of_exact(each), each) for each in self._prices if each.exact]
        for price in self._prices:
            self._paint(price, [model for model, each in exact if each is price], made_up)
        for alias in {
            (self._provider(each.provider), each.alias.lower()): each.alias for each in self._aliases
        }.items():
            self._alias(*alias)
        for model, price in exact:
            if (model[0], model[1].lower()) in made_up:
                self._paint_one(price, model)
        rows = [row for tiers in self._tiers.values() for each in tiers.values() for row in each]
        rows += [row for model in list(self._tiers) for row in self._regional(model)]
        return Catalogue.of(
            rows,
            self._lookup(),
            list_name=self._base.list_name + _SUFFIX,
            names=self._base.names,
            units=self._base.units,
        )

    def _take_in(self, entry: PriceEntry | UpliftEntry) -> None:
        """Give a provider prices of its own for the models of others that it sells and an entry is for."""
        provider = self._provider(entry.provider)
        for found in self._base.lookup.sold(provider):
            key = (provider, found.model.lower())
            if found.own or key in self._named or not entry.covers(found.model):
                continue
            if self._base.lookup.find(provider, found.model) == found:
                self._stand_for_itself((provider, found.model), found)

    def _stand_for_itself(self, model: Model, found: FoundModel | None) -> None:
        """Let a name lead to a model of its own, which begins with the prices of what the price list finds by it."""
        self._named[model[0], model[1].lower()] = model[1]
        self._tiers[model] = self._as(model, found)
        if found is not None and found.model.lower() == model[1].lower():
            self._redirects[model[0], found.provider, found.model] = model[1]

    def _provider(self, told: str) -> str:
        return self._base.lookup.provider(told) or told

    def _of_exact(self, entry: PriceEntry) -> Model:
        """Return the model that an entry names, made to stand for itself where the price list only matches its name."""
        provider, name = self._provider(entry.provider), entry.models[0]
        found = self._base.find(provider, name)
        if found is not None and found.own and found.model.lower() == name.lower():
            return (found.provider, found.model)
        key = (provider, name.lower())
        if key not in self._named:
            self._stand_for_itself((provider, name), found)
        return (provider, self._named[key])

    def _as(self, model: Model, found: FoundModel | None) -> dict[str, list[Price]]:
        """Return the prices of a found model under another name, each with its own identity."""
        if found is None:
            return {}
        tiers = self._tiers.get((found.provider, found.model), {})
        return {
            tier: [
                replace(price, provider=model[0], model=model[1], published_id=price.sku_price_id) for price in prices
            ]
            for tier, prices in tiers.items()
            if found.own or tier == DEFAULT_TIER
        }

    def _paint(self, entry: PriceEntry, named: list[Model], made_up: set[Model]) -> None:
        """Paint an entry over the models it is for; over made-up names only later, when these have prices."""
        provider = self._provider(entry.provider)
        models = (
            named if entry.exact else [each for each in self._tiers if each[0] == provider and entry.covers(each[1])]
        )
        for model in models:
            if (model[0], model[1].lower()) not in made_up:
                self._paint_one(entry, model)

    def _paint_one(self, entry: PriceEntry, model: Model) -> None:
        before = self._painted.setdefault((model, entry.service_tier), [])
        _refuse_contradiction(before, entry, model)
        before.append(entry)
        tiers = self._tiers.setdefault(model, {})
        tiers[entry.service_tier] = paint(tiers.get(entry.service_tier, []), entry, *model)

    def _alias(self, key: Model, name: str) -> None:
        """Give a made-up name the prices of what it means, in the times in which it means that."""
        model = (key[0], self._named.get(key, name))
        tiers = dict(self._tiers[model]) if key in self._named else self._as(model, self._base.find(*model))
        for entry in self._aliases:
            if (self._provider(entry.provider), entry.alias.lower()) != key:
                continue
            meant = self._as(model, self._meant(entry))
            span = span_of(entry.valid_from, entry.valid_to)
            for tier in {**tiers, **meant}:
                tiers[tier] = _without(tiers.get(tier, []), span) + clip(meant.get(tier, []), span)
        self._named[key] = model[1]
        self._tiers[model] = tiers

    def _meant(self, entry: AliasEntry) -> FoundModel | None:
        provider = self._provider(entry.means_provider)
        named = self._named.get((provider, entry.means_model.lower()))
        if named is not None and (provider, named) in self._tiers:
            return FoundModel(provider, named)
        found = self._base.find(provider, entry.means_model)
        redirected = None if found is None else self._redirects.get((provider, found.provider, found.model))
        return found if redirected is None else FoundModel(provider, redirected)

    def _regional(self, model: Model) -> list[Price]:
        """Return the prices of a model in every region, or pattern of regions, that has an uplift."""
        own = [each for each in self._uplifts if self._provider(each.provider) == model[0] and each.covers(model[1])]
        zones = sorted({region for each in own for region in each.regions})
        return [
            price for zone in zones for prices in self._tiers[model].values() for price in _uplifted(prices, own, zone)
        ]

    def _lookup(self) -> OverlayLookup:
        models = tuple(sorted((provider, key, name) for (provider, key), name in self._named.items()))
        redirects = tuple(sorted((*found, name) for found, name in self._redirects.items()))
        return OverlayLookup(self._base.names, self._base.lookup, models, redirects)


def missing(base: Catalogue, overlay: Overlay) -> list[tuple[Entry, str]]:
    """Return the entries of an overlay that nothing answers to, with what is missing: misspelt, most likely."""
    told: list[tuple[Entry, str]] = []
    composed = compose(base, [overlay])
    for entry in overlay.known(None):
        provider = composed.lookup.provider(entry.provider) or entry.provider
        models = {price.model for price in composed.prices if price.provider == provider}
        if isinstance(entry, AliasEntry):
            means = composed.find(entry.means_provider, entry.means_model)
            if means is None:
                told.append((entry, f"a model {entry.means_model!r} of {entry.means_provider}"))
            continue
        patterns = entry.models if isinstance(entry, PriceEntry | UpliftEntry) else ()
        told += [
            (entry, f"a model of {entry.provider} that {pattern!r} stands for")
            for pattern in patterns
            if not any(matches(pattern, model) for model in models)
        ]
    return told


def _in_order(entries: Iterable[Entry], kind: type[_E]) -> list[_E]:
    """Return the entries of a kind, what counts more after what counts less."""
    own = [entry for entry in entries if isinstance(entry, kind)]
    return sorted(own, key=lambda entry: (entry.known_from, getattr(entry, "exact", True), entry.entry))


def _refuse_contradiction(before: list[PriceEntry], entry: PriceEntry, model: Model) -> None:
    start, stop = span_of(entry.valid_from, entry.valid_to)
    for each in before:
        if (each.known_from, each.exact) != (entry.known_from, entry.exact):
            continue
        other = span_of(each.valid_from, each.valid_to)
        if start < other[1] and other[0] < stop and (each.keys & entry.keys or each.replace or entry.replace):
            raise ReferenceDataError(
                f"{entry.place}: expected one price of {' '.join(model)}, {entry.service_tier}, for each time, but "
                f"{entry.entry} and {each.entry} ({each.place}) became known together: the one that supersedes the "
                "other must be known later"
            )


def _without(prices: list[Price], span: tuple[int, int]) -> list[Price]:
    start, stop = span_of(None, None)
    return clip(prices, (start, span[0])) + clip(prices, (span[1], stop))


def _uplifted(prices: list[Price], uplifts: list[UpliftEntry], zone: str) -> list[Price]:
    """Return the prices of a group in one region, or pattern of regions."""
    # What names the zone most closely is applied last, and so stands; each starts from the price without any.
    reaching = [
        (max((region for region in each.regions if matches(region, zone)), key=specificity), order, each)
        for order, each in enumerate(uplifts)
        if any(matches(region, zone) for region in each.regions)
    ]
    plain = [replace(price, region=zone, published_id=price.sku_price_id) for price in prices]
    regional = plain
    for _, _, each in sorted(reaching, key=lambda found: (specificity(found[0]), found[1])):
        span = span_of(each.valid_from, each.valid_to)
        regional = _without(regional, span) + clip(change(plain, span, _multiplier(each, zone)), span)
    return regional


class _multiplier:  # noqa: N801  # a function with its arguments
    """Multiplies the rates of a price."""

    def __init__(self, entry: UpliftEntry, zone: str) -> None:
        self._entry, self._zone = entry, zone

    def __call__(self, price: Price) -> Price:
        """Return the price in the region."""
        entry = self._entry
        factor = f"{Decimal(entry.multiplier.numerator) / Decimal(entry.multiplier.denominator):f}"
        return replace(
            price,
            rates={
                key: Fraction(rate) * entry.multiplier if key in entry.rates else rate
                for key, rate in price.rates.items()
            },
            published_id=f"{price.sku_price_id}@{self._zone}:{factor}:{entry.entry}",
            uplift=Uplift(self._zone, entry.multiplier, entry.entry, entry.source),
        )
