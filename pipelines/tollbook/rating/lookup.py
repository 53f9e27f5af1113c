"""From the names in an event to a model of a price list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

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

    def knows(self, provider: str) -> bool:
        """Return whether there is a price list for `provider`, by its name or by an alias."""

    def find(self, provider: str, model: str) -> FoundModel | None:
        """Return the model as the price list has it, or None. Never guesses a provider from the model."""


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

    def knows(self, provider: str) -> bool:
        """Return whether there is a price list for `provider`."""
        return self.names.provider(provider) in self.models

    def find(self, provider: str, model: str) -> FoundModel | None:
        """Return the model, or None."""
        return self.models.get(self.names.provider(provider), {}).get(model.strip().lower())
