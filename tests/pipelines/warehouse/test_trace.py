"""Trace: from a statement line to allocation, charge, rule, calls and offsets, and back from an event.

One small book for all: 0.03 USD of a gateway in June, shared by calls. Search has calls `a` and `b` (told twice) and
care has `c`, 0.001 each; June is closed; then `late`, of 0.002 and of June too, comes for search. In July `e` is told
anew by a higher revision, and `f` in two ways. The last commit is in the lake and not in the published file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from tollbook.cli import build_app
from tollbook.closing.close import CloseRequest, approve_close, propose_close, soft_close
from tollbook.closing.closes import CloseEntry, read_closes
from tollbook.closing.disputes import open_dispute
from tollbook.errors import MisuseError
from tollbook.exports.lines import read_period
from tollbook.reference.kinds import load_file
from tollbook.settings import Settings
from tollbook.trace.find import trace
from tollbook.trace.node import Node
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

CARE = {"owner_team": "care", "owner_cost_center": "cc-20", "owner_business_unit": "services", "workflow": "refunds"}
COMMON = {"valid_from": "2026-06-01", "known_from": "2026-05-01T00:00:00Z", "author": "finance", "reason": "agreed"}
PLATFORM = {
    "entry_id": "gateway-june",
    "platform_id": "gateway",
    "currency": "USD",
    "costs": [{"component": "servers", "amount": "0.03"}],
    "valid_to": "2026-07-01",
}
RULE = {"entry_id": "gateway-by-calls", "pool": {"platform": "gateway"}, "method": "proportional", "driver": "calls"}


def at(text: str) -> datetime:
    """Return an instant, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def usd(text: str) -> Decimal:
    """Return an amount with the places that the book has."""
    return Decimal(text).quantize(Decimal("1e-12"))


