"""One dated price of one model, the row that every price table comes down to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from fractions import Fraction
from functools import cached_property
from typing import Final

from tollbook.errors import ReferenceDataError
from tollbook.rating.money import MAX_COST_PICO_USD
from tollbook.rating.units import DEFAULT_TIER, Unit, load_units

# A contract without accounts of its own is for every account of the provider, and for calls that tell none.
ANY_ACCOUNT: Final = "*"
# Twice the remainder of a division by this still fits int64.
_FINEST: Final = 2**61


@dataclass(frozen=True, slots=True)
class Origin:
    """Which entry of a price overlay made a price, and over what.

    Attributes:
        entry: `<overlay>:<entry>`.
        rates: Rate keys that the entry names; the others are those of the price beneath.
        known_from: When the entry became known, in UTC.
        author: Who wrote the entry.
        reason: Why.
        supersedes: `sku_price_id` of the price beneath; None where there was none.
    """

    entry: str
    rates: tuple[str, ...]
    known_from: datetime
    author: str | None = None
    reason: str | None = None
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a contract made of a list price.

    Attributes:
        terms: Term of the contract to the rate keys that it changed.
        currency: Currency of the contract, ISO 4217.
        rates: Rate key to what the contract says, in `currency` for one unit; discounts are not in it.
        usd: US dollars for one unit of `currency`; None where no rate was in force, and then the price lacks `rates`.
        usd_since: When that exchange rate began; None for ever before, and for USD.
        supersedes: `sku_price_id` of the list price.
    """

    terms: Mapping[str, tuple[str, ...]]
    currency: str
    rates: Mapping[str, Fraction]
    usd: Fraction | None
    usd_since: datetime | None
    supersedes: str


@dataclass(frozen=True, slots=True)
class Uplift:
    """By how much the rates of a price are raised in a region.

    Attributes:
        region: Region, or pattern of regions.
        multiplier: What the rates were multiplied by, exact.
        entry: `<overlay>:<entry>` that says so.
        source: Page or document behind it.
    """

    region: str
    multiplier: Fraction
    entry: str
    source: str | None = None


@dataclass(frozen=True)
class Price:
    """What one model costs, for one service tier, in one period, at one time of day and length of context.

    A price is superseded, never edited. All rates of the price belong together: a call is priced by one of
    them.

    Attributes:
        provider: Who bills, as the price list names it.
        model: Model, as the price list names it.
        rates: Rate key of `units.yml` to its price. Unit: pico-USD for one unit, exact.
        service_tier: Tier of `price_lookup.yml`.
        valid_from: First instant it holds, in UTC; None when no beginning is known.
        valid_to: First instant it no longer holds, in UTC; None while it is open.
        daily_from: Time of day, in UTC, from which it holds until the next price of the same period.
        above_input_tokens: It holds for requests of more input tokens than this; None for the price of the
            others.
        minimum_quantities: Unit to the least quantity that is billed once there is any.
        price_list: Where it comes from, as the first part of its id.
        source: Page or document that says so.
        checked_on: Date it was last compared with `source`, as YYYY-MM-DD, where known.
        contract_id: Contract that made any of its rates; None for a list price.
        region: Region, or pattern of regions, whose uplift its rates hold; None for the price of all others.
        billing_account_id: Billing account it is for, or `ANY_ACCOUNT`; None for the list price.
        published_id: Its `sku_price_id`, where that is not made of the parts above: a price that is clipped at an
            instant keeps the identity it was published under.
        origin: What changed it after its publication, where anything did.
        uplift: By how much its rates are raised in its region, where they are.
        agreement: What a contract made of it, where one did.
    """

    provider: str
    model: str
    rates: Mapping[str, Fraction | int]
    service_tier: str = DEFAULT_TIER
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    daily_from: time = time(0)
    above_input_tokens: int | None = None
    minimum_quantities: Mapping[str, int] = field(default_factory=dict)
    price_list: str = "own"
    source: str | None = None
    checked_on: str | None = None
    contract_id: str | None = None
    region: str | None = None
    billing_account_id: str | None = None
    published_id: str | None = None
    origin: Origin | None = None
    uplift: Uplift | None = None
    agreement: Agreement | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.rates) - load_units().rate_keys)
        if unknown:
            raise self.fault(f"expected the rate keys of units.yml, got {unknown}")
        for key, rate in self.rates.items():
            if not 0 <= rate <= MAX_COST_PICO_USD or rate.denominator > _FINEST:
                raise self.fault(
                    f"expected {key} between 0 and {MAX_COST_PICO_USD} pico-USD, and no finer than a part in "
                    f"{_FINEST}, got {rate}"
                )
        for name in ("valid_from", "valid_to"):
            instant: datetime | None = getattr(self, name)
            if instant is not None and instant.utcoffset() is None:
                raise self.fault(f"expected {name} with a time zone, got {instant.isoformat()}")
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise self.fault(f"expected valid_from before valid_to, got {self.valid_from} and {self.valid_to}")

    @cached_property
    def sku_price_id(self) -> str:
        """Identifier that stays the same in every version of the price list.

        `<price list>/<provider>/<model>/<service tier>/<valid from>/<context>`. A model may hold slashes; the
        last three parts never do. The context of a regional price ends in `@<region>`, and where an entry of an
        overlay raised its rates, that of the price beneath in `@<region>:<multiplier>:<entry>`.
        """
        if self.published_id is not None:
            return self.published_id
        since = "undated" if self.valid_from is None else _instant(self.valid_from)
        if self.daily_from != time(0):
            since += f"@{time_of_day(self.daily_from)}"
        context = "base" if self.above_input_tokens is None else f"above-{self.above_input_tokens}"
        if self.region is not None:
            context += f"@{self.region}"
        return f"{self.price_list}/{self.provider}/{self.model}/{self.service_tier}/{since}/{context}"

    @cached_property
    def unknown_keys(self) -> frozenset[str]:
        """Rate keys whose price was agreed in a currency that had no exchange rate: they are not in `rates`."""
        agreement = self.agreement
        return frozenset() if agreement is None or agreement.usd is not None else frozenset(agreement.rates)

    def key_of(self, unit: Unit) -> str | None:
        """Return the rate key that prices a unit, None where it has no price: no other stands in for an unknown one."""
        key = unit.priced_as(self.rates.keys() | self.unknown_keys)
        return key if key in self.rates else None

    def held(self, valid_from: datetime | None, valid_to: datetime | None) -> Price:
        """Return this price in another period, under the same identity."""
        return replace(self, valid_from=valid_from, valid_to=valid_to, published_id=self.sku_price_id)

    def fault(self, message: str) -> ReferenceDataError:
        """Return an error that names this price."""
        return ReferenceDataError(f"price of {self.provider} {self.model}, {self.service_tier}: {message}")


def time_of_day(moment: time) -> str:
    """Return a time of day as it is written, with seconds where it has some."""
    return moment.isoformat("minutes" if moment == moment.replace(second=0, microsecond=0) else "auto")


def _instant(moment: datetime) -> str:
    moment = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{moment:%Y-%m-%d}" if moment.time() == time(0) else f"{moment.isoformat()}Z"
