"""Records on their way to Kafka: value, key, time and the line they came from."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Outgoing:
    """A run of records in the order of the input; the four lists have one entry a record.

    Attributes:
        values: Bytes of each record.
        keys: Kafka key of each record, or None.
        timestamps_ms: When the event occurred, or None where it is not known.
            Unit: Milliseconds since 1970-01-01T00:00:00Z.
        lines: Number of the line in the input, from 1.
    """

    values: list[bytes] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    timestamps_ms: list[int | None] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, value: bytes, key: bytes | None, timestamp_ms: int | None, line: int) -> None:
        """Append one record."""
        self.values.append(value)
        self.keys.append(key)
        self.timestamps_ms.append(timestamp_ms)
        self.lines.append(line)

    def __len__(self) -> int:
        return len(self.values)