@pytest.fixture(scope="module")
def book(
    new_lake: Callable[[Settings], LakeBuilder], usage: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> LakeBuilder:
    """The book of the module's description, with a dispute of July open."""
    lake = new_lake(Settings(home=tmp_path_factory.mktemp("traced")))
    told = tmp_path_factory.mktemp("told")
    for kind, entry in (("shared_platforms", PLATFORM), ("allocation_rules", RULE)):
        path = told / f"{kind}.yml"
        path.write_text(yaml.safe_dump({kind: 1, "entries": [COMMON | entry]}), encoding="utf-8")
        load_file(path, lake.settings, now=at("2026-05-02"))
    lake.commit(
        [usage("a", owner_rule="answers-1"), usage("b", "2026-06-30", task_id="task-2"), usage("c", **CARE)],
        rejects=1,
        tombstones=1,
    )
    lake.commit(
        [
            usage("b", "2026-06-30", task_id="task-2"),
            usage("d", "2026-07-02", task_id="task-2"),
            usage("e", "2026-07-03"),
            usage("e", "2026-07-03", revision=1, list_cost=usd("0.003")),
            usage("f", "2026-07-03"),
            usage("f", "2026-07-03", output_tokens=11),
        ]
    )
    build(lake.settings, clock=lambda: at("2026-07-05"))
    for step, author in ((soft_close, "ana"), (propose_close, "ana"), (approve_close, "ben")):
        step(lake.settings, CloseRequest("2026-06", author, "month end"), clock=lambda: at("2026-07-06"))
    lake.commit([usage("late", "2026-06-15", list_cost=usd("0.002"))])
    build(lake.settings, clock=lambda: at("2026-07-08"))
    lake.commit([usage("a", revision=1, list_cost=usd("0.009")), usage("unbuilt", "2026-07-04")])
    ((july,),) = lake.query(
        "select charge_id from finance.fct_charges where billing_period_start = '2026-07-01' "
        "and charge_kind = 'usage' and charge_class is null"
    )
    open_dispute(lake.settings, july, author="search-lead", reason="not ours", clock=lambda: at("2026-07-09"))
    return lake


def charge(book: LakeBuilder, condition: str) -> str:
    """Return the name of the one charge line that a condition keeps."""
    ((name,),) = book.query(f"select charge_id from finance.fct_charges where {condition}")
    return str(name)


JUNE_USAGE = "billing_period_start = '2026-06-01' and team = 'search' and charge_kind = 'usage'"
LATE_USAGE = "charge_class = 'Correction' and charge_kind = 'usage'"


def below(node: Node, *path: str) -> Node:
    """Return what lies below a node on a way of kinds, the first of each."""
    for kind in path:
        node = next(part for part in node.parts if part.kind == kind)
    return node


def facts(node: Node, *names: str) -> tuple[Any, ...]:
    """Return some facts of a node."""
    return tuple(node.facts[name] for name in names)


def june_close(book: LakeBuilder) -> CloseEntry:
    """Return the hard close of June."""
    close = read_closes(book.settings.lake).of("2026-06").close
    assert close is not None
    return close


def test_a_statement_line_leads_to_calls_offsets_files_and_the_close(book: LakeBuilder) -> None:
    """`a` at offset 0 and `b` at 1; the line was frozen at 2 calls, and the lake has the late one too."""
    lines = read_period(book.settings, "2026-06").lines
    (line,) = [each for each in lines if (each["team"], each["charge_kind"]) == ("search", "usage")]
    found = trace(book.settings, line["statement_line_id"])
    assert facts(found, "team", "calls", "charge_lines", "charge_lines_sum_to_it") == ("search", 2, 1, True)

    calls = below(found, "charge line", "calls")
    summed = facts(calls, "calls", "total_tokens", "list_cost", "effective_cost", "sum_to_the_line")
    assert summed == (2, 220, usd("0.002"), usd("0.002"), True)
    offsets = below(calls, "offsets")
    assert (offsets.node_id, *facts(offsets, "first_offset", "last_offset", "commits")) == (
        "llm.usage/0",
        "0",
        "1",
        "1-1",
    )
    again = below(calls, "lake")
    assert facts(again, "calls", "list_cost", "held_against", "equal", "files") == (
        3,
        usd("0.004"),
        "the line and its 1 corrections together",
        True,
        3,
    )
    events = [part.node_id for part in calls.parts if part.kind == "event"]
    assert events == ["openai/a", "openai/late", "openai/b"]

    close, entry = below(found, "charge line", "close"), june_close(book)
    assert facts(close, "proposed_by", "approved_by", "digest") == ("ana", "ben", entry.digest)
    owners = {
        part.node_id: part.facts["calls"] for part in below(found, "charge line").parts if part.kind == "owner rule"
    }
    assert owners == {"answers-1": 1, "none": 1}


def test_a_correction_leads_to_the_frozen_line_and_to_the_call_that_came_late(book: LakeBuilder) -> None:
    """The late call is at offset 11 of commit 3; no other is in the correction."""
    found = trace(book.settings, charge(book, LATE_USAGE))
    assert facts(found, "period", "calls", "effective_cost") == ("2026-07", 1, usd("0.002"))
    corrected = below(found, "charge line")
    assert (corrected.relation, corrected.node_id) == ("corrects", charge(book, JUNE_USAGE))
    assert below(corrected, "close").node_id == str(june_close(book).number)
    calls = below(found, "calls")
    assert facts(calls, "calls", "list_cost", "sum_to_the_line") == (1, usd("0.002"), True)
    assert [part.node_id for part in calls.parts if part.kind == "event"] == ["openai/late"]
    assert facts(below(calls, "offsets"), "first_offset", "commits") == ("11", "3-3")


def test_an_allocated_line_leads_to_rule_driver_ratio_and_the_entry_of_its_origin(book: LakeBuilder) -> None:
    """Search had 2 of 3 calls when June was closed: 0.02 of 0.03."""
    condition = "billing_period_start = '2026-06-01' and team = 'search' and charge_kind = 'platform_cost'"
    found = trace(book.settings, charge(book, condition))
    assert found.facts["effective_cost"] == usd("0.02")
    allocation = below(found, "allocation")
    assert facts(allocation, "method", "driver", "ratio") == ("proportional", "calls", "2/3")
    rule = below(allocation, "reference entry")
    assert (rule.node_id, *facts(rule, "file", "author", "reason")) == (
        "gateway-by-calls",
        "allocation_rules/main.yml",
        "finance",
        "agreed",
    )
    entry = below(found, "origin charge", "reference entry")
    assert (entry.node_id, entry.facts["file"]) == ("gateway-june", "shared_platforms/main.yml")
    assert len(entry.facts["version"]) == 16

    origin = trace(book.settings, below(found, "origin charge").node_id)
    assert facts(origin, "effective_cost", "lines", "lines_sum_to_it") == (usd("0.03"), 2, True)


def test_an_event_leads_to_what_became_of_each_telling_and_to_its_lines(book: LakeBuilder) -> None:
    """`b` was told at offset 1 and again at 5. Its line is in June's statement, its correction in July's."""
    found = trace(book.settings, "openai/b")
    assert facts(found, "tellings", "standing") == (2, 1)
    first, again = found.parts
    assert (first.node_id, first.facts["state"].partition(":")[0]) == ("llm.usage/0/1/0", "standing")
    assert (again.node_id, again.facts["state"].partition(":")[0]) == ("llm.usage/0/5/0", "duplicate")
    assert again.facts["first_told_at"] == "llm.usage/0/1"
    lines = [part for part in first.parts if part.kind == "charge line"]
    assert [line.node_id for line in lines] == [charge(book, JUNE_USAGE), charge(book, LATE_USAGE)]
    ids = {
        each["statement_line_id"]
        for period in ("2026-06", "2026-07")
        for each in read_period(book.settings, period).lines
    }
    assert {below(line, "statement line").node_id for line in lines} <= ids
    assert facts(below(first, "shared charges"), "charge_lines", "effective_cost") == (1, usd("0.02"))
    assert below(first, "commit").node_id == "1"


def test_tellings_that_do_not_stand_say_why_and_lead_to_no_line(book: LakeBuilder) -> None:
    """Of `e` the higher revision stands, of `f` what was told first."""
    states = {
        name: [(part.node_id, part.facts["state"].partition(":")[0]) for part in trace(book.settings, name).parts]
        for name in ("openai/e", "openai/f")
    }
    assert states == {
        "openai/e": [("llm.usage/0/7/0", "superseded"), ("llm.usage/0/8/0", "standing")],
        "openai/f": [("llm.usage/0/9/0", "standing"), ("llm.usage/0/10/0", "conflict")],
    }
    assert [part.kind for part in trace(book.settings, "openai/f").parts[1].parts] == ["commit"]


def test_what_the_published_file_does_not_have_yet_is_not_traced(book: LakeBuilder) -> None:
    """`a` is as it was built, though the lake has a higher revision; offset 13 is known to be read."""
    found = trace(book.settings, "openai/a")
    assert (found.facts["tellings"], found.parts[0].facts["list_cost"]) == (1, usd("0.001"))
    assert "it came after commit 3" in trace(book.settings, "llm.usage/0/13").facts["said"]
    with pytest.raises(MisuseError, match="nothing under 'openai/unbuilt'"):
        trace(book.settings, "openai/unbuilt")


def test_places_in_kafka_are_calls_rejects_or_none(book: LakeBuilder) -> None:
    """Offsets 0 to 2 hold calls, 3 a tombstone, 4 a reject; 14 was never read."""
    assert below(trace(book.settings, "llm.usage/0/2"), "telling").facts["event"] == "openai/c"
    assert "told of none" in trace(book.settings, "llm.usage/0/3").facts["said"]
    reject = below(trace(book.settings, "llm.usage/0/4"), "reject")
    assert (reject.relation, reject.facts["state"]) == ("rejected as", "open")
    with pytest.raises(MisuseError, match=r"nothing under 'llm.usage/0/14'. It can be\n  a statement line"):
        trace(book.settings, "llm.usage/0/14")


def test_a_task_leads_to_the_lines_of_its_calls(book: LakeBuilder) -> None:
    """`b` of June and `d` of July."""
    found = trace(book.settings, "task-2")
    assert facts(found, "calls", "list_cost", "calls_sum_to_it") == (2, usd("0.002"), True)
    periods = [part.facts["period"] for part in found.parts if part.kind == "charge line"]
    assert periods == ["2026-06", "2026-07", "2026-07"]


def test_a_dispute_leads_to_its_line_and_the_line_to_it(book: LakeBuilder) -> None:
    """Search disputes its line of July."""
    found = trace(book.settings, "dispute/1")
    assert facts(found, "author", "reason") == ("search-lead", "not ours")
    line = below(found, "charge line")
    assert line.facts["period"] == "2026-07"
    assert below(line, "dispute").relation == "disputed by"


@pytest.mark.parametrize("told", ["f" * 32, "f" * 24, "dispute/2", "openai/nobody", "task-9"])
def test_what_nothing_has_is_refused_with_the_kinds_there_are(book: LakeBuilder, told: str) -> None:
    """Who mistypes learns what could have been meant."""
    with pytest.raises(MisuseError, match=f"nothing under '{told}'. It can be(.|\n)*SOURCE/EVENT_ID"):
        trace(book.settings, told)


def test_lineage_says_which_calls_belong_to_a_close_and_which_came_after_it(book: LakeBuilder) -> None:
    """Worked by hand: `a` and `b` on two dates before the close, `late` after it, of June's line all."""
    rows = book.query(
        f"""
        select charge_id = (select charge_id from finance.fct_charges where {JUNE_USAGE}), event_date::varchar,
            first_offset, last_offset, first_commit, closes_before, owner_rule, calls, list_cost
        from audit.fct_lineage
        where lineage_kind = 'calls'
            and coalesce(corrects_charge_id, charge_id) = (select charge_id from finance.fct_charges where {JUNE_USAGE})
        order by first_offset
        """
    )
    assert rows == [
        (True, "2026-06-01", 0, 0, 1, 0, "answers-1", 1, usd("0.001")),
        (True, "2026-06-30", 1, 1, 1, 0, "none", 1, usd("0.001")),
        (False, "2026-06-15", 11, 11, 3, 1, "none", 1, usd("0.002")),
    ]
    kinds = book.query(
        f"select lineage_kind, follows_from from audit.fct_lineage where lineage_kind <> 'calls' "
        f"and charge_id = (select charge_id from finance.fct_charges where {LATE_USAGE}) order by all"
    )
    assert kinds == [
        ("close", str(june_close(book).number)),
        ("corrected_charge", charge(book, JUNE_USAGE)),
        ("obligation", "usage openai"),
    ]


def test_the_command_prints_a_tree_and_json(book: LakeBuilder) -> None:
    """Files are named below the lake, wherever it lies."""
    home = ["--home", str(book.settings.home)]
    line = charge(book, JUNE_USAGE)
    text = CliRunner().invoke(build_app(), ["trace", line, "--events", "1", *home], catch_exceptions=False)
    assert text.exit_code == 0
    assert text.stdout.startswith(f"charge line {line}\n  | period 2026-06; team search;")
    assert text.stdout.count("made of: event ") == 1

    told = CliRunner().invoke(build_app(), ["trace", line, "--json", *home], catch_exceptions=False)
    found = json.loads(told.stdout)
    assert (found["kind"], found["id"], found["facts"]["list_cost"]) == ("charge line", line, "0.002000000000")
    assert Path(book.settings.home).name not in found["parts"][0]["parts"][1]["facts"]["first_files"][0]
