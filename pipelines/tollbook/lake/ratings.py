"""The log of ratings: what was priced anew, laid over the usage of its event dates.

Usage files never change. `prices rerate` writes the ratings that differ to `ratings/event_date=.../rerate-<N>.parquet`
and then entry `ratings/commits/<N>.json`, which makes all of them count at once. N is their sequence: of several
ratings of one telling the highest holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import msgspec

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, entries_after, entry_path, newest_number
from tollbook.lake.remote import machine_suffix

RATINGS = "ratings"


class RatingFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One data file that an entry added.

    Attributes:
        table: `ratings`.
        path: Path below the lake's folder, with `/`.
        event_date: Value of its date partition, `YYYY-MM-DD`.
        rows: Rows in the file.
        bytes: Size of the file. Unit: Bytes.
        schema_version: Version of the contract `rating`.
        list_cost_difference_pico_usd: Sum over its rows of the list cost less the one that held before, unknown ones
            taken for zero. Unit: pico-USD.
        contracted_cost_difference_pico_usd: The same of the contracted cost. Unit: pico-USD.
        unpriced_difference: Rows without a cost less those that had none before.
    """

    table: str
    path: str
    event_date: str
    rows: int
    bytes: int
    schema_version: int = 1
    list_cost_difference_pico_usd: int = 0
    contracted_cost_difference_pico_usd: int = 0
    unpriced_difference: int = 0


class RatingEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One rerate.

    Attributes:
        sequence: Its number, and the `rating_sequence` of its rows.
        writer: Who wrote it, for people.
        recorded_at: When, UTC.
        first_date: First event date that was looked at.
        end_date: Event date after the last.
        provider: Provider it was limited to, None for every one.
        model: Model it was limited to, None for every one.
        catalogue_version: Price book that rated.
        lake_commit: Newest commit of the lake that was looked at.
        files: Files it added.
    """

    sequence: int
    writer: str
    recorded_at: datetime
    first_date: date
    end_date: date
    provider: str | None
    model: str | None
    catalogue_version: str
    lake_commit: int
    files: list[RatingFile]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(RatingEntry)


def ratings_log(lake: Path) -> Path:
    """Return the folder of the log."""
    return lake / RATINGS / "commits"


def rating_path(lake: Path, event_date: str, sequence: int) -> str:
    """Return the path of a new rating file below the lake's folder."""
    return f"{RATINGS}/event_date={event_date}/rerate-{sequence:020d}{machine_suffix(lake)}.parquet"


def newest_rating(lake: Path) -> int:
    """Return the sequence of the newest entry, 0 when there is none."""
    return newest_number(ratings_log(lake))


def ratings_after(lake: Path, sequence: int) -> Iterator[RatingEntry]:
    """Yield the entries after `sequence` in order.

    Raises:
        CorruptManifestError: One between `sequence` and the newest is absent, or cannot be read.
    """
    for number, encoded in entries_after(ratings_log(lake), sequence):
        try:
            yield _DECODER.decode(encoded)
        except msgspec.MsgspecError as broken:
            path = entry_path(ratings_log(lake), number)
            raise CorruptManifestError(f"expected an entry of ratings at {path}, got: {broken}") from broken


def append_rating(lake: Path, entry: RatingEntry) -> None:
    """Make an entry part of the book: from here on its files count.

    Raises:
        CommitConflictError: Its sequence is taken.
    """
    append(ratings_log(lake), entry.sequence, _ENCODER.encode(entry))
