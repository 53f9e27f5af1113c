"""The index of call keys: finds every date that tells of a call, and reads no more of the index than it must."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollbook.warehouse.keys import SAME_CALL_DAYS, find_cross_dates
from tollbook.warehouse.state import WarehouseFolder

if TYPE_CHECKING:
    from pathlib import Path

START = date(2026, 1, 1)
Telling = tuple[int, int, int]
"""Call, days after `START`, commit."""


def index_of(root: Path, tellings: list[Telling]) -> WarehouseFolder:
    """Write an index of made-up keys."""
    folder = WarehouseFolder(root)
    folder.keys.unlink(missing_ok=True)
    with duckdb.connect(folder.keys) as index:
        index.execute("create table call_keys (event_date date, commit_number bigint, call_key ubigint)")
        for call, day, commit in tellings:
            index.execute("insert into call_keys values (?, ?, ?)", [START + timedelta(days=day), commit, call])
    return folder


def islands(tellings: list[Telling], call: int) -> list[set[int]]:
    """Return the groups of days of one call that hang together, found the plain way."""
    groups: list[set[int]] = []
    for day in sorted({day for told, day, _ in tellings if told == call}):
        if groups and day - max(groups[-1]) <= SAME_CALL_DAYS:
            groups[-1].add(day)
        else:
            groups.append({day})
    return groups


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 150), st.integers(1, 4)), min_size=1, max_size=12),
    st.integers(0, 3),
)
def test_every_date_of_a_pending_call_is_touched(tmp_path: Path, tellings: list[Telling], built: int) -> None:
    """A date that loses or gains the standing telling must be made anew, however long the chain that leads to it."""
    folder = index_of(tmp_path, tellings)
    pending = {(call, day) for call, day, commit in tellings if commit > built}
    pending_days = {day for _, day in pending}

    found = find_cross_dates(
        folder, built_commit=built, pending_dates=sorted(START + timedelta(days=day) for day in pending_days)
    )

    touched = {(day - START).days for day in found.touched} | pending_days
    for call, day in pending:
        (group,) = [group for group in islands(tellings, call) if day in group]
        assert group <= touched
    known = {(row["call_key"], (row["event_date"] - START).days) for row in found.keys.to_pylist()}
    for call in {call for call, _, _ in tellings}:
        for group in islands(tellings, call):
            if len(group) > 1 and group & touched:
                assert {(call, day) for day in group} <= known


@pytest.mark.parametrize("day", [-SAME_CALL_DAYS - 1, SAME_CALL_DAYS + 1])
def test_id_that_is_further_away_touches_nothing(tmp_path: Path, day: int) -> None:
    """The bound keeps the cost of a build from growing with history."""
    folder = index_of(tmp_path, [(1, 100 + day, 1), (1, 100, 2)])

    found = find_cross_dates(folder, built_commit=1, pending_dates=[START + timedelta(days=100)])

    assert found.touched == frozenset()
    assert found.keys.num_rows == 0
