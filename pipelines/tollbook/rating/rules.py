"""Match rules of a price list as plain data: which names mean which model.

Plain data is kept with a recorded catalogue, so that a past one finds its models by the rules of its own day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Final

from tollbook.rating.lookup import FoundModel
from tollbook.rating.units import Names

# A clause is its kind and a text, or its kind and clauses: ["equals", "gpt-4o"], ["or", [...]].
Clause = tuple[str, Any]
EQUALS: Final = "equals"
_TEXT_KINDS: Final = frozenset({EQUALS, "starts_with", "ends_with", "contains"})
_COMPACT_DATE: Final = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


@dataclass(frozen=True, slots=True)
class ProviderRules:
    """One provider of a price list.

    Attributes:
        provider: Its name in the price list.
        match: Clause that other names of it satisfy, or None.
        fallbacks: Providers whose models it sells too, tried after its own.
        models: Model and the clause that its names satisfy; the first that holds counts.
    """

    provider: str
    match: Clause | None
    fallbacks: tuple[str, ...]
    models: tuple[tuple[str, Clause], ...]


@dataclass(frozen=True)
class RuleLookup:
    """Finds models by match rules, and providers by our aliases first.

    Attributes:
        names: Aliases of providers.
        rules: Rules by provider, in the order they are tried.
    """

    names: Names
    rules: tuple[ProviderRules, ...] = field(repr=False)

    def providers(self) -> Iterable[str]:
        """Return the providers of the price list."""
        return tuple(each.provider for each in self.rules)

    def provider(self, told: str) -> str | None:
        """Return the price list's name of a provider, or None."""
        rules = self._provider(told)
        return None if rules is None else rules.provider

    def knows(self, provider: str) -> bool:
        """Return whether there is a price list for `provider`."""
        return self._provider(provider) is not None

    def find(self, provider: str, model: str) -> FoundModel | None:
        """Return the model by the rules, at a provider it falls back to if need be, or None."""
        billed_by = self._provider(provider)
        name = model.strip().lower()
        if billed_by is None or not name:
            return None
        return self._match(billed_by, name) or self._match(billed_by, _dashed_dates(name))

    def sold(self, provider: str) -> Iterable[FoundModel]:
        """Return every model that a provider sells: its own, and those of the providers it falls back to."""
        billed_by = self._provider(provider)
        if billed_by is None:
            return ()
        lists = [self._by_name[each] for each in (billed_by.provider, *billed_by.fallbacks) if each in self._by_name]
        return tuple(
            FoundModel(each.provider, model, own=each is billed_by) for each in lists for model, _ in each.models
        )

    def described(self) -> dict[str, Any]:
        """Return the rules as JSON holds them."""
        return {
            "kind": "rules",
            "rules": [[each.provider, each.match, list(each.fallbacks), list(each.models)] for each in self.rules],
        }

    @classmethod
    def of_description(cls, description: dict[str, Any], names: Names) -> RuleLookup:
        """Return the lookup that `described` told of."""
        rules = (
            ProviderRules(
                provider,
                None if match is None else _clause(match),
                tuple(fallbacks),
                tuple((model, _clause(clause)) for model, clause in models),
            )
            for provider, match, fallbacks, models in description["rules"]
        )
        return cls(names, tuple(rules))

    @cached_property
    def _by_name(self) -> dict[str, ProviderRules]:
        return {each.provider: each for each in self.rules}

    def _provider(self, told: str) -> ProviderRules | None:
        name = self.names.provider(told)
        if not name:
            return None
        exact = self._by_name.get(name)
        if exact is not None:
            return exact
        return next((each for each in self.rules if each.match is not None and holds(each.match, name)), None)

    def _match(self, billed_by: ProviderRules, name: str) -> FoundModel | None:
        for provider in (billed_by.provider, *billed_by.fallbacks):
            rules = self._by_name.get(provider)
            for model, clause in () if rules is None else rules.models:
                if holds(clause, name):
                    return FoundModel(provider, model, own=provider == billed_by.provider)
        return None


def holds(clause: Clause, name: str) -> bool:
    """Return whether a name in lower case satisfies a clause."""
    kind, what = clause
    if kind == EQUALS:
        return bool(name == what)
    if kind == "starts_with":
        return name.startswith(what)
    if kind == "ends_with":
        return name.endswith(what)
    if kind == "contains":
        return what in name
    if kind == "regex":
        return re.search(what, name) is not None
    if kind == "or":
        return any(holds(each, name) for each in what)
    return all(holds(each, name) for each in what)


def _clause(described: Any) -> Clause:
    kind, what = described
    return (kind, tuple(_clause(each) for each in what) if kind in {"or", "and"} else what)


def text_clause(kind: str, text: str) -> Clause:
    """Return a clause over one text; names are held against it in lower case, regular expressions as they stand."""
    return (kind, text.lower() if kind in _TEXT_KINDS else text)


def _dashed_dates(name: str) -> str:
    """Return `-20251211` as `-2025-12-11`: gateways write dates without the dashes that price lists have."""

    def dashed(found: re.Match[str]) -> str:
        year, month, day = found.groups()
        try:
            date(int(year), int(month), int(day))
        except ValueError:
            return found[0]
        return f"-{year}-{month}-{day}"

    return _COMPACT_DATE.sub(dashed, name)
