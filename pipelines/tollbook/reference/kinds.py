"""Reference files of every kind: which kind a file is, whether it is sound, and putting it into use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from tollbook.closing.policy import read_closing_policy
from tollbook.errors import ReferenceDataError
from tollbook.lake.binding import connect
from tollbook.lake.log import sync_folder, write_synced
from tollbook.rating.book import PriceBook
from tollbook.rating.contract_terms import Contract
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.rating.sources.contract_documents import read_contract
from tollbook.rating.sources.contracts import load_contract
from tollbook.rating.sources.exchange import USD, ExchangeRates, read_exchange_rates
from tollbook.rating.sources.policy import read_cost_policy
from tollbook.reference.billing_calendar import billing_calendar, read_billing_calendar
from tollbook.reference.dated.entries import EntryFile
from tollbook.reference.dated.kinds import FLEETS, INVOICES, KINDS, OFFERS, PATHS, PLATFORMS, SUBSCRIPTIONS, EntryKind
from tollbook.reference.dated.recorded import record_reference
from tollbook.reference.dated.use import check_entries, load_entries
from tollbook.reference.dimensions import read_dimensions
from tollbook.reference.documents import read_yaml
from tollbook.reference.owners import read_owners
from tollbook.settings import Settings

OWNERS, CONTRACT, EXCHANGE_RATES, COST_POLICY, DIMENSIONS, BILLING_CALENDAR, CLOSING_POLICY = (
    *("owners", "contract", "exchange_rates", "cost_policy", "dimensions", "billing_calendar", "closing_policy"),
)
_NAMED: Final = (CONTRACT, EXCHANGE_RATES, COST_POLICY, DIMENSIONS, BILLING_CALENDAR, CLOSING_POLICY)
"""Kinds that are known by a key of their own."""
_OVERLAY: Final = "price_overlay"
_CHARGED: Final = (SUBSCRIPTIONS, PLATFORMS, FLEETS, INVOICES, OFFERS, PATHS)
"""Kinds of dated entries whose amounts become costs in USD."""


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """A sound reference file.

    Attributes:
        path: Where it lies.
        kind: `owners`, `contract`, `exchange_rates`, `cost_policy`, `dimensions`, `billing_calendar`,
            `closing_policy`, or a kind of dated entries.
        holds: What it holds, in words.
        facts: The same for JSON.
        notices: What its author may not have meant.
    """

    path: Path
    kind: str
    holds: str
    facts: dict[str, Any]
    notices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {"file": str(self.path), "kind": self.kind, **self.facts, "notices": list(self.notices)}


def check_file(path: Path, beside: Path | None = None) -> ReferenceFile:
    """Return what a reference file holds.

    Args:
        path: The file.
        beside: Folder of the reference files in use, against which dated entries are held too.

    Raises:
        ReferenceDataError: It breaks its schema or contradicts itself, or is no reference file.
    """
    kind = _kind_of(path)
    return _of_entries(path, check_entries(path, KINDS[kind], beside)) if kind in KINDS else _CHECKS[kind](path)


def load_file(path: Path, settings: Settings, *, now: datetime | None = None) -> ReferenceFile:
    """Check a reference file beside those in use and put it into use, whole or not at all.

    Owner rules, exchange rates, the cost policy, dimension rules and the billing calendar take the place of the file in
    use; a contract stands beside others, and supersedes what was known of it before; a file of dated entries takes the
    place of the one of its name. All that is then in use is recorded in the lake.

    Args:
        path: The file.
        settings: The home.
        now: The time, with a time zone; by default that of the clock.

    Raises:
        ReferenceDataError: It has a fault, or contradicts what is in use.
        StoreUnavailableError: The lake is in an object store that is away. The file is in use; loading it again, or
            the next build, records it.
    """
    now = now or datetime.now(UTC)
    loaded = _put(path, settings, now)
    connect(settings.lake, settings.lake_url)
    record_reference(settings.lake, settings.reference, now)
    return loaded


def _put(path: Path, settings: Settings, now: datetime) -> ReferenceFile:
    kind = _kind_of(path)
    if kind in KINDS:
        file, target = load_entries(path, KINDS[kind], settings.reference, now=now)
        return replace(_of_entries(target, file), notices=tuple(_unconverted(file, settings)))
    if kind == CONTRACT:
        loaded = load_contract(path, settings.contracts, PriceBook.load(settings), now=now)
        return replace(_of_contract(loaded.path, loaded.contract), notices=loaded.notices)
    checked = _CHECKS[kind](path)
    targets = {
        OWNERS: settings.owners,
        EXCHANGE_RATES: settings.exchange_rates,
        COST_POLICY: settings.cost_policy,
        DIMENSIONS: settings.dimensions,
        BILLING_CALENDAR: settings.billing_calendar,
        CLOSING_POLICY: settings.closing_policy,
    }
    target = targets[kind]
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    write_synced(temporary, path.read_bytes())
    before = _calendar_in_use(settings)
    temporary.replace(target)
    sync_folder(target.parent)
    notices: tuple[str, ...] = ()
    if kind == EXCHANGE_RATES:
        notices = tuple(_without_exchange_rate(PriceBook.load(settings)))
    elif kind == BILLING_CALENDAR and before != read_billing_calendar(target):
        notices = ("calls move between billing periods: the next `tollbook warehouse build` makes every date anew",)
    return replace(checked, path=target, notices=notices)


def _kind_of(path: Path) -> str:
    content = read_yaml(path).content
    keys = set(content) if isinstance(content, dict) else set()
    if _OVERLAY in keys:
        raise ReferenceDataError(f"expected reference data at {path}, got a price overlay: use `tollbook prices load`")
    return next((kind for kind in (*_NAMED, *KINDS) if kind in keys), OWNERS)


def _calendar_in_use(settings: Settings) -> BillingCalendar | None:
    """Return the billing calendar in use, None for a file with a fault: one without takes its place."""
    try:
        return billing_calendar(settings)
    except ReferenceDataError:
        return None


def _without_exchange_rate(book: PriceBook) -> Iterator[str]:
    """Yield in words which contracts in use price usage on dates without an exchange rate."""
    prices = () if book.contracted is None else book.contracted.prices
    lacking = {
        (price.contract_id or "", price.agreement.currency)
        for price in prices
        if price.agreement is not None and price.agreement.rates and price.agreement.usd is None
    }
    for contract_id, currency in sorted(lacking):
        yield (
            f"{contract_id}: there are dates without an exchange rate of {currency}; usage that it prices on them has "
            "no cost"
        )


def _unconverted(file: EntryFile, settings: Settings) -> Iterator[str]:
    """Yield in words which entries are in a currency that has no exchange rate on their first day."""
    path, calendar = settings.exchange_rates, billing_calendar(settings)
    exchange = read_exchange_rates(path) if path.exists() else ExchangeRates()
    if file.kind not in _CHARGED:
        return
    for entry in file.entries:
        currency = entry.body.get("offer", entry.body).get("currency", USD)
        day = date.fromisoformat(entry.body.get("issued_on") or entry.body["valid_from"])
        if currency != USD and exchange.at(currency, calendar.begins(day)) is None:
            yield f"{entry.entry_id}: there is no exchange rate of {currency} on {day}; its cost in USD is unknown then"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _of_entries(path: Path, file: EntryFile) -> ReferenceFile:
    kind: EntryKind = KINDS[file.kind]
    one, several = kind.entry
    count = len(file.entries)
    holds = f"{kind.words} {file.name}, {count:,} {one if count == 1 else several}, version {file.version}"
    facts = {"name": file.name, "entries": count, "withdrawals": len(file.withdrawals), "version": file.version}
    return ReferenceFile(path, file.kind, holds, facts)


def _check_owners(path: Path) -> ReferenceFile:
    owners = read_owners(path)
    facts = {"rules": len(owners.rules), "version": owners.version}
    return ReferenceFile(path, OWNERS, f"{_counted(len(owners.rules), 'rule')}, version {owners.version}", facts)


def _check_contract(path: Path) -> ReferenceFile:
    return _of_contract(path, read_contract(path))


def _of_contract(path: Path, contract: Contract) -> ReferenceFile:
    facts = {"contract_id": contract.contract_id, "terms": len(contract.terms), "version": contract.version}
    words = f"contract {contract.contract_id} with {contract.provider}, {_counted(len(contract.terms), 'term')}"
    return ReferenceFile(path, CONTRACT, f"{words}, version {contract.version}", facts)


def _check_exchange_rates(path: Path) -> ReferenceFile:
    exchange = read_exchange_rates(path)
    facts = {"rates": len(exchange.rates), "version": exchange.version}
    holds = f"{_counted(len(exchange.rates), 'exchange rate')}, version {exchange.version}"
    return ReferenceFile(path, EXCHANGE_RATES, holds, facts)


def _check_cost_policy(path: Path) -> ReferenceFile:
    policy = read_cost_policy(path)
    facts = {"prefer": policy.prefer, "providers": len(policy.providers), "version": policy.version}
    words = f"cost policy that prefers {policy.prefer}, {_counted(len(policy.providers), 'provider')} named"
    return ReferenceFile(path, COST_POLICY, f"{words}, version {policy.version}", facts)


def _check_dimensions(path: Path) -> ReferenceFile:
    dimensions = read_dimensions(path)
    facts = {"rules": len(dimensions.rules), "version": dimensions.version}
    words = f"{len(dimensions.rules)} dimension rules, shipped ones included"
    return ReferenceFile(path, DIMENSIONS, f"{words}, version {dimensions.version}", facts)


def _check_billing_calendar(path: Path) -> ReferenceFile:
    calendar = read_billing_calendar(path)
    facts = {"time_zone": calendar.time_zone, "version": calendar.version}
    return ReferenceFile(path, BILLING_CALENDAR, f"billing periods as months in {calendar.time_zone}", facts)


def _check_closing_policy(path: Path) -> ReferenceFile:
    policy = read_closing_policy(path)
    amount, percent = f"{policy.tolerance.usd:f}", f"{policy.tolerance.percent:f}"
    facts = {"approvers": len(policy.approvers), "amount": amount, "percent": percent}
    holds = f"closing policy, {_counted(len(policy.approvers), 'approver')}, tolerates {amount} USD or {percent} %"
    return ReferenceFile(path, CLOSING_POLICY, holds, facts)


_CHECKS: Final[dict[str, Callable[[Path], ReferenceFile]]] = {
    OWNERS: _check_owners,
    CONTRACT: _check_contract,
    EXCHANGE_RATES: _check_exchange_rates,
    COST_POLICY: _check_cost_policy,
    DIMENSIONS: _check_dimensions,
    BILLING_CALENDAR: _check_billing_calendar,
    CLOSING_POLICY: _check_closing_policy,
}
