"""The benchmark's own prices and owners, in the forms that Tollbook takes.

The workload comes with an effective-dated price table and an owner for each key. Rating by them, and not by a public
price list, lets the outcome be held against the workload's exact truth.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price

WORKLOAD = "TOLLBOOK_BENCH_WORKLOAD"
RATES = {
    "r_in": "input_tokens",
    "r_cached": "cache_read_tokens",
    "r_cwrite": "cache_write_tokens",
    "r_out": "output_tokens",
}


def folder() -> Path:
    """Return the folder of the generated workload."""
    return Path(os.environ[WORKLOAD])


@lru_cache(maxsize=1)
def book() -> PriceBook:
    """Return the workload's price table as a price book."""
    rows = json.loads((folder() / "catalogue.json").read_text())
    return PriceBook.of(Catalogue.from_rows((_price(row) for row in rows), version="bench"))


def _price(row: dict[str, object]) -> Price:
    return Price(
        provider="google" if row["provider"] == "gemini" else str(row["provider"]),
        model=str(row["model"]),
        rates={key: int(str(row[name])) for name, key in RATES.items()},
        service_tier=str(row["service_tier"]),
        valid_from=_time(row["valid_from"]),
        valid_to=_time(row["valid_to"]),
    )


def _time(milliseconds: object) -> datetime:
    return datetime.fromtimestamp(int(str(milliseconds)) / 1000, UTC)


def write_owners(path: Path) -> None:
    """Write the workload's owners as owner rules."""
    rows = json.loads((folder() / "owners.json").read_text())
    rules = [
        {
            "rule_id": row["api_key_id"],
            "match": {"credential_id": row["api_key_id"]},
            "team": row["team"],
            "cost_center": row["cost_center"],
            "business_unit": row["business_unit"],
            "valid_from": "2025-01-01T00:00:00Z",
        }
        for row in rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rules": rules}))
