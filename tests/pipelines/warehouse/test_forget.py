"""Erasure: the person is gone from every file, every total stays, and a killed run is ended by the next one."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from tollbook.cli import build_app
from tollbook.contracts import contract
from tollbook.errors import ExpiredCommitError, MisuseError
from tollbook.lake.compaction import compact
from tollbook.lake.delta import delta_path
from tollbook.lake.erasure import Erased, erase
from tollbook.lake.erasures import digest_of, erasures, pseudonyms
from tollbook.lake.manifest import ERASURE, FileEntry, commit, newest, next_commit
from tollbook.lake.parquet import write_parquet
from tollbook.lake.person import Person
from tollbook.lake.snapshot import load_snapshot
from tollbook.lake.steps import listening
from tollbook.lake.traces import find_traces
from tollbook.lake.travel import files_in_force
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipelines.warehouse.conftest import LakeBuilder

LATER = datetime(2027, 1, 1, tzinfo=UTC)
ANNA = Person("u-anna")


class KilledError(Exception):
    """Stands for the kill of the process at a step."""


def forgotten(lake: LakeBuilder, person: Person = ANNA) -> Erased:
    """Erase a person."""
    return erase(lake.settings.lake, person, reason="request 17", clock=lambda: LATER)


def told(lake: LakeBuilder, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of the usage in force, in order of the event ids."""
    _, files = files_in_force(lake.settings.lake, table="usage")
    rows = pl.concat(
        [pl.read_parquet(lake.settings.lake / file.entry.path, hive_partitioning=False) for file in files],
        how="diagonal",
    )
    return rows.sort("event_id").select(*columns).rows()


def usage_by_person(lake: LakeBuilder) -> dict[str, int]:
    """Return calls under subscriptions by person, as they are published."""
    return dict(lake.query("select person, sum(calls)::bigint from insight.fct_subsidies group by all"))


def without_persons(lake: LakeBuilder) -> dict[str, Any]:
    """Return what is published but for the one mart that counts by person."""
    return {name: rows for name, rows in lake.everything().items() if name != "insight.fct_subsidies"}


def two_people(lake: LakeBuilder, event: Any) -> None:
    """Commit calls of Anna, Bert and of one whose id begins with Anna's; compact the first of them."""
    anna = {"principal_id": "u-anna", "conversation_id": "c-1", "tags": {"seat": "12"}, "subscription_id": "plan"}
    bert = {"principal_id": "u-bert", "conversation_id": "c-2", "tags": {"seat": "13"}, "subscription_id": "plan"}
    lake.commit([event("a", **anna), event("b", **bert)])
    lake.commit([event("c", "2026-06-02", **anna, credential_id="u-anna")])
    compact(lake.settings.lake, until=LATER, clock=lambda: LATER)
    lake.commit([event("d", principal_id="u-bert", tags={"on_behalf_of": "u-anna", "seat": "13"})])
    lake.commit([event("e", principal_id="u-anna2", conversation_id="u-annabel")])


