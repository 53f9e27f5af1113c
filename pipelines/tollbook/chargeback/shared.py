"""All origin charges of a home, and their allocation, by what is known at an instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from tollbook.chargeback.adjustments import adjustment_origins
from tollbook.chargeback.allocate import Allocation, Rules
from tollbook.chargeback.contracts import UNTAGGED, contract_origins, untagged_origins
from tollbook.chargeback.estimates import estimate_origins
from tollbook.chargeback.fleets import FLEET, charge_fleets
from tollbook.chargeback.methods import Methods
from tollbook.chargeback.origins import Origins, origin_table
from tollbook.chargeback.places import Places
from tollbook.chargeback.platforms import charge_platforms
from tollbook.chargeback.subscriptions import SUBSCRIPTION, charge_subscriptions
from tollbook.chargeback.usage_lines import UsageLines
from tollbook.closing.adjustments import NO_ADJUSTMENTS, Adjustments
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.rating.sources.exchange import ExchangeRates
from tollbook.reconcile.book import Reconciliation
from tollbook.reference.dated.kinds import ALLOCATION_RULES, ESTIMATES, FLEETS, HIERARCHY, PLATFORMS, SUBSCRIPTIONS
from tollbook.reference.dated.use import ReferenceBook


@dataclass(frozen=True, slots=True)
class SharedCharges:
    """What is charged as a whole and who bears it.

    Attributes:
        book: Reference data.
        usage: Usage of billing periods.
        exchange: Dated rates to USD.
        calendar: Billing calendar.
        known_at: What was learned later is not known, and periods that begin later have not begun.
        provider_of: Gives the price list's name of a provider by any of its names.
        adjustments: What approvers moved.
    """

    book: ReferenceBook
    usage: UsageLines
    exchange: ExchangeRates
    calendar: BillingCalendar
    known_at: datetime
    provider_of: Callable[[str], str] = str
    adjustments: Adjustments = NO_ADJUSTMENTS

    def origins(
        self, period_charges: Iterable[Mapping[str, Any]] = (), reconciled: Reconciliation | None = None
    ) -> pa.Table:
        """Return every origin charge, `ORIGIN_SCHEMA`.

        They are of rating, platforms, plans, fleets, untagged usage, estimates, adjustments and residuals of invoices.

        Args:
            period_charges: Charges of rating, with the dates of their periods.
            reconciled: Invoices and what they are held against; None books no residual.
        """
        found = Origins(self.calendar, self.exchange)
        today = self.calendar.day_at(self.known_at)
        rules, places = self._rules(), self._places()
        cuts = rules.cuts() | places.changes()
        charge_platforms(found, self.book.known(PLATFORMS, self.known_at), cuts, today)
        charge_subscriptions(found, self.book.known(SUBSCRIPTIONS, self.known_at), self.usage, cuts, today)
        charge_fleets(found, self.book.known(FLEETS, self.known_at), self.usage, cuts, today)

        def rule_on(day: date) -> str | None:
            rule = rules.on("usage", UNTAGGED, day)
            return None if rule is None else rule.entry_id

        found.rows += untagged_origins(found, self.usage, rule_on)
        found.rows += contract_origins(period_charges, self._named_by_events)
        found.rows += estimate_origins(found, self.book.known(ESTIMATES, self.known_at), self.usage)
        found.rows += adjustment_origins(found, self.adjustments.moves())
        if reconciled is not None:
            found.rows += reconciled.booked(found.rows)
        return origin_table(found.rows)

    def allocated(self, origins: pa.Table) -> pa.Table:
        """Return the lines of origin charges, `ALLOCATED_SCHEMA`, which sum to them.

        Args:
            origins: `ORIGIN_SCHEMA`.
        """
        methods = Methods(self.usage, self._places())
        return Allocation(methods, self._rules(), self._providers_of, self.adjustments).lines(origins)

    def _rules(self) -> Rules:
        entries = {
            (source, entry.entry_id): entry
            for source, kind in ((SUBSCRIPTION, SUBSCRIPTIONS), (FLEET, FLEETS))
            for entry in self.book.known(kind, self.known_at)
        }
        return Rules(self.book.known(ALLOCATION_RULES, self.known_at), entries)

    def _places(self) -> Places:
        return Places.of(self.book.known(HIERARCHY, self.known_at))

    def _providers_of(self, name: str) -> tuple[str, ...]:
        billed = self.provider_of(name)
        return tuple(sorted(each for each in self.usage.providers() if self.provider_of(each) == billed)) or (name,)

    def _named_by_events(self, provider: str) -> str:
        """Return the one name that events have for a provider; its own where they have none or several."""
        names = self._providers_of(provider)
        return names[0] if len(names) == 1 else provider
