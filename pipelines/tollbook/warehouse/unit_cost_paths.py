"""Where inference should run, as a step of dbt's: usage, tasks and fleets of the warehouse, offers of reference data.

Only billing periods are computed whose inputs are not those that the mart was made of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.spans import overlap
from tollbook.insight.path_entries import assumptions_of, figure_of, offer_of, residency_of, workload_of
from tollbook.insight.path_offers import Assumptions, PathOffer, Paths, Workload
from tollbook.insight.path_usage import USAGE_SCHEMA
from tollbook.insight.unit_cost_paths import METHOD, PATHS_SCHEMA, unit_cost_paths
from tollbook.rating.periods.calendar import BillingCalendar, BillingPeriod
from tollbook.rating.sources.exchange import USD, ExchangeRates, read_exchange_rates
from tollbook.reference.dated.entries import DatedEntry
from tollbook.reference.dated.kinds import FLEETS, PATHS
from tollbook.reference.dated.use import ReferenceBook, read_reference
from tollbook.settings import Settings
from tollbook.warehouse.period_states import changed_periods, period_versions
from tollbook.warehouse.plan import PlannedScope, planned_scope
from tollbook.warehouse.python_models import python_model
from tollbook.warehouse.state import WarehouseFolder

COMPUTED_SCHEMA: Final = PATHS_SCHEMA.append(pa.field("inputs_version", pa.string()))

_PERIOD: Final = "billing_period_start"
_MART: Final = "fct_unit_cost_paths"
_KEY: Final = ", ".join(USAGE_SCHEMA.names[:8])
_SUMS: Final = ", ".join(
    f"cast(sum({field.name}) as {'bigint' if pa.types.is_integer(field.type) else 'decimal(38, 12)'}) as {field.name}"
    for field in list(USAGE_SCHEMA)[8:]
)
_TASKS: Final = f"{_PERIOD}, workflow, cast(sum(tasks) as bigint) as tasks"
_IS_FLEET: Final = """
    source_kind = 'fleet' and charge_kind in ('fleet_used', 'fleet_idle') and charge_class is distinct from 'Correction'
"""
_FLEET_COSTS: Final = f"""
    {_PERIOD}, source_id, case when count(*) = count(effective_cost) then sum(effective_cost) end as fleet_cost
