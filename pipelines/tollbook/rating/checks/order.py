"""One price against itself: how its rates stand to each other, to the default tier and to shorter requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from tollbook.rating.checks.finding import Finding, finding, shown
from tollbook.rating.model_names import is_free_variant, takes_input_alone
from tollbook.rating.money import PICO_PER_USD
from tollbook.rating.prices import Price
from tollbook.rating.units import DEFAULT_TIER, load_units

BATCH: Final = "batch"
INPUT: Final = "input_tokens"
OUTPUT: Final = "output_tokens"
CACHE_READ: Final = "cache_read_tokens"
CACHE_WRITES: Final = ("cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
LONG_CACHE_WRITE: Final = "cache_write_1h_tokens"

# The dearest text model of any price list so far is o1-pro, at 600 USD for a million output tokens.
# Source: https://openai.com/api/pricing, as genai-prices 0.2.3 has it; read 2026-11-24.
IMPLAUSIBLE_USD_PER_MILLION: Final = 1_000
# Anthropic's write that is kept for an hour is the dearest there is, at twice the input.
# Source: https://docs.claude.com/en/docs/build-with-claude/prompt-caching, as genai-prices 0.2.3 has it.
DEAREST_CACHE_WRITE: Final = Fraction(2)
# Rounded in a price list, twice comes out as a little more.
_ROUNDING: Final = Fraction(5, 100)
# Models that think cost up to ten times as much for output as for input.
DEAREST_OUTPUT: Final = 20

_Rates = Mapping[str, Fraction | int]


def check_order(prices: Sequence[Price]) -> Iterator[Finding]:
    """Yield what is wrong with prices one by one, and with those that hold beside each other."""
    for price in prices:
        yield from _within(price)
    yield from _beside(prices)


def _within(price: Price) -> Iterator[Finding]:
    rates = price.rates
    yield from _implausible(price)
    plain, output = rates.get(INPUT), rates.get(OUTPUT)
    if plain is None:
        yield from _without_input(price)
        return
    yield from _cache(price, plain)
    if output is None:
        return
    if not output:
        if plain and not takes_input_alone(price.model) and not is_free_variant(price.model):
            text = f"output is free, and a million input tokens cost {_usd(rates, INPUT)}"
            yield finding("zero_output", price, text, unit=OUTPUT)
    elif not plain:
        text = f"input is free, and a million output tokens cost {_usd(rates, OUTPUT)}"
        yield finding("zero_input", price, text, unit=INPUT)
    elif output < plain:
        text = f"output ({_usd(rates, OUTPUT)}) costs less than input ({_usd(rates, INPUT)}), which few models do"
        yield finding("output_below_input", price, text, unit=OUTPUT, expected=plain)
    elif output > DEAREST_OUTPUT * plain:
        text = f"output ({_usd(rates, OUTPUT)}) costs more than {DEAREST_OUTPUT} times input ({_usd(rates, INPUT)})"
        yield finding("output_far_above_input", price, text, unit=OUTPUT, expected=DEAREST_OUTPUT * plain)


def _implausible(price: Price) -> Iterator[Finding]:
    ceiling = Fraction(IMPLAUSIBLE_USD_PER_MILLION * PICO_PER_USD, 1_000_000)
    for key in _token_keys():
        if price.rates.get(key, 0) > ceiling:
            text = (
                f"{key} costs {_usd(price.rates, key)} for a million tokens: no model costs "
                f"{IMPLAUSIBLE_USD_PER_MILLION:,} USD"
            )
            yield finding("implausible_price", price, text, unit=key)


def _without_input(price: Price) -> Iterator[Finding]:
    """Yield a price that has rates for tokens and none for plain input; what is billed otherwise has none for any."""
    told = [key for key in (OUTPUT, CACHE_READ, *CACHE_WRITES) if key in price.rates]
    if told:
        text = f"there is a rate for {', '.join(told)} and none for {INPUT}: input tokens have no cost"
        yield finding("no_input_rate", price, text, unit=INPUT)


def _cache(price: Price, plain: Fraction | int) -> Iterator[Finding]:
    rates = price.rates
    usual = f"input ({_usd(rates, INPUT)})"
    read = rates.get(CACHE_READ)
    if read is not None:
        said = f"a cache read ({_usd(rates, CACHE_READ)})"
        if read > plain:
            yield finding(
                "cache_read_above_input", price, f"{said} costs more than {usual}", unit=CACHE_READ, expected=plain
            )
        elif plain and read == plain and price.service_tier == DEFAULT_TIER:
            # A batch is discounted once: what its cache reads cost is what its input costs, at several vendors.
            text = f"{said} costs as much as {usual}: caching saves nothing"
            yield finding("cache_read_equals_input", price, text, unit=CACHE_READ)
        elif plain and not read:
            yield finding("zero_cache_read", price, f"a cache read is free beside {usual}", unit=CACHE_READ)
    for key in CACHE_WRITES:
        write = rates.get(key)
        if write is None or not (write or plain):
            continue
        said = f"a cache write ({_usd(rates, key)})"
        if not write:
            text = f"a cache write is free beside {usual}: left out, it would be billed as input"
            yield finding("zero_cache_write", price, text, unit=key, expected=plain)
        elif write < plain:
            text = f"{said} costs less than {usual}"
            yield finding("cache_write_below_input", price, text, unit=key, expected=plain)
        elif write > (DEAREST_CACHE_WRITE + _ROUNDING) * plain:
            text = f"{said} costs more than twice {usual}"
            yield finding("cache_write_far_above_input", price, text, unit=key, expected=DEAREST_CACHE_WRITE * plain)
    yield from _long_write(price)


def _long_write(price: Price) -> Iterator[Finding]:
    kept = price.rates.get(LONG_CACHE_WRITE)
    short_key = next((key for key in ("cache_write_5m_tokens", "cache_write_tokens") if key in price.rates), None)
    if kept is None or short_key is None or kept >= price.rates[short_key]:
        return
    text = (
        f"a cache write kept for an hour ({_usd(price.rates, LONG_CACHE_WRITE)}) costs less than one for five minutes "
        f"({_usd(price.rates, short_key)})"
    )
    yield finding("long_cache_write_below_short", price, text, unit=LONG_CACHE_WRITE, expected=price.rates[short_key])


def _beside(prices: Iterable[Price]) -> Iterator[Finding]:
    """Yield batches above the default tier, and long requests below short ones, of prices that hold at once."""
    by_model: defaultdict[tuple[str | None, ...], list[Price]] = defaultdict(list)
    for price in prices:
        by_model[price.provider, price.model, price.region, price.billing_account_id].append(price)
    for members in by_model.values():
        defaults = [price for price in members if price.service_tier == DEFAULT_TIER]
        for price in members:
            if price.service_tier == BATCH:
                yield from _compared(price, [each for each in defaults if _same_requests(each, price)], is_batch=True)
            if price.above_input_tokens is not None:
                shorter = [
                    each for each in members if each.service_tier == price.service_tier and _shorter(each, price)
                ]
                yield from _compared(price, shorter, is_batch=False)


def _compared(price: Price, others: Iterable[Price], *, is_batch: bool) -> Iterator[Finding]:
    told: set[str] = set()
    for other in others:
        if not overlap(price, other):
            continue
        for key in _token_keys():
            rate, usual = price.rates.get(key), other.rates.get(key)
            if rate is None or usual is None or key in told:
                continue
            if is_batch and rate > usual:
                text = (
                    f"{key} in a batch ({_usd(price.rates, key)}) costs more than in calls one by one "
                    f"({_usd(other.rates, key)})"
                )
                yield finding("batch_above_default", price, text, unit=key, expected=usual)
                told.add(key)
            elif not is_batch and rate < usual:
                text = (
                    f"{key} of requests above {price.above_input_tokens:,} input tokens ({_usd(price.rates, key)}) "
                    f"costs less than that of shorter ones ({_usd(other.rates, key)})"
                )
                yield finding("long_context_below_base", price, text, unit=key, expected=usual)
                told.add(key)


def overlap(price: Price, other: Price) -> bool:
    """Return whether two prices hold at the same instant of some day."""
    starts_before = other.valid_to is None or price.valid_from is None or price.valid_from < other.valid_to
    ends_after = price.valid_to is None or other.valid_from is None or other.valid_from < price.valid_to
    return starts_before and ends_after


def _same_requests(price: Price, other: Price) -> bool:
    return price.above_input_tokens == other.above_input_tokens and price.daily_from == other.daily_from


def _shorter(price: Price, other: Price) -> bool:
    above = other.above_input_tokens or 0
    return price.daily_from == other.daily_from and (price.above_input_tokens or 0) < above


def _token_keys() -> list[str]:
    """Return the rate keys that price tokens."""
    return sorted({key for unit in load_units().all if unit.consumed_unit == "Tokens" for key in unit.rates})


def _usd(rates: _Rates, key: str) -> str:
    return f"{shown(rates[key], key):,f} USD"
