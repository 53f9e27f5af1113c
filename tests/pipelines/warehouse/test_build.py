"""Builds on small lakes: one event once, whatever order and however often it is told."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.contracts import contract, shipped_folder
from tollbook.errors import WarehouseStateError
from tollbook.warehouse.build import build
from tollbook.warehouse.state import WarehouseFolder, open_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipelines.warehouse.conftest import LakeBuilder


def states(lake: LakeBuilder) -> dict[tuple[str, str], int]:
    """Return the number of tellings by date and state."""
    rows = lake.query("select event_date, telling_state, tellings from audit.fct_tellings_daily")
    return {(day.isoformat(), state): tellings for day, state, tellings in rows}


def test_first_build_charges_every_call_to_its_team_and_workflow(lake: LakeBuilder, event: Any) -> None:
    """The tables that finance and engineering open hold what the lake holds, worked here by hand."""
    lake.commit(
        [
            event("a", input_tokens=100, output_tokens=10, list_cost=Decimal("0.001")),
            event("b", input_tokens=50, cache_read_tokens=20, cache_write_1h_tokens=5, reasoning_tokens=4),
            event("c", "2026-07-01", owner_team=None, owner_cost_center=None, workflow=None),
        ],
        rejects=2,
        tombstones=1,
    )

    result = build(lake.settings)

    assert (result.built_commit, result.event_dates, result.full_refresh) == (1, 2, True)
    team = """
        select billing_period_start, billing_period_end, cost_center, team, billing_currency, calls, input_tokens,
            uncached_input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
            total_tokens, list_cost, contracted_cost, effective_cost, billed_cost
        from finance.fct_chargeback_by_team order by all
    """
    june, july = (date(2026, 6, 1), date(2026, 7, 1)), (date(2026, 7, 1), date(2026, 8, 1))
    two, one = Decimal("0.002000000000"), Decimal("0.001000000000")
    assert lake.query(team) == [
        (*june, "cc-10", "search", "USD", 2, 150, 125, 20, 5, 20, 4, 170, two, two, two, None),
        (*july, "unallocated", "unallocated", "USD", 1, 100, 100, None, None, 10, None, 110, one, one, one, None),
    ]
    workflow = "select team, workflow, calls, effective_cost from finance.fct_chargeback_by_workflow order by all"
    assert lake.query(workflow) == [("search", "answers", 2, two), ("unallocated", "unknown", 1, one)]
    offsets = "select first_offset, next_offset, records, usage_rows, reject_rows, tombstones"
    assert lake.query(f"{offsets} from audit.fct_kafka_offsets") == [(0, 6, 5, 3, 2, 1)]


@pytest.mark.slow
def test_marts_add_up_contracted_costs_beside_list_costs(lake: LakeBuilder, event: Any) -> None:
    """Negotiated prices are what teams are charged; the list cost beside shows what they saved."""
    lake.commit(
        [
            event("a", list_cost=Decimal("0.003"), contracted_cost=Decimal("0.002"), contract_id="c-1"),
            event("b", list_cost=Decimal("0.001")),
            event("c", list_cost=Decimal("0.005"), cost_basis="provider_reported", rated_list_cost=Decimal("0.004")),
            event("d", list_cost=None),
        ]
    )

    build(lake.settings)

    costs = "list_cost, contracted_cost, effective_cost, unpriced_calls"
    expected = (Decimal("0.009"), Decimal("0.008"), Decimal("0.008"), 1)
    for mart in ("finance.fct_chargeback_by_team", "engineering.fct_usage_daily", "engineering.fct_tasks"):
        assert lake.query(f"select {costs} from {mart}") == [expected], mart
    assert lake.query(
        "select cost_basis, calls, list_cost, contracted_cost from audit.fct_cost_basis_daily order by 1"
    ) == [
        ("provider_reported", 1, Decimal("0.005"), Decimal("0.005")),
        ("rated", 2, Decimal("0.004"), Decimal("0.003")),
        ("unpriced", 1, None, None),
    ]
    balance = """
        select hand_over, amount_in, amount_out from audit.fct_ledger_balance
        where measure = 'contracted_cost' and scope = 'all' and hand_over = 'tellings_to_calls'
    """
    assert lake.query(balance) == [("tellings_to_calls", Decimal("0.008"), Decimal("0.008"))]


@pytest.mark.slow
def test_unpriced_usage_has_no_cost_and_is_counted_beside(lake: LakeBuilder, event: Any) -> None:
    """Unknown is null and never zero; a sum that leaves calls out says how many and how large (pitfall 3)."""
    lake.commit([event("a", list_cost=None), event("b"), event("c", "2026-06-02", list_cost=None, model="new")])

    build(lake.settings)

    columns = "calls, unpriced_calls, unpriced_tokens, list_cost"
    assert lake.query(f"select {columns} from finance.fct_chargeback_by_team") == [(3, 2, 220, Decimal("0.001"))]
    assert lake.query(f"select usage_date, model, {columns} from engineering.fct_usage_daily order by all") == [
        (date(2026, 6, 1), "gpt-5", 2, 1, 110, Decimal("0.001")),
        (date(2026, 6, 2), "new", 1, 1, 110, None),
    ]
    unpriced = "select model, unpriced_reason, unpriced_calls, unpriced_tokens from audit.fct_unpriced_usage"
    assert lake.query(f"{unpriced} order by all") == [
        ("gpt-5", "unknown_model", 1, 110),
        ("new", "unknown_model", 1, 110),
    ]


def test_exact_repeat_counts_once_at_any_age(lake: LakeBuilder, event: Any) -> None:
    """A gateway and an SDK that tell of one call, and a resend a month later, make one event (pitfalls 7 and 24)."""
    lake.commit([event("a", reporter="gateway"), event("a", reporter="sdk", latency_ms=7)])
    build(lake.settings)
    lake.commit([event("a")], partition=1)

    build(lake.settings)

    assert lake.total() == (1, 100, 10, Decimal("0.001"))
    assert states(lake) == {("2026-06-01", "standing"): 1, ("2026-06-01", "duplicate"): 2}


@pytest.mark.slow
def test_bucket_that_is_absent_and_one_that_is_zero_are_the_same_content(lake: LakeBuilder, event: Any) -> None:
    """One reporter leaves out what another reports as zero; that is no reason for a quarantine."""
    lake.commit([event("a"), event("a", cache_read_tokens=0, reasoning_tokens=0, tool_calls=[])])

    build(lake.settings)

    assert states(lake) == {("2026-06-01", "standing"): 1, ("2026-06-01", "duplicate"): 1}


@pytest.mark.slow
def test_reused_id_with_other_content_is_quarantined_and_shown(lake: LakeBuilder, event: Any) -> None:
    """The first accepted telling stands, by commit and then by place on Kafka; the other is not dropped (pitfall 8)."""
    lake.commit([event("a"), event("b")], partition=3)
    lake.commit([event("a", input_tokens=70, list_cost=Decimal("0.0007")), event("b", model="other")], partition=0)

    build(lake.settings)

    assert lake.total() == (2, 200, 20, Decimal("0.002"))
    shown = """
        select event_id, kafka_partition, kafka_offset, input_tokens, list_cost, model,
            accepted_kafka_partition, accepted_kafka_offset, accepted_input_tokens
        from audit.fct_conflicts order by all
    """
    assert lake.query(shown) == [
        ("a", 0, 0, 70, Decimal("0.000700000000"), "gpt-5", 3, 0, 100),
        ("b", 0, 1, 100, Decimal("0.001000000000"), "other", 3, 1, 100),
    ]


@pytest.mark.slow
def test_highest_revision_stands_whatever_the_order_of_arrival(lake: LakeBuilder, event: Any) -> None:
    """Streamed partials carry growing counts under growing revisions; a late partial changes nothing."""
    lake.commit([event("a", revision=2, action="replace", action_reason="final", input_tokens=300)])
    lake.commit([event("a", revision=0, input_tokens=100), event("a", revision=1, input_tokens=200)])

    build(lake.settings)

    assert lake.total() == (1, 300, 10, Decimal("0.001"))
    assert states(lake) == {("2026-06-01", "standing"): 1, ("2026-06-01", "superseded"): 2}


def test_voided_call_does_not_count(lake: LakeBuilder, event: Any, void: Any) -> None:
    """A void supersedes what was told before, also when it comes first or alone."""
    lake.commit([event("a"), void("a"), void("b"), event("c")])
    build(lake.settings)
    assert lake.total() == (1, 100, 10, Decimal("0.001"))
    assert states(lake) == {
        ("2026-06-01", "standing"): 1,
        ("2026-06-01", "superseded"): 1,
        ("2026-06-01", "voided"): 2,
    }

    lake.commit([event("b"), event("a", revision=2, action="replace", action_reason="it did count")])
    build(lake.settings)

    assert lake.total() == (2, 200, 20, Decimal("0.002"))


def test_late_event_is_added_to_its_own_date_and_month(lake: LakeBuilder, event: Any) -> None:
    """Late is not lost, and only the date it belongs to is made anew."""
    lake.commit([event("a", "2026-06-01"), event("b", "2026-07-15")])
    build(lake.settings)
    lake.commit([event("late", "2026-06-01", input_tokens=7)])

    result = build(lake.settings)

    assert result.event_dates == 1
    months = "select billing_period_start, calls, input_tokens from finance.fct_chargeback_by_team order by all"
    assert lake.query(months) == [(date(2026, 6, 1), 2, 107), (date(2026, 7, 1), 1, 100)]


def test_call_told_under_another_date_moves_there(lake: LakeBuilder, event: Any) -> None:
    """A stream that ends after midnight is told under two dates; the first date loses the call and is cleared."""
    lake.commit([event("a", "2026-06-30", task_id="night"), event("b", "2026-06-29")])
    build(lake.settings)
    lake.commit([event("a", "2026-07-01", task_id="night", revision=1, input_tokens=130)])

    result = build(lake.settings)

    assert result.event_dates == 2
    days = "select usage_date, calls, input_tokens from engineering.fct_usage_daily order by all"
    assert lake.query(days) == [(date(2026, 6, 29), 1, 100), (date(2026, 7, 1), 1, 130)]
    months = "select billing_period_start, calls from finance.fct_chargeback_by_team order by all"
    assert lake.query(months) == [(date(2026, 6, 1), 1), (date(2026, 7, 1), 1)]
    tasks = "select task_id, calls, started_at::date from engineering.fct_tasks order by all"
    assert lake.query(tasks) == [("night", 1, date(2026, 7, 1)), ("task-1", 1, date(2026, 6, 29))]


def test_date_that_loses_its_only_call_is_cleared_everywhere(lake: LakeBuilder, event: Any, void: Any) -> None:
    """Delete-and-insert by key would leave the old rows of a date that became empty."""
    lake.commit([event("a", "2026-06-10", task_id="gone"), event("b", "2026-07-10")])
    build(lake.settings)
    lake.commit([void("a", "2026-06-10")])

    build(lake.settings)

    assert lake.query("select distinct usage_date from engineering.fct_usage_daily") == [(date(2026, 7, 10),)]
    assert lake.query("select distinct billing_period_start from finance.fct_chargeback_by_team") == [
        (date(2026, 7, 1),)
    ]
    assert lake.query("select task_id from engineering.fct_tasks") == [("task-1",)]


@pytest.mark.slow
def test_unrelated_late_event_keeps_what_is_known_of_other_dates(lake: LakeBuilder, event: Any) -> None:
    """A date made anew for another reason must still know that one of its calls was superseded elsewhere."""
    lake.commit([event("a", "2026-06-01"), event("a", "2026-06-20", revision=1, input_tokens=5)])
    build(lake.settings)
    lake.commit([event("b", "2026-06-01", input_tokens=1)])

    result = build(lake.settings)

    assert result.event_dates == 1
    assert lake.total() == (2, 6, 20, Decimal("0.002"))


@pytest.mark.slow
def test_id_that_comes_back_after_35_days_is_another_call(lake: LakeBuilder, event: Any) -> None:
    """The search for an id under another date is bounded, and the bound is part of what identity means."""
    lake.commit(
        [event("a", "2026-06-01"), event("a", "2026-07-06"), event("b", "2026-06-01"), event("b", "2026-07-07")]
    )

    build(lake.settings)

    # a: 35 days apart, one call told twice; b: 36 days apart, two calls.
    assert states(lake) == {
        ("2026-06-01", "standing"): 2,
        ("2026-07-06", "duplicate"): 1,
        ("2026-07-07", "standing"): 1,
    }


@pytest.mark.slow
def test_chain_of_dates_is_one_call_however_it_arrives(lake: LakeBuilder, event: Any) -> None:
    """Dates 30 days apart from one to the next tell of one call; the link that joins two calls may come last."""
    lake.commit([event("a", "2026-06-01"), event("a", "2026-07-31", revision=2, input_tokens=9)])
    build(lake.settings)
    assert lake.total()[:2] == (2, 109)
    lake.commit([event("a", "2026-07-01", revision=1)])

    result = build(lake.settings)

    assert result.event_dates == 3
    assert lake.total()[:2] == (1, 9)


def test_task_that_spans_midnight_is_one_row_and_is_made_anew_whole(lake: LakeBuilder, event: Any) -> None:
    """A late call on one of its dates must not lose the calls of the others."""
    lake.commit(
        [
            event("a", "2026-06-01", agent="planner", outcome="abandoned"),
            event("b", "2026-06-02", agent="coder", status="error", attempt=1, operation_id="o"),
            event("c", "2026-06-02", agent="coder", status="ok", attempt=2, operation_id="o"),
            event("d", "2026-06-02", task_id=None),
        ]
    )
    build(lake.settings)
    lake.commit([event("e", "2026-06-03", agent="coder", outcome="success", owner_team="ads")])

    build(lake.settings)

    columns = "workflow, task_id, team, teams, agents, models, calls, failed_calls, retries, outcome, list_cost"
    assert lake.query(f"select {columns} from engineering.fct_tasks") == [
        ("answers", "task-1", "search", 2, 2, 1, 4, 1, 1, "success", Decimal("0.004000000000"))
    ]
    without_task = """
        select measure, amount_in, amount_out, amount_listed from audit.fct_ledger_balance
        where hand_over = 'task_days_to_tasks' and measure in ('records', 'list_cost') order by all
    """
    assert lake.query(without_task) == [
        ("list_cost", Decimal("0.005"), Decimal("0.005"), Decimal("0.001")),
        ("records", 5, 5, 1),
    ]


@pytest.mark.slow
def test_same_task_id_in_workflows_is_a_task_of_each_and_tasks_lie_in_the_order_of_time(
    lake: LakeBuilder, event: Any
) -> None:
    """A task is one run of a workflow, ids such as `1` are not unique; and who asks for a month reads that month."""
    begun = [date(2026, 6, day) for day in (9, 3, 7, 1, 8, 2, 6, 4, 5)]
    lake.commit([event(f"e-{day}", f"{day}", workflow=f"flow-{day}") for day in begun])

    build(lake.settings)

    assert lake.query("select started_at::date, workflow from engineering.fct_tasks") == [
        (day, f"flow-{day}") for day in sorted(begun)
    ]


@pytest.mark.slow
def test_second_build_with_nothing_new_changes_nothing(lake: LakeBuilder, event: Any) -> None:
    """Twice is once."""
    lake.commit([event("a")])
    first = build(lake.settings)
    before = lake.everything()

    second = build(lake.settings)

    assert (second.new_files, second.event_dates, second.version) == (0, 0, first.version)
    assert lake.everything() == before


def test_build_from_nothing_and_build_by_build_give_the_same_book(lake: LakeBuilder, event: Any, void: Any) -> None:
    """Increments, a full refresh and a warehouse deleted and made again must agree in every row of every mart."""
    lake.commit(
        [event("a"), event("b", "2026-06-02"), event("a", "2026-06-03"), event("n", "2026-06-03", task_id=None)]
    )
    build(lake.settings)
    lake.commit([event("b", "2026-06-04", revision=1), event("c", list_cost=None)], partition=1, rejects=1)
    build(lake.settings)
    lake.commit([void("c"), event("d", "2026-07-05"), event("a", input_tokens=1)], partition=1, tombstones=2)
    build(lake.settings)
    by_increments = lake.everything()

    build(lake.settings, full_refresh=True)
    assert lake.everything() == by_increments

    shutil.rmtree(lake.settings.warehouse)
    result = build(lake.settings)
    assert result.full_refresh
    assert lake.everything() == by_increments


@pytest.mark.slow
def test_lake_without_a_commit_publishes_empty_marts(lake: LakeBuilder) -> None:
    """A first look before the first event finds tables without rows, not an error."""
    result = build(lake.settings)

    assert (result.built_commit, result.event_dates) == (0, 0)
    assert lake.query("select count(*) from finance.fct_chargeback_by_team") == [(0,)]


@pytest.mark.slow
def test_rejects_alone_move_the_offsets_and_balance(lake: LakeBuilder) -> None:
    """A commit without one accepted event is still part of the book."""
    lake.commit([], rejects=3)

    result = build(lake.settings)

    assert result.built_commit == 1
    assert lake.query("select records, reject_rows from audit.fct_kafka_offsets") == [(3, 3)]


@pytest.mark.slow
def test_lake_older_than_the_warehouse_is_refused(lake: LakeBuilder, event: Any) -> None:
    """A lake restored from an old backup contradicts the marts; going on would mix two books."""
    lake.commit([event("a")])
    lake.commit([event("b")])
    build(lake.settings)
    (lake.settings.lake / "commits" / f"{2:020d}.json").unlink()

    with pytest.raises(WarehouseStateError, match="its newest is 1"):
        build(lake.settings)


@pytest.mark.slow
def test_refresh_that_died_is_done_again(lake: LakeBuilder, event: Any) -> None:
    """Half the tables of a full refresh may be of the new kind and half of the old."""
    lake.commit([event("a"), event("b", "2026-06-02")])
    build(lake.settings)
    with open_ledger(WarehouseFolder.of(lake.settings)) as ledger:
        ledger.execute("update book.progress set remake = true")

    assert build(lake.settings).full_refresh


@pytest.mark.slow
def test_changed_models_make_every_date_anew(lake: LakeBuilder, event: Any) -> None:
    """After an upgrade no mart may hold rows that older models made."""
    lake.commit([event("a")])
    build(lake.settings)
    with open_ledger(WarehouseFolder.of(lake.settings)) as ledger:
        ledger.execute("update book.progress set project_digest = 'older'")

    result = build(lake.settings)

    assert (result.full_refresh, result.event_dates) == (True, 1)


@pytest.mark.slow
def test_index_of_keys_is_made_anew_when_it_is_lost(lake: LakeBuilder, event: Any) -> None:
    """It holds nothing that the lake does not, so losing it loses nothing."""
    lake.commit([event("a", "2026-06-01")])
    build(lake.settings)
    WarehouseFolder.of(lake.settings).keys.unlink()
    lake.commit([event("a", "2026-06-02", revision=1)])

    assert build(lake.settings).event_dates == 2
    assert lake.total()[0] == 1


@pytest.mark.slow
def test_lake_holds_two_versions_of_the_contract_side_by_side(
    lake: LakeBuilder, event: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version adds a field; files of the old one stay as they are, and one build reads both."""
    schemas = tmp_path / "schemas"
    shutil.copytree(shipped_folder("schemas"), schemas)
    draft = json.loads((schemas / "usage_record" / "v2.schema.json").read_text())
    draft["properties"]["seat"] = {"description": "A field of the draft.", "x-arrow-type": "string"}
    (schemas / "usage_record" / "v3.schema.json").write_text(json.dumps(draft))
    monkeypatch.setattr("tollbook.contracts.shipped_folder", lambda _: schemas)
    lake.commit([event("a")])
    lake.commit([event("b", seat="12", commit_number=2), event("a", commit_number=2)], schema_version=3)

    build(lake.settings)

    contract.cache_clear()
    assert lake.total() == (2, 200, 20, Decimal("0.002"))
    assert states(lake) == {("2026-06-01", "standing"): 2, ("2026-06-01", "duplicate"): 1}


@pytest.mark.slow
def test_private_file_that_someone_has_open_is_named(lake: LakeBuilder, event: Any) -> None:
    """A curious analyst with the wrong file open stops a build; the message says which file is for readers."""
    lake.commit([event("a")])
    build(lake.settings)
    lake.commit([event("b")])
    marts = WarehouseFolder.of(lake.settings).marts
    hold = f"import duckdb, sys; held = duckdb.connect({str(marts)!r}, read_only=True); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(WarehouseStateError, match=r"readers open serve/tollbook\.duckdb"):
            build(lake.settings)
        other.communicate(b"\n")

    build(lake.settings)
    assert lake.total()[0] == 2
