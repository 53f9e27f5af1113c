"""The organisation's figures, written down by hand from its documents; nothing here comes from the product.

A unit of usage is one million input tokens and 250,000 output tokens. Amounts are dollars unless a name says otherwise.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Final

MONTHS: Final = (6, 7, 8, 9)
DAYS: Final = {6: 30, 7: 31, 8: 31, 9: 30}
FIRST: Final = {month: date(2026, month, 1) for month in MONTHS}

WORKFLOWS: Final = {
    "search": ("search-rank", "search-suggest", "search-index", "search-eval"),
    "checkout": ("checkout-fraud", "checkout-chat", "checkout-tests"),
    "mobile": ("mobile-help", "mobile-code", "mobile-notes"),
    "maps": ("maps-route", "maps-tiles", "maps-labels", "maps-review"),
    "care": ("care-triage", "care-answer", "care-voice", "care-audit"),
    "billing-desk": ("billing-match", "billing-refund", "billing-mail"),
    "field": ("field-plan", "field-photo", "field-parts"),
    "legal": ("legal-review", "legal-draft", "legal-search"),
    "finance": ("finance-close", "finance-forecast", "finance-audit"),
    "people": ("people-screen", "people-faq", "people-survey"),
    "data": ("data-clean", "data-label", "data-embed", "data-report"),
    "platform": ("platform-ci", "platform-logs", "platform-docs"),
}
"""Twelve teams and forty workflows. From August on care-triage is Field's."""
COST_CENTERS: Final = {
    "search": "P-100",
    "checkout": "P-100",
    "mobile": "P-200",
    "care": "S-100",
    "billing-desk": "S-100",
    "field": "S-200",
    "legal": "S-200",
    "finance": "C-100",
    "data": "C-200",
    "platform": "C-200",
}
"""Of ten teams, all the time; maps and people move."""
UNITS: Final = {"P": "Products", "S": "Services", "C": "Corporate"}

# 1 x 2.00 + 0.25 x 10.00; 1 x 3.00 + 0.25 x 12.00; 1 x 1.00 + 0.25 x 4.00; 1 x 0.50 + 0.25 x 0.50
LIST_PRICE: Final = {
    "atlas": Fraction("4.50"),
    "sonata": Fraction(6),
    "brise": Fraction(2),
    "nimbus": Fraction("0.625"),
}
# 1 x 1.50 + 0.25 x 8.00, as the contract says.
CONTRACTED_PRICE: Final = {"atlas": Fraction("3.50")}
# 1 x 2.50 + 0.25 x 12.00, since 1 July, and known since 20 August; 1 x 2.00 + 0.25 x 4.00.
RESTATED_PRICE: Final = {"sonata": Fraction("5.50"), "brume": Fraction(3)}
ESTIMATE_A_MILLION: Final = Fraction(4)
TOKENS_OF_A_UNIT: Final = 1_250_000

EUR: Final = {6: Fraction("1.10"), 7: Fraction("1.10"), 8: Fraction("1.20"), 9: Fraction("1.20")}

PROMISED, CREDIT, CREDIT_PRICE = 250, 1000, 900
SEAT_FEE, SEAT_INCLUDES, OVERAGE = 30, 8, Fraction("0.80")
FIRST_HALF_SEATS: Final = {"care": 2, "legal": 2}
SEATS: Final = {"care": 2, "legal": 3, "": 1}
"""Since 16 June, one of them nobody's."""
CODEBOT_FEE_EUR, CODEBOT_CREDITS, CREDIT_VALUE = 39, 300, Fraction("0.04")
YEARLY_FEE, DAYS_OF_THE_YEAR = 365, 365
RACK_PRICE, RACK_RUNNING = 3650, {"power": 60, "staff": 30}


@dataclass(frozen=True)
class InvoiceLine:
    """A line that is no tax: what it settles, its kind, the month it is about and the month it was issued in."""

    invoice: str
    obligation: str
    category: str
    amount: Fraction
    about: int
    issued: int
    currency: str = "USD"


