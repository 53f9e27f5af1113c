"""What a rerate changes, added up by model."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.rating.money import usd

SUMMED: Final = pa.schema(
    [
        ("events", pa.int64()),
        ("changed_events", pa.int64()),
        ("tokens", pa.int64()),
        ("list_cost_before", pa.decimal128(38, 12)),
        ("list_cost_after", pa.decimal128(38, 12)),
        ("contracted_cost_before", pa.decimal128(38, 12)),
        ("contracted_cost_after", pa.decimal128(38, 12)),
        ("unpriced_before", pa.int64()),
        ("unpriced_after", pa.int64()),
    ]
)
"""Measures of rows, which are added up; costs that are not known are null and add nothing."""

_EXACT: Final = Context(prec=60)


@dataclass(slots=True)
class Difference:
    """Before and after, for one group of stored tellings. Costs are sums over those that have one.

    Attributes:
        events: Tellings looked at, repeats included, voids left out.
        changed_events: Of these, tellings whose rating differs.
        tokens: Input and output tokens of all. Unit: Tokens.
        list_cost_before: Unit: pico-USD.
        list_cost_after: Unit: pico-USD.
        contracted_cost_before: Unit: pico-USD.
        contracted_cost_after: Unit: pico-USD.
        unpriced_before: Tellings without a cost.
        unpriced_after: Tellings without a cost.
    """

    events: int = 0
    changed_events: int = 0
    tokens: int = 0
    list_cost_before: int = 0
    list_cost_after: int = 0
    contracted_cost_before: int = 0
    contracted_cost_after: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0

    def add(self, sums: dict[str, Any]) -> None:
        """Add the sums of more rows."""
        for name in SUMMED.names:
            value = sums[name]
            if isinstance(value, Decimal):
                value = int(value.scaleb(12, _EXACT))
            setattr(self, name, getattr(self, name) + (value or 0))

    def include(self, other: Difference) -> None:
        """Add another difference."""
        for name in SUMMED.names:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def list_cost_difference(self) -> int:
        """List cost after less before. Unit: pico-USD."""
        return self.list_cost_after - self.list_cost_before

    @property
    def contracted_cost_difference(self) -> int:
        """Contracted cost after less before. Unit: pico-USD."""
        return self.contracted_cost_after - self.contracted_cost_before

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON, costs as decimal texts in USD."""
        return {
            "events": self.events,
            "changed_events": self.changed_events,
            "tokens": self.tokens,
            "list_cost_before": f"{amount(self.list_cost_before):f}",
            "list_cost_after": f"{amount(self.list_cost_after):f}",
            "list_cost_difference": f"{amount(self.list_cost_difference):f}",
            "contracted_cost_before": f"{amount(self.contracted_cost_before):f}",
            "contracted_cost_after": f"{amount(self.contracted_cost_after):f}",
            "contracted_cost_difference": f"{amount(self.contracted_cost_difference):f}",
            "unpriced_before": self.unpriced_before,
            "unpriced_after": self.unpriced_after,
        }


@dataclass(slots=True)
class Differences:
    """Differences by the values of some columns.

    Attributes:
        keys: Names of the columns.
        groups: Their values to the difference.
    """

    keys: tuple[str, ...]
    groups: dict[tuple[Hashable, ...], Difference] = field(default_factory=dict)

    def add(self, rows: pa.Table) -> None:
        """Add rows that hold `keys` and `SUMMED`, shape (n_events,)."""
        # The sums of one batch are far below what these types hold; across batches Python's integers add.
        grouped = rows.group_by(list(self.keys)).aggregate([(name, "sum") for name in SUMMED.names])
        for row in grouped.to_pylist():
            key = tuple(row[name] for name in self.keys)
            self.groups.setdefault(key, Difference()).add({name: row[f"{name}_sum"] for name in SUMMED.names})

    def total(self) -> Difference:
        """Return the sum of all groups."""
        whole = Difference()
        for each in self.groups.values():
            whole.include(each)
        return whole


def amount(pico_usd: int) -> Decimal:
    """Return pico-USD as an exact decimal in USD."""
    return usd(Fraction(pico_usd))
