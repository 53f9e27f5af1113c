"""From the names in an event to a model of a price list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tollbook.rating.prices import Price
from tollbook.rating.units import Names


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model of a price list.

    Attributes:
        provider: Provider whose price it is.
        model: Model, as the price list names it.
        own: Whether the provider in the event is that provider. Another's price stands in for the default
            tier only.
    """

    provider: str
    model: str
    own: bool = True


class Lookup(Protocol):
    """Finds models. Slow by the standards of an event; the catalogue remembers its answers, misses too."""

    def providers(self) -> Iterable[str]:
        """Return the providers that have a price list."""

    def provider(self, told: str) -> str | None:
        """Return the price list's name of a provider, told by its name or by an alias, or None."""

    def knows(self, provider: str) -> bool:
        """Return whether there is a price list for `provider`, by its name or by an alias."""

    def find(self, provider: str, model: str) -> FoundModel | None:
        """Return the model as the price list has it, or None. Never guesses a provider from the model."""

    def sold(self, provider: str) -> Iterable[FoundModel]:
        """Return every model that a provider sells, as its price list has it: its own, and those of others."""

    def described(self) -> dict[str, Any]:
        """Return what it goes by, as JSON holds it: a recorded catalogue finds its models by this."""


@dataclass(frozen=True)
class ExactLookup:
    """Finds a model by its own name, whatever its case, and a provider by its name or an alias of it.

    Attributes:
        names: Aliases of providers.
        models: Canonical provider to lower-case model to the model as its prices have it.
    """

    names: Names
    models: dict[str, dict[str, FoundModel]] = field(default_factory=dict)

    @classmethod
    def of(cls, prices: Iterable[Price], names: Names) -> ExactLookup:
        """Return a lookup of the models in `prices`.

        Raises:
            ReferenceDataError: Two models differ only in case, or two providers only in alias.
        """
        lookup = cls(names)
        for price in prices:
            models = lookup.models.setdefault(names.provider(price.provider), {})
            known = models.setdefault(price.model.lower(), FoundModel(price.provider, price.model))
            if (known.provider, known.model) != (price.provider, price.model):
                raise price.fault(f"expected one spelling of each model, got also {known.provider} {known.model}")
        return lookup

    def providers(self) -> Iterable[str]:
        """Return the providers that have a price list."""
        return tuple(self.models)

    def provider(self, told: str) -> str | None:
        """Return the provider as its prices have it, or None."""
        models = self.models.get(self.names.provider(told))
        return None if models is None else next(iter(models.values())).provider

    def knows(self, provider: str) -> bool:
        """Return whether there is a price list for `provider`."""
        return self.names.provider(provider) in self.models

    def find(self, provider: str, model: str) -> FoundModel | None:
        """Return the model, or None."""
        return self.models.get(self.names.provider(provider), {}).get(model.strip().lower())

    def sold(self, provider: str) -> Iterable[FoundModel]:
        """Return the models of a provider."""
        return tuple(self.models.get(self.names.provider(provider), {}).values())

    def described(self) -> dict[str, Any]:
        """Return that models go by their own names; the prices say which those are."""
        return {"kind": "exact"}
