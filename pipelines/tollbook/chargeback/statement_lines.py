"""Statement lines: sums of a billing period's charges, rounded to the currency's minor unit so that they sum to it."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from tollbook.chargeback.rounding import from_minor, pico_per_minor_unit, round_half_even, rounded_parts, to_pico

Row = dict[str, Any]

COSTS: Final = ("list_cost", "contracted_cost", "effective_cost", "billed_cost")
AMOUNTS: Final = {cost: cost.replace("_cost", "_amount") for cost in COSTS}
"""Column of the rounded amount by cost."""
UNKNOWNS: Final = {cost: f"unknown_{cost}s" for cost in COSTS}
"""Column that counts charges of unknown cost, by cost."""

TOLD_APART_BY: Final = (
    *("team", "billing_currency", "business_unit", "cost_center", "workflow", "provider", "model", "sku_price_id"),
    *("charge_category", "charge_class", "charge_kind", "source_kind", "source_id", "obligation"),
)
"""Columns of charges that tell statement lines of a billing period apart."""
IN_ORDER: Final = ", ".join(f"{name} nulls first" for name in TOLD_APART_BY)
"""SQL of the order of a billing period's lines, on which it depends who gets the cent that is left over."""
_ID_DIGITS: Final = 24
_JSON: Final = json.JSONEncoder(ensure_ascii=False)


def round_lines(lines: Sequence[Row], costs: Sequence[str] = COSTS) -> None:
    """Give lines their amounts in the currency's minor unit.

    For each cost and currency the whole is rounded half-even; the teams sum to it, and the lines of a team to the team.

    Args:
        lines: Rows of one billing period with `team`, `billing_currency` and the costs, which gain the amounts, shape
            (n_lines,). A cost of None has an amount of None.
        costs: Which costs.
    """
    for cost in costs:
        amount = AMOUNTS[cost]
        by_currency: defaultdict[str, defaultdict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for line in lines:
            line[amount] = None
            if line[cost] is not None:
                by_currency[line["billing_currency"]][line["team"]].append(line)
        for currency, by_team in by_currency.items():
            unit = pico_per_minor_unit(currency)
            exact = [[to_pico(line[cost]) for line in held] for held in by_team.values()]
            sums = [sum(parts) for parts in exact]
            totals = rounded_parts(sums, round_half_even(sum(sums), unit), unit)
            for held, parts, total in zip(by_team.values(), exact, totals, strict=True):
                for line, units in zip(held, rounded_parts(parts, total, unit), strict=True):
                    line[amount] = from_minor(units, currency)


def digest_of(*facts: Any) -> str:
    """Return an identifier that depends on facts alone."""
    return hashlib.sha256(_JSON.encode(facts).encode()).hexdigest()[:_ID_DIGITS]


def line_id_of(period: str, charge: Row) -> str:
    """Return the identifier of the statement line that a charge of a billing period, `YYYY-MM`, is in."""
    return digest_of(period, *(charge[name] for name in TOLD_APART_BY))
