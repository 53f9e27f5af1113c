"""Which rejects are meant: by what they say, where they stood on Kafka, when they came and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

from tollbook.errors import MisuseError
from tollbook.formats.reasons import REASONS
from tollbook.formats.registry import format_named
from tollbook.lake.manifest import FileEntry

OPEN, REPLAYED, DISMISSED, ALL = "open", "replayed", "dismissed", "all"
STATES: Final = (OPEN, REPLAYED, DISMISSED, ALL)

_PLACE_PARTS: Final = (3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectFilter:
    """Which rejects are meant; every condition that is given must hold.

    Attributes:
        ids: Their ids; any of them.
        reasons: Codes of `REASONS`; any of them.
        topics: Topics that they came from; any of them.
        partition: Partition that they came from.
        from_offset: First offset.
        to_offset: Offset after the last.
        formats: Formats that they were read as; any of them.
        source: `source` that their events tell, where that is known.
        reporter: `reporter` that their events tell, where that is known.
        rejected_from: Earliest time of rejection, UTC.
        rejected_to: Time of rejection after the last, UTC.
        state: `open`, `replayed`, `dismissed` or `all`.
    """

    ids: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    partition: int | None = None
    from_offset: int | None = None
    to_offset: int | None = None
    formats: tuple[str, ...] = ()
    source: str | None = None
    reporter: str | None = None
    rejected_from: datetime | None = None
    rejected_to: datetime | None = None
    state: str = OPEN

    def __post_init__(self) -> None:
        for reason in self.reasons:
            if reason not in REASONS:
                raise MisuseError(f"expected a reason of {', '.join(REASONS)}, got {reason!r}")
        for name in self.formats:
            format_named(name)
        for reject_id in self.ids:
            place_of(reject_id)
        if self.state not in STATES:
            raise MisuseError(f"expected a state of {', '.join(STATES)}, got {self.state!r}")

    @property
    def is_narrow(self) -> bool:
        """Whether any condition besides the state is given."""
        return any(getattr(self, each.name) not in ((), None) for each in fields(self) if each.name != "state")

    def may_hold(self, entry: FileEntry) -> bool:
        """Say whether a file of rejects may have some that are meant, by what its manifest tells of it."""
        if entry.topic is not None:
            if self.topics and entry.topic not in self.topics:
                return False
            if self.partition is not None and entry.partition not in {None, self.partition}:
                return False
            if self.ids and not any(_is_of(reject_id, entry) for reject_id in self.ids):
                return False
        if self.from_offset is not None and entry.next_offset is not None and entry.next_offset <= self.from_offset:
            return False
        if self.to_offset is not None and entry.first_offset is not None and entry.first_offset >= self.to_offset:
            return False
        # A file's date is that on which its commit was begun; its rejects may be of the day after.
        before = None if self.rejected_from is None else (self.rejected_from - timedelta(days=1)).date().isoformat()
        after = None if self.rejected_to is None else self.rejected_to.date().isoformat()
        return (before is None or entry.event_date >= before) and (after is None or entry.event_date <= after)

    def sql(self) -> tuple[str, dict[str, Any]]:
        """Return the conditions on `rejects`, with `state`, `read_as`, `told` (its event), and their parameters."""
        conditions: list[str] = []
        parameters: dict[str, Any] = {}
        lists = {"reject_id": self.ids, "reason": self.reasons, "topic": self.topics, "read_as": self.formats}
        for name, values in lists.items():
            if values:
                conditions.append(f"list_contains(${name}, {name})")
                parameters[name] = list(values)
        comparisons = {
            "partition": ('"partition" =', self.partition),
            "from_offset": ('"offset" >=', self.from_offset),
            "to_offset": ('"offset" <', self.to_offset),
            "rejected_from": ("rejected_at >=", self.rejected_from),
            "rejected_to": ("rejected_at <", self.rejected_to),
            "source": ("json_extract_string(told, '$.source') =", self.source),
            "reporter": ("json_extract_string(told, '$.reporter') =", self.reporter),
            "state": ("state =", None if self.state == ALL else self.state),
        }
        for name, (comparison, value) in comparisons.items():
            if value is not None:
                conditions.append(f"{comparison} ${name}")
                parameters[name] = value
        return " and ".join(conditions) or "true", parameters


def place_of(reject_id: str) -> tuple[str, int, int]:
    """Return topic, partition and offset of a reject's id, `topic:partition:offset` or with `:item`.

    Raises:
        MisuseError: It is no such id.
    """
    parts = reject_id.split(":")
    if len(parts) not in _PLACE_PARTS or not all(part.isdecimal() for part in parts[1:]) or not parts[0]:
        raise MisuseError(
            f"expected the id of a reject, topic:partition:offset or topic:partition:offset:item, got {reject_id!r}"
        )
    return parts[0], int(parts[1]), int(parts[2])


def _is_of(reject_id: str, entry: FileEntry) -> bool:
    topic, partition, offset = place_of(reject_id)
    if (entry.topic, entry.partition) not in {(topic, partition), (topic, None)}:
        return False
    if entry.first_offset is None or entry.next_offset is None:
        return True
    return entry.first_offset <= offset < entry.next_offset
