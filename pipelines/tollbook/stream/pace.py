"""The pace of a meter that follows: how much a micro-batch takes, and how soon the next one begins.

Caught up, micro-batches are small and begin a quarter of a second apart: sooner would double the files of the lake and
win little. Behind, each takes more, as long as it takes no longer than a stop may wait, or a runner's checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field

COMMIT_SECONDS = 0.25
"""How far apart commits begin when the meter is caught up."""

LONGEST_SECONDS = 1.5
_FIRST_RECORDS = 32_768
_FEWEST_RECORDS = 16_384
"""Below it a micro-batch is hardly quicker, since most of its time is not spent on records: a meter that is slow for
want of a processor would only fall behind. A stop that comes then gives the commit under way up."""


@dataclass(slots=True)
class Pace:
    """How many records the next micro-batch may take.

    Attributes:
        most_records: Most records ever.
        lanes: How many processes share a micro-batch; each is given as much as one alone would be.
        longest_seconds: How long a micro-batch may take before the next one takes less.
        records: Most records of the next micro-batch.
    """

    most_records: int
    lanes: int = 1
    longest_seconds: float = LONGEST_SECONDS
    records: int = field(init=False)

    def __post_init__(self) -> None:
        self.records = min(_FIRST_RECORDS * self.lanes, self.most_records)

    def took(self, records: int, seconds: float) -> None:
        """Learn from a micro-batch.

        Args:
            records: Records that it took.
            seconds: Time from its plan to its commit.
        """
        if seconds > self.longest_seconds:
            fewer = int(min(records, self.records) * self.longest_seconds / seconds)
            self.records = min(self.most_records, max(_FEWEST_RECORDS * self.lanes, fewer))
        elif records >= self.records and seconds < self.longest_seconds / 2:
            self.records = min(self.most_records, 2 * self.records)
