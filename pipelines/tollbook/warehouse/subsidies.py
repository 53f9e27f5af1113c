"""What seats and flat plans are worth, as a step of dbt's: usage and fees of the warehouse, plans of reference data.

Only billing periods are computed whose usage, fees or plans are not those that the mart was made of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.spans import spans_of
from tollbook.insight.plan_terms import terms_of_offer, terms_of_subscription
from tollbook.insight.subsidies import FEES_SCHEMA, PERSONS_SCHEMA, SUBSIDIES_SCHEMA, Offer, Plan, subsidies
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.rating.sources.exchange import USD, ExchangeRates, read_exchange_rates
from tollbook.reference.dated.entries import DatedEntry
from tollbook.reference.dated.kinds import OFFERS, SUBSCRIPTIONS
from tollbook.reference.dated.use import ReferenceBook, read_reference
from tollbook.settings import Settings
from tollbook.warehouse.period_states import changed_periods, period_versions
from tollbook.warehouse.plan import PlannedScope, planned_scope
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder

COMPUTED_SCHEMA: Final = SUBSIDIES_SCHEMA.append(pa.field("inputs_version", pa.string()))
METHOD: Final = "1"
"""Counts up when the same inputs give other rows."""

_PERIOD: Final = "billing_period_start"
_MART: Final = "fct_subsidies"
_SUMS: Final = ", ".join(f"sum({name}) as {name}" for name in PERSONS_SCHEMA.names[3:])
_FEES: Final = f"""
    {_PERIOD},
    source_id as subscription_id,
    case when count(*) = count(effective_cost) then
        coalesce(sum(effective_cost) filter (where charge_component = 'seats'), 0) end as seats_cost,
    case when count(*) = count(effective_cost) then
        coalesce(sum(effective_cost) filter (where charge_component = 'fee'), 0) end as fee_cost
"""
_IS_FEE: Final = """
    source_kind = 'subscription' and charge_component in ('seats', 'fee') and charge_class is distinct from 'Correction'
