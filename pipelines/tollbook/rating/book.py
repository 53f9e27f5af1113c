"""The price book: everything that decides what an event costs, as one thing with one version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.sources.exchange import NO_RATES, ExchangeRates
from tollbook.rating.sources.policy import DEFAULT_POLICY, CostPolicy
from tollbook.settings import Settings

_DIGEST_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class ContractLines:
    """Which lines of the contracted prices a contract made.

    Attributes:
        ids: Contracts, in the order of their codes.
        of_line: Code of the contract that made a line, -1 for a list price. Shape (n_lines,).
        unknown: Whether any of a line's rates is in a currency that had no exchange rate. Shape (n_lines,).
        of_group: Whether any line of a group is a contract's. Shape (n_groups + 1,).
    """

    ids: tuple[str, ...]
    of_line: npt.NDArray[np.int64]
    unknown: npt.NDArray[np.bool_]
    of_group: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PriceBook:
    """List prices, contracted prices, exchange rates and the cost policy. It pickles.

    Attributes:
        list_prices: Published prices.
        contracted: The same with contract rates over them, complete; None without contracts.
        exchange: Dated rates to USD.
        policy: Whose figure is charged where a provider told one of its own; its providers are named as the list prices
            name them.
        version: Digest over all of it, which every event it priced bears as `catalogue_version`.
    """

    list_prices: Catalogue
    contracted: Catalogue | None = None
    exchange: ExchangeRates = field(default_factory=ExchangeRates)
    policy: CostPolicy = field(default_factory=CostPolicy)
    version: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy", self.policy.among(self.list_prices.provider))
        object.__setattr__(self, "version", self._version())

    @classmethod
    def of(
        cls,
        list_prices: Catalogue,
        *,
        contracted: Catalogue | None = None,
        exchange: ExchangeRates | None = None,
        policy: CostPolicy | None = None,
    ) -> PriceBook:
        """Return a book of list prices, and of nothing else unless given."""
        return cls(list_prices, contracted, exchange or ExchangeRates(), policy or CostPolicy())

    @classmethod
    def load(cls, settings: Settings, as_of: datetime | None = None) -> PriceBook:
        """Return the book of a home, compiled once a process for each state of its files.

        Args:
            settings: The home.
            as_of: Knowledge time, with a time zone: the book that was in use then. None for the book of now.

        Raises:
            ReferenceDataError: A file breaks its schema, or files contradict each other; nothing of them is used.
            CorruptManifestError: A recorded book is not as it was recorded.
        """
        from tollbook.rating.load import load_book

        return load_book(settings, as_of)

    @cached_property
    def contract_lines(self) -> ContractLines | None:
        """Which lines of `contracted` a contract made; None where none did."""
        if self.contracted is None:
            return None
        schedule = self.contracted.schedule
        told = [None if line.price is None else line.price.contract_id for line in schedule.lines]
        ids = tuple(sorted({each for each in told if each is not None}))
        if not ids:
            return None
        codes = {None: -1} | {each: code for code, each in enumerate(ids)}
        of_line = np.array([codes[each] for each in told], np.int64)
        unknown = self.contracted.rates.unknown > 0
        # Lines of a group stand together: its first is the first of its first hour of its first period.
        first_hours = schedule.hours.offsets[schedule.periods.offsets]
        first_lines = schedule.contexts.offsets[first_hours]
        counted = np.concatenate([[0], np.cumsum(of_line >= 0)])
        return ContractLines(ids, of_line, unknown, np.diff(counted[first_lines]) > 0)

    def _version(self) -> str:
        """Return the list prices' own version, and behind a plus what else decides a cost, where anything does."""
        contracts = self.contract_lines
        rest = {
            "contracts": None if self.contracted is None else self.contracted.version,
            "contract_ids": None if contracts is None else (contracts.ids, contracts.of_line.tobytes()),
            "exchange_rates": None if self.exchange.version == NO_RATES else self.exchange.version,
            "cost_policy": None if self.policy.version == DEFAULT_POLICY else self.policy.version,
        }
        if not any(rest.values()):
            return self.list_prices.version
        digest = hashlib.sha256(repr(sorted(rest.items())).encode()).hexdigest()[:_DIGEST_DIGITS]
        return f"{self.list_prices.version}+{digest}"
