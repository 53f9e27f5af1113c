"""Usage of a workload in a billing period: what it has bought by the token, and what it has told of accelerators."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

import pyarrow as pa

from tollbook.insight.path_offers import MODEL_API, ON_PREM, UNKNOWN

USAGE_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        *(
            (name, pa.string())
            for name in (
                *("workflow", "inference_path", "region", "data_class"),
                *("provider", "model", "accelerator_type"),
            )
        ),
        *(
            (name, pa.int64())
            for name in (
                *("calls", "unpriced_calls", "unpriced_tokens", "input_tokens", "cache_read_tokens"),
                *("cache_write_tokens", "output_tokens", "total_tokens", "accelerated_tokens"),
            )
        ),
        ("effective_cost", pa.decimal128(38, 12)),
        ("accelerator_seconds", pa.decimal128(38, 12)),
    ]
)
"""Usage of billing periods; what calls do not tell is `unknown`. `accelerated_tokens` are of calls that tell time."""

_COUNTS: Final = USAGE_SCHEMA.names[8:17]
_SERVED: Final = {"providers": "provider", "models": "model", "inference_paths": "inference_path"}


@dataclass(frozen=True)
class WorkloadUsage:
    """Usage of one workload in one billing period.

    Attributes:
        parts: Rows of `USAGE_SCHEMA`, each with the path that it counts as: `placed_path`.
        tasks: Tasks, None where calls tell none.
    """

    parts: Sequence[Mapping[str, Any]]
    tasks: int | None

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Calls and tokens of all parts."""
        return {name: sum(part[name] or 0 for part in self.parts) for name in _COUNTS}

    @cached_property
    def data_classes(self) -> frozenset[str]:
        """Classes of its data."""
        return frozenset(part["data_class"] for part in self.parts)

    @cached_property
    def models(self) -> Mapping[str, int]:
        """Models that it uses, and how many tokens each: the one with most first."""
        used: defaultdict[str, int] = defaultdict(int)
        for part in self.parts:
            used[part["model"]] += part["total_tokens"] or 0
        return dict(sorted(used.items(), key=lambda each: (-each[1], each[0])))

    @property
    def new_input_tokens(self) -> int:
        """Input tokens that no cache held."""
        return self.counts["input_tokens"] - self.counts["cache_read_tokens"]

    def on(self, path: str) -> list[Mapping[str, Any]]:
        """Return the parts on a path."""
        return [part for part in self.parts if part["placed_path"] == path]

    def accelerator_seconds(self, model: str, accelerator: str) -> Fraction | None:
        """Return the time of accelerators of a type that all tokens would need, by what calls of a model have told.

        Returns:
            Seconds of one accelerator; None where no call has told any.
        """
        told = [
            part
            for part in self.parts
            if part["model"] == model and part["accelerator_type"] == accelerator and part["accelerated_tokens"]
        ]
        tokens = sum(part["accelerated_tokens"] for part in told)
        seconds = sum((Fraction(part["accelerator_seconds"]) for part in told), Fraction(0))
        return seconds * self.counts["total_tokens"] / tokens if tokens and seconds else None


def cost_of(parts: Iterable[Mapping[str, Any]]) -> Fraction | None:
    """Return what parts cost, None where no call has a known cost. Unit: USD."""
    costs = [Fraction(part["effective_cost"]) for part in parts if part["effective_cost"] is not None]
    return sum(costs, Fraction(0)) if costs else None


def bought_by_token(
    parts: Iterable[Mapping[str, Any]], served: Sequence[Mapping[str, Collection[str]]]
) -> list[Mapping[str, Any]]:
    """Return the parts that a vendor bills by the token: neither on hardware of one's own nor on a fleet."""
    return [part for part in parts if _is_bought(part, served)]


def placed(row: Mapping[str, Any], served: Sequence[Mapping[str, Collection[str]]]) -> Mapping[str, Any]:
    """Return a row with the path that it counts as: its own; that of model APIs where it tells none and has a price.

    Args:
        row: Row of `USAGE_SCHEMA`.
        served: What fleets serve.
    """
    path = row["inference_path"]
    if path == UNKNOWN and row["effective_cost"] is not None and _is_bought(row, served):
        path = MODEL_API
    return {**row, "placed_path": path}


def _is_bought(part: Mapping[str, Any], served: Sequence[Mapping[str, Collection[str]]]) -> bool:
    if part["inference_path"] == ON_PREM or part["accelerator_seconds"] is not None:
        return False
    return part["accelerator_type"] == UNKNOWN and not any(
        all(part[column] in fleet[name] for name, column in _SERVED.items() if name in fleet) for fleet in served
    )
