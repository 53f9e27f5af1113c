"""From a statement line down to charge lines, and from these to what they follow from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from tollbook.chargeback.statement_lines import COSTS, TOLD_APART_BY, line_id_of
from tollbook.exports.lines import read_period
from tollbook.trace.calls import calls_nodes
from tollbook.trace.context import Tracing
from tollbook.trace.node import Node
from tollbook.trace.periods import adjustment_facts, close_nodes, entry_nodes_of_line
from tollbook.trace.published import Row
from tollbook.trace.references import contract_node, entry_node, rule_node

USAGE: Final = "usage"
_LINES_LISTED: Final = 50
_FACTS: Final = (
    *("team", "workflow", "cost_center", "business_unit", "provider", "model", "charge_kind", "charge_component"),
    *("charge_class", "charge_description", "source_kind", "source_id", "cost_basis", "calls", "total_tokens"),
    *("unpriced_calls", *COSTS, "pricing_currency", "pricing_currency_effective_cost", "exchange_rate"),
)
_ORIGIN_FACTS: Final = (
    *("charge_kind", "charge_component", "charge_class", "charge_description", "source_kind", "source_id"),
    *("provider", "model", "contract_id", "measured_quantity", "measured_unit", "obligation"),
    *("list_cost", "contracted_cost", "effective_cost", "pricing_currency", "pricing_currency_effective_cost"),
    *("exchange_rate",),
)


def statement_node(trace: Tracing, statement_line_id: str) -> Node | None:
    """Return a statement line and the charge lines in it; None where no published period has it."""
    apart = ", ".join(TOLD_APART_BY)
    groups = trace.book.rows(f"select distinct billing_period_start, {apart} from finance.fct_charges")
    for group in groups:
        period = f"{group['billing_period_start']:%Y-%m}"
        if line_id_of(period, group) == statement_line_id:
            return _statement(trace, statement_line_id, period, group)
    return None


def charge_node(trace: Tracing, charge_id: str, relation: str | None = None) -> Node | None:
    """Return a charge line and what it follows from; None where the book has none of the name."""
    rows = trace.book.rows(
        "select * from finance.fct_charges where charge_id = ? order by pricing_currency", [charge_id]
    )
    if not rows:
        return None
    row = rows[0]
    parts: list[Node] = []
    if row["corrects_charge_id"] is not None:
        corrected = charge_node(trace, row["corrects_charge_id"], "corrects")
        parts += [] if corrected is None else [corrected]
    if row["charge_kind"] == USAGE:
        parts += calls_nodes(trace, row)
        if row["contract_id"] is not None:
            parts.append(contract_node(trace, row["contract_id"], "agreed by"))
    else:
        parts += _allocated(trace, row)
    parts += _invoice_nodes(trace, row)
    parts += close_nodes(trace, row["billing_period_start"])
    parts += entry_nodes_of_line(trace, charge_id)
    facts = _facts(row, _FACTS)
    return Node("charge line", charge_id, facts, tuple(parts), relation)


def origin_node(trace: Tracing, charge_id: str, relation: str | None = None) -> Node | None:
    """Return a charge before it was allocated, and what it follows from; None where there is none of the name.

    At the top of a trace it leads to its lines too.
    """
    rows = trace.book.rows("select * from finance.fct_charge_origins where charge_id = ?", [charge_id])
    if not rows:
        return None
    row = rows[0]
    parts: list[Node] = []
    if row["corrects_charge_id"] is not None:
        corrected = origin_node(trace, row["corrects_charge_id"], "corrects")
        parts += [] if corrected is None else [corrected]
    if row["reference_entry"] is not None:
        parts.append(entry_node(trace, row["source_kind"], row["reference_entry"], "follows from"))
    if row["contract_id"] is not None:
        parts.append(contract_node(trace, row["contract_id"], "follows from", row["charge_component"]))
    if row["source_kind"] == "adjustment":
        entry = trace.adjustments.entries[int(row["source_id"]) - 1]
        parts.append(adjustment_facts(entry, "follows from"))
    facts = _facts(row, _ORIGIN_FACTS)
    if relation is None:
        lines = trace.book.rows(
            "select * from finance.fct_charges where origin_charge_id = ? order by team, workflow, charge_id",
            [charge_id],
        )
        costs = [line["effective_cost"] for line in lines if line["effective_cost"] is not None]
        facts |= {"lines": len(lines), "lines_sum_to_it": sum(costs) == (row["effective_cost"] or 0)}
        parts += _brief(lines, "allocated to")
        parts += _invoice_nodes(trace, row)
        parts += close_nodes(trace, row["billing_period_start"])
    return Node("origin charge", charge_id, facts, tuple(parts), relation)


def adjustment_node(trace: Tracing, number: int) -> Node | None:
    """Return an entry of the log of disputes, the line that it is about, and the charges that it made."""
    if not 1 <= number <= trace.adjustments.number:
        return None
    entry = trace.adjustments.entries[number - 1]
    parts = [] if (line := charge_node(trace, entry.charge_id, "about")) is None else [line]
    made = trace.book.rows(
        "select * from finance.fct_charges where source_kind = 'adjustment' and source_id = ? order by effective_cost",
        [str(number)],
    )
    return adjustment_facts(entry, None, (*parts, *_brief(made, "made")))


def line_node(charge: Row, relation: str) -> Node:
    """Return the statement line that a charge line is in."""
    period = f"{charge['billing_period_start']:%Y-%m}"
    facts = {"period": period, "team": charge["team"], "workflow": charge["workflow"]}
    return Node("statement line", line_id_of(period, charge), facts, relation=relation)


def _statement(trace: Tracing, line_id: str, period: str, group: Row) -> Node:
    condition = " and ".join(f"{name} is not distinct from ?" for name in ("billing_period_start", *TOLD_APART_BY))
    found = trace.book.rows(
        f"select charge_id, effective_cost from finance.fct_charges where {condition} order by charge_id",
        [group[name] for name in ("billing_period_start", *TOLD_APART_BY)],
    )
    told = next(
        (line for line in read_period(trace.settings, period).lines if line["statement_line_id"] == line_id),
        dict[str, Any](),
    )
    names = ("team", "workflow", "provider", "model", "charge_category", "charge_class", "charge_kind", "calls")
    facts = {"period": period} | _facts(told, (*names, *COSTS, "effective_amount", "billed_amount", "billing_currency"))
    costs = [row["effective_cost"] for row in found if row["effective_cost"] is not None]
    facts |= {"charge_lines": len(found), "charge_lines_sum_to_it": sum(costs) == (told.get("effective_cost") or 0)}
    ids = sorted({row["charge_id"] for row in found})
    parts = [node for each in ids[:_LINES_LISTED] if (node := charge_node(trace, each, "sums")) is not None]
    return Node("statement line", line_id, facts, tuple(parts))


def _allocated(trace: Tracing, row: Row) -> list[Node]:
    """Return how an allocated line became whose it is, and the charge that it is a part of."""
    parts: list[Node] = []
    if row["allocated_method_id"] is not None:
        parts.append(rule_node(trace, row))
    origin = None
    if row["origin_charge_id"] is not None:
        origin = origin_node(trace, row["origin_charge_id"], "part of")
    return parts if origin is None else [*parts, origin]


def _invoice_nodes(trace: Tracing, row: Row) -> list[Node]:
    """Return the lines of invoices that settle what a charge is of, in the billing period that it is for."""
    start: date = row["corrects_period_start"] or row["billing_period_start"]
    lines = trace.book.rows(
        "select * from finance.fct_invoice_lines where obligation = ? and billing_period_start = ? "
        "order by issued_on, vendor, invoice_id, line_id",
        [row["obligation"], start],
    )
    names = ("vendor", "invoice_id", "issued_on", "credit_note_for", "charge_category", "charge_description")
    amounts = ("invoice_amount", "invoice_currency", "billed_cost", "exchange_rate")
    return [
        Node(
            "invoice line",
            line["line_id"],
            _facts(line, (*names, *amounts)),
            (entry_node(trace, "invoice", line["reference_entry"], "from"),) if line["reference_entry"] else (),
            "settled by",
        )
        for line in lines[:_LINES_LISTED]
    ]


def _brief(lines: Iterable[Row], relation: str) -> list[Node]:
    names = ("billing_period_start", "team", "workflow", "allocated_ratio", "effective_cost", "charge_class")
    return [Node("charge line", line["charge_id"], _facts(line, names), relation=relation) for line in lines]


def _facts(row: Row, names: Iterable[str]) -> dict[str, Any]:
    """Return what a row tells, its billing period first, zeros of calls that it has none of left out."""
    period = row.get("billing_period_start")
    facts: dict[str, Any] = {} if not isinstance(period, date) else {"period": f"{period:%Y-%m}"}
    for name in names:
        value = row.get(name)
        if name == "billing_period_start" or (name in {"calls", "unpriced_calls"} and not value):
            continue
        facts[name] = value
    return facts
