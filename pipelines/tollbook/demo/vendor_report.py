"""The demo's vendor report: pages of a provider's usage and costs for the first month, as its admin API gives them.

The vendor tells of every call that our events do, and of some that never came our way: a notebook with a key of its
own. It tells costs to a hundredth of a cent. So events, report and invoice differ for reasons that can be named.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.reconcile.load import load_report
from tollbook.reconcile.store import reports
from tollbook.settings import Settings
from tollbook.warehouse.query import ask

VENDOR: Final = "openai"
# Where a kind of tokens stands among the counts.
_CACHED, _WRITTEN, _OUTPUT = 1, 2, 3
_CALLS_PER_UNLOGGED: Final = 50
_TOLD_STEP: Final = Decimal("0.0001")
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ModelDay:
    """What is used of a model on a day of UTC.

    Attributes:
        day: The day.
        model: The model.
        calls: Calls.
        counts: Tokens by kind: input that no cache held, read from a cache, written to one, and output.
        cost: Their cost. Unit: USD.
    """

    day: date
    model: str
    calls: int
    counts: tuple[int, ...]
    cost: Decimal

    def with_unlogged(self, calls: int) -> ModelDay:
        """Return the day with more calls that are as the others are."""
        more = [count * calls // self.calls for count in self.counts]
        cost = self.cost * sum(more) / sum(self.counts) if any(more) else Decimal()
        counts = tuple(count + added for count, added in zip(self.counts, more, strict=True))
        return ModelDay(self.day, self.model, self.calls + calls, counts, self.cost + cost)


def load_vendor_report(settings: Settings, start: date, folder: Path) -> Decimal:
    """Keep what the vendor reports of a month, unless it has reported before; return what it tells beyond our events.

    Args:
        settings: The demo's home, with the month published.
        start: First day of the month, of UTC.
        folder: Where the pages are written before they are loaded.

    Returns:
        Cost that the vendor reports less that of our calls. Unit: USD.
    """
    period = BillingPeriod.of(start)
    ours = _published(settings, period)
    told = vendor_days(ours)
    known = any(entry.vendor == VENDOR for entry in reports(settings.lake))
    if told and not known:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, page in (("usage", usage_page(told, period)), ("costs", costs_page(told, period))):
            path = folder / f"{VENDOR}-{name}-{start:%Y-%m}.json"
            path.write_text(json.dumps(page, indent=2) + "\n", encoding="utf-8")
            paths.append(path)
        load_report(
            paths,
            settings,
            vendor=VENDOR,
            author="finance@example.com",
            reason="Simulated",
            now=datetime.now(UTC),
        )
    return sum((_told(each) for each in told), Decimal()) - sum((each.cost for each in ours), Decimal())


def vendor_days(ours: Iterable[ModelDay]) -> list[ModelDay]:
    """Return what the vendor counts: our calls, and one more for every fifty of a day, of its most called model.

    Args:
        ours: What our events tell, by day.
    """
    found = []
    for _, held in groupby(ours, attrgetter("day")):
        models = list(held)
        most = max(models, key=lambda each: (each.calls, each.model))
        unlogged = -(-sum(each.calls for each in models) // _CALLS_PER_UNLOGGED)
        found += [each.with_unlogged(unlogged) if each is most else each for each in models]
    return found


def usage_page(told: Iterable[ModelDay], period: BillingPeriod) -> dict[str, Any]:
    """Return the page of the usage of completions, grouped by model."""
    return _page(
        period,
        {
            day: [
                {
                    "object": "organization.usage.completions.result",
                    "input_tokens": sum(each.counts[:_OUTPUT]),
                    "input_cached_tokens": each.counts[_CACHED],
                    "input_cache_write_tokens": each.counts[_WRITTEN],
                    "output_tokens": each.counts[_OUTPUT],
                    "num_model_requests": each.calls,
                    "model": each.model,
                    "project_id": None,
                }
                for each in held
            ]
            for day, held in groupby(told, attrgetter("day"))
        },
    )


def costs_page(told: Iterable[ModelDay], period: BillingPeriod) -> dict[str, Any]:
    """Return the page of costs, grouped by line item."""
    return _page(
        period,
        {
            day: [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": f"{_told(each):f}", "currency": "usd"},
                    "line_item": f"{each.model}, usage",
                    "project_id": None,
                }
                for each in held
            ]
            for day, held in groupby(told, attrgetter("day"))
        },
    )


def _told(each: ModelDay) -> Decimal:
    """Return a cost as the vendor tells it."""
    return each.cost.quantize(_TOLD_STEP)


def _page(period: BillingPeriod, results: dict[date, list[dict[str, Any]]]) -> dict[str, Any]:
    buckets = [
        {
            "object": "bucket",
            "start_time": _seconds(day),
            "end_time": _seconds(day + _DAY),
            "results": results.get(day, []),
        }
        for day in _days(period)
    ]
    return {"object": "page", "data": buckets, "has_more": False, "next_page": None}


def _days(period: BillingPeriod) -> Iterator[date]:
    day = period.start
    while day < period.end:
        yield day
        day += _DAY


def _seconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _published(settings: Settings, period: BillingPeriod) -> list[ModelDay]:
    """Return what our events tell of the vendor's models, by day; calls without a price cost nothing here."""
    rows = ask(
        settings,
        "select usage_date, model, sum(calls)::bigint, sum(uncached_input_tokens)::bigint, "
        "sum(cache_read_tokens)::bigint, sum(cache_write_tokens)::bigint, sum(output_tokens)::bigint, "
        "coalesce(sum(contracted_cost), 0) from engineering.fct_usage_daily "
        f"where providers = '{VENDOR}' and usage_date >= date '{period.start}' and usage_date < date '{period.end}' "
        "group by all order by all",
    ).rows
    return [
        ModelDay(day, model, calls, tuple(count or 0 for count in counts), cost)
        for day, model, calls, *counts, cost in rows
    ]