"""
_DAY: Final = timedelta(days=1)


def unit_cost_paths_of(days: Any, tasks: Any, origins: Any, session: Any) -> pa.Table:
    """Return what workloads would cost on each path, of the billing periods whose inputs have changed.

    Args:
        days: DuckDB relation of days of usage by workflow and path, with the columns of `USAGE_SCHEMA` and
            `usage_date`.
        tasks: DuckDB relation of tasks by billing period and workflow.
        origins: DuckDB relation of origin charges, with the columns of `finance.fct_charge_origins`.
        session: DuckDB connection of the build.

    Returns:
        `COMPUTED_SCHEMA`, and a row without a workload for each such period: what the mart holds of it is to be
        deleted.
    """
    with python_model(session) as settings:
        folder = WarehouseFolder.of(settings)
        scope, book, exchange = planned_scope(folder), read_reference(settings.reference), _exchange(settings)
        used = days.aggregate(f"{_KEY}, {_SUMS}", _KEY).project(", ".join(USAGE_SCHEMA.names))
        counted = tasks.aggregate(_TASKS, f"{_PERIOD}, workflow")
        fleets = origins.filter(_IS_FLEET).aggregate(_FLEET_COSTS, f"{_PERIOD}, source_id")
        covered = _covered(days, scope.calendar)
        versions = period_versions(
            [(used, USAGE_SCHEMA.names), (counted, ("workflow", "tasks")), (fleets, ("source_id", "fleet_cost"))],
            f"{METHOD}\n{_common(book, exchange, scope)}",
            {period: str(seconds) for period, seconds in covered.items()},
        )
        # Fleets cost something in periods without usage too, of which there is nothing to compute.
        versions = {period: version for period, version in versions.items() if period in covered}
        remade = changed_periods(session, folder, _MART, versions)
        known = _known(_Reference(book, exchange, scope), fleets, covered, remade)
        computed = _computed(used, counted, known)
        told = [versions[period] for period in computed[_PERIOD].to_pylist()]
        marks = pa.Table.from_pylist([{_PERIOD: period} for period in remade], schema=COMPUTED_SCHEMA)
        rows = computed.append_column(COMPUTED_SCHEMA.field("inputs_version"), pa.array(told, pa.string()))
        return pa.concat_tables([rows, marks])


class _Reference:
    """What was known of inference elsewhere when the build was planned."""

    def __init__(self, book: ReferenceBook, exchange: ExchangeRates, scope: PlannedScope) -> None:
        self._entries = book.known(PATHS, scope.now)
        self._fleets = book.known(FLEETS, scope.now)
        self._exchange = exchange
        self._calendar = scope.calendar

    def paths(self, period: BillingPeriod, covered: Fraction, fleet_costs: Mapping[str, Fraction | None]) -> Paths:
        """Return what holds on the first day of a billing period.

        Args:
            period: The period.
            covered: How much of it has usage. Unit: Seconds.
            fleet_costs: Cost of fleets in the period. Unit: USD.
        """
        seconds = _seconds(self._calendar, period)
        held: defaultdict[str, list[DatedEntry]] = defaultdict(list)
        for entry in self._entries:
            if entry.holds_on(period.start):
                held[entry.key[0]].append(entry)
        workloads: dict[str, Workload] = {}
        for entry in held["workload"]:
            told = entry.body["workload"]
            workloads |= dict.fromkeys((told["workload"], *told.get("workflows", ())), workload_of(told))
        assumed = [assumptions_of(entry.body["assumptions"]) for entry in held["assumptions"]]
        return Paths(
            period_seconds=seconds,
            covered_seconds=covered,
            offers=self._offers(held["offer"], period, seconds, fleet_costs),
            figures=[figure_of(entry.body["throughput"]) for entry in held["throughput"]],
            workloads=workloads,
            rules=[residency_of(entry.body["residency"]) for entry in held["residency"]],
            assumptions=assumed[0] if assumed else Assumptions(),
            served=[entry.body["serves"] for entry, _ in self._fleets_in(period)],
        )

    def _offers(
        self,
        entries: Iterable[DatedEntry],
        period: BillingPeriod,
        seconds: Fraction,
        fleet_costs: Mapping[str, Fraction | None],
    ) -> list[PathOffer]:
        offers = []
        for entry in entries:
            body = entry.body["offer"]
            fleet = self._fleet(body["fleet"], period, fleet_costs) if "fleet" in body else None
            offers.append(offer_of(body, self._usd(body.get("currency", USD), period.start), seconds, fleet))
        return sorted(offers, key=lambda each: (each.path, each.offer_id))

    def _fleet(
        self, name: str, period: BillingPeriod, fleet_costs: Mapping[str, Fraction | None]
    ) -> tuple[Fraction, Fraction] | None:
        """Return what a fleet costs in a period and how many devices it has on average, None where it is not known."""
        whole = (period.end - period.start).days
        devices = sum(
            (
                Fraction(entry.body["devices"] * days, whole)
                for entry, days in self._fleets_in(period)
                if entry.body["fleet_id"] == name
            ),
            Fraction(0),
        )
        cost = fleet_costs.get(name)
        return None if cost is None or not devices else (cost, devices)

    def _fleets_in(self, period: BillingPeriod) -> Sequence[tuple[DatedEntry, int]]:
        """Return the fleets of a period and on how many of its days each stands."""
        held = [(each, overlap(each.valid_from, each.valid_to, period.start, period.end)) for each in self._fleets]
        return [(entry, (days[1] - days[0]).days) for entry, days in held if days is not None]

    def _usd(self, currency: str, day: date) -> Fraction | None:
        if currency == USD:
            return Fraction(1)
        held = self._exchange.at(currency, self._calendar.begins(day))
        return None if held is None else held.usd


def _known(
    reference: _Reference, fleets: Any, covered: Mapping[date, Fraction], periods: Iterable[date]
) -> dict[date, Paths]:
    costs: defaultdict[date, dict[str, Fraction | None]] = defaultdict(dict)
    for period, name, cost in fleets.fetchall():
        costs[period][name] = None if cost is None else Fraction(cost)
    return {
        period: reference.paths(BillingPeriod.of(period), covered[period], costs[period])
        for period in periods
        if period in covered
    }


def _computed(used: Any, counted: Any, known: Mapping[date, Paths]) -> pa.Table:
    if not known:
        return PATHS_SCHEMA.empty_table()
    listed = ", ".join(f"date '{period}'" for period in known)
    condition = f"{_PERIOD} in ({listed})"
    tasks = {(period, workflow): count for period, workflow, count in counted.filter(condition).fetchall()}
    return unit_cost_paths(used.filter(condition).to_arrow_table().cast(USAGE_SCHEMA), tasks, known)


def _covered(days: Any, calendar: BillingCalendar) -> dict[date, Fraction]:
    """Return how much of each billing period lies between the first and the last day of usage. Unit: Seconds.

    What began in the middle of a month, or has not ended, is held against the hours that it is of.
    """
    first, last = days.aggregate("min(usage_date), max(usage_date)").fetchall()[0]
    found = {}
    for (start,) in days.project(_PERIOD).distinct().fetchall():
        period = BillingPeriod.of(start)
        begin = max(calendar.begins(period.start), datetime.combine(first, time(0), UTC))
        end = min(calendar.begins(period.end), datetime.combine(last, time(0), UTC) + _DAY)
        found[start] = Fraction(round((end - begin).total_seconds()))
    return found


def _seconds(calendar: BillingCalendar, period: BillingPeriod) -> Fraction:
    return Fraction(round((calendar.begins(period.end) - calendar.begins(period.start)).total_seconds()))


def _common(book: ReferenceBook, exchange: ExchangeRates, scope: PlannedScope) -> str:
    files = [file for kind in (PATHS, FLEETS) for file in book.files.get(kind, ())]
    told = [f"{file.kind} {file.name} {file.version}" for file in files]
    return "\n".join([*told, exchange.version, scope.calendar.version])


def _exchange(settings: Settings) -> ExchangeRates:
    path = settings.exchange_rates
    return read_exchange_rates(path) if path.exists() else ExchangeRates()
