"""What people did to lines: closes of their period, disputes and adjustments."""

from __future__ import annotations

from datetime import date
from typing import Any

from tollbook.closing.adjustments import AdjustmentEntry
from tollbook.closing.closes import period_name
from tollbook.trace.context import Tracing
from tollbook.trace.node import Node


def close_nodes(trace: Tracing, period_start: date) -> tuple[Node, ...]:
    """Return the hard close of a billing period; nothing while it is open."""
    close = trace.closes.of(period_name(period_start)).close
    if close is None:
        return ()
    facts = {
        "period": close.period,
        "approved_by": close.author,
        "proposed_by": close.proposed_by,
        "closed_at": close.recorded_at,
        "reason": close.reason,
        "lake_commit": close.lake_commit,
        "rating_sequence": close.rating_sequence,
        "catalogue_version": close.catalogue_version,
        "reference_version": close.reference_version,
        "digest": close.digest,
    }
    return (Node("close", str(close.number), facts, relation="frozen by"),)


def entry_nodes_of_line(trace: Tracing, charge_id: str) -> tuple[Node, ...]:
    """Return what was disputed or adjusted of a line."""
    return tuple(
        adjustment_facts(entry, "disputed by" if entry.step == "opened" else "decided by")
        for entry in trace.adjustments.entries
        if entry.charge_id == charge_id
    )


def adjustment_facts(entry: AdjustmentEntry, relation: str | None, parts: tuple[Node, ...] = ()) -> Node:
    """Return an entry of the log of disputes and adjustments."""
    facts: dict[str, Any] = {
        "step": entry.step,
        "of_line": entry.charge_id,
        "of_period": entry.period,
        "team": entry.team,
        "author": entry.author,
        "reason": entry.reason,
        "recorded_at": entry.recorded_at,
        "dispute": None if entry.dispute is None else str(entry.dispute),
        "amount": entry.amount,
        "currency": entry.currency,
        "from_team": None if entry.from_place is None else entry.from_place.team,
        "to_team": None if entry.to_place is None else entry.to_place.team,
        "posted_period": entry.posted_period,
    }
    return Node("dispute" if entry.step != "adjusted" else "adjustment", str(entry.number), facts, parts, relation)
