"""The calls in a line of usage: counted anew from the lake, held against the line, led back to files and offsets."""

from __future__ import annotations

from typing import Any, Final

from tollbook.trace.context import Tracing
from tollbook.trace.node import Node
from tollbook.trace.published import Row
from tollbook.trace.references import owner_rule_node, price_node
from tollbook.trace.tellings import STANDING, Tellings, tellings_of

SUMMED: Final = ("calls", "unpriced_calls", "total_tokens", "list_cost", "effective_cost")
_LIKE_THE_LINE: Final = {
    "owner_team": ("team", "unallocated"),
    "workflow": ("workflow", "unknown"),
    "provider": ("provider", "unknown"),
    "model": ("model", "unknown"),
}
"""Column of a telling to that of its line, and what the line says where a telling says nothing. Narrows the search."""


def calls_nodes(trace: Tracing, line: Row) -> list[Node]:
    """Return what a line of usage is made of: its calls, their price and their owner.

    Args:
        trace: The trace.
        line: Row of `finance.fct_charges`.
    """
    lineage = trace.book.rows(
        "select * from audit.fct_lineage where charge_id = ? and lineage_kind = 'calls' "
        "order by topic, kafka_partition, event_date",
        [line["charge_id"]],
    )
    name = line["corrects_charge_id"] or line["charge_id"]
    owners: dict[str, int] = {}
    for row in lineage:
        owners[row["owner_rule"]] = owners.get(row["owner_rule"], 0) + row["calls"]
    days = trace.book.rows(
        "select distinct event_date from audit.fct_lineage "
        "where lineage_kind = 'calls' and coalesce(corrects_charge_id, charge_id) = ?",
        [name],
    )
    condition = " and ".join(f"coalesce({told}, '{other}') = ?" for told, (_, other) in _LIKE_THE_LINE.items())
    values = [line[column] for column, _ in _LIKE_THE_LINE.values()]
    with tellings_of(trace.settings, trace.book, condition, values, [row["event_date"] for row in days]) as tellings:
        found = _recounted(trace, name, tellings)
        listed = _listed(trace, line, name, tellings)
    nodes = [_summed(line, lineage, found, listed)]
    if line["sku_price_id"] is not None:
        nodes.append(price_node(trace, line["sku_price_id"], catalogues={row["catalogue_version"] for row in lineage}))
    return nodes + [owner_rule_node(trace, rule, calls) for rule, calls in sorted(owners.items())]


def _summed(line: Row, lineage: list[Row], found: Node, listed: list[Row]) -> Node:
    sums: dict[str, Any] = {name: sum((row[name] or 0) for row in lineage) for name in SUMMED}
    ties = all(sums[name] == (line[name] or 0) for name in SUMMED)
    ranges: dict[tuple[str, int], list[Row]] = {}
    for row in lineage:
        ranges.setdefault((row["topic"], row["kafka_partition"]), []).append(row)
    places = [_range(topic, partition, rows) for (topic, partition), rows in ranges.items()]
    events = [event_brief(row) for row in listed]
    return Node("calls", "", sums | {"sum_to_the_line": ties}, (*places, found, *events), "made of")


def _range(topic: str, partition: int, rows: list[Row]) -> Node:
    facts = {
        "first_offset": str(min(row["first_offset"] for row in rows)),
        "last_offset": str(max(row["last_offset"] for row in rows)),
        "calls": sum(row["calls"] for row in rows),
        "event_dates": len({row["event_date"] for row in rows}),
        "commits": f"{min(row['first_commit'] for row in rows)}-{max(row['last_commit'] for row in rows)}",
    }
    return Node("offsets", f"{topic}/{partition}", facts, relation="read from")


def _recounted(trace: Tracing, name: str, tellings: Tellings) -> Node:
    """Return what the lake has now of a line and its corrections, held against what they sum to."""
    (charged,) = trace.book.rows(
        """
        select
            sum(calls)::bigint as calls,
            sum(unpriced_calls)::bigint as unpriced_calls,
            coalesce(sum(total_tokens), 0)::bigint as total_tokens,
            coalesce(sum(list_cost), 0)::decimal(38, 12) as list_cost,
            coalesce(sum(effective_cost), 0)::decimal(38, 12) as effective_cost,
            count(*) as lines
        from finance.fct_charges
        where coalesce(corrects_charge_id, charge_id) = ?
        """,
        [name],
    )
    lines = charged.pop("lines")
    counted = tellings.sums("charge_id = ?", [name])
    paths = [trace.below_lake(path) for path in tellings.files("charge_id = ?", [name])]
    facts = counted | {
        "held_against": "the line" if lines == 1 else f"the line and its {lines - 1} corrections together",
        "equal": counted == charged,
        "files": len(paths),
        "first_files": paths[: max(trace.events, 1)],
    }
    return Node("lake", f"commit {trace.book.built_commit}", facts, relation="counted again in")


def _listed(trace: Tracing, line: Row, name: str, tellings: Tellings) -> list[Row]:
    """Return the first calls of a line; of a correction those that came after a close, where there are such."""
    condition = f"charge_id = ? and telling_state = '{STANDING}'"
    rows: list[Row] = []
    if line["corrects_charge_id"] is not None:
        rows = tellings.rows(f"{condition} and closes_before > 0", [name], max(trace.events, 1))
    rows = rows or tellings.rows(condition, [name], max(trace.events, 1))
    return rows if trace.events else rows[:1]


def event_brief(row: Row) -> Node:
    """Return a telling in few words."""
    facts = {
        "occurred_at": row["occurred_at"],
        "place": place_of(row),
        "commit": row["commit_number"],
        "total_tokens": row["total_tokens"],
        "list_cost": row["list_cost"],
    }
    return Node("event", f"{row['source']}/{row['event_id']}", facts, relation="made of")


def place_of(row: Row) -> str:
    """Return where in Kafka a telling stood: `topic/partition/offset/item`."""
    return "/".join(str(row[name]) for name in ("topic", "kafka_partition", "kafka_offset", "record_item"))
