"""Rating alone, in batches of 20,000 events with the whole price list; prints one JSON line.

The same events in every row: at list prices by one catalogue; by a book with contracts for two providers; and by that
book where every call also tells the provider's own figure, in a currency that has to be converted.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from tollbook.contracts import usage_event
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.rate import rate, rate_by_book
from tollbook.rating.sources.exchange import ExchangeRate, ExchangeRates

BATCH_ROWS = 20_000
CONTRACT_PROVIDERS = ("anthropic", "openai")
MIN_MODELS = 1_500
MIN_CPU_SECONDS = 1.0

Rate = Callable[[pa.RecordBatch], pa.RecordBatch]


def read_batches(events: Path) -> list[pa.RecordBatch]:
    """Return the workload as batches of `usage_event/v1`, its counts as disjoint buckets."""
    table = pj.read_json(events)
    used = table["usage"].combine_chunks()
    count = {name.name: used.field(name.name).cast(pa.int64()) for name in used.type}
    cached, written = count["cached_input_tokens"], count["cache_write_tokens"]
    provider = table["provider"]
    columns: dict[str, Any] = {
        "source": pa.repeat("gateway", table.num_rows),
        "event_id": table["event_id"],
        "occurred_at": table["occurred_at"].cast(pa.timestamp("us", "UTC")),
        "provider": pc.if_else(pc.equal(provider, "gemini"), "google", provider),
        **{name: table[name] for name in ("model", "service_tier", "region")},
        "input_tokens": count["input_tokens"],
        "uncached_input_tokens": pc.subtract(pc.subtract(count["input_tokens"], cached), written),
        "cache_read_tokens": cached,
        "cache_write_5m_tokens": written,
        "output_tokens": count["output_tokens"],
        "text_output_tokens": pc.subtract(count["output_tokens"], count["reasoning_tokens"]),
        "reasoning_tokens": count["reasoning_tokens"],
    }
    schema = usage_event().arrow_schema
    whole = pa.table(
        [columns.get(field.name, pa.nulls(table.num_rows, field.type)) for field in schema], names=schema.names
    ).cast(schema)
    batches: list[pa.RecordBatch] = whole.combine_chunks().to_batches(max_chunksize=BATCH_ROWS)
    return batches


def telling_costs(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch in which every call tells a cost of its own, in euros."""
    told = pa.array(np.arange(1, batch.num_rows + 1) * 1_000_003, pa.int64()).cast(pa.decimal128(38, 0))
    costs = {
        "provider_cost": told.view(pa.decimal128(38, 12)),
        "provider_cost_currency": pa.repeat("EUR", batch.num_rows),
    }
    columns = [costs.get(name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def contracted(list_prices: Catalogue) -> Catalogue:
    """Return the list prices with ten percent off all of two providers'."""
    rows = [
        replace(
            price, rates={key: Fraction(each) * 9 / 10 for key, each in price.rates.items()}, contract_id=price.provider
        )
        if price.provider in CONTRACT_PROVIDERS
        else price
        for price in list_prices.prices
    ]
    return list_prices.with_prices(rows, list_name="bench")


def measure(batches: list[pa.RecordBatch], rate_batch: Rate) -> dict[str, Any]:
    """Return events per CPU-second over at least `MIN_CPU_SECONDS`; the first pass, which fills caches, is left out."""
    unpriced = sum(rate_batch(batch)["list_cost_pico_usd"].null_count for batch in batches)
    passes = 0
    start = time.process_time()
    while time.process_time() - start < MIN_CPU_SECONDS:
        for batch in batches:
            rate_batch(batch)
        passes += 1
    used = time.process_time() - start
    events = sum(batch.num_rows for batch in batches)
    return {"events": events, "events_per_cpu_s": int(events * passes / used), "unpriced": unpriced}


def main() -> None:
    """Measure each kind of rating once and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=Path, required=True, help="The workload, JSON lines.")
    batches = read_batches(parser.parse_args().events)
    start = time.process_time()
    catalogue = Catalogue.from_genai_prices()
    made_in = time.process_time() - start
    models = len({(price.provider, price.model) for price in catalogue.prices})
    if models < MIN_MODELS:
        raise RuntimeError(f"expected a price list of at least {MIN_MODELS} models, got {models}")
    euros = ExchangeRates.of([ExchangeRate("EUR", Fraction("1.1720"), datetime(2020, 1, 1, tzinfo=UTC))])
    book = PriceBook.of(catalogue, contracted=contracted(catalogue), exchange=euros)
    told = [telling_costs(batch) for batch in batches]
    measured = {
        "list prices": measure(batches, lambda batch: rate(batch, catalogue)),
        "with contracts": measure(batches, lambda batch: rate_by_book(batch, book)),
        "with contracts and providers' figures": measure(told, lambda batch: rate_by_book(batch, book)),
    }
    print(
        json.dumps({"models": models, "catalogue_cpu_s": round(made_in, 2), "batch_rows": BATCH_ROWS, "rows": measured})
    )


if __name__ == "__main__":
    main()
