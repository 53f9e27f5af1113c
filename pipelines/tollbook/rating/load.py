"""The price book of a home: the price list, our overlays, contracts, exchange rates and policy, as its files say."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from tollbook.rating import store
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.sources.compose import compose
from tollbook.rating.sources.contracted import contracted_catalogue
from tollbook.rating.sources.contracts import known_instants, read_contracts
from tollbook.rating.sources.exchange import ExchangeRates, read_exchange_rates
from tollbook.rating.sources.overlays import read_overlays
from tollbook.rating.sources.policy import CostPolicy, read_cost_policy
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.settings import Settings

_EVER_BEFORE: Final = datetime.min.replace(tzinfo=UTC)
# Path, time of the last change in nanoseconds, size and inode of each file that a book is made of.
FileStates = tuple[tuple[Path, int, int, int], ...]


def load_book(settings: Settings, as_of: datetime | None = None, *, now: datetime | None = None) -> PriceBook:
    """Return the book of a home, compiled once a process for each state of its files and of what is known of them.

    Args:
        settings: The home; one without reference files has the price list of the installed package alone.
        as_of: Knowledge time, with a time zone: the book that was in use then. Before the first recorded one it is made
            anew, of what the files say was known by then over the installed price list. None for the book of now.
        now: The time, with a time zone, by default that of the clock: what files say becomes known later is not known.

    Raises:
        ReferenceDataError: A file breaks its schema, or files contradict each other; nothing of them is used.
        CorruptManifestError: A recorded book is not as it was recorded.
    """
    if as_of is None:
        states = _states(settings)
        known = _learned(settings, states)
        place = bisect_right(known, now or datetime.now(UTC))
        return _compiled(settings, states, known[place - 1] if place else _EVER_BEFORE)
    recorded = store.as_of(settings.lake, as_of)
    return _compile(settings, as_of) if recorded is None else recorded


@lru_cache(maxsize=1)
def installed_catalogue() -> Catalogue:
    """Return the price list of the installed genai-prices, compiled once a process."""
    return Catalogue.from_genai_prices()


@lru_cache(maxsize=2)
def _learned(settings: Settings, _states: FileStates) -> tuple[datetime, ...]:
    """Return when what overlays and contracts say became known, or will, in order: between them nothing changes."""
    overlays = read_overlays(settings.price_overlays)
    entries = (each.known_from for overlay in overlays for each in overlay.entries)
    withdrawals = (each.known_from for overlay in overlays for each in overlay.withdrawals)
    return tuple(sorted({*entries, *withdrawals, *known_instants(settings.contracts)}))


@lru_cache(maxsize=2)
def _compiled(settings: Settings, _states: FileStates, known_at: datetime) -> PriceBook:
    return _compile(settings, known_at)


def _compile(settings: Settings, known_at: datetime) -> PriceBook:
    list_prices = compose(installed_catalogue(), read_overlays(settings.price_overlays), known_at=known_at)
    contracts = read_contracts(settings.contracts, list_prices.provider, as_of=known_at)
    rates, policy = settings.exchange_rates, settings.cost_policy
    exchange = read_exchange_rates(rates) if rates.exists() else ExchangeRates()
    calendar = billing_calendar(settings)
    return PriceBook.of(
        list_prices,
        contracted=contracted_catalogue(list_prices, contracts, exchange, calendar) if contracts else None,
        exchange=exchange,
        policy=read_cost_policy(policy) if policy.exists() else CostPolicy(),
    )


def _states(settings: Settings) -> FileStates:
    states = ((path, path.stat()) for path in _files(settings))
    return tuple((path, each.st_mtime_ns, each.st_size, each.st_ino) for path, each in states)


def _files(settings: Settings) -> Iterator[Path]:
    for folder in (settings.price_overlays, settings.contracts):
        yield from sorted(folder.glob("*.y*ml"))
    single = (settings.exchange_rates, settings.cost_policy, settings.billing_calendar)
    yield from (path for path in single if path.exists())
