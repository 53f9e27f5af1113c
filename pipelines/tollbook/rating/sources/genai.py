"""The catalogue of the package genai-prices as dated prices.

Source: genai-prices 0.2.3, `genai_prices.data` and `ModelInfo.get_prices`, read 2026-11-24.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Final

from genai_prices.types import (
    MatchLogic,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
    _providers_from_raw,
)
from genai_prices.units import UnitRegistry

from tollbook.errors import ReferenceDataError
from tollbook.rating.money import PICO_PER_USD
from tollbook.rating.prices import Price
from tollbook.rating.rules import Clause, ProviderRules, RuleLookup, text_clause
from tollbook.rating.units import DEFAULT_TIER, Names

PRICE_LIST: Final = "genai-prices"
# The library bills ten seconds at least for these, in code and not in data. Source: `ModelInfo.calc_price`.
_SHORTEST_AUDIO: Final = {"audio_seconds": 10, "input_audio_seconds": 10}
_SHORTEST_AUDIO_MODELS: Final = {("groq", "whisper-large-v3"), ("groq", "whisper-large-v3-turbo")}
_GZIP: Final = b"\x1f\x8b"
_FREE_SUFFIX: Final = ":free"
_FREE: Final = {"input_tokens": Fraction(0), "output_tokens": Fraction(0)}

# What holds on one day: time of day, then input tokens above which it holds, then the rates.
_Day = list[tuple[time, int | None, dict[str, Fraction]]]


def installed() -> tuple[list[Provider], str]:
    """Return the providers of the installed package and its release, such as `genai-prices-0.2.3`."""
    # 1.6 MB of Python, a quarter of a second: only those who price pay for it.
    from genai_prices.data import providers

    return providers, f"{PRICE_LIST}-{version('genai-prices')}"


def snapshot(path: Path) -> tuple[list[Provider], str]:
    """Return the providers of a price list as genai-prices publishes it, and its name.

    Args:
        path: `data.json`, or the same compressed with gzip, read by the library's own schema.

    Returns:
        The providers, and `genai-prices-` with a digest of the file's content.

    Raises:
        ReferenceDataError: There is no such file, or it does not fit the library's schema.
    """
    try:
        content = path.read_bytes()
        raw = gzip.decompress(content) if content[:2] == _GZIP else content
        providers = _providers_from_raw(json.loads(raw, parse_float=Decimal), _registry())
    except FileNotFoundError:
        raise ReferenceDataError(f"expected a snapshot of genai-prices at {path}, found nothing") from None
    except (OSError, EOFError, zlib.error, ValueError, TypeError) as broken:
        raise ReferenceDataError(f"expected a snapshot of genai-prices at {path}, got: {broken}") from broken
    return providers, f"{PRICE_LIST}-{hashlib.sha256(raw).hexdigest()[:8]}"


def read_prices(names: Names, providers: Sequence[Provider]) -> Iterator[Price]:
    """Yield every price there is: each model, service tier, period, time of day and length of context."""
    for provider in providers:
        source = provider.pricing_urls[0] if provider.pricing_urls else None
        for model in provider.models:
            for tier, context in names.tier_contexts.items():
                variants = _variants(model, context)
                if variants or tier == DEFAULT_TIER:
                    yield from _prices(provider, model, tier, context, variants, source)


def read_lookup(names: Names, providers: Sequence[Provider]) -> RuleLookup:
    """Return the match rules of a price list as plain data."""
    return RuleLookup(
        names,
        tuple(
            ProviderRules(
                provider.id,
                None if provider.provider_match is None else _clause(provider.provider_match),
                tuple(provider.fallback_model_providers or ()),
                tuple((model.id, _clause(model.match)) for model in provider.models),
            )
            for provider in providers
        ),
    )


def _clause(match: MatchLogic) -> Clause:
    """Return a match rule of the library as plain data."""
    ((kind, what),) = vars(match).items()
    kind = kind.rstrip("_")
    return text_clause(kind, what) if isinstance(what, str) else (kind, tuple(_clause(each) for each in what))


@lru_cache(maxsize=1)
def _registry() -> UnitRegistry:
    from genai_prices.data_units import unit_data

    return UnitRegistry(unit_data)


def _variants(model: ModelInfo, context: Mapping[str, str]) -> list[PriceVariant]:
    return [
        variant
        for variant in model.price_variants or ()
        if all(context.get(key) == value for key, value in variant.when.items())
    ]


def _prices(
    provider: Provider,
    model: ModelInfo,
    tier: str,
    context: dict[str, str],
    variants: list[PriceVariant],
    source: str | None,
) -> Iterator[Price]:
    """Yield the prices of one tier, from the first day on which the catalogue knows one."""
    minimum = _SHORTEST_AUDIO if (provider.id, model.id) in _SHORTEST_AUDIO_MODELS else {}
    constraints = [variant.constraint for variant in variants]
    if isinstance(model.prices, list):
        constraints += [conditional.constraint for conditional in model.prices]
    hours = {time(0)}
    for constraint in constraints:
        if isinstance(constraint, TimeOfDateConstraint):
            hours |= {_utc(constraint.start_time), _utc(constraint.end_time)}
    dates = sorted({each.start_date for each in constraints if isinstance(each, StartDateConstraint)})
    first = dates[0] - timedelta(days=1) if dates else date(2000, 1, 1)

    days: list[tuple[datetime | None, _Day]] = []
    for since in (None, *dates):
        day = _day(model, tier, context, variants, since or first, sorted(hours))
        if day and (not days or days[-1][1] != day):
            days.append((None if since is None else datetime.combine(since, time(0), UTC), day))
    for (valid_from, day), (valid_to, _) in pairwise([*days, (None, [])]):
        for daily_from, above, rates in day:
            yield Price(
                provider=provider.id,
                model=model.id,
                rates=rates,
                service_tier=tier,
                valid_from=valid_from,
                valid_to=valid_to,
                daily_from=daily_from,
                above_input_tokens=above,
                minimum_quantities=minimum,
                price_list=PRICE_LIST,
                source=source,
            )


def _day(
    model: ModelInfo,
    tier: str,
    context: dict[str, str],
    variants: list[PriceVariant],
    on: date,
    hours: list[time],
) -> _Day:
    """Return what holds on a day, or nothing when the tier has no price then."""
    day: _Day = []
    known = False
    for hour in hours:
        instant = datetime.combine(on, hour, UTC)
        in_force = tier == DEFAULT_TIER or any(
            variant.constraint is None or variant.constraint.active(instant) for variant in variants
        )
        known |= in_force
        # Out of force the library would answer with the default tier's price.
        by_context = _by_context(model, model.get_prices(instant, context)) if in_force else [(None, {})]
        if not day or [(above, rates) for at, above, rates in day if at == day[-1][0]] != by_context:
            day += [(hour, above, rates) for above, rates in by_context]
    return day if known else []


def _by_context(model: ModelInfo, prices: ModelPrice) -> list[tuple[int | None, dict[str, Fraction]]]:
    """Return the rates by the input tokens above which they hold. One cliff moves all rates of a request."""
    published = {key: price for key, price in vars(prices).items() if price is not None}
    if not published:
        return [(None, dict(_FREE) if model.id.endswith(_FREE_SUFFIX) else {})]
    tiered = [price for price in published.values() if isinstance(price, TieredPrices)]
    cliffs = sorted({tier.start for price in tiered for tier in price.tiers})
    return [
        (above, {_usage_key(key): _rate(key, price, above) for key, price in published.items()})
        for above in (None, *cliffs)
    ]


def _usage_key(price_key: str) -> str:
    return _registry().unit_for_price_key(price_key).usage_key


def _rate(price_key: str, price: Decimal | TieredPrices, above: int | None) -> Fraction:
    if isinstance(price, TieredPrices):
        reached = [tier.price for tier in price.tiers if above is not None and above >= tier.start]
        price = reached[-1] if reached else price.base
    return _pico_usd(price, _registry().unit_for_price_key(price_key).per)


@cache
def _pico_usd(price: Decimal, per: int) -> Fraction:
    return Fraction(price) * PICO_PER_USD / per


def _utc(moment: time) -> time:
    """Return a time of day in UTC; the library reads one without a zone as UTC."""
    return (
        datetime.combine(date(1970, 1, 1), moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        .astimezone(UTC)
        .time()
    )
