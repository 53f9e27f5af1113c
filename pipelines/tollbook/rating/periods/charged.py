"""The rates by which usage was charged: those of the book whose version it bears, not those of today.

A price keeps its identity when it is edited, and one that is dropped takes its identity along; what a call was charged
stands all the same. So the second pass reads rates from the recorded books (`tollbook.rating.store`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Final

import pyarrow as pa

from tollbook.rating.book import PriceBook
from tollbook.rating.prices import Price
from tollbook.rating.recorded import RecordedPrices, read_prices
from tollbook.rating.store import CONTRACTED, LIST_PRICES, CatalogueFile, file_content, versions
from tollbook.rating.units import Units

# Whole pico-units stay integers; only shares of them are fractions.
Amount = int | Fraction
# Bucket, the rate key that prices it, and the rate. Unit: pico-USD.
BucketRate = tuple[str, str, Amount]

_EVER_BEFORE: Final = datetime.min.replace(tzinfo=UTC)
_EVER_AFTER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class ChargedPrices:
    """Prices of one version of the book.

    Attributes:
        units: Billable units of that version.
        list_prices: Its list prices, those that were asked for at least.
        agreed: What its contracts made of them; prices that no contract changed may be among them.
    """

    units: Units
    list_prices: tuple[Price, ...]
    agreed: tuple[Price, ...] = ()

    @classmethod
    def of(cls, book: PriceBook) -> ChargedPrices:
        """Return the prices of a book in hand."""
        agreed = () if book.contracted is None else book.contracted.prices
        return cls(book.list_prices.units, book.list_prices.prices, agreed)

    def bucket_rates(
        self, sku_price_id: str, contract_id: str | None, day: tuple[datetime, datetime]
    ) -> tuple[BucketRate, ...] | None:
        """Return what priced each bucket of a day's calls; None where that is not known, or not one price all day.

        Args:
            sku_price_id: List price of the calls.
            contract_id: Contract that priced them, None for none.
            day: First instant of the day, and the first after it.
        """
        told = self._told.get((sku_price_id, contract_id), ())
        # A list price is known by its identity, and holds before its first known date too.
        held = [price for price in told if contract_id is None or _holds_in(price, *day)]
        if not held or any(price.rates != held[0].rates for price in held):
            return None
        return tuple(self._bucket_rates(held[0]))

    def _bucket_rates(self, price: Price) -> Iterator[BucketRate]:
        for unit in self.units.buckets:
            key = price.key_of(unit)
            if key is not None:
                yield unit.name, key, whole(price.rates[key])

    @cached_property
    def _told(self) -> dict[tuple[str, str | None], list[Price]]:
        told: defaultdict[tuple[str, str | None], list[Price]] = defaultdict(list)
        for price in self.list_prices:
            told[price.sku_price_id, None].append(price)
        for price in self.agreed:
            if price.contract_id is not None and price.agreement is not None:
                told[price.agreement.supersedes, price.contract_id].append(price)
        return dict(told)


def charged_prices(lake: Path, totals: pa.Table) -> dict[str, ChargedPrices]:
    """Return the prices that usage was charged by, by version of the book; a version that was never recorded has none.

    Only what the usage names is read, once for each file: versions share what did not change between them.

    Args:
        lake: Folder of the lake.
        totals: Columns `catalogue_version`, `sku_price_id` and `contract_id`.

    Raises:
        CorruptManifestError: A recorded book is damaged.
    """
    wanted = _told_in(totals, "catalogue_version")
    skus, contracts = _told_in(totals, "sku_price_id"), _told_in(totals, "contract_id")
    read: dict[str, RecordedPrices] = {}
    charged = {}
    for entry in versions(lake) if wanted else ():
        if entry.version not in wanted or entry.version in charged:
            continue
        files: dict[str, CatalogueFile] = {file.role: file for file in entry.files}
        for file in files.values():
            if file.path not in read:
                read[file.path] = read_prices(file_content(lake, file), skus, contracts)
        listed = read[files[LIST_PRICES].path]
        agreed = read[files[CONTRACTED].path].prices if CONTRACTED in files else ()
        charged[entry.version] = ChargedPrices(listed.units, listed.prices, agreed)
    return charged


def whole(amount: Amount) -> Amount:
    """Return a whole fraction as the integer it is: integers add ten times as fast."""
    return amount.numerator if isinstance(amount, Fraction) and amount.denominator == 1 else amount


def _told_in(totals: pa.Table, column: str) -> frozenset[str]:
    told: Iterable[str | None] = totals.column(column).unique().to_pylist()
    return frozenset(each for each in told if each is not None)


def _holds_in(price: Price, begins: datetime, ends: datetime) -> bool:
    return (price.valid_from or _EVER_BEFORE) < ends and begins < (price.valid_to or _EVER_AFTER)
