"""Charges in the lake: immutable files, a numbered log, and the newest word on every charge scope.

A charge scope is one (contract, term, billing period). Computing it again replaces its rows as a whole: of a scope the
rows of the highest entry hold, and an entry may say that a scope has none any more. Computing what is already there
writes nothing. So a build that is killed, repeated or started from nothing comes to the same charges.

Entry `charges/commits/<N>.json` names the file that N added and, for each scope that it replaced, rows and amounts.
Every so many entries one lists all scopes, so that a reader goes back no further than that.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tollbook.contracts import contract
from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, log_lock, newest_number, read_entry, sweep_temporaries, sync_folders
from tollbook.lake.parquet import write_parquet
from tollbook.lake.remote import fetch, machine_suffix

CHARGES: Final = "charges"
_EVERY: Final = 64
_EXACT: Final = Context(prec=76)
# What names a line, whatever it amounts to.
_IDENTITY: Final = (
    "contract_id",
    "term_id",
    "billing_period_start",
    "charge_kind",
    "charge_class",
    "charge_period_start",
    "provider",
    "billing_account_id",
    "model",
    "service_tier",
    "sku_price_id",
    "tier_from",
    "billing_currency",
    "exchange_rate_date",
    "corrects_period_start",
)
# A new release of a price list or another wording of a contract is no other charge while nothing else changes.
_PROVENANCE: Final = frozenset({"charge_sequence", "contract_version", "catalogue_version"})

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is replaced as a whole.

    Attributes:
        contract_id: Contract, None for lines that follow from none.
        term_id: Term of the contract, or what else made the lines.
        billing_period_start: Start of the billing period, UTC.
    """

    contract_id: str | None
    term_id: str | None
    billing_period_start: datetime


class ScopeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The newest word on one scope, as the log tells it.

    Attributes:
        contract_id: Contract of the scope.
        term_id: Term of the scope.
        billing_period_start: Billing period of the scope, UTC.
        charge_sequence: Entry that wrote its rows.
        rows: Rows; 0 when it has none any more.
        contracted_cost_pico_usd: Sum over its rows, what is unknown left out. Unit: pico-USD.
        effective_cost_pico_usd: Sum over its rows, what is unknown left out. Unit: pico-USD.
    """

    contract_id: str | None
    term_id: str | None
    billing_period_start: datetime
    charge_sequence: int
    rows: int
    contracted_cost_pico_usd: int
    effective_cost_pico_usd: int

    @property
    def scope(self) -> Scope:
        """The scope it is about."""
        return Scope(self.contract_id, self.term_id, self.billing_period_start)


class _File(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    rows: int
    bytes: int


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    commit: int
    files: list[_File]
    scopes: list[ScopeEntry]
    all_scopes: list[ScopeEntry] | None = None


def charge_schema() -> pa.Schema:
    """Return the Arrow schema of charges, `charge/v1`."""
    return contract("charge").arrow_schema


def charge_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows as `charge/v1`, shape (n_charges,); what a row does not name is null.

    Costs are decimals of at most 12 places. `charge_id` is made from what the line is about.
    """
    filled = [{**row, "charge_id": row.get("charge_id") or charge_id(row)} for row in rows]
    return pa.Table.from_pylist(filled, schema=charge_schema())


def charge_id(row: Mapping[str, Any]) -> str:
    """Return the identifier of a line: 32 hexadecimal digits, the same whenever it is computed."""
    return hashlib.sha256(json.dumps([_plain(row.get(name)) for name in _IDENTITY]).encode()).hexdigest()[:32]


def newest_charges(lake: Path) -> int:
    """Return the number of the newest entry of the log of charges, 0 when there is none."""
    return newest_number(_log(lake))


def current_scopes(lake: Path, *, number: int | None = None) -> list[ScopeEntry]:
    """Return the newest word on every scope that has rows, in order.

    Args:
        lake: Folder of the lake.
        number: Entry of the log up to which it is told; by default the newest.

    Raises:
        CorruptManifestError: An entry is absent or cannot be read.
    """
    known = _scopes(_log(lake), newest_charges(lake) if number is None else number)
    return sorted((each for each in known.values() if each.rows), key=_order)


def read_charges(lake: Path, *, number: int | None = None) -> pa.Table:
    """Return the charges that hold, `charge/v1`, shape (n_charges,), by billing period, contract, term and time.

    Args:
        lake: Folder of the lake.
        number: Entry of the log up to which they are read; by default the newest.

    Raises:
        CorruptManifestError: An entry or a file is absent, or a file does not hold what its entry tells.
    """
    return charge_table(_current_rows(lake, current_scopes(lake, number=number)))


