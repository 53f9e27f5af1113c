"""What was charged by when: every price book that the meter or a re-rating used, kept whole.

`lake/reference/prices/versions/` holds the catalogues, each a file of its content's name that never changes;
`lake/reference/prices/commits/` is a numbered log of which book was in use from when. So the prices known at any past
instant can be had again, and `price_history` is the table of all: valid time and knowledge time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, entries_after, log_lock, newest_number, read_entry, sync_folders, write_synced
from tollbook.lake.remote import fetch
from tollbook.lake.sweep import sweep_log
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.recorded import RATE_SCHEMA, rate_rows, read_catalogue, write_catalogue
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates
from tollbook.rating.sources.policy import CostPolicy

TABLE: Final = "reference/prices"
LIST_PRICES: Final = "list_prices"
CONTRACTED: Final = "contracted"

HISTORY_SCHEMA: Final = pa.schema(
    [
        *(field for field in RATE_SCHEMA if field.name != "price"),
        pa.field("known_from", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("known_to", pa.timestamp("us", "UTC")),
    ]
)


class CatalogueFile(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded catalogue.

    Attributes:
        role: `list_prices` or `contracted`.
        version: Version of the catalogue.
        path: Path below the lake's folder, with `/`.
        sha256: Digest of the file.
        bytes: Size of the file. Unit: Bytes.
        prices: Prices in it.
    """

    role: str
    version: str
    path: str
    sha256: str
    bytes: int
    prices: int


