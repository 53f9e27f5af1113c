"""A finding: what is wrong with a price, told so that a person can act on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from tollbook.rating.money import usd
from tollbook.rating.prices import Price
from tollbook.rating.units import DEFAULT_TIER, load_units

ERROR: Final = "error"
WARNING: Final = "warning"
NOTE: Final = "note"
SEVERITIES: Final = (ERROR, WARNING, NOTE)

# Code to its severity and what it means. An error is a wrong price or usage without one; a warning is most likely a
# wrong price; a note is worth a look, and no finding by itself.
CODES: Final[Mapping[str, tuple[str, str]]] = {
    "usage_without_price": (ERROR, "A model was used that has no price."),
    "contract_without_exchange_rate": (
        ERROR,
        "A contract prices what was used, and its currency has no exchange rate for that time: the usage has no cost.",
    ),
    "usage_without_rate": (ERROR, "A unit was used for which the model's price has no rate."),
    "periods_overlap": (ERROR, "Two prices hold at once."),
    "price_fell_to_zero": (ERROR, "A price fell to zero."),
    "power_of_ten_jump": (ERROR, "A price changed by a power of ten."),
    "implausible_price": (ERROR, "A token costs more than any model's ever did."),
    "cache_read_above_input": (ERROR, "Reading from the cache costs more than not using it."),
    "batch_above_default": (ERROR, "A batch costs more than calls one by one."),
    "far_from_peers": (ERROR, "Every other provider of the model is at least ten times away."),
    "zero_output": (WARNING, "Output is free and input is not."),
    "no_input_rate": (WARNING, "Output or the cache has a rate, and plain input has none: usage of it has no cost."),
    "price_jump": (WARNING, "A price changed by a factor of eight or more."),
    "cache_read_equals_input": (WARNING, "Reading from the cache saves nothing."),
    "zero_cache_write": (WARNING, "Writing to the cache is free, though those tokens are input tokens too."),
    "cache_write_below_input": (WARNING, "Writing to the cache costs less than plain input."),
    "cache_write_far_above_input": (WARNING, "Writing to the cache costs more than twice plain input."),
    "long_cache_write_below_short": (WARNING, "A cache write kept for an hour costs less than one for five minutes."),
    "long_context_below_base": (WARNING, "Requests above a length of context cost less than shorter ones."),
    "output_far_above_input": (WARNING, "Output costs more than twenty times input."),
    "alias_behind_snapshot": (WARNING, "A model's undated name costs other than its newest snapshot."),
    "catalogue_disagrees": (WARNING, "Another price list has another price for the same time."),
    "validity_gap": (WARNING, "No price holds between two that do."),
    "contract_above_list": (WARNING, "A negotiated rate is above the list price."),
    "not_checked_lately": (WARNING, "Nobody has compared the price with its source for long."),
    "output_below_input": (NOTE, "Output costs less than input."),
    "zero_cache_read": (NOTE, "Reading from the cache is free."),
    "price_rose_from_zero": (NOTE, "A price was zero before."),
    "rate_vanished": (NOTE, "A rate is gone from a price that goes on."),
    "zero_input": (NOTE, "Input is free and output is not."),
    "usage_not_rerated": (NOTE, "Usage was recorded without a price, and has one by now."),
    "undated_catalogue_disagrees": (NOTE, "Another price list has another price, and does not say since when."),
}

_DECIMALS: Final = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one price, or with the lack of one.

    Attributes:
        code: Key of `CODES`.
        provider: Who bills.
        model: Model.
        message: What is wrong, in a sentence.
        service_tier: Service tier.
        above_input_tokens: The price is for requests of more input tokens than this; None for the others.
        unit: Rate key of `units.yml`, or a unit where usage lacks a rate; None where it is the price as a whole.
        valid_from: First instant it concerns, UTC; None for ever since.
        valid_to: First instant it no longer concerns; None for until further notice.
        value: The price. Unit: USD for `per` units.
        expected: What it should compare with, likewise.
        per: Units that `value` and `expected` are for.
        quantity: How much was used of what has no price.
    """

    code: str
    provider: str
    model: str
    message: str
    service_tier: str = DEFAULT_TIER
    above_input_tokens: int | None = None
    unit: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    value: Decimal | None = None
    expected: Decimal | None = None
    per: int | None = None
    quantity: int | None = None

    @property
    def severity(self) -> str:
        """`error`, `warning` or `note`."""
        return CODES[self.code][0]

    def as_dict(self) -> dict[str, Any]:
        """Return the finding for JSON: prices as text with every digit, instants as RFC 3339."""
        return {
            "code": self.code,
            "severity": self.severity,
            "provider": self.provider,
            "model": self.model,
            "service_tier": self.service_tier,
            "above_input_tokens": self.above_input_tokens,
            "unit": self.unit,
            "valid_from": told_instant(self.valid_from),
            "valid_to": told_instant(self.valid_to),
            "value_usd": None if self.value is None else f"{self.value:f}",
            "expected_usd": None if self.expected is None else f"{self.expected:f}",
            "per": self.per,
            "quantity": self.quantity,
            "message": self.message,
        }


