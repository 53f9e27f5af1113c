"""Finds models that overlays name beside those of a price list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tollbook.rating.lookup import FoundModel, Lookup
from tollbook.rating.units import Names


@dataclass(frozen=True)
class OverlayLookup:
    """Finds a model by a name of its own first, then by the rules of the price list.

    Attributes:
        names: Aliases of providers.
        base: Finds the models of the price list.
        models: Provider, lower-case name and the model as its prices have it, of names that stand for themselves.
        redirects: Provider, the provider and model that the price list finds for it, and the model that has its prices
            instead: a model of another's list that now has prices of its own here.
    """

    names: Names
    base: Lookup
    models: tuple[tuple[str, str, str], ...]
    redirects: tuple[tuple[str, str, str, str], ...] = ()

    def providers(self) -> Iterable[str]:
        """Return the providers that have prices."""
        return tuple(dict.fromkeys([*self.base.providers(), *(provider for provider, _, _ in self.models)]))

    def provider(self, told: str) -> str | None:
        """Return the price list's name of a provider, or None."""
        name = self.names.provider(told)
        return self.base.provider(told) or (name if name in self._own_providers else None)

    def knows(self, provider: str) -> bool:
        """Return whether there is a price list for `provider`."""
        return self.provider(provider) is not None

    def find(self, provider: str, model: str) -> FoundModel | None:
        """Return the model, or None."""
        billed_by = self.provider(provider)
        if billed_by is None:
            return None
        named = self._by_name.get((billed_by, model.strip().lower()))
        if named is not None:
            return FoundModel(billed_by, named)
        found = self.base.find(provider, model)
        instead = None if found is None else self._instead.get((billed_by, found.provider, found.model))
        return found if instead is None else FoundModel(billed_by, instead)

    def sold(self, provider: str) -> Iterable[FoundModel]:
        """Return every model that a provider sells."""
        billed_by = self.provider(provider)
        own = [FoundModel(each, model) for each, _, model in self.models if each == billed_by]
        return (*own, *self.base.sold(provider))

    def described(self) -> dict[str, Any]:
        """Return what it goes by, as JSON holds it."""
        return {
            "kind": "overlay",
            "base": self.base.described(),
            "models": list(self.models),
            "redirects": list(self.redirects),
        }

    @cached_property
    def _own_providers(self) -> frozenset[str]:
        return frozenset(provider for provider, _, _ in self.models)

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], str]:
        return {(provider, name): model for provider, name, model in self.models}

    @cached_property
    def _instead(self) -> dict[tuple[str, str, str], str]:
        return {(provider, *found): model for provider, *found, model in self.redirects}  # type: ignore[misc]
