"""Billable units and the names that lead to a price, loaded from `schemas/`."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from tollbook.contracts import shipped_folder
from tollbook.errors import ReferenceDataError
from tollbook.reference.documents import read_document

DEFAULT_TIER = "default"


@dataclass(frozen=True, slots=True)
class Unit:
    """One billable unit.

    Attributes:
        name: Column of the event, or key in its `tool_calls` or `other_units`.
        counted_in: `event`, `tool_calls`, `other_units` or `request`.
        rates: Rate keys that price it, the most specific first.
        per: Units in one amount of the published price.
        consumed_unit: FOCUS ConsumedUnit, such as `Tokens`.
        token_direction: `Input`, `Output` or None.
        token_cache_action: `Uncached`, `Read`, `Write` or None.
        cache_time_to_live: `5m`, `1h` or None.
        modality: `text`, `audio`, `image`, `video` or None.
    """

    name: str
    counted_in: str
    rates: tuple[str, ...]
    per: int
    consumed_unit: str
    token_direction: str | None = None
    token_cache_action: str | None = None
    cache_time_to_live: str | None = None
    modality: str | None = None

    def priced_as(self, rate_keys: Container[str]) -> str | None:
        """Return the most specific of some rate keys that prices the unit, or None when none does."""
        return next((key for key in self.rates if key in rate_keys), None)


@dataclass(frozen=True)
class Units:
    """All billable units in a fixed order, token buckets first.

    Attributes:
        all: The units; a unit's place is its column in the catalogue's arrays.
    """

    all: tuple[Unit, ...]

    @cached_property
    def buckets(self) -> tuple[Unit, ...]:
        """The units that are columns of an event: the disjoint token buckets."""
        return tuple(unit for unit in self.all if unit.counted_in == "event")

    @cached_property
    def places(self) -> dict[str, int]:
        """Name of a unit to its place."""
        return {unit.name: place for place, unit in enumerate(self.all)}

    @cached_property
    def rate_keys(self) -> frozenset[str]:
        """Every rate key that a price may name."""
        return frozenset(key for unit in self.all for key in unit.rates)

    @cached_property
    def amounts(self) -> dict[str, int]:
        """Rate key to the units in one amount of its published price."""
        return {key: unit.per for unit in self.all for key in unit.rates}

    @cached_property
    def token_rates(self) -> frozenset[str]:
        """The rate keys that price tokens."""
        return frozenset(key for unit in self.all if unit.consumed_unit == "Tokens" for key in unit.rates)

    def keys_of_map(self, column: str) -> dict[str, int]:
        """Return the units that the map `column` may count, name to place."""
        return {unit.name: place for place, unit in enumerate(self.all) if unit.counted_in == column}


@dataclass(frozen=True)
class Names:
    """How the names in events lead to a price list.

    Attributes:
        providers: Any known name of a provider, lower case, to the price list's name.
        service_tiers: Any known name of a service tier, lower case, to the price list's name.
        tier_contexts: Service tier to the request context that selects its variants in genai-prices.
        gateways: Tools that pass calls on, lower case; who bills stands before the slash of the model.
    """

    providers: dict[str, str]
    service_tiers: dict[str, str]
    tier_contexts: dict[str, dict[str, str]]
    gateways: frozenset[str] = frozenset()

    def provider(self, name: str) -> str:
        """Return the price list's name of a provider; an unlisted name comes back in lower case."""
        key = name.strip().lower()
        return self.providers.get(key, key)

    def service_tier(self, name: str | None) -> str | None:
        """Return the price list's name of a service tier, None for an unknown one. Absent means default."""
        return DEFAULT_TIER if name is None else self.service_tiers.get(name.strip().lower())


@lru_cache(maxsize=1)
def load_units() -> Units:
    """Return the units of `schemas/units.yml`.

    Raises:
        ReferenceDataError: The file breaks its schema.
    """
    document = load_document("units")
    units = [Unit(name, **{**body, "rates": tuple(body["rates"])}) for name, body in document.items()]
    return Units(tuple(sorted(units, key=lambda unit: unit.counted_in != "event")))


@lru_cache(maxsize=1)
def load_names() -> Names:
    """Return the names of `schemas/price_lookup.yml`.

    Raises:
        ReferenceDataError: The file breaks its schema, or gives one name two meanings.
    """
    document = load_document("price_lookup")
    tiers = document["service_tiers"]
    return Names(
        providers=_turned_around(document["providers"], "providers"),
        service_tiers=_turned_around({tier: body["aliases"] for tier, body in tiers.items()}, "service_tiers"),
        tier_contexts={tier: body["genai_prices"] for tier, body in tiers.items()},
        gateways=frozenset(document["gateways"]),
    )


def load_document(name: str, *, path: Path | None = None) -> dict[str, Any]:
    """Return `schemas/<name>.yml`, held against `schemas/documents/<name>.schema.json`.

    Args:
        name: Name of the document and of its schema.
        path: Where the document is; by default the shipped one.

    Raises:
        ReferenceDataError: It breaks its schema; the message names the line, the field, the value and the rule.
    """
    document: dict[str, Any] = read_document(path or shipped_folder("schemas") / f"{name}.yml", name).content
    return document


def _turned_around(names: dict[str, list[str]], table: str) -> dict[str, str]:
    turned: dict[str, str] = {}
    for name, aliases in names.items():
        for alias in (name, *aliases):
            if turned.setdefault(alias, name) != name:
                raise ReferenceDataError(
                    f"price_lookup.yml, {table}: expected {alias!r} to mean one thing, "
                    f"got {turned[alias]!r} and {name!r}"
                )
    return turned
