"""Pages of the admin APIs of OpenAI and Anthropic: buckets of time, each with results by what was asked for.

Source: OpenAI API reference, organization usage and costs; Anthropic API reference, usage_report/messages and
cost_report; read on 2026-11-26.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any, Final

from tollbook.reconcile.reports.rows import (
    COST,
    USAGE,
    Result,
    Row,
    Source,
    Where,
    credential_digest,
    instant_of_seconds,
    instant_of_text,
    with_total,
)

_OPENAI_USAGE: Final = "organization.usage."
_OPENAI_COSTS: Final = "organization.costs.result"
_COSTS, _COST_REPORT, _MESSAGES = "costs", "cost_report", "messages"
_CENTS: Final = 100

Report = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pages:
    """What a file of pages holds.

    Attributes:
        rows: `vendor_usage/v1` as rows, without `report_sequence`.
        ends: Whether the last page is among them: it says that there are no more, or the file is a list of buckets.
    """

    rows: list[Row]
    ends: bool


@dataclass(frozen=True, slots=True)
class _Bucket:
    place: Where
    start: datetime
    end: datetime
    results: list[Any]


def read_pages(source: Source) -> Pages:
    """Return the rows of a page, a list of pages, or a list of buckets; faults are noted in the source."""
    try:
        content = json.loads(source.content, parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError) as broken:
        source.fault(getattr(broken, "lineno", 1), (), f"expected JSON, got: {broken}")
        return Pages([], ends=True)
    buckets, ends = [], []
    for place, each in enumerate(content) if isinstance(content, list) else [(None, content)]:
        where: Where = () if place is None else (place,)
        if isinstance(each, dict) and isinstance(each.get("data"), list):
            ends.append(not each.get("has_more"))
            buckets += [((*where, "data", inner), bucket) for inner, bucket in enumerate(each["data"])]
        else:
            ends.append(True)
            buckets.append((where, each))
    openai = any(isinstance(bucket, dict) and "start_time" in bucket for _, bucket in buckets)
    found = [bucket for place, told in buckets if (bucket := _bucket(source, place, told, openai=openai)) is not None]
    return Pages(list(_rows(source, found, openai=openai)), any(ends) or not ends)


def _bucket(source: Source, place: Where, told: object, *, openai: bool) -> _Bucket | None:
    number = _first_number(place)
    names = ("start_time", "end_time") if openai else ("starting_at", "ending_at")
    if not isinstance(told, dict) or not isinstance(told.get("results"), list):
        source.fault(number, place, "expected a bucket with a list `results`", told)
        return None
    instants = [instant_of_seconds(told.get(n)) if openai else instant_of_text(told.get(n)) for n in names]
    rule = "expected Unix time in seconds" if openai else "expected an RFC 3339 instant"
    for name, instant in zip(names, instants, strict=True):
        if instant is None:
            source.fault(number, (*place, name), rule, told.get(name, "nothing"))
    start, end = instants
    if start is None or end is None:
        return None
    if end <= start:
        source.fault(number, (*place, names[1]), f"expected an end after the bucket's start {start.isoformat()}", end)
        return None
    return _Bucket(place, start, end, told["results"])


def _rows(source: Source, buckets: list[_Bucket], *, openai: bool) -> Iterator[Row]:
    results = [
        Result(source, 0, (*bucket.place, "results", place), body)
        for bucket in buckets
        for place, body in enumerate(bucket.results)
        if isinstance(body, dict)
    ]
    reports = sorted({_report(result, openai=openai) for result in results})
    if len(reports) != 1:
        rule = "expected the results of one report, of which at least one bucket has some"
        source.fault(1, (), rule, [" ".join(each) for each in reports])
        return
    kind, scope = reports[0]
    if scope == "":
        source.fault(1, (), "expected a report of usage or costs of OpenAI or Anthropic", sorted(results[0].body))
        return
    seen: set[tuple[datetime, datetime]] = set()
    numbers = count(1)
    for bucket in buckets:
        if (bucket.start, bucket.end) in seen:
            source.fault(
                _first_number(bucket.place), bucket.place, "expected each bucket once", bucket.start.isoformat()
            )
        seen.add((bucket.start, bucket.end))
        if not bucket.results:
            yield source.empty(next(numbers), kind, scope, bucket.start, bucket.end)
        for place, body in enumerate(bucket.results):
            result = Result(source, next(numbers), (*bucket.place, "results", place), body)
            if isinstance(body, dict):
                told = _READERS[kind, openai](result)
                yield source.row(result.number, kind, scope, bucket.start, bucket.end, **told)
            else:
                source.fault(result.number, result.place, "expected an object", body)


def _report(result: Result, *, openai: bool) -> Report:
    """Return kind and scope of a result; an empty scope where it is none that is known."""
    body = result.body
    if openai:
        name = str(body.get("object"))
        if name == _OPENAI_COSTS:
            return COST, _COSTS
        is_usage = name.startswith(_OPENAI_USAGE) and name.endswith(".result")
        return USAGE, name.removeprefix(_OPENAI_USAGE).removesuffix(".result") if is_usage else ""
    if "amount" in body:
        return COST, _COST_REPORT
    return USAGE, _MESSAGES if "uncached_input_tokens" in body else ""


def _openai_usage(result: Result) -> Row:
    """Cached tokens and tokens written to a cache are part of `input_tokens`; so are those of audio and images."""
    inputs, cached = result.count("input_tokens"), result.count("input_cached_tokens")
    written, outputs = result.count("input_cache_write_tokens"), result.count("output_tokens")
    uncached = None if inputs is None else inputs - (cached or 0) - (written or 0)
    if uncached is not None and uncached < 0:
        result.fault("input_cached_tokens", f"expected parts of the {inputs} input tokens, that are no more", cached)
        uncached = None
    if inputs is None and (cached or written):
        result.fault("input_tokens", "expected the whole beside its parts", "nothing")
    counts = {
        "uncached_input_tokens": uncached,
        "cache_read_tokens": cached,
        "cache_write_5m_tokens": written,
        "output_tokens": outputs,
    }
    told = result.body.get("batch")
    return {
        **with_total(counts),
        "requests": result.count("num_model_requests"),
        "model": result.text("model"),
        "project_id": result.text("project_id"),
        "service_tier": "batch" if told is True else result.text("service_tier"),
        "credential_digest": credential_digest(result.source.vendor, result.text("api_key_id")),
    }


def _openai_cost(result: Result) -> Row:
    amount = result.body.get("amount")
    money = amount if isinstance(amount, Mapping) else {}
    line_item = result.text("line_item")
    return {
        **(result.amount(money.get("value"), "amount/value") or {}),
        "currency": result.currency(money.get("currency"), "amount/currency"),
        "charge_category": "Usage",
        "line_item": line_item,
        # `gpt-4o-2024-08-06, cached input`: what stands before the comma is the model.
        "model": None if line_item is None or ", " not in line_item else line_item.rsplit(", ", 1)[0],
        "project_id": result.text("project_id"),
        "credential_digest": credential_digest(result.source.vendor, result.text("api_key_id")),
    }


def _anthropic_usage(result: Result) -> Row:
    """Counts of a message are disjoint as they come. Requests are not told."""
    creation = result.body.get("cache_creation")
    if creation is not None and not isinstance(creation, Mapping):
        result.fault("cache_creation", "expected an object or null", creation)
    written = creation if isinstance(creation, Mapping) else {}
    counts = {
        "uncached_input_tokens": result.count("uncached_input_tokens", required=True),
        "cache_read_tokens": result.count("cache_read_input_tokens"),
        "cache_write_5m_tokens": result.count("ephemeral_5m_input_tokens", within=written),
        "cache_write_1h_tokens": result.count("ephemeral_1h_input_tokens", within=written),
        "output_tokens": result.count("output_tokens", required=True),
    }
    return {
        **with_total(counts),
        "model": result.text("model"),
        "project_id": result.text("workspace_id"),
        "service_tier": result.text("service_tier"),
        "credential_digest": credential_digest(result.source.vendor, result.text("api_key_id")),
    }


def _anthropic_cost(result: Result) -> Row:
    """`amount` is a decimal text of cents: "123.45" is 1.2345 of the currency."""
    told = result.body.get("amount")
    if not isinstance(told, str):
        result.fault("amount", "expected a decimal text of cents", told)
    amount = result.amount(told, "amount", _CENTS) if isinstance(told, str) else None
    return {
        **(amount or {}),
        "currency": result.currency(result.body.get("currency")),
        "charge_category": "Usage",
        "line_item": result.text("description"),
        "model": result.text("model"),
        "project_id": result.text("workspace_id"),
        "service_tier": result.text("service_tier"),
    }


def _first_number(place: Where) -> int:
    """Return a bucket's number, counted from 1."""
    numbers = [step for step in place if isinstance(step, int)]
    return numbers[-1] + 1 if numbers else 1


_READERS: Final = {
    (USAGE, True): _openai_usage,
    (COST, True): _openai_cost,
    (USAGE, False): _anthropic_usage,
    (COST, False): _anthropic_cost,
}
"""What reads a result, by kind and by whether it is OpenAI's."""
