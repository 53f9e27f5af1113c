"""Frozen files: written once below `lake/closed/`, held against their digests whenever they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tollbook.closing.closes import CLOSED, FrozenFile
from tollbook.errors import CorruptManifestError
from tollbook.lake.log import sync_folder, write_synced
from tollbook.lake.remote import publish_files

CHARGES, CHARGE_ORIGINS, INVOICE_LINES, LINEAGE = "charges", "charge_origins", "invoice_lines", "lineage"
SETTLED: Final = (CHARGES, CHARGE_ORIGINS, INVOICE_LINES, LINEAGE)
"""Roles of the files that the warehouse reads back."""


def write_frozen(
    lake: Path, contents: Mapping[str, bytes], rows: Mapping[str, int], *, period: str, number: int
) -> list[FrozenFile]:
    """Write what was frozen below the lake, before the entry that names it; return the files.

    Files of an entry that was never written are replaced.

    Raises:
        LakeWriteError: The disk is full or read-only.
    """
    folder = lake / CLOSED / period
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, content in contents.items():
        path = folder / f"{number:08d}-{name}"
        path.unlink(missing_ok=True)
        write_synced(path, content)
        files.append(
            FrozenFile(
                role=name.rpartition(".")[0],
                path=path.relative_to(lake).as_posix(),
                rows=rows[name],
                bytes=len(content),
                sha256=sha256_of(content),
            )
        )
    sync_folder(folder)
    sync_folder(folder.parent)
    publish_files([file.path for file in files], lake)
    return files


def refuse_changed(lake: Path, files: Iterable[FrozenFile]) -> None:
    """Refuse frozen files that are not as they were written.

    Raises:
        CorruptManifestError: One is absent or has other bytes.
    """
    for file, found in _found(lake, files):
        if found != file.sha256:
            raise CorruptManifestError(
                f"expected {lake / file.path} as it was frozen, SHA-256 {file.sha256}, found {found or 'no file'}: "
                "restore it from a backup; what was closed is not made anew"
            )


def digest_of(digests: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256 over names and digests, by name."""
    return sha256_of("".join(f"{digest}  {name}\n" for name, digest in sorted(digests)).encode())


def _found(lake: Path, files: Iterable[FrozenFile]) -> Iterator[tuple[FrozenFile, str | None]]:
    for file in files:
        path = lake / file.path
        yield file, sha256_of(path.read_bytes()) if path.is_file() else None


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()