def write_charges(lake: Path, table: pa.Table, *, scopes: Iterable[Scope] = ()) -> int:
    """Make the rows of `table` the newest word on their scopes, in one entry of the log.

    Scopes whose rows are there already are left alone; provenance alone (sequence, versions) is no change.

    Args:
        lake: Folder of the lake.
        table: `charge/v1`, shape (n_charges,); `charge_sequence` is given here.
        scopes: Scopes that were computed too: those without rows in `table` have none any more.

    Returns:
        Number of the new entry, 0 when nothing had changed.

    Raises:
        ValueError: Two rows of a scope are the same line.
        CorruptManifestError: An entry or a file is absent or damaged.
    """
    wanted = _by_scope(charge_table(table.to_pylist()).to_pylist(), scopes)
    folder = _log(lake)
    with log_lock(folder, wait=True):
        sweep_temporaries(folder)
        known = _scopes(folder, newest_number(folder))
        standing = _by_scope(_current_rows(lake, [known[scope] for scope in wanted if scope in known]), ())
        changed = {scope: rows for scope, rows in wanted.items() if _content(rows) != _content(standing.get(scope, []))}
        if not changed:
            return 0
        number = newest_number(folder) + 1
        rows = [{**row, "charge_sequence": number} for rows in changed.values() for row in rows]
        path = f"{CHARGES}/charges-{number:020d}{machine_suffix(lake)}.parquet"
        files = []
        if rows:
            size = write_parquet(lake, path, pa.Table.from_pylist(rows, schema=charge_schema()))
            files.append(_File(path=path, rows=len(rows), bytes=size))
            sync_folders([path], lake)
        told = [_told(scope, number, rows) for scope, rows in changed.items()]
        known |= {each.scope: each for each in told}
        full = sorted(known.values(), key=_order) if number % _EVERY == 0 else None
        entry = _Entry(commit=number, files=files, scopes=sorted(told, key=_order), all_scopes=full)
        append(folder, number, msgspec.json.encode(entry))
    return number


def _log(lake: Path) -> Path:
    return lake / CHARGES / "commits"


def _scopes(folder: Path, newest: int) -> dict[Scope, ScopeEntry]:
    """Return the newest word on every scope up to an entry, empty ones too."""
    later: list[_Entry] = []
    for number in range(newest, 0, -1):
        entry = _decode(folder, number)
        later.append(entry)
        if entry.all_scopes is not None:
            break
    known: dict[Scope, ScopeEntry] = {}
    for entry in reversed(later):
        known |= {each.scope: each for each in (*(entry.all_scopes or ()), *entry.scopes)}
    return known


def _decode(folder: Path, number: int) -> _Entry:
    try:
        return msgspec.json.decode(read_entry(folder, number), type=_Entry)
    except msgspec.MsgspecError as broken:
        raise CorruptManifestError(f"expected entry {number} of charges in {folder}, got: {broken}") from broken


def _current_rows(lake: Path, entries: Iterable[ScopeEntry]) -> list[Row]:
    """Return the rows of scopes, from the files of their entries, in order."""
    by_file: defaultdict[int, dict[Scope, ScopeEntry]] = defaultdict(dict)
    for each in entries:
        if each.rows:
            by_file[each.charge_sequence][each.scope] = each
    rows: list[Row] = []
    for number, chosen in sorted(by_file.items()):
        held = _by_scope(_file_rows(lake, number), chosen)
        for scope, told in chosen.items():
            found = _told(scope, number, held[scope])
            if found != told:
                raise CorruptManifestError(f"expected charges as entry {number} tells, {told}, got {found}")
            rows += held[scope]
    return sorted(rows, key=_row_order)


def _file_rows(lake: Path, number: int) -> list[Row]:
    entry = _decode(_log(lake), number)
    rows: list[Row] = []
    for file in entry.files:
        try:
            fetch(lake, {file.path: file.bytes})
            rows += pq.read_table(lake / file.path).to_pylist()
        except (OSError, pa.ArrowInvalid) as broken:
            raise CorruptManifestError(f"expected charges at {lake / file.path}, got: {broken}") from broken
    # Columns that a later version of the contract adds are null in older files.
    filled: list[Row] = charge_table(rows).to_pylist()
    return filled


def _by_scope(rows: Iterable[Row], scopes: Iterable[Scope]) -> dict[Scope, list[Row]]:
    grouped: dict[Scope, list[Row]] = {scope: [] for scope in scopes}
    for row in rows:
        scope = Scope(row["contract_id"], row["term_id"], row["billing_period_start"].astimezone(UTC))
        grouped.setdefault(scope, []).append(row)
    for scope, members in grouped.items():
        members.sort(key=_row_order)
        if len({row["charge_id"] for row in members}) < len(members):
            raise ValueError(f"expected each line of {scope} once, got one more than once")
    return grouped


def _told(scope: Scope, number: int, rows: list[Row]) -> ScopeEntry:
    return ScopeEntry(
        contract_id=scope.contract_id,
        term_id=scope.term_id,
        billing_period_start=scope.billing_period_start,
        charge_sequence=number,
        rows=len(rows),
        contracted_cost_pico_usd=_sum(rows, "contracted_cost"),
        effective_cost_pico_usd=_sum(rows, "effective_cost"),
    )


def _sum(rows: list[Row], column: str) -> int:
    return sum(int(_EXACT.scaleb(row[column], 12)) for row in rows if row[column] is not None)


def _content(rows: list[Row]) -> list[list[tuple[str, Any]]]:
    return [[(name, value) for name, value in sorted(row.items()) if name not in _PROVENANCE] for row in rows]


def _order(entry: ScopeEntry) -> tuple[datetime, str, str]:
    return entry.billing_period_start, entry.contract_id or "", entry.term_id or ""


def _row_order(row: Row) -> tuple[Any, ...]:
    scope = (row["billing_period_start"], row["contract_id"] or "", row["term_id"] or "")
    return (*scope, row["charge_period_start"], row["charge_kind"], row["tier_from"] or Decimal(0), row["charge_id"])


def _plain(value: Any) -> Any:
    """Return a value as text that does not depend on how it was written."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return f"{value.normalize(_EXACT):f}" if isinstance(value, Decimal) else value
