"""Sweeping tables with a log of their own: what no entry names, by who holds the log, and never after a loss."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, entry_path, log_lock
from tollbook.lake.parquet import parquet_writer, write_parquet
from tollbook.lake.sweep import LOGGED_TABLES, sweep_log, sweep_logged_tables

ROWS = pa.table({"a": [1]})


def write(lake: Path, table: str, number: int, *, named: bool = True) -> str:
    """Write a file of an entry, and the entry that names it."""
    path = f"{table}/event_date=2026-06-01/file-{number:020d}.parquet"
    write_parquet(lake, path, ROWS)
    if named:
        append(lake / table / "commits", number, json.dumps({"files": [{"path": path}], "more": 1}).encode())
    return path


@pytest.mark.parametrize("table", LOGGED_TABLES)
def test_what_no_entry_names_is_swept_and_the_rest_stays(tmp_path: Path, table: str) -> None:
    """A writer killed before its entry leaves files that must never be counted, and must not pile up."""
    kept = write(tmp_path, table, 1)
    orphan = write(tmp_path, table, 2, named=False)
    half = tmp_path / table / "event_date=2026-06-02" / ".file.parquet.tmp"
    half.parent.mkdir()
    half.write_bytes(b"PAR1")
    temporary = tmp_path / table / "commits" / f".{entry_path(Path(), 2).name}.7-ab.tmp"
    temporary.write_bytes(b"{")

    swept = sweep_logged_tables(tmp_path)

    assert set(swept) == {orphan, *(path.relative_to(tmp_path).as_posix() for path in (half, temporary))}
    assert (tmp_path / kept).exists()
    assert sweep_logged_tables(tmp_path) == []


def test_log_that_a_writer_holds_is_not_swept(tmp_path: Path) -> None:
    """A meter that starts while a rerate is at work must not delete what that is about to name."""
    write(tmp_path, "ratings", 1)
    on_its_way = write(tmp_path, "ratings", 2, named=False)
    orphan = write(tmp_path, "charges", 1, named=False)

    with log_lock(tmp_path / "ratings" / "commits"):
        assert sweep_logged_tables(tmp_path) == [orphan]

    assert (tmp_path / on_its_way).exists()


def test_lake_without_such_tables_has_nothing_to_sweep(tmp_path: Path) -> None:
    """Most lakes were never rated anew, and looking must not make folders."""
    assert sweep_logged_tables(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_table_whose_entries_are_gone_is_not_swept(tmp_path: Path) -> None:
    """A partial restore must not cost the data."""
    kept = write(tmp_path, "ratings", 1)
    (tmp_path / "ratings" / "commits").rename(tmp_path / "elsewhere")
    with pytest.raises(CorruptManifestError, match="restore them first"):
        sweep_log(tmp_path, "ratings")
    assert (tmp_path / kept).exists()


def test_file_of_an_entry_after_the_next_is_not_swept(tmp_path: Path) -> None:
    """Newer entries than the newest were lost; their files may count."""
    write(tmp_path, "ratings", 1)
    later = write(tmp_path, "ratings", 3, named=False)
    with pytest.raises(CorruptManifestError, match=r"entries of .* are missing"):
        sweep_log(tmp_path, "ratings")
    assert (tmp_path / later).exists()


def test_hole_in_the_log_is_not_swept_over(tmp_path: Path) -> None:
    """What the missing entry named would be deleted."""
    for number in (1, 2, 3):
        write(tmp_path, "ratings", number)
    entry_path(tmp_path / "ratings" / "commits", 2).unlink()
    with pytest.raises(CorruptManifestError, match="commit 2"):
        sweep_log(tmp_path, "ratings")


def test_entry_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Someone has to restore it by hand."""
    write(tmp_path, "ratings", 1)
    entry_path(tmp_path / "ratings" / "commits", 1).write_bytes(b'{"files": [{"pa')
    with pytest.raises(CorruptManifestError, match="expected entry 1"):
        sweep_log(tmp_path, "ratings")


def test_file_written_in_parts_is_whole_or_not_there(tmp_path: Path) -> None:
    """A writer that fails halfway leaves nothing under the name, and nothing beside it."""
    path = "ratings/event_date=2026-06-01/parts.parquet"
    writing = parquet_writer(tmp_path, path, ROWS.schema)
    writing.__enter__().write_table(ROWS)
    assert writing.__exit__(ValueError, ValueError("the rest cannot be had"), None) is not True
    assert list((tmp_path / path).parent.iterdir()) == []

    with parquet_writer(tmp_path, path, ROWS.schema) as writer:
        writer.write_table(ROWS)
        writer.write_table(ROWS)

    assert pq.read_table(tmp_path / path, partitioning=None).to_pydict() == {"a": [1, 1]}
