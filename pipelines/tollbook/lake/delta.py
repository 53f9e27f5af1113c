"""The Delta log: what is compacted of the usage can be read as a Delta table, by engines that know nothing of us.

The table `delta/usage` has the rows of every merged usage file in force. Its files are the lake's own, under a second
name (a hard link), so nothing is copied, whoever cleans the table takes nothing from the lake, and the folder can be
moved; in an object store, which has no second names, they are copies that the store makes by itself. One commit of the
table stands for one commit of the lake, whose number it bears as the transaction of the application `tollbook`: a
commit that is made is not made again, and one that a kill prevented is made by the next upkeep.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from tollbook.contracts import contract
from tollbook.errors import LakeWriteError
from tollbook.lake.layout import USAGE, is_upkeep_file
from tollbook.lake.log import sync_folder
from tollbook.lake.merge import USAGE_VERSION
from tollbook.lake.remote import located
from tollbook.lake.snapshot import LiveFile, load_snapshot
from tollbook.lake.working_copy import remote_of

if TYPE_CHECKING:
    from deltalake import DeltaTable

APPLICATION: Final = "tollbook"
KEEP_HOURS: Final = 7 * 24
"""How long files that left the table can be read by its older versions. Unit: Hours."""

_FOLDER: Final = f"delta/{USAGE}"
_OPTIONS: Final = {"allow_http": "true"}  # for an endpoint that says so itself; an object store's own is HTTPS
_PARTITION: Final = "event_date"


@dataclass(frozen=True, slots=True)
class DeltaCommit:
    """What a look at the Delta table did.

    Attributes:
        version: Version of the table, None where there is none.
        lake_commit: Newest commit of the lake when it was looked at.
        added: Files that came to it.
        removed: Files that left it.
    """

    version: int | None
    lake_commit: int
    added: int
    removed: int


def delta_path(lake: Path) -> Path:
    """Return the folder of the Delta table of usage, of a lake on disk."""
    return lake / _FOLDER


def sync_delta(lake: Path) -> DeltaCommit:
    """Commit to the Delta table what the lake's newest commit changed of the merged usage, if anything.

    The caller holds the lock of upkeep.

    Raises:
        LakeWriteError: The disk is full or read-only; the table is as it was.
    """
    snapshot = load_snapshot(lake)
    merged = [file for file in snapshot.of(USAGE) if is_upkeep_file(file.entry.path)] if snapshot is not None else []
    table = _open(lake)
    if snapshot is None or (table is None and not merged):
        return DeltaCommit(None, 0, 0, 0)
    wanted = {file.entry.path.removeprefix(f"{USAGE}/"): file for file in merged}
    if table is None:
        table = _create(lake)
    held = _files(table)
    added, removed = sorted(wanted.keys() - held.keys()), sorted(held.keys() - wanted.keys())
    number = snapshot.manifest.commit
    if added or removed:
        for name in added:
            _link(lake, name)
        _commit(table, number, {name: wanted[name] for name in added}, {name: held[name] for name in removed})
    return DeltaCommit(table.version(), number, len(added), len(removed))


def clean_delta(lake: Path, *, keep_hours: int = KEEP_HOURS) -> int:
    """Delete files that left the Delta table `keep_hours` ago or before, and return how many those were.

    The caller holds the lock of upkeep. The lake's own names of the same files are not touched.
    """
    table = _open(lake)
    if table is None:
        return 0
    deleted = table.vacuum(retention_hours=keep_hours, dry_run=False, enforce_retention_duration=False, full=True)
    return len(deleted)


def committed_lake_commit(lake: Path) -> int | None:
    """Return the newest commit of the lake that changed the Delta table, None where there is no table."""
    table = _open(lake)
    return table.transaction_version(APPLICATION) if table is not None else None


def _open(lake: Path) -> DeltaTable | None:
    from deltalake import DeltaTable

    where = located(lake, _FOLDER)
    return DeltaTable(where, storage_options=_OPTIONS) if DeltaTable.is_deltatable(where, _OPTIONS) else None


def _create(lake: Path) -> DeltaTable:
    from deltalake import DeltaTable

    return DeltaTable.create(
        located(lake, _FOLDER),
        schema=_schema(),
        partition_by=[_PARTITION],
        name=USAGE,
        description="Usage of AI models, one row a telling: usage_record/v2 of Tollbook, as of its last compaction.",
        storage_options=_OPTIONS,
    )


def _schema() -> Any:
    shape: pa.Schema = contract("usage_record", USAGE_VERSION).arrow_schema
    return shape.append(pa.field(_PARTITION, pa.date32()))


def _files(table: DeltaTable) -> dict[str, dict[str, Any]]:
    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return {action["path"]: action for action in actions}


def _link(lake: Path, name: str) -> None:
    """Give a file of the lake its second name; a file system without hard links, or an object store, gets a copy."""
    if (remote := remote_of(lake)) is not None:
        remote.store.copy(f"{USAGE}/{name}", f"{_FOLDER}/{name}")
        return
    source, target = lake / USAGE / name, delta_path(lake) / name
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except PermissionError:
            shutil.copyfile(source, target)
        sync_folder(target.parent)
    except OSError as failed:
        raise LakeWriteError(f"expected to name {source} as {target}, got: {failed.strerror or failed}") from failed


def _commit(table: DeltaTable, number: int, added: dict[str, LiveFile], removed: dict[str, dict[str, Any]]) -> None:
    from deltalake import CommitProperties, Transaction
    from deltalake.transaction import AddAction, RemoveAction

    now = int(datetime.now(UTC).timestamp() * 1000)
    actions: list[AddAction | RemoveAction] = [
        AddAction(
            path=name,
            size=file.entry.bytes,
            partition_values={_PARTITION: file.entry.event_date},
            modification_time=now,
            data_change=True,
            stats=json.dumps({"numRecords": file.entry.rows}),
        )
        for name, file in added.items()
    ]
    actions += [
        RemoveAction(
            path=name,
            data_change=True,
            deletion_timestamp=now,
            size=action["size_bytes"],
            partition_values={_PARTITION: str(action[f"partition.{_PARTITION}"])},
        )
        for name, action in removed.items()
    ]
    table.create_write_transaction(
        actions,
        mode="append",
        schema=_schema(),
        partition_by=[_PARTITION],
        commit_properties=CommitProperties(app_transactions=[Transaction(APPLICATION, number)]),
    )
    table.update_incremental()
