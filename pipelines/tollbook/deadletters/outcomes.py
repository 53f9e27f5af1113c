"""What became of rejects: a numbered log below the lake that says which were replayed and which were dismissed.

An entry is made after the records are on Kafka. A process that dies in between leaves the rejects open, and the next
replay produces them again: at least once, and harmless, since the event's identity is the same and counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, entries_after, log_lock, newest_number, sweep_temporaries

OUTCOMES: Final = "reject_outcomes"
OUTCOME_SCHEMA: Final = pa.schema(
    [
        pa.field("reject_id", pa.string()),
        pa.field("state", pa.string()),
        pa.field("settled_at", pa.timestamp("us", "UTC")),
        pa.field("settled_how", pa.string()),
    ]
)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the log.

    Attributes:
        state: `replayed` or `dismissed`.
        at: When.
        how: The topic that took the records, or why nothing is to be done.
        rejects: Ids of the rejects.
    """

    state: str
    at: datetime
    how: str
    rejects: list[str]


def outcomes_folder(lake: Path) -> Path:
    """Return the folder of the log's entries."""
    return lake / OUTCOMES / "commits"


@contextmanager
def outcomes_lock(lake: Path) -> Iterator[None]:
    """Hold the log, so that one replay works at a time.

    Raises:
        LakeLockedError: Another replay is at work.
    """
    with log_lock(outcomes_folder(lake)):
        sweep_temporaries(outcomes_folder(lake))
        yield


def settle(lake: Path, state: str, rejects: Sequence[str], *, how: str, now: datetime) -> None:
    """Note what became of rejects. Only the holder of `outcomes_lock` may."""
    folder = outcomes_folder(lake)
    entry = Outcome(state=state, at=now, how=how, rejects=list(rejects))
    append(folder, newest_number(folder) + 1, msgspec.json.encode(entry))


def outcomes(lake: Path) -> pa.Table:
    """Return what became of rejects, as `OUTCOME_SCHEMA`; of several outcomes of one the last.

    Raises:
        CorruptManifestError: An entry is missing or cannot be read.
    """
    last: dict[str, Outcome] = {}
    for number, encoded in entries_after(outcomes_folder(lake), 0):
        try:
            entry = _DECODER.decode(encoded)
        except msgspec.MsgspecError as broken:
            raise CorruptManifestError(
                f"expected entry {number} of {outcomes_folder(lake)} to say what became of rejects, got: {broken}"
            ) from broken
        last.update(dict.fromkeys(entry.rejects, entry))
    columns = [
        list(last),
        [each.state for each in last.values()],
        [each.at for each in last.values()],
        [each.how for each in last.values()],
    ]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, OUTCOME_SCHEMA, strict=True)],
        schema=OUTCOME_SCHEMA,
    )


_DECODER: Final = msgspec.json.Decoder(Outcome)
