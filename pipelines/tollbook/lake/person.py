"""A person, as records name them: how to find the identifier, and what of a row goes with it.

Of a row that the person asked for, `principal_id`, `conversation_id` and `tags` go. Elsewhere a field goes that is the
identifier itself. What a call is known and counted by stays: its event id, place, task, workflow, agent and owner.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import zstandard

from tollbook.errors import MisuseError

_WITH_THE_PERSON: Final = ("conversation_id", "tags")
_WHERE_EQUAL: Final = (
    "credential_id",
    "subscription_id",
    "customer_id",
    "project_id",
    "operation_id",
    "call_id",
    "parent_call_id",
    "trace_id",
    "action_reason",
)
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_MAX_UNPACKED_BYTES: Final = 16 * 1024 * 1024
_WORD: Final = rb"[A-Za-z0-9_]"
_ERASED: Final = "erased"
_LIES_APART: Final = "unparsed"


@dataclass(frozen=True, slots=True)
class Person:
    """Who is to be forgotten.

    Attributes:
        principal_id: The identifier, as it is stored.
    """

    principal_id: str

    def __post_init__(self) -> None:
        if not self.principal_id.strip():
            raise MisuseError("expected a principal, as `principal_id` is stored, got an empty text")

    def condition(self) -> str:
        """Return an SQL condition over `usage`: the row names the person."""
        told = self._literal()
        equal = " or ".join(f"usage.{name} = {told}" for name in ("principal_id", "conversation_id", *_WHERE_EQUAL))
        return f"({equal} or coalesce(list_contains(map_values(usage.tags), {told}), false))"

    def columns(self) -> dict[str, str]:
        """Return SQL over `usage` for the columns that change, by name."""
        told = self._literal()
        asked = f"coalesce(usage.principal_id = {told}, false)"
        others = f"list_filter(map_entries(usage.tags), lambda tag: tag.value <> {told})"
        left = (
            f"case when {asked} or usage.tags is null then null "
            f"when list_contains(map_values(usage.tags), {told}) then map_from_entries({others}) else usage.tags end"
        )
        return {
            "principal_id": f"nullif(usage.principal_id, {told})",
            "conversation_id": f"case when {asked} then null else nullif(usage.conversation_id, {told}) end",
            "tags": left,
        } | {name: f"nullif(usage.{name}, {told})" for name in _WHERE_EQUAL}

    def pattern(self) -> re.Pattern[bytes]:
        """Return what finds the identifier in bytes, plain or as JSON writes it, but not within a longer one."""
        plain = self.principal_id.encode()
        escaped = json.dumps(self.principal_id)[1:-1].encode("ascii")
        forms = b"|".join(sorted({re.escape(plain), re.escape(escaped)}))
        return re.compile(rb"(?<!" + _WORD + rb")(?:" + forms + rb")(?!" + _WORD + rb")")

    def text_pattern(self) -> str:
        """Return the same for texts, as DuckDB's regular expressions are written."""
        return f"(^|[^A-Za-z0-9_]){re.escape(self.principal_id)}($|[^A-Za-z0-9_])"

    def is_in_row(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row of rejects or unparsed records names the person anywhere."""
        return any(self._is_in(value) for value in row.values())

    def erased_reject(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a reject without what was kept of its record. It counts on, and cannot be replayed any more."""
        gone = {"value": None, "record_key": None, "headers": None, "value_state": _LIES_APART, "got": _ERASED}
        return {name: gone.get(name, value) for name, value in row.items()}

    def _is_in(self, value: Any) -> bool:
        if isinstance(value, bytes):
            return self.pattern().search(_unpacked(value)) is not None
        if isinstance(value, str):
            return self.pattern().search(value.encode()) is not None
        if isinstance(value, (list, tuple)):
            return any(self._is_in(each) for each in value)
        return False

    def _literal(self) -> str:
        return "'" + self.principal_id.replace("'", "''") + "'"


def _unpacked(value: bytes) -> bytes:
    """Return the bytes of a record, unpacked where they were kept as they came; what cannot be unpacked as it is."""
    try:
        if value.startswith(_GZIP):
            return gzip.decompress(value)[:_MAX_UNPACKED_BYTES]
        if value.startswith(_ZSTD):
            return zstandard.ZstdDecompressor().decompressobj().decompress(value)[:_MAX_UNPACKED_BYTES]
    except (OSError, EOFError, zlib.error, zstandard.ZstdError):
        return value
    return value