def commit_dead_letters(lake: Path, table: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """Commit rows of rejects or of unparsed records."""
    before = newest(lake)
    assert before is not None
    path = f"{table}/ingest_date=2026-06-01/llm.usage-0-{before.commit:020d}-e1.parquet"
    size = write_parquet(lake, path, pa.Table.from_pylist(rows, schema=schema))
    version = 2 if table == "rejects" else 1
    entry = FileEntry(
        table=table, path=path, event_date="2026-06-01", rows=len(rows), bytes=size, schema_version=version
    )
    commit(lake, next_commit(before, kind="meter", writer="test", now=LATER, files=[entry]))


def test_a_person_leaves_every_file_and_totals_stay(lake: LakeBuilder, event: Any) -> None:
    """An erasure request must be answered with yes, by a book that still balances to the pico-dollar."""
    two_people(lake, event)
    lake.commit([event("f", subscription_id="plan")])
    build(lake.settings)
    before = without_persons(lake)
    names = pseudonyms(lake.settings.lake)
    unknown = "unknown"
    assert usage_by_person(lake) == {names.of("u-anna"): 2, names.of("u-bert"): 1, unknown: 1}

    done = forgotten(lake)

    # a and c of her own, and d that names her in a tag.
    assert (done.usage_rows, done.rewritten_files) == (3, 3)
    assert find_traces(lake.settings.home, ANNA) == []
    assert told(lake, "event_id", "principal_id", "conversation_id", "credential_id") == [
        ("a", None, None, None),
        ("b", "u-bert", "c-2", None),
        ("c", None, None, None),
        ("d", "u-bert", None, None),
        ("e", "u-anna2", "u-annabel", None),
        ("f", None, None, None),
    ]
    assert build(lake.settings).event_dates == 0
    assert without_persons(lake) == before
    # What counts by person has her usage among what is nobody's, as a full refresh makes it.
    assert usage_by_person(lake) == {names.of("u-bert"): 1, unknown: 3}
    after = lake.everything()
    build(lake.settings, full_refresh=True)
    assert lake.everything() == after
    assert lake.total() == (6, 600, 60, Decimal("0.006"))


def test_other_tags_of_other_people_stay(lake: LakeBuilder, event: Any) -> None:
    """Only the entry that names the person goes from a row of someone else."""
    two_people(lake, event)

    forgotten(lake)

    tags = {name: held or {} for name, held in told(lake, "event_id", "tags")}
    assert tags == {"a": {}, "b": {"seat": "13"}, "c": {}, "d": {"seat": "13"}, "e": {}}


def test_dead_letters_lose_their_bytes_and_count_on(lake: LakeBuilder, event: Any) -> None:
    """A record that was not accepted may hold the person in any shape, packed or in JSON's escapes."""
    lake.commit([event("a")])
    root = lake.settings.lake
    schema = contract("rejected_record", 2).arrow_schema
    values = [
        json.dumps({"principal_id": "u-anna"}).encode(),
        gzip.compress(b'{"user": "u-anna"}'),
        b'{"user": "u-annabel"}',
    ]
    rows = [
        {"reject_id": f"llm.usage:0:{n}", "offset": n, "value_state": "whole", "value": value, "got": "x"}
        for n, value in enumerate(values)
    ]
    commit_dead_letters(root, "rejects", rows, schema)
    unparsed = pa.schema([("reject_id", pa.string()), ("value", pa.binary())])
    commit_dead_letters(root, "unparsed", [{"reject_id": "x", "value": b"{u-anna"}, {"reject_id": "y"}], unparsed)
    commit_dead_letters(root, "unparsed", [{"reject_id": "z", "value": b"u-anna}"}], unparsed)

    done = forgotten(lake)

    assert (done.usage_rows, done.reject_rows, done.unparsed_rows, done.deleted_files) == (0, 2, 2, 3)
    snapshot = load_snapshot(root)
    assert snapshot is not None
    (rejects,) = snapshot.of("rejects")
    (left,) = snapshot.of("unparsed")
    held = pl.read_parquet(root / rejects.entry.path, hive_partitioning=False)
    assert held.select("offset", "value_state", "value").rows() == [
        (0, "unparsed", None),
        (1, "unparsed", None),
        (2, "whole", b'{"user": "u-annabel"}'),
    ]
    assert pl.read_parquet(root / left.entry.path, hive_partitioning=False)["reject_id"].to_list() == ["y"]
    assert find_traces(lake.settings.home, ANNA) == []


def test_past_that_had_the_person_is_gone_and_says_so(lake: LakeBuilder, event: Any) -> None:
    """Time travel must not bring back who was erased."""
    two_people(lake, event)
    done = forgotten(lake)

    with pytest.raises(ExpiredCommitError, match=rf"commit {done.lake_commit} erased a person from them .*request 17"):
        files_in_force(lake.settings.lake, table="usage", commit=2)

    snapshot, files = files_in_force(lake.settings.lake, table="usage")
    assert snapshot is not None
    assert (snapshot.manifest.kind, snapshot.manifest.reason, len(files)) == (ERASURE, "request 17", 3)
    (erasure,) = erasures(lake.settings.lake)
    assert erasure.digest == digest_of(lake.settings.lake, "u-anna")
    assert erasure.digest != digest_of(lake.settings.lake, "u-bert")


def test_delta_table_and_its_past_lose_the_person(lake: LakeBuilder, event: Any) -> None:
    """Other engines read the same usage, so the erasure reaches them and the versions that they could go back to."""
    two_people(lake, event)
    table = delta_path(lake.settings.lake)
    assert pl.read_delta(str(table)).filter(pl.col("principal_id") == "u-anna").height == 2

    forgotten(lake)

    now = pl.read_delta(str(table))
    assert now.filter(pl.col("principal_id") == "u-anna").height == 0
    files = load_snapshot(lake.settings.lake)
    assert files is not None
    assert now.height == sum(file.entry.rows for file in files.of("usage") if "upkeep-" in file.entry.path)


@pytest.mark.parametrize("step", ["file_renamed", "entry_written", "entry_linked"])
@pytest.mark.parametrize("times", [1, 2])
def test_killed_erasure_is_ended_by_the_next_one(lake: LakeBuilder, event: Any, step: str, times: int) -> None:
    """Half an erasure is none: whatever it was doing, running it again leaves nothing of the person."""
    two_people(lake, event)
    left = [times]

    def kill(reached: str) -> None:
        left[0] -= reached == step
        if reached == step and left[0] == 0:
            raise KilledError

    with listening(kill), pytest.raises(KilledError):
        forgotten(lake)

    forgotten(lake)
    assert find_traces(lake.settings.home, ANNA) == []
    assert [row[0] for row in told(lake, "principal_id")] == [None, "u-bert", None, "u-bert", "u-anna2"]
    assert forgotten(lake) == Erased()


def test_command_lists_what_is_not_its_to_change(lake: LakeBuilder, event: Any) -> None:
    """An identifier that was used as an agent's name is part of the marts' grain: it is found, told, and left."""
    lake.commit([event("a", principal_id="u-anna", agent="u-anna")])
    arguments = ["forget", "--principal", "u-anna", "--home", str(lake.settings.home), "--json"]

    ran = CliRunner().invoke(build_app(), [*arguments, "--reason", "request 17"])

    assert ran.exit_code == 1
    assert "run `tollbook warehouse build`" in ran.stderr
    facts = json.loads(ran.stdout)
    assert facts["usage_rows"] == 1
    assert [(each["column"], each["rows"]) for each in facts["left"] if each["column"]] == [("agent", 1)] * 2
    with pytest.raises(MisuseError, match="a reason that does not name the person"):
        CliRunner().invoke(build_app(), [*arguments, "--reason", "for u-anna"], catch_exceptions=False)
    with pytest.raises(MisuseError, match="got an empty text"):
        Person(" ")


def test_dry_run_counts_and_changes_nothing(lake: LakeBuilder, event: Any) -> None:
    """Who answers a request looks first."""
    two_people(lake, event)
    before = newest(lake.settings.lake)

    done = erase(lake.settings.lake, ANNA, reason="request 17", clock=lambda: LATER, dry_run=True)

    assert (done.usage_rows, done.lake_commit, done.dry_run) == (3, 0, True)
    assert newest(lake.settings.lake) == before
