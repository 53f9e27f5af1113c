"""Rows of a vendor's report in one shape, and the faults that a report is refused for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.origins import money
from tollbook.contracts import contract
from tollbook.errors import DocumentFault

USAGE, COST = "usage", "cost"
TOKENS: Final = (
    *("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
    *("output_tokens", "unclassified_tokens"),
)
"""Columns of tokens, which are disjoint."""
COUNTS: Final = (*TOKENS, "total_tokens", "requests")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_FINEST_TOLD: Final = Fraction(1, 100)
_LARGEST: Final = 10**18
_DIGEST_DIGITS: Final = 32

Row = dict[str, Any]
Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is read, and what is wrong with it.

    Attributes:
        vendor: Who reports.
        path: Where the file lies, for messages.
        name: Its name, without its folder.
        content: Its bytes.
        faults: What is wrong, as it is found.
        digest: SHA-256 of the bytes.
    """

    vendor: str
    path: str
    name: str
    content: bytes = field(repr=False)
    faults: list[DocumentFault] = field(default_factory=list)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.content).hexdigest())

    def fault(self, row: int, where: Iterable[str | int], rule: str, came: object = None) -> None:
        """Note a fault of a field of a row, counted from 1."""
        told = None if came is None else repr(came)[:80]
        self.faults.append(DocumentFault(self.path, row, "/".join(map(str, where)), told, rule))

    def row(self, number: int, kind: str, scope: str, start: datetime, end: datetime, **told: Any) -> Row:
        """Return a row that says what every row says, and more."""
        return {
            "vendor": self.vendor,
            "kind": kind,
            "scope": scope,
            "bucket_start": start,
            "bucket_end": end,
            "is_empty_bucket": False,
            "source_file": self.name,
            "source_digest": self.digest,
            "source_row": number,
            **told,
        }

    def empty(self, number: int, kind: str, scope: str, start: datetime, end: datetime) -> Row:
        """Return the row of a bucket in which nothing was used."""
        counts = dict.fromkeys(("total_tokens", "requests"), 0) if kind == USAGE else {}
        amount = {} if kind == USAGE else {"amount": Decimal(0), "amount_step": Decimal(0), "charge_category": "Usage"}
        return self.row(number, kind, scope, start, end, is_empty_bucket=True, **counts, **amount)


@dataclass(frozen=True, slots=True)
class Result:
    """One result of a bucket as JSON tells it.

    Attributes:
        source: The file.
        number: Which result of the file it is, from 1.
        place: Keys and positions that lead to it.
        body: What it says.
    """

    source: Source
    number: int
    place: Where
    body: Mapping[str, Any]

    def fault(self, name: str, rule: str, came: object = None) -> None:
        """Note a fault of a field."""
        self.source.fault(self.number, (*self.place, name), rule, came)

    def count(self, name: str, *, required: bool = False, within: Mapping[str, Any] | None = None) -> int | None:
        """Return a count of zero or more; None where it is not told."""
        value = (self.body if within is None else within).get(name)
        if value is None and not required:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LARGEST:
            self.fault(name, "expected a whole number of zero or more", "nothing" if value is None else value)
            return None
        return value

    def text(self, name: str) -> str | None:
        """Return a text; None where it is null, absent or empty."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            self.fault(name, "expected a text or null", value)
            return None
        return value or None

    def currency(self, value: object, name: str = "currency") -> str | None:
        """Return a currency as ISO 4217 writes it."""
        told = value.upper() if isinstance(value, str) else ""
        if not _CURRENCY.fullmatch(told):
            self.fault(name, "expected an ISO 4217 code, such as USD", value)
            return None
        return told

    def amount(self, value: object, name: str, per: int = 1) -> dict[str, Decimal] | None:
        """Return an amount and the step in which it was told; a float is none, since it says something else.

        Args:
            value: Whole number, decimal, or a text of one.
            name: Field, for messages.
            per: How many of its units make one of the currency, 100 for cents.
        """
        told = exact_decimal(value)
        if told is None:
            self.fault(name, "expected a decimal of at most 26 digits before the point", value)
            return None
        return amount_and_step(told, per)


def exact_decimal(value: object) -> Decimal | None:
    """Return a number as it is written, None where it is no finite one."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        told = Decimal(value)
    except ArithmeticError:
        return None
    return told if told.is_finite() and abs(told) < 10**20 else None


def amount_and_step(told: Decimal, per: int = 1) -> dict[str, Decimal]:
    """Return an amount in its currency and the step in which it was told, at most a hundredth."""
    exponent = told.as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else 0
    step = min(_FINEST_TOLD, Fraction(1, 10**places * per))
    return {"amount": money(Fraction(told) / per), "amount_step": money(step)}


def credential_digest(vendor: str, identifier: str | None) -> str | None:
    """Return a digest of the identifier of a key, by which its rows can be told apart and nothing else."""
    if identifier is None:
        return None
    return hashlib.sha256(f"{vendor}\0{identifier}".encode()).hexdigest()[:_DIGEST_DIGITS]


def with_total(counts: Mapping[str, int | None]) -> dict[str, int | None]:
    """Return counts of tokens with their sum, which is not known where none is."""
    told = [counts[name] for name in TOKENS if counts.get(name) is not None]
    return {**counts, "total_tokens": sum(each or 0 for each in told) if told else None}


def instant_of_seconds(value: object) -> datetime | None:
    """Return the instant of a Unix time in whole seconds, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**11:
        return None
    return datetime.fromtimestamp(value, UTC)


def instant_of_text(value: object) -> datetime | None:
    """Return the instant of an RFC 3339 text, None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        told = datetime.fromisoformat(value)
    except ValueError:
        return None
    return None if told.tzinfo is None else told.astimezone(UTC)


def vendor_usage_schema() -> pa.Schema:
    """Return the Arrow schema of `vendor_usage/v1`."""
    return contract("vendor_usage").arrow_schema


def vendor_usage_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows as `vendor_usage/v1`, shape (n_rows,); what a row does not name is null."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=vendor_usage_schema())
