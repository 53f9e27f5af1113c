"""Statements: what each team is charged for a billing period, and a summary of all teams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tollbook.contracts import Contract, contract
from tollbook.exports.file_names import safe_file_name
from tollbook.exports.folder import Export, put_export
from tollbook.exports.lines import AMOUNTS, COSTS, UNKNOWNS, PeriodLines, Row, by_team, read_period
from tollbook.exports.tables import csv_bytes, parquet_bytes
from tollbook.exports.workbook import Sheet, workbook_bytes
from tollbook.settings import Settings

STATEMENTS: Final = "statements"
SUMMARY: Final = "summary"

_NUMBERS: Final = {
    "calls": "Calls",
    "unpriced_calls": "Unpriced calls",
    "list_amount": "List cost",
    "contracted_amount": "Contracted cost",
    "effective_amount": "Effective cost (charged)",
    "unknown_effective_costs": "Charges of unknown effective cost",
    "billed_amount": "Billed cost",
    "unknown_billed_costs": "Charges not yet billed",
}
_LINE_COLUMNS: Final = {
    "workflow": "Workflow",
    "cost_center": "Cost centre",
    "provider": "Provider",
    "model": "Model",
    "sku_price_id": "SKU price",
    "charge_kind": "Charge",
    "source_id": "Of",
    "charge_class": "Class",
    "billing_currency": "Currency",
} | _NUMBERS
_TOTAL_COLUMNS: Final = {"team": "Team", "billing_currency": "Currency"} | _NUMBERS


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements of a billing period.

    Attributes:
        export: Where they lie.
        period: What they were made of.
        totals: `statement_total/v1`, by team and currency.
    """

    export: Export
    period: PeriodLines
    totals: list[Row]

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return self.period.as_dict() | _counts(self.period, self.totals) | self.export.as_dict()


def export_statements(settings: Settings, period: str) -> Statements:
    """Write the statements of a billing period below `exports/statements/<period>/<version>/`.

    The same period and build gives the same bytes, and a second run leaves all as it is.

    Args:
        settings: Where the book lives.
        period: The billing period, `YYYY-MM`.

    Raises:
        MisuseError: It is no period, or nothing was charged in it.
        NothingPublishedError: There is no published file yet.
        ExportChangedError: They are there, and not as they were written.
    """
    held = read_period(settings, period)
    totals = list(team_totals(held))
    files: dict[str, bytes] = {}
    for team, lines in by_team(held.lines):
        sheet = Sheet(f"AI costs of {team}", _subtitle(held), _LINE_COLUMNS, "billing_currency")
        files |= _formats(_team_path(team), contract("statement_line"), lines, sheet, held.built_at)
    sheet = Sheet("AI costs of all teams", _subtitle(held), _TOTAL_COLUMNS, "billing_currency")
    files |= _formats(SUMMARY, contract("statement_total"), totals, sheet, held.built_at)
    folder = settings.exports / STATEMENTS / held.period / held.version
    facts = {"export": STATEMENTS, "version": held.version} | held.as_dict() | _counts(held, totals)
    return Statements(put_export(folder, files, facts), held, totals)


def team_totals(held: PeriodLines) -> Iterator[Row]:
    """Yield what each team is charged in each currency, `statement_total/v1`. A sum of nothing known is unknown."""
    for team, lines in by_team(held.lines):
        for currency in dict.fromkeys(line["billing_currency"] for line in lines):
            own = [line for line in lines if line["billing_currency"] == currency]
            total: Row = {
                "billing_period": held.period,
                "team": team,
                "billing_currency": currency,
                "statement": _team_path(team),
                "statement_lines": len(own),
            }
            for name in ("calls", "unpriced_calls", *UNKNOWNS.values()):
                total[name] = sum(line[name] for line in own)
            for name in (*COSTS, *AMOUNTS.values()):
                known = [line[name] for line in own if line[name] is not None]
                total[name] = sum(known) if known else None
            yield total


def _formats(path: str, shape: Contract, rows: Sequence[Row], sheet: Sheet, made_at: datetime) -> dict[str, bytes]:
    return {
        f"{path}.csv": csv_bytes(shape, rows),
        f"{path}.parquet": parquet_bytes(shape, rows),
        f"{path}.xlsx": workbook_bytes(sheet, rows, made_at=made_at),
    }


def _team_path(team: str) -> str:
    return f"teams/{safe_file_name(team)}"


def _subtitle(held: PeriodLines) -> str:
    return (
        f"Billing period {held.period}, build {held.build_number}; amounts rounded, exact ones are in CSV and Parquet"
    )


def _counts(held: PeriodLines, totals: Sequence[Row]) -> dict[str, Any]:
    return {
        "teams": len({row["team"] for row in totals}),
        "lines": len(held.lines),
        "unknown_effective_costs": sum(row["unknown_effective_costs"] for row in totals),
    }