def _lines(invoice: str, about: int, issued: int, *told: tuple[str, str, str]) -> list[InvoiceLine]:
    return [InvoiceLine(invoice, what, kind, Fraction(amount), about, issued) for what, kind, amount in told]


def _anthropic(about: int, issued: int, seats: str, overage: str, usage: str) -> list[InvoiceLine]:
    return _lines(
        f"A-0{about}",
        about,
        issued,
        ("subscription assist", "Purchase", seats),
        ("subscription assist", "Usage", overage),
        ("usage anthropic", "Usage", usage),
    )


def _of_every_month(about: int, codeco_issued: int) -> list[InvoiceLine]:
    plan = InvoiceLine(
        f"C-0{about}", "subscription codebot", "Purchase", Fraction(CODEBOT_FEE_EUR), about, codeco_issued, "EUR"
    )
    return [plan, *_lines(f"V-0{about}", about, about + 1, ("platform vector-store", "Usage", "400"))]


INVOICES_LEARNED: Final = {
    6: [
        *_lines("G-1", 6, 6, ("subscription maps-suite", "Purchase", "365")),
        *_lines(
            "O-06",
            6,
            7,
            ("usage openai", "Purchase", "900"),
            ("usage openai", "Usage", "250.01"),
            ("usage openai", "Credit", "-238"),
        ),
        *_anthropic(6, 7, "150", "25.60", "126"),
        *_of_every_month(6, 6),
    ],
    7: [*_anthropic(7, 8, "180", "4.80", "180"), *_of_every_month(7, 7)],
    8: [
        *_lines(
            "A-07-CN",
            7,
            8,
            ("usage anthropic", "Adjustment", "-15"),
            ("subscription assist", "Adjustment", "-3.60"),
        ),
        *_anthropic(8, 9, "180", "14.40", "115.50"),
        *_of_every_month(8, 8),
    ],
    9: [
        *_lines("O-07", 7, 8, ("usage openai", "Usage", "250"), ("usage openai", "Credit", "-199.50")),
        *_lines(
            "O-08",
            8,
            9,
            ("usage openai", "Usage", "250"),
            ("usage openai", "Credit", "-245"),
            ("usage openai", "Credit", "-5"),
        ),
        *_anthropic(9, 10, "180", "1.20", "165"),
        *_of_every_month(9, 9),
    ],
}
"""Lines without taxes, by the month whose close was the first to know them."""


@dataclass(frozen=True)
class Event:
    """One call."""

    delivery: int
    day: date
    workflow: str
    team: str
    provider: str
    model: str
    units: int
    subscription: str
    seconds: int


def events() -> list[Event]:
    """Return the calls of `events.csv`, each with the team that it belongs to."""
    deliveries = {"june": 6, "july": 7, "august": 8, "september": 9}
    owners = {workflow: team for team, held in WORKFLOWS.items() for workflow in held}
    found = []
    with Path(__file__).with_name("events.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            day, workflow = date.fromisoformat(row["day"]), row["workflow"]
            moved = workflow == "care-triage" and day >= date(2026, 8, 1)
            found.append(
                Event(
                    delivery=deliveries[row["delivery"]],
                    day=day,
                    workflow=workflow,
                    team="field" if moved else owners.get(workflow, ""),
                    provider=row["provider"],
                    model=row["model"],
                    units=int(row["units"]),
                    subscription=row["subscription"],
                    seconds=int(row["accelerator_seconds"] or 0),
                )
            )
    return found


def cost_center(team: str, day: date, *, people_moved: bool) -> str:
    """Return where a team stands on a day, by what is known."""
    if team == "maps":
        return "P-200" if day < date(2026, 6, 16) else "C-200"
    if team == "people":
        return "C-200" if people_moved and day >= date(2026, 7, 1) else "C-100"
    return COST_CENTERS[team]
