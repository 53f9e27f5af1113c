"""The demo's month end: two people close its first month, and what comes after that is a correction.

Then come invoices, a vendor's own report, and a cost that was higher than told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import yaml

from tollbook.chargeback.origins import USAGE
from tollbook.closing.close import CloseRequest, approve_close, propose_close, soft_close
from tollbook.closing.closes import CloseEntry, first_day, period_name, read_closes
from tollbook.demo.vendor_report import VENDOR, load_vendor_report
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.reference.dated.kinds import INVOICES
from tollbook.reference.dated.use import read_reference
from tollbook.reference.kinds import load_file
from tollbook.settings import Settings
from tollbook.warehouse.query import ask

ANALYST, CONTROLLER = "analyst@example.com", "controller@example.com"
_CENT: Final = Decimal("0.01")
_USAGE: Final = "usage "
_USAGE_INVOICE: Final = "usage-"


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """The first month of a demo.

    Attributes:
        settings: The demo's home.
        start: First day of the month.
    """

    settings: Settings
    start: date

    @property
    def period(self) -> str:
        """The billing period, `YYYY-MM`."""
        return period_name(self.start)

    @property
    def is_closed(self) -> bool:
        """Whether an earlier run closed it."""
        return read_closes(self.settings.lake).of(self.period).close is not None

    @property
    def can_close(self) -> bool:
        """Whether it is a calendar month that is over."""
        return self.start.day == 1 and datetime.now(UTC).date() > BillingPeriod.of(self.start).end

    def close(self) -> CloseEntry:
        """Close it softly, by a proposal and by the approval of another, unless it is closed; return the close."""
        held = read_closes(self.settings.lake).of(self.period).close
        if held is not None:
            return held
        steps = ((soft_close, ANALYST), (propose_close, ANALYST), (approve_close, CONTROLLER))
        for step, author in steps:
            entry = step(self.settings, CloseRequest(self.period, author, "Month end of the demo"))
        return entry

    def invoice_usage(self, path: Path) -> int:
        """Let vendors invoice the usage of the month, and one report it; return how many invoices there are.

        Invoiced is what was payable, and what the report tells beyond our events. What an earlier run loaded stays.

        Args:
            path: Where the reference file is written before it is loaded; the report lies beside it.
        """
        held = read_reference(self.settings.reference).known(INVOICES)
        entries = [entry.body for entry in held if entry.entry_id.startswith(_USAGE_INVOICE)]
        beyond = {VENDOR: load_vendor_report(self.settings, self.start, path.parent)}
        if not entries:
            entries = list(self._invoices(beyond))
            document = {"vendor_invoices": 1, "name": "usage", "entries": entries}
            path.write_text(
                "# Shape: schemas/documents/vendor_invoices.schema.json\n" + yaml.safe_dump(document, sort_keys=False),
                encoding="utf-8",
            )
            load_file(path, self.settings)
        return len(entries)

    def _invoices(self, beyond: Mapping[str, Decimal]) -> Iterator[dict[str, Any]]:
        payable = ask(
            self.settings,
            "select obligation, charge_category, sum(contracted_cost) from finance.fct_charges "
            f"where billing_period_start = date '{first_day(self.period)}' and obligation like '{_USAGE}%' "
            "group by all order by all",
        ).rows
        end = BillingPeriod.of(self.start).end
        for obligation, categories in groupby(payable, itemgetter(0)):
            vendor = obligation.removeprefix(_USAGE)
            costs = {category: cost for _, category, cost in categories if cost is not None}
            if USAGE in costs:
                costs[USAGE] += beyond.get(vendor, 0)
            amounts = {category: cost.quantize(_CENT) for category, cost in costs.items()}
            lines = [
                {
                    "line_id": category.lower(),
                    "description": f"{category}, {self.period}",
                    "category": category,
                    "amount": f"{amount:f}",
                }
                for category, amount in amounts.items()
                if amount
            ]
            if lines:
                yield {
                    "entry_id": f"{_USAGE_INVOICE}{vendor}-{self.period}",
                    "invoice_id": f"{vendor.upper()}-{self.period}",
                    "vendor": vendor,
                    "currency": "USD",
                    "issued_on": str(end + timedelta(days=3)),
                    "billing_period": self.period,
                    "total": f"{sum(amounts.values()):f}",
                    "lines": lines,
                    "known_from": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                    "author": "finance@example.com",
                    "reason": "Simulated",
                }
