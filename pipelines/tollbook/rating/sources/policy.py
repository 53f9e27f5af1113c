"""The cost policy: whose figure is charged where a provider or gateway told one of its own.

By default it is ours wherever we have a price, an estimated one too, and the provider's where we have none. For a
provider that the policy names it can be the other way round. Both figures are kept either way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tollbook.errors import ReferenceDataError
from tollbook.rating.units import load_names
from tollbook.reference.documents import read_document, refuse

PREFER_RATED: Final = "rated"
PREFER_REPORTED: Final = "provider_reported"
PREFERENCES: Final = (PREFER_RATED, PREFER_REPORTED)
DEFAULT_POLICY: Final = "default"
_DIGEST_DIGITS: Final = 8


@dataclass(frozen=True)
class CostPolicy:
    """Whose figure is charged, by provider.

    Attributes:
        prefer: `rated` or `provider_reported`, for providers that are not named.
        providers: Provider, by any of its names, to what is preferred for it.
    """

    prefer: str = PREFER_RATED
    providers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = load_names()
        canonical: dict[str, str] = {}
        for name, preference in self.providers.items():
            if canonical.setdefault(names.provider(name), preference) != preference:
                raise ReferenceDataError(
                    f"cost policy: expected one preference for {names.provider(name)}, got two, one as {name!r}"
                )
        unknown = sorted({self.prefer, *canonical.values()} - set(PREFERENCES))
        if unknown:
            raise ReferenceDataError(f"cost policy: expected one of {list(PREFERENCES)}, got {unknown[0]!r}")
        object.__setattr__(self, "providers", canonical)

    @property
    def version(self) -> str:
        """Digest of what it says; `default` for the policy that nobody wrote."""
        exceptions = sorted((name, each) for name, each in self.providers.items() if each != self.prefer)
        if self.prefer == PREFER_RATED and not exceptions:
            return DEFAULT_POLICY
        return hashlib.sha256(repr((self.prefer, exceptions)).encode()).hexdigest()[:_DIGEST_DIGITS]

    def among(self, provider: Callable[[str], str]) -> CostPolicy:
        """Return the policy with its providers named as a price list names them.

        Raises:
            ReferenceDataError: Two of its names mean one provider there, and it prefers different figures for them.
        """
        named: dict[str, str] = {}
        for name, preference in self.providers.items():
            if named.setdefault(provider(name), preference) != preference:
                raise ReferenceDataError(
                    f"cost policy: expected one preference for {provider(name)}, got two, one as {name!r}"
                )
        return CostPolicy(self.prefer, named)

    def prefers_reported(self, billed_by: Sequence[Iterable[str]]) -> npt.NDArray[np.bool_]:
        """Return whether the provider's own figure is preferred to ours, for each of some calls.

        Args:
            billed_by: For each call who bills it and, behind that, the gateways that passed it on, by the names that
                the policy has. The first that the policy names decides: who bills goes before who passes on.
        """
        return np.array(
            [
                next((self.providers[name] for name in names if name in self.providers), self.prefer) == PREFER_REPORTED
                for names in billed_by
            ],
            bool,
        )


def read_cost_policy(path: Path) -> CostPolicy:
    """Return the policy of a YAML document `cost_policy: 1`.

    Raises:
        ReferenceDataError: It breaks its schema, or gives one provider two preferences. Every fault names file,
            line, field, value and rule, and nothing of the file is used.
    """
    document = read_document(path, "cost_policy")
    providers: dict[str, str] = document.content.get("providers", {})
    canonical = load_names().provider
    refuse(
        [
            document.fault(["providers", name], f"expected one preference for {canonical(name)}, got also another")
            for place, (name, preference) in enumerate(providers.items())
            if any(
                canonical(other) == canonical(name) and told != preference
                for other, told in list(providers.items())[:place]
            )
        ]
    )
    return CostPolicy(document.content.get("prefer", PREFER_RATED), providers)
