"""Usage of workloads and what is known of inference elsewhere, in small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa

from tollbook.insight.path_entries import figure_of, offer_of
from tollbook.insight.path_offers import Figure, PathOffer, Paths, Workload
from tollbook.insight.path_usage import USAGE_SCHEMA
from tollbook.insight.unit_cost_paths import unit_cost_paths

JUNE = date(2026, 6, 1)
MONTH = Fraction(30 * 24 * 3600)
"""Seconds of June."""


def part(workflow: str = "answers", **told: Any) -> dict[str, Any]:
    """Return usage: 600 input and 400 output tokens for 2 USD, bought from a model API."""
    cost = told.pop("cost", "2")
    row: dict[str, Any] = {
        "billing_period_start": JUNE,
        "workflow": workflow,
        "inference_path": "model_api",
        "region": "unknown",
        "data_class": "unknown",
        "provider": "openai",
        "model": "gpt-5",
        "accelerator_type": "unknown",
        "calls": 1,
        "input_tokens": 600,
        "output_tokens": 400,
        "effective_cost": None if cost is None else Decimal(cost),
    } | told
    row.setdefault("total_tokens", row["input_tokens"] + row["output_tokens"])
    row.setdefault("unpriced_calls", int(cost is None))
    row.setdefault("unpriced_tokens", row["total_tokens"] if cost is None else 0)
    return row


def offer(offer_id: str, path: str, **told: Any) -> PathOffer:
    """Return an offer in USD, of one accelerator where tokens are not priced; `fleet` is cost and devices of it."""
    fleet = told.pop("fleet_cost", None)
    usd = told.pop("usd", Fraction(1))
    body = {"offer_id": offer_id, "path": path, "vendor": "v", "source": "list", "observed_on": "2026-05-01", **told}
    if "metered" not in body:
        body = {"accelerator": "A100", "accelerators": 1} | body
    return offer_of(body, usd, MONTH, fleet)


def figure(figure_id: str, rate: str, **told: Any) -> Figure:
    """Return a figure of an open model on one accelerator, measured."""
    body = {"figure_id": figure_id, "model": "open-m", "accelerator": "A100", "accelerators": 1, "basis": "measured"}
    told = {"output_tokens_per_second": rate, "source": "test", "observed_on": "2026-05-01", **told}
    return figure_of(body | told)


def known(*offers: PathOffer, **told: Any) -> Paths:
    """Return what is known of a whole June, with one figure of 1 output token a second and answers on that model."""
    usual = Paths(
        MONTH,
        MONTH,
        offers=offers,
        figures=[figure("slow", "1")],
        workloads={"answers": Workload("answers", model="open-m", utilisation=Fraction(1))},
    )
    return replace(usual, **told)


def rows(paths: Paths, *parts: Mapping[str, Any], tasks: int = 4) -> dict[str, dict[str, Any]]:
    """Return the rows of one workload by path."""
    table = pa.Table.from_pylist(list(parts) or [part()], schema=USAGE_SCHEMA)
    names = set(table["workflow"].to_pylist())
    found = unit_cost_paths(table, {(JUNE, name): tasks for name in names}, {JUNE: paths}).to_pylist()
    assert len({row["workload"] for row in found}) == 1
    return {row["inference_path"]: row for row in found}
