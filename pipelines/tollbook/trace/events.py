"""From an event, a place in Kafka or a task to the lines that its calls are in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from tollbook.deadletters.filters import ALL, RejectFilter
from tollbook.deadletters.find import find_rejects
from tollbook.errors import TollbookError
from tollbook.lake.snapshot import committed_at, load_snapshot
from tollbook.trace.calls import SUMMED, event_brief, place_of
from tollbook.trace.charges import line_node
from tollbook.trace.context import Tracing
from tollbook.trace.node import Node
from tollbook.trace.published import Row
from tollbook.trace.references import owner_rule_node, price_node
from tollbook.trace.tellings import STANDING, tellings_of

_TOLD: Final = (
    *("reporter", "revision", "telling_action", "action_reason", "occurred_at", "ingested_at", "provider", "model"),
    *("service_tier", "team", "workflow", "task_id", "agent", "input_tokens", "output_tokens", "list_cost"),
    *("contracted_cost", "cost_basis", "unpriced_reason", "contract_id", "catalogue_version"),
)
_WORDS: Final = {
    STANDING: "standing: this telling is the call",
    "duplicate": "duplicate: the same was told before it",
    "conflict": "conflict: another content was told before it under the same revision, and stands",
    "superseded": "superseded: a later revision took its place",
    "voided": "voided: it takes the call back",
}


def event_node(trace: Tracing, source: str, event_id: str) -> Node | None:
    """Return every telling of a call and the lines that it is in; None where the lake has no such event."""
    with tellings_of(trace.settings, trace.book, "source = ? and event_id = ?", [source, event_id]) as tellings:
        rows = tellings.rows("source = ? and event_id = ?", [source, event_id])
    if not rows:
        return None
    standing = sum(row["telling_state"] == STANDING for row in rows)
    parts = tuple(_telling(trace, row) for row in rows)
    return Node("event", f"{source}/{event_id}", {"tellings": len(rows), "standing": standing}, parts)


def place_node(trace: Tracing, topic: str, partition: int, offset: int, item: int | None) -> Node | None:
    """Return what an offset of Kafka was: tellings, a reject, or no call; None where it was never read."""
    place = "/".join(str(each) for each in (topic, partition, offset, item) if each is not None)
    at = 'topic = ? and "partition" = ? and "offset" = ?'
    values: list[Any] = [topic, partition, offset]
    if item is not None:
        at, values = f"{at} and coalesce(record_item, 0) = ?", [*values, item]
    with tellings_of(trace.settings, trace.book, at, values) as tellings:
        here = at.replace('"partition"', "kafka_partition").replace('"offset"', "kafka_offset")
        rows = tellings.rows(here, values)
    parts = [*(_telling(trace, row, named=True) for row in rows), *_rejects(trace, topic, partition, offset)]
    if parts:
        return Node("record", place, {"tellings": len(rows), "rejects": len(parts) - len(rows)}, tuple(parts))
    snapshot = load_snapshot(trace.settings.lake)
    totals = {} if snapshot is None else snapshot.manifest.totals.get(topic, {})
    if partition not in totals or not totals[partition].first_offset <= offset < totals[partition].next_offset:
        return None
    said = (
        "read, and in no published call: it told of none (a control record, a tombstone, or left out on purpose), or "
        f"it came after commit {trace.book.built_commit}; `audit.fct_kafka_offsets` counts both"
    )
    return Node("record", place, {"said": said})


def task_node(trace: Tracing, task_id: str) -> Node | None:
    """Return a task, its calls and the lines that they are in; None where no task has the name."""
    rows = trace.book.rows("select * from engineering.fct_tasks where task_id = ? order by workflow", [task_id])
    if not rows:
        return None
    with tellings_of(trace.settings, trace.book, "task_id = ?", [task_id]) as tellings:
        condition = f"task_id = ? and telling_state = '{STANDING}'"
        counted = tellings.sums("task_id = ?", [task_id])
        listed = tellings.rows(condition, [task_id], trace.events)
        ids = tellings.lines(condition, [task_id])
    told = {name: sum((row[name] or 0) for row in rows) for name in SUMMED}
    facts = {
        "workflow": [row["workflow"] for row in rows],
        "started_at": min(row["started_at"] for row in rows),
        "ended_at": max(row["ended_at"] for row in rows),
        **told,
        "calls_sum_to_it": told == counted,
    }
    parts = [event_brief(row) for row in listed] + _line_nodes(trace, ids)
    return Node("task", task_id, facts, tuple(parts))


def _telling(trace: Tracing, row: Row, *, named: bool = False) -> Node:
    """Return one telling: what became of it, and where its call is charged."""
    facts: dict[str, Any] = {"event": f"{row['source']}/{row['event_id']}"} if named else {}
    facts["state"] = _WORDS[row["telling_state"]]
    if row["telling_state"] in {"duplicate", "conflict"}:
        accepted = ("accepted_topic", "accepted_kafka_partition", "accepted_kafka_offset")
        facts["first_told_at"] = "/".join(str(row[name]) for name in accepted)
    facts |= {name: row[name] for name in _TOLD}
    if row["rating_sequence"]:
        facts |= {"rerate": str(row["rating_sequence"]), "metered_list_cost": row["metered_list_cost"]}
    parts: list[Node] = [_commit(trace, row)]
    if row["telling_state"] == STANDING:
        if row["sku_price_id"] is not None:
            parts.append(price_node(trace, row["sku_price_id"], catalogues=[row["catalogue_version"]]))
        parts.append(owner_rule_node(trace, row["owner_rule"] or "none"))
        parts += _line_nodes(trace, [row["charge_id"]])
    return Node("telling", place_of(row), facts, tuple(parts), "told by")


def _commit(trace: Tracing, row: Row) -> Node:
    facts: dict[str, Any] = {}
    with suppress(TollbookError):  # the manifest may have expired
        facts["committed_at"] = committed_at(trace.settings.lake, row["commit_number"])
    facts["file"] = trace.below_lake(row["file_path"])
    return Node("commit", str(row["commit_number"]), facts, relation="came with")


def _line_nodes(trace: Tracing, charge_ids: Sequence[str]) -> list[Node]:
    """Return the lines of usage of some names, their corrections, and how many shared charges they help to allocate."""
    rows = trace.book.rows(
        "select * from finance.fct_charges where list_contains(?, coalesce(corrects_charge_id, charge_id)) "
        "order by billing_period_start, charge_id",
        [list(charge_ids)],
    )
    names = ("team", "workflow", "charge_class", "calls", "effective_cost")
    nodes = [
        Node(
            "charge line",
            row["charge_id"],
            {"period": f"{row['billing_period_start']:%Y-%m}"} | {name: row[name] for name in names},
            (line_node(row, "is in"),),
            "is in" if row["corrects_charge_id"] is None else "is in, or corrected by",
        )
        for row in rows
    ]
    receivers = sorted(
        {
            (row["corrects_period_start"] or row["billing_period_start"], row["team"], row["workflow"])
            for row in rows
            if row["team"] != "unallocated"
        }
    )
    for start, team, workflow in receivers:
        (shared,) = trace.book.rows(
            "select count(*) as charge_lines, sum(effective_cost) as effective_cost from finance.fct_charges "
            "where origin_charge_id is not null and billing_period_start = ? and team = ? and workflow = ? "
            "and json_extract_string(allocated_method_details, '$.driver') is not null",
            [start, team, workflow],
        )
        if shared["charge_lines"]:
            facts = {"period": f"{start:%Y-%m}", "team": team, "workflow": workflow} | shared
            nodes.append(Node("shared charges", "", facts, relation="measured for"))
    return nodes


def _rejects(trace: Tracing, topic: str, partition: int, offset: int) -> list[Node]:
    wanted = RejectFilter(topics=(topic,), partition=partition, from_offset=offset, to_offset=offset + 1, state=ALL)
    nodes = []
    for reject in find_rejects(trace.settings.lake, wanted, limit=trace.events or 1).rejects:
        facts = {
            "reason": reject.reason,
            "field": reject.field,
            "expected": reject.expected,
            "got": reject.got,
            "state": reject.state,
            "rejected_at": reject.rejected_at,
            "settled_how": reject.settled_how,
        }
        nodes.append(Node("reject", reject.reject_id, facts, relation="rejected as"))
    return nodes
