"""Closed periods in the build: what was frozen stays, and what is found out later is a correction in the open one."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tollbook.closing.close import CloseRequest, approve_close, propose_close, soft_close
from tollbook.closing.closes import CloseEntry, closes_log, read_closes
from tollbook.closing.disputes import Move, adjust_line, open_dispute, resolve_dispute
from tollbook.closing.overview import period_overview
from tollbook.errors import ApprovalError, CloseRefusedError, CorruptManifestError, MisuseError
from tollbook.lake.log import entry_path
from tollbook.reference.kinds import load_file
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

CHARGED = (
    "select strftime(billing_period_start, '%Y-%m'), team, charge_kind, charge_class, calls, effective_cost, "
    "strftime(corrects_period_start, '%Y-%m') from finance.fct_charges order by all"
)


def at(text: str) -> datetime:
    """Return an instant, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def built(lake: LakeBuilder, now: str) -> None:
    """Build at an instant."""
    build(lake.settings, clock=lambda: at(now))


def closed(lake: LakeBuilder, period: str, now: str) -> CloseEntry:
    """Close a period softly, by a proposal of ana's and for good by ben."""
    for step, author in ((soft_close, "ana"), (propose_close, "ana"), (approve_close, "ben")):
        entry = step(lake.settings, CloseRequest(period, author, "month end"), clock=lambda: at(now))
    return entry


def usd(thousandths: int) -> Decimal:
    """Return thousandths of a dollar in USD."""
    return Decimal(thousandths) / 1000


@pytest.fixture(autouse=True)
def _no_reference_left(lake: LakeBuilder) -> Any:
    yield
    shutil.rmtree(lake.settings.home / "reference", ignore_errors=True)


def test_closed_rows_stay_and_what_comes_late_is_a_correction_in_the_open_period(lake: LakeBuilder, event: Any) -> None:
    """Two calls in June and one in July, 0.001 USD each; after June is closed one more of June, of 0.002, arrives.

    Then July is closed too, with the correction in it; the late call turns out to have cost 0.005 by a higher revision,
    so August gets 0.003.
    """
    lake.commit([event("a"), event("b", "2026-06-30"), event("c", "2026-07-02")])
    built(lake, "2026-07-05")
    frozen = closed(lake, "2026-06", "2026-07-06")
    assert (frozen.totals.calls, frozen.totals.effective_cost) == (2, "0.002000000000")

    built(lake, "2026-07-07")
    june = ("2026-06", "search", "usage", None, 2, usd(2), None)
    july = ("2026-07", "search", "usage", None, 1, usd(1), None)
    assert lake.query(CHARGED) == [june, july]

    lake.commit([event("late", "2026-06-15", list_cost=usd(2))])
    built(lake, "2026-07-08")
    correction = ("2026-07", "search", "usage", "Correction", 1, usd(2), "2026-06")
    assert lake.query(CHARGED) == [june, correction, july]
    ((original,),) = lake.query("select charge_id from finance.fct_charges where billing_period_start = '2026-06-01'")
    assert lake.query("select corrects_charge_id from finance.fct_charges where charge_class = 'Correction'") == [
        (original,)
    ]

    closed(lake, "2026-07", "2026-08-03")
    lake.commit([event("late", "2026-06-15", revision=1, list_cost=usd(5))])
    built(lake, "2026-08-04")
    second = ("2026-08", "search", "usage", "Correction", 0, usd(3), "2026-06")
    assert lake.query(CHARGED) == [june, correction, july, second]
    assert lake.query("select period_state from finance.dim_billing_periods order by all") == [
        ("closed",),
        ("closed",),
        ("open",),
    ]

    before = lake.everything()
    build(lake.settings, full_refresh=True, clock=lambda: at("2026-08-05"))
    after = lake.everything()
    kept = [name for name in after if name.startswith("finance.") or name == "audit.fct_lineage"]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_a_close_needs_two_people_and_the_steps_in_order(lake: LakeBuilder, event: Any) -> None:
    """Nobody closes alone, nothing closes that is not over, and what is approved is what was proposed."""
    lake.commit([event("a"), event("b", "2026-07-02")])
    built(lake, "2026-07-05")
    ana, ben = (CloseRequest("2026-06", name, "month end") for name in ("ana", "ben"))
    july = CloseRequest("2026-07", "ana", "too early")
    clock = {"clock": lambda: at("2026-07-06")}
    with pytest.raises(CloseRefusedError, match="not closed softly: `tollbook period close 2026-06 --soft`"):
        propose_close(lake.settings, ana, **clock)
    with pytest.raises(CloseRefusedError, match="not over: it ends at 2026-08-01 00:00 UTC"):
        soft_close(lake.settings, july, **clock)
    soft_close(lake.settings, ana, **clock)
    with pytest.raises(ApprovalError, match="expected a proposed close of 2026-06, found none"):
        approve_close(lake.settings, ben, **clock)
    propose_close(lake.settings, ana, **clock)
    with pytest.raises(ApprovalError, match="expected another than ana"):
        approve_close(lake.settings, ana, **clock)

    lake.commit([event("c", "2026-06-20")])
    with pytest.raises(CloseRefusedError, match=r"up to commit 2, .* found one of commit 1: run `tollbook warehouse"):
        approve_close(lake.settings, ben, **clock)
    built(lake, "2026-07-06")
    with pytest.raises(CloseRefusedError, match="has changed since"):
        approve_close(lake.settings, ben, **clock)
    propose_close(lake.settings, ana, **clock)
    entry = approve_close(lake.settings, ben, **clock)
    assert (entry.lake_commit, entry.totals.calls, entry.proposed_by, entry.author) == (2, 2, "ana", "ben")
    with pytest.raises(CloseRefusedError, match="ben closed 2026-06"):
        soft_close(lake.settings, ana, **clock)

    # A close of another build than the published one, as one has that ends while a build is at work.
    path = entry_path(closes_log(lake.settings.lake), entry.number)
    told = path.read_bytes()
    path.write_bytes(told.replace(f'"build_number":{entry.build_number}'.encode(), b'"build_number":999'))
    with pytest.raises(CloseRefusedError, match="reference data in use"):
        soft_close(lake.settings, CloseRequest("2026-07", "ana", "r"), clock=lambda: at("2026-07-06"))
    path.write_bytes(told)

    # Closing June from this build changed nothing in it, so July may follow from the same one.
    before = lake.query(CHARGED)
    assert closed(lake, "2026-07", "2026-08-02").build_number == entry.build_number
    built(lake, "2026-08-02")
    assert lake.query(CHARGED) == before
    states = {each.period: (each.state, each.closed_by) for each in period_overview(lake.settings)}
    assert states == {"2026-06": ("closed", "ben"), "2026-07": ("closed", "ben")}