class RecordedBook(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the log: the book in use from an instant until that of the next entry.

    Attributes:
        number: Number of the entry, from 1.
        recorded_at: Since when it was in use, in UTC.
        version: Version of the book, which events bear as `catalogue_version`.
        files: Its catalogues.
        exchange_rates: Its exchange rates, exact.
        prefer: Its cost policy for providers not named.
        prefer_by_provider: Its cost policy by provider.
    """

    number: int
    recorded_at: datetime
    version: str
    files: list[CatalogueFile]
    exchange_rates: list[dict[str, Any]] = []
    prefer: str
    prefer_by_provider: dict[str, str] = {}

    def file(self, role: str) -> CatalogueFile | None:
        """Return the catalogue in a role, None where the book has none."""
        return next((file for file in self.files if file.role == role), None)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(RecordedBook)
# The book in use by lake and entry, and the one before it: workers may still be at the commit before.
_IN_USE: Final[dict[tuple[Path, int], PriceBook]] = {}
_REMEMBERED: Final = 2


def record(lake: Path, book: PriceBook | Catalogue, recorded_at: datetime) -> RecordedBook:
    """Keep the book that is in use; return its entry. Recording again what is in use writes nothing.

    Args:
        lake: Folder of the lake.
        book: The book, or a catalogue of list prices alone.
        recorded_at: Since when it is in use, with a time zone; never before the entry before it.
    """
    book = PriceBook.of(book) if isinstance(book, Catalogue) else book
    entry = _record(lake, book, recorded_at)
    _remember(lake, entry.number, book)
    return entry


def recorded_book(lake: Path, number: int) -> PriceBook:
    """Return the book of an entry, read once a process: by it a whole commit is priced, on every worker.

    Raises:
        CorruptManifestError: It is not there, or not as it was recorded.
    """
    book = _IN_USE.get((lake, number))
    if book is None:
        book = read_book(lake, _decode(lake, number, read_entry(_log(lake), number)))
        _remember(lake, number, book)
    return book


def newest_book(lake: Path) -> RecordedBook | None:
    """Return the entry of the book in use, None when none was recorded."""
    number = newest_number(_log(lake))
    return _decode(lake, number, read_entry(_log(lake), number)) if number else None


def versions(lake: Path) -> list[RecordedBook]:
    """Return every entry, the oldest first.

    Raises:
        CorruptManifestError: Entries are missing or cannot be read.
    """
    return [_decode(lake, number, encoded) for number, encoded in entries_after(_log(lake), 0)]


def as_of(lake: Path, known_at: datetime) -> PriceBook | None:
    """Return the book that was in use at an instant, exactly; None before the first one.

    Raises:
        CorruptManifestError: A file is missing or is not what was recorded.
    """
    entry = entry_at(lake, known_at)
    return None if entry is None else read_book(lake, entry)


def entry_at(lake: Path, known_at: datetime) -> RecordedBook | None:
    """Return the entry that was the newest at an instant, None before the first one."""
    known = [entry for entry in versions(lake) if entry.recorded_at <= known_at]
    return known[-1] if known else None


def read_book(lake: Path, entry: RecordedBook) -> PriceBook:
    """Return the book of an entry.

    Raises:
        CorruptManifestError: A file is missing or is not what was recorded.
    """
    list_prices, contracted = entry.file(LIST_PRICES), entry.file(CONTRACTED)
    if list_prices is None:
        raise CorruptManifestError(f"expected list prices in entry {entry.number} of {_log(lake)}, found none")
    return PriceBook.of(
        read_file(lake, list_prices),
        contracted=None if contracted is None else read_file(lake, contracted),
        exchange=ExchangeRates.of(map(_exchange_rate, entry.exchange_rates)),
        policy=CostPolicy(entry.prefer, entry.prefer_by_provider),
    )


def read_file(lake: Path, file: CatalogueFile) -> Catalogue:
    """Return a recorded catalogue.

    Raises:
        CorruptManifestError: The file is missing or is not what was recorded.
    """
    return read_catalogue(file_content(lake, file))


def file_content(lake: Path, file: CatalogueFile) -> bytes:
    """Return the file of a recorded catalogue, as it was recorded.

    Raises:
        CorruptManifestError: The file is missing or is not what was recorded.
    """
    fetch(lake, {file.path: file.bytes})
    try:
        content = (lake / file.path).read_bytes()
    except FileNotFoundError as absent:
        raise CorruptManifestError(f"expected prices {file.version} at {lake / file.path}, found nothing") from absent
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise CorruptManifestError(f"expected {lake / file.path} as it was recorded, but its digest differs")
    return content


def price_history(lake: Path, role: str = LIST_PRICES) -> pa.Table:
    """Return every rate that was ever known, with when it holds and when it was known.

    Args:
        lake: Folder of the lake.
        role: `list_prices` or `contracted`.

    Returns:
        `HISTORY_SCHEMA`, one row for each rate of a price and time in which it was known: in
        `[valid_from, valid_to)` the rate holds, in `[known_from, known_to)` we thought so. A rate that was dropped and
        came again has two rows.
    """
    known: dict[str, tuple[dict[str, Any], datetime]] = {}
    history: list[dict[str, Any]] = []
    for entry in versions(lake):
        file = entry.file(role)
        rows = {} if file is None else {_identity(row): row for row in _told(lake, file)}
        for identity in [each for each in known if each not in rows]:
            row, since = known.pop(identity)
            history.append({**row, "known_from": since, "known_to": entry.recorded_at})
        for identity, row in rows.items():
            known.setdefault(identity, (row, entry.recorded_at))
    history += [{**row, "known_from": since, "known_to": None} for row, since in known.values()]
    history.sort(key=lambda row: (row["known_from"], row["sku_price_id"], row["rate_key"] or ""))
    return pa.Table.from_pylist(history, schema=HISTORY_SCHEMA)


def _record(lake: Path, book: PriceBook, recorded_at: datetime) -> RecordedBook:
    before = newest_book(lake)
    if before is not None and before.version == book.version:
        return before
    with log_lock(_log(lake), wait=True):
        before = newest_book(lake)
        if before is not None and before.version == book.version:
            return before
        sweep_log(lake, TABLE)
        entry = RecordedBook(
            number=1 if before is None else before.number + 1,
            recorded_at=_not_before(recorded_at.astimezone(UTC), before),
            version=book.version,
            files=[
                _keep(lake, role, catalogue)
                for role, catalogue in ((LIST_PRICES, book.list_prices), (CONTRACTED, book.contracted))
                if catalogue is not None
            ],
            exchange_rates=[_exchange_row(rate) for rate in book.exchange.rates],
            prefer=book.policy.prefer,
            prefer_by_provider=dict(book.policy.providers),
        )
        append(_log(lake), entry.number, _ENCODER.encode(entry))
    return entry


def _remember(lake: Path, number: int, book: PriceBook) -> None:
    _IN_USE[lake, number] = book
    for oldest in list(_IN_USE)[:-_REMEMBERED]:
        _IN_USE.pop(oldest, None)


def _told(lake: Path, file: CatalogueFile) -> Iterator[dict[str, Any]]:
    yield from rate_rows(read_file(lake, file).prices).drop(["price"]).to_pylist()


def _identity(row: dict[str, Any]) -> str:
    return repr(sorted(row.items()))


def _keep(lake: Path, role: str, catalogue: Catalogue) -> CatalogueFile:
    """Write the file of a catalogue, unless it is there; its name tells its content, so that it never changes."""
    content = write_catalogue(catalogue)
    digest = hashlib.sha256(content).hexdigest()
    path = lake / TABLE / "versions" / f"{catalogue.version}-{digest[:16]}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.tmp")
        write_synced(temporary, content)
        temporary.rename(path)
    sync_folders([path.relative_to(lake).as_posix()], lake)
    return CatalogueFile(
        role=role,
        version=catalogue.version,
        path=path.relative_to(lake).as_posix(),
        sha256=digest,
        bytes=len(content),
        prices=len(catalogue.prices),
    )


def _not_before(moment: datetime, before: RecordedBook | None) -> datetime:
    """Return an instant, or that of the entry before where a clock went back: the log is in the order of time."""
    return moment if before is None else max(moment, before.recorded_at)


def _exchange_row(rate: ExchangeRate) -> dict[str, Any]:
    moments = {name: getattr(rate, name) for name in ("valid_from", "valid_to")}
    return {
        "currency": rate.currency,
        "usd": str(rate.usd),
        **{name: None if each is None else each.isoformat() for name, each in moments.items()},
        "source": rate.source,
        "checked_on": rate.checked_on,
    }


def _exchange_rate(row: dict[str, Any]) -> ExchangeRate:
    moments = {
        name: None if row[name] is None else datetime.fromisoformat(row[name]) for name in ("valid_from", "valid_to")
    }
    return ExchangeRate(**{**row, **moments, "usd": Fraction(row["usd"])})


def _decode(lake: Path, number: int, encoded: bytes) -> RecordedBook:
    try:
        return _DECODER.decode(encoded)
    except msgspec.MsgspecError as broken:
        raise CorruptManifestError(f"expected entry {number} of {_log(lake)} to name a book, got: {broken}") from broken


def _log(lake: Path) -> Path:
    return lake / TABLE / "commits"