def finding(
    code: str,
    price: Price,
    message: str,
    *,
    unit: str | None = None,
    expected: Fraction | int | None = None,
    period: tuple[datetime | None, datetime | None] | None = None,
) -> Finding:
    """Return a finding about one rate of a price, or about all of it.

    Args:
        code: Key of `CODES`.
        price: The price.
        message: What is wrong, in a sentence.
        unit: Rate key that is at fault; one that the price lacks has no value.
        expected: What its rate should compare with. Unit: pico-USD for one unit.
        period: When it holds; the price's own validity unless given.
    """
    since, until = period or (price.valid_from, price.valid_to)
    per = None if unit is None else per_of(unit)
    return Finding(
        code=code,
        provider=price.provider,
        model=price.model,
        message=message,
        service_tier=price.service_tier,
        above_input_tokens=price.above_input_tokens,
        unit=unit,
        valid_from=since,
        valid_to=until,
        value=None if unit is None or unit not in price.rates else shown(price.rates[unit], unit),
        expected=None if unit is None or expected is None else shown(expected, unit),
        per=per,
    )


def per_of(key: str) -> int:
    """Return the units in one amount of a rate key's published price."""
    return next(unit.per for unit in load_units().all if key in unit.rates)


def shown(rate: Fraction | int, key: str) -> Decimal:
    """Return a rate as its published amount in USD, rounded half-even to twelve decimals."""
    rounded = round(usd(Fraction(rate), per=per_of(key)), _DECIMALS)
    return rounded.quantize(Decimal(1)) if rounded == rounded.to_integral_value() else rounded.normalize()


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with those joined that say the same of periods that follow each other, the gravest first."""
    latest: dict[tuple[Any, ...], Finding] = {}
    done: list[Finding] = []
    for each in sorted(findings, key=_in_time):
        key = (each.code, *_place(each), each.value, each.expected, each.quantity)
        before = latest.get(key)
        if before is not None and before.valid_to is not None and before.valid_to == each.valid_from:
            latest[key] = replace(before, valid_to=each.valid_to)
            continue
        if before is not None:
            done.append(before)
        latest[key] = each
    return sorted([*done, *latest.values()], key=_by_gravity)


def told_instant(moment: datetime | None) -> str | None:
    """Return an instant as RFC 3339 text."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def told_date(moment: datetime | date | None, *, otherwise: str) -> str:
    """Return the date of an instant for a sentence, and another word where there is none."""
    return otherwise if moment is None else f"{moment:%Y-%m-%d}"


def _place(each: Finding) -> tuple[Any, ...]:
    return (each.provider, each.model, each.service_tier, each.above_input_tokens or 0, each.unit or "")


def _in_time(each: Finding) -> tuple[Any, ...]:
    return (each.code, *_place(each), each.valid_from is not None, each.valid_from and each.valid_from.timestamp())


def _by_gravity(each: Finding) -> tuple[Any, ...]:
    codes = list(CODES)
    since = 0.0 if each.valid_from is None else each.valid_from.timestamp()
    return (codes.index(each.code), -(each.quantity or 0), *_place(each), since)