"""

Rate = Callable[[str, date], Fraction | None]


def subsidies_of(persons: Any, origins: Any, session: Any) -> pa.Table:
    """Return what plans are worth to those who use them, of the billing periods whose inputs have changed.

    Args:
        persons: DuckDB relation of days of usage by subscription and person.
        origins: DuckDB relation of origin charges, with the columns of `finance.fct_charge_origins`.
        session: DuckDB connection of the build.

    Returns:
        `COMPUTED_SCHEMA`, and a row with neither person nor offer for each such period: what the mart holds of it is to
        be deleted.
    """
    with python_model(session) as settings:
        folder = WarehouseFolder.of(settings)
        scope, book = planned_scope(folder), read_reference(settings.reference)
        by_person = persons.aggregate(
            f"{_PERIOD}, subscription_id, person, {_SUMS}", f"{_PERIOD}, subscription_id, person"
        )
        used = by_person.project(", ".join(PERSONS_SCHEMA.names))
        fees = origins.filter(_IS_FEE).aggregate(_FEES, f"{_PERIOD}, source_id")
        exchange = _exchange(settings)
        common = f"{METHOD}\n{_common(book, exchange)}"
        versions = period_versions(((used, PERSONS_SCHEMA.names), (fees, FEES_SCHEMA.names)), common)
        remade = changed_periods(session, folder, _MART, versions)
        computed = _computed(used, fees, remade, Reference(book, exchange, scope))
        told = [versions[period] for period in computed[_PERIOD].to_pylist()]
        marks = pa.Table.from_pylist([{_PERIOD: period} for period in remade], schema=COMPUTED_SCHEMA)
        rows = computed.append_column(COMPUTED_SCHEMA.field("inputs_version"), pa.array(told, pa.string()))
        return pa.concat_tables([rows, marks])


class Reference:
    """Plans that are in force and on offer, by what was known when the build was planned."""

    def __init__(self, book: ReferenceBook, exchange: ExchangeRates, scope: PlannedScope) -> None:
        """Read them.

        Args:
            book: Reference data.
            exchange: Dated rates to USD.
            scope: What the build goes by.
        """
        self._plans = book.known(SUBSCRIPTIONS, scope.now)
        self._offers = book.known(OFFERS, scope.now)
        self._rate = _rates(exchange, scope.calendar)
        self._today = scope.calendar.day_at(scope.now)

    def plans(self) -> dict[tuple[date, str], Plan]:
        """Return what subscriptions say, by first day of the billing period and name; the last entry's terms hold."""
        held: defaultdict[tuple[date, str], list[tuple[int, int, DatedEntry]]] = defaultdict(list)
        for entry in sorted(self._plans, key=lambda each: each.valid_from):
            for span in spans_of(entry.valid_from, entry.valid_to, self._today):
                whole = (span.period.end - span.period.start).days
                held[span.period.start, entry.body["subscription_id"]].append((span.days, whole, entry))
        return {key: self._plan(key[0], entries) for key, entries in held.items()}

    def offers(self, period: date) -> list[Offer]:
        """Return the plans on offer on the first day of a billing period that have a price in USD, by name."""
        found = []
        for entry in sorted(self._offers, key=lambda each: str(each.body["plan_id"])):
            body = entry.body
            usd = self._rate(body["currency"], period) if entry.holds_on(period) else None
            if usd is not None:
                replaces = frozenset(body["replaces"]) if "replaces" in body else None
                found.append(Offer(body["plan_id"], terms_of_offer(body, usd), replaces))
        return found

    def _plan(self, period: date, held: Sequence[tuple[int, int, DatedEntry]]) -> Plan:
        last = held[-1][2].body
        seated = [(days, each.body["seats"]["purchased"]) for days, _, each in held if "seats" in each.body]
        usd = self._rate(last["currency"], period)
        terms = None if usd is None else terms_of_subscription(last, usd)
        return Plan(
            vendor=last["vendor"],
            plan=last["plan"],
            seats=Fraction(sum(days * count for days, count in seated), sum(days for days, _ in seated))
            if seated
            else None,
            terms=None if terms is None else replace(terms, covered=_covered(held, terms.unit)),
        )


def _covered(held: Sequence[tuple[int, int, DatedEntry]], unit: str) -> Fraction:
    """Return what entries cover in a billing period together, each by its days unless parts count whole."""
    total = Fraction(0)
    for days, whole, entry in held:
        included = entry.body.get("included", {})
        if included.get("unit") == unit and "quantity" in included:
            seats = entry.body["seats"]["purchased"] if included["per"] == "seat" else 1
            part = Fraction(1) if entry.body.get("part_periods") == "whole" else Fraction(days, whole)
            total += Fraction(included["quantity"]) * seats * part
    return total


def _rates(exchange: ExchangeRates, calendar: BillingCalendar) -> Rate:
    def rate(currency: str, day: date) -> Fraction | None:
        if currency == USD:
            return Fraction(1)
        held = exchange.at(currency, calendar.begins(day))
        return None if held is None else held.usd

    return rate


def _computed(used: Any, fees: Any, periods: Iterable[date], reference: Reference) -> pa.Table:
    listed = ", ".join(f"date '{period}'" for period in periods)
    if not listed:
        return SUBSIDIES_SCHEMA.empty_table()
    condition = f"{_PERIOD} in ({listed})"
    return subsidies(
        used.filter(condition).to_arrow_table().cast(PERSONS_SCHEMA),
        fees.filter(condition).to_arrow_table().cast(FEES_SCHEMA),
        reference.plans(),
        {period: reference.offers(period) for period in periods},
    )


def _common(book: ReferenceBook, exchange: ExchangeRates) -> str:
    files = [file for kind in (SUBSCRIPTIONS, OFFERS) for file in book.files.get(kind, ())]
    return "\n".join([*(f"{file.kind} {file.name} {file.version}" for file in files), exchange.version])


def _exchange(settings: Settings) -> ExchangeRates:
    path = settings.exchange_rates
    return read_exchange_rates(path) if path.exists() else ExchangeRates()
