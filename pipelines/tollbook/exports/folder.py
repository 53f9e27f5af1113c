"""The folder of an export: all files at once, a manifest of them, and nothing written twice."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tollbook.errors import ExportChangedError, LakeWriteError
from tollbook.lake.log import log_lock, sync_folder, write_synced

MANIFEST: Final = "manifest.json"
_TEMPORARY_PREFIX: Final = ".new-"
_WRITERS: Final = 16


@dataclass(frozen=True, slots=True)
class Export:
    """An export as it lies on disk.

    Attributes:
        folder: Where it is.
        files: How many files it has, without the manifest.
        digest: Canonical digest: SHA-256 of the names and SHA-256 of its CSV files.
        written: Whether it was written now; it was there otherwise.
    """

    folder: Path
    files: int
    digest: str
    written: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "folder": str(self.folder),
            "files": self.files,
            "digest": self.digest,
            "state": "written" if self.written else "unchanged",
        }


def put_export(folder: Path, files: Mapping[str, bytes], facts: Mapping[str, Any]) -> Export:
    """Put files into a folder of their own, whole or not at all; one that is there is compared and stays.

    Args:
        folder: Where they go; its parent holds the versions of one billing period.
        files: Content by path below the folder, `/` between names.
        facts: What the manifest says beside the files' digests.

    Raises:
        ExportChangedError: The folder is there with other CSV files, or one of its files is not what its manifest says.
        LakeWriteError: The disk is full or read-only; nothing is left in the folder's place.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    digest = _canonical(digests)
    with log_lock(folder.parent, wait=True):
        for leftover in folder.parent.glob(f"{_TEMPORARY_PREFIX}*"):
            shutil.rmtree(leftover)
        if folder.exists():
            _hold_against(folder, digest)
            return Export(folder, len(files), digest, written=False)
        manifest = {
            **facts,
            "digest": digest,
            "files": {name: {"bytes": len(files[name]), "sha256": each} for name, each in digests.items()},
        }
        temporary = folder.with_name(f"{_TEMPORARY_PREFIX}{folder.name}")
        _write(temporary, {**files, MANIFEST: (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()})
        temporary.replace(folder)
        sync_folder(folder.parent)
    return Export(folder, len(files), digest, written=True)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for each in {(folder / name).parent for name in files}:
        each.mkdir(parents=True, exist_ok=True)
    try:
        # A disk takes many files at once in the time of a few: each waits until it is safe.
        with ThreadPoolExecutor(_WRITERS) as pool:
            for _ in pool.map(lambda name: write_synced(folder / name, files[name]), files):
                pass
    except LakeWriteError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for each in {(folder / name).parent for name in files}:
        sync_folder(each)


def _hold_against(folder: Path, digest: str) -> None:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        told = {name: each["sha256"] for name, each in manifest["files"].items()}
    except (FileNotFoundError, ValueError, KeyError) as fault:
        raise ExportChangedError(f"expected the manifest of an export at {folder / MANIFEST}, got: {fault}") from fault
    for name, expected in told.items():
        path = folder / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
        if found != expected:
            raise ExportChangedError(
                f"expected {path} as it was exported, SHA-256 {expected}, found {found}: move {folder} away to export "
                "it again"
            )
    if _canonical(told) != digest:
        raise ExportChangedError(
            f"expected {folder} to hold what would be exported now, digest {digest}, found {_canonical(told)}: it was "
            "made by another version of Tollbook or of another book; move it away to export it again"
        )


def _canonical(digests: Mapping[str, str]) -> str:
    text = "".join(f"{each}  {name}\n" for name, each in sorted(digests.items()) if name.endswith(".csv"))
    return hashlib.sha256(text.encode()).hexdigest()
