"""Names in the lake, and sweeping what no manifest names."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from tollbook.errors import CorruptManifestError, LakeLockedError, LakeWriteError
from tollbook.lake.layout import chunk_name, data_path, expire_unparsed, sweep_orphans
from tollbook.lake.lock import writer_lock
from tollbook.lake.manifest import FileEntry, Manifest, commit
from tollbook.lake.parquet import write_parquet

ROWS = pa.table({"a": [1]})


def test_a_name_says_where_its_rows_came_from() -> None:
    """Any amount walks back to its offsets."""
    name = chunk_name("llm.usage", 3, 10, 20, 2)
    assert data_path("usage", "2026-06-01", name) == (
        "usage/event_date=2026-06-01/llm.usage-3-00000000000000000010-00000000000000000020-e2.parquet"
    )


@pytest.mark.parametrize("topic", ["../escape", "a/b", "", "a b", "x" * 250])
def test_a_name_that_is_no_topic_never_becomes_a_path(topic: str) -> None:
    """File names made from outside values stay inside the lake."""
    with pytest.raises(ValueError, match="Kafka topic name"):
        chunk_name(topic, 0, 0, 1, 1)


def test_files_that_no_manifest_names_are_swept_and_others_stay(tmp_path: Path) -> None:
    """A writer killed before its commit leaves files that must never be counted."""
    kept = data_path("usage", "2026-06-01", chunk_name("t", 0, 0, 1, 1))
    orphan = data_path("usage", "2026-06-01", chunk_name("t", 0, 1, 2, 1))
    write_parquet(tmp_path, kept, ROWS)
    write_parquet(tmp_path, orphan, ROWS)
    half = tmp_path / "usage" / "event_date=2026-06-01" / ".x.parquet.tmp"
    half.write_bytes(b"PAR1")
    commit(tmp_path, _manifest(1, 1, kept))
    assert sweep_orphans(tmp_path) == sorted([orphan, half.relative_to(tmp_path).as_posix()])
    assert (tmp_path / kept).exists()
    assert sweep_orphans(tmp_path) == []


def test_a_lake_whose_manifests_are_gone_is_not_swept(tmp_path: Path) -> None:
    """An unmounted folder or a partial restore must not cost the data."""
    kept = data_path("usage", "2026-06-01", chunk_name("t", 0, 0, 1, 3))
    write_parquet(tmp_path, kept, ROWS)
    commit(tmp_path, _manifest(1, 3, kept))
    (tmp_path / "commits").rename(tmp_path / "elsewhere")
    with pytest.raises(CorruptManifestError, match="restore them first"):
        sweep_orphans(tmp_path)
    assert (tmp_path / kept).exists()


def test_a_file_of_an_epoch_without_manifests_is_not_swept(tmp_path: Path) -> None:
    """Newer manifests than the newest were lost; their files may count."""
    kept = data_path("usage", "2026-06-01", chunk_name("t", 0, 0, 1, 3))
    newer = data_path("usage", "2026-06-01", chunk_name("t", 0, 1, 2, 7))
    for path in (kept, newer):
        write_parquet(tmp_path, path, ROWS)
    commit(tmp_path, _manifest(1, 3, kept))
    with pytest.raises(CorruptManifestError, match="manifests are missing"):
        sweep_orphans(tmp_path)
    assert (tmp_path / newer).exists()


def _manifest(number: int, epoch: int, path: str) -> Manifest:
    return Manifest(
        commit=number,
        epoch=epoch,
        writer="w",
        committed_at=datetime(2026, 6, 1, tzinfo=UTC),
        schema_versions={},
        catalogue_version="c",
        reference_version="none",
        files=[FileEntry(table="usage", path=path, event_date="2026-06-01", rows=1, bytes=1)],
        offsets={},
        totals={},
    )


def test_unparsed_bytes_expire_after_their_days(tmp_path: Path) -> None:
    """What cannot be parsed may hold content, so it does not stay."""
    for date in ("2026-06-01", "2026-06-02", "2026-06-03"):
        write_parquet(tmp_path, data_path("unparsed", date, "x"), ROWS)
    now = datetime(2026, 6, 16, 12, tzinfo=UTC)
    assert expire_unparsed(tmp_path, now=now, keep_days=14) == ["ingest_date=2026-06-01", "ingest_date=2026-06-02"]
    assert [path.name for path in (tmp_path / "unparsed").iterdir()] == ["ingest_date=2026-06-03"]


def test_a_second_meter_is_refused_and_told_who_holds_the_lake(tmp_path: Path) -> None:
    """Two meters would read the same offsets."""
    with writer_lock(tmp_path), pytest.raises(LakeLockedError, match=f"process {os.getpid()}"), writer_lock(tmp_path):
        pass
    with writer_lock(tmp_path):
        pass


def test_a_file_that_cannot_be_written_leaves_nothing_under_its_name(tmp_path: Path) -> None:
    """A full disk must end in a clear error and a clean restart."""
    (tmp_path / "usage").write_text("in the way")
    with pytest.raises(LakeWriteError, match=r"usage/event_date=2026-06-01/x\.parquet"):
        write_parquet(tmp_path, "usage/event_date=2026-06-01/x.parquet", ROWS)