def test_frozen_files_that_were_changed_stop_the_build(lake: LakeBuilder, event: Any) -> None:
    """A statement that finance signed is never read as anything else."""
    lake.commit([event("a")])
    built(lake, "2026-07-05")
    entry = closed(lake, "2026-06", "2026-07-06")
    path = lake.settings.lake / next(file.path for file in entry.files if file.role == "charges")
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(CorruptManifestError, match=r"as it was frozen, SHA-256 .* restore it from a backup"):
        built(lake, "2026-07-07")


def test_unpriced_usage_closes_at_an_approved_estimate_and_the_price_is_a_correction(
    lake: LakeBuilder, event: Any, tmp_path: Path
) -> None:
    """110 tokens without a price, estimated at 1000 USD a million: 0.11. The price that comes later says 0.004."""
    lake.commit([event("a", list_cost=None, model="house")])
    built(lake, "2026-07-05")
    clock = {"clock": lambda: at("2026-07-06")}
    ana = CloseRequest("2026-06", "ana", "month end")
    soft_close(lake.settings, ana, **clock)
    with pytest.raises(CloseRefusedError, match="1 calls of openai house with 110 tokens have no price"):
        propose_close(lake.settings, ana, **clock)
    estimate = {
        "entry_id": "house",
        "provider": "openai",
        "model": "house",
        "usd_per_million_tokens": "1000",
        "valid_from": "2026-06-01",
        "known_from": "2026-07-05T00:00:00Z",
        "author": "ana",
        "approved_by": "ben",
        "reason": "pilot",
    }
    path = tmp_path / "estimates.yml"
    path.write_text(yaml.safe_dump({"price_estimates": 1, "entries": [estimate]}), encoding="utf-8")
    load_file(path, lake.settings, now=at("2026-07-06"))
    built(lake, "2026-07-06")
    closed(lake, "2026-06", "2026-07-06")
    lake.commit([event("a", revision=1, list_cost=usd(4), model="house")])
    built(lake, "2026-07-07")
    assert lake.query(CHARGED) == [
        ("2026-06", "search", "unpriced_estimate", None, 0, usd(110), None),
        ("2026-06", "search", "usage", None, 1, None, None),
        ("2026-07", "search", "unpriced_estimate", "Correction", 0, usd(-110), "2026-06"),
        ("2026-07", "search", "usage", "Correction", -1, None, "2026-06"),
        ("2026-07", "search", "usage", "Correction", 1, usd(4), "2026-06"),
    ]
    assert lake.query("select sum(effective_cost) from finance.fct_charges") == [(usd(4),)]


def test_a_dispute_stops_the_close_and_moves_what_was_upheld(lake: LakeBuilder, event: Any) -> None:
    """Search is charged 0.002 in June and disputes it: half was care's. Care is charged 0.001 already."""
    care = {"owner_team": "care", "owner_cost_center": "cc-20", "owner_business_unit": "services"}
    lake.commit([event("a"), event("b"), event("c", **care)])
    built(lake, "2026-07-05")
    ((line,),) = lake.query("select charge_id from finance.fct_charges where team = 'search'")
    clock = {"clock": lambda: at("2026-07-06")}
    dispute = open_dispute(lake.settings, line, author="search-lead", reason="half was care's", **clock)
    ana = CloseRequest("2026-06", "ana", "month end")
    soft_close(lake.settings, ana, **clock)
    with pytest.raises(CloseRefusedError, match="dispute 1 of search is open: half was care's"):
        propose_close(lake.settings, ana, **clock)
    move = Move(usd(1), "care")
    with pytest.raises(ApprovalError, match="expected another than search-lead"):
        resolve_dispute(
            lake.settings, dispute.number, upheld=True, author="search-lead", reason="r", move=move, **clock
        )
    resolve_dispute(lake.settings, dispute.number, upheld=True, author="ben", reason="agreed", move=move, **clock)
    with pytest.raises(MisuseError, match=r"of the 0\.0010* USD that the line's team still bears"):
        adjust_line(lake.settings, line, Move(usd(2), "care"), author="ben", reason="once more", **clock)
    built(lake, "2026-07-06")
    by_team = "select team, effective_cost, calls from finance.fct_chargeback_by_team order by all"
    assert lake.query(by_team) == [("care", usd(2), 1), ("search", usd(1), 2)]
    assert lake.query("select difference from finance.fct_roll_forward") == [(Decimal(0),)]
    closed(lake, "2026-06", "2026-07-07")
    assert read_closes(lake.settings.lake).of("2026-06").state == "closed"
