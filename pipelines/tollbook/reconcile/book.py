"""All that is reconciled of a home: days of vendors' reports, and invoices against what is payable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from tollbook.chargeback.origins import CREDIT, Origin, pico_of
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.reconcile.booking import RECONCILIATION, reconciliation_origins
from tollbook.reconcile.invoiced import Key, OurSums, PeriodUnit, compare_invoices
from tollbook.reconcile.residuals import DayUnit
from tollbook.reconcile.table import reconciliation_table

PERIOD_SUMS_SCHEMA: Final = pa.schema(
    [
        ("provider", pa.string()),
        ("billing_period_start", pa.date32()),
        ("month_start", pa.date32()),
        ("model", pa.string()),
        ("calls", pa.int64()),
        ("unpriced_calls", pa.int64()),
        ("total_tokens", pa.int64()),
        ("contracted_cost", pa.decimal128(38, 12)),
    ]
)
"""Usage by provider, billing period, month of UTC and model."""
_USAGE_OF: Final = "usage "


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What is known of vendors' reports and invoices, and of the usage that they are about.

    Attributes:
        days: Days of vendors' reports, named.
        lines: Lines of invoices, `INVOICE_LINES_SCHEMA` as rows.
        usage: Usage of periods, `PERIOD_SUMS_SCHEMA` as rows.
        calendar: Billing calendar.
        today: Day of the billing calendar.
        provider_of: Gives the price list's name of a provider by any of its names.
    """

    days: Sequence[DayUnit]
    lines: Sequence[Mapping[str, Any]]
    usage: Sequence[Mapping[str, Any]]
    calendar: BillingCalendar
    today: date
    provider_of: Callable[[str], str] = str

    def periods(self, origins: Iterable[Mapping[str, Any]]) -> list[PeriodUnit]:
        """Return billing periods of invoices against what is payable, every residual named.

        Args:
            origins: Charges as a whole; what was booked by reconciliation takes no part.
        """
        if not self.lines:
            return []
        reported = {unit.vendor for unit in self.days}
        invoiced = {line["obligation"].removeprefix(_USAGE_OF) for line in self.lines}
        same = {
            vendor: frozenset(each for each in reported if self.provider_of(each) == self.provider_of(vendor))
            for vendor in invoiced
        }
        return compare_invoices(self.lines, self._ours(origins), self.days, self.calendar, self.today, same)

    def booked(self, origins: Sequence[Origin]) -> list[Origin]:
        """Return the residuals of final invoices as charges, one for each vendor, period and reason.

        Args:
            origins: All other charges.
        """
        names = ("obligation", "billing_period_start", "model", "contracted_cost", "charge_category", "source_kind")
        told = ({name: getattr(origin, name) for name in names} for origin in origins)
        return list(reconciliation_origins(self.periods(told), self.calendar))

    def table(self, origins: Iterable[Mapping[str, Any]]) -> pa.Table:
        """Return every comparison, `RECONCILIATION_SCHEMA`.

        Args:
            origins: Charges as a whole; what was booked by reconciliation takes no part.
        """
        return reconciliation_table(self.days, self.periods(origins), self.calendar)

    def _ours(self, origins: Iterable[Mapping[str, Any]]) -> Mapping[Key, OurSums]:
        ours: defaultdict[Key, OurSums] = defaultdict(OurSums)
        for row in self.usage:
            cost = _pico(row["contracted_cost"])
            mine = ours[row["provider"], row["billing_period_start"], row["model"]]
            mine.payable += cost
            mine.usage += cost
            mine.calls += row["calls"]
            mine.tokens += row["total_tokens"] or 0
            mine.unpriced_calls += row["unpriced_calls"]
            ours[row["provider"], row["month_start"], row["model"]].month += cost
        for origin in origins:
            if origin["source_kind"] != RECONCILIATION and origin["obligation"].startswith(_USAGE_OF):
                vendor, cost = origin["obligation"].removeprefix(_USAGE_OF), _pico(origin["contracted_cost"])
                mine = ours[vendor, origin["billing_period_start"], origin["model"]]
                mine.payable += cost
                mine.credits += cost if origin["charge_category"] == CREDIT else 0
        return ours


def _pico(amount: Decimal | None) -> int:
    return 0 if amount is None else pico_of(amount)
