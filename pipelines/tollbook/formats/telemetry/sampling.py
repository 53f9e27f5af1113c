"""Which share of calls a reporter tells, where a span or log record says so: sampled spans are not a ledger.

Source: OpenTelemetry, TraceState probability sampling (`ot=th:`, and `ot=p:` before it) and the Collector's
probabilistic sampler (`sampling.threshold` on log records); Jaeger (`sampler.param`); Honeycomb (`SampleRate`, one in
so many); read 2026-11-25. A sampler that writes none of these, such as OpenClaw's `sampleRate`, cannot be seen here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tollbook.formats.telemetry.item import Item, Value

ATTRIBUTES: Final = frozenset(
    {"sampling.threshold", "sampling.probability", "sampling.rate", "sampler.type", "sampler.param", "SampleRate"}
)
_MEMBER: Final = re.compile(r"(?:^|,)\s*ot=(?P<value>[^,]*)")
_THRESHOLD: Final = re.compile(r"(?:^|;)th:(?P<digits>[0-9a-f]{1,14})(?:;|$)")
_POWER: Final = re.compile(r"(?:^|;)p:(?P<power>[0-9]{1,2})(?:;|$)")
_DIGITS: Final = 14
_RANDOM_BITS: Final = 56
_NEVER: Final = 63


def sampling_rate(item: Item) -> float | None:
    """Return the share of calls that the reporter tells, above 0 up to 1; None when it says nothing of it."""
    rates = [_of_trace_state(item.trace_state)] if item.trace_state else []
    rates += [_of_attributes(each) for each in (item.attributes, item.resource) if not ATTRIBUTES.isdisjoint(each)]
    told = [rate for rate in rates if rate is not None]
    return min(told) if told else None


def _of_trace_state(trace_state: str) -> float | None:
    member = _MEMBER.search(trace_state)
    if member is None:
        return None
    threshold = _THRESHOLD.search(member["value"])
    if threshold is not None:
        return _of_threshold(threshold["digits"])
    power = _POWER.search(member["value"])
    return None if power is None or int(power["power"]) >= _NEVER else 1.0 / (1 << int(power["power"]))


def _of_threshold(digits: str) -> float:
    """Return the share of random 56-bit numbers that are not below a threshold; its missing digits are zeros."""
    return 1.0 - int(digits.ljust(_DIGITS, "0"), 16) / (1 << _RANDOM_BITS)


def _of_attributes(told: Mapping[str, Value]) -> float | None:
    threshold = told.get("sampling.threshold")
    if isinstance(threshold, str) and _THRESHOLD.fullmatch(f"th:{threshold.lower()}"):
        return _of_threshold(threshold.lower())
    share = told.get("sampling.probability", told.get("sampling.rate"))
    if share is None and told.get("sampler.type") in {"probabilistic", "traceidratio"}:
        share = told.get("sampler.param")
    one_in = _number(told.get("SampleRate"))
    if share is None and one_in is not None and one_in >= 1:
        return 1.0 / one_in
    rate = _number(share)
    return rate if rate is not None and 0 < rate <= 1 else None


def _number(value: Value | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
