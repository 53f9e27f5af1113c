"""A catalogue as one Parquet file: every price with its exact rates, and the rules by which models are found.

The file is read back whole into the same catalogue, by the names, rules and units of its own day. One row is one rate
of one price; rates are fractions of whole numbers, so that nothing is rounded.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tollbook.errors import CorruptManifestError
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.lookup import ExactLookup, Lookup
from tollbook.rating.overlay_lookup import OverlayLookup
from tollbook.rating.prices import Agreement, Origin, Price, Uplift
from tollbook.rating.rules import RuleLookup
from tollbook.rating.units import Names, Unit, Units

_RULES: Final = b"tollbook.catalogue"
_DETAILS: Final[dict[str, Any]] = {"origin": Origin, "uplift": Uplift, "agreement": Agreement}

# A price without rates has one row, whose rate is null.
RATE_SCHEMA: Final = pa.schema(
    [
        pa.field("price", pa.int32(), nullable=False),
        pa.field("sku_price_id", pa.string(), nullable=False),
        pa.field("provider", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("service_tier", pa.string(), nullable=False),
        pa.field("region", pa.string()),
        pa.field("billing_account_id", pa.string()),
        pa.field("contract_id", pa.string()),
        pa.field("valid_from", pa.timestamp("us", "UTC")),
        pa.field("valid_to", pa.timestamp("us", "UTC")),
        pa.field("daily_from", pa.time64("us"), nullable=False),
        pa.field("above_input_tokens", pa.int64()),
        pa.field("rate_key", pa.string()),
        pa.field("pico_usd_numerator", pa.string()),
        pa.field("pico_usd_denominator", pa.string()),
        pa.field("minimum_quantities", pa.map_(pa.string(), pa.int64())),
        pa.field("price_list", pa.string(), nullable=False),
        pa.field("published_id", pa.string()),
        pa.field("source", pa.string()),
        pa.field("checked_on", pa.string()),
        *(pa.field(name, pa.string()) for name in _DETAILS),
    ]
)
_PLAIN: Final = (
    *("provider", "model", "service_tier", "region", "billing_account_id", "contract_id", "valid_from", "valid_to"),
    *("daily_from", "above_input_tokens", "price_list", "published_id", "source", "checked_on"),
)


def rate_rows(prices: Iterable[Price]) -> pa.Table:
    """Return prices as rows of `RATE_SCHEMA`, one for each rate, in the order of the prices."""
    rows = [row for place, price in enumerate(prices) for row in _rows(place, price)]
    return pa.Table.from_pylist(rows, schema=RATE_SCHEMA)


def write_catalogue(catalogue: Catalogue) -> bytes:
    """Return the file of a catalogue."""
    told = {
        "version": catalogue.version,
        "list_name": catalogue.list_name,
        "names": {
            "providers": catalogue.names.providers,
            "service_tiers": catalogue.names.service_tiers,
            "tier_contexts": catalogue.names.tier_contexts,
            "gateways": sorted(catalogue.names.gateways),
        },
        "units": msgspec.to_builtins(catalogue.units.all),
        "lookup": catalogue.lookup.described(),
    }
    table = rate_rows(catalogue.prices).replace_schema_metadata({_RULES: zlib.compress(json.dumps(told).encode())})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


@dataclass(frozen=True, slots=True)
class RecordedPrices:
    """Some prices of a recorded catalogue.

    Attributes:
        units: Billable units of its day.
        prices: The prices.
    """

    units: Units
    prices: tuple[Price, ...]


def read_prices(content: bytes, sku_price_ids: Collection[str], contract_ids: Collection[str]) -> RecordedPrices:
    """Return the list prices of some identities, and all that some contracts made; no catalogue is compiled.

    Raises:
        CorruptManifestError: It is no file of a catalogue.
    """
    table, told = _read(content)
    chosen = pc.is_in(table["sku_price_id"], pa.array(sku_price_ids, pa.string()))
    of_contracts = pc.is_in(table["contract_id"], pa.array(contract_ids, pa.string()))
    return RecordedPrices(_units(told), tuple(_prices(table.filter(pc.or_(chosen, of_contracts)).to_pylist())))


def read_price(content: bytes, sku_price_id: str) -> RecordedPrices:
    """Return the list prices of one identity; nothing is compiled.

    Raises:
        CorruptManifestError: It is no file of a catalogue.
    """
    table, told = _read(content)
    places = [place for place, name in enumerate(table["sku_price_id"].to_pylist()) if name == sku_price_id]
    # A mask or a filter would make an array of it, and pyarrow imports pandas for the first one that is made.
    rows = [row for place in places for row in table.slice(place, 1).to_pylist()]
    return RecordedPrices(_units(told), tuple(_prices(rows)))


def read_catalogue(content: bytes) -> Catalogue:
    """Return the catalogue of a file, under the version it was recorded by.

    Raises:
        CorruptManifestError: It is no such file.
    """
    table, told = _read(content)
    names = Names(**{**told["names"], "gateways": frozenset(told["names"]["gateways"])})
    units = _units(told)
    prices = tuple(_prices(table.to_pylist()))
    lookup = _lookup(told["lookup"], names, prices)
    catalogue = Catalogue.of(prices, lookup, list_name=told["list_name"], names=names, units=units)
    # A later release may digest otherwise; what was recorded keeps the name that events bear.
    return replace(catalogue, version=told["version"])


def _read(content: bytes) -> tuple[pa.Table, dict[str, Any]]:
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read()  # read_table would import pandas
        return table, json.loads(zlib.decompress(table.schema.metadata[_RULES]))
    except (pa.ArrowException, KeyError, TypeError, ValueError, zlib.error) as broken:
        raise CorruptManifestError(f"expected the file of a price catalogue, got: {broken}") from broken


def _units(told: dict[str, Any]) -> Units:
    return Units(msgspec.convert(told["units"], tuple[Unit, ...]))


def _rows(place: int, price: Price) -> Iterator[dict[str, Any]]:
    common = {
        "price": place,
        "sku_price_id": price.sku_price_id,
        "minimum_quantities": dict(price.minimum_quantities),
        **{name: getattr(price, name) for name in _PLAIN},
        **{name: _detail(getattr(price, name)) for name in _DETAILS},
    }
    if not price.rates:
        yield common
    for key, rate in price.rates.items():
        yield {
            **common,
            "rate_key": key,
            "pico_usd_numerator": str(rate.numerator),
            "pico_usd_denominator": str(rate.denominator),
        }


def _prices(rates: Iterable[dict[str, Any]]) -> Iterator[Price]:
    for _, rows in groupby(rates, key=lambda row: row["price"]):
        members = list(rows)
        first: Mapping[str, Any] = members[0]
        yield Price(
            rates={
                row["rate_key"]: Fraction(int(row["pico_usd_numerator"]), int(row["pico_usd_denominator"]))
                for row in members
                if row["rate_key"] is not None
            },
            minimum_quantities=dict(first["minimum_quantities"] or ()),
            **{name: first[name] for name in _PLAIN},
            **{name: _told(first[name], kind) for name, kind in _DETAILS.items()},
        )


def _lookup(told: dict[str, Any], names: Names, prices: tuple[Price, ...]) -> Lookup:
    if told["kind"] == "exact":
        return ExactLookup.of(prices, names)
    if told["kind"] == "rules":
        return RuleLookup.of_description(told, names)
    base = _lookup(told["base"], names, prices)
    return OverlayLookup(names, base, tuple(map(tuple, told["models"])), tuple(map(tuple, told["redirects"])))


def _detail(told: Origin | Uplift | Agreement | None) -> str | None:
    return None if told is None else msgspec.json.encode(told, enc_hook=str).decode()


def _told(detail: str | None, kind: Any) -> Any:
    return None if detail is None else msgspec.json.decode(detail, type=kind, dec_hook=_decoded)


def _decoded(kind: type, told: Any) -> Any:
    if kind is Fraction:
        return Fraction(told)
    raise NotImplementedError(f"expected a fraction, got {kind}")
