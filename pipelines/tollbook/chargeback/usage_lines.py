"""Usage as charges see it: lines of billing periods, in which drivers of allocation are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa

UNALLOCATED: Final = "unallocated"
USAGE_LINES_SCHEMA: Final = pa.schema(
    [
        ("billing_period_start", pa.date32()),
        ("team", pa.string()),
        ("cost_center", pa.string()),
        ("business_unit", pa.string()),
        ("workflow", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("inference_path", pa.string()),
        ("billing_account_id", pa.string()),
        ("subscription_id", pa.string()),
        ("calls", pa.int64()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("total_tokens", pa.int64()),
        ("unpriced_tokens", pa.int64()),
        ("list_cost", pa.decimal128(38, 12)),
        ("contracted_cost", pa.decimal128(38, 12)),
        ("accelerator_seconds", pa.decimal128(38, 12)),
    ]
)
"""What is read of the usage of billing periods; any grain."""
MEASURES: Final = (
    *("calls", "input_tokens", "output_tokens", "total_tokens", "unpriced_tokens"),
    *("list_cost", "contracted_cost", "accelerator_seconds"),
)
_RECEIVER: Final = ("team", "cost_center", "business_unit", "workflow")
_LISTS: Final = {
    "providers": "provider",
    "models": "model",
    "workflows": "workflow",
    "inference_paths": "inference_path",
    "receivers": "team",
}
_EXACT: Final = Context(prec=76)


class Receiver(NamedTuple):
    """Who bears a part of a charge."""

    team: str
    cost_center: str
    business_unit: str
    workflow: str


NOBODY: Final = Receiver(UNALLOCATED, UNALLOCATED, UNALLOCATED, UNALLOCATED)


@dataclass(frozen=True, slots=True)
class Where:
    """Usage that is looked at: all of which everything that is named is so.

    Attributes:
        providers: Providers, as events name them.
        models: Models, as events name them.
        workflows: Workflows.
        inference_paths: Paths.
        receivers: Teams.
        subscription_id: Subscription that it names.
        billing_account_id: Account that is invoiced.
        owned: Whether somebody owns it; None for both.
    """

    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    inference_paths: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    subscription_id: str | None = None
    billing_account_id: str | None = None
    owned: bool | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any], **more: Any) -> Where:
        """Return what lists of a reference entry name, such as `providers`, and more."""
        lists: dict[str, Any] = {name: tuple(names) for name, names in told.items()}
        return cls(**lists, **more)

    def condition(self) -> tuple[str, list[Any]]:
        """Return it as a condition of SQL, and its parameters."""
        terms, parameters = ["true"], list[Any]()
        for name, column in _LISTS.items():
            if getattr(self, name):
                terms.append(f"list_contains(?::varchar[], {column})")
                parameters.append(list(getattr(self, name)))
        for column in ("subscription_id", "billing_account_id"):
            if getattr(self, column) is not None:
                terms.append(f"{column} = ?")
                parameters.append(getattr(self, column))
        if self.owned is not None:
            terms.append(f"team {'<>' if self.owned else '='} '{UNALLOCATED}'")
        return " and ".join(terms), parameters


# Sums of one measure, by billing period: whole units, or a millionth of a millionth where it is a decimal.
ByReceiver = Mapping[date, Mapping[Receiver, int]]


class UsageLines:
    """Usage of billing periods, ready to be measured; every sum is made once.

    Args:
        table: `USAGE_LINES_SCHEMA`, shape (n_lines,).
    """

    def __init__(self, table: pa.Table) -> None:
        self._connection = duckdb.connect()
        self._connection.register("usage_lines", table.select(USAGE_LINES_SCHEMA.names).cast(USAGE_LINES_SCHEMA))
        self._made: dict[tuple[Any, ...], Any] = {}
        self._received: dict[tuple[str, Where], ByReceiver] = {}

    def by_receiver(self, measure: str, where: Where) -> ByReceiver:
        """Return the sums of a measure by billing period and who caused it, those above zero alone."""
        key = (measure, where)
        if key not in self._received:
            self._received[key] = {
                period: {Receiver(*names): amount for names, amount in held.items() if amount > 0}
                for period, held in self._sums(measure, _RECEIVER, where).items()
            }
        return self._received[key]

    def by_provider(self, measure: str, where: Where) -> Mapping[date, Mapping[str, int]]:
        """Return the sums of a measure by billing period and provider."""
        return {
            period: {names[0]: amount for names, amount in held.items()}
            for period, held in self._sums(measure, ("provider",), where).items()
        }

    def providers(self) -> frozenset[str]:
        """Return every provider that events name."""
        return frozenset(name for held in self.by_provider("calls", Where()).values() for name in held)

    def usual_place(self, team: str, period: date) -> tuple[str, str]:
        """Return cost centre and business unit under which most calls of a team stand in a billing period."""
        calls: dict[tuple[str, str], int] = {}
        for receiver, count in self.by_receiver("calls", Where(receivers=(team,))).get(period, {}).items():
            place = (receiver.cost_center, receiver.business_unit)
            calls[place] = calls.get(place, 0) + count
        return max(sorted(calls), key=lambda place: calls[place], default=(UNALLOCATED, UNALLOCATED))

    def _sums(self, measure: str, columns: Sequence[str], where: Where) -> dict[date, dict[tuple[str, ...], int]]:
        key = (measure, columns, where)
        if key not in self._made:
            condition, parameters = where.condition()
            names = ", ".join(columns)
            rows = self._connection.execute(
                f"""
                select billing_period_start, {names}, sum({measure})
                from usage_lines
                where {condition}
                group by all
                order by all
                """,
                parameters,
            ).fetchall()
            made: dict[date, dict[tuple[str, ...], int]] = {}
            for period, *group, amount in rows:
                made.setdefault(period, {})[tuple(group)] = _whole(amount)
            self._made[key] = made
        found: dict[date, dict[tuple[str, ...], int]] = self._made[key]
        return found


def _whole(amount: int | Decimal | None) -> int:
    if isinstance(amount, Decimal):
        return int(_EXACT.scaleb(amount, 12))
    return int(amount or 0)
