"""Chargeback as text: what the terminal shows at the end of the demo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from tollbook.report import wording
from tollbook.report.facts import Charge, Cost, Facts

_GAP = "  "


def months(facts: Facts) -> str:
    """Return bill, price, use and their change from month to month."""
    heads = ["month", "bill", "USD per 1M tokens", "tokens per task", "USD per task", "calls", "tokens"]
    lines = [
        [
            _month(month.start),
            _cost(month.list_cost),
            wording.price(month.price_of_million).removeprefix("$"),
            "-" if month.tokens_per_task is None else f"{month.tokens_per_task:,}",
            wording.price(month.cost_of_task).removeprefix("$"),
            f"{month.calls:,}",
            f"{month.total_tokens:,}",
        ]
        for month in facts.months
    ]
    return _laid_out("By month, list cost in USD", heads, lines, names=1)


def chargeback_by_team(facts: Facts) -> str:
    """Return list cost by team and cost centre, a column for each month."""
    return _table("Chargeback by team, list cost in USD", ("team", "cost centre"), facts.by_team, facts)


def chargeback_by_workflow(facts: Facts) -> str:
    """Return list cost by workflow and the team that owned it, a column for each month."""
    turned = [
        Charge(
            charge.names[::-1], charge.costs, charge.list_cost, charge.calls, charge.unpriced_calls, charge.total_tokens
        )
        for charge in facts.by_workflow
    ]
    return _table("Chargeback by workflow, list cost in USD", ("workflow", "team"), turned, facts)


def _table(title: str, names: tuple[str, str], charges: Sequence[Charge], facts: Facts) -> str:
    heads = [*names, *(_month(month.start) for month in facts.months), "total", "calls", "tokens", "unpriced calls"]
    lines = [_cells(charge) for charge in charges]
    return _laid_out(title, heads, lines, names=len(names), total=_cells(facts.whole, first="all"))


def _laid_out(
    title: str, heads: Sequence[str], lines: Iterable[Sequence[str]], *, names: int, total: Sequence[str] | None = None
) -> str:
    """Return lines in columns under a title: names to the left, numbers to the right."""
    lines = [heads, *lines, *([] if total is None else [total])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    laid_out = [
        _GAP.join(
            text.ljust(width) if column < names else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    rule = "─" * max(map(len, laid_out))
    ending = [] if total is None else [rule, laid_out.pop()]
    return "\n".join([title, rule, laid_out[0], rule, *laid_out[1:], *ending])


def _cells(charge: Charge, *, first: str | None = None) -> list[str]:
    return [
        *(charge.names if first is None else (first, "")),
        *(_cost(cost) for cost in charge.costs),
        _cost(charge.list_cost),
        f"{charge.calls:,}",
        f"{charge.total_tokens:,}",
        f"{charge.unpriced_calls:,}" if charge.unpriced_calls else "-",
    ]


def _cost(cost: Cost) -> str:
    return "-" if cost is None else wording.usd(cost).replace("$", "")


def _month(start: date) -> str:
    return f"{start:%Y-%m}"
