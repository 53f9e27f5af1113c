"""Where inference should run: what each workload would cost on each path, and from which use on that pays.

A row says what a workload has used in a billing period and what all of it would cost on one path: as bought there, or
by the cheapest offer. Costs are exact and rounded half-even once to pico-USD; what cannot be told has a reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.origins import money
from tollbook.insight.path_candidates import Candidate, cheapest
from tollbook.insight.path_offers import MODEL_API, PATHS, UNKNOWN, Instance, Paths, Workload
from tollbook.insight.path_running import Running, price_left
from tollbook.insight.path_usage import USAGE_SCHEMA, WorkloadUsage, cost_of, placed

METHOD: Final = "1"
"""Counts up when the same inputs give other rows."""
IS_API, NO_FIXED_COST, NO_API_COST, NEVER = "is_the_model_api", "no_fixed_cost", "no_model_api_cost", "never"
"""Why there is no break-even."""

_COST: Final = pa.decimal128(38, 12)
_COUNT, _TEXT = pa.int64(), pa.string()
PATHS_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        ("workload", _TEXT),
        ("inference_path", _TEXT),
        *((name, _COUNT) for name in ("workflows", "calls", "unpriced_calls", "unpriced_tokens")),
        *((name, _COUNT) for name in ("input_tokens", "cache_read_tokens", "output_tokens", "total_tokens", "tasks")),
        ("covered_hours", _COST),
        ("workload_cost", _COST),
        *((name, _COUNT) for name in ("observed_calls", "observed_tokens")),
        *((name, _COST) for name in ("observed_cost", "path_cost")),
        *((name, _COST) for name in ("cost_per_million_tokens", "cost_per_million_output_tokens", "cost_per_task")),
        ("is_cheapest", pa.bool_()),
        *((name, _TEXT) for name in ("excluded_reason", "cost_kind", "offer_id", "vendor", "region", "instance")),
        *((name, _TEXT) for name in ("accelerator", "price_source")),
        ("price_observed_on", pa.date32()),
        *((name, _COST) for name in ("instance_cost", "instance_hourly_cost")),
        *((name, _TEXT) for name in ("served_model", "throughput_basis", "figure_id", "throughput_source")),
        ("throughput_observed_on", pa.date32()),
        *((name, _COST) for name in ("output_tokens_per_second", "planned_utilisation")),
        *((name, _COUNT) for name in ("instances", "accelerators")),
        ("utilisation", _COST),
        ("break_even_tokens", _COUNT),
        ("break_even_utilisation", _COST),
        ("break_even_reason", _TEXT),
        ("api_price_decline", _COST),
        ("break_even_tokens_in_a_year", _COUNT),
        ("break_even_utilisation_in_a_year", _COST),
        ("break_even_tokens_over_life", _COUNT),
        ("break_even_utilisation_over_life", _COST),
        ("other_life_months", _COUNT),
        ("other_life_cost", _COST),
        ("break_even_tokens_at_other_life", _COUNT),
        ("break_even_utilisation_at_other_life", _COST),
        ("payback_months", _COUNT),
        ("caveats", _TEXT),
    ]
)
"""One row for each billing period, workload and path; `insight.fct_unit_cost_paths` describes the columns."""

_COUNTS: Final = (
    *("calls", "unpriced_calls", "unpriced_tokens"),
    *("input_tokens", "cache_read_tokens", "output_tokens", "total_tokens"),
)
_MILLION: Final = 10**6
_SECONDS_PER_HOUR: Final = 3600
_OLD_YEARS: Final = 1


def unit_cost_paths(usage: pa.Table, tasks: Mapping[tuple[date, str], int], known: Mapping[date, Paths]) -> pa.Table:
    """Return what workloads would cost on each path.

    Args:
        usage: `USAGE_SCHEMA`, shape (n_parts,).
        tasks: Tasks by first day of the billing period and workflow.
        known: What is known of inference elsewhere, for every first day of a billing period in `usage`.

    Returns:
        `PATHS_SCHEMA`, by period, workload and path; a path beside the four only where calls neither tell theirs nor
        have a price. In each period and workload, one row at most is the cheapest.
    """
    parts: defaultdict[tuple[date, str], list[Mapping[str, Any]]] = defaultdict(list)
    workloads: dict[tuple[date, str], Workload] = {}
    for row in usage.select(USAGE_SCHEMA.names).to_pylist():
        period = row["billing_period_start"]
        workload = known[period].workload_of(row["workflow"])
        workloads[period, workload.name] = workload
        parts[period, workload.name].append(placed(row, known[period].served))
    rows = [row for key in sorted(parts) for row in _workload(key[0], workloads[key], parts[key], tasks, known[key[0]])]
    return pa.Table.from_pylist(rows, schema=PATHS_SCHEMA)


def _workload(
    period: date,
    workload: Workload,
    parts: Sequence[Mapping[str, Any]],
    tasks: Mapping[tuple[date, str], int],
    paths: Paths,
) -> Iterator[dict[str, Any]]:
    workflows = {part["workflow"] for part in parts}
    usage = WorkloadUsage(parts, sum(tasks.get((period, workflow), 0) for workflow in workflows))
    common: dict[str, Any] = {
        "billing_period_start": period,
        "workload": workload.name,
        "workflows": len(workflows),
        **{name: usage.counts[name] for name in _COUNTS},
        "tasks": usage.tasks,
        "covered_hours": money(paths.covered_seconds / _SECONDS_PER_HOUR),
        "workload_cost": _money(cost_of(parts)),
    }
    names = PATHS if not usage.on(UNKNOWN) else (*PATHS, UNKNOWN)
    found = {path: cheapest(path, workload, usage, paths) for path in names}
    costs = {path: each.cost for path, each in found.items() if isinstance(each, Candidate)}
    least = min(costs, key=lambda path: costs[path]) if costs else None
    price = costs[MODEL_API] / usage.counts["total_tokens"] if MODEL_API in costs else None
    for path, each in found.items():
        on_path = usage.on(path)
        row = common | {
            "inference_path": path,
            "observed_calls": sum(part["calls"] for part in on_path),
            "observed_tokens": sum(part["total_tokens"] or 0 for part in on_path),
            "observed_cost": _money(cost_of(on_path)),
            "is_cheapest": path == least,
        }
        if isinstance(each, Candidate):
            yield row | _costs(each, usage) | _of_offer(each, period, paths) | _break_even(path, each, price, paths)
        else:
            yield row | {"excluded_reason": each}


def _costs(candidate: Candidate, usage: WorkloadUsage) -> dict[str, Any]:
    cost, counts = candidate.cost, usage.counts
    return {
        "path_cost": money(cost),
        "cost_per_million_tokens": _per(cost * _MILLION, counts["total_tokens"]),
        "cost_per_million_output_tokens": _per(cost * _MILLION, counts["output_tokens"]),
        "cost_per_task": _per(cost, usage.tasks),
        "cost_kind": candidate.kind,
    }


def _of_offer(candidate: Candidate, period: date, paths: Paths) -> dict[str, Any]:
    """Return where the price and the throughput come from, and what would run."""
    offer, running, speed = candidate.offer, candidate.running, candidate.speed
    caveats = [*candidate.caveats]
    told: dict[str, Any] = {"served_model": candidate.model}
    if offer is not None:
        told |= {
            "offer_id": offer.offer_id,
            "vendor": offer.vendor,
            "region": offer.region,
            "instance": offer.instance_name,
            "price_source": offer.source,
            "price_observed_on": offer.observed_on,
        }
        if offer.observed_on < _a_year_before(period):
            caveats.append("price_over_a_year_old")
        if running is not None and speed is not None and isinstance(offer.terms, Instance):
            told |= _on_instances(running, offer.terms)
            told |= {"output_tokens_per_second": money(speed.output_rate), "throughput_basis": speed.basis}
            if speed.figure is not None:
                told |= {
                    "figure_id": speed.figure.figure_id,
                    "throughput_source": speed.figure.source,
                    "throughput_observed_on": speed.figure.observed_on,
                }
    if paths.covered_seconds < paths.period_seconds:
        caveats.append("part_of_the_period")
    return told | {"caveats": ", ".join(caveats) or None}


def _on_instances(running: Running, instance: Instance) -> dict[str, Any]:
    return {
        "accelerator": instance.accelerator,
        "instance_cost": money(instance.period_cost),
        "instance_hourly_cost": money(instance.period_cost * _SECONDS_PER_HOUR / running.period_seconds),
        "planned_utilisation": money(running.planned_utilisation),
        "instances": running.instances,
        "accelerators": running.instances * instance.accelerators,
        "utilisation": money(running.utilisation),
    }


def _break_even(path: str, candidate: Candidate, price: Fraction | None, paths: Paths) -> dict[str, Any]:
    """Return from which use on the path costs no more than the model API, now and if things go otherwise.

    Args:
        path: The path.
        candidate: What it costs there.
        price: What a token costs on the path of model APIs, None where that is not known. Unit: USD/Token.
        paths: What is assumed.
    """
    running, offer, assumed = candidate.running, candidate.offer, paths.assumptions
    if path == MODEL_API:
        return {"break_even_reason": IS_API}
    if running is None or offer is None or not isinstance(offer.terms, Instance):
        return {"break_even_reason": NO_FIXED_COST}
    if price is None:
        return {"break_even_reason": NO_API_COST}
    told: dict[str, Any] = _against(running, price, "")
    told["break_even_reason"] = NEVER if told["break_even_tokens"] is None else None
    owned, decline = offer.terms.owned, assumed.api_price_decline
    if decline is not None:
        told |= {"api_price_decline": money(decline)} | _against(running, price * (1 - decline), "_in_a_year")
    if owned is not None:
        told["payback_months"] = owned.payback_months(running, price)
        if decline is not None:
            told |= _against(running, price * price_left(decline, owned.life_months), "_over_life")
        if assumed.life_months is not None:
            other = replace(running, instance_cost=owned.period_cost(assumed.life_months))
            told |= {"other_life_months": assumed.life_months, "other_life_cost": money(other.cost)}
            told |= _against(other, price, "_at_other_life")
    return told


def _against(running: Running, price: Fraction, when: str) -> dict[str, Any]:
    return {
        f"break_even_tokens{when}": running.break_even_tokens(price),
        f"break_even_utilisation{when}": _money(running.break_even_utilisation(price)),
    }


def _a_year_before(day: date) -> date:
    return day.replace(year=day.year - _OLD_YEARS)


def _money(amount: Fraction | None) -> Decimal | None:
    return None if amount is None else money(amount)


def _per(amount: Fraction, count: int | None) -> Decimal | None:
    return money(amount / count) if count else None
