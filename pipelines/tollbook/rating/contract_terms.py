"""Contracts as values: who they are with, whom and what they cover, and what was agreed, in exact numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Final

from tollbook.rating.patterns import ANY, matches, patterns_meet
from tollbook.rating.units import DEFAULT_TIER

USD: Final = "USD"
TOKENS, SPEND = "tokens", "spend"
GRADUATED, WHOLE_VOLUME = "graduated", "whole_volume"
BILLING_PERIOD, TERM = "billing_period", "term"
ALL_MODELS: Final = (ANY,)
SHORTEST_CONTEXT: Final = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """What a term covers. None stands for everything.

    Attributes:
        models: Patterns of models, as the price list names them.
        service_tiers: Service tiers, as the price list names them.
        above_input_tokens: Context tiers of list prices, 0 for the shortest.
        regions: Patterns of regions: list prices with their uplift alone. Empty for those without one.
        rate_keys: Rate keys by which the list price bills.
    """

    models: tuple[str, ...] = ALL_MODELS
    service_tiers: frozenset[str] | None = None
    above_input_tokens: frozenset[int] | None = None
    regions: tuple[str, ...] | None = None
    rate_keys: frozenset[str] | None = None

    def covers(self, model: str, service_tier: str) -> bool:
        """Return whether usage of a model at a tier is within it."""
        tiers = self.service_tiers
        return (tiers is None or service_tier in tiers) and matches_any(self.models, model)

    def covers_price(self, model: str, service_tier: str, above_input_tokens: int | None, region: str | None) -> bool:
        """Return whether a list price is within it."""
        contexts = self.above_input_tokens
        if contexts is not None and (above_input_tokens or SHORTEST_CONTEXT) not in contexts:
            return False
        if self.regions is not None:
            regional = self.regions == () if region is None else matches_any(self.regions, region)
            if not regional:
                return False
        return self.covers(model, service_tier)

    def covers_key(self, rate_key: str | None) -> bool:
        """Return whether what is billed by a rate key is within it; None is what no rate key bills."""
        return self.rate_keys is None or rate_key in self.rate_keys


# What `rates` cover unless told otherwise: an override replaces only what it names.
DEFAULT_PRICE: Final = Reach(
    service_tiers=frozenset({DEFAULT_TIER}), above_input_tokens=frozenset({SHORTEST_CONTEXT}), regions=()
)


@dataclass(frozen=True, slots=True)
class NegotiatedRates:
    """Rate key to its price, in the contract's currency for one unit."""

    rates: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class Discount:
    """A share off the list price, from 0 to 1."""

    share: Fraction


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a scale.

    Attributes:
        start: Tokens, or amount, from which it holds.
        share: Share off the contracted price, from 0 to 1.
        rate: Price of a token in place of the contracted one, in the contract's currency.
    """

    start: Fraction
    share: Fraction = Fraction(0)
    rate: Fraction | None = None


@dataclass(frozen=True, slots=True)
class VolumeTiers:
    """A price or discount by the quantity of a billing period: `counts` is tokens or spend."""

    counts: str
    mode: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class CommittedUse:
    """A fee a billing period that includes tokens; beyond them the overage rate for a token, or the usual price."""

    fee: Fraction
    included_tokens: int
    overage_rate: Fraction | None


@dataclass(frozen=True, slots=True)
class SpendCommitment:
    """An amount promised in each billing period or over the term, and discounts on spend beyond amounts."""

    amount: Fraction
    per: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class PrepaidCredit:
    """Credit of `amount` for `price`, that pays in `[purchased_on, expires_on)`."""

    amount: Fraction
    price: Fraction
    purchased_on: date
    expires_on: date | None
    order: int


Body = NegotiatedRates | Discount | VolumeTiers | CommittedUse | SpendCommitment | PrepaidCredit


@dataclass(frozen=True, slots=True)
class Term:
    """One term, in force on days of `[valid_from, valid_to)`, never beyond those of its contract."""

    term_id: str
    body: Body
    valid_from: date
    valid_to: date | None = None
    reach: Reach = field(default_factory=Reach)
    description: str | None = None

    def holds_on(self, day: date) -> bool:
        """Return whether it is in force on a day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract, as it was known from `known_from` on.

    Attributes:
        contract_id: Its name.
        provider: Who bills, as the price list names it.
        billing_accounts: Accounts that it covers; None for all, and for usage whose account is not told.
        models: Patterns of the models that it covers.
        currency: Of every amount in it, ISO 4217.
        valid_from: First day that it covers, of the billing calendar.
        valid_to: First day that it no longer covers; None while it is open.
        known_from: When the organisation learned of it, UTC.
        terms: What was agreed, in the order of the file.
        version: Digest of the document.
        source: Where the agreement stands.
    """

    contract_id: str
    provider: str
    currency: str
    valid_from: date
    known_from: datetime
    terms: tuple[Term, ...]
    version: str
    billing_accounts: frozenset[str] | None = None
    models: tuple[str, ...] = ALL_MODELS
    valid_to: date | None = None
    source: str | None = None

    @property
    def pricing_terms(self) -> tuple[Term, ...]:
        """Terms that set the price of a request."""
        return tuple(term for term in self.terms if isinstance(term.body, NegotiatedRates | Discount))

    @property
    def period_terms(self) -> tuple[Term, ...]:
        """Terms that need the totals of a billing period."""
        return tuple(term for term in self.terms if not isinstance(term.body, NegotiatedRates | Discount))

    def covers_account(self, account: str | None) -> bool:
        """Return whether it covers usage of a billing account."""
        return self.billing_accounts is None or account in self.billing_accounts

    def covers_model(self, model: str) -> bool:
        """Return whether it covers a model, as the price list names it."""
        return matches_any(self.models, model)

    def holds_on(self, day: date) -> bool:
        """Return whether it covers a day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)

    def overlaps(self, other: Contract) -> bool:
        """Return whether some model of some account could be covered by both at one time."""
        mine, theirs = self.billing_accounts, other.billing_accounts
        return (
            self.provider == other.provider
            and (mine is None or theirs is None or not mine.isdisjoint(theirs))
            and (self.valid_to is None or other.valid_from < self.valid_to)
            and (other.valid_to is None or self.valid_from < other.valid_to)
            and any(patterns_meet(one, another) for one in self.models for another in other.models)
        )


def matches_any(patterns: tuple[str, ...], text: str) -> bool:
    """Return whether a text is one that any of some patterns stands for."""
    return patterns == ALL_MODELS or any(matches(each, text) for each in patterns)
