"""What was known when: every state of the reference files that was ever in use, kept whole in the lake.

`lake/reference/documents/commits/` is a numbered log. An entry lists all files that were in use from then on, each with
its digest, and holds those that no entry before it has. So the reference data of any past instant can be had again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, entries_after, log_lock, newest_number, read_entry

TABLE: Final = "reference/documents"
_VERSION_DIGITS: Final = 16


class RecordedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One file in use.

    Attributes:
        path: Where it lay, below the reference folder, with `/`.
        sha256: Digest of its bytes.
        entry: Entry of the log that holds its text.
    """

    path: str
    sha256: str
    entry: int


class RecordedReference(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the log: the files in use from an instant until that of the next entry.

    Attributes:
        number: Number of the entry, from 1.
        recorded_at: Since when they were in use, UTC.
        version: Digest over all of them.
        documents: The files, by path.
        texts: Digest to text, of those that are new.
    """

    number: int
    recorded_at: datetime
    version: str
    documents: list[RecordedDocument]
    texts: dict[str, str]


def record_reference(lake: Path, reference: Path, recorded_at: datetime) -> RecordedReference | None:
    """Keep the reference files that are in use; return their entry. Recording again what is in use writes nothing.

    Args:
        lake: Folder of the lake.
        reference: Folder of the reference files.
        recorded_at: Since when they are in use, with a time zone.

    Returns:
        The entry of what is in use; None where there never was a file.

    Raises:
        CorruptManifestError: Entries are missing or cannot be read.
    """
    texts = {path.relative_to(reference).as_posix(): path.read_text("utf-8") for path in _files(reference)}
    digests = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}
    version = _version(digests)
    before = newest_reference(lake)
    if before is None and not texts:
        return None
    if before is not None and before.version == version:
        return before
    folder = _log(lake)
    with log_lock(folder, wait=True):
        entries = recorded_references(lake)
        if entries and entries[-1].version == version:
            return entries[-1]
        held = {each.sha256: each.entry for entry in entries for each in entry.documents}
        number = len(entries) + 1
        # Time goes forward in the log, whatever a clock says.
        since = max([recorded_at.astimezone(UTC), *(entry.recorded_at for entry in entries[-1:])])
        entry = RecordedReference(
            number=number,
            recorded_at=since,
            version=version,
            documents=[
                RecordedDocument(path=path, sha256=digest, entry=held.get(digest, number))
                for path, digest in sorted(digests.items())
            ],
            texts={digest: texts[path] for path, digest in sorted(digests.items()) if digest not in held},
        )
        append(folder, number, msgspec.json.encode(entry))
    return entry


def newest_reference(lake: Path) -> RecordedReference | None:
    """Return the entry of what is in use, None where nothing was recorded."""
    number = newest_number(_log(lake))
    return _decode(lake, number, read_entry(_log(lake), number)) if number else None


def recorded_references(lake: Path) -> list[RecordedReference]:
    """Return every entry, the oldest first.

    Raises:
        CorruptManifestError: Entries are missing or cannot be read.
    """
    return [_decode(lake, number, encoded) for number, encoded in entries_after(_log(lake), 0)]


def reference_as_of(lake: Path, known_at: datetime) -> dict[str, str] | None:
    """Return the reference files that were in use at an instant, path below the folder to text; None before the first.

    Raises:
        CorruptManifestError: An entry is missing, or a text is not what was recorded.
    """
    entries = recorded_references(lake)
    known = [entry for entry in entries if entry.recorded_at <= known_at]
    return dict(_texts(lake, known[-1], entries)) if known else None


def restore_reference(lake: Path, known_at: datetime, folder: Path) -> RecordedReference | None:
    """Write the reference files that were in use at an instant into an empty folder; return their entry.

    Raises:
        CorruptManifestError: An entry is missing, or a text is not what was recorded.
    """
    entries = recorded_references(lake)
    known = [entry for entry in entries if entry.recorded_at <= known_at]
    for path, text in _texts(lake, known[-1], entries) if known else ():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    return known[-1] if known else None


def _texts(lake: Path, entry: RecordedReference, entries: list[RecordedReference]) -> Iterator[tuple[str, str]]:
    for document in entry.documents:
        text = entries[document.entry - 1].texts.get(document.sha256)
        if text is None or hashlib.sha256(text.encode()).hexdigest() != document.sha256:
            raise CorruptManifestError(
                f"expected {document.path} in entry {document.entry} of {_log(lake)} as it was recorded, found another"
            )
        yield document.path, text


def _files(reference: Path) -> Iterator[Path]:
    return (path for path in sorted(reference.rglob("*.y*ml")) if not path.name.startswith("."))


def _version(digests: dict[str, str]) -> str:
    lines = "\n".join(f"{path} {digest}" for path, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:_VERSION_DIGITS]


def _log(lake: Path) -> Path:
    return lake / TABLE / "commits"


def _decode(lake: Path, number: int, encoded: bytes) -> RecordedReference:
    try:
        return msgspec.json.decode(encoded, type=RecordedReference)
    except msgspec.MsgspecError as broken:
        raise CorruptManifestError(f"expected entry {number} of {_log(lake)}, got: {broken}") from broken
