"""Rejects as text for a terminal: whatever a sender wrote, it cannot move the cursor, colour or hide anything."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tollbook.deadletters.filters import ALL, RejectFilter
from tollbook.deadletters.find import Reject, find_rejects, kept_rows, rejects_in_order, unparsed_values
from tollbook.errors import MisuseError
from tollbook.formats.decoder import SCRUBBED, UNPARSED, WHOLE

SHOWN_BYTES: Final = 4_096
_STATES: Final[Mapping[str, str]] = {
    WHOLE: "whole: the record's bytes as they came",
    SCRUBBED: "scrubbed: what is left without all that could be content",
    UNPARSED: "unparsed: it could not be read as fields; its bytes lie apart and expire",
}


def harmless(text: str) -> str:
    """Return a text in which every character that does not print, such as an escape, is written as its code."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def harmless_bytes(value: bytes, *, limit: int = SHOWN_BYTES) -> str:
    """Return bytes as harmless text, those after `limit` only counted."""
    text = harmless(value[:limit].decode("utf-8", "backslashreplace"))
    return text if len(value) <= limit else f"{text} ... and {len(value) - limit:,} more bytes"


def whole_reject(lake: Path, reject_id: str) -> tuple[Reject, dict[str, Any]]:
    """Return one reject, and its row as `rejected_record` with its bytes in `value`, null where they have expired.

    Raises:
        MisuseError: The lake has none of this id.
    """
    wanted = RejectFilter(ids=(reject_id,), state=ALL)
    found = find_rejects(lake, wanted, limit=1)
    if not found.rejects:
        raise MisuseError(f"expected the id of a reject in {lake}, it has none of {reject_id!r}: see `rejects list`")
    paths = rejects_in_order(lake, wanted)["path"].to_pylist()
    (row, *_) = kept_rows(paths, [reject_id])
    if row["value_state"] == UNPARSED:
        row["value"] = unparsed_values(lake, [reject_id]).get(reject_id)
    return found.rejects[0], row


def as_lines(reject: Reject, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is known of a reject as pairs of name and harmless text."""
    lines = [
        (name, harmless(str(value)))
        for name, value in asdict(reject).items()
        if value is not None and name not in {"value_state", "value_bytes", "value_sha256"}
    ]
    if row["record_key"] is not None:
        lines.append(("record_key", harmless_bytes(row["record_key"])))
    lines += [(f"header {harmless(name)}", harmless_bytes(value)) for name, value in row["headers"] or ()]
    lines.append(("came as", f"{reject.value_bytes:,} bytes, sha256 {reject.value_sha256}"))
    lines.append(("kept is", _STATES[reject.value_state]))
    if row["value_format"] not in {None, reject.format}:
        lines.append(("kept as", str(row["value_format"])))
    value = row["value"]
    lines.append(("value", "expired: the bytes are deleted" if value is None else harmless_bytes(value)))
    return lines


def as_document(reject: Reject, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a reject for JSON: times in RFC 3339, bytes in base64."""
    document = plain(reject)
    document["value_format"] = row["value_format"]
    document["record_key_base64"] = _base64(row["record_key"])
    document["headers_base64"] = {name: _base64(value) for name, value in row["headers"] or ()}
    document["value_base64"] = _base64(row["value"])
    return document


def plain(found: Any) -> dict[str, Any]:
    """Return a dataclass as JSON takes it, times in RFC 3339."""
    return {name: each.isoformat() if hasattr(each, "isoformat") else each for name, each in asdict(found).items()}


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")
