"""What was used under contracts in other currencies, against the exchange rates: without one, usage has no cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tollbook.rating.arithmetic import REQUEST
from tollbook.rating.book import ContractLines, PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.checks.finding import Finding
from tollbook.rating.checks.usage import TOKENS, check_usage
from tollbook.rating.prices import ANY_ACCOUNT, Price
from tollbook.rating.schedule import SINCE_EVER, Schedule
from tollbook.rating.used import UsedUnit

NOT_RERATED: Final = "usage_not_rerated"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Lack:
    """What a contract prices without an exchange rate, over all periods: since when, until when, and of how much."""

    currency: str
    since: datetime
    until: datetime
    quantity: int


def check_used(used: Sequence[UsedUnit], book: PriceBook) -> Iterator[Finding]:
    """Yield what was used and has no cost by a book: at list prices, and by contracts without an exchange rate."""
    found, lacking = _without_exchange_rate(used, book)
    yield from found
    # What a contract cannot price yet has no price by now, whatever the price list says.
    yield from (each for each in check_usage(used, book.list_prices) if each.code != NOT_RERATED or not lacking)
    if lacking:
        rest = [each for place, each in enumerate(used) if place not in lacking]
        yield from (each for each in check_usage(rest, book.list_prices) if each.code == NOT_RERATED)


def _without_exchange_rate(used: Sequence[UsedUnit], book: PriceBook) -> tuple[list[Finding], set[int]]:
    """Return the findings, one for each model, tier, contract and account, and the places of the usage they are of."""
    lines, catalogue = book.contract_lines, book.contracted
    if lines is None or catalogue is None or not lines.unknown.any():
        return [], set()
    tokens = {unit.name for unit in catalogue.units.all if unit.consumed_unit == TOKENS}
    groups = _groups(catalogue, lines)
    # A call has no cost if any of its units lacks one; which units were used together is not told.
    lacking = {_of_calls(each) for each in used if any(_unknown_of(each, catalogue, lines, groups))}
    lacks: dict[tuple[str, str, str, str, str], _Lack] = {}
    places: set[int] = set()
    for place, each in enumerate(used):
        if not each.quantity or _of_calls(each) not in lacking:
            continue
        told: set[tuple[str, str, str, str, str]] = set()
        for tier, price, _, since, until in _agreed(each, catalogue, lines, groups):
            if price.agreement is None or price.contract_id is None:
                continue
            key = (each.provider, each.model, tier, price.contract_id, price.billing_account_id or ANY_ACCOUNT)
            lack = lacks.setdefault(key, _Lack(price.agreement.currency, since, until, 0))
            lack.since, lack.until = min(lack.since, since), max(lack.until, until)
            told.add(key)
        if told:
            places.add(place)
        for key in told:
            lacks[key].quantity += each.quantity if each.unit in tokens else 0
    return [_finding(key, lack) for key, lack in lacks.items()], places


def _groups(catalogue: Catalogue, lines: ContractLines) -> dict[tuple[str, str, str], list[int]]:
    """Return model and tier to its groups that a contract reaches, of any region and account."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for (provider, model, tier, _, _), group in catalogue.schedule.groups.items():
        if lines.of_group[group]:
            groups.setdefault((provider, model, tier), []).append(group)
    return groups


def _of_calls(each: UsedUnit) -> tuple[datetime, str, str, str]:
    return each.period_start, each.provider, each.model, each.service_tier


def _unknown_of(
    each: UsedUnit, catalogue: Catalogue, lines: ContractLines, groups: dict[tuple[str, str, str], list[int]]
) -> Iterator[bool]:
    """Yield whether each price without an exchange rate is one of what was used, or of every request."""
    places = catalogue.units.places
    units = [places[name] for name in (each.unit, REQUEST) if name in places]
    for _, _, line, _, _ in _agreed(each, catalogue, lines, groups):
        yield any(int(catalogue.rates.unknown[line]) >> unit & 1 for unit in units)


def _agreed(
    each: UsedUnit, catalogue: Catalogue, lines: ContractLines, groups: dict[tuple[str, str, str], list[int]]
) -> Iterator[tuple[str, Price, int, datetime, datetime]]:
    """Yield the prices without an exchange rate that what was used comes under: tier, price, line, and its time."""
    found = catalogue.find(each.provider, each.model) if each.quantity else None
    tier = catalogue.names.service_tier(each.service_tier)
    if found is None or tier is None:
        return
    for group in groups.get((found.provider, found.model, tier), ()):
        for price, line, since, until in _unknown(catalogue.schedule, lines, group, each):
            yield tier, price, line, since, until


def _unknown(
    schedule: Schedule, lines: ContractLines, group: int, each: UsedUnit
) -> Iterator[tuple[Price, int, datetime, datetime]]:
    """Yield prices without an exchange rate in a billing period, each with its line and when it holds in it."""
    first, beyond = int(schedule.periods.offsets[group]), int(schedule.periods.offsets[group + 1])
    for period in range(first, beyond):
        start = int(schedule.periods.starts[period])
        since = each.period_start if start == SINCE_EVER else max(each.period_start, _moment(start))
        until = each.period_end
        if period + 1 < beyond:
            until = min(until, _moment(int(schedule.periods.starts[period + 1])))
        if since >= until:
            continue
        hours = range(int(schedule.hours.offsets[period]), int(schedule.hours.offsets[period + 1]))
        for hour in hours:
            for line in range(int(schedule.contexts.offsets[hour]), int(schedule.contexts.offsets[hour + 1])):
                price = schedule.lines[line].price
                if lines.unknown[line] and price is not None:
                    yield price, line, since, until


def _finding(key: tuple[str, str, str, str, str], lack: _Lack) -> Finding:
    provider, model, tier, contract_id, account = key
    used = "what was used then" if account == ANY_ACCOUNT else f"what the account {account} used then"
    return Finding(
        code="contract_without_exchange_rate",
        provider=provider,
        model=model,
        message=(
            f"contract {contract_id} prices usage in {lack.currency}, and no exchange rate is known from "
            f"{lack.since:%Y-%m-%d} to {lack.until:%Y-%m-%d}: {used} has no cost, of {lack.quantity:,} "
            "tokens in those billing periods"
        ),
        service_tier=tier,
        valid_from=lack.since,
        valid_to=lack.until,
        quantity=lack.quantity,
    )


def _moment(since_epoch: int) -> datetime:
    return _EPOCH + timedelta(microseconds=since_epoch)
