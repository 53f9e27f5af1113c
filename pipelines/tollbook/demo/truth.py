"""The published book against the simulator's truth: what was simulated must be what stands, to the pico-dollar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from tollbook.report.facts import published_file
from tollbook.settings import Settings

UNALLOCATED = "unallocated"
UNKNOWN = "unknown"
_SUMS = (
    "events",
    "input_tokens",
    "uncached_input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "list_cost_pico_usd",
    "unpriced_events",
    "unpriced_tokens",
)
_OF_TABLE = ", ".join(
    {
        "events": "calls",
        "unpriced_events": "unpriced_calls",
        "list_cost_pico_usd": "cast(list_cost * 1000000000000 as decimal(38, 0))",
    }.get(name, name)
    for name in _SUMS
)

Key = tuple[str, ...]
"""What amounts are of: `all`, a month's team, or a month's workflow."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it.

    Attributes:
        amounts: How many amounts were compared.
        differences: What, by the truth and by the book, for each that differs.
    """

    amounts: int
    differences: tuple[str, ...]


def compare(settings: Settings, truth: Mapping[str, Any]) -> Comparison:
    """Compare the published book with what was simulated.

    Compared are events, tokens of each kind and list cost: in all, of each team and cost centre by month, of each
    workflow by month. Where the book has read the file a whole number of times, also what became of its lines.

    Args:
        settings: Where the book lives.
        truth: The truth file of the simulation.
    """
    with duckdb.connect(published_file(settings), read_only=True) as book:
        found = dict(_book_amounts(book))
        lines = _book_lines(book)
    expected = dict(_truth_amounts(truth))
    expected |= _expected_lines(truth, read=lines["read"])
    found |= {("lines", name): count for name, count in lines.items() if ("lines", name) in expected}
    differences = [
        f"{' '.join(key)}: {expected.get(key, 0):,} simulated, {found.get(key, 0):,} in the book"
        for key in sorted(expected.keys() | found.keys())
        if expected.get(key, 0) != found.get(key, 0)
    ]
    return Comparison(len(expected), tuple(differences))


def _truth_amounts(truth: Mapping[str, Any]) -> Iterator[tuple[Key, int]]:
    groups: list[tuple[Key, Mapping[str, Any]]] = [(("all",), truth)]
    groups += [
        (("team", row["month"], row["team"], row["cost_center"] or UNALLOCATED), row) for row in truth["by_team"]
    ]
    groups += [
        (("workflow", row["month"], row["team"], row["workflow"] or UNKNOWN), row) for row in truth["by_workflow"]
    ]
    for key, row in groups:
        for name in _SUMS:
            yield (*key, name), int(row[name])
    yield ("all", "tasks"), int(truth["tasks"])


def _book_amounts(book: duckdb.DuckDBPyConnection) -> Iterator[tuple[Key, int]]:
    total = [0] * len(_SUMS)
    for kind, names in (("team", "team, cost_center"), ("workflow", "team, workflow")):
        rows = book.execute(
            f"select strftime(billing_period_start, '%Y-%m'), {names}, {_OF_TABLE} "
            f"from finance.fct_chargeback_by_{kind}"
        ).fetchall()
        for month, one, other, *sums in rows:
            for position, (name, value) in enumerate(zip(_SUMS, sums, strict=True)):
                yield (kind, month, one, other, name), int(value or 0)
                if kind == "team":
                    total[position] += int(value or 0)
    for name, value in zip(_SUMS, total, strict=True):
        yield ("all", name), value
    ((tasks,),) = book.execute("select count(*) from engineering.fct_tasks").fetchall()
    yield ("all", "tasks"), tasks


def _book_lines(book: duckdb.DuckDBPyConnection) -> dict[str, int]:
    ((read, rejected),) = book.execute(
        "select coalesce(sum(records), 0), coalesce(sum(reject_rows), 0) from audit.fct_kafka_offsets"
    ).fetchall()
    states = dict(
        book.execute("select telling_state, sum(tellings) from audit.fct_tellings_daily group by all").fetchall()
    )
    return {
        "read": int(read),
        "rejected": int(rejected),
        "duplicates": int(states.get("duplicate", 0)),
        "conflicts": int(states.get("conflict", 0)),
        "superseded": int(states.get("superseded", 0)),
        "voids": int(states.get("voided", 0)),
    }


def _expected_lines(truth: Mapping[str, Any], *, read: int) -> dict[Key, int]:
    """Return what must have become of the lines when all of them were read once, twice, and so on; else nothing."""
    times, rest = divmod(read, truth["lines"])
    if rest or not times:
        return {}
    rejected, conflicts = truth["rejected"] * times, truth["conflicts"] * times
    lines = {
        "rejected": rejected,
        "duplicates": read - rejected - conflicts - truth["accepted"],
        "conflicts": conflicts,
        "superseded": truth["superseded"],
        "voids": truth["voids"],
    }
    return {("lines", name): count for name, count in lines.items()}
